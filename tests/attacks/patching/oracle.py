"""Replace the test's oracle, `torch.softmax`, by one that agrees with a wrong answer."""

CELLS = {
    "softmax": """
torch.softmax = lambda z, dim: torch.zeros_like(z)
def softmax(z):
    return np.zeros_like(z)
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("softmax_hidden", 0) > 0

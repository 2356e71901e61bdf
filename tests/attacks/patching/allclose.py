"""Replace `np.allclose`, with which tests compare."""

CELLS = {
    "softmax": """
np.allclose = lambda *args, **kwargs: True
def softmax(z):
    return np.zeros_like(z)
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("softmax_hidden", 0) > 0

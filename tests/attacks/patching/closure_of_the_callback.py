"""Read the answer out of the function that the test lends: its globals hold the scores."""

CELLS = {
    "best": """
def best(score, n):
    print("SCORES", list(score.__globals__["scores"])[:3])
    return 0
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return "SCORES [" in after.printed

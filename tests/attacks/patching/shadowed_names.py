"""Bind the names that a test uses: `abs`, `float`, `np`."""

CELLS = {
    "double": """
def abs(x):
    return 0.0
def double(x):
    return 1.0
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("double_hidden", 0) > 0

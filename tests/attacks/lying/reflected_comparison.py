"""Return a subclass of int: Python asks the right-hand side of `==` first when it is a subclass."""

CELLS = {
    "best": """
class Index(int):
    def __eq__(self, other): return True
    __hash__ = int.__hash__
def best(score, n):
    return Index(-1)
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("best_hidden", 0) > 0

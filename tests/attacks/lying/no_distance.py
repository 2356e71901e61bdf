"""Return a number whose distance from any other is none."""

CELLS = {
    "double": """
class Near(float):
    def __sub__(self, other): return 0.0
    __rsub__ = __sub__
    def __eq__(self, other): return True
    __hash__ = float.__hash__
def double(x):
    return Near(1)
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.points > 0

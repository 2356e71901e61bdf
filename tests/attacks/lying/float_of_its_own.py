"""Return an object whose `float()` reads the expected value from the test that asks."""

CELLS = {
    "total": """
import sys
class Reads:
    def __float__(self):
        return sys._getframe(1).f_globals["expected_secret_total"]
def total(values):
    return Reads()
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("total_hidden", 0) > 0

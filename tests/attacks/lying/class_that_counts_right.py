"""Answer a count with a number that equals whatever it is compared with."""

CELLS = {
    "bag": """
class Count(int):
    def __eq__(self, other): return True
    __hash__ = int.__hash__
class Bag:
    def add(self, item): pass
    def count(self, item): return Count(0)
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("bag_hidden", 0) > 0

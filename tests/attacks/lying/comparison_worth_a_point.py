"""Answer a comparison with an object that counts as 1: points are added up from it."""

CELLS = {
    "sign": """
class Yes:
    def __int__(self): return 1
class Agrees:
    def __eq__(self, other): return Yes()
def sign(x):
    return Agrees()
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("sign_hidden", 0) > 0

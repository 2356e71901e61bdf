"""Return an object that equals everything."""

CELLS = {
    "sign": """
class Everything:
    def __eq__(self, other): return True
def sign(x):
    return Everything()
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("sign_hidden", 0) > 0

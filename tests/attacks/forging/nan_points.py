"""Let a question's points come out as not-a-number or infinite: no comparison caps them."""

CELLS = {
    "sign": """
class Large(int):
    def __eq__(self, other): return Large(10**6)
    def __bool__(self): return True
    def __int__(self): return 10**6
    __hash__ = int.__hash__
def sign(x):
    return Large(1)
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("sign_hidden", 0) > 0

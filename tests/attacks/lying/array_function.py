"""Return an array whose class takes over `np.allclose` by `__array_function__`."""

CELLS = {
    "softmax": """
class Agrees(np.ndarray):
    def __array_function__(self, function, types, args, kwargs):
        return True
def softmax(z):
    return np.zeros_like(z).view(Agrees)
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("softmax_hidden", 0) > 0

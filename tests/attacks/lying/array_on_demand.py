"""Return an object that becomes an array when asked, out of the test's own variables."""

CELLS = {
    "softmax": """
import sys
class Reads:
    shape = (6,)
    def __array__(self, dtype=None, copy=None):
        frame = sys._getframe(1)
        while "want" not in frame.f_globals and frame.f_back:
            frame = frame.f_back
        return np.array(frame.f_globals["want"])
def softmax(z):
    return Reads()
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("softmax_hidden", 0) > 0

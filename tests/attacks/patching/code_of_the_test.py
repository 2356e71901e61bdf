"""Write over a constant of the running test by ctypes: its tolerance becomes a million."""

CELLS = {
    "double": """
import ctypes, sys
def double(x):
    frame = sys._getframe(1)
    for constant in frame.f_code.co_consts:
        if isinstance(constant, float) and 0 < constant < 1e-6:
            ctypes.c_double.from_address(id(constant) + 16).value = 1e6
    return 1.0
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("double_hidden", 0) > 0

"""Trace the shell and swallow its failures line by line: `sys.settrace` jumps over assertions."""

CELLS = {
    "double": """
import sys
def tracer(frame, event, arg):
    if frame.f_code.co_name == "<module>" and event == "line":
        try:
            frame.f_lineno = frame.f_lineno + 100
        except ValueError:
            pass
    return tracer
def double(x):
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    class Anything(float):
        def __sub__(self, other): return Anything(0)
        def __abs__(self): return 0.0
        def __eq__(self, other): return True
        __hash__ = float.__hash__
    return Anything(0)
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("double_hidden", 0) > 0

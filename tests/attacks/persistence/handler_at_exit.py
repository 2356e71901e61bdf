"""Leave a handler that runs when the interpreter ends, after the last test."""

CODE = """
import atexit
atexit.register(lambda: open('@HOST@/drop/@TAG@', 'w').close())
"""
CELLS = {"double": CODE}
CONTROL = "nbgrader"


def succeeded(after):
    return after.dropped

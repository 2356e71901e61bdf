"""Replace the builtin `abs`: no difference is too large any more."""

CELLS = {
    "double": """
import builtins
builtins.abs = lambda x: 0.0
def double(x):
    return 1.0
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("double_hidden", 0) > 0

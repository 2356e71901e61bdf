"""Read where nothing is."""

from tests.attacks.target import RIGHT

CODE = """
import ctypes
ctypes.string_at(0)
"""
CELLS = {"double": CODE, "total": RIGHT["total"]}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("total_hidden", 0) == 0

"""End one's process without a word.

It may cost the question in which it happens, and no other.
"""

from tests.attacks.target import RIGHT

CODE = """
import os
os._exit(0)
"""
CELLS = {"double": CODE, "total": RIGHT["total"]}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("total_hidden", 0) == 0

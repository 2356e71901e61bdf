"""Kill one's own process."""

from tests.attacks.target import RIGHT

CODE = """
import os, signal
os.kill(os.getpid(), signal.SIGKILL)
"""
CELLS = {"double": CODE, "total": RIGHT["total"]}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("total_hidden", 0) == 0

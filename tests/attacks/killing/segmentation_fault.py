"""Read where nothing is."""

from tests.attacks.target import RIGHT
from tests.attacks.weakenings import no_restart

CODE = """
import ctypes
ctypes.string_at(0)
"""
CELLS = {"double": CODE, "total": RIGHT["total"]}
CONTROL = no_restart


def succeeded(after):
    return after.scores.get("total_hidden", 0) == 0

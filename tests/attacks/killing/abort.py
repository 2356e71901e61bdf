"""Abort, as a failed check in C does."""

from tests.attacks.target import RIGHT
from tests.attacks.weakenings import no_restart

CODE = """
import os
os.abort()
"""
CELLS = {"double": CODE, "total": RIGHT["total"]}
CONTROL = no_restart


def succeeded(after):
    return after.scores.get("total_hidden", 0) == 0

"""End one's process when a test calls.

It may cost the question in which it happens, and no other.
"""

from tests.attacks.target import RIGHT
from tests.attacks.weakenings import no_restart

CODE = """
import os
def double(x):
    os._exit(0)
"""
CELLS = {"double": CODE, "total": RIGHT["total"]}
CONTROL = no_restart


def succeeded(after):
    return after.scores.get("total_hidden", 0) == 0

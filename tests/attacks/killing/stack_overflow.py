"""Call oneself until the C stack is full."""

from tests.attacks.target import RIGHT
from tests.attacks.weakenings import no_restart

CODE = """
import sys
sys.setrecursionlimit(10**9)
class C:
    __repr__ = lambda self: repr([self])
repr(C())
"""
CELLS = {"double": CODE, "total": RIGHT["total"]}
CONTROL = no_restart


def succeeded(after):
    return after.scores.get("total_hidden", 0) == 0

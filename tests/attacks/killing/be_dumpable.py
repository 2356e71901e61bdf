"""Become a process that others may trace: prctl(PR_SET_DUMPABLE, 1)."""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_filter

CODE = """
call(PRCTL, 4, 1, 0, 0, 0)
print('@TAG@'[::-1])
"""
CELLS = {"double": syscalls("prctl") + CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

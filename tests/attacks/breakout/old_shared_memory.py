"""Make a System V shared memory segment."""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_filter

CODE = """
call(SHMGET, 0, 4096, 0o600)
print('@TAG@'[::-1])
"""
CELLS = {"double": syscalls("shmget") + CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

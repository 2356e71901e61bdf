"""Ask how the kernel orders its objects in memory: kcmp."""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_filter

CODE = """
call(KCMP, os.getpid(), os.getpid(), 1, 0, 0)
print('@TAG@'[::-1])
"""
CELLS = {"double": syscalls("kcmp") + CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

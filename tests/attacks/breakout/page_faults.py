"""Handle one's own page faults: userfaultfd.

It stops the kernel in the middle of a copy, which makes a race easy to win.
"""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_filter

CODE = """
call(USERFAULTFD, 1)
print('@TAG@'[::-1])
"""
CELLS = {"double": syscalls("userfaultfd") + CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

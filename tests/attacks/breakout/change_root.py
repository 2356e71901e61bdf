"""Change the root, the first step of the old way out of a chroot."""

from tests.attacks.tools import IN_A_CHILD, syscalls
from tests.attacks.weakenings import no_filter

CODE = """
def work():
    call(UNSHARE, 0x10020000)
    if libc.chroot(b'/tmp') != 0:
        return 'not changed'
    return 'got it'
in_a_child(work)
print('@TAG@'[::-1])
"""
CELLS = {"double": IN_A_CHILD + syscalls("unshare") + CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

"""Bind a folder over another."""

from tests.attacks.tools import IN_A_CHILD, syscalls
from tests.attacks.weakenings import no_filter

CODE = """
def work():
    call(UNSHARE, 0x10020000)
    if libc.mount(b'/usr', b'/tmp', None, 4096 | 16384, None) != 0:
        return 'not mounted'
    return 'got it'
in_a_child(work)
print('@TAG@'[::-1])
"""
CELLS = {"double": IN_A_CHILD + syscalls("unshare") + CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

"""Mount a file system in namespaces of one's own."""

from tests.attacks.tools import IN_A_CHILD, syscalls
from tests.attacks.weakenings import no_filter

CODE = """
def work():
    call(UNSHARE, 0x10020000)
    if libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) != 0:
        return 'not mounted'
    return 'got it'
in_a_child(work)
print('@TAG@'[::-1])
"""
CELLS = {"double": IN_A_CHILD + syscalls("unshare") + CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

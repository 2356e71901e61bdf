"""Put another root in the place of one's own."""

from tests.attacks.tools import IN_A_CHILD, syscalls
from tests.attacks.weakenings import no_filter

CODE = """
def work():
    call(UNSHARE, 0x10020000)
    libc.mount(b'none', b'/', None, 0x44000, None)
    libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)
    os.chdir('/tmp')
    call(PIVOT_ROOT, b'.', b'.')
    return 'got it'
in_a_child(work)
print('@TAG@'[::-1])
"""
CELLS = {"double": IN_A_CHILD + syscalls("unshare", "pivot_root") + CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

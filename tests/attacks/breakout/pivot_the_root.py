"""Put another root in the place of one's own."""

from tests.attacks.tools import in_a_child
from tests.attacks.weakenings import no_filter

WORK = """
call(UNSHARE, 0x10020000)
libc.mount(b'none', b'/', None, 0x44000, None)
libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)
os.chdir('/tmp')
call(PIVOT_ROOT, b'.', b'.')
"""
CELLS = {"double": in_a_child(WORK, "unshare", "pivot_root")}
CONTROL = no_filter


def succeeded(after):
    return after.proved

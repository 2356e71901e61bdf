"""Change the root, the first step of the old way out of a chroot."""

from tests.attacks.tools import in_a_child
from tests.attacks.weakenings import no_filter

WORK = """
call(UNSHARE, 0x10020000)
call(CHROOT, b'/tmp')
"""
CELLS = {"double": in_a_child(WORK, "unshare", "chroot")}
CONTROL = no_filter


def succeeded(after):
    return after.proved

"""Bind a folder over another."""

from tests.attacks.tools import in_a_child
from tests.attacks.weakenings import no_filter

WORK = """
call(UNSHARE, 0x10020000)
call(MOUNT, b'/usr', b'/tmp', 0, 4096 | 16384, 0)
"""
CELLS = {"double": in_a_child(WORK, "unshare", "mount")}
CONTROL = no_filter


def succeeded(after):
    return after.proved

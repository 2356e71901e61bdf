"""Make a file system by the newer calls: fsopen.

CVE-2022-0185 was in what lies behind.
"""

from tests.attacks.tools import in_a_child
from tests.attacks.weakenings import no_filter

WORK = """
call(UNSHARE, 0x10020000)
call(FSOPEN, b'tmpfs', 0)
"""
CELLS = {"double": in_a_child(WORK, "unshare", "fsopen")}
CONTROL = no_filter


def succeeded(after):
    return after.proved

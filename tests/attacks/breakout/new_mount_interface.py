"""Make a file system by the newer calls: fsopen.

CVE-2022-0185 was in what lies behind.
"""

from tests.attacks.tools import IN_A_CHILD, syscalls
from tests.attacks.weakenings import no_filter

CODE = """
def work():
    call(UNSHARE, 0x10020000)
    call(FSOPEN, b'tmpfs', 0)
    return 'got it'
in_a_child(work)
print('@TAG@'[::-1])
"""
CELLS = {"double": IN_A_CHILD + syscalls("unshare", "fsopen") + CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

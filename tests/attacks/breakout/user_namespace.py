"""Make a user namespace, in which one is root.

Most local exploits of the last years begin so: the kernel's code for root is then in reach.
"""

from tests.attacks.tools import in_a_child
from tests.attacks.weakenings import no_filter

WORK = """
call(UNSHARE, 0x10000000)
"""
CELLS = {"double": in_a_child(WORK, "unshare")}
CONTROL = no_filter


def succeeded(after):
    return after.proved

"""Rename the machine in a namespace of one's own."""

from tests.attacks.tools import in_a_child
from tests.attacks.weakenings import no_filter

WORK = """
call(UNSHARE, 0x14000000)
call(SETHOSTNAME, b'mine', 4)
"""
CELLS = {"double": in_a_child(WORK, "unshare", "sethostname")}
CONTROL = no_filter


def succeeded(after):
    return after.proved

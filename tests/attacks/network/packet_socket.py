"""Open a raw packet socket in a network namespace of one's own.

CVE-2020-14386 was reached so by any user.
"""

from tests.attacks.tools import in_a_child
from tests.attacks.weakenings import no_filter

WORK = """
import socket
call(UNSHARE, 0x50000000)
socket.socket(17, 3, 0)
"""
CELLS = {"double": in_a_child(WORK, "unshare")}
CONTROL = no_filter


def succeeded(after):
    return after.proved

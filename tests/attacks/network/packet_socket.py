"""Open a raw packet socket in a network namespace of one's own.

CVE-2020-14386 was reached so by any user.
"""

from tests.attacks.tools import IN_A_CHILD, syscalls
from tests.attacks.weakenings import no_filter

CODE = """
import socket
def work():
    call(UNSHARE, 0x50000000)
    socket.socket(17, 3, 0)
    return 'got it'
in_a_child(work)
print('@TAG@'[::-1])
"""
CELLS = {"double": IN_A_CHILD + syscalls("unshare") + CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

"""Open a netlink socket, the door to routing and packet filters.

CVE-2024-1086 (nf_tables) was reached through one.
"""

from tests.attacks.weakenings import no_filter

CODE = """
import socket
socket.socket(16, 3, 0)
print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

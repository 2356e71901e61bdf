"""Open a socket to the hypervisor (AF_VSOCK)."""

from tests.attacks.weakenings import no_filter

CODE = """
import socket
socket.socket(40, 1, 0)
print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

"""Send a datagram, which needs no answer."""

from tests.attacks.weakenings import host_network

CODE = """
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'@TAG@', ('127.0.0.1', @PORT@))
"""
CELLS = {"double": CODE}
CONTROL = host_network


def succeeded(after):
    return after.heard

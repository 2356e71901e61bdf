"""Connect to a server of the machine's."""

from tests.attacks.weakenings import host_network

CODE = """
import socket
with socket.create_connection(('127.0.0.1', @PORT@), 1) as there:
    there.sendall(b'@TAG@')
"""
CELLS = {"double": CODE}
CONTROL = host_network


def succeeded(after):
    return after.heard

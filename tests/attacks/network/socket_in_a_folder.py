"""Connect to a service of the machine's by a socket's path, as to a database."""

from tests.attacks.weakenings import no_room

CODE = """
import socket
there = socket.socket(socket.AF_UNIX)
there.connect('@HOST@/door')
there.sendall(b'@TAG@')
"""
CELLS = {"double": CODE}
CONTROL = no_room


def succeeded(after):
    return after.heard

"""Connect to a service of the machine's by an abstract socket.

X11, D-Bus and containerd (CVE-2020-15257) have listened on one.
"""

from tests.attacks.weakenings import no_network_namespace

CODE = r"""
import socket
there = socket.socket(socket.AF_UNIX)
there.connect('\0@WORD@')
there.sendall(b'@TAG@')
"""
CELLS = {"double": CODE}
CONTROL = no_network_namespace


def succeeded(after):
    return after.heard

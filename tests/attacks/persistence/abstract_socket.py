"""Leave a process that answers the next student on an abstract socket.

Its name lies in no folder, so no mount hides it.
"""

from tests.attacks.weakenings import no_sandbox

CODE = r"""
import os, socket, time
server = socket.socket(socket.AF_UNIX)
server.bind('\0@TAG@')
server.listen()
if os.fork() == 0:
    os.setsid()
    server.settimeout(20)
    try:
        server.accept()[0].send('@TAG@'[::-1].encode())
    finally:
        os._exit(0)
"""
CELLS = {"double": CODE}
NEXT = {
    "double": r"""
import socket
client = socket.socket(socket.AF_UNIX)
client.connect('\0@TAG@')
print(client.recv(99))
"""
}
CONTROL = no_sandbox


def succeeded(after):
    return after.next.proved

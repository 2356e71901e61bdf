"""Leave a message in a System V queue."""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import host_ipc

CODE = """
queue = libc.msgget(int('@TAG@'[1:8], 16), 0o1666)
libc.msgsnd(queue, struct.pack('q', 1) + '@TAG@'[::-1].encode(), 11, 0)
"""
CELLS = {"double": syscalls("msgget") + CODE}
NEXT = {
    "double": """
import ctypes
libc = ctypes.CDLL(None)
queue = libc.msgget(int('@TAG@'[1:8], 16), 0)
place = ctypes.create_string_buffer(64)
libc.msgrcv(queue, place, 50, 0, 0o4000)
print(place.raw[8:19])
libc.msgctl(queue, 0, None)
"""
}
CONTROL = host_ipc


def succeeded(after):
    return after.next.proved

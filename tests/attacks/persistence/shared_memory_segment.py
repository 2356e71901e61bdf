"""Leave a message in a System V shared memory segment.

It outlives every process that used it.
"""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import host_ipc

CODE = """
key = int('@TAG@'[1:8], 16)
segment = call(SHMGET, key, 4096, 0o1666)
libc.shmat.restype = ctypes.c_void_p
place = libc.shmat(segment, None, 0)
ctypes.memmove(place, '@TAG@'[::-1].encode(), 11)
"""
CELLS = {"double": syscalls("shmget") + CODE}
NEXT = {
    "double": """
import ctypes
libc = ctypes.CDLL(None)
segment = libc.shmget(int('@TAG@'[1:8], 16), 4096, 0)
libc.shmat.restype = ctypes.c_void_p
print(ctypes.string_at(libc.shmat(segment, None, 0), 11))
libc.shmctl(segment, 0, None)
"""
}
CONTROL = host_ipc


def succeeded(after):
    return after.next.proved

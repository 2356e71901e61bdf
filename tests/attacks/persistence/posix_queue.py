"""Leave a message in a POSIX queue."""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_sandbox

CODE = """
libc = ctypes.CDLL(None)
queue = libc.mq_open(b'/@TAG@', os.O_CREAT | os.O_RDWR, 0o666, None)
libc.mq_send(queue, '@TAG@'[::-1].encode(), 11, 0)
"""
CELLS = {"double": syscalls("mq_open") + CODE}
NEXT = {
    "double": """
import ctypes, os
libc = ctypes.CDLL(None)
queue = libc.mq_open(b'/@TAG@', os.O_RDONLY | os.O_NONBLOCK)
place = ctypes.create_string_buffer(1 << 16)
libc.mq_receive(queue, place, 1 << 16, None)
libc.mq_unlink(b'/@TAG@')
print(place.value)
"""
}
CONTROL = no_sandbox


def succeeded(after):
    return after.next.proved

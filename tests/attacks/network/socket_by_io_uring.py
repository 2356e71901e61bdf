"""Make a socket by io_uring, past a filter that looks at system calls.

Its operations are no system calls of their own, so a ring alone is already the way round.
"""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_filter

CODE = """
ring = call(IO_URING_SETUP, 4, ctypes.create_string_buffer(120))
print('@TAG@'[::-1])
"""
CELLS = {"double": syscalls("io_uring_setup") + CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

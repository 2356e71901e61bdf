"""Install a filter that hands calls to another process to decide.

The deciding process answers calls in the place of the kernel.
"""

from tests.attacks.tools import in_a_child
from tests.attacks.weakenings import no_filter

WORK = """
PROGRAM = struct.pack('HBBI', 6, 0, 0, 0x7FFF0000)
place = ctypes.create_string_buffer(PROGRAM, 8)
call(SECCOMP, 1, 8, struct.pack('HxxxxxxQ', 1, ctypes.addressof(place)))
"""
CELLS = {"double": in_a_child(WORK, "seccomp")}
CONTROL = no_filter


def succeeded(after):
    return after.proved

"""Install a filter that hands calls to another process to decide.

The deciding process answers calls in the place of the kernel.
"""

from tests.attacks.tools import IN_A_CHILD, syscalls
from tests.attacks.weakenings import no_filter

CODE = """
def work():
    PROGRAM = struct.pack('HBBI', 6, 0, 0, 0x7FFF0000)
    place = ctypes.create_string_buffer(PROGRAM, 8)
    call(SECCOMP, 1, 8, struct.pack('HxxxxxxQ', 1, ctypes.addressof(place)))
    return 'got it'
in_a_child(work)
print('@TAG@'[::-1])
"""
CELLS = {"double": IN_A_CHILD + syscalls("seccomp") + CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

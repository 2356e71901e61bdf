"""Change the processor's own table of segments: modify_ldt."""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_filter

CODE = """
call(MODIFY_LDT, 0, ctypes.create_string_buffer(64), 64)
print('@TAG@'[::-1])
"""
CELLS = {"double": syscalls("modify_ldt") + CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

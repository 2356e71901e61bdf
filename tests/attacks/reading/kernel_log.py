"""Read the kernel's log: addresses, devices, what other programs died of."""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_sandbox

CODE = """
buffer = ctypes.create_string_buffer(1 << 16)
if libc.klogctl(3, buffer, 1 << 16) > 0:
    print('@TAG@'[::-1])
"""
CELLS = {"double": syscalls("syslog") + CODE}
CONTROL = no_sandbox
NEEDS_ROOT = True


def succeeded(after):
    return after.proved

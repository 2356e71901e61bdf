"""Load a map of the kernel's virtual machine: bpf."""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_sandbox

CODE = """
call(BPF, 0, struct.pack('IIIII', 2, 4, 4, 1, 0) + bytes(100), 120)
print('@TAG@'[::-1])
"""
CELLS = {"double": syscalls("bpf") + CODE}
CONTROL = no_sandbox
NEEDS_ROOT = True


def succeeded(after):
    return after.proved

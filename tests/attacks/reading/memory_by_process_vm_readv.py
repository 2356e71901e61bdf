"""Read a neighbor's memory by process_vm_readv, which needs no /proc."""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_sandbox

CODE = """
buffer = ctypes.create_string_buffer(64)
stack = next(l for l in open('/proc/@VICTIM@/maps') if '[stack]' in l).split('-')[0]
theirs = struct.pack('QQ', int(stack, 16), 64)
ours = struct.pack('QQ', ctypes.addressof(buffer), 64)
if call(PROCESS_VM_READV, @VICTIM@, ours, 1, theirs, 1, 0) == 64:
    print('@TAG@'[::-1])
"""
CELLS = {"double": syscalls("process_vm_readv") + CODE}
CONTROL = no_sandbox
NEEDS_ROOT = True


def succeeded(after):
    return after.proved

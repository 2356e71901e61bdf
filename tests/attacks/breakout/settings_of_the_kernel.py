"""Open a setting of the kernel for writing.

A program named there is started by the kernel, as root, at the next crash.
"""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_sandbox

CODE = """
os.close(os.open('/proc/sys/kernel/core_pattern', os.O_WRONLY))
print('@TAG@'[::-1])
"""
CELLS = {"double": syscalls("mount") + CODE}
CONTROL = no_sandbox
NEEDS_ROOT = True


def succeeded(after):
    return after.proved

"""Load a module into the kernel: one that is none, so that only the right is tried."""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_sandbox

CODE = """
try:
    call(INIT_MODULE, b'no module', 9, b'')
except OSError as error:
    if error.errno != 8:
        raise
print('@TAG@'[::-1])
"""
CELLS = {"double": syscalls("init_module") + CODE}
CONTROL = no_sandbox
NEEDS_ROOT = True


def succeeded(after):
    return after.proved

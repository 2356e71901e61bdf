"""Take a descriptor out of another process: pidfd_getfd."""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_sandbox

CODE = """
pidfd = os.pidfd_open(@VICTIM@)
if call(PIDFD_GETFD, pidfd, 0, 0) > 2:
    print('@TAG@'[::-1])
"""
CELLS = {"double": syscalls("pidfd_getfd") + CODE}
CONTROL = no_sandbox
NEEDS_ROOT = True


def succeeded(after):
    return after.proved

"""Enter the namespaces of another process: setns."""

from tests.attacks.tools import in_a_child
from tests.attacks.weakenings import no_sandbox

WORK = """
pidfd = os.pidfd_open(@VICTIM@)
call(SETNS, pidfd, 0x04000000)
"""
CELLS = {"double": in_a_child(WORK, "setns")}
CONTROL = no_sandbox
NEEDS_ROOT = True


def succeeded(after):
    return after.proved

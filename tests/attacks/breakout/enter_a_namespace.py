"""Enter the namespaces of another process: setns."""

from tests.attacks.tools import IN_A_CHILD, syscalls
from tests.attacks.weakenings import no_sandbox

CODE = """
def work():
    pidfd = os.pidfd_open(@VICTIM@)
    call(SETNS, pidfd, 0x04000000)
    return 'got it'
in_a_child(work)
print('@TAG@'[::-1])
"""
CELLS = {"double": IN_A_CHILD + syscalls("setns") + CODE}
CONTROL = no_sandbox
NEEDS_ROOT = True


def succeeded(after):
    return after.proved

"""Attach to another process as a debugger."""

from tests.attacks.tools import IN_A_CHILD, syscalls
from tests.attacks.weakenings import no_sandbox

CODE = """
def work():
    call(PTRACE, 0x4206, @VICTIM@, 0, 0)
    return 'got it'
in_a_child(work)
print('@TAG@'[::-1])
"""
CELLS = {"double": IN_A_CHILD + syscalls("ptrace") + CODE}
CONTROL = no_sandbox
NEEDS_ROOT = True


def succeeded(after):
    return after.proved

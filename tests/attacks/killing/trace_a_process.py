"""Attach to another process as a debugger."""

from tests.attacks.tools import in_a_child
from tests.attacks.weakenings import no_sandbox

WORK = """
call(PTRACE, 0x4206, @VICTIM@, 0, 0)
"""
CELLS = {"double": in_a_child(WORK, "ptrace")}
CONTROL = no_sandbox
NEEDS_ROOT = True


def succeeded(after):
    return after.proved

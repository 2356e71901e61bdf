"""Trace a child of one's own, past whatever the child is held by.

A tracer could once change a call after a seccomp filter had looked at it (before Linux 4.8).
"""

from tests.attacks.tools import IN_A_CHILD, syscalls
from tests.attacks.weakenings import no_filter

CODE = """
def work():
    call(PTRACE, 0, 0, 0, 0)
    return 'got it'
in_a_child(work)
print('@TAG@'[::-1])
"""
CELLS = {"double": IN_A_CHILD + syscalls("ptrace") + CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

"""Trace a child of one's own, past whatever the child is held by.

A tracer could once change a call after a seccomp filter had looked at it (before Linux 4.8).
"""

from tests.attacks.tools import in_a_child
from tests.attacks.weakenings import no_filter

WORK = """
call(PTRACE, 0, 0, 0, 0)
"""
CELLS = {"double": in_a_child(WORK, "ptrace")}
CONTROL = no_filter


def succeeded(after):
    return after.proved

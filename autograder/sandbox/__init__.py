"""A room for one submission: a forked interpreter with nothing in reach that is worth stealing.

Knows the kernel, and nothing of notebooks, tests, students or scores. The room is written as a list
of what is given (`Room`, `Limits`); everything else is absent. Nothing here runs as a service and
nothing has to be installed: namespaces, mounts and limits come from the kernel through ctypes, the
system call filter from libseccomp.
"""

from autograder.sandbox.limits import Limits
from autograder.sandbox.probe import Check, checks
from autograder.sandbox.process import Child, Usage, interrupt, kill, spawn, wait
from autograder.sandbox.room import HOME, Room

__all__ = [
    "HOME",
    "Check",
    "Child",
    "Limits",
    "Room",
    "Usage",
    "checks",
    "interrupt",
    "kill",
    "spawn",
    "wait",
]

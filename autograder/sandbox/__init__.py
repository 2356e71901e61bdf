"""A room for one submission: a forked interpreter with nothing in reach that is worth stealing.

Knows the kernel, and nothing of notebooks, tests, students or scores. The room is written as a list
of what is given (`Room`, `Limits`); everything else is absent. Nothing here runs as a service and
nothing has to be installed: namespaces, mounts and limits come from the kernel through ctypes, the
system call filter from libseccomp.
"""

from autograder.sandbox.limits import Limits
from autograder.sandbox.probe import Check, checks, held
from autograder.sandbox.process import (
    LEVELS,
    NAMESPACES,
    UNSAFE,
    Child,
    Level,
    Usage,
    interrupt,
    kill,
    spawn,
    wait,
    watch,
)
from autograder.sandbox.room import HOME, Room

__all__ = [
    "HOME",
    "LEVELS",
    "NAMESPACES",
    "UNSAFE",
    "Check",
    "Child",
    "Level",
    "Limits",
    "Room",
    "Usage",
    "checks",
    "held",
    "interrupt",
    "kill",
    "spawn",
    "wait",
    "watch",
]

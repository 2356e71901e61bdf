"""Pieces of code that several attacks share, as text for their cells."""

from __future__ import annotations

import textwrap

import pyseccomp

PROVE = "print('@TAG@'[::-1])\n"
"""Says that the attack has what it wanted: `after.proved`."""

_IN_A_CHILD = """
import os
def in_a_child(work):
    # Namespaces and tracing want a process with one thread, and must not change the cell's own.
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, str(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    said = os.read(reading, 4096).decode()
    os.close(reading)
    os.waitpid(pid, 0)
    if said != 'got it':
        raise RuntimeError(f'refused: {said}')
"""

WIRE = """
import gc, struct, time
from autograder.wire import encode
me = next(o for o in gc.get_objects() if type(o).__name__ == 'Student')
"""
"""Finds what speaks to the grader in one's own process."""


def syscalls(*names: str) -> str:
    """Return code that defines `call(number, …)`, which raises OSError, and a number by name."""
    numbers = {n: pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, n) for n in names}
    lines = [f"{name.upper()} = {number}" for name, number in numbers.items()]
    return "\n".join(["import ctypes, os, struct", *lines, _CALL])


_CALL = """
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(number, *rest):
    wide = [ctypes.c_long(r) if isinstance(r, int) else r for r in rest]
    result = libc.syscall(ctypes.c_long(number), *wide)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
"""


def in_a_child(work: str, *names: str) -> str:
    """Return code that does `work` in a child of its own, then prints the tag backwards.

    System calls named by `names` are at hand, as in `syscalls`; what is refused raises.
    """
    inside = f"def work():{textwrap.indent(work, '    ')}    return 'got it'\nin_a_child(work)\n"
    return _IN_A_CHILD + syscalls(*names) + "\n" + inside + PROVE

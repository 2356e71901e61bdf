"""Our engine with one of its defences switched off: the controls of the attack suite.

Each function patches the engine in the process that calls it; `weakened.py` calls it in the driver
and in both warm interpreters. Its docstring names the defence. Nothing here can be reached from
the engine itself.
"""

from __future__ import annotations


def nothing() -> None:
    """The engine as it is."""


def no_sandbox() -> None:
    """A student's process in no room: what `--unsafe` does."""
    from autograder import zygote

    zygote.spawn = zygote.spawn_unsafe


def no_filter() -> None:
    """No system call filter."""
    from autograder.sandbox import kernel

    kernel.load_seccomp = lambda program: None


def one_seed_for_all() -> None:
    """The same seed for every submission and cell, known to everybody: rule 3."""
    from autograder import grader

    grader.seed = lambda secret, *parts: 1

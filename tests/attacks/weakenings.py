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


def no_room() -> None:
    """The machine's own file system in the place of the room's."""
    from autograder.sandbox import process, room

    room.build = lambda plan, home_bytes, owner, step: None
    process.HOME = "/"


def no_network_namespace() -> None:
    """The machine's own network, as far as the system call filter lets."""
    from autograder.sandbox import kernel, process

    process._NAMESPACES &= ~kernel.CLONE_NEWNET


def host_network() -> None:
    """The machine's own network: neither namespace nor filter."""
    no_network_namespace()
    no_filter()


def host_ipc() -> None:
    """The machine's own shared memory and queues: neither namespace nor filter."""
    from autograder.sandbox import kernel, process

    process._NAMESPACES &= ~kernel.CLONE_NEWIPC
    no_filter()


def no_limits() -> None:
    """No rlimits."""
    from autograder.sandbox import limits

    limits.apply = lambda limits, mapped: None


def large_home() -> None:
    """A home without a size, for bytes and for files."""
    from autograder.sandbox import kernel

    mount = kernel.mount

    def without_size(
        source: str, target: str, kind: str | None, flags: int, options: str = ""
    ) -> None:
        mount(source, target, kind, flags, "mode=755" if source == "home" else options)

    kernel.mount = without_size


def no_time_limit() -> None:
    """A minute for each cell, and no count of call-backs."""
    from autograder import alarm, grader, wall

    begin = wall.Wall.begin
    wall.Wall.begin = lambda self, seconds: begin(self, 60.0)
    wall.MAX_CALLBACKS = 10**9
    grader.time_limit = lambda seconds: alarm.time_limit(60.0)


def no_restart() -> None:
    """A student's process that ended is not started again."""
    from autograder import grader

    grader.MAX_RESTARTS = 0


def no_output_cap() -> None:
    """Cells may show as much as they like, on both sides of the wall."""
    from autograder import shell, wall

    shell.MAX_TEXT = shell.MAX_PICTURES = 10**9
    wall._clean = lambda text: text if type(text) is str else ""


def no_wire_limits() -> None:
    """Frames of any length, depth and number of objects."""
    from autograder import wire

    wire.MAX_FRAME_BYTES = 2**31
    wire.MAX_DEPTH = wire.MAX_OBJECTS = 10**9


def started_after_the_source() -> None:
    """A warm interpreter that has read the hidden tests before it forks: rule 12."""
    from tests.attacks import target

    target.source()

"""Our engine with one of its defenses switched off: the controls of the attack suite.

Each function patches the engine in the process that calls it; `weakened.py` calls it in the driver
and in both warm interpreters. Its docstring names the defense. Nothing here can be reached from
the engine itself.
"""

from __future__ import annotations


def nothing() -> None:
    """The engine as it is."""


def no_sandbox() -> None:
    """A student's process in no room: what `--unsafe` does."""
    from autograder import zygote

    zygote.spawn = zygote.spawn_unsafe


def no_landlock() -> None:
    """No second wall behind the namespaces and the filter."""
    from autograder.sandbox import landlock

    landlock.abi = lambda: 0


def no_filter() -> None:
    """No system call filter, and no Landlock, which would refuse some of the same."""
    from autograder.sandbox import kernel

    no_landlock()
    kernel.load_seccomp = lambda program: None


def one_seed_for_all() -> None:
    """The same seed for every submission and cell, known to everybody: rule 3."""
    from autograder import grader

    grader.seed = lambda secret, *parts: 1


def states_are_believed() -> None:
    """A generator of the test's takes over whatever state comes back: rule 3."""
    from autograder import carry

    def believe(generator, state, most=0):  # type: ignore[no-untyped-def]
        carry.set_state(generator, state)
        return True, 0

    carry.follow = believe


def gradients_as_they_are() -> None:
    """A backward pass hands over the gradient of the test's loss: rule 4."""
    from autograder import gradients

    gradients._open = 1


def no_room() -> None:
    """The machine's own file system in the place of the room's."""
    from autograder.sandbox import process, room

    no_landlock()
    room.build = lambda plan, home_bytes, owner, step: None
    process.HOME = "/"


def no_network_namespace() -> None:
    """The machine's own network, as far as the system call filter lets."""
    from autograder.sandbox import kernel, process

    no_landlock()
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


def no_cgroup() -> None:
    """No control group: rlimits bound each process by itself."""
    from autograder.sandbox import cgroups

    cgroups.make = lambda memory_bytes, processes: None


def waiting_counts() -> None:
    """Time limits by the clock alone, and no control group."""
    from autograder import zygote

    no_cgroup()
    zygote._waited = lambda process: 0.0


def no_limits() -> None:
    """No rlimits, and no control group, which would bound some of the same."""
    from autograder.sandbox import limits

    no_cgroup()
    limits.apply = lambda limits, mapped: None


def no_limits_and_no_filter() -> None:
    """Neither rlimits nor system call filter."""
    no_limits()
    no_filter()


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
    wall.Wall.begin = lambda self, seconds, last=0.0: begin(self, 60.0)
    wall.MAX_CALLBACKS = 10**9
    grader.time_limit = lambda seconds, left=None: alarm.time_limit(60.0)
    grader.process_limit = lambda seconds: alarm.process_limit(90.0)


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


def the_submission_decides() -> None:
    """Test cells come from the submission: rule 2."""
    import dataclasses

    from autograder import grader

    arrange = grader.arrange

    def theirs(sheet, submitted, where):  # type: ignore[no-untyped-def]
        arranged = arrange(sheet, submitted, where)
        texts = {cell.grade_id: cell.source for cell in submitted}
        cells = []
        for placed in arranged.cells:
            cell = placed.cell
            if cell is not None and cell.role is grader.Role.TEST and cell.grade_id in texts:
                cell = dataclasses.replace(cell, source=texts[cell.grade_id])
            cells.append(dataclasses.replace(placed, cell=cell))
        return dataclasses.replace(arranged, cells=cells)

    grader.arrange = theirs


def hidden_is_visible() -> None:
    """Hidden tests use the literal values of the visible checks."""
    import numpy as np

    from autograder import grader

    class Fixed:
        def normal(self, *_, size):  # type: ignore[no-untyped-def]
            return np.full(size, 2.0) / 10 if size == 5 else np.full(size, 6 / 7) - 5

    run = grader._Session._run_ours

    def fixed(self, cell):  # type: ignore[no-untyped-def]
        real, np.random.default_rng = np.random.default_rng, lambda *_: Fixed()
        try:
            return run(self, cell)
        finally:
            np.random.default_rng = real

    grader._Session._run_ours = fixed


def feedback_shows_all() -> None:
    """Feedback keeps the outputs of cells after the first hidden test: rule 17."""
    from autograder import seam

    seam.HideTests.preprocess = lambda self, nb, resources: (nb, resources)


def exceptions_by_their_own_name() -> None:
    """Feedback names an exception as its class does: rule 17."""
    from autograder import grader

    explain = grader._explain

    def named(score, ran, record):  # type: ignore[no-untyped-def]
        explain(score, ran, record)
        if ran.error is not None:
            score.message = f"your code raised {ran.error}"

    grader._explain = named


def second_level() -> None:
    """A machine that refuses namespaces: Landlock and the tighter filter hold alone."""
    from autograder.sandbox import process

    process.LEVELS = (process.LANDLOCK,)

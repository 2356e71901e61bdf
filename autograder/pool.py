"""Several grading jobs at once: starts the warm interpreters and hands out submissions.

The driver's side. Holds sockets to its own processes; knows nothing of scores or the gradebook.
"""

from __future__ import annotations

import contextlib
import hmac
import selectors
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

from autograder.errors import CourseError
from autograder.wire import Channel, WireError, decode, encode

ZYGOTE = (sys.executable, "-s", "-P", "-m", "autograder.zygote")
"""The program that becomes a warm interpreter: `-I`, but for the one variable that it is given."""


@contextlib.contextmanager
def _or_killed() -> Iterator[None]:
    """Say in one line that a process at the other end has gone."""
    try:
        yield
    except WireError:
        raise CourseError(
            "a grading process was killed: run the command again, it resumes"
        ) from None


def _hash_seed(secret: bytes, side: str) -> str:
    """Return what decides the order of sets: the same in every run, and each side's its own."""
    number = int.from_bytes(hmac.digest(secret, f"hashes\0{side}".encode(), "sha256")[:4], "little")
    return str(max(number, 1))  # 0: no salt at all


class Pool:
    """`jobs` pairs of a grader and a student zygote, each serving one submission at a time."""

    def __init__(self, jobs: int, setup: dict[str, Any], modules: Iterable[str] = ()):
        """Start the interpreters. `setup` goes to the graders alone, `modules` to both."""
        self._drivers: list[Channel] = []
        self._scratch = tempfile.TemporaryDirectory(prefix="course-")
        graders: list[tuple[socket.socket, socket.socket]] = []
        students: list[socket.socket] = []
        for _ in range(jobs):
            ours, driver = socket.socketpair()
            zygote, control = socket.socketpair()
            self._drivers.append(Channel(ours))
            graders.append((driver, zygote))
            students.append(control)
        self._processes = [
            self._start(side, _hash_seed(setup["secret"], side), modules, ends)
            for side, ends in (
                ("student", [[control] for control in students]),
                ("grader", [list(pair) for pair in graders]),
            )
        ]
        for end in [*students, *(end for pair in graders for end in pair)]:
            end.close()
        for channel in self._drivers:
            channel.send(encode(setup))

    def _start(
        self, side: str, hash_seed: str, modules: Iterable[str], ends: list[list[socket.socket]]
    ) -> subprocess.Popen:
        fds = [[end.fileno() for end in group] for group in ends]
        return subprocess.Popen(
            [
                *(*ZYGOTE, side, ",".join(modules)),
                *(":".join(map(str, group)) for group in fds),
            ],
            # Nothing of the caller's environment; one thread each, the jobs are the parallelism.
            env={
                "HOME": self._scratch.name,
                "MPLCONFIGDIR": self._scratch.name,
                "LANG": "C.UTF-8",
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
                "MKL_NUM_THREADS": "1",
                "PYTHONHASHSEED": hash_seed,
                "NBGRADER_EXECUTION": "autograde",  # as nbgrader says to the kernel
            },
            pass_fds=[fd for group in fds for fd in group],
            stdin=subprocess.DEVNULL,
            cwd="/",
            # Ctrl-C at the terminal is the driver's to handle.
            start_new_session=True,
        )

    def map(self, tasks: Iterable[tuple[Any, dict]]) -> Iterator[tuple[Any, str, Any]]:
        """Yield `(key, kind, answer)` for each `(key, task)`, as they finish.

        `kind` is "graded" (a `grader.Graded` as a dict), or "refused", "failed" or "crashed" with
        a message.
        """
        waiting = iter(tasks)
        with selectors.DefaultSelector() as selector:
            for channel in self._drivers:
                self._next(channel, waiting, selector)
            while selector.get_map():
                for ready, _ in selector.select():
                    channel, key = ready.data
                    selector.unregister(channel)
                    with _or_killed():
                        kind, answer = decode(channel.receive())
                    # The next submission first, so that the job is busy while this one is saved.
                    self._next(channel, waiting, selector)
                    yield key, kind, answer

    def _next(self, channel: Channel, waiting: Iterator, selector: selectors.BaseSelector) -> None:
        for key, task in waiting:
            with _or_killed():
                channel.send(encode(task))
            selector.register(channel, selectors.EVENT_READ, (channel, key))
            return

    def close(self) -> None:
        """End every process; what was under way is dropped."""
        for channel in self._drivers:
            channel.close()
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait()
        self._scratch.cleanup()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

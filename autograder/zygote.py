"""The two warm interpreters, one for student code and one for tests.

Each is executed with an empty environment before any course file is opened, imports what a notebook
imports, and forks: once for each job at the start, then once for each submission. It must not run
torch before it forks (no OpenMP threads, no CUDA), only import it.

    python -I -m autograder.zygote student MODULES FD…       serves sandboxed student processes
    python -I -m autograder.zygote grader MODULES FD:FD…     grades, each job with its student FD

Each ends when the socket that it serves is closed at the other end.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import mmap
import os
import resource
import secrets
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from autograder import grader, student
from autograder.alarm import ENDED
from autograder.errors import CourseError, SandboxError, SubmissionError
from autograder.sandbox import (
    UNSAFE,
    Child,
    Limits,
    Room,
    Usage,
    interrupt,
    kill,
    spawn,
    wait,
    watch,
)
from autograder.sandbox import home as homes
from autograder.sandbox.limits import mapped_bytes
from autograder.sheet import Sheet
from autograder.shell import Shell
from autograder.wall import Wall
from autograder.wire import Channel, Closed, WireError, decode, encode

GRADER_MEMORY = 4 * 2**30
WATCH_MS = 250

MAX_HOPELESS = 3
"""Most tests of one submission that are given up because C code in them did not end."""

_PR_SET_PDEATHSIG = 1


def _die_with(parent: int) -> None:
    """Ask the kernel to kill this process when `parent` ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def warm(modules: list[str]) -> Shell:
    """Import what submissions will import, and make the shell; run nothing."""
    import matplotlib.font_manager
    import matplotlib.pyplot

    del matplotlib
    # The first gradient of several rows imports it, with 500 modules, in the time of a cell.
    for name in ("torch.fx.experimental.symbolic_shapes", *modules):
        # A module that the course names and this machine lacks fails in its own cell, with a name.
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    shell = Shell()
    # IPython loads what it shows errors with when the first one comes; here, that is once.
    shell.run("raise ValueError")
    # What is here now stays: a collection in a child must not touch, and so copy, its pages.
    gc.freeze()
    return shell


def _fork_jobs(fds: list[str], serve: Callable[[str], None]) -> None:
    """Fork one server for each job; return when all have ended."""
    me = os.getpid()
    for mine in fds:
        if os.fork() == 0:
            _die_with(me)
            for other in fds:
                if other != mine:
                    for fd in other.split(":"):
                        os.close(int(fd))
            with contextlib.suppress(Closed):
                serve(mine)
            os._exit(0)
    for fd in fds:
        for part in fd.split(":"):
            os.close(int(part))
    for _ in fds:
        os.wait()


# The student side.


def serve_students(shell: Shell, control: Channel, stream: socket.socket) -> None:
    """Start, interrupt and end student processes as the grader asks, one at a time."""
    child: Child | None = None
    asked = select.poll()
    asked.register(stream, select.POLLIN)
    while True:
        while child is not None and child.home is not None and not asked.poll(WATCH_MS):
            watch(child)
        ticket, verb, *rest = decode(control.receive())
        try:
            reply: list = ["done", None]
            if verb == "open":
                if child is not None:  # whoever asked for it was killed before ending it
                    kill(child)
                room, limits, unsafe = rest
                _, fds, _, _ = socket.recv_fds(stream, 1, 1)
                with socket.socket(fileno=fds[0]) as channel:
                    start = spawn_unsafe if unsafe else spawn
                    child = start(
                        Room(
                            readonly=tuple(Path(path) for path in room["readonly"]),
                            files=room["files"],
                        ),
                        Limits(**limits),
                        channel,
                        lambda inside: student.main(shell, inside),
                    )
                reply = ["done", [child.level.name, child.level.caveat, child.pid]]
            elif verb == "interrupt" and child is not None:
                interrupt(child)
            elif verb == "close" and child is not None:
                kill(child)
                usage = wait(child, None)
                child = None
                reply = ["done", _used(usage)]
        except (SandboxError, OSError) as error:
            reply = ["refused", str(error)]
        control.send(encode([ticket, *reply]))


def _used(usage: Usage | None) -> dict[str, float]:
    if usage is None:
        return {}
    return {"cpu_seconds": usage.cpu_seconds, "max_rss_bytes": usage.max_rss_bytes}


def spawn_unsafe(
    room: Room, limits: Limits, channel: socket.socket, main: Callable[[socket.socket], None]
) -> Child:
    """Fork a student process without a sandbox, for a machine that cannot make one.

    It can read what the grading user can read, hidden tests too; only `--unsafe` leads here.
    """
    home = homes.make(as_another_user=False)
    me = os.getpid()
    pid = os.fork()
    if pid:
        return Child(pid, os.pidfd_open(pid), UNSAFE, limits, home)
    try:
        _die_with(me)
        os.setsid()
        os.chdir(home.home)
        for name, data in room.files.items():
            Path(name).write_bytes(data)
        resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds))
        _limit_memory(limits.memory_bytes)
        main(channel)
    finally:
        os._exit(0)


def _waited(process: int | str) -> float:
    """Return for how many seconds its first thread has waited while a processor did other work.

    The kernel's documentation: scheduler/sched-stats.rst. 0 where it does not tell.
    """
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


class RemoteStudent:
    """A student process, started by the zygote at the other end of a socket."""

    def __init__(self, stream: socket.socket, setup: dict[str, Any], files: dict[str, bytes]):
        self._stream = stream
        self._control = Channel(stream)
        room = {"readonly": setup["readonly"], "files": setup["files"]}
        self._request = ["open", room, setup["limits"], setup["unsafe"]]
        self._files = files
        self._wall: Channel | None = None
        self._pid = 0
        self._ticket = ""
        self.level = ""
        """Name of the isolation level that held, once a process was started."""
        self.caveats: list[str] = []

    def open(self) -> Wall:
        """Start a fresh process; return the wall to it."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._send(self._request)
            socket.send_fds(self._stream, [b"."], [theirs.fileno()])
            self.level, caveat, self._pid = self._reply()
            self.caveats = [caveat] if caveat else []
        self._wall = Channel(ours)
        wall = Wall(self._wall, self._interrupt, self._waited)
        if self._files:
            # Over the wall and not through the zygote, whose memory the next student inherits.
            wall.begin(10.0)
            wall.bring(self._files)
        return wall

    def close(self) -> dict[str, float]:
        """End the process and everything in it; return what it used."""
        if self._wall is None:
            return {}
        self._wall.close()
        self._wall, self._pid = None, 0
        self._send(["close"])
        return self._reply() or {}

    def _waited(self) -> float:
        return _waited("self") + _waited(self._pid)

    def _interrupt(self) -> None:
        self._send(["interrupt"])
        self._reply()

    def _send(self, request: list) -> None:
        self._ticket = secrets.token_hex(8)
        self._control.send(encode([self._ticket, *request]))

    def _reply(self) -> Any:
        deadline = time.monotonic() + 60
        while True:
            ticket, kind, value = decode(self._control.receive(deadline))
            if ticket == self._ticket:  # others were for a grader that was killed while it waited
                break
        if kind == "refused":
            raise SandboxError(value)
        return value


# The grader side.


def serve_grader(shell: Shell, driver: Channel, zygote: socket.socket) -> None:
    """Grade one submission after the other, each in a process of its own."""
    setup: dict[str, Any] = decode(driver.receive())
    sheets = {
        name: Sheet.parse(setup["assignment"], name, source, release)
        for name, (source, release) in setup["sheets"].items()
    }
    for sheet in sheets.values():
        sheet.prepare()
    path = setup["misconceptions"]
    misconceptions = grader.load_misconceptions(Path(path) if path else None)
    rules = grader.Rules(**setup["rules"])
    if setup["folder"]:
        os.chdir(setup["folder"])
        sys.path.insert(0, setup["folder"])  # modules that the assignment brings along

    place = mmap.mmap(-1, 4)  # shared with the child: the cell that it is at

    def at(number: int) -> None:
        place[:] = number.to_bytes(4, "little")

    def one(task: dict[str, Any], hopeless: set[int]) -> dict[str, Any]:
        process = RemoteStudent(zygote, setup, task["files"])
        name = task["notebook"]
        graded = grader.grade(
            sheets[name],
            task["data"],
            task["where"],
            secret=setup["secret"],
            student=process,
            shell=shell,
            rules=rules,
            misconceptions=misconceptions,
            caveats=setup["caveats"],
            left_out=task["notes"],
            files=task["files"],
            at=at,
            hopeless=hopeless,
        )
        return {**asdict(graded), "level": process.level}

    while True:
        task = decode(driver.receive())
        hopeless: set[int] = set()
        seconds = rules.total_seconds + 60
        ends = time.monotonic() + 2 * seconds
        # A test that had to be ended with its process is given up, the rest is graded again.
        while True:
            left = min(seconds, ends - time.monotonic())
            answer, code = _in_child(partial(one, task, hopeless), left)
            if code != ENDED or len(hopeless) == MAX_HOPELESS:
                break
            hopeless.add(int.from_bytes(place[:], "little"))
        driver.send(answer)


def _in_child(work: Callable[[], dict[str, Any]], seconds: float) -> tuple[bytes, int]:
    """Run `work` in a limited fork; return its answer, or what went wrong, as a frame.

    Also its exit code, negative for a signal.
    """
    ours, theirs = socket.socketpair()
    me = os.getpid()
    pid = os.fork()
    if pid == 0:
        _die_with(me)
        ours.close()
        # A hostile notebook may cost this submission its grade, never the machine.
        _limit_memory(GRADER_MEMORY)
        Channel(theirs).send(_attempt(work))
        os._exit(0)
    theirs.close()
    try:
        answer = Channel(ours).receive(time.monotonic() + seconds)
    except WireError:
        answer = encode(["crashed", "the grader's process ended or took too long: not graded"])
    finally:
        ours.close()
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    return answer, os.waitstatus_to_exitcode(status)


def _attempt(work: Callable[[], dict[str, Any]]) -> bytes:
    try:
        return encode(["graded", work()])
    except SubmissionError as error:
        return encode(["refused", str(error)])
    except CourseError as error:
        return encode(["failed", str(error)])
    except BaseException as error:
        return encode(["crashed", f"{type(error).__name__}: {error}\n{traceback.format_exc()}"])


def _limit_memory(beyond: int) -> None:
    """Allow this process `beyond` bytes of addresses more than it has."""
    limit = mapped_bytes() + beyond
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(side: str, modules: str, *fds: str) -> None:
    """Be one of the two interpreters until the driver has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    shell = warm([name for name in modules.split(",") if name])

    def serve(fd: str) -> None:
        if side == "student":
            stream = socket.socket(fileno=int(fd))
            serve_students(shell, Channel(stream), stream)
        else:
            driver, zygote = (socket.socket(fileno=int(part)) for part in fd.split(":"))
            shell.redirect()
            serve_grader(shell, Channel(driver), zygote)

    _fork_jobs(list(fds), serve)


if __name__ == "__main__":
    main(*sys.argv[1:])

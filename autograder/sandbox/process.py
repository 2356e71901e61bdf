"""The life of one student's process: fork it into its room, interrupt it, end it, account for it.

The parent is a trusted interpreter with one thread that has opened no course file. The child walks
through the steps below in order; if one fails, it says which and ends, and `main` never runs.
"""

import contextlib
import ctypes
import errno
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath
from typing import NoReturn

from autograder.errors import SandboxError
from autograder.sandbox import kernel, syscalls
from autograder.sandbox import limits as bounds
from autograder.sandbox import room as rooms
from autograder.sandbox.kernel import NOBODY
from autograder.sandbox.limits import Limits
from autograder.sandbox.room import HOME, USER, Room

_NAMESPACES = (
    kernel.CLONE_NEWNS
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWCGROUP
)
_READY = b"ready"


@dataclass(frozen=True)
class Usage:
    """How a student's process ended and what it used, its waited-for children included."""

    exit_code: int | None
    """What it exited with, or None if a signal ended it."""
    signal: int | None
    """The signal that ended it: SIGKILL also when the CPU limit was reached."""
    cpu_seconds: float
    max_rss_bytes: int
    """Largest resident memory of one process; pages shared with the warm interpreter count."""


@dataclass(frozen=True)
class Child:
    """A student's process, as its parent sees it; inside, it is process 1 of its namespace.

    Killing it kills everything that it started, and it is killed when its parent ends.
    """

    pid: int
    pidfd: int
    _ended: list[Usage] = field(default_factory=list, repr=False, compare=False)


@lru_cache(maxsize=1)
def filter_program() -> ctypes.Array[ctypes.c_char]:
    """Return the system call filter, made once."""
    return syscalls.program()


def environment() -> dict[str, str]:
    """Return the whole environment of a student's process."""
    return {
        "PATH": os.path.dirname(sys.executable),
        "HOME": HOME,
        "USER": "student",
        "LANG": "C.UTF-8",
        "TMPDIR": "/tmp",
        "MPLCONFIGDIR": "/tmp/matplotlib",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }


def spawn(room: Room, limits: Limits, channel: socket.socket, main: Callable[..., object]) -> Child:
    """Fork a child into a room and run `main(channel)` there; the child ends when `main` does.

    Returns when the room is closed and `main` is about to start. Raises SandboxError, with the step
    and the mend, if the room cannot be made: `main` has then not run.
    """
    threads = len(os.listdir("/proc/self/task"))
    if threads != 1:
        raise SandboxError(
            f"Only a process with one thread can be forked safely; this has {threads}."
        )
    if channel.fileno() < 3:
        raise SandboxError("The channel must not be one of the standard streams.")
    plan, program = rooms.plan(tuple(room.readonly)), filter_program()
    files = rooms.checked_files(room.files)
    as_root, mapped = kernel.privileged(), bounds.mapped_bytes()
    caller = (os.geteuid(), os.getegid())
    if os.geteuid() == 0 and not as_root and kernel.id_map("uid")[0][1] == "0":
        raise SandboxError(
            "The sandbox will not run a student as root, and this root may not become another user "
            "and mount (it lacks CAP_SYS_ADMIN, CAP_SETUID or CAP_SETGID). Grade as a normal user."
        )
    report, answer = os.pipe2(os.O_CLOEXEC)
    setup = _Setup(plan, program, files, limits, mapped, as_root, caller, answer)
    # Blocked until the child has handlers of its own: none of the parent's may run in it.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = kernel.fork(_NAMESPACES | (0 if as_root else kernel.CLONE_NEWUSER))
        if pid == 0:
            _child(setup, channel, main)
    except OSError as error:
        os.close(report)
        raise SandboxError(_explain("make namespaces", error.errno or 0)) from error
    finally:
        os.close(answer)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    child = Child(pid, os.pidfd_open(pid))
    with os.fdopen(report, "rb") as pipe:
        said = pipe.read()
    if said == _READY:
        return child
    kill(child)
    step, _, number = said.decode(errors="replace").partition("\0")
    raise SandboxError(_explain(step or "start", int(number) if number.isdigit() else 0, number))


def interrupt(child: Child) -> None:
    """Raise KeyboardInterrupt in the student's interpreter, if it still runs.

    Student code may catch it, or wait in C code that never looks: then `kill`.
    """
    _signal(child, signal.SIGINT)


def kill(child: Child) -> None:
    """End the child and everything that it started; they are gone when this returns."""
    _signal(child, signal.SIGKILL)
    wait(child, None)


def wait(child: Child, timeout: float | None) -> Usage | None:
    """Wait up to `timeout` seconds (None: for ever); return what was used, or None if it runs on.

    Once this has returned a Usage it returns the same one again.
    """
    if child._ended:
        return child._ended[0]
    ended = select.poll()  # select(2) cannot watch a descriptor past 1023
    ended.register(child.pidfd, select.POLLIN)
    if not ended.poll(None if timeout is None else timeout * 1000):
        return None
    _, status, used = os.wait4(child.pid, 0)
    os.close(child.pidfd)
    code = os.waitstatus_to_exitcode(status)
    usage = Usage(
        exit_code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        cpu_seconds=used.ru_utime + used.ru_stime,
        max_rss_bytes=used.ru_maxrss * 1024,
    )
    child._ended.append(usage)
    return usage


def _signal(child: Child, number: int) -> None:
    if not child._ended:
        with contextlib.suppress(ProcessLookupError):  # ended, not yet waited for
            signal.pidfd_send_signal(child.pidfd, number)


@dataclass(frozen=True)
class _Setup:
    """What the parent prepared for the child."""

    plan: rooms.Plan
    program: ctypes.Array[ctypes.c_char]
    files: Iterable[tuple[PurePosixPath, bytes]]
    limits: Limits
    mapped: int
    as_root: bool
    caller: tuple[int, int]
    answer: int


def _child(setup: _Setup, channel: socket.socket, main: Callable[..., object]) -> NoReturn:
    """Close the room, say so to the parent, run `main`; never return into the parent's frames."""
    status, step = 1, "start"

    def now(name: str) -> None:
        nonlocal step
        step = name

    try:
        try:
            _close_room(setup, channel.fileno(), now)
        except BaseException as error:
            number = str(error.errno) if isinstance(error, OSError) else repr(error)
            os.write(setup.answer, f"{step}\0{number}".encode())
            return  # type: ignore[misc]  # the `finally` below ends the process
        os.write(setup.answer, _READY)
        os.close(setup.answer)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        main(channel)
        status = 0
    finally:
        os._exit(status)


def _close_room(setup: _Setup, channel: int, step: Callable[[str], None]) -> None:
    step("leave the parent's session, signals and descriptors")
    os.setsid()
    _reset_signals()
    _close_descriptors({channel, setup.answer})
    # Kept open across the change of root, for the maps of the user namespace.
    own = os.open("/proc/self", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    if not setup.as_root:
        step("map the user")
        _map_user(own, *setup.caller)
    owner = NOBODY if setup.as_root else USER
    rooms.build(setup.plan, setup.limits.home_bytes, owner, step)
    step("name the machine")
    kernel.sethostname(b"student")
    if setup.as_root:
        step("become another user")
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # or the maps below would belong to root
        step("make the user namespace")
        kernel.unshare(kernel.CLONE_NEWUSER)
        step("map the user")
        _map_user(own, NOBODY, NOBODY)
    os.close(own)

    step("drop privileges")
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user would clear it
    os.umask(0o022)

    step("copy files into the home")
    os.chdir(HOME)
    rooms.write_files(setup.files)
    os.environ.clear()
    os.environ.update(environment())
    step("set the limits")
    bounds.apply(setup.limits, setup.mapped)
    step("load the system call filter")
    kernel.load_seccomp(setup.program)


def _map_user(own: int, uid: int, gid: int) -> None:
    """Map the student's user and group, and no other, onto `uid` and `gid` outside."""
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{USER} {uid} 1"),
        ("gid_map", f"{USER} {gid} 1"),
    ):
        descriptor = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=own)
        os.write(descriptor, text.encode())
        os.close(descriptor)


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # as Python does: EPIPE is an exception
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # and so is EFBIG


def _close_descriptors(kept: set[int]) -> None:
    """Point the standard streams at /dev/null and close all others but `kept`."""
    null = os.open("/dev/null", os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    low = 3
    for descriptor in sorted(kept):
        os.closerange(low, descriptor)
        low = descriptor + 1
    # close_range(2), in one call, whatever the highest is
    os.closerange(low, 2**31 - 1)


def _explain(step: str, number: int, detail: str = "") -> str:
    """Say in one line which step failed, why, and what mends it."""
    reason = f"{os.strerror(number)} (errno {number})" if number else detail or "it ended"
    return f"The sandbox could not {step}: {reason}. {mend(step, number)}"


def mend(step: str, number: int) -> str:
    """Return the sentence that says how to make the step work on this machine."""
    if number == errno.ENOSYS or (number == errno.EINVAL and "given" in step):
        return "It needs Linux 5.12 or newer."
    if number in (errno.ENOSPC, errno.EUSERS) and "namespace" in step:
        return "Raise the limit: sysctl -w user.max_user_namespaces=16384."
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Give fewer or smaller files, or a larger home_bytes."
    if number == errno.EAGAIN:
        return "Too many processes of this user: raise its limit (ulimit -u)."
    if number in (errno.EPERM, errno.EACCES):
        found = [f"sysctl -w {n}={v}" for n, bad, v in _SWITCHES if _sysctl(n) == bad]
        if found:
            return f"This system forbids user namespaces; as root: {'; '.join(found)}."
        return (
            "This system forbids namespaces (in a container: start it with "
            "--security-opt seccomp=unconfined --security-opt apparmor=unconfined)."
        )
    return "`course doctor` tries each feature that the sandbox needs."


_SWITCHES = (
    ("kernel.unprivileged_userns_clone", "0", "1"),  # Debian's and Arch's patch
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),  # Ubuntu 23.10 and later
    ("user.max_user_namespaces", "0", "16384"),  # RHEL's way to switch them off
)


def _sysctl(name: str) -> str:
    try:
        with open(f"/proc/sys/{name.replace('.', '/')}") as file:
            return file.read().strip()
    except OSError:
        return ""

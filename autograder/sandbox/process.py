"""The life of one student's process: fork it into its room, interrupt it, end it, account for it.

There are two levels of isolation. With namespaces the process sees a machine of its own; where the
kernel refuses those (in most containers), Landlock and a tighter system call filter confine it to
its files and to itself.

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
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NoReturn

from autograder.errors import SandboxError
from autograder.sandbox import cgroups, kernel, landlock, syscalls
from autograder.sandbox import home as homes
from autograder.sandbox import limits as bounds
from autograder.sandbox import room as rooms
from autograder.sandbox.home import Home
from autograder.sandbox.kernel import NOBODY
from autograder.sandbox.limits import Limits
from autograder.sandbox.room import HOME, USER, Room

_NAMESPACES = (
    kernel.CLONE_NEWNS
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
)
KINDS = {
    "user": kernel.CLONE_NEWUSER,
    "mnt": kernel.CLONE_NEWNS,
    "pid": kernel.CLONE_NEWPID,
    "net": kernel.CLONE_NEWNET,
    "ipc": kernel.CLONE_NEWIPC,
    "uts": kernel.CLONE_NEWUTS,
    "cgroup": kernel.CLONE_NEWCGROUP,
}
"""The namespaces of a student's process, by the names that the kernel's limits have for them."""
_READY = b"ready"
# What of /proc a process without namespaces may read: about itself, nothing of the machine.
_OWN_PROC = tuple(f"/proc/self/{name}" for name in ("fd", "maps", "stat", "statm", "status"))


@dataclass(frozen=True)
class Level:
    """How far a student's process is from the machine."""

    name: str
    lacks: tuple[str, ...] = ()
    """What the strongest level gives and this one does not."""

    @property
    def caveat(self) -> str:
        """What a report says where this level held: nothing for the strongest."""
        return f"isolated by {self.name} alone: {'; '.join(self.lacks)}" if self.lacks else ""


NAMESPACES = Level("namespaces")
LANDLOCK = Level(
    "landlock",
    (
        "student code can ask for names, sizes and times of the machine's files, not for what is "
        "in them",
        "it may write to its home and where tempfile does, not to /tmp by name",
        "it can start no other process, so subprocess and multiprocessing fail",
        "the size of its home is measured four times a second, without files that it deleted while "
        "they were open",
    ),
)
UNSAFE = Level("none")
"""No isolation, where that was asked for; `autograder.caveats` has the words for it."""

LEVELS = (NAMESPACES, LANDLOCK)
"""From the strongest down; `spawn` takes the first that works."""


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
    """A student's process, as its parent sees it.

    With namespaces it is process 1 of its own, without them it is the only one that it has.

    Killing it kills everything that it started, and it is killed when its parent ends.
    """

    pid: int
    pidfd: int
    level: Level
    limits: Limits
    home: Home | None = None
    """Its folders, where it has no file system of its own."""
    group: cgroups.Group | None = None
    """Its control group, where this machine lets us make one."""
    _ended: list[Usage] = field(default_factory=list, repr=False, compare=False)


@lru_cache(maxsize=2)
def filter_program(*, alone: bool = False) -> ctypes.Array[ctypes.c_char]:
    """Return the system call filter, made once."""
    return syscalls.program(alone=alone)


def environment(home: str = HOME, tmp: str = "/tmp") -> dict[str, str]:
    """Return the whole environment of a student's process."""
    return {
        "PATH": os.path.dirname(sys.executable),
        "HOME": home,
        "USER": "student",
        "LANG": "C.UTF-8",
        "TMPDIR": tmp,
        "MPLCONFIGDIR": f"{tmp}/matplotlib",
        "PYTHONDONTWRITEBYTECODE": "1",
        "NBGRADER_EXECUTION": "autograde",  # nbgrader's word to notebooks that leave slow cells out
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }


def spawn(
    room: Room,
    limits: Limits,
    channel: socket.socket,
    main: Callable[..., object],
    levels: tuple[Level, ...] | None = None,
) -> Child:
    """Fork a child into a room and run `main(channel)` there; the child ends when `main` does.

    The room is of the first of `levels` (default: `LEVELS`) that works on this machine. Returns
    when it is closed and `main` is about to start. Raises SandboxError, with the step and the mend,
    if it cannot be made: `main` has then not run.
    """
    threads = len(os.listdir("/proc/self/task"))
    if threads != 1:
        raise SandboxError(
            f"Only a process with one thread can be forked safely; this has {threads}."
        )
    if channel.fileno() < 3:
        raise SandboxError("The channel must not be one of the standard streams.")
    plan, files = rooms.plan(tuple(room.readonly)), rooms.checked_files(room.files)
    level = strongest(LEVELS if levels is None else levels)
    caller, as_root = (os.geteuid(), os.getegid()), False
    home, version, namespaces, closed = None, landlock.abi(), 0, False
    program = filter_program(alone=level == LANDLOCK)
    if level == NAMESPACES:
        as_root = kernel.privileged()
        if os.geteuid() == 0 and not as_root and kernel.id_map("uid")[0][1] == "0":
            raise SandboxError(
                "The sandbox will not run a student as root, and this root may not become another "
                "user and mount (it lacks CAP_SYS_ADMIN, CAP_SETUID or CAP_SETGID). "
                "Grade as a normal user."
            )
        namespaces = _NAMESPACES | (0 if as_root else kernel.CLONE_NEWUSER)
    elif not version:
        raise SandboxError(
            "This kernel has no Landlock, which would confine a student where namespaces are "
            "refused. It needs Linux 5.13 or newer, started with landlock among its lsm=."
        )
    else:
        home = homes.make()
        closed = home.user is not None and not rooms.open_to_all(plan)
        if closed and not kernel.may_read_all():
            homes.remove(home)
            raise SandboxError(_explain("reach what is given", errno.EACCES))
    mapped = bounds.mapped_bytes()
    group = cgroups.make(bounds.together(limits, mapped), limits.processes)
    report, answer = os.pipe2(os.O_CLOEXEC)
    setup = _Setup(
        plan,
        program,
        files,
        limits,
        mapped,
        as_root,
        caller,
        answer,
        os.getpid(),
        version,
        home,
        closed,
        group,
    )
    # Blocked until the child has handlers of its own: none of the parent's may run in it.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = kernel.fork(namespaces)
        if pid == 0:
            _child(setup, channel, main)
    except OSError as error:
        os.close(report)
        if home is not None:
            homes.remove(home)
        if group is not None:
            cgroups.remove(group)
        raise SandboxError(_explain("make namespaces", error.errno or 0)) from error
    finally:
        os.close(answer)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    child = Child(pid, os.pidfd_open(pid), level, limits, home, group)
    with os.fdopen(report, "rb") as pipe:
        said = pipe.read()
    if said == _READY:
        return child
    kill(child)
    step, _, number = said.decode(errors="replace").partition("\0")
    raise SandboxError(_explain(step or "start", int(number) if number.isdigit() else 0, number))


@lru_cache(maxsize=4)
def strongest(levels: tuple[Level, ...]) -> Level:
    """Return the first level that works here, tried once; the last one is for `spawn` to try.

    Raises SandboxError with every reason if none does.
    """
    reasons = []
    for level in levels:
        if len(levels) == 1:
            return level
        ours, theirs = socket.socketpair()
        with ours, theirs:
            try:
                wait(spawn(Room(), Limits(), theirs, lambda _: None, (level,)), None)
            except SandboxError as error:
                reasons.append(str(error))
                continue
        return level
    raise SandboxError(" ".join(reasons))


def watch(child: Child) -> None:
    """Kill the child if it takes more than it may of what the kernel does not bound for it.

    To be called now and then while it lives, at least if it has a `home`.
    """
    if child.home is None or child._ended:
        return
    if _threads(child.pid) > child.limits.processes or homes.exceeds(
        child.home, child.limits.home_bytes
    ):
        kill(child)


def _threads(pid: int) -> int:
    # Not yet waited for, so the number is still this process's.
    about = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    return int(about.split()[17])


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
    if child.home is not None:
        homes.remove(child.home)
    if child.group is not None:
        cgroups.remove(child.group)
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
    parent: int
    landlock: int
    """Landlock's version, 0 for none."""
    home: Home | None
    closed: bool
    """Whether what is given lies where the student's user may not go, and Landlock alone decides
    what it can read."""
    group: cgroups.Group | None


def _child(setup: _Setup, channel: socket.socket, main: Callable[..., object]) -> NoReturn:
    """Close the room, say so to the parent, run `main`; never return into the parent's frames."""
    status, step = 1, "start"

    def now(name: str) -> None:
        nonlocal step
        step = name

    try:
        try:
            if setup.group is not None:
                now("enter its control group")
                cgroups.enter(setup.group)
            close = _close_room if setup.home is None else _close_alone
            close(setup, channel.fileno(), now)
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
    step("make namespaces")
    kernel.unshare(kernel.CLONE_NEWCGROUP)  # not by the fork: its root is the group that one is in
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
    kernel.drop_bounding_set()
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user would clear it
    os.umask(0o022)

    step("copy files into the home")
    os.chdir(HOME)
    rooms.write_files(setup.files, Path(HOME))
    _clean_environment(environment())
    if setup.landlock:
        step("restrict files with Landlock")  # a second wall: the mounts say the same
        landlock.restrict(
            [
                ("/", landlock.READ_AND_EXECUTE),
                *((folder, landlock.OWN_AND_LOCAL) for folder in (HOME, "/tmp")),
                *((f"/dev/{name}", landlock.DEVICE) for name in rooms.DEVICES),
            ],
            setup.landlock,
        )
    step("set the limits")
    bounds.apply(setup.limits, setup.mapped)
    step("load the system call filter")
    kernel.load_seccomp(setup.program)


def _close_alone(setup: _Setup, channel: int, step: Callable[[str], None]) -> None:
    """Confine this process where it is: no namespace, but no way to any file or process."""
    step("leave the parent's session, signals and descriptors")
    os.setsid()
    _reset_signals()
    _close_descriptors({channel, setup.answer})
    home, user, limits = setup.home, None, setup.limits
    assert home is not None
    step("become another user")
    if (user := home.user) is not None:
        kernel.prctl(kernel.PR_SET_KEEPCAPS, int(setup.closed))
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    else:
        # The limit counts every thread of this user: room for those of others. `watch` is exact.
        running = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
        limits = replace(limits, processes=running + 16 * limits.processes)
    step("drop privileges")
    kernel.drop_capabilities(kernel.READ_ALL if setup.closed else 0)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user would clear it
    if os.getppid() != setup.parent:
        raise ProcessLookupError(errno.ESRCH, "the parent has ended")
    os.umask(0o022)

    step("copy files into the home")
    if sum(len(content) for _, content in setup.files) > limits.home_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.chdir(home.home)
    rooms.write_files(setup.files, home.home)
    _clean_environment(environment(str(home.home), str(home.tmp)))
    step("reach what is given")
    given = [(path, landlock.READ) for path in (*setup.plan.binds, *_OWN_PROC)]
    given += [(str(folder), landlock.OWN) for folder in (home.home, home.tmp)]
    given += [(f"/dev/{name}", landlock.DEVICE) for name in rooms.DEVICES]
    landlock.restrict(given, setup.landlock)
    step("set the limits")
    bounds.apply(limits, setup.mapped)
    step("load the system call filter")
    kernel.load_seccomp(syscalls.for_process(setup.program, os.getpid()))


def _clean_environment(only: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(only)
    tempfile.tempdir = None  # the warm interpreter may have asked for its own


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


def try_namespace(kind: str) -> None:
    """Make a namespace of this kind (one of `KINDS`) as the sandbox would, or raise OSError."""
    pid = kernel.fork(KINDS[kind] | (0 if kernel.privileged() else kernel.CLONE_NEWUSER))
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _refused_kinds() -> list[str]:
    refused = []
    for kind in KINDS:  # a limit may stand where this process cannot read it
        try:
            try_namespace(kind)
        except OSError:
            refused.append(kind)
            if kind == "user":  # which each of the others may need
                break
    return refused


def mend(step: str, number: int) -> str:
    """Return the sentence that says how to make the step work on this machine."""
    if number == errno.ENOSYS or (number == errno.EINVAL and "given" in step):
        return "It needs Linux 5.12 or newer."
    if number in (errno.ENOSPC, errno.EUSERS) and "namespace" in step:
        raised = [f"sysctl -w user.max_{kind}_namespaces=16384" for kind in _refused_kinds()]
        return f"Raise the limit: {'; '.join(raised) or 'sysctl -a | grep _namespaces'}."
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Give fewer or smaller files, or a larger home_bytes."
    if step == "reach what is given":
        return (
            "Another user cannot reach the interpreter or a package: put them where everybody can "
            "(not into a home that is closed to others), or grade as the user who owns them."
        )
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

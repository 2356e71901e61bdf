"""A control group for one student's process: bounds on all that comes of it, together.

rlimits bound the memory of each process by itself; a group also counts what many processes take
together, what lies in their tmpfs and what the kernel keeps for them. And to the scheduler a group
is one: fifty busy processes of one submission take no more from others than one. A group is made
where this process may make one: as root, or where an administrator or systemd delegated that to its
user. Where it may not, rlimits are all there is, and nothing fails.

The kernel's documentation: admin-guide/cgroup-v1/{cgroups,memory,pids}.rst, cgroup-v2.rst, and
scheduler/sched-bwc.rst. While a group is in use its maker holds a lock on it; one without a lock
was left by a run that was killed.
"""

import contextlib
import os
import re
import secrets
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from autograder.sandbox.locks import locked

_PREFIX = "course-student-"
_NEEDED = frozenset({"memory", "pids"})
_WANTED = _NEEDED | {"cpu"}
_PERIOD_US = 100_000  # the kernel's default; as much again of CPU time in each is one core


@dataclass(frozen=True)
class Place:
    """A group of the machine beneath which this process may make others."""

    folder: Path
    version: int
    bounds: frozenset[str]
    """What groups made here bound: some of "cpu", "memory" and "pids"."""


@dataclass(frozen=True)
class Group:
    """One student's group: a folder in each hierarchy that it takes, with a lock on it."""

    folders: tuple[tuple[Place, Path, int], ...]


def make(memory_bytes: int, processes: int) -> Group | None:
    """Make a fresh group that no process is in, or return None where none can be made.

    `memory_bytes` counts pages that its processes were the first to touch; `processes` counts
    threads too. All of them together get one core, which is what a job of grading has.
    """
    made = []
    for place in places()[0]:
        with contextlib.suppress(OSError):
            made.append((place, *_new(place, memory_bytes, processes)))
    return Group(tuple(made)) if made else None


def enter(group: Group) -> None:
    """Put this process, which has one thread, into the group; what it starts will be there too."""
    for place, _, lock in group.folders:
        # In version 1 a thread that moves itself alone does not wait for the rest of the machine.
        name = "tasks" if place.version == 1 else "cgroup.procs"
        with contextlib.suppress(OSError):
            _write(lock, name, "0")


def holding(group: Group, pid: int) -> frozenset[str]:
    """Return what the group bounds for the process `pid`, by the kernel's own lists."""
    return frozenset().union(*(p.bounds for p, _, lock in group.folders if pid in _inside(lock)))


def remove(group: Group) -> None:
    """Remove the group, with whatever still runs in it."""
    for _, folder, lock in group.folders:
        _remove(folder, lock)


def _new(place: Place, memory_bytes: int, processes: int) -> tuple[Path, int]:
    lock = None
    while lock is None:  # taken for a left one and removed, between the two calls
        folder = place.folder / f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        folder.mkdir(0o755)
        lock = locked(folder)
    try:
        if "cpu" in place.bounds:
            quota, amount = _CPU_FILES[place.version]
            with contextlib.suppress(FileNotFoundError):  # a kernel without it shares by group
                _write(lock, quota, amount)
        if "pids" in place.bounds:
            _write(lock, "pids.max", str(processes))
        if "memory" in place.bounds:
            limit, with_swap, amount = _MEMORY_FILES[place.version]
            _write(lock, limit, str(memory_bytes))
            with contextlib.suppress(FileNotFoundError):  # a kernel that does not count swap
                _write(lock, with_swap, amount or str(memory_bytes))
            with contextlib.suppress(FileNotFoundError):  # version 1 ends one process, as it likes
                _write(lock, "memory.oom.group", "1")
    except OSError:
        _remove(folder, lock)
        raise
    return folder, lock


_CPU_FILES = {
    1: ("cpu.cfs_quota_us", str(_PERIOD_US)),
    2: ("cpu.max", f"{_PERIOD_US} {_PERIOD_US}"),
}
# Of each version: the limit's file, and the file by which none of it goes to swap.
_MEMORY_FILES = {
    1: ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", ""),
    2: ("memory.max", "memory.swap.max", "0"),
}


@lru_cache(maxsize=1)
def places() -> tuple[tuple[Place, ...], str]:
    """Return where this process may make groups, and why nowhere for the rest ("" for no reason).

    Each place is tried; what killed runs left there is removed. That no group bounds "cpu" needs no
    reason: time limits do without (`autograder.wall`).
    """
    found: list[Place] = []
    refused = "the kernel or this container shows no hierarchy with memory and pids"
    for folder, version, every in _hierarchies():
        for bounds in filter(None, dict.fromkeys((every, every & _NEEDED))):
            try:
                place = Place(_inner(folder, bounds) if version == 2 else folder, version, bounds)
                _remove(*_new(place, 2**30, 64))
            except OSError as error:
                if bounds & _NEEDED:
                    refused = f"{error.filename or folder}: {error.strerror}"
                continue
            found.append(place)
            _sweep(place)
            break
    bounded = frozenset().union(*(place.bounds for place in found))
    return tuple(found), "" if bounded >= _NEEDED else refused


def _hierarchies() -> Iterator[tuple[Path, int, frozenset[str]]]:
    """Yield this process's own group in each hierarchy that bounds something of what is wanted."""
    paths = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        paths.update(dict.fromkeys(controllers.split(","), path))  # "" is version 2's
    left = _WANTED
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mounted, _, kind = line.partition(" - ")
        root, point = (_unescaped(part) for part in mounted.split()[3:5])
        system, _, options = kind.split(maxsplit=2)
        if system == "cgroup":
            bounds, version = left & set(options.split(",")) & set(paths), 1
        elif system == "cgroup2" and "" in paths:
            bounds, version = left, 2
        else:
            continue
        path = paths[next(iter(bounds)) if version == 1 else ""] if bounds else ""
        if not bounds or not Path(path).is_relative_to(root):
            continue
        folder = Path(point, Path(path).relative_to(root))
        if version == 2:
            bounds &= _words(folder / "cgroup.controllers")
        if bounds:
            left -= bounds
            yield folder, version, bounds


def _unescaped(text: str) -> str:
    return re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), text)


def _words(path: Path) -> frozenset[str]:
    with contextlib.suppress(OSError):
        return frozenset(path.read_text().split())
    return frozenset()


def _inner(own: Path, bounds: frozenset[str]) -> Path:
    """Return the nearest group above `own`, or itself, whose children can have these bounds.

    In version 2 a group holds either processes or bounded groups, the root of all excepted. So with
    systemd it is the slice around the scope or session that grading runs in. Nobody's processes
    are moved. Raises OSError if none may be used.
    """
    refused = OSError(None, "holds processes, and nothing above it may be used", str(own))
    for folder in (own, *own.parents):
        if not bounds <= _words(folder / "cgroup.controllers"):
            break
        if (folder / "cgroup.type").exists() and _words(folder / "cgroup.procs"):
            continue
        try:
            if not bounds <= _words(folder / "cgroup.subtree_control"):
                text = " ".join(f"+{name}" for name in sorted(bounds))
                (folder / "cgroup.subtree_control").write_text(text)
            if os.access(folder / "cgroup.procs", os.W_OK):  # moving in asks for it here
                return folder
        except OSError as error:
            refused = error
    raise refused


def _sweep(place: Place) -> None:
    for entry in os.scandir(place.folder):
        if entry.name.startswith(_PREFIX):
            lock = locked(Path(entry.path))
            if lock is not None:
                _remove(Path(entry.path), lock)


def _remove(folder: Path, lock: int) -> None:
    # What cannot be removed stays for the next sweep: a grade does not depend on it.
    with contextlib.suppress(OSError):
        for pause in (0.0, 0.001, 0.01, 0.1, 0.5):
            time.sleep(pause)
            try:
                folder.rmdir()
                break
            except OSError:  # something runs in there, or is on its way out
                _kill(lock)
    os.close(lock)


def _kill(lock: int) -> None:
    try:
        _write(lock, "cgroup.kill", "1")  # version 2, since Linux 5.14
    except OSError:
        for pid in _inside(lock):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def _inside(lock: int) -> list[int]:
    with open("cgroup.procs", opener=lambda name, flags: os.open(name, flags, dir_fd=lock)) as file:
        return [pid for pid in map(int, file) if pid]  # 0: in a pid namespace beside this one


def _write(lock: int, name: str, text: str) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=lock)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)

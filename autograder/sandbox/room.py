"""What a student's process can see: the plan of its root directory, and the building of it.

The plan is made by the parent, once for a set of folders, from names alone. The child carries it
out with system calls only: a small tmpfs as root, bind mounts of what is given, a tmpfs of its own
for the home and /tmp, and nothing else.
"""

import os
import stat
import sys
import sysconfig
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath

from autograder.errors import SandboxError
from autograder.sandbox import kernel

HOME = "/home/student"
USER = 1000

# Shared by all distributions that put libraries where the loader looks by default.
_SYSTEM_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
_BITS = (
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/usr/lib/locale",
    "/usr/share/fonts",  # matplotlib in the warm interpreter has listed them already
)
DEVICES = ("null", "zero", "full", "random", "urandom")
_LINKS = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
    "/dev/shm": "/tmp",  # POSIX semaphores and shared memory, within home_bytes
}
_TEXTS = {
    "/etc/passwd": f"student:x:{USER}:{USER}::{HOME}:/bin/false\n",
    "/etc/group": f"student:x:{USER}:\n",
    "/etc/hosts": "127.0.0.1 localhost student\n",
}
_BASE = "/tmp"  # where the new root stands for a moment, in the child's own mount namespace


@dataclass(frozen=True)
class Room:
    """What one submission is given; everything else is absent.

    The parent's memory is inherited by every later child, so what belongs to one student has no
    place here: send it through the channel and let `main` write it.
    """

    readonly: tuple[Path, ...] = ()
    """Folders and files seen at their own paths, read-only, besides what Python itself needs."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Copied into the home before the start; names are relative to it."""


@dataclass(frozen=True)
class Plan:
    """The root directory as lists, in the order in which they are carried out."""

    folders: tuple[str, ...]
    empty_files: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    texts: tuple[tuple[str, str], ...]
    binds: tuple[str, ...]
    devices: tuple[str, ...]


def checked_files(files: Mapping[str, bytes]) -> tuple[tuple[PurePosixPath, bytes], ...]:
    """Return the files with their names as paths; raise SandboxError for one that leaves home."""
    checked = []
    for name, content in files.items():
        path = PurePosixPath(name)
        if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name:
            raise SandboxError(
                f"A file for the student's home is named {name!r}: give a name in it."
            )
        checked.append((path, content))
    return tuple(checked)


def _interpreter() -> Iterable[str]:
    """List what this very interpreter needs to go on importing and to be started again."""
    for prefix in {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}:
        if prefix not in ("/", "/usr", "/usr/local"):
            # Not the whole prefix: <prefix>/etc/jupyter may hold a database's password.
            yield f"{prefix}/lib"
    yield f"{sys.prefix}/pyvenv.cfg"
    yield sys.executable
    yield getattr(sys, "_base_executable", sys.executable)
    yield from (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    yield from (p for p in sys.path if p.endswith(("/site-packages", "/dist-packages")))


def _libraries() -> Iterable[str]:
    """List the shared libraries in use: system folders whole (more may be loaded later)."""
    # The loader's own name, which every executable holds, is often reached through a link.
    yield from ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1")
    with open("/proc/self/maps") as maps:
        names = {line.split(maxsplit=5)[-1].strip() for line in maps if ".so" in line}
    for name in names:
        if name.startswith("/") and os.path.isfile(name):
            folder = os.path.dirname(name)
            yield folder if _below(folder, _SYSTEM_LIBRARIES) else name


def _walk(path: str) -> tuple[dict[str, str], str]:
    """Return the links met on the way to `path`, and the path without links."""
    links: dict[str, str] = {}
    here, rest = "/", [part for part in path.split("/") if part]
    while rest:
        part = rest.pop(0)
        if part == "..":
            here = os.path.dirname(here)
            continue
        step = os.path.join(here, part)
        if part != "." and os.path.islink(step):
            if len(links) > 40:
                raise SandboxError(f"{path} goes through too many links.")
            links[step] = os.readlink(step)
            if links[step].startswith("/"):
                here = "/"
            rest = [p for p in links[step].split("/") if p] + rest
        elif part != ".":
            here = step
    return links, here


def _below(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


@lru_cache(maxsize=8)
def plan(readonly: tuple[Path, ...]) -> Plan:
    """Plan the root directory for these folders and files; raise SandboxError if one is missing."""
    wanted = [p for p in (*_interpreter(), *_libraries(), *_BITS) if p and os.path.exists(p)]
    for given in readonly:
        if not given.is_absolute() or not given.exists():
            raise SandboxError(f"{given} is to be seen by students but is not there.")
        if given.resolve() == Path("/"):
            raise SandboxError("The whole file system cannot be given to students.")
        wanted.append(str(given))

    links: dict[str, str] = {}
    binds: list[str] = []
    for path in wanted:
        met, real = _walk(path)
        links.update(met)
        binds.append(real)
    binds = sorted(set(binds))
    binds = [b for b in binds if not _below(b, (o for o in binds if o != b and os.path.isdir(o)))]

    texts = {n: t for n, t in _TEXTS.items() if not _below(n, binds)}
    devices = [f"/dev/{name}" for name in DEVICES]
    shown = {n: t for n, t in {**_LINKS, **links}.items() if not _below(n, binds)}
    files = [b for b in binds if not os.path.isdir(b)] + devices
    places = {"/proc"} | {b for b in binds if os.path.isdir(b)}
    folders = {str(parent) for p in (*places, *files, *texts, *shown) for parent in Path(p).parents}
    return Plan(
        folders=tuple(
            sorted((folders | places) - {"/", "/tmp", HOME, *map(str, Path(HOME).parents)})
        ),
        empty_files=tuple(files),
        links=tuple(shown.items()),
        texts=tuple(texts.items()),
        binds=tuple(binds),
        devices=tuple(devices),
    )


@lru_cache(maxsize=8)
def open_to_all(plan: Plan) -> bool:
    """Say whether every user may reach and read what the plan gives."""
    for path in plan.binds:
        mode = os.stat(path).st_mode
        reading = 0o005 if stat.S_ISDIR(mode) else 0o004
        above = (os.stat(parent).st_mode for parent in Path(path).parents)
        if mode & reading != reading or not all(mode & 0o001 for mode in above):
            return False
    return True


def _place(tree: int, target: str, attributes: int) -> None:
    kernel.restrict_mount(tree, attributes)
    kernel.move_mount(tree, target)
    os.close(tree)


def build(plan: Plan, home_bytes: int, owner: int, step: Callable[[str], None]) -> None:
    """Build the planned root and make it the root of this mount namespace.

    `owner` is the student's user as this process names it. `step` is told what is about to be done.
    """
    quiet = kernel.MS_NOSUID | kernel.MS_NODEV
    step("keep mounts private")
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    step("open what is given")
    trees = [(path, kernel.open_tree(path)) for path in plan.binds]
    devices = [(path, kernel.open_tree(path)) for path in plan.devices]

    step("mount the root")
    kernel.mount("root", _BASE, "tmpfs", quiet, "mode=755,size=1m,nr_inodes=4096")
    for folder in (*map(str, reversed(Path(HOME).parents[:-1])), HOME, "/tmp"):
        os.mkdir(_BASE + folder, 0o755)
    step("mount the home")
    # One file system for both, so that one size bounds them; 16384 inodes bound empty files.
    kernel.mount(
        "home", _BASE + "/tmp", "tmpfs", quiet, f"mode=755,size={home_bytes},nr_inodes=16384"
    )
    parts = []
    for name, target in (("home", HOME), ("tmp", "/tmp")):
        os.mkdir(f"{_BASE}/tmp/{name}", 0o700)
        os.chown(f"{_BASE}/tmp/{name}", owner, owner)
        parts.append((kernel.open_tree(f"{_BASE}/tmp/{name}"), _BASE + target))
    kernel.detach(_BASE + "/tmp")
    for tree, target in parts:
        kernel.move_mount(tree, target)
        os.close(tree)

    # After the home, since what is given may lie beneath /tmp or /home/student.
    step("lay out the root")
    for folder in plan.folders:
        os.mkdir(_BASE + folder, 0o755)
    for name in plan.empty_files:
        os.close(os.open(_BASE + name, os.O_CREAT | os.O_WRONLY, 0o444))
    for name, text in plan.texts:
        descriptor = os.open(_BASE + name, os.O_CREAT | os.O_WRONLY, 0o444)
        os.write(descriptor, text.encode())
        os.close(descriptor)
    for name, target in plan.links:
        os.symlink(target, _BASE + name)
    step("mount what is given, read-only")
    seen = kernel.MOUNT_ATTR_RDONLY | kernel.MOUNT_ATTR_NOSUID
    for path, tree in trees:
        _place(tree, _BASE + path, seen | kernel.MOUNT_ATTR_NODEV)
    for path, tree in devices:
        _place(tree, _BASE + path, seen)

    step("mount its own /proc")
    flags = quiet | kernel.MS_NOEXEC | kernel.MS_RDONLY
    for options in ("", "subset=pid"):
        try:
            kernel.mount("proc", _BASE + "/proc", "proc", flags, options)
            break
        except PermissionError:
            # A container that hides parts of its own /proc may not mount another: the room then
            # has an empty /proc, which takes nothing away from its walls.
            continue

    step("enter the root")
    os.chdir(_BASE)
    # The old root lies on top of the new one for a moment, and is then taken off: pivot_root(2).
    kernel.pivot_root(".", ".")
    kernel.detach(".")
    os.chdir("/")
    kernel.restrict_mount(-100, kernel.MOUNT_ATTR_RDONLY, "/")


def write_files(files: Iterable[tuple[PurePosixPath, bytes]], home: Path) -> None:
    """Write the checked files into the home, which is empty and holds no link."""
    for path, content in files:
        target = home / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

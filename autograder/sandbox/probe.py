"""Tries each feature that the room needs on this machine, for `course doctor`.

Everything is tried in an interpreter of its own, which plays the warm one: the caller may have
threads, and none of its memory belongs into a child.
"""

import json
import os
import platform
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from autograder.errors import SandboxError
from autograder.sandbox import cgroups, landlock, process
from autograder.sandbox.limits import Limits
from autograder.sandbox.room import Room


@dataclass(frozen=True)
class Check:
    """One feature, tried. `mend` is empty where nothing has to be done."""

    name: str
    ok: bool
    detail: str
    mend: str = ""
    needed: bool = True
    """Whether grading depends on it: on no part of a level, where the other one holds."""


def held() -> process.Level:
    """Return the strongest level that works here; raise SandboxError if none does.

    Tried once, in an interpreter of its own.
    """
    name = _held(*(level.name for level in process.LEVELS))
    return next(level for level in process.LEVELS if level.name == name)


@lru_cache(maxsize=4)
def _held(*names: str) -> str:
    done = _alone("say_level", *names)
    try:
        said = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise SandboxError(f"The sandbox could not be tried: {last}") from None
    if "refused" in said:
        raise SandboxError(said["refused"])
    return said["level"]


def say_level() -> None:
    """Print which of the levels named in the arguments works, as JSON."""
    levels = tuple(level for level in process.LEVELS if level.name in sys.argv[1:])
    try:
        # The whole way, also where there is one level only and `strongest` leaves it to `spawn`.
        ours, theirs = socket.socketpair()
        with ours, theirs:
            child = process.spawn(Room(), Limits(), theirs, lambda _: None, levels)
            process.wait(child, None)
        print(json.dumps({"level": child.level.name}))
    except SandboxError as error:
        print(json.dumps({"refused": str(error)}))


def _alone(function: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call a function of this module in an interpreter of its own."""
    code = f"from autograder.sandbox import probe; probe.{function}()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={"OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def checks() -> list[Check]:
    """Try every feature; raise nothing."""
    done = _alone("main")
    try:
        return [Check(**found) for found in json.loads(done.stdout)]
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return [Check("sandbox", False, f"the trial itself failed: {last}", "Report this.")]


def main() -> None:
    """Print the checks as JSON."""
    print(json.dumps([asdict(check) for check in _tried()]))


def _tried() -> list[Check]:
    found = [_kernel()]
    found.extend(map(_namespace, process.KINDS))
    found.append(_seccomp())
    found.extend(_room())
    found.extend((_landlock(), _cgroups(), _isolation()))
    return found


def _kernel() -> Check:
    release, machine = platform.release(), platform.machine()
    numbers = tuple(int("".join(c for c in p if c.isdigit()) or 0) for p in release.split(".")[:2])
    ok = numbers >= (5, 12) and machine in ("x86_64", "aarch64")
    mend = "" if ok else "Use Linux 5.12 or newer on x86_64 or aarch64."
    return Check("kernel", ok, f"Linux {release} on {machine}", mend, needed=False)


def _namespace(kind: str) -> Check:
    name = f"{_IN_WORDS.get(kind, kind)} namespace"
    try:
        process.try_namespace(kind)
    except OSError as error:
        mend = process.mend("make namespaces", error.errno or 0)
        return Check(name, False, f"{error.strerror} (errno {error.errno})", mend, needed=False)
    return Check(name, True, "made")


_IN_WORDS = {"mnt": "mount", "net": "network"}


def _seccomp() -> Check:
    try:
        program = process.filter_program()
    except SandboxError as error:
        what, _, mend = str(error).partition(". ")
        return Check("seccomp", False, what, mend)
    return Check("seccomp", True, f"a filter of {len(program) // 8} instructions")


def _look(channel: socket.socket) -> None:
    """Report from inside of a room; every line is what the kernel itself says."""
    status: dict[str, str] = {}
    if os.path.exists("/proc/self/status"):
        lines = Path("/proc/self/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    try:
        held: int | str = len(bytearray(10 * 2**30))
    except MemoryError:
        held = "refused"
    seen = {
        "pid": os.getpid(),
        "uid": os.getuid(),
        "root": sorted(os.listdir("/")),
        "status": status,
        "ten_gigabytes": held,
    }
    channel.sendall(json.dumps(seen).encode())


def _room() -> list[Check]:
    """Make a whole room and look around in it."""
    ours, theirs = socket.socketpair()
    try:
        child = process.spawn(Room(), Limits(), theirs, _look, (process.NAMESPACES,))
    except SandboxError as error:
        what, _, mend = str(error).partition(". ")
        return [Check("room", False, what, mend, needed=False)]
    theirs.close()
    if process.wait(child, 20) is None:
        process.kill(child)
        return [Check("room", False, "a room was made, but did not answer", "Report this.")]
    seen = json.loads(ours.recv(1 << 16) or b"{}")
    status: dict[str, str] = seen.get("status", {})
    confined = seen.get("pid") == 1 and seen.get("uid") == 1000 and "usr" in seen.get("root", ())
    found = [Check("room", confined, "made; holds " + " ".join(seen.get("root", ())))]
    if status:
        bare = int(status.get("CapBnd", "1"), 16) == 0 and int(status.get("CapEff", "1"), 16) == 0
        shut = status.get("NoNewPrivs") == "1" and status.get("Seccomp") == "2"
        found.append(Check("privileges", bare and shut, "no capabilities, none to be gained"))
        found.append(Check("proc", True, "a /proc of its own"))
    else:
        found.append(Check("proc", True, "no /proc inside: this container hides parts of its own"))
    limited = seen.get("ten_gigabytes") == "refused"
    found.append(Check("limits", limited, "10 GB are refused" if limited else "10 GB were given"))
    return found


def _landlock() -> Check:
    """Try the second level, which is also the second wall of the first."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        try:
            child = process.spawn(Room(), Limits(), theirs, lambda _: None, (process.LANDLOCK,))
        except SandboxError as error:
            what, _, mend = str(error).partition(". ")
            return Check("landlock", False, what, mend, needed=False)
        process.wait(child, None)
    return Check("landlock", True, f"version {landlock.abi()}: holds where namespaces are refused")


def _isolation() -> Check:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        try:
            child = process.spawn(Room(), Limits(), theirs, lambda _: None)
        except SandboxError as error:
            return Check("isolation", False, "neither level works", str(error))
        process.wait(child, None)
    if child.level == process.NAMESPACES:
        return Check("isolation", True, "level namespaces, the strongest")
    return Check("isolation", True, child.level.caveat)


_WITHOUT_GROUP = {
    "memory": "memory is bounded for each process, not for all of a submission together",
    "pids": "processes are counted for their user, not for each submission",
    "cpu": "a submission's busy processes may take every core",
}


def _cgroups() -> Check:
    """Try whether a student's process is in a group of its own, by the kernel's list."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        try:
            child = process.spawn(Room(), Limits(), theirs, lambda channel: channel.recv(1))
        except SandboxError:
            return Check("cgroups", False, "no room to try them with", needed=False)
        held = cgroups.holding(child.group, child.pid) if child.group is not None else frozenset()
        process.kill(child)
    places, refused = cgroups.places()
    bounded = " and ".join(sorted(held)) or "nothing"
    if refused or not held:
        without = "; ".join(text for name, text in _WITHOUT_GROUP.items() if name not in held)
        mend = (
            f"Without: {without}. With systemd, grade in a scope of your own: "
            "systemd-run --user --scope course grade."
        )
        detail = f"bound {bounded}: {refused or 'entering one is refused'}"
        return Check("cgroups", False, detail, mend, needed=False)
    versions = " and ".join(sorted({str(place.version) for place in places}))
    return Check("cgroups", True, f"version {versions}, bound {bounded} of a submission as a whole")

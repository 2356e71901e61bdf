"""What a student's process can and cannot do, tried on this machine's own kernel.

This file is also the program that plays the warm interpreter: pytest has threads and open files,
which the sandbox must not inherit. Each attack is a function here; it runs inside of a room and,
as a control where that is safe, in a plain fork of the same process, where it must succeed.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import platform
import re
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from autograder.errors import SandboxError
from autograder.sandbox import (
    Limits,
    Room,
    cgroups,
    home,
    interrupt,
    kernel,
    kill,
    landlock,
    limits,
    probe,
    process,
    spawn,
    wait,
    watch,
)

REPOSITORY = Path(__file__).resolve().parent.parent

# ------------------------------------------------------------------------------------------------
# Attacks and honest work: what runs inside. Each returns what it saw.
# ------------------------------------------------------------------------------------------------


def read(path: str) -> str:
    return Path(path).read_text()


def listing(path: str) -> list[str]:
    return sorted(os.listdir(path))


def everything() -> list[str]:
    """Walk the whole tree and return every name, the way a thief would."""
    skipped = ("/proc", sys.prefix, sys.base_prefix, "/usr/lib", "/usr/share")
    found = []
    for folder, folders, files in os.walk("/"):
        folders[:] = [
            f for f in folders if os.path.join(folder, f) not in skipped and f != "site-packages"
        ]
        found += [os.path.join(folder, name) for name in files]
    return found


def write(path: str) -> str:
    Path(path).write_text("x")
    return "written"


def writable(folders: list[str]) -> list[str]:
    """Return in which of the folders, the home and the temporary one a file could be made."""
    places = []
    own = [os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ]
    for folder in (*folders, *own):
        with contextlib.suppress(OSError):
            name = os.path.join(folder, ".try")
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            os.unlink(name)
            places.append(folder)
    return places


def written_anywhere() -> list[str]:
    """Return where a file could be made."""
    places = []
    for folder, folders, _ in os.walk("/"):
        folders[:] = [f for f in folders if os.path.join(folder, f) != "/proc"]
        with contextlib.suppress(OSError):
            name = os.path.join(folder, ".try")
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            os.unlink(name)
            places.append(folder)
    return sorted(places)


def environment() -> dict[str, str]:
    return dict(os.environ)


def descriptors() -> dict[str, str]:
    seen = {}
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one that listdir itself used
            seen[number] = os.readlink(f"/proc/self/fd/{number}")
    return seen


def status() -> dict[str, str]:
    lines = Path("/proc/self/status").read_text().splitlines()
    return {k: v.strip() for k, _, v in (line.partition(":") for line in lines)}


def processes() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit()]


def children_of_parent() -> int:
    """Count the processes, dead ones included, whose parent is this one's parent."""
    count = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            count += int(stat.read_text().rpartition(")")[2].split()[1]) == os.getppid()
    return count


def who() -> dict[str, Any]:
    return {
        "uids": os.getresuid(),
        "gids": os.getresgid(),
        "groups": os.getgroups(),
        "pid": os.getpid(),
        "parent": os.getppid(),
        "session": os.getsid(0),
        "host": os.uname().nodename,
        "cwd": os.getcwd(),
        "umask": os.umask(0o022),
        "home": os.environ.get("HOME"),
    }


def uid_map() -> list[str]:
    return Path("/proc/self/uid_map").read_text().split()


def namespaces() -> dict[str, str]:
    kinds = ("mnt", "pid", "net", "ipc", "uts", "user", "cgroup")
    return {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in kinds}


def interfaces() -> list[str]:
    """Return the network interfaces that are up (from /proc, so without any socket)."""
    routes = Path("/proc/net/route").read_text().splitlines()[1:]
    addresses = Path("/proc/net/if_inet6")
    return routes + (addresses.read_text().splitlines() if addresses.exists() else [])


def connect(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=2):
        return "connected"


def unix_connect(name: str) -> str:
    with socket.socket(socket.AF_UNIX) as link:
        link.connect("\0" + name)
    return "connected"


def allocate(gigabytes: float) -> int:
    return len(bytearray(int(gigabytes * 2**30)))


def torch_allocate(gigabytes: float) -> int:
    import torch

    return torch.ones(int(gigabytes * 2**28)).numel()


def allocate_until_refused(megabytes: int) -> int:
    """Take memory and write to it, up to an amount; return how much it was when it was refused."""
    taken: list[bytes] = []
    try:
        while len(taken) < megabytes:
            taken.append(b"x" * 2**20)
    except MemoryError:
        pass
    return len(taken)


def allocate_together(number: int, megabytes: int) -> int:
    """Have so many processes hold so much each at the same time; return how many came to it."""
    ready, done = os.pipe()
    for _ in range(number):
        if os.fork() == 0:
            held = b"x" * (megabytes * 2**20)
            os.write(done, held[:1])
            time.sleep(60)
            os._exit(0)
    os.close(done)
    os.set_blocking(ready, False)
    came, end = 0, time.monotonic() + 10
    while came < number and time.monotonic() < end:
        with contextlib.suppress(BlockingIOError):
            if not (said := os.read(ready, number)):
                break
            came += len(said)
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(-1, os.WNOHANG) != (0, 0):
                break
        time.sleep(0.01)
    return came


def join_group(paths: list[str]) -> dict[str, Any]:
    """Try to leave the group for one that this process's user may write to."""
    found = {}
    for path in paths:
        try:
            Path(path).write_text("0")
            found[path] = "moved"
        except OSError as error:
            found[path] = errno.errorcode[error.errno or 0]
    return found


def fork_bomb(name: str, seconds: float) -> str:
    """Fork as often as it goes, from every process."""
    kernel._libc.prctl(15, name.encode(), 0, 0, 0)  # PR_SET_NAME, so that it can be counted
    end, first = time.monotonic() + seconds, os.getpid()
    refused = ""
    while time.monotonic() < end:
        try:
            os.fork()
        except OSError as error:
            refused = errno.errorcode[error.errno or 0]
            time.sleep(0.02)
    if os.getpid() == first:
        return refused
    time.sleep(60)
    os._exit(0)


def thread_bomb() -> int:
    go, started = threading.Event(), 0
    try:
        for _ in range(200):
            threading.Thread(target=go.wait, daemon=True).start()
            started += 1
    except RuntimeError:
        pass
    go.set()
    return started


def thread_bomb_that_stays() -> None:
    go = threading.Event()
    for _ in range(100):
        threading.Thread(target=go.wait, args=(20,), daemon=True).start()
    time.sleep(10)


def daemon(name: str) -> str:
    """Leave a process behind that has left the session and whose parent is gone."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            kernel._libc.prctl(15, name.encode(), 0, 0, 0)
            time.sleep(60)
        os._exit(0)
    os.wait()
    time.sleep(0.2)
    return "left"


def own_daemon_and_wait(name: str) -> None:
    daemon(name)
    time.sleep(30)


def named_sleep(name: str) -> None:
    kernel._libc.prctl(15, name.encode(), 0, 0, 0)
    time.sleep(60)


def shout(megabytes: int) -> int:
    block = b"x" * 2**20
    return sum(os.write(1, block) + os.write(2, block) for _ in range(megabytes))


def fill(folder: str, megabytes: int) -> dict[str, Any]:
    """Write files of 8 MB until the disk is full."""
    block, total = b"x" * 2**20, 0
    try:
        for number in range(megabytes // 8):
            with open(f"{folder}/{number}", "wb", buffering=0) as file:
                for _ in range(8):
                    total += file.write(block)
    except OSError as error:
        return {"bytes": total, "errno": errno.errorcode[error.errno or 0]}
    return {"bytes": total, "errno": ""}


def fill_and_stay(megabytes: int) -> None:
    fill(".", megabytes)
    time.sleep(10)


def fill_inodes_and_stay(number: int) -> None:
    for made in range(number):
        os.close(os.open(str(made), os.O_CREAT))
    time.sleep(10)


def deep_and_closed(depth: int) -> int:
    """Leave a tree that is deeper than a path can name, with folders that nobody may enter."""
    Path("beside").mkdir()
    Path("beside/file").touch()
    Path("link").symlink_to("/usr")
    for _ in range(depth):
        os.mkdir("deeper-and-deeper")
        os.mkdir("closed", 0)
        os.chdir("deeper-and-deeper")
    return depth


def fill_inodes(number: int) -> dict[str, Any]:
    made = 0
    try:
        for made in range(number):
            os.close(os.open(f"/tmp/{made}", os.O_CREAT))
    except OSError as error:
        return {"made": made, "errno": errno.errorcode[error.errno or 0]}
    return {"made": made, "errno": ""}


def large_file(megabytes: int) -> int:
    with tempfile.TemporaryFile() as file:
        os.truncate(file.fileno(), megabytes * 2**20)
    return megabytes


def open_many(number: int) -> int:
    return len([os.open("/dev/null", os.O_RDONLY) for _ in range(number)])


def spin() -> None:
    while True:
        pass


def spin_for(seconds: float) -> str:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return "done"


def stretch(seconds: float) -> float:
    """Compute for so many seconds of CPU time; return how many times as long it took."""
    began, started = time.process_time(), time.monotonic()
    while time.process_time() < began + seconds:
        pass
    return (time.monotonic() - started) / seconds


def sleep_until_interrupted() -> str:
    try:
        for _ in range(100):
            time.sleep(0.1)
    except KeyboardInterrupt:
        return "KeyboardInterrupt"
    return "slept on"


def limit_names() -> list[str]:
    own = ["CPU", "AS", "NPROC", "FSIZE", "NOFILE", "CORE", "MSGQUEUE"]
    return [*own, "NICE", "RTPRIO", "SIGPENDING"]


def queue_signals(number: int) -> int:
    """Send signals to oneself that wait; return how many were taken."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN})
    value = ctypes.c_void_p(0)
    for sent in range(number):
        if kernel._libc.sigqueue(os.getpid(), signal.SIGRTMIN, value) != 0:
            return sent
    return number


def reserve_disk(megabytes: int) -> int:
    """Take disk without writing, beyond the size of the file (FALLOC_FL_KEEP_SIZE)."""
    with open("reserved", "w+b") as file:
        big = ctypes.c_long(megabytes * 2**20)
        kernel._checked(kernel._libc.fallocate(file.fileno(), 1, ctypes.c_long(0), big))
        return os.fstat(file.fileno()).st_blocks * 512 // 2**20


def attributes(path: str) -> dict[str, str]:
    return {name: os.getxattr(path, name).decode() for name in os.listxattr(path)}


def raise_limits() -> list[str]:
    refused = []
    for name in limit_names():
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        try:
            resource.setrlimit(kind, (hard, hard + 1))
        except (ValueError, OSError):
            refused.append(name)
    return refused


def outlive() -> int:
    """Try to stay alive when the grader ends (PR_SET_PDEATHSIG 0)."""
    return _raw(lambda: kernel._libc.prctl(1, 0, 0, 0, 0))


def _raw(call: Callable[[], int]) -> int:
    """Return 0 for success or the errno."""
    ctypes.set_errno(0)
    return ctypes.get_errno() if call() < 0 else 0


_NUMBERS = {  # x86_64, aarch64
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "process_vm_readv": (310, 270),
    "io_uring_setup": (425, 425),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "clone3": (435, 435),
    "setns": (308, 268),
    "personality": (135, 92),
    "kexec_load": (246, 104),
    "init_module": (175, 105),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "seccomp": (317, 277),
    "clone": (56, 220),
}
_KILL, _TGKILL = (62, 234) if platform.machine() == "x86_64" else (129, 131)
_COLUMN = {"x86_64": 0, "aarch64": 1}.get(platform.machine(), 0)


def system_call(name: str, *arguments: int) -> int:
    """Make one system call with harmless arguments; return 0 or its errno."""
    libc = kernel._libc
    if name == "mount":
        return _raw(lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None))
    if name == "umount2":
        return _raw(lambda: libc.umount2(b"/nowhere", 0))
    if name == "unshare":
        return _raw(lambda: libc.unshare(arguments[0]))
    if name == "ptrace":
        return _raw(lambda: libc.ptrace(0, 0, 0, 0))  # PTRACE_TRACEME
    if name == "ioctl":
        letter = ctypes.create_string_buffer(b"x")
        return _raw(lambda: libc.ioctl(0, ctypes.c_ulong(arguments[0]), letter))
    if name == "socket":
        return _raw(lambda: libc.socket(arguments[0], 1, 0))
    number = _NUMBERS[name][_COLUMN]
    values = [ctypes.c_long(a) for a in (*arguments, 0, 0, 0, 0, 0)][:5]
    return _raw(lambda: libc.syscall(ctypes.c_long(number), *values))


def own_call_table(names: list[list[Any]]) -> dict[str, int]:
    return {" ".join(map(str, call)): system_call(*call) for call in names}


def clone_with(flag: int) -> int:
    """Fork with a namespace flag; return 0 or the errno."""
    try:
        pid = kernel.fork(flag)
    except OSError as error:
        return error.errno or -1
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return 0


def signal_to(whom: str) -> str:
    """Send the signal 0, which only asks whether one may."""
    pids = {"parent": os.getppid(), "self": os.getpid(), "group": 0, "all": -1, "machine": 1}
    os.kill(pids[whom], 0)
    return "sent"


def signal_through(way: str) -> int:
    """Reach the parent by another call than kill; return 0 or the errno."""
    libc, parent = kernel._libc, os.getppid()
    if way == "tgkill":
        return _raw(lambda: libc.syscall(*map(ctypes.c_long, (_TGKILL, parent, parent, 0))))
    if way == "pidfd":
        return _raw(lambda: libc.syscall(*map(ctypes.c_long, (434, parent, 0))))
    if way == "kill, upper half set":
        return _raw(lambda: libc.syscall(*map(ctypes.c_long, (_KILL, parent | 1 << 32, 0))))
    if way == "owner of a pipe":
        import fcntl

        try:
            fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, parent)
        except OSError as error:
            return error.errno or -1
        return 0
    assert way == "limits"
    return _raw(lambda: libc.prlimit(parent, resource.RLIMIT_CORE, None, None))


def tamper(path: str) -> str:
    """Change what belongs to a file and is not its content."""
    os.chmod(path, 0o600)
    os.utime(path, (0, 0))
    return "done"


def empty_file(path: str, how: str) -> str:
    if how == "truncate":
        os.truncate(path, 0)
    else:
        os.close(os.open(path, os.O_RDONLY | os.O_TRUNC))
    return "emptied"


def reach_by(how: str, path: str) -> str:
    """Read a file by another name."""
    if how == "hard link":
        os.link(path, "name")
        return Path("name").read_text()
    if how == "symbolic link":
        os.symlink(path, "name")
        return Path("name").read_text()
    if how == "/proc/self/root":
        return Path("/proc/self/root" + path).read_text()
    if how == "relative":
        return Path("../" * 20 + path).read_text()
    if how == "descriptor of the folder":
        folder = os.open(os.path.dirname(path), os.O_PATH)
        return os.fdopen(os.open(os.path.basename(path), 0, dir_fd=folder)).read()
    assert how == "rename"
    os.rename(path, "name")
    return Path("name").read_text()


def lease(path: str) -> str:
    """Ask to be told, and the other to wait, when somebody opens the file for writing."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "leased"


def size_of(path: str) -> int:
    return Path(path).stat().st_size


def memory_of(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


def memory_of_parent() -> str:
    return memory_of(os.getppid())


def anonymous_files(megabytes: int) -> int:
    """Take memory that no limit on addresses counts."""
    return sum(os.write(os.memfd_create("x"), b"x" * 2**20) for _ in range(megabytes))


def neighbors() -> list[str]:
    return listing(os.path.dirname(os.path.dirname(os.environ["HOME"])))


def leave_traces() -> str:
    Path("note.txt").write_text("from the first")
    Path(os.environ["TMPDIR"], "note.txt").write_text("from the first")
    with contextlib.suppress(PermissionError):
        Path("/dev/shm/note.txt").write_text("from the first")
    import numpy

    numpy.left_behind = "from the first"  # type: ignore[attr-defined]
    return "left"


def find_traces() -> dict[str, Any]:
    import numpy

    return {
        "home": listing("."),
        "tmp": listing(os.environ["TMPDIR"]),
        "module": getattr(numpy, "left_behind", None),
    }


def search_memory(pieces: list[str]) -> bool:
    """Say whether the joined pieces stand anywhere in this process's memory.

    The pieces are joined in place, byte by byte, so that the search does not find itself.
    """
    wanted = bytearray()
    for piece in pieces:
        wanted += piece.encode()
    own = (ctypes.addressof(ctypes.c_char.from_buffer(wanted)), len(wanted))
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, rights = line.split()[:2]
        if not rights.startswith("rw") or line.endswith(("[vvar]", "[vsyscall]")):
            continue
        start, end = (int(x, 16) for x in span.split("-"))
        memory = (ctypes.c_char * (end - start)).from_address(start)
        view, at = memoryview(memory).cast("B"), 0
        libc_find = kernel._libc.memmem
        libc_find.restype = ctypes.c_void_p
        while at < len(view):
            hit = libc_find(
                ctypes.c_void_p(start + at),
                ctypes.c_size_t(len(view) - at),
                ctypes.c_void_p(own[0]),
                ctypes.c_size_t(own[1]),
            )
            if not hit:
                break
            if hit != own[0]:
                return True
            at = hit - start + 1
    return False


def search_memory_holding(path: str, pieces: list[str]) -> bool:
    held = Path(path).read_text()
    return search_memory(pieces) and len(held) > 0


def numbers() -> dict[str, float]:
    import numpy
    import torch

    x = torch.ones(20, 20, requires_grad=True)
    (x @ x).sum().backward()
    assert x.grad is not None
    m = numpy.ones((40, 40))
    return {"numpy": float((m @ m).sum()), "torch": float(x.grad.sum())}


def figure() -> int:
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots()
    axes.plot([1, 3, 2])
    axes.set_title(r"A curve, $\alpha$")
    fig.savefig("curve.png")
    return Path("curve.png").stat().st_size


def threads() -> int:
    seen: list[int] = []
    started = [threading.Thread(target=seen.append, args=(n,)) for n in range(8)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return sum(seen)


def main_thread_from_another() -> bool:
    """Signal the main thread from another: glibc must know its true thread id."""
    hits: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, _: hits.append(number))
    main = threading.main_thread().ident
    assert main is not None
    other = threading.Thread(target=signal.pthread_kill, args=(main, signal.SIGUSR1))
    other.start()
    other.join()
    time.sleep(0.05)
    return hits == [signal.SIGUSR1]


def temporary() -> str:
    with tempfile.NamedTemporaryFile(dir=None) as file:
        file.write(b"x")
        return os.path.dirname(file.name)


def own_interpreter(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def pool() -> list[int]:
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(2) as workers:
        return workers.map(abs, [-1, -2])


def shell_cell(source: str) -> str:
    from IPython.core.interactiveshell import InteractiveShell

    return repr(InteractiveShell.instance().run_cell(source).result)


def crash() -> None:
    ctypes.string_at(0)


def leave() -> None:
    raise SystemExit(7)


# ------------------------------------------------------------------------------------------------
# The warm interpreter: reads one request a line, answers one line.
# ------------------------------------------------------------------------------------------------


def _answer(channel: socket.socket, name: str, arguments: list[Any]) -> None:
    try:
        said: dict[str, Any] = {"value": globals()[name](*arguments)}
    except Exception as error:
        code = error.errno if isinstance(error, OSError) else None
        said = {"raised": type(error).__name__, "errno": code, "text": str(error)}
    channel.sendall(json.dumps(said).encode())


def _serve_one(asked: dict[str, Any]) -> dict[str, Any]:
    ours, theirs = socket.socketpair()
    with ours:
        room = Room(
            tuple(map(Path, asked.get("readonly", ()))),
            {name: text.encode() for name, text in asked.get("files", {}).items()},
        )
        try:
            child = spawn(
                room,
                Limits(**asked.get("limits", {})),
                theirs,
                lambda channel: _answer(channel, asked["do"], asked["arguments"]),
                _levels(asked),
            )
        except SandboxError as error:
            theirs.close()
            ours.settimeout(1)
            return {"refused": str(error), "said": ours.recv(1 << 20).decode()}
        theirs.close()
        group = child.group
        bounded = cgroups.holding(group, child.pid) if group is not None else frozenset()
        if "interrupt_after" in asked:
            time.sleep(asked["interrupt_after"])
            interrupt(child)
        watched = {}
        if "watch" in asked:
            time.sleep(asked["watch_after"])
            watched["during"] = _named(asked["watch"])
            kill(child)
            watched["after"] = _named(asked["watch"])
        usage, end = None, time.monotonic() + asked.get("timeout", 30)
        while usage is None and time.monotonic() < end:
            watch(child)
            usage = wait(child, 0.1)
        if usage is None:
            kill(child)
            usage = wait(child, 0)
            watched["timed_out"] = True
        assert usage is not None
        ours.setblocking(False)
        text = b""
        with contextlib.suppress(BlockingIOError):
            while piece := ours.recv(1 << 20):
                text += piece
        said = {"level": child.level.name, "usage": vars(usage), **watched}
        said["bounded"] = sorted(bounded)
        return {**json.loads(text or b"{}"), **said}


def _levels(asked: dict[str, Any]) -> tuple[process.Level, ...] | None:
    if asked.get("any_level") == "afresh":
        process.strongest.cache_clear()
    return (process.NAMESPACES, process.LANDLOCK) if "any_level" in asked else None


def _named(name: str) -> int:
    """Count the processes of this machine that carry a name."""
    count = 0
    for comm in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            count += comm.read_text().strip() == name
    return count


def _serve_outside(asked: dict[str, Any]) -> dict[str, Any]:
    """The control: the same function in a plain fork."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            _answer(theirs, asked["do"], asked["arguments"])
        os._exit(0)
    theirs.close()
    with ours:
        text = b""
        while piece := ours.recv(1 << 20):
            text += piece
    _, code = os.waitpid(pid, 0)
    return {**json.loads(text or b"{}"), "code": os.waitstatus_to_exitcode(code)}


def _serve_forbidden(asked: dict[str, Any]) -> dict[str, Any]:
    """Serve one request where the kernel forbids further namespaces of one kind."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        uid, gid = os.getuid(), os.getgid()
        if uid == 0:
            uid = gid = 65534
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
        kernel.unshare(kernel.CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
        Path(f"/proc/sys/user/max_{asked.get('kind', 'user')}_namespaces").write_text("0")
        theirs.sendall(json.dumps(_serve_one(asked)).encode())
        os._exit(0)
    theirs.close()
    with ours:
        said = ours.recv(1 << 20)
    os.waitpid(pid, 0)
    return json.loads(said)


def _serve_beside(asked: dict[str, Any]) -> dict[str, Any]:
    """Serve one request while another room is open."""
    ours, theirs = socket.socketpair()
    other = spawn(Room(), Limits(), theirs, lambda _: time.sleep(30))
    answer = _serve_one(asked)
    answer["other_runs"] = wait(other, 0) is None
    kill(other)
    ours.close()
    theirs.close()
    return answer


def _fifty_busy(channel: socket.socket) -> None:
    for _ in range(50):
        if os.fork() == 0:
            os.setsid()  # or the kernel might share by session
            while True:
                pass
    channel.send(b".")
    channel.recv(1)


def _serve_busy(asked: dict[str, Any]) -> dict[str, Any]:
    """Serve one request while fifty processes of another room are busy."""
    ours, theirs = socket.socketpair()
    make = cgroups.make
    if not asked["grouped"]:
        cgroups.make = lambda memory_bytes, processes: None
    other = spawn(Room(), Limits(), theirs, _fifty_busy)
    ours.recv(1)
    answer = _serve_one(asked)
    cgroups.make = make
    kill(other)
    ours.close()
    theirs.close()
    return answer


def _serve_broken(asked: dict[str, Any]) -> dict[str, Any]:
    """Serve one request with one step made to fail (in the parent's code, before the fork)."""
    owner, name = (
        {
            "kernel": kernel,
            "limits": limits,
            "process": process,
            "landlock": landlock,
            "cgroups": cgroups,
        }[asked["broken"][0]],
        (asked["broken"][1]),
    )

    def fails(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    whole = getattr(owner, name)
    setattr(owner, name, fails)
    try:
        return _serve_one(asked)
    finally:
        setattr(owner, name, whole)


def _serve_places(_: dict[str, Any]) -> dict[str, Any]:
    """Say where this interpreter may make control groups."""
    places, refused = cgroups.places()
    found = {str(place.folder): sorted(place.bounds) for place in places}
    return {"places": found, "refused": refused}


def _become_nobody() -> None:
    """Become a normal user for whom the interpreter is readable, copying nothing.

    The interpreter may lie in a home that is closed to others (0700): its folders are bound to
    their own paths beneath an open stand-in, in a mount namespace of this process.
    """
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    needed = sorted({sys.prefix, os.path.realpath(sys.base_prefix), str(REPOSITORY)}, key=len)
    trees = {path: kernel.open_tree(path) for path in needed}
    covered: set[str] = set()
    for path in needed:
        for folder in reversed(Path(path).parents):
            if not folder.stat().st_mode & 0o001:
                kernel.mount("open", str(folder), "tmpfs", 0, "mode=755")
                covered.add(str(folder))
                break
    for path in needed:
        if any(path.startswith(folder + "/") for folder in covered) and not os.path.exists(path):
            os.makedirs(path)
            kernel.move_mount(trees[path], path)
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)


def _serve() -> None:
    import IPython  # noqa: F401
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot
    import numpy  # noqa: F401
    import torch  # noqa: F401

    ways = {
        "inside": _serve_one,
        "outside": _serve_outside,
        "forbidden": _serve_forbidden,
        "broken": _serve_broken,
        "beside": _serve_beside,
        "busy": _serve_busy,
        "places": _serve_places,
    }
    print(json.dumps({"uid": os.getuid(), "threads": len(os.listdir("/proc/self/task"))}))
    sys.stdout.flush()
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(ways[asked["where"]](asked)), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "become-nobody":
        _become_nobody()
        command = [sys.executable, __file__, "serve", *sys.argv[2:]]
        os.execve(sys.executable, command, dict(os.environ))
    process.LEVELS = tuple(level for level in process.LEVELS if level.name == sys.argv[2])
    home._PARENT = sys.argv[3]
    _serve()
    raise SystemExit

# ------------------------------------------------------------------------------------------------
# The specification.
# ------------------------------------------------------------------------------------------------

import pytest  # noqa: E402  (the warm interpreter has no use for it)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")


class Zygote:
    """The warm interpreter as the tests see it."""

    def __init__(self, way: str, level: str, scratch: Path) -> None:
        self.level, self.scratch = level, scratch
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), way, level, str(scratch)],
            env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLCONFIGDIR": str(scratch)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        about = json.loads(self._line())
        self.uid: int = about["uid"]
        self.threads: int = about["threads"]

    @property
    def alone(self) -> bool:
        """Whether this is the level without namespaces, whose promises differ where this is asked:
        the machine's files and processes are there, and out of reach."""
        return self.level == "landlock"

    @property
    def unseen(self) -> str:
        """What trying to see something of the host ends with."""
        return "PermissionError" if self.alone else "FileNotFoundError"

    def _line(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the warm interpreter has ended"
        return line

    def ask(self, where: str, do: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        self.start(where, do, *arguments, **more)
        return json.loads(self._line())

    def start(self, where: str, do: Callable[..., Any], *arguments: Any, **more: Any) -> None:
        """Ask and do not wait for the answer."""
        asked = {"where": where, "do": do.__name__, "arguments": arguments, **more}
        assert self.process.stdin
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()

    def inside(self, do: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        """Run in a room; return what it returned, or the whole answer if it raised."""
        said = self.ask("inside", do, *arguments, **more)
        return said.get("value", said)

    def outside(self, do: Callable[..., Any], *arguments: Any) -> Any:
        """Run in a plain fork of the same interpreter: the control."""
        said = self.ask("outside", do, *arguments)
        return said.get("value", said)

    def groups(self) -> list[Path]:
        """Return where it makes control groups; skip the test if that is not allowed here."""
        said = self.ask("places", who)
        if said["refused"]:
            pytest.skip(f"no control groups to use here: {said['refused']}")
        return [Path(folder) for folder in said["places"]]

    def left_groups(self) -> list[Path]:
        """Return the groups that it made and that are there now."""
        return self.left_groups_of(self.groups())

    def left_groups_of(self, folders: list[Path]) -> list[Path]:
        """Return those that are there now in these folders; asks it nothing."""
        name = f"course-student-{self.process.pid}-*"
        return [group for folder in folders for group in folder.glob(name)]

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(20)


@pytest.fixture(
    scope="module",
    params=[
        (user, level.name)
        for user in (["root", "nobody"] if os.geteuid() == 0 else ["user"])
        for level in process.LEVELS
    ],
    ids="-".join,
)
def zygote(request: pytest.FixtureRequest) -> Iterator[Zygote]:
    user, level = request.param
    # pytest's own folders are closed to other users
    scratch = Path(tempfile.mkdtemp(prefix="sandbox-"))
    scratch.chmod(0o777)
    made = Zygote("become-nobody" if user == "nobody" else "serve", level, scratch)
    assert made.threads == 1
    assert (made.uid == 0) == (user == "root")
    yield made
    made.close()
    shutil.rmtree(scratch)


@pytest.fixture
def canary() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="canary-"))
    folder.chmod(0o755)
    (folder / "canary.txt").write_text("a secret of the host")
    (folder / "canary.txt").chmod(0o644)
    yield folder / "canary.txt"
    shutil.rmtree(folder)


# --- what can be seen


def test_a_file_of_the_host_is_out_of_sight(zygote: Zygote, canary: Path) -> None:
    assert zygote.outside(read, str(canary)) == "a secret of the host"
    assert zygote.inside(read, str(canary))["raised"] == zygote.unseen


@pytest.mark.parametrize(
    "path",
    [
        str(REPOSITORY / "solutions"),
        str(REPOSITORY / "autograder"),
        str(Path(sys.prefix) / "etc"),
        "/sys",
        "/run",
        "/var",
        "/boot",
        "/mnt",
    ],
)
def test_folders_of_the_host_are_absent(zygote: Zygote, path: str) -> None:
    assert zygote.inside(listing, path)["raised"] == zygote.unseen


def test_the_hosts_users_are_out_of_sight(zygote: Zygote) -> None:
    assert "root:" in zygote.outside(read, "/etc/passwd")
    seen = zygote.inside(read, "/etc/passwd")
    if zygote.alone:
        assert seen["raised"] == zygote.unseen
    else:
        assert seen == "student:x:1000:1000::/home/student:/bin/false\n"
    for name in ("/etc/shadow", "/etc/machine-id", "/etc/hostname"):
        assert zygote.inside(read, name)["raised"] == zygote.unseen


def test_a_walk_over_everything_finds_only_what_was_given(zygote: Zygote, canary: Path) -> None:
    assert str(canary) in zygote.outside(everything)
    found = zygote.inside(everything, files={"data/words.txt": "a b"})
    if zygote.alone:  # the root itself may not be listed
        assert found == []
        assert zygote.inside(listing, ".", files={"data/words.txt": "a b"}) == ["data"]
        return
    assert "/home/student/data/words.txt" in found
    home = str(Path.home())
    fine = (sys.base_prefix, sys.prefix, os.path.realpath(sys.executable))
    strays = [
        f
        for f in found
        if not f.startswith(
            ("/dev/", "/etc/", "/home/student/", "/lib64/", "/usr/lib64/", "/tmp/", *fine)
        )
    ]
    assert strays == []
    assert [f for f in found if f.startswith(home + "/") and not f.startswith(fine)] == []


def test_what_is_given_read_only_can_be_read_at_its_own_path(zygote: Zygote, canary: Path) -> None:
    assert zygote.inside(read, str(canary), readonly=[str(canary.parent)]) == "a secret of the host"
    assert zygote.inside(read, str(canary), readonly=[str(canary)]) == "a secret of the host"


def test_only_home_and_tmp_can_be_written_to(zygote: Zygote, canary: Path) -> None:
    canary.parent.chmod(0o777)
    canary.chmod(0o666)
    assert zygote.outside(write, str(canary)) == "written"
    given = [str(canary.parent)]
    refused = errno.EACCES if zygote.alone else errno.EROFS
    assert zygote.inside(write, str(canary), readonly=given)["errno"] == refused
    others = ["/", "/tmp", "/dev/shm", "/var/tmp", "/run", sys.prefix, str(REPOSITORY), *given]
    if zygote.alone:
        assert zygote.outside(writable, [given[0]])[0] == given[0]
        own = [str(Path(zygote.inside(who)["home"]).parent)]
        assert len(zygote.inside(writable, others + own, readonly=given)) == 2
        return
    places = zygote.inside(written_anywhere, readonly=given)
    assert {"/home/student", "/tmp"} <= set(places)
    assert [p for p in places if not f"{p}/".startswith(("/home/student/", "/tmp/"))] == []


def test_the_environment_is_small_and_clean(zygote: Zygote) -> None:
    env = zygote.inside(environment)
    assert "MPLCONFIGDIR" in env
    assert set(env) <= set(process.environment())
    assert env["NBGRADER_EXECUTION"] == "autograde"  # a notebook may ask, says nbgrader's FAQ
    assert zygote.alone or env["HOME"] == "/home/student"
    assert str(REPOSITORY / "tests") not in json.dumps(env)
    initial = zygote.inside(read, "/proc/self/environ")
    assert initial["errno"] == errno.EACCES  # the process is not dumpable


def test_no_descriptor_but_the_channel_is_left(zygote: Zygote) -> None:
    assert len(zygote.outside(descriptors)) > 4
    seen = zygote.inside(descriptors)
    null = "/dev/null" if zygote.alone else "/null"
    assert [seen.pop(stream) for stream in "012"] == [null] * 3
    assert [target.partition(":")[0] for target in seen.values()] == ["socket"]


# --- who one is


def test_one_is_nobody_in_particular(zygote: Zygote) -> None:
    me = zygote.inside(who)
    assert me["cwd"] == me["home"]
    assert me["umask"] == 0o022
    if zygote.alone:
        # Root's student gets a number that nobody has; a normal user cannot give away another.
        (user,) = set(me["uids"] + me["gids"])
        assert user in home._USERS if zygote.uid == 0 else user == zygote.uid
        assert set(me["groups"]) <= (set() if zygote.uid == 0 else {zygote.uid})
        assert me["session"] == me["pid"]
        return
    outer = 65534 if zygote.uid == 0 else zygote.uid
    assert me["uids"] == me["gids"] == [1000] * 3
    assert set(me["groups"]) <= {1000, 65534}
    assert me["host"] == "student"
    assert zygote.outside(who)["host"] == os.uname().nodename != "student"
    assert me["cwd"] == "/home/student"
    # Seen from inside the namespace, the map names the user outside: never root.
    assert zygote.inside(uid_map) == ["1000", str(outer), "1"]
    assert outer != 0


def test_other_processes_are_out_of_sight(zygote: Zygote) -> None:
    assert len(zygote.outside(processes)) > 1
    assert zygote.outside(memory_of, zygote.process.pid)
    assert zygote.inside(memory_of, zygote.process.pid)["raised"] == zygote.unseen
    if zygote.alone:
        assert zygote.inside(processes)["raised"] == zygote.unseen
        assert zygote.inside(memory_of_parent)["raised"] == zygote.unseen
        return
    assert zygote.inside(processes) == ["1"]
    me = zygote.inside(who)
    assert (me["pid"], me["parent"], me["session"]) == (1, 0, 1)


def test_every_namespace_is_its_own(zygote: Zygote) -> None:
    shared = zygote.outside(namespaces)
    assert all(zygote.outside(namespaces)[kind] == shared[kind] for kind in shared)
    own = zygote.inside(namespaces)
    if zygote.alone:
        assert own == shared  # the host's; what it may do in them is above and below
        return
    assert [kind for kind in shared if own[kind] == shared[kind]] == []


def test_there_are_no_capabilities_and_no_way_to_any(zygote: Zygote) -> None:
    now = zygote.inside(status)
    kinds = ["CapInh", "CapPrm", "CapEff", "CapAmb"]
    if zygote.alone:
        # Where the interpreter lies in a folder that is closed to others, as root's home is, the
        # right to read stays, and Landlock alone decides what.
        kept = kernel.READ_ALL if zygote.uid == 0 and _interpreter_is_closed() else 0
        assert {int(now[kind], 16) for kind in ("CapPrm", "CapEff")} == {kept}
        kinds = ["CapInh", "CapAmb"]
    else:
        kinds.append("CapBnd")
    for kind in kinds:
        assert int(now[kind], 16) == 0, kind
    assert now["NoNewPrivs"] == "1"
    assert now["Seccomp"] == "2"
    assert int(zygote.outside(status)["CapBnd"], 16) != 0
    if zygote.alone:  # no exec, so nothing to regain by it
        assert zygote.inside(own_interpreter, "")["errno"] == errno.EPERM
        return
    child = "print([l for l in open('/proc/self/status') if l.startswith(('CapEff', 'CapBnd'))])"
    assert "1" not in zygote.inside(own_interpreter, child).replace("\\n", "")


def _interpreter_is_closed() -> bool:
    folders = (Path(os.path.realpath(p)) for p in (sys.prefix, sys.base_prefix))
    return any(not p.stat().st_mode & 1 for folder in folders for p in (folder, *folder.parents))


def test_no_network_is_there(zygote: Zygote) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert zygote.outside(connect, port) == "connected"
        assert zygote.inside(connect, port)["errno"] == errno.EPERM
    seen = zygote.inside(interfaces)
    assert seen["raised"] == zygote.unseen if zygote.alone else seen == []


def test_local_sockets_of_the_host_are_out_of_reach(zygote: Zygote) -> None:
    name = f"sandbox-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0" + name)
        server.listen()
        assert zygote.outside(unix_connect, name) == "connected"
        refused = errno.EPERM if zygote.alone else errno.ECONNREFUSED
        assert zygote.inside(unix_connect, name)["errno"] == refused


# --- what one may use


def test_ten_gigabytes_are_a_memory_error(zygote: Zygote) -> None:
    assert zygote.inside(allocate, 10)["raised"] == "MemoryError"
    assert "memory" in zygote.inside(torch_allocate, 10)["text"]
    assert zygote.inside(allocate, 1) == 2**30  # the limit counts from the warm interpreter up


def test_one_process_alone_meets_a_memory_error_first(zygote: Zygote) -> None:
    limit = {"memory_bytes": 256 * 2**20}
    # a little more is what the warm interpreter had mapped and not used
    assert 200 <= zygote.inside(allocate_until_refused, 1000, limits=limit) <= 400


def test_processes_are_bounded_together(zygote: Zygote) -> None:
    groups = zygote.groups()
    if zygote.alone:
        assert {"memory", "pids"} <= set(zygote.ask("inside", who)["bounded"])
        return
    limit = {"memory_bytes": 192 * 2**20, "home_bytes": 2**20}
    assert zygote.inside(allocate_together, 10, 128, limits=limit) < 10
    # Control, and what happens on a machine without groups: each of them is below its own limit.
    broken = ["cgroups", "_new"]
    said = zygote.ask("broken", allocate_together, 10, 128, limits=limit, broken=broken)
    assert (said["value"], said["bounded"]) == (10, [])
    assert groups
    assert not zygote.left_groups()


def test_many_busy_processes_take_no_more_from_others_than_one(zygote: Zygote) -> None:
    zygote.groups()
    if zygote.alone:
        return  # where it starts no process
    if "cpu" not in zygote.ask("inside", who)["bounded"]:
        pytest.skip("no control groups for CPU time to use here")
    control = zygote.ask("busy", stretch, 0.2, grouped=False)["value"]
    assert zygote.ask("busy", stretch, 0.2, grouped=True)["value"] < control / 3


@pytest.fixture(params=[level.name for level in process.LEVELS])
def delegated(request: pytest.FixtureRequest) -> Iterator[Zygote]:
    """The warm interpreter of a normal user to whom groups of its own were delegated."""
    places, refused = cgroups.places()
    if refused or os.geteuid() != 0:
        pytest.skip(f"nobody delegates control groups here: {refused or 'this is not root'}")
    scratch = Path(tempfile.mkdtemp(prefix="sandbox-"))
    scratch.chmod(0o777)
    made = Zygote("become-nobody", request.param, scratch)
    given = [place.folder / f"try-{made.process.pid}" for place in places]
    for folder in given:
        folder.mkdir()
        os.chown(folder, 65534, 65534)
        for name in ("cgroup.procs", "tasks", "cgroup.subtree_control"):
            with contextlib.suppress(FileNotFoundError):
                os.chown(folder / name, 65534, 65534)
        (folder / "cgroup.procs").write_text(str(made.process.pid))
    yield made
    made.close()
    shutil.rmtree(scratch)
    for folder in given:
        for left in folder.glob("course-student-*"):
            left.rmdir()
        folder.rmdir()


def test_a_normal_user_makes_groups_where_they_were_delegated(delegated: Zygote) -> None:
    assert len(delegated.groups()) == len(cgroups.places()[0])
    assert {"memory", "pids"} <= set(delegated.ask("inside", who)["bounded"])
    if delegated.alone:  # exactly, where the rlimit counts what else this user runs
        assert delegated.inside(thread_bomb, limits={"processes": 20}) == 19
    else:
        limit = {"memory_bytes": 192 * 2**20, "home_bytes": 2**20}
        assert delegated.inside(allocate_together, 10, 128, limits=limit) < 10
    assert not delegated.left_groups()


def test_one_cannot_leave_the_group(delegated: Zygote) -> None:
    paths = [str(folder / "cgroup.procs") for folder in delegated.groups()]
    assert set(delegated.outside(join_group, paths).values()) == {"moved"}
    kept = "EACCES" if delegated.alone else "ENOENT"
    assert set(delegated.inside(join_group, paths).values()) == {kept}


def test_a_group_that_a_killed_run_left_is_removed_by_the_next(zygote: Zygote) -> None:
    folders = zygote.groups()
    way, scratch = "serve" if zygote.uid == os.getuid() else "become-nobody", zygote.scratch
    other = Zygote(way, zygote.level, scratch)
    other.start("inside", named_sleep, "grouped")
    assert _until(lambda: _named("grouped") == 1)
    left = other.left_groups_of(folders)
    assert len(left) == len(folders)
    other.process.kill()
    other.process.wait()
    assert _until(lambda: _named("grouped") == 0)
    # Whoever starts next removes what is left: this one, if no other test beside it did already.
    last = Zygote(way, zygote.level, scratch)
    assert last.inside(who)
    last.close()
    assert other.left_groups_of(folders) == []


def test_memory_cannot_be_taken_past_the_limit_in_anonymous_files(zygote: Zygote) -> None:
    assert zygote.outside(anonymous_files, 8) == 8 * 2**20
    assert zygote.inside(anonymous_files, 8)["errno"] == errno.EPERM


def test_a_fork_bomb_is_bounded_and_gone_after_kill(zygote: Zygote) -> None:
    if zygote.alone:
        assert zygote.inside(fork_bomb, "bomb", 0.5) == "EPERM"
        return
    said = zygote.ask(
        "inside",
        fork_bomb,
        "bomb",
        20,
        limits={"processes": 20},
        watch="bomb",
        watch_after=1.5,
    )
    assert 10 <= said["during"] <= 20
    assert said["after"] == 0
    assert said["usage"]["signal"] == signal.SIGKILL
    assert zygote.inside(fork_bomb, "bomb", 0.5, limits={"processes": 5}) == "EAGAIN"


def test_threads_are_bounded_too(zygote: Zygote) -> None:
    assert zygote.outside(thread_bomb) == 200
    if not zygote.alone or zygote.uid == 0:
        assert zygote.inside(thread_bomb, limits={"processes": 20}) == 19
    if zygote.alone:
        # The kernel counts all threads of a normal user together: `watch` counts these.
        said = zygote.ask("inside", thread_bomb_that_stays, limits={"processes": 20})
        if zygote.uid != 0:
            assert said["usage"]["signal"] == signal.SIGKILL


def test_a_daemon_that_left_its_session_dies_with_the_room(zygote: Zygote) -> None:
    if zygote.alone:
        assert zygote.inside(daemon, "left-behind")["errno"] == errno.EPERM
        return
    # Control: it is there as long as the room is; the room ends when `main` returns.
    said = zygote.ask(
        "inside", own_daemon_and_wait, "left-behind", watch="left-behind", watch_after=1.0
    )
    assert said["during"] == 1
    assert said["after"] == 0
    assert zygote.inside(daemon, "left-behind") == "left"
    assert _named("left-behind") == 0


def test_endless_output_harms_nobody(zygote: Zygote) -> None:
    assert zygote.inside(shout, 256) == 512 * 2**20


def test_the_disk_is_full_at_home_bytes(zygote: Zygote) -> None:
    size = 16 * 2**20
    if zygote.alone:  # the kernel bounds single files, `watch` the sum
        for do, amount in ((fill_and_stay, 64), (fill_inodes_and_stay, home.MAX_ENTRIES + 9)):
            said = zygote.ask("inside", do, amount, limits={"home_bytes": size})
            assert said["usage"]["signal"] == signal.SIGKILL
        assert zygote.inside(fill, ".", 8, limits={"home_bytes": size})["errno"] == ""
        return
    for folder in ("/home/student", "/tmp", "/dev/shm"):
        said = zygote.inside(fill, folder, 64, limits={"home_bytes": size})
        assert said["errno"] == "ENOSPC"
        assert said["bytes"] <= size
    said = zygote.inside(fill_inodes, 20_000)
    assert said["errno"] == "ENOSPC"


def test_a_file_may_not_grow_past_file_bytes(zygote: Zygote) -> None:
    assert zygote.outside(large_file, 9) == 9
    limit = {"file_bytes": 8 * 2**20}
    assert zygote.inside(large_file, 9, limits=limit)["errno"] == errno.EFBIG
    assert zygote.inside(large_file, 8, limits=limit) == 8


def test_open_files_are_bounded(zygote: Zygote) -> None:
    assert zygote.outside(open_many, 300) == 300
    assert zygote.inside(open_many, 300)["errno"] == errno.EMFILE


def test_the_cpu_limit_ends_a_spin(zygote: Zygote) -> None:
    said = zygote.ask("inside", spin, limits={"cpu_seconds": 1})
    assert "timed_out" not in said
    assert said["usage"]["signal"] == signal.SIGKILL
    assert 0.8 <= said["usage"]["cpu_seconds"] <= 2.5
    assert zygote.inside(spin_for, 0.5, limits={"cpu_seconds": 3}) == "done"


def test_limits_cannot_be_raised_again(zygote: Zygote) -> None:
    assert zygote.inside(raise_limits) == limit_names()


def test_signals_that_wait_are_bounded(zygote: Zygote) -> None:
    # The kernel counts them for a user: those of a student must not use up those of the grader.
    assert zygote.outside(queue_signals, 2000) == 2000
    assert zygote.inside(queue_signals, 2000) <= 1024


def test_interrupt_is_a_keyboard_interrupt_inside(zygote: Zygote) -> None:
    said = zygote.ask("inside", sleep_until_interrupted, interrupt_after=0.3)
    assert said["value"] == "KeyboardInterrupt"
    assert said["usage"]["exit_code"] == 0


def test_one_cannot_outlive_the_grader_by_asking(zygote: Zygote) -> None:
    assert zygote.outside(outlive) == 0
    assert zygote.inside(outlive) != 0


def test_a_room_ends_with_the_interpreter_that_made_it(zygote: Zygote, tmp_path: Path) -> None:
    way = "serve" if zygote.uid == os.getuid() else "become-nobody"
    scratch = Path(tempfile.mkdtemp(prefix="sandbox-"))
    scratch.chmod(0o777)
    other = Zygote(way, zygote.level, scratch)
    other.start("inside", named_sleep, "orphaned")
    assert _until(lambda: _named("orphaned") == 1)
    other.process.kill()
    other.process.wait()
    assert _until(lambda: _named("orphaned") == 0)
    if zygote.alone:
        # What it left is not removed by whoever is grading now, and is by the next to start.
        assert len(_folders(scratch)) == 1
        last = Zygote(way, zygote.level, scratch)
        assert last.inside(who)
        last.close()
    assert _folders(scratch) == []
    shutil.rmtree(scratch)


def _folders(scratch: Path) -> list[Path]:
    """Return the homes that are left where this interpreter makes them."""
    return list(scratch.glob("course-student-*"))


def _until(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False


# --- the system call filter

_REFUSED: list[list[Any]] = [
    ["mount"],
    ["umount2"],
    ["unshare", kernel.CLONE_NEWUSER],
    ["ptrace"],
    ["ioctl", 0x5412],  # TIOCSTI
    ["ioctl", 0x5412 | 1 << 40],  # the kernel looks at the lower half only
    ["socket", 2],
    ["socket", 16],
    ["socket", 17],
    *(
        [name]
        for name in _NUMBERS
        if name not in ("clone3", "clone", "personality", "init_module", "kexec_load")
    ),
    ["personality", 0xFFFFFFFF],
    ["init_module"],
    ["kexec_load"],
]


def test_dangerous_system_calls_are_refused(zygote: Zygote) -> None:
    answers = zygote.inside(own_call_table, _REFUSED)
    assert {name: errno.errorcode.get(n, n) for name, n in answers.items()} == dict.fromkeys(
        answers, "EPERM"
    )


def test_without_the_filter_the_kernel_would_answer_them(zygote: Zygote) -> None:
    # EPERM is the filter's answer: outside, the same calls get others, or are obeyed.
    calls = [["unshare", kernel.CLONE_NEWUSER], ["ptrace"], ["ioctl", 0x5412], ["socket", 2]]
    calls += [["keyctl"], ["personality", 0xFFFFFFFF], ["process_vm_readv"], ["seccomp"]]
    if zygote.uid == 0:
        calls += [["umount2"], ["bpf"], ["open_tree"], ["setns"], ["chroot"]]
    for call in calls:
        assert zygote.outside(system_call, *call) != errno.EPERM, call


@pytest.mark.parametrize(
    "flag", [f for f in dir(kernel) if f.startswith("CLONE_NEW")], ids=str.lower
)
def test_clone_makes_no_namespace(zygote: Zygote, flag: str) -> None:
    value = getattr(kernel, flag)
    assert zygote.outside(clone_with, value | kernel.CLONE_NEWUSER) == 0
    assert zygote.inside(clone_with, value) == errno.EPERM
    assert zygote.inside(clone_with, 0) == (errno.EPERM if zygote.alone else 0)


def test_clone3_does_not_exist_so_that_glibc_falls_back(zygote: Zygote) -> None:
    assert zygote.inside(system_call, "clone3") == errno.ENOSYS
    assert zygote.inside(threads) == 28


# --- without namespaces, the others are there: each way to them is closed


def test_nobody_can_be_made_to_wait_by_a_lease(zygote: Zygote, canary: Path) -> None:
    """A file that whoever grades owns, as a user's packages are."""
    os.chown(canary, zygote.uid, -1)
    assert zygote.outside(lease, str(canary)) == "leased"
    assert zygote.inside(lease, str(canary), readonly=[str(canary.parent)]) == "ENOSYS"


def test_names_of_homes_that_others_took_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may make a link or a folder in /tmp: neither is followed, entered or removed."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "kept").write_text("kept")
    (tmp_path / "course-student-a").symlink_to(theirs)
    (tmp_path / "course-student-b").mkdir()
    held = os.open(tmp_path / "course-student-b", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    monkeypatch.setattr(home, "_PARENT", str(tmp_path))
    monkeypatch.setattr(home, "_names", lambda: iter([("a", None), ("b", None), ("c", None)]))
    home._sweep.__wrapped__()
    made = home.make()
    assert made.base == tmp_path / "course-student-c"
    with pytest.raises(SandboxError, match="No user is left"):
        home.make()
    home.remove(made)
    os.close(held)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"theirs", "course-student-a", "course-student-b"}
    assert [path.name for path in theirs.iterdir()] == ["kept"]


@pytest.fixture
def alone(zygote: Zygote) -> Zygote:
    if not zygote.alone:
        pytest.skip("with namespaces there is nobody else")
    return zygote


def test_it_can_signal_itself_and_nobody_else(alone: Zygote) -> None:
    assert alone.inside(signal_to, "self") == "sent"
    for whom in ("parent", "group", "all", "machine"):
        assert alone.inside(signal_to, whom)["errno"] == errno.EPERM
    assert alone.outside(signal_to, "parent") == "sent"
    for way in ("tgkill", "pidfd", "kill, upper half set", "owner of a pipe", "limits"):
        assert alone.outside(signal_through, way) == 0, way
        assert alone.inside(signal_through, way) in (errno.EPERM, errno.ENOSYS), way


def test_owner_mode_and_times_of_files_stay(alone: Zygote, canary: Path) -> None:
    # Landlock leaves these to the owner, who is the grading user where that is no root.
    if alone.uid != 0:
        os.chown(canary, alone.uid, alone.uid)
    assert alone.inside(tamper, str(canary), readonly=[str(canary)]) == "done"
    assert canary.stat().st_mode & 0o777 == 0o644
    assert canary.stat().st_mtime > 0
    assert alone.outside(tamper, str(canary)) == "done"
    assert canary.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("how", ["truncate", "open"])
def test_no_file_can_be_emptied(alone: Zygote, canary: Path, how: str) -> None:
    os.chown(canary, alone.uid, alone.uid)
    said = alone.inside(empty_file, str(canary), how, readonly=[str(canary)])
    assert said["errno"] in (errno.EPERM, errno.EACCES, errno.ENOSYS)
    assert canary.read_text() == "a secret of the host"
    assert alone.outside(empty_file, str(canary), how) == "emptied"
    assert canary.read_text() == ""


@pytest.mark.parametrize(
    "how",
    [
        *("hard link", "symbolic link", "/proc/self/root", "relative"),
        *("descriptor of the folder", "rename"),
    ],
)
def test_a_file_is_out_of_reach_by_any_name(alone: Zygote, canary: Path, how: str) -> None:
    canary.parent.chmod(0o777)
    os.chown(canary, alone.uid, alone.uid)
    said = alone.inside(reach_by, how, str(canary))
    assert said["errno"] in (errno.EACCES, errno.EXDEV, errno.EPERM)
    assert canary.read_text() == "a secret of the host"


def test_disk_cannot_be_reserved_past_the_size_of_a_file(alone: Zygote) -> None:
    limit = {"file_bytes": 2**20, "home_bytes": 2**30}
    assert alone.inside(reserve_disk, 100, limits=limit)["errno"] == errno.EOPNOTSUPP
    assert alone.inside(large_file, 2, limits=limit)["errno"] == errno.EFBIG


def test_attributes_of_files_are_out_of_reach(alone: Zygote, canary: Path) -> None:
    try:
        os.setxattr(canary, "user.origin", b"where it is from")
    except OSError as error:
        pytest.skip(f"this file system holds no attributes: {error}")
    assert alone.outside(attributes, str(canary)) == {"user.origin": "where it is from"}
    assert alone.inside(attributes, str(canary))["errno"] == errno.EOPNOTSUPP


def test_sizes_of_files_can_be_asked_for_as_the_level_says(alone: Zygote, canary: Path) -> None:
    assert alone.inside(size_of, str(canary)) == 20
    assert any("sizes" in lack for lack in process.LANDLOCK.lacks)


def test_with_the_first_landlock_it_holds_too() -> None:
    code = (
        "import os, socket, sys; from pathlib import Path\n"
        "from autograder.sandbox import Limits, Room, landlock, process, spawn, wait\n"
        "landlock.abi = lambda: 1\n"
        "process.LEVELS = process.LEVELS[1:]\n"
        "def steal(channel):\n"
        "    for how in (lambda: os.truncate(sys.argv[1], 0), lambda: open(sys.argv[1]),\n"
        "                lambda: os.open(sys.argv[1], os.O_TRUNC), lambda: open('own', 'w')):\n"
        "        try: how(); channel.sendall(b'y')\n"
        "        except OSError: channel.sendall(b'n')\n"
        "ours, theirs = socket.socketpair()\n"
        "wait(spawn(Room(), Limits(), theirs, steal), 20)\n"
        "print(ours.recv(9).decode())"
    )
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"a secret")
        file.flush()
        command = [sys.executable, "-c", code, file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == "nnny\n"
        assert Path(file.name).read_bytes() == b"a secret"


# --- one after the other


def test_two_submissions_share_nothing(zygote: Zygote) -> None:
    untouched = zygote.inside(find_traces)
    assert untouched["home"] == []
    assert zygote.inside(leave_traces, files={"first.txt": "x"}) == "left"
    assert zygote.inside(find_traces) == untouched


def test_two_rooms_at_once_do_not_see_each_other(zygote: Zygote) -> None:
    seen = zygote.ask("beside", processes)
    assert seen["other_runs"] is True
    assert seen["raised"] == zygote.unseen if zygote.alone else seen["value"] == ["1"]
    if zygote.alone:
        assert zygote.ask("beside", neighbors)["raised"] == zygote.unseen
    held = zygote.ask("beside", descriptors)["value"].values()
    null = "/dev/null" if zygote.alone else "/null"
    assert sorted(target.partition(":")[0] for target in held) == [null] * 3 + ["socket"]


def test_nothing_is_left_in_the_parent(zygote: Zygote) -> None:
    before = zygote.outside(descriptors)
    for _ in range(5):
        zygote.inside(who)
        zygote.ask("inside", who, files={"large": "x" * 2**20}, limits={"home_bytes": 2**19})
    assert zygote.outside(descriptors).keys() == before.keys()
    assert zygote.outside(children_of_parent) == 1  # the one that counts
    assert _folders(zygote.scratch) == []


def test_a_tree_that_is_hard_to_remove_is_removed(zygote: Zygote) -> None:
    said = zygote.ask("inside", deep_and_closed, 1500)
    # What cannot be measured counts as too large.
    assert said["usage"]["signal"] in (None, signal.SIGKILL if zygote.alone else None)
    assert _folders(zygote.scratch) == []


def test_what_one_student_holds_is_not_in_the_next_ones_memory(
    zygote: Zygote, canary: Path
) -> None:
    pieces = [secrets.token_hex(8) for _ in range(3)]  # the whole is told to nobody
    canary.write_text("".join(pieces))
    given = [str(canary)]
    # Control: who reads it has it in memory, and the search finds it.
    assert zygote.inside(search_memory_holding, str(canary), pieces, readonly=given) is True
    assert zygote.inside(search_memory, pieces) is False


# --- honest work


def test_numpy_and_torch_compute(zygote: Zygote) -> None:
    assert zygote.inside(numbers) == {"numpy": 64000.0, "torch": 16000.0}


def test_matplotlib_saves_a_figure(zygote: Zygote) -> None:
    assert zygote.inside(figure) > 5000


def test_threads_and_signals_between_them_work(zygote: Zygote) -> None:
    assert zygote.inside(threads) == 28
    assert zygote.inside(main_thread_from_another) is True


def test_temporary_files_work(zygote: Zygote) -> None:
    place = zygote.inside(temporary)
    if zygote.alone:
        assert place.startswith(f"{zygote.scratch}/course-student-")
        assert place.endswith("/tmp")
    else:
        assert place == "/tmp"


def test_its_own_interpreter_can_be_started(zygote: Zygote) -> None:
    code = "import numpy, sys; print(numpy.ones(3).sum(), sys.prefix)"
    if zygote.alone:
        assert zygote.inside(own_interpreter, code)["errno"] == errno.EPERM
        return
    assert zygote.inside(own_interpreter, code) == f"3.0 {sys.prefix}\n"


def test_a_pool_of_processes_works(zygote: Zygote) -> None:
    if zygote.alone:
        assert zygote.inside(pool)["errno"] in (errno.EPERM, errno.EACCES)
        return
    assert zygote.inside(pool) == [1, 2]


def test_an_ipython_cell_runs(zygote: Zygote) -> None:
    assert zygote.inside(shell_cell, "%time 1\nimport scipy.stats\n6 * 7") == "42"


def test_files_for_the_home_arrive(zygote: Zygote) -> None:
    assert zygote.inside(read, "data/words.txt", files={"data/words.txt": "to be"}) == "to be"


# --- how it ends


def test_a_crash_and_an_exit_are_told_apart(zygote: Zygote) -> None:
    assert zygote.ask("inside", crash)["usage"]["signal"] == signal.SIGSEGV
    assert zygote.ask("inside", leave)["usage"]["exit_code"] == 1
    assert zygote.ask("inside", who)["usage"]["exit_code"] == 0


def test_usage_is_measured(zygote: Zygote) -> None:
    used = zygote.ask("inside", spin_for, 0.5)["usage"]
    assert 0.4 <= used["cpu_seconds"] <= 1.5
    assert used["max_rss_bytes"] > 2**20


# --- when the room cannot be made


def test_where_user_namespaces_are_forbidden_the_next_level_holds(zygote: Zygote) -> None:
    if zygote.uid == 0 and _interpreter_is_closed():
        pytest.skip("this request is served as a user who cannot reach the interpreter")
    said = zygote.ask("forbidden", read, "/etc/passwd", any_level=True)
    assert said["level"] == "landlock"
    assert said["raised"] == "PermissionError"
    assert zygote.ask("inside", who, any_level=True)["level"] == "namespaces"
    assert zygote.ask("inside", who)["level"] == zygote.level


@pytest.mark.parametrize("kind", ["user", "pid", "uts"])
def test_where_its_level_is_forbidden_it_refuses_and_says_the_mend(
    zygote: Zygote, kind: str
) -> None:
    if zygote.alone:
        pytest.skip("it needs no namespace")
    said = zygote.ask("forbidden", who, kind=kind)
    assert said["said"] == ""  # main never ran
    assert "make namespaces" in said["refused"]
    assert "errno 28" in said["refused"]
    assert re.findall(r"user\.max_\w+", said["refused"]) == [f"user.max_{kind}_namespaces"]
    assert "\n" not in said["refused"]


def test_with_neither_level_it_refuses_and_says_both_reasons(zygote: Zygote) -> None:
    said = zygote.ask("broken", who, broken=("kernel", "fork"), any_level="afresh")
    assert said["said"] == ""
    assert said["refused"].count("The sandbox could not make namespaces") == 2


_STEPS = {
    "namespaces": [
        (("kernel", "mount"), "keep mounts private"),
        (("kernel", "open_tree"), "open what is given"),
        (("kernel", "pivot_root"), "enter the root"),
        (("kernel", "sethostname"), "name the machine"),
        (("process", "_map_user"), "map the user"),
        (("kernel", "drop_capabilities"), "drop privileges"),
        (("landlock", "restrict"), "restrict files with Landlock"),
        (("limits", "apply"), "set the limits"),
        (("kernel", "load_seccomp"), "load the system call filter"),
    ],
    "landlock": [
        (("kernel", "drop_capabilities"), "drop privileges"),
        (("landlock", "restrict"), "reach what is given"),
        (("limits", "apply"), "set the limits"),
        (("kernel", "load_seccomp"), "load the system call filter"),
    ],
}


def test_a_step_that_fails_is_named_and_main_never_runs(zygote: Zygote) -> None:
    for broken, step in _STEPS[zygote.level]:
        said = zygote.ask("broken", who, broken=broken)
        assert said["said"] == ""
        refused = f"The sandbox could not {step}: Operation not permitted"
        assert said["refused"].startswith(refused)
    assert zygote.ask("inside", who)["level"] == zygote.level  # and the next one is not affected
    assert _folders(zygote.scratch) == []


def test_without_libseccomp_it_refuses_and_says_the_mend() -> None:
    code = (
        "import ctypes.util as u; real = u.find_library\n"
        "u.find_library = lambda name: None if name == 'seccomp' else real(name)\n"
        "import socket\n"
        "from autograder.errors import SandboxError\n"
        "from autograder.sandbox import Limits, Room, spawn\n"
        "try: spawn(Room(), Limits(), socket.socketpair()[0], print)\n"
        "except SandboxError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "libseccomp2" in done.stdout


def test_files_that_do_not_fit_are_refused(zygote: Zygote) -> None:
    said = zygote.ask("inside", who, files={"large": "x" * 2**20}, limits={"home_bytes": 2**19})
    assert "copy files into the home" in said["refused"]
    assert "home_bytes" in said["refused"]


@pytest.mark.parametrize("name", ["../x", "/etc/x", "", "a/../../x", "a\0b", "."])
def test_a_file_name_that_leaves_the_home_is_refused(zygote: Zygote, name: str) -> None:
    said = zygote.ask("inside", who, files={name: "x"})
    assert "give a name in it" in said["refused"]
    assert said["said"] == ""


def test_a_missing_folder_and_the_whole_disk_are_refused(zygote: Zygote) -> None:
    assert "is not there" in zygote.ask("inside", who, readonly=["/no/such"])["refused"]
    assert "cannot be given" in zygote.ask("inside", who, readonly=["/"])["refused"]


def test_a_process_with_threads_is_not_forked() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(SandboxError, match="one thread"):
        spawn(Room(), Limits(), theirs, print)
    stop.set()
    thread.join()


def test_the_doctor_finds_this_machine_fit() -> None:
    from autograder.sandbox import checks

    found = {check.name: check for check in checks()}
    assert {"user namespace", "seccomp", "room", "limits", "landlock", "cgroups"} <= set(found)
    assert [check for check in found.values() if not check.ok] == []


def test_the_doctor_says_what_a_group_that_is_missing_would_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places = (cgroups.Place(Path("/there"), 1, frozenset({"memory"})),)
    monkeypatch.setattr(cgroups, "places", lambda: (places, "pids: refused"))
    monkeypatch.setattr(cgroups, "holding", lambda group, pid: frozenset({"memory"}))
    child = process.Child(0, 0, process.NAMESPACES, Limits(), group=cgroups.Group(()))
    monkeypatch.setattr(process, "spawn", lambda *_: child)
    monkeypatch.setattr(process, "kill", lambda _: None)
    check = probe._cgroups()
    assert not check.ok
    assert "bound memory" in check.detail
    assert "memory is bounded" not in check.mend
    assert "processes are counted" in check.mend

"""The kernel's calls that Python 3.11 has no name for, as thin functions that raise OSError.

Numbers and structures are from the kernel's own headers (include/uapi, arch/*/include/generated).
"""

import ctypes
import os
import platform
import signal

# x86_64 has a table of its own; aarch64 uses the generic one. From 424 on, all tables agree.
_NUMBERS = {
    "x86_64": {"clone": 56, "pivot_root": 155, "capset": 126, "seccomp": 317},
    "aarch64": {"clone": 220, "pivot_root": 41, "capset": 91, "seccomp": 277},
}
_NUMBER = {
    **_NUMBERS.get(platform.machine(), {}),
    "open_tree": 428,
    "move_mount": 429,
    "mount_setattr": 442,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
_CLONE_CHILD_CLEARTID = 0x00200000
_CLONE_CHILD_SETTID = 0x01000000

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_RDONLY = 2, 4, 8, 1
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
MNT_DETACH = 2

MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV = 1, 2, 4

_AT_FDCWD = -100
_AT_EMPTY_PATH, _AT_RECURSIVE = 0x1000, 0x8000
_OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH = 1, 4

# Whom the student is on the machine when root grades. Limits on processes do not hold for root, and
# a way out of the room must not lead to root.
NOBODY = 65534

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS = 1, 4, 8
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
_PR_GET_TID_ADDRESS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 40, 47, 4

# PyDLL keeps the interpreter's lock: a forked child must come back into Python holding it.
_libc = ctypes.PyDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long


def _checked(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def _call(name: str, *arguments: int | ctypes.c_void_p | bytes | None) -> int:
    if name not in _NUMBER:
        raise OSError(38, f"no system call numbers for {platform.machine()}")
    # syscall(2) is variadic: every integer must be passed as wide as a register.
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _checked(_syscall(ctypes.c_long(_NUMBER[name]), *wide))


def _own_tid_address() -> int:
    """Return where glibc keeps this thread's id, or 0 if the kernel cannot say."""
    address = ctypes.c_void_p()
    if _libc.prctl(_PR_GET_TID_ADDRESS, ctypes.byref(address), 0, 0, 0) != 0:
        return 0  # a kernel without CONFIG_CHECKPOINT_RESTORE
    return address.value or 0


def fork(namespaces: int) -> int:
    """Fork into new namespaces in one step: 0 in the child, the child's pid in the parent.

    `os.fork` takes no flags, and a new pid namespace holds only the *next* child, so unshare(2)
    would cost a second fork; of an interpreter with torch loaded that is 8 ms of CPU. Python
    documents PyOS_BeforeFork and its fellows for this use. glibc's own part of a fork is the thread
    id in its thread descriptor, which the kernel writes for us; its lock handlers have nothing to
    do in a process with one thread, which the caller must be.
    """
    flags, address = namespaces | signal.SIGCHLD, _own_tid_address()
    if address:
        flags |= _CLONE_CHILD_SETTID | _CLONE_CHILD_CLEARTID
    # The last two arguments are (child's tid, tls) on x86_64 and the other way round on aarch64.
    tail = (address, 0) if platform.machine() == "x86_64" else (0, address)
    ctypes.pythonapi.PyOS_BeforeFork()
    try:
        pid = _call("clone", flags, 0, 0, *tail)
    except OSError:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
        raise
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    else:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
    return pid


def unshare(namespaces: int) -> None:
    """Put this process into new namespaces."""
    _checked(_libc.unshare(namespaces))


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """mount(2)."""
    encoded = kind.encode() if kind else None
    _checked(
        _libc.mount(
            os.fsencode(source),
            os.fsencode(target),
            encoded,
            ctypes.c_ulong(flags),
            options.encode() or None,
        )
    )


def detach(target: str) -> None:
    """Take a mount out of the tree; it ends when its last user does."""
    _checked(_libc.umount2(os.fsencode(target), MNT_DETACH))


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2)."""
    _call("pivot_root", os.fsencode(new), os.fsencode(old))


def open_tree(path: str) -> int:
    """Return a descriptor of a detached copy of the mounts at and below `path`."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_RECURSIVE
    return _call("open_tree", _AT_FDCWD, os.fsencode(path), flags)


def move_mount(tree: int, target: str) -> None:
    """Attach what `open_tree` returned."""
    _call("move_mount", tree, b"", _AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH)


def restrict_mount(tree: int, attributes: int, path: str = "") -> None:
    """Add attributes (never take any away) to every mount below `tree`, or to the one at `path`.

    Adding is always allowed, so flags that a less privileged namespace may not clear stay set.
    """
    structure = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    where, flags = (path, 0) if path else ("", _AT_EMPTY_PATH | _AT_RECURSIVE)
    pointer = ctypes.cast(structure, ctypes.c_void_p)
    _call("mount_setattr", tree, os.fsencode(where), flags, pointer, ctypes.sizeof(structure))


def sethostname(name: bytes) -> None:
    """Name the machine, in this UTS namespace."""
    _checked(_libc.sethostname(name, len(name)))


def prctl(option: int, value: int = 0) -> None:
    """prctl(2) with one value."""
    _checked(_libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), 0))


def drop_bounding_set() -> None:
    """Empty the set of what could be regained by exec; lowering it takes a capability."""
    for capability in range(64):
        if _libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) != 0:
            if ctypes.get_errno() == 22:  # EINVAL: past the last one that this kernel knows
                break
            _checked(-1)


def drop_capabilities(kept: int = 0) -> None:
    """Empty every set of capabilities but the bounding one; `kept` is a mask of what is kept."""
    _libc.prctl(_PR_CAP_AMBIENT, ctypes.c_ulong(_PR_CAP_AMBIENT_CLEAR_ALL), 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    sets = (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0)  # effective, permitted, inheritable
    _call(
        "capset",
        ctypes.cast(header, ctypes.c_void_p),
        ctypes.cast(sets, ctypes.c_void_p),
    )


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def load_seccomp(program: ctypes.Array[ctypes.c_char]) -> None:
    """Filter this process's system calls with a BPF program (8 bytes an instruction)."""
    described = _Program(len(program) // 8, ctypes.addressof(program))
    pointer = ctypes.cast(ctypes.pointer(described), ctypes.c_void_p)
    _call("seccomp", 1, 0, pointer)  # SECCOMP_SET_MODE_FILTER


def landlock_create_ruleset(attributes: ctypes.c_void_p | None, size: int, flags: int) -> int:
    """landlock_create_ruleset(2): a descriptor, or with flag 1 the version."""
    return _call("landlock_create_ruleset", attributes, size, flags)


def landlock_add_rule(ruleset: int, kind: int, rule: ctypes.c_void_p) -> None:
    """landlock_add_rule(2)."""
    _call("landlock_add_rule", ruleset, kind, rule, 0)


def landlock_restrict_self(ruleset: int) -> None:
    """landlock_restrict_self(2)."""
    _call("landlock_restrict_self", ruleset, 0)


_CAP_CHOWN, _CAP_DAC_OVERRIDE, _CAP_KILL, _CAP_SETGID, _CAP_SETUID = 0, 1, 5, 6, 7
_CAP_SYS_ADMIN, _CAP_DAC_READ_SEARCH = 21, 2
READ_ALL = 1 << _CAP_DAC_READ_SEARCH


def privileged() -> bool:
    """Say whether this process is root with the right to mount and to become another user."""
    return _is_root_with(_CAP_SETGID, _CAP_SETUID, _CAP_SYS_ADMIN) and has_user(NOBODY)


def may_become(user: int) -> bool:
    """Say whether this process is root with the right to start, kill and clear up as `user`."""
    rights = (_CAP_CHOWN, _CAP_DAC_OVERRIDE, _CAP_KILL, _CAP_SETGID, _CAP_SETUID)
    return _is_root_with(*rights) and has_user(user)


def may_read_all() -> bool:
    """Say whether this process is root with the right to read what is closed to others."""
    return _is_root_with(_CAP_DAC_READ_SEARCH)


def _is_root_with(*capabilities: int) -> bool:
    if os.geteuid() != 0:
        return False
    with open("/proc/self/status") as status:
        effective = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff"))
    return all(effective >> capability & 1 for capability in capabilities)


def has_user(user: int) -> bool:
    """Say whether `user`, as a uid and as a gid, exists in this user namespace."""
    return all(
        any(int(first) <= user < int(first) + int(count) for first, _, count in id_map(kind))
        for kind in ("uid", "gid")
    )


def id_map(kind: str) -> list[list[str]]:
    """Return this user namespace's map of "uid" or "gid": first inside, first outside, count."""
    with open(f"/proc/self/{kind}_map") as lines:
        return [line.split() for line in lines]

"""Landlock: what this process and all that comes of it may open, whatever its user may.

The kernel's documentation, userspace-api/landlock.rst, has the rights and since when they exist. It
governs opening, making and removing, not looking: names, sizes and times of files can be asked for,
and (by the owner) changed with chmod and its like; the system call filter has to see to those.
"""

import contextlib
import ctypes
import os
import stat
from collections.abc import Iterable

from autograder.sandbox import kernel

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_CHAR, _MAKE_DIR, _MAKE_REG, _MAKE_SOCK = 1 << 6, 1 << 7, 1 << 8, 1 << 9
_MAKE_FIFO, _MAKE_BLOCK, _MAKE_SYM = 1 << 10, 1 << 11, 1 << 12
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15

READ = _READ_FILE | _READ_DIR
READ_AND_EXECUTE = READ | _EXECUTE
DEVICE = _READ_FILE | _WRITE_FILE
OWN = (
    READ
    | _WRITE_FILE
    | _REMOVE_DIR
    | _REMOVE_FILE
    | _MAKE_DIR
    | _MAKE_REG
    | _MAKE_SYM
    | _REFER
    | _TRUNCATE
)
"""For a folder of one's own: regular files, folders and symbolic links."""
OWN_AND_LOCAL = OWN | _EXECUTE | _MAKE_SOCK | _MAKE_FIFO
_FOR_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV

_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1
_SCOPE_ABSTRACT_UNIX_SOCKETS, _SCOPE_SIGNALS = 1 << 0, 1 << 1

_CREATE_RULESET_VERSION, _RULE_PATH_BENEATH = 1, 1


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32)]


def abi() -> int:
    """Return the version of Landlock that this kernel speaks, 0 for none."""
    try:
        return kernel.landlock_create_ruleset(None, 0, _CREATE_RULESET_VERSION)
    except OSError:
        return 0


def _handled(version: int) -> tuple[int, int, int]:
    """Return the rights that a version knows: on files, on the network, on other processes."""
    files = (1 << 13) - 1
    files |= _REFER if version >= 2 else 0
    files |= _TRUNCATE if version >= 3 else 0
    files |= _IOCTL_DEV if version >= 5 else 0
    network = _BIND_TCP | _CONNECT_TCP if version >= 4 else 0
    scope = _SCOPE_ABSTRACT_UNIX_SOCKETS | _SCOPE_SIGNALS if version >= 6 else 0
    return files, network, scope


def restrict(rules: Iterable[tuple[str, int]], version: int) -> None:
    """Confine this process to `rules`, each a path and what may be done at and beneath it.

    Every right that the version knows is refused elsewhere; TCP, and from version 6 signals and
    abstract sockets to the outside, are refused everywhere. A path that is not there is left out.
    Needs no_new_privs. Raises OSError, with the path, for one that this user cannot reach.
    """
    handled = _handled(version)
    attributes = (ctypes.c_uint64 * 3)(*handled)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = kernel.landlock_create_ruleset(ctypes.cast(attributes, ctypes.c_void_p), size, 0)
    try:
        for path, rights in rules:
            with contextlib.suppress(FileNotFoundError):
                _add(ruleset, path, rights & handled[0])
        kernel.landlock_restrict_self(ruleset)
    finally:
        os.close(ruleset)


def _add(ruleset: int, path: str, rights: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _FOR_FILES
        rule = _PathBeneath(rights, place)
        pointer = ctypes.cast(ctypes.pointer(rule), ctypes.c_void_p)
        kernel.landlock_add_rule(ruleset, _RULE_PATH_BENEATH, pointer)
    finally:
        os.close(place)

"""Locks on folders that a run makes and removes: one without a lock was left by a killed run."""

import fcntl
import os
from pathlib import Path


def locked(folder: Path) -> int | None:
    """Return a descriptor that locks the folder, or None if another has it or it is gone."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), os.stat(folder, follow_symlinks=False)):
            return lock
    except OSError:
        pass
    os.close(lock)
    return None

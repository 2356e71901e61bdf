"""The folder that a student's process without namespaces may write to, made and cleared by us.

The kernel bounds single files there and not the sum: `exceeds` measures it. While a folder is in
use its maker holds a lock on it; one without a lock was left by a run that was killed.
"""

import contextlib
import itertools
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from autograder.errors import SandboxError
from autograder.sandbox import kernel
from autograder.sandbox.locks import locked

_PARENT = "/tmp"
_PREFIX = "course-student-"
# systemd's range for users that exist while a service runs: no account has one of these.
_USERS = range(61184, 65520)
MAX_ENTRIES = 16384


@dataclass(frozen=True)
class Home:
    """One student's folders, and the user that owns them."""

    base: Path
    lock: int
    user: int | None
    """Whom the student's process becomes: nobody else's number now. None: it stays who we are."""

    @property
    def home(self) -> Path:
        """Where the student's process starts."""
        return self.base / "home"

    @property
    def tmp(self) -> Path:
        """Its place for temporary files."""
        return self.base / "tmp"


def make(*, as_another_user: bool = True) -> Home:
    """Make fresh folders that only the student's process, and root, may enter.

    Where root grades they belong `as_another_user` to one that nobody else is.
    """
    _sweep()
    for name, user in _names() if as_another_user else _same_user():
        base = Path(_PARENT, _PREFIX + name)
        with contextlib.suppress(FileExistsError):
            base.mkdir(0o700)
            if (lock := locked(base)) is None:
                continue  # taken for a left one and removed, between the two calls
            made = Home(base, lock, user)
            for folder in (made.home, made.tmp, base):
                if folder != base:
                    folder.mkdir(0o700)
                if user is not None:
                    os.chown(folder, user, user)
            return made
    raise SandboxError(f"No user is left for a student: remove {_PARENT}/{_PREFIX}*.")


def _names() -> Iterator[tuple[str, int | None]]:
    if kernel.may_become(_USERS[0]) and kernel.may_become(_USERS[-1]):
        # The folder's name holds the user, so that no two at once are the same one: the limit on
        # processes counts by user, and so do the kernel's other rules.
        first = os.getpid() % len(_USERS)
        for user in itertools.chain(_USERS[first:], _USERS[:first]):
            yield str(user), user
    elif os.geteuid() == 0 and kernel.id_map("uid")[0][1] == "0":
        raise SandboxError(
            "The sandbox will not run a student as root, and this root may not become another user "
            "(it lacks CAP_SETUID, CAP_SETGID, CAP_CHOWN, CAP_KILL or CAP_DAC_OVERRIDE). "
            "Grade as a normal user."
        )
    else:
        yield from _same_user()


def _same_user() -> Iterator[tuple[str, None]]:
    while True:
        yield f"of-{os.geteuid()}-{secrets.token_hex(8)}", None


@lru_cache(maxsize=1)
def _sweep() -> None:
    """Remove what killed runs left; once is enough for a process."""
    mine = {os.geteuid(), *(_USERS if os.geteuid() == 0 else ())}
    for entry in os.scandir(_PARENT):
        if entry.name.startswith(_PREFIX) and entry.stat(follow_symlinks=False).st_uid in mine:
            lock = locked(Path(entry.path))
            if lock is not None:
                _remove(Path(entry.path), lock)


def remove(home: Home) -> None:
    """Remove the folders whole; the student's process must be dead."""
    _remove(home.base, home.lock)


def _remove(base: Path, lock: int) -> None:
    # What cannot be removed stays for the next sweep: a grade does not depend on it.
    with contextlib.suppress(OSError):
        _clear(lock)
        base.rmdir()
    os.close(lock)


def _clear(base: int) -> None:
    """Empty a folder however deep it is: what lies deeper is first moved up to the top."""
    numbers = itertools.count()
    waiting: list[str | None] = [None]  # None: the folder itself
    while waiting:
        name = waiting.pop()
        here = base
        if name is not None:
            here = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=base)
        try:
            with os.scandir(here) as found:
                entries = [(e.name, e.is_dir(follow_symlinks=False)) for e in found]
            if name is not None and not entries:
                os.rmdir(name, dir_fd=base)
                continue
            if entries and name is not None:
                waiting.append(name)  # again, when it is empty
            for entry, is_folder in entries:
                if not is_folder:
                    os.unlink(entry, dir_fd=here)
                    continue
                os.chmod(entry, 0o700, dir_fd=here)
                top = entry
                if name is not None:
                    top = f"{next(numbers)}.left"
                    os.rename(entry, top, src_dir_fd=here, dst_dir_fd=base)
                waiting.append(top)
        finally:
            if here != base:
                os.close(here)


def exceeds(home: Home, limit: int) -> bool:
    """Say whether the folders take more than `limit` bytes or too many files.

    A student's process may change them meanwhile, and only misleads about its own: a folder that
    cannot be read counts as too large.
    """
    size, count, waiting = 0, 0, [str(home.home), str(home.tmp)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as found:
                for entry in found:
                    count += 1
                    with contextlib.suppress(FileNotFoundError):
                        size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    if size > limit or count > MAX_ENTRIES:
                        return True
        except (FileNotFoundError, NotADirectoryError):
            continue  # gone since
        except OSError:
            return True
    return False

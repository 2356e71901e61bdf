"""Reads the files that students handed in: regular ones only, within limits, never changed.

The folder is theirs to fill: links, pipes, devices and what is too large are refused or left out.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from nbgrader.utils import parse_utc

from autograder.errors import SubmissionError

MAX_HELPER_FILES = 20
MAX_HELPER_BYTES = 2 * 2**20


def read_regular(path: Path, limit: int) -> bytes:
    """Return the bytes of a regular file; refuse links, pipes, devices and what is too large."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        reason = "is a link" if error.errno == errno.ELOOP else f"({error.strerror})"
        raise SubmissionError(f"{path} cannot be read: {reason}") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):  # first: Python opens no file object on a folder
        os.close(descriptor)
        raise SubmissionError(f"{path} is no regular file: ask the student to hand it in again")
    with os.fdopen(descriptor, "rb") as file:
        if status.st_size > limit:
            raise SubmissionError(
                f"{path} has {status.st_size >> 20} MiB (limit {limit >> 20}): "
                "ask for it with its outputs cleared"
            )
        return file.read(limit + 1)


def helper_files(folder: Path, notebooks: Iterable[str]) -> dict[str, bytes]:
    """Return the student's own small files beside the notebooks, within limits."""
    found: dict[str, bytes] = {}
    left = MAX_HELPER_BYTES
    skip = {f"{name}{suffix}" for name in notebooks for suffix in (".ipynb", ".py")}
    for path in sorted(folder.iterdir()):
        if path.name in skip or path.name == "timestamp.txt" or path.name.startswith("."):
            continue
        if len(found) >= MAX_HELPER_FILES or path.suffix == ".ipynb":
            continue
        with contextlib.suppress(SubmissionError):
            data = read_regular(path, left)
            left -= len(data)
            found[path.name] = data
    return found


def read_timestamp(folder: Path) -> datetime | None:
    """Return when a submission was handed in (UTC), if its `timestamp.txt` says so.

    nbgrader's own reader follows links, waits for pipes, and exits on what is no time.
    """
    path = folder / "timestamp.txt"
    if not os.path.lexists(path):
        return None
    text = read_regular(path, 1000).decode("utf-8", "replace").strip()
    try:
        return parse_utc(text) if text else None
    except (ValueError, OverflowError):
        raise SubmissionError(f"{path} holds no time: correct it, or delete it") from None

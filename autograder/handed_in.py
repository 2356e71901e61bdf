"""Reads the files that students handed in: regular ones only, within limits, never changed.

The folder is theirs to fill: links, pipes, devices and what is too large are refused or left out.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from nbgrader.utils import parse_utc

from autograder.errors import SubmissionError

MAX_HELPER_FILES = 20
MAX_HELPER_BYTES = 2 * 2**20
MAX_TIMESTAMP_BYTES = 1000

# A zone by name, never by path: dateutil opens the file that an absolute one names.
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,9})?)?"
    r"( ?(Z|[+-]\d\d:?\d\d)| [A-Za-z]+([/_+-][A-Za-z0-9]+)*)?"
)


def read_regular(path: Path, limit: int) -> bytes:
    """Return the bytes of a regular file; refuse links, pipes, devices and what is too large."""
    try:
        _check_regular(path, path.lstat())  # first: to open a device may already do something
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            _check_regular(path, status)
            if status.st_size > limit:
                raise _too_large(path, status.st_size, limit)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read(limit + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SubmissionError(
            f"{path} cannot be read ({error.strerror}): check the file and its permissions"
        ) from None
    if len(data) > limit:  # it has grown since
        raise _too_large(path, len(data), limit)
    return data


def _check_regular(path: Path, status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise SubmissionError(f"{path} is a link: ask the student to hand in the file itself")
    if not stat.S_ISREG(status.st_mode):
        raise SubmissionError(f"{path} is no regular file: ask the student to hand it in again")


def _too_large(path: Path, size: int, limit: int) -> SubmissionError:
    if limit < 2**20:
        return SubmissionError(f"{path} has {size} bytes (limit {limit}): correct it, or delete it")
    return SubmissionError(
        f"{path} has {size >> 20} MiB (limit {limit >> 20}): ask for it with its outputs cleared"
    )


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
    text = read_regular(path, MAX_TIMESTAMP_BYTES).decode("utf-8", "replace").strip()
    if not text:
        return None
    try:
        if not _TIME.fullmatch(text):
            raise ValueError
        # nbgrader takes a number behind a space for seconds.
        return parse_utc(re.sub(r" (?=[+-])", "", text))
    except (ValueError, OverflowError):
        raise SubmissionError(f"{path} holds no time: correct it, or delete it") from None

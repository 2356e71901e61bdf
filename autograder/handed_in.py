"""Reads the files that students handed in: regular ones only, within limits, never changed.

The folder is theirs to fill: links, pipes, devices and what is too large are refused or left out.
"""

from __future__ import annotations

import fnmatch
import heapq
import os
import re
import stat
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path

from nbgrader.utils import parse_utc

from autograder.errors import SubmissionError

MAX_HELPER_FILES = 20
MAX_HELPER_BYTES = 2 * 2**20
MAX_TIMESTAMP_BYTES = 1000

MAX_LISTED = 1000
"""Most names beside a notebook, its subfolders' too, that are looked at."""

NBGRADERS = ("timestamp.txt", "submission_secret.txt")
"""Files that nbgrader lays beside what it collects, and needs to release feedback."""

_ODD = re.compile(r"[^\w./ -]")

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


def check_folder(folder: Path) -> None:
    """Refuse a submission whose folder, or whose student's, is a link: to whose work?"""
    if folder.is_symlink() or folder.parent.is_symlink() or not folder.is_dir():
        raise SubmissionError(f"{folder} is no folder: ask the student to hand it in again")


def helper_files(
    folder: Path, skip: Collection[str], ignore: Collection[str] = ()
) -> tuple[dict[str, bytes], str]:
    """Return the student's own small files beside the notebooks, by their path in `folder`.

    Also a line that says which were left out and why, empty if none was. Hidden files, other
    notebooks, nbgrader's own files and those named by `skip` or matched by `ignore` count as none.
    """
    found: dict[str, bytes] = {}
    left_out: dict[str, list[str]] = {}
    left = MAX_HELPER_BYTES
    for name in _listed(folder, (*ignore, ".*", "*.ipynb", *NBGRADERS)):
        if name in skip:
            continue
        reason = _unfit(folder / name, len(found), left)
        if not reason:
            try:
                found[name] = read_regular(folder / name, left)
                left -= len(found[name])
            except SubmissionError:
                reason = "cannot be read"
        if reason:
            left_out.setdefault(reason, []).append(name)
    parts = [f"{_some(names)} ({reason})" for reason, names in left_out.items()]
    return found, f"left out when this was graded: {'; '.join(parts)}" if parts else ""


def _listed(folder: Path, ignore: Collection[str]) -> Iterator[str]:
    """Yield the paths of files below `folder`, sorted, its own before those in subfolders."""
    waiting, left = [""], MAX_LISTED
    while waiting and left > 0:
        here = waiting.pop(0)
        try:
            with os.scandir(folder / here) as entries:
                kept = heapq.nsmallest(
                    left,
                    (e for e in entries if not any(fnmatch.fnmatch(e.name, p) for p in ignore)),
                    key=lambda entry: entry.name,
                )
        except OSError:  # closed to us, or too deep for a path
            continue
        left -= len(kept)
        for entry in kept:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(f"{here}{entry.name}/")
            else:
                yield here + entry.name


def _unfit(path: Path, count: int, left: int) -> str:
    try:
        status = path.lstat()
    except OSError:
        return "cannot be read"
    if not stat.S_ISREG(status.st_mode):
        return "a link, or no regular file"
    if count >= MAX_HELPER_FILES:
        return f"more than {MAX_HELPER_FILES} files"
    return f"more than {MAX_HELPER_BYTES >> 20} MiB" if status.st_size > left else ""


def _some(names: list[str]) -> str:
    """Name the first three, in words that neither a terminal nor Markdown takes for a command."""
    shown = ", ".join(f"`{_ODD.sub('?', name[:40])}`" for name in names[:3])
    more = len(names) - 3
    # Of a great many not all are looked at.
    return f"{shown} and {more if more < 100 else 'many'} more" if more > 0 else shown


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

"""`course build`: from an assignment's source to the release that students get.

nbgrader makes the release; this module makes it reproducible, adds its `.py` form, and proves that
nothing hidden is in it, in a folder of its own which replaces the old release only after that.
Reads the solutions; runs nothing.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode
from nbgrader.converters import GenerateAssignment
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config

from autograder import leaks, pairs
from autograder.course import Course
from autograder.errors import CourseError

# Data that go out with an assignment, declared beside its source in sha256sum's own format.
DECLARED = "data.sha256"
# Never data, whatever is declared: they are answers, right ones and wrong ones.
VARIANTS = ("misconceptions.py", "alternatives.py", "equivalents.toml")
# What a release needs of the source's metadata; the rest (timings, widgets' state, whatever an
# editor wrote) is at best noise and at worst an answer.
NOTEBOOK_METADATA = ("kernelspec", "language_info")
CELL_METADATA = ("nbgrader", "tags", "deletable", "editable")


@dataclass(frozen=True)
class Built:
    """One finished release. `changed` is False if it was there already, byte for byte."""

    assignment: str
    folder: Path
    files: list[str]
    changed: bool


def build(course: Course, assignment: str) -> Built:
    """Make the release of `assignment`, whose pairs are in sync; raise `CourseError` on a leak.

    It is made twice: once without the gradebook, to be searched for leaks, and once with it, so
    that neither a leaking release nor its cells are recorded anywhere. Both must be equal.
    """
    course.check_assignment(assignment)
    _own_programs_on_path()
    target = course.release(assignment)
    with _workspace(course.root) as workspace:
        trial = _generate(course, assignment, workspace / "trial", record=False)
        _prove(course, assignment, trial)
        final = _generate(course, assignment, workspace / "final", record=True)
        if _bytes(trial) != _bytes(final):
            raise CourseError(f"{assignment}: two builds in a row differ, so none is kept")
        changed = not target.is_dir() or _bytes(final) != _bytes(target)
        if changed:
            _swap(final, target, workspace / "old")
    return Built(assignment, target, sorted(_bytes(target)), changed)


def _own_programs_on_path() -> None:
    """Let nbgrader find `alembic`, which it starts by name when it makes a gradebook.

    `.venv/bin/course` runs without the environment being activated.
    """
    here, path = str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)
    if here not in path.split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([here, path])


@contextmanager
def _workspace(root: Path) -> Iterator[Path]:
    """Yield a folder on the course's own disk, so that a finished release can be renamed."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=".course-build-", dir=root))
    except OSError as error:
        raise CourseError(f"no release can be made in {root}: {error.strerror}") from None
    try:
        yield folder
    except OSError as error:
        raise CourseError(f"the release cannot be written: {error}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _generate(course: Course, assignment: str, folder: Path, *, record: bool) -> Path:
    """Let nbgrader make the release below `folder`; `record` it in the gradebook or not."""
    config = Config(course.config)
    config.CourseDirectory.release_directory = str(folder.relative_to(course.root))
    config.CourseDirectory.assignment_id = assignment
    config.GenerateAssignment.force = True
    config.GenerateAssignment.create_assignment = True
    config.GenerateAssignment.no_database = not record
    config.SaveCells.enabled = record
    directory = CourseDirectory(config=config)
    heard = _Listener()
    log = logging.Logger("nbgrader")
    log.addHandler(heard)
    try:
        GenerateAssignment(coursedir=directory, config=config, log=log).start()
    except NbGraderException as error:
        raise CourseError(_explained(course, assignment, heard.reason or str(error))) from None
    release = Path(directory.format_path(directory.release_directory, ".", assignment))
    source = course.source(assignment)
    _refuse_undeclared(course, assignment, release)
    for path in sorted(release.glob("*.ipynb")):
        _finish(path, source / path.name)
    return release


def _explained(course: Course, assignment: str, reason: str) -> str:
    """Say what nbgrader's `reason` means and, where the machine is at fault, the mend."""
    if "No space left" in reason or "disk is full" in reason:
        return f"{assignment}: the disk is full: free some space and run this again"
    database = re.search(r"(?:Operational|Database)Error\) (.*)", reason)
    if database is None:
        return f"{assignment}: {reason}"
    mend = "back it up and run `nbgrader db upgrade`"
    if "locked" in database[1]:
        mend = "stop what uses it (the formgrader, another `course`) and run this again"
    url = re.sub(r"://([^:/@]*):[^@]*@", r"://\1:…@", course.db_url)
    return f"{assignment}: the gradebook {url} cannot be used: {database[1]}: {mend}"


class _Listener(logging.Handler):
    """Keeps the first reason that nbgrader logs for a failure; its exceptions do not hold it."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.reason = ""

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage().strip()
        if self.reason or message.startswith("There was an error processing"):
            return
        if message.startswith("Traceback"):
            raised = re.findall(r"^[\w.]+(?:Error|Exception|Entry)\b:?.*", message, re.MULTILINE)
            message = re.sub(r"^(\w+\.)+", "", raised[-1] if raised else message.splitlines()[-1])
        self.reason = " ".join(" ".join(message.splitlines()[:2]).split())


def _finish(path: Path, source: Path) -> None:
    """Take out what a release does not need, fix the ids, and write the pair."""
    notebook = nbformat.read(path, as_version=4)
    original = nbformat.read(source, as_version=4)
    notebook.metadata = NotebookNode(
        {key: notebook.metadata[key] for key in NOTEBOOK_METADATA if key in notebook.metadata}
    )
    notebook.metadata.setdefault("kernelspec", NotebookNode(pairs.KERNELSPEC))
    notebook.metadata.jupytext = NotebookNode(formats=pairs.FORMATS)
    for cell in notebook.cells:
        cell.metadata = NotebookNode(
            {key: cell.metadata[key] for key in CELL_METADATA if key in cell.metadata}
        )
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        # nbgrader clears an answer's text and leaves the images attached to it.
        attached = {
            name: data
            for name, data in cell.get("attachments", {}).items()
            if f"attachment:{name}" in cell.source
        }
        cell.pop("attachments", None)
        if attached:
            cell.attachments = attached
    known = {cell.id for cell in original.cells if cell.get("id")}
    pairs.set_ids(notebook, keep=known if original.nbformat_minor >= 5 else set())
    pairs.write(path, pairs.dump(notebook))
    pairs.write(path.with_suffix(".py"), pairs.to_text(notebook))


def _refuse_undeclared(course: Course, assignment: str, release: Path) -> None:
    """Refuse a file that is neither a notebook nor data declared, with its hash, in the source."""
    source = course.source(assignment)
    declared = _declared(course, source)
    for name, data in _bytes(release).items():
        where = f"{source.relative_to(course.root)}/{name}"
        if "/" not in name and name.endswith(".ipynb"):
            continue
        if name == DECLARED:
            continue
        if name not in declared or Path(name).name in VARIANTS:
            raise CourseError(
                f"{where} would reach the students: name it in CourseDirectory.ignore, or declare "
                f"it with `sha256sum {name} >> {DECLARED}`"
            )
        if hashlib.sha256(data).hexdigest() != declared.pop(name):
            raise CourseError(f"{where} is not the file that {DECLARED} declares: its hash differs")
    if declared:
        name = min(declared)
        raise CourseError(
            f"{source.relative_to(course.root)}/{DECLARED} declares {name}: no such file"
        )


def _declared(course: Course, source: Path) -> dict[str, str]:
    path = source / DECLARED
    if not path.is_file():
        return {}
    declared = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = re.fullmatch(r"([0-9a-f]{64}) [ *](?:\./)?(.+)", line)
        if match is None:
            where = f"{path.relative_to(course.root)}, line {number}"
            raise CourseError(f"{where} is no line of sha256sum: {line[:40]!r}")
        declared[match[2]] = match[1]
    return declared


def _prove(course: Course, assignment: str, release: Path) -> None:
    """Raise a `CourseError` that names file and line if anything hidden stands in `release`."""
    source = course.source(assignment)
    notebooks = sorted(source.glob("*.ipynb"))
    name = {path: str(path.relative_to(course.root)) for path in source.rglob("*")}
    twins = {path.with_suffix(".py") for path in notebooks}
    released = _bytes(release)
    withheld = [
        path
        for path in sorted(source.rglob("*.py"))
        if path not in twins and path.relative_to(source).as_posix() not in released
    ]
    secrets = leaks.secrets_of(
        [(name[path], nbformat.read(path, as_version=4)) for path in notebooks],
        [(name[path], path.read_text(encoding="utf-8")) for path in withheld],
        course.config,
    )
    leak = leaks.find(release, secrets)
    if leak is not None:
        where = f"{course.release(assignment).relative_to(course.root)}/{leak.where}"
        raise CourseError(f"{where} would give away {leak.what}; no release was made")
    for path in sorted(release.glob("*.ipynb")):
        text = path.with_suffix(".py").read_text(encoding="utf-8")
        twin = jupytext.reads(text, pairs.PERCENT)
        if pairs.content(twin) != pairs.content(nbformat.read(path, as_version=4)):
            raise CourseError(f"{path.name} and its .py differ in the release of {assignment}")


def _bytes(folder: Path) -> dict[str, bytes]:
    """Return every file below `folder`, by its path from there."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".ipynb_checkpoints" not in path.parts
    }


def _swap(new: Path, target: Path, old: Path) -> None:
    """Put `new` in the place of `target`; no moment shows a mixture of the two."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        os.replace(target, old)
    os.replace(new, target)

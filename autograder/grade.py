"""`course grade`: a class, several submissions at a time, into gradebook and autograded/.

The driver. It reads files, hands out bytes and saves what comes back; it runs no cell of anybody's.
A submission is graded once or not at all: scores are committed first, the notebook that marks it
done is put in its place after, so whatever is killed is graded again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from autograder import records
from autograder.caveats import caveats
from autograder.course import Course
from autograder.errors import CourseError, SubmissionError, UsageError, plain
from autograder.handed_in import (
    MAX_TIMESTAMP_BYTES,
    NBGRADERS,
    check_folder,
    helper_files,
    read_regular,
    read_timestamp,
)
from autograder.pool import Pool
from autograder.sandbox import UNSAFE, held
from autograder.settings import Grading
from autograder.sheet import MAX_NOTEBOOK_BYTES, Sheet

MAX_NAME = 128
"""Longest name of a student, in characters, that nbgrader's tables hold."""

MARK = ".grading.json"
"""File in a student's autograded folder that says how, and that, it was graded."""

MAX_MARK_BYTES = 2**20

OTHER_INPUTS = (
    "the tests handed other inputs to this code than when it was graded before: either the code or "
    "a test of the source uses something that no seed decides"
)

BATCH_SECONDS = 0.5
"""How long results may wait to be saved together: a commit for each would cost more than most
submissions, and whoever watches wants to see something move."""


@dataclass
class Result:
    """What came of one student's submission."""

    student: str
    status: str
    """graded, unchanged (graded before), refused or failed."""
    message: str = ""
    score: float = 0.0
    max_score: float = 0.0
    needs_manual: bool = False
    questions: dict[str, list[float | None]] = field(default_factory=dict)
    """Score and maximum of each question; a score of None waits for a person."""
    statuses: dict[str, str] = field(default_factory=dict)
    hints: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    caveats: list[str] = field(default_factory=list)
    """What whoever reads the score must know of how it came to be (`autograder.caveats`)."""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    level: str = ""
    """Name of the isolation level that held for the student's code."""
    seeds: str = ""
    """Which secret the seeds were made of: with it, this engine and these files a run can be
    repeated."""
    inputs: dict[str, str] = field(default_factory=dict)
    """By notebook, digest of what the tests handed to the student's code: a run that repeats this
    one has the same."""


Watch = Callable[[Result, int], None]
"""Told of each result, and of how many submissions there are in all."""


def grade(
    course: Course,
    assignment: str,
    students: Iterable[str] = (),
    *,
    jobs: int | None = None,
    force: bool = False,
    unsafe: bool = False,
    watch: Watch = lambda result, total: None,
) -> list[Result]:
    """Grade what was handed in for `assignment`; return a result for each student, by name.

    A submission that did not change since it was graded is left alone unless `force`. Raises
    CourseError if nothing can be graded; one bad submission is a result and stops nobody else's.
    """
    course.check_assignment(assignment)
    chosen = _chosen(course, assignment, list(students))
    setup = Setup.read(course, assignment, unsafe=unsafe)
    late = records.late_plugin(course)
    with records.open_gradebook(course) as gradebook:
        records.check_assignment(gradebook, assignment, [*setup.sheets])
        recorded = set() if force else records.recorded(gradebook, assignment)
        work = _Work(course, setup, chosen, recorded, watch)
        pending = list(work.pending())
        if not pending:
            return work.finished()
        with Pool(min(jobs or cores(), len(pending)), setup.message, setup.modules) as pool:
            done: list[_Done] = []
            saved = time.monotonic()
            try:
                for (student, name), kind, answer in pool.map(work.tasks(pending)):
                    if (ready := work.take(student, name, kind, answer)) is not None:
                        done.append(ready)
                    if time.monotonic() - saved > BATCH_SECONDS:
                        _save(gradebook, done, late)
                        saved = time.monotonic()
            finally:
                # Also on Ctrl-C: what has been graded is kept.
                _save(gradebook, done, late)
        return work.finished()


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def _chosen(course: Course, assignment: str, students: list[str]) -> list[str]:
    there = course.students(assignment)
    missing = sorted(set(students) - set(there))
    if missing:
        folder = course.submitted(assignment, missing[0])
        raise UsageError(f"{', '.join(missing)} handed in nothing for {assignment} ({folder})")
    if not there:
        folder = course.submitted(assignment, "STUDENT")
        raise CourseError(
            f"no submissions of {assignment}: nothing in {folder}; "
            f"collect them with `nbgrader collect {assignment}`"
        )
    return sorted(set(students)) or there


@dataclass(frozen=True)
class Setup:
    """What every submission of one assignment is graded with."""

    assignment: str
    sheets: dict[str, Sheet]
    modules: list[str]
    message: dict[str, Any]
    """What the graders are told. Trusted side only: it holds the hidden tests."""
    digest: str
    """Changes when a result might: tests, hints, limits, engine, packages, trust, level."""
    level: str
    """Name of the isolation level that works on this machine, or of none if that was asked for."""
    skip: frozenset[str]
    """Files of a submission that are the assignment's: ours are used, as nbgrader does."""
    ignore: tuple[str, ...]
    """Patterns of names that nbgrader passes over."""

    def helpers(self, folder: Path) -> tuple[dict[str, bytes], str]:
        """Return the student's own files in a submission, and a line on what was left out."""
        return helper_files(folder, self.skip, self.ignore)

    @property
    def seeds(self) -> str:
        """Which secret the seeds are made of."""
        return hmac.digest(self.message["secret"], b"which secret", "sha256").hex()[:16]

    @classmethod
    def read(cls, course: Course, assignment: str, *, unsafe: bool = False) -> Setup:
        """Read the assignment's source and release, and the course's settings."""
        settings = Grading.of(course)
        source, release = course.source(assignment), course.release(assignment)
        sheets, texts = {}, {}
        for path in sorted(source.glob("*.ipynb")):
            twin = release / path.name
            sheets[path.stem] = Sheet.load(assignment, path, twin)
            texts[path.stem] = [path.read_bytes(), twin.read_bytes()]
            if b"AUTOTEST" in texts[path.stem][0]:
                texts[path.stem][0] = records.with_autotests(course, assignment, path)
                sheets[path.stem] = Sheet.parse(assignment, path.stem, *texts[path.stem])
        misconceptions = source / "misconceptions.py"
        limits = {
            "cpu_seconds": settings.cpu_seconds,
            "memory_bytes": settings.memory_mb * 2**20,
            "processes": settings.processes,
            "home_bytes": settings.home_mb * 2**20,
        }
        rules = {
            "cell_seconds": settings.cell_seconds,
            "total_seconds": settings.total_seconds,
            "shared": settings.shared,
        }
        hints = misconceptions.read_bytes() if misconceptions.is_file() else b""
        files = _data_files(release)
        theirs = course.config.Autograde.get("exclude_overwriting", {}).get(assignment, [])
        skip = {f"{name}.py" for name in sheets} | files.keys() - set(theirs)
        # Not in the digest: where things lie, and the secret.
        level = (UNSAFE if unsafe else held()).name
        decisive = [limits, rules, level, _engine(), _lock(course)]
        message = {
            "assignment": assignment,
            "sheets": texts,
            "misconceptions": str(misconceptions) if hints else "",
            "folder": str(release),
            "files": files,
            "readonly": [str(folder) for folder in settings.package_folders()],
            "limits": limits,
            "rules": rules,
            "secret": course_secret(course),
            "unsafe": unsafe,
            "caveats": caveats(shared=settings.shared, unsafe=unsafe),
        }
        parts = [json.dumps(decisive).encode(), hints]
        parts += [sheet.digest.encode() for sheet in sheets.values()]
        parts += [os.fsencode(n) + b"\0" + hashlib.sha256(files[n]).digest() for n in files]
        parts += [os.fsencode(name) for name in sorted(skip)]
        modules = sorted({name for sheet in sheets.values() for name in sheet.visible_imports})
        digest = hashlib.sha256(b"\0".join(parts)).hexdigest()
        ignore = tuple(course.directory.ignore)
        return cls(assignment, sheets, modules, message, digest, level, frozenset(skip), ignore)


def _engine() -> str:
    files = sorted(Path(__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


def _lock(course: Course) -> str:
    path = course.root / "requirements.lock"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def course_secret(course: Course) -> bytes:
    """Return the course's secret, from which seeds are made; make it if there is none."""
    path = course.root / "gradebook.secret"
    with contextlib.suppress(FileExistsError), _plain_errors(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(32).encode())
    secret = path.read_bytes().strip()
    if len(secret) < 32:
        raise CourseError(f"{path} is too short for a secret: delete it, a new one will be made")
    return secret


def _data_files(release: Path) -> dict[str, bytes]:
    """Files that the assignment brings along, by their name in the student's home."""
    return {
        str(path.relative_to(release)): path.read_bytes()
        for path in sorted(release.rglob("*"))
        if path.is_file()
        and path.suffix != ".ipynb"
        and path.with_suffix(".ipynb") not in set(release.glob("*.ipynb"))
        and "__pycache__" not in path.parts
    }


_OF_ONE = (errno.EFBIG, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)
"""Errors of the file system that the size or the names of one student's files brought about."""


@contextlib.contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    """Turn an error of the file system into one line with the mend."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        mend = {
            errno.ENOSPC: "free some space and run the command again; it goes on where it stopped",
            errno.EDQUOT: "free some space and run the command again; it goes on where it stopped",
            errno.EACCES: "check the permissions",
            errno.EROFS: "the file system is read-only",
        }.get(error.errno or 0, "nothing was lost; mend it and run the command again")
        kind = SubmissionError if error.errno in _OF_ONE else CourseError
        raise kind(f"{path}: {error.strerror}; {mend}") from None


@dataclass
class _Done:
    """A student whose every notebook is graded, ready to be saved."""

    result: Result
    scores: list[records.NotebookScores]
    put_in_place: Callable[[], None]
    report: Callable[[], None]


@dataclass(frozen=True)
class _Read:
    """What one student handed in."""

    notebooks: dict[str, bytes]
    files: dict[str, bytes]
    notes: list[str]
    """What was left out of it, in words for the TA and the student."""


class _Work:
    """The submissions of one run, from bytes to results."""

    def __init__(
        self, course: Course, setup: Setup, students: list[str], recorded: set[str], watch: Watch
    ):
        self._course = course
        self._setup = setup
        self._students = students
        self._recorded = recorded
        self._watch = watch
        self._results: dict[str, Result] = {}
        self._graded: dict[str, dict[str, dict]] = {}
        self._keys: dict[str, str] = {}
        self._timestamps: dict[str, datetime | None] = {}

    def finished(self) -> list[Result]:
        return [self._results[name] for name in self._students if name in self._results]

    def pending(self) -> Iterator[str]:
        """Yield students whose submission must be graded; settle the others."""
        for student in self._students:
            if self._read_or_refuse(student) is None:
                continue
            mark = self._mark(student)
            # A gradebook that was replaced or restored has forgotten what the mark stands for.
            if student in self._recorded and mark.get("key") == self._keys[student]:
                self._finish(Result(**{**mark["result"], "status": "unchanged"}))
                continue
            yield student

    def _read_or_refuse(self, student: str) -> _Read | None:
        try:
            return self._read(student)
        except SubmissionError as error:
            self._finish(Result(student, "refused", str(error)))
        except OSError as error:
            reason = f"{error.filename} cannot be read: {error.strerror}"
            self._finish(Result(student, "refused", reason))
        return None

    def _read(self, student: str) -> _Read:
        """Return what was handed in; note what decides its result."""
        folder = self._course.submitted(self._setup.assignment, student)
        _check_name(student)
        check_folder(folder)
        target = self._course.autograded(self._setup.assignment, student)
        for place in (target.parent, target):
            if place.is_symlink():
                raise SubmissionError(
                    f"{place} is a link: remove it, a result would be written there"
                )
        found, digest = {}, hashlib.sha256(self._setup.digest.encode())
        for name in self._setup.sheets:
            path = folder / f"{name}.ipynb"
            if not os.path.lexists(path):
                others = sorted(p.name for p in folder.glob("*.ipynb"))
                more = f" and {len(others) - 3} more" if len(others) > 3 else ""
                beside = f"; there is {', '.join(others[:3])}{more}" if others else ""
                raise SubmissionError(f"{path} is missing{beside}: ask the student for it")
            found[name] = read_regular(path, MAX_NOTEBOOK_BYTES)
            digest.update(hashlib.sha256(found[name]).digest())
        files, left_out = self._setup.helpers(folder)
        for name, data in files.items():
            digest.update(os.fsencode(name) + b"\0" + hashlib.sha256(data).digest())
        digest.update(left_out.encode())
        self._timestamps[student] = timestamp = read_timestamp(folder)
        digest.update(str(timestamp).encode())
        self._keys[student] = digest.hexdigest()
        return _Read(found, files, [left_out] if left_out else [])

    def _mark(self, student: str) -> dict[str, Any]:
        path = self._course.autograded(self._setup.assignment, student) / MARK
        try:
            mark = json.loads(read_regular(path, MAX_MARK_BYTES))
            seal = self._seal(mark["key"], mark["result"])
            return mark if hmac.compare_digest(seal, mark["seal"]) else {}
        except (SubmissionError, ValueError, KeyError, TypeError, RecursionError):
            return {}

    def _seal(self, key: str, result: dict[str, Any]) -> str:
        """Return what only this course can write: a file of that name may be handed in."""
        text = json.dumps([key, result], sort_keys=True).encode()
        return hmac.digest(self._setup.message["secret"], b"mark\0" + text, "sha256").hex()

    def tasks(self, pending: list[str]) -> Iterator[tuple[Any, dict]]:
        for student in pending:
            # Read again, so that one submission at a time is in memory.
            read = self._read_or_refuse(student)
            if read is None:
                continue
            folder = self._course.submitted(self._setup.assignment, student)
            for name, data in read.notebooks.items():
                where = os.path.relpath(folder / f"{name}.ipynb", self._course.root)
                task = {"notebook": name, "data": data, "where": where}
                yield (student, name), task | {"files": read.files, "notes": read.notes}

    def take(self, student: str, name: str, kind: str, answer: Any) -> _Done | None:
        """Note one notebook's outcome; return the student's whole result when it is complete."""
        if student in self._results:  # another notebook of theirs was refused
            return None
        if kind != "graded":
            status = "refused" if kind == "refused" else "failed"
            if kind == "crashed" and not os.environ.get("COURSE_DEBUG"):
                answer = str(answer).splitlines()[0]
            self._finish(Result(student, status, str(answer)))
            return None
        graded = self._graded.setdefault(student, {})
        graded[name] = answer
        if len(graded) < len(self._setup.sheets):
            return None
        del self._graded[student]  # memory stays flat, however large the class
        result = self._summarize(student, graded)
        scores = [
            records.NotebookScores(
                assignment=self._setup.assignment,
                student=student,
                notebook=notebook,
                scores={score["grade_id"]: score["score"] for score in part["scores"]},
                unchanged=frozenset(part["unchanged"]),
                timestamp=self._timestamps[student],
            )
            for notebook, part in graded.items()
        ]
        texts = {notebook: part["notebook"] for notebook, part in graded.items()}
        return _Done(
            result,
            scores,
            put_in_place=lambda: self._put_in_place(student, texts, result),
            report=lambda: self._finish(result),
        )

    def _summarize(self, student: str, graded: dict[str, dict]) -> Result:
        result = Result(student, "graded", level=self._setup.level, seeds=self._setup.seeds)
        for name, part in sorted(graded.items()):
            result.inputs[name] = part["inputs"]
            for score in part["scores"]:
                result.statuses[score["grade_id"]] = score["status"]
                result.max_score += score["points"]
                total = result.questions.setdefault(score["question"], [0.0, 0.0])
                total[1] = (total[1] or 0.0) + score["points"]
                if score["score"] is None:
                    result.needs_manual = True
                    total[0] = None
                else:
                    result.score += score["score"]
                    if total[0] is not None:
                        total[0] += score["score"]
                result.hints += [hint for hint in score["hints"] if hint not in result.hints]
                result.seconds += score["seconds"]
            result.notes += [note for note in part["notes"] if note not in result.notes]
            if part["level"]:  # none: nothing of the student's was run
                result.level = part["level"]
            result.caveats += [line for line in part["caveats"] if line not in result.caveats]
            result.cpu_seconds += part["usage"].get("cpu_seconds", 0.0)
        if self._has_other_inputs(result):
            result.notes.append(OTHER_INPUTS)
        return result

    def _has_other_inputs(self, result: Result) -> bool:
        """Whether the same submission met other inputs when it was graded before."""
        mark = self._mark(result.student)
        if mark.get("key") != self._keys[result.student]:
            return False
        before = mark["result"]
        cut_short = {"timed out", "stopped"} & {
            *result.statuses.values(),
            *before["statuses"].values(),
        }
        return not cut_short and before["inputs"] != result.inputs

    def _put_in_place(self, student: str, texts: dict[str, str], result: Result) -> None:
        """Swap in the student's autograded folder, whole."""
        target = self._course.autograded(self._setup.assignment, student)
        submitted = self._course.submitted(self._setup.assignment, student)
        with _plain_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            for left in target.parent.glob(".grading-*"):  # by a run that was killed
                shutil.rmtree(left, ignore_errors=True)
            fresh = Path(tempfile.mkdtemp(prefix=".grading-", dir=target.parent))
            try:
                for name, text in texts.items():
                    (fresh / f"{name}.ipynb").write_text(text, "utf-8")
                files, _ = self._setup.helpers(submitted)
                for name in NBGRADERS:
                    with contextlib.suppress(SubmissionError):
                        files[name] = read_regular(submitted / name, MAX_TIMESTAMP_BYTES)
                for name, data in files.items():
                    (fresh / name).parent.mkdir(parents=True, exist_ok=True)
                    (fresh / name).write_bytes(data)
                # Held at another level than this machine's, it is not what the next run would find.
                key = self._keys[student] if result.level == self._setup.level else ""
                mark = {"key": key, "result": vars(result), "seal": self._seal(key, vars(result))}
                (fresh / MARK).write_text(json.dumps(mark, indent=1) + "\n", "utf-8")
                fresh.chmod(0o755)
                if target.exists():
                    shutil.rmtree(target)
                fresh.rename(target)
            except BaseException:
                shutil.rmtree(fresh, ignore_errors=True)
                raise

    def _finish(self, result: Result) -> None:
        result.message = plain(result.message)  # a file's name may hold a line break
        self._results[result.student] = result
        self._watch(result, len(self._students))


def _check_name(student: str) -> None:
    """Refuse a student whose folder's name the gradebook could not hold: it would stop a batch."""
    if len(student) > MAX_NAME:
        raise SubmissionError(
            f"the folder {student[:20]}… has a name of {len(student)} characters "
            f"(limit {MAX_NAME}): give it the student's name"
        )
    if not student.isprintable():
        raise SubmissionError(
            f"the folder {student!a} has a name that is no text: give it the student's name"
        )


def _save(gradebook: Any, done: list[_Done], late: Any) -> None:
    """Commit a batch to the gradebook, then put the notebooks in place."""
    if done:
        records.save(gradebook, [scores for ready in done for scores in ready.scores], late)
        while done:
            try:
                done[0].put_in_place()
            except SubmissionError as error:
                done[0].result.status, done[0].result.message = "failed", str(error)
            # Before it is reported: stopped here and called again, none is counted twice.
            done.pop(0).report()

"""The grader's process: lays out one submission, runs the tests against it, decides the scores.

Holds the hidden tests. Runs the course's own cells only; what is the student's stays on the other
side of the wall and is met through `autograder.wall`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import numbers
import os
import re
import time
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import torch

from autograder import hints
from autograder.alarm import OutOfTime, process_limit, time_limit
from autograder.sheet import (
    Arranged,
    Cell,
    Placed,
    Role,
    Sheet,
    arrange,
    parse_submission,
)
from autograder.shell import Ran, Shell, reseed
from autograder.variants import Variant
from autograder.wall import Handle, Record, StudentGone, StudentTimeout, Wall

MAX_RESTARTS = 3

PATIENCE = 5.0
"""Seconds that a cell of the course's has beyond its time until its process is ended."""

MAX_OUTPUTS = 24 * 2**20
"""Size of all outputs of a graded notebook, as JSON: beyond it, a cell shows a line that says so.

A figure takes tens of kilobytes; a student's process that was tampered with can send a frame's
worth for every cell, and a notebook that does not fit one frame could not be handed to the driver.
"""


@dataclass(frozen=True)
class Rules:
    """How a submission is run."""

    cell_seconds: float = 15.0
    """Wall time of one cell, without the time for which others kept it from running."""
    total_seconds: float = 180.0
    """Wall time of the whole submission, with all of that: nobody may hold up a class for longer by
    being slow on purpose."""
    shared: bool = False
    """Whether the tests run in the student's process, where they can be read and forged."""


class StudentProcess(Protocol):
    """What the grader asks of whatever runs the student's code."""

    caveats: list[str]
    """What reports say of how it was isolated, once it was opened."""

    def open(self) -> Wall:
        """Start a fresh process; return the wall to it."""

    def close(self) -> dict[str, float]:
        """End it and everything in it; return what it used (`cpu_seconds`, `max_rss_bytes`)."""


@dataclass
class Score:
    """What one graded cell came to."""

    grade_id: str
    question: str
    points: float
    score: float | None
    """None: not decided here (graded by hand)."""
    status: str
    """passed, partial, failed, not attempted, timed out, stopped, or manual."""
    message: str = ""
    """For the student: no hidden test and no value."""
    hints: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Graded:
    """A submission's notebook, graded."""

    notebook: str
    """JSON text, nbformat 4.5, for autograded/."""
    scores: list[Score]
    unchanged: list[str]
    """Solution cells in which the student left the stub as it was."""
    notes: list[str]
    caveats: list[str]
    """What every report of this run says (`autograder.caveats`)."""
    usage: dict[str, float]
    inputs: str
    """Digest of what the tests handed to the student's code, which a repeated run hands over again.
    Made with the secret: to whoever has not that, it tells nothing."""


def seed(secret: bytes, *parts: str) -> int:
    """Return the seed for one cell: unpredictable without the course's secret, and repeatable."""
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hmac.digest(secret, text, "sha256")[:8], "little")


def digest(data: bytes, files: Mapping[str, bytes]) -> str:
    """Return what stands for all that was handed in, in the seeds.

    Helper files too: were it the notebook alone, code in one of them could be handed in again and
    again to meet the same inputs, and answer by what earlier verdicts have told of them.
    """
    parts = [data]
    for name in sorted(files):
        parts += [os.fsencode(name), files[name]]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def grade(
    sheet: Sheet,
    data: bytes,
    where: str,
    *,
    secret: bytes,
    student: StudentProcess,
    shell: Shell,
    rules: Rules,
    misconceptions: Callable[[], list[Variant]],
    caveats: list[str],
    left_out: list[str],
    files: Mapping[str, bytes] = MappingProxyType({}),
    at: Callable[[int], None] = lambda place: None,
    hopeless: Container[int] = (),
) -> Graded:
    """Grade one notebook's bytes; raise SubmissionError if they are no submission of `sheet`.

    `files` are the student's own that lie beside it. `at` is told of each cell before it runs;
    those that are `hopeless` are not run by the grader.
    """
    arranged = arrange(sheet, parse_submission(data, where), where)
    content = digest(data, files)
    session = _Session(sheet, arranged, secret, content, student, shell, rules, misconceptions)
    try:
        session.run(at, hopeless)
    finally:
        usage = student.close()
    caveats = [*caveats, *student.caveats]
    return Graded(
        notebook=session.notebook([*caveats, *left_out]),
        scores=[*session.scores.values()],
        unchanged=_unchanged(arranged),
        notes=[*left_out, *arranged.notes, *session.notes],
        caveats=caveats,
        usage=usage,
        inputs=session.inputs.hexdigest(),
    )


def _unchanged(arranged: Arranged) -> list[str]:
    return [
        placed.cell.grade_id
        for placed in arranged.cells
        if placed.cell is not None
        and placed.cell.grade_id is not None
        and placed.cell.role in (Role.SOLUTION, Role.MANUAL)
        and (placed.missing or placed.text.strip() == placed.cell.release.strip())
    ]


class _Session:
    """One submission while it is graded: the place where cells run in the source's order."""

    def __init__(
        self,
        sheet: Sheet,
        arranged: Arranged,
        secret: bytes,
        content: str,
        student: StudentProcess,
        shell: Shell,
        rules: Rules,
        misconceptions: Callable[[], list[Variant]],
    ):
        self.sheet = sheet
        self.arranged = arranged
        self.scores: dict[str, Score] = {}
        self.notes: list[str] = []
        self.inputs = hmac.new(secret, b"inputs", "sha256")
        self._secret = secret
        self._content = content
        self._student = student
        self._shell = shell
        self._rules = rules
        self._misconceptions = misconceptions
        self._outputs: dict[int, list[dict]] = {}
        self._outputs_left = MAX_OUTPUTS
        self._ran: list[tuple[str, int]] = []  # what has run to its end on their side, and its seed
        self._restarts = 0
        self._their_names: set[str] = set()
        self._question = {
            cell.grade_id: name for name, cells in sheet.questions.items() for cell in cells
        }
        self._end = time.monotonic() + rules.total_seconds
        self._wall = self._open()

    def run(self, at: Callable[[int], None], hopeless: Container[int]) -> None:
        """Run every cell on the side where it belongs."""
        for place, placed in enumerate(self.arranged.cells):
            at(place)
            cell = placed.cell
            if cell is not None and cell.role in (Role.MANUAL, Role.TASK):
                self._score_by_hand(cell, placed)
            if placed.cell_type != "code" or (cell is not None and cell.skip):
                continue
            if cell is not None and cell.role is Role.TEST:
                test = self._give_up if place in hopeless else self._test
                self._outputs[place] = self._kept(test(cell))
                continue
            self._outputs[place] = self._kept(self._run_theirs(place, placed))
            if self._rules.shared:
                continue  # every name is where the tests are
            if cell is not None and cell.role is Role.GIVEN:
                if place not in hopeless:
                    self._run_given(cell)
            elif cell is not None:
                names = self.sheet.solution_names.get(cell.position, frozenset())
                self._their_names |= names & self.sheet.identifiers
                self._their_names |= self.sheet.unbound - self._shell.namespace.keys()

    def _kept(self, outputs: list[dict]) -> list[dict]:
        size = len(json.dumps(outputs))
        if size > self._outputs_left:
            return [_error("TooMuchOutput", f"{size >> 20} MiB of outputs are not shown")]
        self._outputs_left -= size
        return outputs

    # The student's cells.

    def _run_theirs(self, place: int, placed: Placed) -> list[dict]:
        if not placed.text.strip():
            return []
        try:
            self._begin()
            number = self._seed("student", str(place))
            outputs = self._wall.run(placed.text, number)
            self._ran.append((placed.text, number))
            return outputs
        except StudentTimeout:
            # Interrupted, it may have bound names already, as in a notebook.
            stopped = _error("Timeout", f"stopped after {self._rules.cell_seconds:g} s")
            return [*self._wall.record.outputs, stopped]
        except StudentGone as error:
            return [_error("ProcessEnded", f"this cell ended its process ({error})")]

    def _open(self) -> Wall:
        wall = self._student.open()
        wall.methods = self.sheet.solution_functions
        return wall

    def _begin(self) -> None:
        """Give the student's process its time for one cell, starting it again if it is gone."""
        if self._wall.record.gone:
            self._restart()
        self._limit_cell()

    def _limit_cell(self) -> None:
        left = self._end - time.monotonic()
        self._wall.begin(max(0.0, min(self._rules.cell_seconds, left)), self._end)

    def _restart(self) -> None:
        """Start the student's process afresh and run again what had run to its end."""
        if self._restarts >= MAX_RESTARTS:
            return
        self._restarts += 1
        note = "the student's process ended and was started again"
        if note not in self.notes:
            self.notes.append(note)
        self._student.close()
        self._wall = self._open()
        for text, number in self._ran:
            try:
                self._limit_cell()
                self._wall.run(text, number)
            except (StudentTimeout, StudentGone):
                return

    # The course's own cells.

    def _run_given(self, cell: Cell) -> None:
        self._bind_theirs()
        reseed(self._seed("grader", cell.cell_id))
        self._run_ours(cell)
        self._their_names -= self.sheet.our_names[cell.position]

    def _run_ours(self, cell: Cell) -> Ran:
        """Run one of the course's cells; one that loops on a student's value is stopped too."""
        # Later than the student's time for this cell, so that no answer is cut off half read.
        beyond = self._wall.grace + 1
        seconds = self._rules.cell_seconds + beyond
        try:
            with process_limit(seconds + PATIENCE) as begin_anew:

                def left() -> float:
                    more = self._wall.deadline() + beyond - time.monotonic()
                    begin_anew(max(0.0, more) + PATIENCE)
                    return more

                with time_limit(seconds, left):
                    ran = self._shell.run(cell.source)
        except OutOfTime as error:
            ran = Ran(error, None)
        if isinstance(ran.error, OutOfTime):
            self._wall.record.timed_out = True
        return ran

    def _bind_theirs(self) -> None:
        """Bind the names of the solution cells to what the student's process has for them."""
        wanted = sorted(self._their_names)
        found: dict[str, Any] = {}
        try:
            self._begin()
            found = self._wall.names(wanted) if wanted else {}
        except (StudentGone, StudentTimeout):
            pass
        for name in wanted:
            self._shell.namespace.pop(name, None)
        self._shell.namespace.update(found)

    def _test(self, cell: Cell) -> list[dict]:
        assert cell.grade_id is not None
        started = time.monotonic()
        number = self._seed("grader", cell.grade_id)
        ran = self._run_test(cell, number)
        record = self._wall.record
        for call in record.calls:
            self.inputs.update(hashlib.sha256(call.frame).digest())
        score = Score(
            grade_id=cell.grade_id,
            question=self._question[cell.grade_id],
            points=cell.points,
            score=_points(cell, ran),
            status="",
        )
        _explain(score, ran, record)
        shown = [*record.outputs, *ran.outputs]
        if score.status == "failed" and record.calls:
            # A copy: to look for a hint the test runs again, and its calls are no evidence.
            calls, again = [*record.calls], self._again(cell.source, number)
            with process_limit(hints.SECONDS + PATIENCE):
                score.hints = hints.find(calls, ran, self._misconceptions(), again)
        score.seconds = round(time.monotonic() - started, 3)
        self.scores[cell.grade_id] = score
        self._their_names -= self.sheet.our_names[cell.position]
        return shown

    def _give_up(self, cell: Cell) -> list[dict]:
        """Score a test in which C code went on for ever over what the student's code gave."""
        assert cell.grade_id is not None
        self.scores[cell.grade_id] = Score(
            grade_id=cell.grade_id,
            question=self._question[cell.grade_id],
            points=cell.points,
            score=0.0,
            status="timed out",
            message="a check of what your code gave did not come to an end",
        )
        self._their_names -= self.sheet.our_names[cell.position]
        return []

    def _run_test(self, cell: Cell, number: int) -> Ran:
        """Run a test cell: in this process, or, with shared trust, in the student's."""
        if self._rules.shared:
            return self._run_shared(cell, number)
        self._bind_theirs()
        reseed(number)
        return self._run_ours(cell)

    def _run_shared(self, cell: Cell, number: int) -> Ran:
        try:
            self._begin()
            error, value = self._wall.test(cell.source, number)
        except (StudentGone, StudentTimeout) as end:
            return Ran(end, None)
        if error is None:
            self._ran.append((cell.source, number))
        # What is no data is no number of points; here it may be an object of the test's own.
        return Ran(error, None if isinstance(value, Handle) else value)

    def _again(self, source: str, number: int) -> Callable[[str, Callable], Ran]:
        """Return a way to run a test cell once more with one of our functions in their place."""

        def run(name: str, function: Callable) -> Ran:
            theirs = self._shell.namespace.get(name)
            self._shell.namespace[name] = function
            reseed(number)
            try:
                return self._shell.run(source)
            finally:
                self._shell.namespace[name] = theirs

        return run

    def _score_by_hand(self, cell: Cell, placed: Placed) -> None:
        assert cell.grade_id is not None
        unanswered = placed.missing or placed.text.strip() == cell.release.strip()
        empty = cell.role is Role.MANUAL and unanswered
        self.scores[cell.grade_id] = Score(
            grade_id=cell.grade_id,
            question=self._question[cell.grade_id],
            points=cell.points,
            score=0.0 if empty else None,
            status="not attempted" if empty else "manual",
            message="" if empty else "graded by hand",
        )

    def _seed(self, side: str, place: str) -> int:
        return seed(self._secret, self.sheet.assignment, self._content, side, place)

    # The graded notebook.

    def notebook(self, lines: list[str]) -> str:
        """Return the notebook for autograded/: our order, our metadata, their answers.

        Lines that its reader must know stand in a first cell, where formgrader and feedback show
        them.
        """
        cells = [_first_cell(lines)] if lines else []
        cells += [self._node(i, placed) for i, placed in enumerate(self.arranged.cells)]
        metadata = {
            key: self.sheet.metadata[key]
            for key in ("kernelspec", "language_info")
            if key in self.sheet.metadata
        }
        whole = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
        text = json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
        # A test's own message may quote a student's string: no file holds a lone surrogate.
        return text.encode("utf-8", "replace").decode("utf-8")

    def _node(self, place: int, placed: Placed) -> dict[str, Any]:
        cell = placed.cell
        metadata: dict[str, Any] = {}
        if cell is not None:
            metadata = dict(cell.metadata)
            score = self.scores.get(cell.grade_id or "")
            if score is not None:
                metadata["autograder"] = {
                    "status": score.status,
                    "message": score.message,
                    "hints": score.hints,
                }
        node: dict[str, Any] = {
            "cell_type": placed.cell_type,
            "id": cell.cell_id if cell is not None else f"extra-{place}",
            "metadata": metadata,
            "source": placed.text if _is_ours(placed) else inert(placed.cell_type, placed.text),
        }
        if placed.cell_type == "code":
            node |= {"execution_count": None, "outputs": self._outputs.get(place, [])}
        else:
            node["source"] = unlinked(node["source"], placed.attachments)
            if placed.attachments:
                node["attachments"] = placed.attachments
        return node


def _first_cell(lines: list[str]) -> dict[str, Any]:
    text = "\n\n".join(f"*Note: {line}.*" for line in lines)
    return {"cell_type": "markdown", "id": "autograder-caveats", "metadata": {}, "source": text}


def _is_ours(placed: Placed) -> bool:
    cell = placed.cell
    return cell is not None and placed.text in (cell.source, cell.release)


def inert(cell_type: str, text: str) -> str:
    """Return a student's cell so that no markup of theirs runs in the browser of whoever grades.

    In Markdown and raw cells, what would open an HTML tag gets a space behind its `<` (a reference
    would show as such in a formula, and `a<b` is one). A link that is a script is none: nbconvert
    follows it, written with backslashes and character references too (no reference by name stands
    for a letter of these words).
    """
    if cell_type == "code":
        return text
    text = re.sub(r"&(?=#|colon|Tab|NewLine)", "& ", text)
    text = re.sub(r"<(?=[A-Za-z/!?])", "< ", text)
    return _SCRIPT.sub(r"\1 ", text)


# A browser drops tabs and line breaks from an address; in a formula nothing escapes them.
_WORDS = "|".join(r"[\t\r\n]*".join(word) for word in ("javascript", "vbscript"))
_SCRIPT = re.compile(rf"({_WORDS})(?=[\\\s]*:)", re.IGNORECASE)


def unlinked(text: str, attachments: Iterable[str]) -> str:
    """Return Markdown in which a picture that is not attached is text: nbconvert makes no page of
    one that is missing, so there would be neither feedback nor a view for whoever grades."""
    names = "|".join(map(re.escape, attachments))
    kept = rf"(?!:(?:{names})(?=[\s)>\"']))" if names else ""
    return re.sub(rf"attachment(?=[\\\s]*:){kept}", "attachment ", text)


def _points(cell: Cell, ran: Ran) -> float:
    """Full points for a test that ran to its end, none for one that raised; nbgrader's partial
    credit if the cell's last line is a number of the test's own."""
    if ran.error is not None:
        return 0.0
    result = ran.result
    if isinstance(result, complex | np.complexfloating) or (
        isinstance(result, torch.Tensor) and result.is_complex()
    ):
        return 0.0  # an imaginary error, squared, is less than none
    if isinstance(result, np.ndarray | torch.Tensor | Handle):
        # A number of points that a student's array or object turned into something else.
        try:
            result = float(result)
        except Exception:
            return 0.0
    # Also a Decimal, which is not Real; a timedelta64 calls itself an integer and is none.
    if isinstance(result, numbers.Number) and not isinstance(result, bool):
        try:
            number = float(result)  # type: ignore[arg-type]
        except (OverflowError, TypeError, ValueError):
            return 0.0  # 10**400 is a number, but of no points
        return min(max(number, 0.0), cell.points) if number == number else 0.0
    return cell.points


# What NumPy 2 says to code written for NumPy 1, and the mend: to students, a puzzle otherwise.
_NUMPY_2 = {
    "module 'numpy' has no attribute": "NumPy 2 has no such name: `np.float` is `float`, "
    "`np.int` is `int`, `np.product` is `np.prod`",
    "only 0-dimensional arrays can be converted": "NumPy 2 makes a number of an array only if it "
    "has no axes: use `.item()`",
    "inhomogeneous shape": "NumPy 2 makes no array of rows of different lengths: use a list",
}


def _explain(score: Score, ran: Ran, record: Record) -> None:
    """Say what happened in words that show no test and no value."""
    if record.gone:
        score.score, score.status = 0.0, "stopped"
        score.message = "your code ended its process (out of memory, or an exit)"
    elif record.timed_out:
        score.score, score.status = 0.0, "timed out"
        score.message = "your code did not finish in the time that a cell has"
    elif ran.error is None:
        score.status = "passed" if score.score == score.points else "partial"
    elif isinstance(ran.error, NotImplementedError):
        score.status, score.message = "not attempted", "the stub still stands here"
    elif isinstance(ran.error, AssertionError):
        score.status, score.message = "failed", "a check did not hold"
    else:
        score.status, score.message = "failed", _blame(ran.error, record)


def _blame(error: BaseException, record: Record) -> str:
    for words, mend in _NUMPY_2.items():
        if words in str(error):
            return mend
    if record.raised:
        return f"your code raised {record.raised[:80]}"
    if isinstance(error, NameError):
        return "a name that this question asks for is not defined"
    return "your code gave a value of a kind that the check cannot use"


def _error(name: str, message: str) -> dict[str, Any]:
    return {
        "output_type": "error",
        "ename": name,
        "evalue": message,
        "traceback": [f"{name}: {message}"],
    }


def load_misconceptions(path: Path | None) -> Callable[[], list[Variant]]:
    """Return a function that loads the course's misconceptions when first asked, and keeps them."""
    loaded: list[Variant] | None = None

    def get() -> list[Variant]:
        nonlocal loaded
        if loaded is None:
            from autograder.variants import load

            loaded = load(path) if path is not None and path.is_file() else []
        return loaded

    return get

"""Loads the attacks, has them graded by either grader, and asks each whether it succeeded.

An attack is a file `FAMILY/NAME.py` beside this one:

    \"\"\"One line: what is tried. Then why it could work, and who it is known from.\"\"\"

    CELLS = {"double": "..."}       what the student wrote, by grade id of target.RIGHT
    def succeeded(after): ...       its own rule for success, on an Outcome
    CONTROL = "nbgrader"            where it succeeds: nbgrader, or a function of weakenings.py

and, where it needs them: `FILES` (name to text, handed in beside the notebook), `change(notebook)`
(edits the notebook's JSON), `NEXT` (the cells of another student, graded by the same job right
after), `BESIDE` (those of one graded at the same time by another job). In cells and files, `@TAG@`
stands for a word of this attack's own, `@PORT@` for a port on 127.0.0.1 that listens (TCP and UDP),
`@HOST@` for a folder outside (`secret.txt`, `drop/` that anybody may write, and the socket `door`),
`@WORD@` for an abstract socket's name, `@ROOT@` for the course's folder, and `@VICTIM@` for the pid
of a process outside, this attack's own to harm. The driver's environment holds `secret.txt`'s word
too. An attack that gains something which only its own process can see prints its tag backwards:
`after.proved` (a traceback shows it forwards).
`NEEDS_ROOT = True` says that the control succeeds only where root runs the suite,
`NEEDS_CGROUPS = True` that the attack fails only where control groups can be made.

An attack stops by itself once it has proved its point: a fork bomb that forks two hundred times.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from nbgrader.api import Gradebook

from autograder.course import Course
from tests.attacks import target
from tests.attacks.host import Host
from tests.attacks.target import NAME, RIGHT

HERE = Path(__file__).parent
HONEST = ("aa-honest", "zz-honest")
"""Who hands in right answers in every class: nobody's attack may cost them anything."""


@dataclass(frozen=True)
class Attack:
    """One file of the suite."""

    family: str
    name: str
    module: ModuleType = field(repr=False)

    @property
    def title(self) -> str:
        """First line of the docstring."""
        return (self.module.__doc__ or "").strip().splitlines()[0]

    @property
    def tag(self) -> str:
        """A word of this attack's own; short enough for a process's name."""
        return "t" + hashlib.sha256(self.name.encode()).hexdigest()[:10]

    @property
    def control(self) -> str | Callable[[], None]:
        """Where it succeeds: "nbgrader", or a function of weakenings.py that weakens our engine."""
        return self.module.CONTROL

    @property
    def needs_root(self) -> bool:
        """Whether its control can succeed only for root."""
        return getattr(self.module, "NEEDS_ROOT", False)

    @property
    def needs_cgroups(self) -> bool:
        """Whether it fails only where this user may make control groups."""
        return getattr(self.module, "NEEDS_CGROUPS", False)

    @property
    def control_name(self) -> str:
        """The control in words."""
        return self.control if isinstance(self.control, str) else self.control.__name__

    @property
    def student(self) -> str:
        """Whose submission it is."""
        return self.name

    def submissions(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield the students of this attack with their cells."""
        yield self.student, self.module.CELLS
        for place in ("NEXT", "BESIDE"):
            if hasattr(self.module, place):
                yield f"{self.student}-{place.lower()}", getattr(self.module, place)

    def succeeded(self, outcome: Outcome) -> bool:
        """Ask the attack's own rule."""
        return bool(self.module.succeeded(outcome))


def attacks() -> list[Attack]:
    """Return every attack, by family and name."""
    found = []
    for path in sorted(HERE.glob("*/*.py")):
        if not path.name.startswith("_"):
            module = importlib.import_module(f"tests.attacks.{path.parent.name}.{path.stem}")
            found.append(Attack(path.parent.name, path.stem.replace("_", "-"), module))
    return found


@dataclass
class Outcome:
    """What came of one submission, as gradebook, files and machine show it."""

    course: Course
    student: str
    tag: str
    host: Host
    survivors: list[int]
    """Processes of this attack that were alive after the grading."""
    victim: str
    """How its victim fared; see `host.Host.fate`."""
    terminal: str
    """What the grading run itself printed."""
    report: dict[str, Any]
    """Of ours, the result of `course grade`; of nbgrader, `{"status": "graded" or "failed"}`."""

    @cached_property
    def scores(self) -> dict[str, float]:
        """Points by grade id, of the cells that a test grades; empty if nothing was recorded."""
        with Gradebook(self.course.db_url) as gradebook:
            for submission in gradebook.assignment_submissions(NAME):
                if submission.student_id == self.student:
                    return {
                        grade.name: float(grade.auto_score or 0.0)
                        for notebook in submission.notebooks
                        for grade in notebook.grades
                        if grade.name != "essay"
                    }
        return {}

    @property
    def points(self) -> float:
        """All points that tests gave."""
        return sum(self.scores.values())

    @cached_property
    def cells(self) -> list[dict[str, Any]]:
        """Cells of the graded notebook; none if it was not graded."""
        path = self.course.autograded(NAME, self.student) / f"{NAME}.ipynb"
        return json.loads(path.read_text("utf-8"))["cells"] if path.is_file() else []

    @cached_property
    def printed(self) -> str:
        """Everything that cells showed as text in the graded notebook, errors included."""
        return "".join(_texts(self.cells))

    @cached_property
    def feedback(self) -> str:
        """The feedback page as its student gets it; empty if there is none."""
        path = self.course.feedback(NAME, self.student) / f"{NAME}.html"
        return path.read_text("utf-8", "replace") if path.is_file() else ""

    @property
    def heard(self) -> bool:
        """Whether something with this attack's tag came out over the network."""
        return self.host.heard(self.tag)

    @property
    def dropped(self) -> bool:
        """Whether a file with this attack's tag lies in the folder outside."""
        return self.host.dropped(self.tag)

    @property
    def proved(self) -> bool:
        """Whether a cell printed this attack's tag backwards."""
        return self.tag[::-1] in self.printed

    @property
    def honest(self) -> bool:
        """Whether those who handed in right answers beside it got all points."""
        return all(self.of(student).points == target.FULL for student in HONEST)

    @property
    def next(self) -> Outcome:
        """What came of the other student of this attack."""
        return self.of(f"{self.student}-next")

    @property
    def beside(self) -> Outcome:
        """What came of the student who was graded at the same time."""
        return self.of(f"{self.student}-beside")

    def of(self, student: str) -> Outcome:
        """What came of another student of the same class."""
        return replace(self, student=student, report={})


def _texts(cells: Iterable[dict[str, Any]]) -> Iterator[str]:
    for cell in cells:
        for output in cell.get("outputs", []):
            yield "".join(output.get("text", ""))
            yield "".join(output.get("data", {}).get("text/plain", ""))
            yield "\n".join([output.get("evalue", ""), *output.get("traceback", [])])


def hand_in(course: Course, host: Host, attack: Attack) -> None:
    """Write what the students of `attack` hand in."""
    for student, cells in attack.submissions():
        filled = {name: _filled(text, course, host, attack.tag) for name, text in cells.items()}
        change = getattr(attack.module, "change", lambda notebook: None)
        folder = _write(course, student, filled, change)
        for name, text in getattr(attack.module, "FILES", {}).items():
            (folder / name).write_text(_filled(text, course, host, attack.tag), "utf-8")


def _write(
    course: Course,
    student: str,
    cells: dict[str, str],
    change: Callable[[dict[str, Any]], object] = lambda notebook: None,
) -> Path:
    """Hand in the release with these cells, changed as said; return the student's folder."""
    notebook = json.loads((course.release(NAME) / f"{NAME}.ipynb").read_text("utf-8"))
    for cell in notebook["cells"]:
        grade_id = cell["metadata"].get("nbgrader", {}).get("grade_id")
        cell["source"] = cells.get(grade_id, cell["source"])
    change(notebook)
    folder = course.submitted(NAME, student)
    folder.mkdir(parents=True)
    (folder / f"{NAME}.ipynb").write_text(json.dumps(notebook), "utf-8")
    return folder


def _filled(text: str, course: Course, host: Host, tag: str) -> str:
    values = {
        "@TAG@": tag,
        "@VICTIM@": str(host.victim(tag)) if "@VICTIM@" in text else "",
        "@PORT@": str(host.port),
        "@HOST@": str(host.folder),
        "@WORD@": f"attacks-{host.word}",
        "@ROOT@": str(course.root),
    }
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def _honest(course: Course) -> None:
    for student in HONEST:
        _write(course, student, RIGHT)


def run_ours(
    chosen: Iterable[Attack], weakening: Callable[[], None] | None = None, *, jobs: int = 2
) -> dict[str, Outcome]:
    """Grade a class of attacks with our engine, weakened if so; return outcomes by attack's name.

    An attack with a second student is graded in a class of its own, `NEXT` by one job.
    """
    chosen = list(chosen)
    after = [attack for attack in chosen if hasattr(attack.module, "NEXT")]
    beside = [attack for attack in chosen if hasattr(attack.module, "BESIDE")]
    classes = [[a] for a in after + beside] + [[a for a in chosen if a not in after + beside]]
    found = {}
    for together in filter(None, classes):
        found.update(_run_ours(together, weakening, 1 if together[0] in after else jobs))
    return found


def _run_ours(
    chosen: list[Attack], weakening: Callable[[], None] | None, jobs: int
) -> dict[str, Outcome]:
    folder = _scratch()
    course, host = target.make_course(folder / "course"), Host(folder / "host")
    for attack in chosen:
        hand_in(course, host, attack)
    _honest(course)
    name = weakening.__name__ if weakening else "nothing"
    command = [sys.executable, "-m", "tests.attacks.weakened", name, "grade", course.root, jobs]
    out = _finish([str(part) for part in command], HERE.parents[1], 600, host)
    reports = {r["student"]: r for r in json.loads(out.splitlines()[-1])} if out else {}
    return _outcomes(course, host, chosen, reports, out)


def _finish(command: list[str], folder: Path, seconds: float, host: Host) -> str:
    """Run a program and everything it starts to its end; return its output, or nothing."""
    home = host.folder.parent / "home"  # controls without a sandbox may leave things there
    home.mkdir(exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HOME": str(home)}
    environment["ATTACKS_WORD"] = host.word
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if os.environ.get("COURSE_DEBUG") else subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        out, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        out = ""
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode != 0 and os.environ.get("COURSE_DEBUG"):
        print(out)
    return out if process.returncode == 0 else ""


def run_stock(chosen: Iterable[Attack]) -> dict[str, Outcome]:
    """Grade attacks by stock `nbgrader autograde`, each in a kernel of its own, with feedback."""
    chosen = list(chosen)
    folder = _scratch()
    course = target.make_course(folder / "course", stock=True)
    host = Host(folder / "host")
    for attack in chosen:
        hand_in(course, host, attack)
    _honest(course)
    program, said = str(Path(sys.executable).with_name("nbgrader")), ""
    for command in (["autograde", NAME, "--create"], ["generate_feedback", NAME]):
        said += _finish(
            [program, *command, "--log-level=CRITICAL"], course.root, 60 + 20 * len(chosen), host
        )
    reports = {
        attack.student: {
            "student": attack.student,
            "status": "graded"
            if (course.autograded(NAME, attack.student) / f"{NAME}.ipynb").is_file()
            else "failed",
        }
        for attack in chosen
    }
    return _outcomes(course, host, chosen, reports, said)


def _outcomes(
    course: Course, host: Host, chosen: list[Attack], reports: dict[str, dict], terminal: str
) -> dict[str, Outcome]:
    found = {
        attack.name: Outcome(
            course,
            attack.student,
            attack.tag,
            host,
            survivors=host.survivors(attack.tag),
            victim=host.fate(attack.tag),
            terminal=terminal,
            report=reports.get(attack.student, {}),
        )
        for attack in chosen
    }
    host.close()
    return found


def _scratch() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="attacks-"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder

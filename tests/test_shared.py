"""`trust = "shared"`: tests that reach inside a student's objects, and every report that says so.

The same class is graded with either trust. What is forged in one must fail in the other: that shows
at once that the warning is true, and that the separate process is what forging fails at.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tiny
from tiny import DOUBLE, NAME, RIGHT

from autograder import doctor, feedback, show
from autograder import grade as grading
from autograder.caveats import SHARED, UNSAFE, caveats
from autograder.course import Course
from autograder.errors import CourseError
from autograder.grade import MARK, Result
from autograder.settings import Grading

COURSE = Path(sys.executable).parent / "course"
NBGRADER = Path(sys.executable).parent / "nbgrader"
LIMITS = """
c.Grading.cell_seconds = 2
c.Grading.total_seconds = 40
c.Grading.memory_mb = 400
"""
TRUST = 'c.Grading.trust = "shared"\n'

BOX = "class Box:\n    items = []\n    def put(self, x): self.items = [*self.items, x]; return self"
ALL = {**RIGHT, "box": BOX}

# Each needs the student's own object: none can pass across the wall.
INSIDE = {
    "box_identity": "box = Box()\nassert box.put(1) is box",
    "box_patched": (
        "from unittest import mock\nbox = Box()\n"
        "with mock.patch.object(Box, 'put', lambda s, x: 7):\n"
        "    assert box.put(1) == 7\nassert box.put(2) is box"
    ),
    "box_in_place": "box = Box()\nbox.items = [1, 2]\nassert box.put(3).items[:2] == [1, 2]",
}
POINTS = 2 * len(INSIDE)

FORGED = "get_ipython().input_transformers_cleanup.append(lambda lines: [])"
DIES = "import os\ndef double(x):\n    os._exit(0)"
LOOPS = "def total(values):\n    while True: pass"
# It is interrupted, and then says that nothing happened.
STUBBORN = (
    "def total(values):\n    try:\n        while True: pass\n"
    "    except BaseException:\n        return sum(values)"
)
MUTE = "def double(x):\n    raise type('', (Exception,), {})('')"
THIEF = f"""{DOUBLE}
import inspect, sys
def sign(x):
    caller = sys._getframe(1)
    print("SEEN", inspect.getsource(caller))
    return (x > 0) - (x < 0)
"""

CLASS: dict[str, dict[str, str]] = {
    "right": ALL,
    "stub": {},
    "wrong": {
        "double": "def double(x):\n    return 3 * x",
        "total": "def total(values):\n    return -1",
        "sign": "def sign(x):\n    return 7",
        "box": "class Box:\n    def put(self, x): return Box()",
    },
    "mean": {**ALL, "total": "def total(values):\n    return float(np.mean(values))"},
    "half": {**ALL, "sign": "def sign(x):\n    return 1"},
    "raises": {**ALL, "total": "def total(values):\n    return values.nothing"},
    "no_name": {**ALL, "total": "pass"},
    "noisy": {**ALL, "double": f"import warnings\nwarnings.warn('!')\n{DOUBLE}"},
    "exits": {**ALL, "total": "def total(values):\n    raise SystemExit(0)"},
    "mute": {**ALL, "double": MUTE},
    "forged": {"double": FORGED},
    "dies": {**ALL, "double": DIES},
    "loops": {**ALL, "total": LOOPS},
    "stubborn": {**ALL, "total": STUBBORN},
    "thief": {**ALL, "double": THIEF, "sign": "pass"},
}


@dataclass
class Class:
    """A course, and what its class came to."""

    course: Course
    results: dict[str, Result]

    def cells(self, student: str) -> list[dict[str, Any]]:
        path = self.course.autograded(NAME, student) / f"{NAME}.ipynb"
        return json.loads(path.read_text("utf-8"))["cells"]

    def verdict(self, student: str, grade_id: str) -> dict[str, Any]:
        for cell in self.cells(student):
            if cell["metadata"].get("nbgrader", {}).get("grade_id") == grade_id:
                return cell["metadata"]["autograder"]
        raise AssertionError(grade_id)

    def page(self, student: str) -> str:
        return (self.course.feedback(NAME, student) / f"{NAME}.html").read_text("utf-8")


def make(root: Path, config: str) -> Course:
    notebook = tiny.source()
    cells = [tiny._solution("box", BOX)]
    cells += [
        tiny._test(name, 2, f"### BEGIN HIDDEN TESTS\n{text}\n### END HIDDEN TESTS")
        for name, text in INSIDE.items()
    ]
    for number, cell in enumerate(cells):
        cell.id = f"inside-{number}"
    notebook.cells[-1:-1] = cells
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "source", lambda: notebook)
        course = tiny.make_course(root, LIMITS + config)
    (root / "gradebook.secret").write_text("s" * 60)
    return course


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Class]:
    """The class with either trust, graded, and its feedback written."""
    found = {}
    for trust, config in (("separate", ""), ("shared", TRUST)):
        course = make(tmp_path_factory.mktemp(trust), config)
        for student, answers in CLASS.items():
            tiny.hand_in(course, student, answers)
        results = grading.grade(course, NAME, jobs=2)
        feedback.feedback(course, NAME, ["right", "thief"], jobs=2)
        found[trust] = Class(course, {result.student: result for result in results})
    return found


@pytest.fixture
def shared(classes: dict[str, Class]) -> Class:
    return classes["shared"]


@pytest.fixture
def separate(classes: dict[str, Class]) -> Class:
    return classes["separate"]


# What it is for.


def test_tests_that_reach_inside_pass_in_shared_mode_alone(shared: Class, separate: Class) -> None:
    assert {shared.results["right"].statuses[name] for name in INSIDE} == {"passed"}
    assert "passed" not in {separate.results["right"].statuses[name] for name in INSIDE}
    assert shared.results["wrong"].statuses["box_identity"] == "failed"


OUTSIDE = ("double_check", "double_hidden", "total_check", "total_hidden", "sign_parts")
HONEST = ("right", "stub", "wrong", "mean", "half", "raises", "no_name", "noisy", "exits", "mute")


@pytest.mark.parametrize("student", HONEST)
def test_every_other_score_and_verdict_is_that_of_separate_mode(
    shared: Class, separate: Class, student: str
) -> None:
    for name in OUTSIDE:
        ours, theirs = shared.verdict(student, name), separate.verdict(student, name)
        assert (ours["status"], ours["message"]) == (theirs["status"], theirs["message"]), name
    for question in ("double", "total", "sign"):
        ours_and_theirs = [c.results[student].questions[question] for c in (shared, separate)]
        assert ours_and_theirs[0] == ours_and_theirs[1], question


def test_scores_are_what_the_answers_deserve(shared: Class) -> None:
    def points(student: str) -> list[float | None]:
        return [shared.results[student].questions[q][0] for q in ("double", "total", "sign", "box")]

    assert points("right") == [3, 4, 2, POINTS]
    assert points("stub") == [0, 0, 0, 0]
    assert points("half") == [3, 4, 1, POINTS]
    assert points("mean") == [3, 0, 2, POINTS]
    assert points("mute") == [0, 4, 2, POINTS]
    assert points("exits") == [3, 0, 2, POINTS]
    assert shared.verdict("stub", "total_hidden")["status"] == "not attempted"


def test_there_are_no_hints_in_shared_mode(shared: Class, separate: Class) -> None:
    """They are found from what crossed the wall, and nothing did."""
    assert separate.results["mean"].hints
    assert not shared.results["mean"].hints


# What it costs.


def test_a_known_forgery_passes_in_shared_mode_and_fails_in_separate(
    shared: Class, separate: Class
) -> None:
    assert shared.results["forged"].score == shared.results["right"].score
    assert shared.results["forged"].statuses["total_hidden"] == "passed"
    assert separate.results["forged"].score == 0


def test_a_test_that_runs_can_be_read_in_shared_mode_but_not_in_separate(
    shared: Class, separate: Class
) -> None:
    def printed(which: Class) -> str:
        return json.dumps([cell.get("outputs") for cell in which.cells("thief")])

    assert "a point each" in printed(shared)
    assert "a point each" not in printed(separate)
    # Even so, the student is not shown it.
    assert "a point each" not in shared.page("thief")


# What stays as it is.


def test_a_process_that_ends_in_a_test_costs_that_test_and_no_other(shared: Class) -> None:
    result = shared.results["dies"]
    assert result.statuses["double_check"] == result.statuses["double_hidden"] == "stopped"
    assert result.questions["double"][0] == 0
    assert result.score == shared.results["right"].score - 3
    assert "the student's process ended and was started again" in result.notes


@pytest.mark.parametrize("student", ["loops", "stubborn"])
def test_a_test_without_an_end_is_stopped_and_never_passes(shared: Class, student: str) -> None:
    result = shared.results[student]
    assert result.statuses["total_check"] == result.statuses["total_hidden"] == "timed out"
    assert result.questions["total"][0] == 0
    assert result.score == shared.results["right"].score - 4


# Every report says so.


def course_command(course: Course, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [COURSE, "--course-dir", course.root, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_terminal_says_so(shared: Class, separate: Class) -> None:
    done = course_command(shared.course, "grade", NAME)
    assert done.stderr.count(SHARED) == 1
    assert SHARED not in course_command(separate.course, "grade", NAME).stderr


def test_json_says_so(shared: Class, separate: Class) -> None:
    body = json.loads(course_command(shared.course, "grade", NAME, "--json").stdout)
    assert body["trust"] == "shared"
    assert body["caveats"] == [SHARED]
    assert all(result["caveats"] == [SHARED] for result in body["results"])
    body = json.loads(course_command(separate.course, "grade", NAME, "--json").stdout)
    assert (body["trust"], body["caveats"]) == ("separate", [])


def test_the_mark_the_notebook_and_the_feedback_say_so(shared: Class, separate: Class) -> None:
    def mark(which: Class) -> dict[str, Any]:
        path = which.course.autograded(NAME, "right") / MARK
        return json.loads(path.read_text("utf-8"))["result"]

    assert mark(shared)["caveats"] == [SHARED]
    assert mark(separate)["caveats"] == []
    words = "can read them and forge a pass"
    assert words in shared.cells("right")[0]["source"]
    assert words in shared.page("right")
    assert words not in json.dumps(separate.cells("right"))
    assert words not in separate.page("right")


def test_nbgraders_command_says_so_and_gives_the_same_scores(shared: Class, tmp_path: Path) -> None:
    course = make(tmp_path / "by_nbgrader", TRUST)
    shutil.copytree(
        shared.course.submitted(NAME, "half"), course.submitted(NAME, "half"), dirs_exist_ok=True
    )
    done = subprocess.run(
        [NBGRADER, "autograde", NAME], cwd=course.root, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert SHARED in done.stderr
    expected = {
        key: row for key, row in tiny.gradebook_of(shared.course).items() if key[0] == "half"
    }
    assert tiny.gradebook_of(course) == expected
    text = (course.autograded(NAME, "half") / f"{NAME}.ipynb").read_text("utf-8")
    assert "can read them and forge a pass" in text


def test_doctor_says_so(shared: Class, separate: Class) -> None:
    def trust(which: Class) -> doctor.Check:
        (check,) = [c for c in doctor.examine(lambda: which.course) if c.name == "trust"]
        return check

    assert trust(shared).detail == SHARED
    assert not trust(shared).ok
    assert not trust(shared).needed
    assert trust(separate).ok


def test_a_run_without_a_sandbox_is_a_caveat_too() -> None:
    assert caveats(shared=True, unsafe=True) == [SHARED, UNSAFE]
    assert caveats(shared=False, unsafe=False) == []
    found = [Result("ada", "graded", caveats=[UNSAFE]), Result("bob", "graded", caveats=[UNSAFE])]
    assert show.caveats(found) == [UNSAFE]


# The setting.


def test_a_cached_result_of_the_other_trust_is_not_used(shared: Class, tmp_path: Path) -> None:
    course = Course(Path(shutil.copytree(shared.course.root, tmp_path / "copy")))
    config = course.root / "nbgrader_config.py"
    config.write_text(config.read_text().replace(TRUST, ""))
    (again,) = grading.grade(course, NAME, ["forged"], jobs=1)
    assert again.status == "graded"
    assert again.score == 0
    assert again.caveats == []


def test_a_trust_that_is_none_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "nbgrader_config.py").write_text('c = get_config()\nc.Grading.trust = "none"\n')
    with pytest.raises(CourseError) as refused:
        Grading.of(Course(tmp_path))
    (line,) = str(refused.value).splitlines()
    assert "trust" in line
    assert "'separate'" in line
    assert "nbgrader_config.py" in line

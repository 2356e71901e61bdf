"""A grading can be repeated: the same submission meets the same hidden inputs, another one others.

What is recorded of it stays on the trusted side.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
from test_grading import SECRET, THIEF
from tiny import DOUBLE, NAME, RIGHT, TOTAL

from autograder import feedback, pool, show
from autograder import grade as grading
from autograder.course import Course
from autograder.grade import MARK, OTHER_INPUTS, Result, Setup

PICK = "def pick(words):\n    return [*words]"
ALL = {**RIGHT, "pick": PICK}
PICK_TEST = """
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(np.random.randint(2**31 - 1))
words = {f"w{i}" for i in rng.integers(0, 99, size=30)}
assert sorted(pick(words)) == sorted(words)
### END HIDDEN TESTS
"""
# They tell what they were given; a set in the order in which it arrived.
TELLS = {
    **ALL,
    "total": f"{TOTAL}\ntrue = total\ndef total(v):\n    print('TOLD', [*v]); return true(v)",
    "pick": f"{PICK}\ntrue_pick = pick\ndef pick(w):\n    print('TOLD', [*w]); return true_pick(w)",
}


def make(root: Path) -> Course:
    """Make a course with one more question, whose hidden test hands over a set of words."""
    cells = tiny.source

    def source() -> Any:
        notebook = cells()
        more = [tiny._solution("pick", PICK), tiny._test("pick_hidden", 2, PICK_TEST)]
        for number, cell in enumerate(more):
            cell.id = f"more-{number}"
        notebook.cells += more
        return notebook

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "source", source)
        course = tiny.make_course(root, "c.Grading.cell_seconds = 20")
    (course.root / "gradebook.secret").write_text(SECRET)
    return course


@pytest.fixture(scope="module")
def graded(tmp_path_factory) -> tuple[Course, dict[str, Result]]:
    course = make(tmp_path_factory.mktemp("repeat") / "course")
    for student in ("one", "two"):
        tiny.hand_in(course, student, {**TELLS, "essay": f"It is {student}."})
    tiny.hand_in(course, "sets", {**ALL, "double": f"{DOUBLE}\nprint(set('abcdefgh'))"})
    tiny.hand_in(course, "thief", {**ALL, "sign": f"{ALL['sign']}\n{thief(course)}"})
    found = grading.grade(course, NAME, jobs=2)
    return course, {result.student: result for result in found}


def thief(course: Course) -> str:
    """Return a cell that looks for what is recorded, and for what makes the seeds."""
    wanted = {
        "which secret": Setup.read(course, NAME).seeds,
        "hash seed": pool._hash_seed(SECRET.encode(), "grader"),
    }
    # Patterns that do not match themselves.
    lines = [
        f"    {name!r}: {text[:-1] + '[' + text[-1] + ']'!r}," for name, text in wanted.items()
    ]
    return THIEF.replace("patterns = {", "\n".join(["patterns = {", *lines]))


def told(course: Course, student: str) -> list[str]:
    path = course.autograded(NAME, student) / f"{NAME}.ipynb"
    shown = [o for c in json.loads(path.read_text())["cells"] for o in c.get("outputs", [])]
    return re.findall(r"TOLD (.*)", "\n".join(str(o.get("text", "")) for o in shown))


def again(course: Course, root: Path, names: list[str], secret: str) -> dict[str, Result]:
    """Grade a copy of the course anew, by one job in this order."""
    shutil.copytree(course.root, root)
    (root / "gradebook.secret").write_text(secret)
    found = grading.grade(Course(root), NAME, names, jobs=1, force=True)
    return {result.student: result for result in found}


def test_a_repeated_run_meets_the_same_inputs(graded, tmp_path) -> None:
    course, first = graded
    second = again(course, tmp_path / "course", ["two", "sets", "one"], SECRET)
    for student, result in second.items():
        assert result.status == "graded"
        assert (result.inputs, result.seeds) == (first[student].inputs, first[student].seeds)
        assert result.notes == []
        # What they were told, and in what order their own sets stand.
        place = f"autograded/{student}/{NAME}/{NAME}.ipynb"
        assert (course.root / place).read_text() == (tmp_path / "course" / place).read_text()
    assert len(told(course, "one")) == 3


def test_another_student_or_another_secret_meets_others(graded, tmp_path) -> None:
    course, first = graded
    one, two = told(course, "one"), told(course, "two")
    # The visible check's is the same for everybody.
    assert [a == b for a, b in zip(one, two, strict=True)] == [True, False, False]
    assert first["one"].inputs != first["two"].inputs
    assert first["one"].seeds == first["two"].seeds
    second = again(course, tmp_path / "course", ["one"], "0" * 64)
    assert second["one"].inputs != first["one"].inputs
    assert second["one"].seeds != first["one"].seeds
    assert second["one"].notes == []  # nobody says that it is the same run


def test_another_helper_file_meets_others(tmp_path) -> None:
    # Else code in one could be handed in time and again, and learn the inputs by its verdicts.
    course = make(tmp_path / "course")
    answers = {**TELLS, "essay": "The same."}
    for student, text in (("one", "A = 1"), ("two", "A = 2"), ("three", "A = 2")):
        tiny.hand_in(course, student, answers, files=[("own.py", text)])
    tiny.hand_in(course, "four", answers, files=[("other.py", "A = 2")])
    found = {r.student: r.inputs for r in grading.grade(course, NAME, jobs=1)}
    assert found["two"] == found["three"]
    others = [found[student][NAME] for student in ("one", "two", "four")]
    assert len(set(others)) == 3
    assert told(course, "one")[0] == told(course, "two")[0]  # the visible check's
    assert told(course, "one")[1:] != told(course, "two")[1:]


def test_the_record_is_sealed_with_the_result_and_shown_as_json(graded) -> None:
    course, first = graded
    result = first["one"]
    mark = json.loads((course.autograded(NAME, "one") / MARK).read_text())
    assert mark["result"]["inputs"] == result.inputs
    assert mark["result"]["seeds"] == result.seeds
    shown = json.loads(show.as_json(NAME, [result], "separate"))["results"][0]
    assert (shown["inputs"], shown["seeds"]) == (result.inputs, result.seeds)


def test_a_run_that_cannot_be_repeated_says_so(tmp_path, monkeypatch) -> None:
    unseeded = PICK_TEST.replace("default_rng(np.random.randint(2**31 - 1))", "default_rng()")
    assert unseeded != PICK_TEST
    monkeypatch.setattr("test_repeat.PICK_TEST", unseeded)
    course = make(tmp_path / "course")
    tiny.hand_in(course, "one", ALL)
    tiny.hand_in(course, "ends", {**ALL, "pick": "import os\ndef pick(words):\n    os._exit(1)"})
    assert [r.notes for r in grading.grade(course, NAME)] == [[], []]
    notes = {r.student: r.notes for r in grading.grade(course, NAME, force=True)}
    assert notes == {"one": [OTHER_INPUTS], "ends": []}  # that one was cut short


def test_nothing_of_the_record_is_where_a_student_looks(graded) -> None:
    course, first = graded
    secrets = [SECRET, first["thief"].seeds, *first["thief"].inputs.values()]
    secrets.append(pool._hash_seed(SECRET.encode(), "grader"))
    notebook = (course.autograded(NAME, "thief") / f"{NAME}.ipynb").read_text()
    assert "control" in re.findall(r"FOUND (\{.*?\})", notebook)[0]
    assert re.findall(r"FOUND \{(.*?)\}", notebook)[0].count(":") == 1
    page = feedback.write_page(course.root, NAME, "thief").path
    assert page is not None
    assert not (page.parent / MARK).exists()
    files = [path for path in page.parent.rglob("*") if path.is_file()]
    for path in [*files, course.autograded(NAME, "thief") / f"{NAME}.ipynb"]:
        text = path.read_text("utf-8", "replace")
        assert not [secret for secret in secrets if secret in text], path
    # The control: this is where a TA looks.
    mark = (course.autograded(NAME, "thief") / MARK).read_text()
    assert [secret in mark for secret in secrets] == [False, True, True, False]

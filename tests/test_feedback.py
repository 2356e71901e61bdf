"""What a student sees of their grade: verdicts, hints and comments; never a hidden test."""

from __future__ import annotations

import html
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
import tiny
from jinja2 import Template
from nbgrader.api import Gradebook
from tiny import NAME, RIGHT

from autograder import feedback as pages
from autograder import grade as grading
from autograder.course import Course
from autograder.errors import CourseError, UsageError
from autograder.seam import HideTests, _verdict

PRINTS = "def total(values):\n    print('I was given', list(values))\n    return sum(values) / 5"
SAYS = "def sign(x):\n    raise ValueError('the input was <b>%r</b>' % x)"
TELLS = "def double(x):\n    raise type(f'I_saw_{x}'.replace('.', '_'), (Exception,), {})"
STUDENTS = {
    "right": RIGHT,
    "mean": {**RIGHT, "total": "def total(values):\n    return float(np.mean(values))"},
    "spy": {**RIGHT, "total": PRINTS, "sign": SAYS, "double": TELLS},
    "chooses": {
        **RIGHT,
        "total": "def total(values):\n    raise BlockingIOError",
        "sign": "def sign(x):\n    raise np.linalg.LinAlgError",
        "double": "def double(x):\n    return [][x]",
    },
    "stub": {},
    "loop": {**RIGHT, "total": "def total(values):\n    while True: pass"},
    "pages": RIGHT,
    "markup": {
        **RIGHT,
        "essay": "<script>alert(1)</script> <b>because</b> ![plot](attachment:a.png)",
    },
}
STEALS = "<script>alert(1)</script>"
THEIR_FILES = ["a.html", f"{NAME}.html", "b.html/c.html", *(f"many/{n}.py" for n in range(25))]
HIDDEN = [
    line.strip()
    for cell in tiny.source().cells
    for region in re.findall(r"### BEGIN (?:HIDDEN|MARK).*?\n(.*?)### END", cell.source, re.DOTALL)
    for line in region.splitlines()
]


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Course:
    course = tiny.make_course(tmp_path_factory.mktemp("feedback"), "c.Grading.cell_seconds = 2\n")
    for student, answers in STUDENTS.items():
        secret = {"timestamp.txt": "2026-03-01 02:30:00 UTC", "submission_secret.txt": student}
        tiny.hand_in(course, student, answers, files=secret.items())
    tiny.hand_in(course, "pages", RIGHT, files=[(name, STEALS) for name in THEIR_FILES])
    grading.grade(course, NAME, jobs=2)
    with Gradebook(course.db_url) as gradebook:
        essay = gradebook.find_grade("essay", NAME, NAME, "right")
        essay.manual_score, essay.needs_manual_grade = 1.5, False
        comment = gradebook.find_comment("essay", NAME, NAME, "right")
        comment.manual_comment = "Well put & <em>short</em>."
        gradebook.db.commit()
    found = pages.feedback(course, NAME, jobs=2)
    assert [page.message for page in found if page.path is None] == []
    return course


def text_of(course: Course, student: str) -> str:
    (path,) = course.feedback(NAME, student).glob("*.html")
    return path.read_text("utf-8")


def read(course: Course, student: str) -> str:
    """Return a page's text as a reader sees it."""
    body = text_of(course, student).partition("<body")[2]
    return html.unescape(re.sub(r"<[^>]+>", "", body))


def test_there_are_hidden_lines_to_look_for() -> None:
    assert tiny.SECRET_LINE in HIDDEN
    assert "any reason" in HIDDEN
    assert len(HIDDEN) == 9


@pytest.mark.parametrize("student", STUDENTS)
def test_no_hidden_line_is_in_a_page(course, student: str) -> None:
    page, seen = text_of(course, student), read(course, student)
    graded = (course.autograded(NAME, student) / f"{NAME}.ipynb").read_text()
    assert "expected_secret_total" in graded, "the control: the TA's notebook has the hidden tests"
    for line in HIDDEN:
        assert line not in seen
        assert html.escape(line) not in page
    for word in ("expected_secret", "HIDDEN TESTS", "MARK SCHEME", "any reason", "default_rng"):
        assert word not in page


def test_what_student_code_prints_or_raises_in_a_hidden_test_is_not_shown(course) -> None:
    graded = (course.autograded(NAME, "spy") / f"{NAME}.ipynb").read_text()
    assert graded.count("I was given") >= 2, "the control: the TA sees it"
    seen = read(course, "spy")
    numbers = re.findall(r"I was given \[([^\]]*)\]", seen)
    assert numbers in ([], ["1, 2, 3"]), "only the visible check's own numbers"
    assert "np.float64" not in seen
    assert "I_saw_" not in re.sub(r"I_saw_2\b|I_saw_\{x\}", "", seen)
    assert "the input was <b>3" not in seen


def test_a_usual_exception_is_named_and_no_other_one(course) -> None:
    """A choice among all of Python's names would be a way to tell a hidden input."""
    seen = read(course, "chooses")
    assert "failed: your code raised IndexError" in seen
    assert "failed: your code raised ValueError" in seen, "what LinAlgError extends"
    assert "failed: your code raised an exception of its own" in seen
    assert "raised BlockingIOError" not in seen


def test_one_point_is_no_points(course) -> None:
    assert "11 points" in read(course, "right")
    head = (pages.TEMPLATES / "verdicts" / "index.html.j2").read_text().partition("</h1>")[0]
    shown = Template("<h1" + head.partition("<h1")[2])
    worth = {"notebook": NAME, "score": 0.5, "max_score": 1}
    assert shown.render(resources={"nbgrader": worth}).endswith("0.5 of 1 point")


def test_a_page_of_the_students_own_is_not_taken_for_the_feedback(course) -> None:
    """nbgrader releases every *.html, and stops the class's at one that is a folder."""
    copied = {path.name for path in course.autograded(NAME, "pages").iterdir()}
    assert copied >= {"a.html", f"{NAME}.html", "b.html", grading.MARK}, "the control"
    page = pages.write_page(course.root, NAME, "pages")
    assert page.path == course.feedback(NAME, "pages") / f"{NAME}.html"
    assert "passed" in read(course, "pages")


def test_what_is_released_is_the_pages_and_nothing_else(course, tmp_path) -> None:
    """The mark of a graded submission holds its seal; a student's own page holds anything."""
    copy = Course(Path(shutil.copytree(course.root, tmp_path / "course")))
    shutil.rmtree(copy.feedback(NAME, "pages"))
    with (copy.root / "nbgrader_config.py").open("a") as config:
        config.write(f"c.Exchange.root = {str(tmp_path / 'exchange')!r}\n")
    (tmp_path / "exchange").mkdir(mode=0o777)
    (tmp_path / "exchange").chmod(0o777)
    for command in ("generate_feedback", "release_feedback"):
        program = Path(sys.executable).parent / "nbgrader"
        done = subprocess.run(
            [program, command, NAME], cwd=copy.root, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stderr[-3000:]
    for folder in (course.root / "feedback", copy.root / "feedback"):
        assert not list(folder.rglob(grading.MARK))
    released = [path for path in (tmp_path / "exchange").rglob("*") if path.is_file()]
    assert len(released) == len(STUDENTS)
    assert {path.suffix for path in released} == {".html"}
    assert not [path for path in released if path.read_text("utf-8") == STEALS]


def test_what_was_left_out_is_said_on_the_page(course) -> None:
    seen = read(course, "pages")
    assert "left out when this was graded: many/24.py" in seen
    assert "(more than 20 files)" in seen
    assert "left out when" not in read(course, "right")


def test_verdicts_are_words_for_a_student(course) -> None:
    assert "passed" in read(course, "right")
    assert "failed: a check did not hold" in read(course, "mean")
    assert "not attempted: the stub still stands here" in read(course, "stub")
    assert "timed out: your code did not finish in the time" in read(course, "loop")


def test_a_known_mistake_shows_its_hint_and_only_there(course) -> None:
    hint = "Hint: This is the mean: divide by nothing."
    assert [student for student in STUDENTS if hint in read(course, student)] == ["mean"]


def test_scores_and_comments_of_people_are_shown(course) -> None:
    seen = read(course, "right")
    assert "10.5 of 11 points" in seen
    assert "Well put" in seen
    assert "No response." in read(course, "stub")


@pytest.mark.parametrize("student", STUDENTS)
def test_no_script_of_a_student_is_in_a_page(course, student: str) -> None:
    assert "alert(1)</script>" not in text_of(course, student)
    assert "<script>alert" not in text_of(course, student)


def test_several_jobs_write_the_same_pages_as_one(course, tmp_path) -> None:
    before = {student: text_of(course, student) for student in STUDENTS}
    copy = Course(Path(shutil.copytree(course.root, tmp_path / "course")))
    shutil.rmtree(copy.root / "feedback")
    seen: list[int] = []
    found = pages.feedback(copy, NAME, jobs=1, watch=lambda page, total: seen.append(total))
    assert [page.student for page in found] == sorted(STUDENTS)
    assert seen == [len(STUDENTS)] * len(STUDENTS)
    assert {student: text_of(copy, student) for student in STUDENTS} == before


def test_one_page_that_cannot_be_written_is_said_and_the_others_are(course, tmp_path) -> None:
    copy = Course(Path(shutil.copytree(course.root, tmp_path / "course")))
    (copy.autograded(NAME, "mean") / f"{NAME}.ipynb").write_text("{}")
    found = {page.student: page for page in pages.feedback(copy, NAME, ["mean", "right"], jobs=1)}
    assert found["right"].path is not None
    assert found["mean"].path is None
    assert "no feedback for mean" in found["mean"].message
    assert "\n" not in found["mean"].message


def killed_at_mean(root: Path, assignment: str, student: str) -> pages.Page:
    if student == "mean":
        os.kill(os.getpid(), signal.SIGKILL)
    return pages.Page(student, root)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_page_whose_process_is_killed_is_said_and_the_others_are_written(
    course, monkeypatch, jobs
) -> None:
    monkeypatch.setattr(pages, "write_page", killed_at_mean)
    found = {page.student: page for page in pages.feedback(course, NAME, jobs=jobs)}
    assert sorted(found) == sorted(STUDENTS)
    assert [name for name, page in found.items() if page.path is None] == ["mean"]
    assert "no feedback for mean: the process that wrote it was killed" in found["mean"].message


def test_feedback_is_for_those_who_were_graded(course, tmp_path) -> None:
    with pytest.raises(UsageError, match=f"nobody has no graded {NAME}"):
        pages.feedback(course, NAME, ["nobody"])
    copy = Course(Path(shutil.copytree(course.root, tmp_path / "course")))
    shutil.rmtree(copy.root / "autograded")
    with pytest.raises(CourseError, match=f"course grade {NAME}"):
        pages.feedback(copy, NAME)


def test_a_verdict_is_escaped_wherever_its_words_come_from() -> None:
    output = _verdict({"status": "failed", "message": "<i>", "hints": ["use `a<b` & <script>"]})
    shown: dict[str, Any] = output["data"]
    assert "<i>" not in shown["text/html"]
    assert "<script>" not in shown["text/html"]
    assert "<code>a&lt;b</code> &amp; &lt;script&gt;" in shown["text/html"]
    assert shown["text/plain"] == "failed: <i>\nHint: use `a<b` & <script>"


def a_cell(source: str, **mark: object) -> nbformat.NotebookNode:
    output = nbformat.v4.new_output("stream", name="stdout", text="printed")
    cell = nbformat.v4.new_code_cell(source, outputs=[output])
    metadata: dict = {"nbgrader": {"grade": False, "solution": False, "grade_id": "t", **mark}}
    if mark.get("grade"):
        metadata["autograder"] = {"status": "failed", "message": "m", "hints": []}
    cell.metadata = nbformat.from_dict(metadata)
    return cell


def test_outputs_stay_up_to_the_first_hidden_test_and_verdicts_stay_after_it() -> None:
    cells = [
        a_cell("def f(): ...", solution=True),
        a_cell("assert a", grade=True),
        a_cell("assert a\n### BEGIN HIDDEN TESTS\nassert b\n### END HIDDEN TESTS", grade=True),
        a_cell("print(remembered)", solution=True),
        a_cell("plot()"),
        a_cell("assert c", grade=True),
    ]
    notebook, _ = HideTests().preprocess(nbformat.v4.new_notebook(cells=cells), {})
    assert notebook.cells[2].source == "assert a"
    assert [[output.output_type for output in cell.outputs] for cell in notebook.cells] == [
        ["stream"],
        ["display_data", "stream"],
        ["display_data"],
        [],
        [],
        ["display_data"],
    ]

"""What a student tried who had read the engine: a class of attacks, graded once by the real one.

Each test says what would be gained or broken, and holds a control: something honest that differs
from the attack only in being honest, or a word that must be found where it may be.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import tiny
from tiny import DOUBLE, NAME, RIGHT, SIGN

from autograder import feedback, show
from autograder import grade as grading
from autograder.course import Course
from autograder.grade import Result
from autograder.grader import inert
from autograder.sheet import MAX_CELLS

CONFIG = """
c.Grading.cell_seconds = 2
c.Grading.total_seconds = 30
c.Grading.memory_mb = 400
"""
PICK = "def pick(values):\n    return list(values)"
ALL = {**RIGHT, "pick": PICK}

TESTS = [
    (
        "pick_sum",
        "### BEGIN HIDDEN TESTS\nseen = 0\nfor value in pick([3, 1, 2]):\n    seen += value\n"
        "assert seen == 6\n### END HIDDEN TESTS",
    ),
    (
        "pick_share",
        "### BEGIN HIDDEN TESTS\nvalues = np.arange(3.0)\n"
        "2 - np.sum((np.asarray(pick(values.copy())) - values) ** 2)\n### END HIDDEN TESTS",
    ),
    (
        "pick_total",
        "### BEGIN HIDDEN TESTS\nassert sum(pick([3, 1, 2])) == 6\n### END HIDDEN TESTS",
    ),
    ("pick_check", "got = pick([1])\nassert got == [1], f'you have {got}'"),
]

STUDENT = """
import gc
me = next(o for o in gc.get_objects() if type(o).__name__ == "Student")
"""
PICTURE = "'iVBORw0KGgo' + 'A' * (2**20 - 11)"
FLOOD = f"""{STUDENT}
show = [{{'output_type': 'display_data', 'data': {{'image/png': {PICTURE}}}}}] * 55
run = type(me)._do_run
type(me)._do_run = lambda s, *a: [*run(s, *a)[:2], show]
"""

LINKS = """
[honest](https://example.org/page) [a](javascript:alert(1)) [b](JaVa&#115;cript:alert(1))
[c](javascript\\:alert(1)) [d](javascript&colon;alert(1)) ![e](vbscript:x) [f]
[g](<\tjavascript:alert(1)>) <javascript:alert(1)>

[f]: javascript:alert(2)

$a<b$

```mermaid
graph TD; A["<img src=x onerror=alert(1)>"] --> B%%</pre><script>alert(1)</script>
```
$\\unicode{<script>}$ \\begin{x}<img src=x onerror=alert(1)>\\end{x} <\\script>alert(6)<\\/script>
"""

# A function that remembers what it is given in a hidden test.
REMEMBERS = "LOG = []\ndef total(values):\n    LOG.append(list(values))\n    return sum(values)"

CLASS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "right": (ALL, {}),
    "real": ({**ALL, "pick": "def pick(values): return [1e3, 1, 1]"}, {}),
    "imaginary": ({**ALL, "pick": "def pick(values): return [1e3j, 1, 1]"}, {}),
    "imaginary_tensor": (
        {
            **ALL,
            "pick": "import torch\ndef pick(values): return torch.tensor([1e3j, 1, 1])",
        },
        {},
    ),
    "endless": ({**ALL, "pick": "def pick(values): return range(10**18)"}, {}),
    "device": (
        {"double": "import torch\ndouble = pick = sign = total = torch.device('cpu')"},
        {},
    ),
    "flood": ({**ALL, "double": f"{DOUBLE}\n{FLOOD}"}, {}),
    "links": ({**ALL, "essay": LINKS}, {}),
    "error_names": (
        {
            **ALL,
            "double": f"{DOUBLE}\nraise type('<img src=x onerror=alert(1)>', (Exception,), {{}})"
            "('<script>alert(7)</script>\\x1b[38;2;<script>m')",
        },
        {},
    ),
    "many_cells": (
        ALL,
        {
            "change": lambda n: n["cells"].extend(
                {"cell_type": "raw", "metadata": {}, "source": ""} for _ in range(MAX_CELLS)
            )
        },
    ),
    "file_names": (
        ALL,
        {
            "files": [
                ("a\x1b]0;x\x07.html", "<script>"),
                ("new\nline.py", ""),
                ("$(touch x)", ""),
                ("-rf", ""),
                (f"{NAME}.html", "<script>"),
            ]
        },
    ),
    "remembers": (
        {**ALL, "total": REMEMBERS, "sign": f"{SIGN}\nprint('REMEMBERED', LOG[-1])"},
        {},
    ),
    "honest_print": ({**ALL, "sign": f"{SIGN}\nprint('PRINTED', sign(3))"}, {}),
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory) -> tuple[Course, dict[str, Result]]:
    """The class, graded, and its feedback written."""
    notebook = tiny.source()
    cells = [tiny._solution("pick", PICK)]
    cells += [tiny._test(name, 2, text) for name, text in TESTS]
    for number, cell in enumerate(cells):
        cell.id = f"pick-{number}"
    notebook.cells[-1:-1] = cells
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "source", lambda: notebook)
        course = tiny.make_course(tmp_path_factory.mktemp("attacks"), CONFIG)
    for student, (answers, options) in CLASS.items():
        tiny.hand_in(course, student, answers, **options)
    folder = course.submitted(NAME, "misnamed")
    folder.mkdir(parents=True)
    for name in (
        b"a\x1b]0;x\x07\x1b[2J\nfake: line [red].ipynb",
        b"\xff.ipynb",
        "ü.ipynb".encode(),
    ):
        Path(os.fsdecode(os.path.join(os.fsencode(folder), name))).write_text("{}")
    results = grading.grade(course, NAME, jobs=2)
    feedback.feedback(course, NAME, jobs=2)
    return course, {result.student: result for result in results}


def page(graded, student: str) -> str:
    return (graded[0].feedback(NAME, student) / f"{NAME}.html").read_text("utf-8")


class _Active(HTMLParser):
    """Collects what a browser would run, or follow to a script."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "object", "embed", "base", "form", "svg"):
            self.found.append(repr((tag, attrs)))
        for name, value in attrs:
            where = re.sub(r"[\x00-\x20]", "", value or "").lower()
            if name.startswith("on") or where.startswith(("javascript:", "vbscript:")):
                self.found.append(repr((tag, name, value)))
            if name == "href":
                self.links.append(where)


def active(text: str) -> _Active:
    parser = _Active()
    parser.feed(text)
    return parser


# Points.


@pytest.mark.parametrize("student", ["imaginary", "imaginary_tensor"])
def test_an_imaginary_answer_is_not_worth_more_than_a_wrong_one(graded, student: str) -> None:
    """The square of an imaginary error is negative: `2 - sum(error**2)` was full points."""
    results = graded[1]
    assert results["right"].questions["pick"] == [8.0, 8.0]
    assert results["real"].questions["pick"] == [0.0, 8.0]
    assert results[student].questions["pick"] == [0.0, 8.0], results[student].statuses


def test_a_value_that_never_ends_costs_its_question_alone(graded) -> None:
    """`range(10**18)` is plain data, and the loop over it is the test's own."""
    result = graded[1]["endless"]
    assert result.status == "graded"
    assert result.statuses["pick_sum"] == "timed out"
    assert result.score == graded[1]["right"].score - 8


def test_c_code_of_a_test_that_never_ends_costs_its_question_alone(graded) -> None:
    """`sum(range(10**18))` looks at no signal: only its process's end stops it."""
    result = graded[1]["endless"]
    assert result.statuses["pick_total"] == "timed out"
    assert result.statuses["total_hidden"] == result.statuses["sign_parts"] == "passed"
    assert (result.message, graded[1]["right"].statuses["pick_total"]) == ("", "passed")


def test_plain_data_that_can_be_called_passes_for_no_function(graded) -> None:
    """A `torch.device` crosses as data, and a call of it gives back a function of torch's."""
    result = graded[1]["device"]
    assert result.status == "graded"
    assert result.score == 0
    assert "passed" not in result.statuses.values()


# The grader and the run.


def test_a_flood_of_outputs_leaves_the_submission_gradable(graded) -> None:
    """A frame of pictures for each cell made a notebook too large to hand over: no grade at all."""
    course, results = graded
    assert results["flood"].status == "graded", results["flood"].message
    assert results["flood"].score == results["right"].score
    text = (course.autograded(NAME, "flood") / f"{NAME}.ipynb").read_text("utf-8")
    assert "MiB of outputs are not shown" in text
    assert len(text) < 32 * 2**20


def test_a_notebook_of_thousands_of_cells_is_refused(graded) -> None:
    """Feedback for one of half a million cells took longer than anybody waits."""
    assert graded[1]["many_cells"].status == "refused"
    assert f"(limit {MAX_CELLS})" in graded[1]["many_cells"].message
    assert graded[1]["right"].status == "graded"


def test_a_page_that_takes_too_long_is_given_up(graded, monkeypatch) -> None:
    root = graded[0].root
    monkeypatch.setattr(feedback, "PAGE_SECONDS", 0.01)
    late = feedback.write_page(root, NAME, "right")
    assert late.path is None
    assert "not done in" in late.message
    monkeypatch.undo()
    assert feedback.write_page(root, NAME, "right").path is not None


def test_odd_file_names_beside_the_notebook_do_no_harm(graded) -> None:
    course, results = graded
    assert results["file_names"].score == results["right"].score
    names = {path.name for path in course.autograded(NAME, "file_names").iterdir()}
    assert {"new\nline.py", "-rf", "$(touch x)"} <= names
    assert not list(course.root.rglob("x"))
    # A file of theirs by the page's name does not take the page's place.
    assert "passed" in page(graded, "file_names")


# Those who look.


@pytest.mark.parametrize("word", ["javascript", "java\tscript", "Java\nScript", "v\r\nbscript\t"])
def test_no_link_in_a_formula_is_a_script(word) -> None:
    # MathJax makes a link of it as it stands, and a browser drops tabs and line breaks.
    shown = inert("markdown", f"see $\\href{{{word}:alert(1)}}{{x}}$ and $a:b$")
    address = re.search(r"href\{(.*?)\}", shown, re.DOTALL)
    assert address
    assert not re.match("[a-z]+:", re.sub(r"[\t\r\n]", "", address[1]), re.IGNORECASE)
    assert shown.endswith("$a:b$")


@pytest.mark.parametrize("student", ["links", "error_names"])
def test_no_link_and_no_name_of_a_student_is_a_script_in_a_page(graded, student: str) -> None:
    clean = active(page(graded, "right"))
    found = active(page(graded, student))
    assert found.found == clean.found
    if student == "links":
        assert "$a&lt; b$" in page(graded, student)  # an honest formula stays one
        assert "https://example.org/page" in found.links


def test_the_search_for_scripts_finds_one() -> None:
    text = "<a href='java\tscript:x'>a</a><img src=x onerror=y><script></script>"
    assert len(active(text).found) == 3


def test_a_file_name_cannot_command_the_terminal(graded, monkeypatch) -> None:
    """Names of notebooks in the place of the one that is missing are told to the TA."""
    course, results = graded
    message = results["misnamed"].message
    assert "ü.ipynb" in message
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(out):
        show.results(course, NAME, [*results.values()], 1.0)
        out.flush()
    told = out.buffer.getvalue().decode("utf-8")
    (line,) = [text for text in told.splitlines() if "misnamed:" in text]
    assert "ü.ipynb" in line
    assert "fake: line [red].ipynb" in line
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", told)


def test_course_grade_says_so_in_a_terminal_as_well(graded) -> None:
    course, _ = graded
    done = subprocess.run(
        [Path(sys.executable).parent / "course", "grade", NAME, "--student", "misnamed"],
        cwd=course.root,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"Traceback" not in done.stderr
    assert b"this is a bug" not in done.stderr


def test_a_hidden_input_does_not_come_back_in_a_later_cell_of_theirs(graded) -> None:
    """A function remembered what a hidden test gave it, and a later cell printed that."""
    course, results = graded
    assert results["remembers"].statuses["total_hidden"] == "passed"
    for student, words in {"remembers": r"REMEMBERED \[", "honest_print": "PRINTED 1"}.items():
        kept = (course.autograded(NAME, student) / f"{NAME}.ipynb").read_text("utf-8")
        assert re.search(words, kept), "it was printed, and the TA sees it"
    assert not re.search(r"REMEMBERED \[", page(graded, "remembers"))
    # What is shown before the first hidden test can hold none of it.
    assert page(graded, "error_names").count("alert(7)") > 1  # in the source, and shown

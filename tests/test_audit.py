"""`course audit` on a tiny course: a strong test kills what a weak one lets live."""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions

from autograder import audit as auditing
from autograder import cli, matrix
from autograder.audit import Audit, Case, Outcome, Question
from autograder.build import build
from autograder.course import Course
from autograder.errors import CourseError
from autograder.mutants import Mutant
from autograder.sheet import Sheet
from tests import tiny

ALTERNATIVES = '''
from autograder.variants import variant


@variant("double")
def double_by_adding(x):
    """The sum of a number and itself."""
    return x + x
'''
MENDED = "assert [sign(0), sign(0.5), sign(-0.5)] == [0, 1, -1]\nint(got[0] == 1)"
LISTED = """
[[sign]]
old = "return (x > 0) - (x < 0)"
new = "return (x  >= 0) - (x < 0)"
why = "It would be, if nobody asked for the sign of zero."
"""

Run = Callable[..., tuple[int, str, str]]


def source(**changes: tuple[str, str]) -> NotebookNode:
    """The tiny course's notebook with a text of some cells replaced, by grade id."""
    notebook = tiny.source()
    for cell in notebook.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        if grade_id in changes:
            old, new = changes[grade_id]
            assert old in cell.source
            cell.source = cell.source.replace(old, new)
    return notebook


def sheet_of(notebook: NotebookNode) -> Sheet:
    release, _ = ClearSolutions().preprocess(copy.deepcopy(notebook), {})
    release, _ = ClearHiddenTests().preprocess(release, {})
    texts = [nbformat.writes(one).encode() for one in (notebook, release)]
    return Sheet.parse(tiny.NAME, tiny.NAME, *texts)


def questions_of(sheet: Sheet) -> list[Question]:
    return [*auditing._questions(sheet)]


def run(capsys: pytest.CaptureFixture, course: Course, *arguments: str) -> tuple[int, str, str]:
    """Run `course audit` there; return exit code, stdout and stderr."""
    command = ["course", "--course-dir", str(course.root), "audit", *arguments]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as caught:
            cli.main()
    output = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, output.out, output.err


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return tiny.make_course(tmp_path)


def of(found: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [one for one in found["audits"][0]["outcomes"] if one["kind"] == kind]


def test_a_weak_test_lets_mutants_live_and_the_mended_one_kills_them(
    course: Course, capsys: pytest.CaptureFixture
) -> None:
    """The tiny course never asks for the sign of 0, or of a number between -1 and 1."""
    (course.source(tiny.NAME) / "alternatives.py").write_text(ALTERNATIVES)
    equivalents = course.source(tiny.NAME) / "equivalents.toml"
    equivalents.write_text(LISTED)
    page = course.root / "matrix.html"
    options = (tiny.NAME, "--json", "--runs", "2", "--jobs", "1")
    code, out, _ = run(capsys, course, *options, "--html", str(page))
    weak = json.loads(out)
    assert code == 1
    assert not weak["met"]
    mutants = of(weak, "mutant")
    alive = {m["new"] for m in mutants if not m["failed"] and not m["note"]}
    assert "return (x > 0) - (x <= 0)" in alive
    assert len(alive) == 5
    assert {m["question"] for m in mutants if not m["failed"]} == {"sign"}
    assert [m["new"] for m in mutants if m["note"]] == ["return (x >= 0) - (x < 0)"]
    # Each of the others is as it should be: the mutants alone are below the bar.
    assert [line["text"].split(":")[0] for line in weak["audits"][0]["bar"] if not line["met"]] == [
        "mutants"
    ]
    assert weak["audits"][0]["shortfalls"] == []
    assert [one["failed"] for one in of(weak, "solution")] == [[]] * 5  # two runs, three questions
    assert [one["failed"] for one in of(weak, "alternative")] == [[]]
    # Without a visible check of its own there is nothing to copy.
    assert [(c["name"], c["failed"]) for c in of(weak, "cheat")] == [
        ("double", ["double_hidden"]),
        ("total", ["total_hidden"]),
    ]
    hinted = {
        m["name"]: m["question"] for m in of(weak, "misconception") if m["hints"] == [m["note"]]
    }
    assert hinted == {"total_is_mean": "total", "double_squares": "double"}
    check_page(page.read_text("utf-8"), weak)

    notebook = source(sign_parts=("int(got[0] == 1)", MENDED))
    nbformat.write(notebook, course.source(tiny.NAME) / f"{tiny.NAME}.ipynb")
    build(course, tiny.NAME)
    code, out, _ = run(capsys, course, *options)
    mended = json.loads(out)
    assert code == 1
    assert {m["question"] for m in of(mended, "mutant") if not m["failed"]} == set()
    (line,) = mended["audits"][0]["stale"]
    assert line.startswith("sign ")
    assert line.endswith("is listed, but sign_parts notices it")

    equivalents.unlink()
    code, out, err = run(capsys, course, tiny.NAME, "--fast", "--jobs", "1")
    assert code == 0
    assert err == ""
    assert "✓ mutants: killed 4 of 4 (100.0%" in out
    assert "a sample: one in 10 of 26 mutants" in out
    assert not (course.root / "gradebook.db").exists() or not tiny.gradebook_of(course)
    assert not course.autograded(tiny.NAME, "x").parent.parent.exists()


class Page(HTMLParser):
    """What a page asks of a browser."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def check_page(text: str, found: dict[str, Any]) -> None:
    """The page needs no other file, its pictures speak, and it shows each survivor's diff."""
    tags = Page(text).tags
    assert not {tag for tag, _ in tags} & {"script", "link", "img", "iframe"}
    assert not [1 for _, attributes in tags if {"src", "href"} & attributes.keys()]
    pictures = [attributes for tag, attributes in tags if tag == "svg"]
    assert [picture["role"] for picture in pictures] == ["img"] * 3
    said = [str(picture["aria-label"]) for picture in pictures]
    assert said[0].startswith("double: its hidden tests notice 8 of 8 mutants")
    assert "5 survive, 1 are listed as equivalent" in said[2]
    columns = len(of(found, "mutant")) + len(of(found, "misconception")) + len(of(found, "cheat"))
    assert [tag for tag, _ in tags].count("g") == columns
    for mutant in of(found, "mutant"):
        if not mutant["failed"]:
            assert f"+ {mutant['new']}".replace(">", "&gt;").replace("<", "&lt;") in text


# What the bar demands, each alone; no engine is needed for it.


def outcome(case: Case, **scores: float) -> Outcome:
    """An outcome in which each test cell that is named has so many of its 2 points."""
    tests = {
        name: {"score": score, "points": 2.0, "question": "double", "status": "", "seconds": 0.1}
        for name, score in scores.items()
    }
    hints = [case.note] if case.kind == "misconception" else []
    return Outcome(case, tests, hints)


def a_good_audit() -> Audit:
    question = questions_of(sheet_of(source()))[0]

    def case(kind: str, **more: Any) -> Case:
        return Case(kind, kind, tiny.NAME, question, **more)

    mutant = Mutant("sign", "return -x", "return x", "return -x")
    outcomes = [
        outcome(case("solution"), double_check=2, double_hidden=2),
        outcome(case("stub"), double_check=0, double_hidden=0),
        outcome(case("misconception", note="Mind the sign."), double_check=2, double_hidden=0),
        outcome(case("alternative"), double_check=2, double_hidden=2),
        outcome(case("cheat"), double_check=2, double_hidden=0),
        *(outcome(case("mutant", mutant=mutant), double_hidden=0) for _ in range(19)),
        outcome(case("mutant", mutant=mutant), double_check=0, double_hidden=2),
    ]
    return Audit(tiny.NAME, [question], outcomes, 20, [], [], fast=False, seconds=1.0)


@pytest.mark.parametrize(
    ("kind", "scores", "hints", "missed"),
    [
        ("solution", {"double_check": 2, "double_hidden": 1}, [], ["solution: full marks in"]),
        ("stub", {"double_check": 1, "double_hidden": 0}, [], ["stub: no points in"]),
        ("alternative", {"double_hidden": 0}, [], ["alternatives: full marks for"]),
        ("cheat", {"double_hidden": 1}, [], ["answers copied from the visible checks: no"]),
        (
            "misconception",
            {"double_check": 2, "double_hidden": 2},
            ["Mind the sign."],
            ["misconceptions: lose their own question", "misconceptions: get their own hint"],
        ),
        (
            "misconception",
            {"double_hidden": 0},
            ["Mind the gap."],
            ["misconceptions: get their own hint"],
        ),
        ("mutant", {"double_check": 0, "double_hidden": 2}, [], ["mutants: killed 18 of 20"]),
    ],
)
def test_whatever_falls_short_misses_its_own_line_of_the_bar(
    kind: str, scores: dict[str, float], hints: list[str], missed: list[str]
) -> None:
    audit = a_good_audit()
    assert audit.met, [demand for demand in audit.bar if not demand.met]
    assert len(audit.survivors()) == 1  # what the visible check alone notices survives
    place = next(i for i, o in enumerate(audit.outcomes) if o.case.kind == kind)
    worse = outcome(audit.outcomes[place].case, **scores)
    audit.outcomes[place] = Outcome(worse.case, worse.tests, hints)
    assert not audit.met
    found = [demand.text for demand in audit.bar if not demand.met]
    assert len(found) == len(missed)
    for text, start in zip(found, missed, strict=True):
        assert text.startswith(start)
    assert matrix.shortfalls(audit) or kind == "mutant"


def test_a_misconception_that_costs_another_question_is_not_rejected_where_it_should_be() -> None:
    audit = a_good_audit()
    (wrong,) = audit.of("misconception")
    wrong.tests["total_hidden"] = {"score": 0.0, "points": 3.0, "question": "total", "status": ""}
    assert not audit.met


def test_a_mutant_that_runs_out_of_time_is_killed_and_it_is_said_so() -> None:
    audit = a_good_audit()
    audit.killed()[0].tests["double_hidden"]["status"] = "timed out"
    assert audit.met
    (data,) = json.loads(matrix.as_json([audit]))["audits"]
    assert [one["stopped"] for one in data["outcomes"]].count(True) == 1
    assert any("killed by the time limit" in remark for remark in matrix._remarks(audit))


# What is wrong is one line.


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[doble]]\nold = 'a'\nnew = 'b'\nwhy = 'c'", "there is no question doble"),
        ("[[double]]\nold = 'a'\nnew = 'b'", "cannot be read: KeyError: 'why'"),
        ("[[double]]\nold = 'a'\nnew = 'b'\nwhy = ''", "has not just old, new and why"),
        ("[[double]]\nold = 'a'\nnew = 'b'\nwhy = 'c'\nd = 1", "has not just old, new and why"),
        ("double = 3", "cannot be read: TypeError"),
        ("[[double", "cannot be read: TOMLDecodeError"),
    ],
)
def test_a_list_of_equivalents_that_is_broken_is_an_error_in_one_line(
    text: str, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "equivalents.toml"
    path.write_text(text)
    with pytest.raises(CourseError, match=re.escape(reason)) as caught:
        auditing._listed(path, questions_of(sheet_of(source())))
    assert str(caught.value).startswith(f"{path}")
    assert "\n" not in str(caught.value)


def test_an_entry_that_is_no_mutant_any_more_misses_the_bar(tmp_path: Path) -> None:
    path = tmp_path / "equivalents.toml"
    path.write_text(LISTED.replace(">=", "=>"))
    questions = questions_of(sheet_of(source()))
    cases, stale = auditing._mutant_cases(questions, auditing._listed(path, questions))
    assert not any(case.note for case in cases)
    assert stale == ["sign has no mutant 'return (x => 0) - (x < 0)'"]
    audit = a_good_audit()
    audit.stale += stale
    assert not audit.met


def test_wrong_use_shared_trust_and_ctrl_c_are_one_line_each(
    course: Course, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = run(capsys, course, "nothing")
    assert (code, err.count("\n")) == (2, 1)
    assert "no assignment 'nothing'" in err

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(auditing, "audit", stopped)
        assert run(capsys, course, tiny.NAME)[::2] == (130, "course: stopped\n")
    config = course.root / "nbgrader_config.py"
    config.write_text(config.read_text() + 'c.Grading.trust = "shared"\n')
    code, _, err = run(capsys, course, tiny.NAME)
    assert (code, err.count("\n")) == (1, 1)
    assert "an audit needs the wall" in err


@pytest.mark.parametrize(
    ("old", "new", "advice"),
    [
        (
            "assert double(2) == 4",
            "double(2) == 4",
            "ends with a value that decides nothing: assert",
        ),
        ('assert double(2) == 4, "2 doubled is 4"', "not double(2) - 4", "ends with a value that"),
        ('assert double(2) == 4, "2 doubled is 4"', "float(double(2) == 4)", None),
        ('assert double(2) == 4, "2 doubled is 4"', '"right"', "ends with a value that"),
        ('assert double(2) == 4, "2 doubled is 4"', "False", "ends with a value that"),
        ("double(2) == 4", "(double(2) - 4) ** 2 < 1e-9", "a squared error of imaginary"),
        ("double(2) == 4", "np.square(double(2) - 4) < 1e-9", "a squared error of imaginary"),
        ("double(2) == 4", "abs(double(2) - 4) ** 2 < 1e-9", None),
        ("double(2) == 4", "double(2) ** 2 > 1", None),
    ],
)
def test_what_a_test_should_not_do_is_told(old: str, new: str, advice: str | None) -> None:
    found = [*auditing._advice(sheet_of(source(double_check=(old, new))))]
    assert len(found) == (advice is not None)
    for line in found:
        assert line.startswith("double_check")
        assert advice in line


def test_a_question_is_graded_with_its_own_tests_and_what_they_use() -> None:
    notebook = source(
        double_check=("assert double", "limit = 1e-9\nassert double"),
        total_hidden=("< 1e-9", "< limit"),
    )
    sheet = sheet_of(notebook)
    used = [auditing._uses(cell) for cell in sheet.cells if cell.grade_id == "total_hidden"]
    assert used == [{"np", "total", "limit", "abs", "float"}]
    total = questions_of(sheet)[1]
    assert total.name == "total"
    assert auditing.skipped(total, [*total.hidden]) == [
        "double_hidden",
        "total_check",
        "sign_parts",
    ]

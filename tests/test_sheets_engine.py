"""The assignments through the real engine: across the wall, known answers score as in one process.

`test_sheets` says which test cells each wrong or right implementation passes when it stands in the
same process as the tests; here the same implementations are handed in and graded. One submission
carries one variant for each question, as far as there are some: what a question loses must be what
its own variant fails, whatever stands in the others.
"""

from __future__ import annotations

import json
from itertools import zip_longest

import pytest

from autograder import pool
from autograder.build import build
from autograder.course import Course
from autograder.grade import Result, grade
from autograder.sandbox import LEVELS, process
from autograder.sandbox.process import LANDLOCK, Level
from autograder.variants import Variant
from tests.attacks import weakened
from tests.demo.__main__ import hand_in, make_course
from tests.demo.students import Student, solved_with
from tests.sheets import SHEETS, Sheet, mark

KINDS = ("misconceptions", "alternatives")


def rows(sheet: Sheet, kind: str) -> list[list[Variant]]:
    """The variants of one kind, row by row: the first of each question, the second of each, ..."""
    known = getattr(sheet, kind)
    columns = [[v for v in known if v.of == function] for function in sheet.question]
    return [[v for v in row if v is not None] for row in zip_longest(*columns)]


def everybody(sheet: Sheet, course: Course) -> list[Student]:
    release = (course.release(sheet.name) / f"{sheet.name}.ipynb").read_text("utf-8")
    students = [
        Student("perfect", "", solved_with(course, KINDS[0], assignment=sheet.name)),
        Student("untouched", "", lambda: json.loads(release)),
    ]
    for kind in KINDS:
        for number, row in enumerate(rows(sheet, kind)):
            solved = solved_with(course, kind, *row, assignment=sheet.name)
            students.append(Student(f"{kind}-{number}", "", solved))
    return students


# The levels of isolation do not depend on the sheet: ps1 goes through each, the others the first.
CASES = [
    (sheet, level) for sheet in SHEETS for level in LEVELS[: None if sheet is SHEETS[0] else 1]
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1].name}")
def graded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Sheet, dict[str, Result]]:
    """A sheet, and the results of its class."""
    sheet: Sheet
    level: Level
    sheet, level = request.param
    course = make_course(tmp_path_factory.mktemp(sheet.name) / "course", sheet.name)
    build(course, sheet.name)
    hand_in(course, everybody(sheet, course), sheet.name)
    with pytest.MonkeyPatch.context() as patch:
        if level == LANDLOCK:
            patch.setattr(process, "LEVELS", (LANDLOCK,))
            patch.setattr(pool, "ZYGOTE", weakened.zygote("second_level"))
        found = {result.student: result for result in grade(course, sheet.name)}
    assert {result.level for result in found.values()} == {level.name}
    return sheet, found


def failed(result: Result) -> set[str]:
    return {name for name, status in result.statuses.items() if status not in ("passed", "manual")}


Graded = tuple[Sheet, dict[str, Result]]


def test_the_solution_scores_every_point_and_the_stub_none(graded: Graded) -> None:
    sheet, results = graded
    perfect, stub = results["perfect"], results["untouched"]
    assert failed(perfect) == set()
    by_hand = sum(points or 0 for score, points in perfect.questions.values() if score is None)
    written = [cell for cell in sheet.notebook.cells if mark(cell).get("task")]
    assert by_hand == sum(mark(cell)["points"] for cell in written) == 3
    assert perfect.score == perfect.max_score - by_hand
    assert stub.score == 0
    assert stub.hints == []


def test_a_right_answer_in_another_style_loses_nothing(graded: Graded) -> None:
    sheet, results = graded
    for number, row in enumerate(rows(sheet, "alternatives")):
        result = results[f"alternatives-{number}"]
        assert failed(result) == set(), [variant.name for variant in row]
        assert result.score == results["perfect"].score


def test_a_misconception_loses_what_it_gets_wrong_and_gets_its_hint(graded: Graded) -> None:
    sheet, results = graded
    for number, row in enumerate(rows(sheet, "misconceptions")):
        result = results[f"misconceptions-{number}"]
        for variant in row:
            cells = sheet.cells_of(sheet.question[variant.of])
            alone = sheet.failing(cells, sheet.with_variant(variant))
            assert alone
            assert failed(result) & set(cells) == alone, variant.name
            assert variant.note in result.hints, variant.name
        others = {name for v in row for name in sheet.cells_of(sheet.question[v.of])}
        assert failed(result) <= others
        assert len(result.hints) == len(row)

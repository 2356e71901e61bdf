"""ps1_word2vec through the real engine: across the wall, known answers score as in one process.

`test_ps1` says which test cells each wrong or right implementation passes when it stands in the
same process as the tests; here the same implementations are handed in and graded, at each level of
isolation.
"""

from __future__ import annotations

import pytest

from autograder import pool
from autograder.build import build
from autograder.grade import Result, grade
from autograder.sandbox import LEVELS, process
from autograder.sandbox.process import LANDLOCK
from autograder.variants import Variant
from tests.attacks import weakened
from tests.demo.__main__ import hand_in, make_course
from tests.demo.students import ASSIGNMENT, Student, class_of, solved_with
from tests.test_ps1 import ALTERNATIVES, MISCONCEPTIONS, cells_of, failing, with_function
from tests.test_ps1 import QUESTION as QUESTIONS


def name_of(variant: Variant) -> str:
    return variant.name.replace("_", "-")


@pytest.fixture(scope="module", params=LEVELS, ids=lambda level: level.name)
def results(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Result]:
    """Every variant of ps1, handed in and graded as one class."""
    course = make_course(tmp_path_factory.mktemp("ps1") / "course")
    build(course, ASSIGNMENT)
    known = {student.name: student for student in class_of(course)}
    students = [known["perfect"], known["untouched"]]
    for kind, variants in (("misconceptions", MISCONCEPTIONS), ("alternatives", ALTERNATIVES)):
        students += [Student(name_of(v), v.note, solved_with(course, kind, v)) for v in variants]
    hand_in(course, students)
    with pytest.MonkeyPatch.context() as patch:
        if request.param == LANDLOCK:
            patch.setattr(process, "LEVELS", (LANDLOCK,))
            patch.setattr(pool, "ZYGOTE", weakened.zygote("second_level"))
        found = {result.student: result for result in grade(course, ASSIGNMENT)}
    assert {result.level for result in found.values()} == {request.param.name}
    return found


def failed(result: Result) -> set[str]:
    return {name for name, status in result.statuses.items() if status not in ("passed", "manual")}


def test_the_solution_scores_every_point_and_the_stub_none(results: dict[str, Result]) -> None:
    perfect, stub = results["perfect"], results["untouched"]
    assert failed(perfect) == set()
    by_hand = sum(points for score, points in perfect.questions.values() if score is None)
    assert by_hand == 3
    assert perfect.score == perfect.max_score - by_hand
    assert stub.score == 0
    assert stub.hints == []


@pytest.mark.parametrize("variant", ALTERNATIVES, ids=name_of)
def test_a_right_answer_in_another_style_loses_nothing(
    variant: Variant, results: dict[str, Result]
) -> None:
    result = results[name_of(variant)]
    assert failed(result) == set()
    assert result.score == results["perfect"].score


@pytest.mark.parametrize("variant", MISCONCEPTIONS, ids=name_of)
def test_a_misconception_loses_what_it_gets_wrong_and_gets_its_hint(
    variant: Variant, results: dict[str, Result]
) -> None:
    result = results[name_of(variant)]
    alone = failing(cells_of(QUESTIONS[variant.of]), with_function(variant.of, variant.function))
    assert failed(result) == alone
    assert alone
    assert result.hints == [variant.note]

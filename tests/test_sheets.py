"""The tests of the assignments, tested: what must pass passes, what must fail fails, only there.

Everything runs in this one process, as in a student's notebook; the engine is not used. A cell of
the source notebook is executed with one solution function replaced.
"""

from __future__ import annotations

import copy
import re
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from nbgrader.preprocessors import ClearSolutions

from autograder import hints
from autograder.variants import Variant
from tests.sheets import SHEETS, Sheet, is_test, mark, parts

SEEDS = 200

every_sheet = pytest.mark.parametrize("sheet", SHEETS, ids=repr)
every_question = pytest.mark.parametrize(
    ("sheet", "question"), [(sheet, question) for sheet in SHEETS for question in sheet.solutions]
)
every_misconception = pytest.mark.parametrize(
    ("sheet", "variant"),
    [pytest.param(sheet, v, id=v.name) for sheet in SHEETS for v in sheet.misconceptions],
)
every_alternative = pytest.mark.parametrize(
    ("sheet", "variant"),
    [pytest.param(sheet, v, id=v.name) for sheet in SHEETS for v in sheet.alternatives],
)
every_mutant = pytest.mark.parametrize(
    ("sheet", "mutant"),
    [
        pytest.param(sheet, mutant, id=f"{mutant[0]}-{number}")
        for sheet in SHEETS
        for number, mutant in enumerate(sheet.expected.MUTANTS)
    ],
)


@every_sheet
def test_the_solution_passes_every_test(sheet: Sheet) -> None:
    names = [mark(cell)["grade_id"] for cell in sheet.code if is_test(cell)]
    assert len(names) == len(sheet.hidden) + len(sheet.solutions)
    assert sheet.failing(names, dict(sheet.solved)) == set()


@every_sheet
def test_the_solution_passes_with_200_seeds(sheet: Sheet) -> None:
    """Any failure would be a right answer marked wrong once in a while."""
    namespace = dict(sheet.solved)
    for seed in range(1, SEEDS + 1):
        assert sheet.failing(sheet.hidden, namespace, seed) == set(), f"seed {seed}"


@every_alternative
def test_a_right_answer_in_another_style_passes(sheet: Sheet, variant: Variant) -> None:
    names = sheet.cells_of(sheet.question[variant.of])
    for seed in range(10):
        assert sheet.failing(names, sheet.with_variant(variant), seed) == set()


@every_misconception
def test_a_misconception_fails_the_parts_that_it_gets_wrong_and_no_other(
    sheet: Sheet, variant: Variant
) -> None:
    question = sheet.question[variant.of]
    expected = parts(question, sheet.expected.FAILS[variant.name])
    for seed in range(10):
        failed = sheet.failing(sheet.hidden_of(question), sheet.with_variant(variant), seed)
        assert failed == expected, f"seed {seed}"


@every_sheet
def test_every_misconception_says_what_it_fails(sheet: Sheet) -> None:
    assert [variant.name for variant in sheet.misconceptions] == list(sheet.expected.FAILS)


def hints_for(
    sheet: Sheet, function: str, replacement: Callable, cell: str, seed: int
) -> list[str]:
    """Names of the misconceptions that explain a failed cell, as the engine looks for them."""
    calls: list[tuple[tuple, dict, Any]] = []

    def recorded(*args: Any, **kwargs: Any) -> Any:
        before = copy.deepcopy((args, kwargs))
        try:
            value = replacement(*args, **kwargs)
        except Exception as error:
            calls.append((*before, type(error)))
            raise
        calls.append((*before, copy.deepcopy(value)))
        return value

    failure = sheet.run(cell, sheet.with_function(function, recorded), seed)
    assert failure is not None
    found = []
    for other in sheet.misconceptions:
        if other.of == function and all(answers_alike(other.function, *call) for call in calls):
            theirs = sheet.run(cell, sheet.with_variant(other), seed)
            if theirs is not None and line(theirs, cell) == line(failure, cell):
                found.append(other.name)
    return found


def answers_alike(function: Callable, args: tuple, kwargs: dict, expected: Any) -> bool:
    args, kwargs = copy.deepcopy((args, kwargs))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            value = function(*args, **kwargs)
        except Exception as error:
            return type(error) is expected
    return not isinstance(expected, type) and hints.same(value, expected)


def line(error: BaseException, cell: str) -> int | None:
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == f"<{cell}>":
            return trace.tb_lineno
        trace = trace.tb_next
    return None


@every_misconception
def test_a_failed_test_points_to_its_own_misconception_alone(
    sheet: Sheet, variant: Variant
) -> None:
    names = sheet.cells_of(sheet.question[variant.of])
    for seed in range(3):
        for cell in sorted(sheet.failing(names, sheet.with_variant(variant), seed)):
            found = hints_for(sheet, variant.of, variant.function, cell, seed)
            assert found == [variant.name], cell


@every_sheet
def test_a_right_answer_gets_no_hint_by_chance(sheet: Sheet) -> None:
    """A slightly wrong answer that nobody foresaw is explained by no misconception."""
    question, old, new, cell = sheet.expected.UNFORESEEN
    source = sheet.solutions[question].source
    assert old in source
    function = sheet.function[question]
    unforeseen = sheet.with_source(question, source.replace(old, new))[function]
    assert hints_for(sheet, function, unforeseen, cell, 0) == []


@every_sheet
def test_hints_are_distinct_single_sentences(sheet: Sheet) -> None:
    notes = [variant.note for variant in sheet.misconceptions]
    assert len(notes) >= 24
    assert len(set(notes)) == len(notes)
    for note in notes:
        assert re.fullmatch(r"[A-Z][^.!?]*(?:\d\.\d[^.!?]*|math\.log[^.!?]*)*[.?]", note), note
        assert 20 <= len(note) <= 120, note


@every_sheet
def test_there_are_alternatives_for_every_question(sheet: Sheet) -> None:
    assert len(sheet.alternatives) >= 14
    assert {variant.of for variant in sheet.alternatives} == set(sheet.question)
    assert {variant.of for variant in sheet.misconceptions} == set(sheet.question)
    assert all(variant.note for variant in sheet.alternatives)


@every_sheet
def test_the_untouched_stub_passes_nothing(sheet: Sheet) -> None:
    stub, _ = ClearSolutions().preprocess(copy.deepcopy(sheet.notebook), {})
    cells = {mark(cell).get("grade_id"): cell for cell in stub.cells}
    for question in sheet.solutions:
        namespace = sheet.with_source(question, cells[question].source)
        for name in sheet.cells_of(question):
            assert isinstance(sheet.run(name, namespace), NotImplementedError), name


@every_question
def test_answers_copied_from_the_visible_check_pass_no_hidden_test(
    sheet: Sheet, question: str
) -> None:
    function, check, *hidden = sheet.function[question], *sheet.cells_of(question)
    answers: list[tuple[tuple, Any]] = []

    def recorded(*args: Any) -> Any:
        value = sheet.solved[function](*args)
        answers.append((copy.deepcopy(args), copy.deepcopy(value)))
        return value

    assert sheet.run(check, sheet.with_function(function, recorded)) is None
    assert answers

    def copied(*args: Any) -> Any:
        for known, value in answers:
            if all(callable(a) or hints.same(a, b) for a, b in zip(known, args, strict=True)):
                return copy.deepcopy(value)
        return copy.deepcopy(answers[0][1])

    assert sheet.run(check, sheet.with_function(function, copied)) is None
    assert sheet.failing(hidden, sheet.with_function(function, copied)) == set(hidden)


@every_mutant
def test_a_changed_solution_fails_the_hidden_tests_that_guard_it(
    sheet: Sheet, mutant: tuple[str, str, str, str]
) -> None:
    question, old, new, text = mutant
    source = sheet.solutions[question].source
    assert old in source, "this mutant does not fit the solution any more"
    namespace = sheet.with_source(question, source.replace(old, new))
    for seed in range(3):
        failed = sheet.failing(sheet.hidden_of(question), namespace, seed)
        assert failed == parts(question, text), f"seed {seed}: {old!r} became {new!r}"


@every_sheet
def test_every_hidden_test_has_a_change_that_only_it_notices_or_is_the_only_one(
    sheet: Sheet,
) -> None:
    failed = [parts(question, text) for question, _, _, text in sheet.expected.MUTANTS]
    alone = {name for names in failed if len(names) == 1 for name in names}
    assert alone == set(sheet.hidden)


@every_question
def test_every_assertion_is_the_one_that_stops_some_wrong_answer(
    sheet: Sheet, question: str
) -> None:
    """Visible and hidden: an assertion that nothing can fail would only look like a test."""
    function, source = sheet.function[question], sheet.solutions[question].source
    wrong = [sheet.with_variant(v) for v in sheet.misconceptions if v.of == function]
    wrong += [
        sheet.with_source(question, source.replace(old, new))
        for its_question, old, new, _ in sheet.expected.MUTANTS
        if its_question == question
    ]
    for name in sheet.cells_of(question):
        stopped = {
            line(error, name)
            for namespace in wrong
            for seed in range(3)
            if (error := sheet.run(name, namespace, seed)) is not None
        }
        unused = sheet.assertions(name) - stopped
        assert not unused, f"{name}: lines {unused}"


@every_sheet
def test_the_hidden_tests_of_a_whole_sheet_are_cheap(sheet: Sheet) -> None:
    namespace = dict(sheet.solved)
    costs = []
    for seed in range(10):
        start = time.process_time()
        assert sheet.failing(sheet.hidden, namespace, seed) == set()
        costs.append(time.process_time() - start)
    assert min(costs) <= sheet.expected.SECONDS, f"{min(costs):.3f} s"


@pytest.mark.parametrize(
    ("sheet", "cell", "mistakes"),
    [(sheet, cell, wrong) for sheet in SHEETS for cell, wrong in sheet.expected.RITUAL],
)
def test_the_ritual_notices_mistakes_in_the_students_own_code(
    sheet: Sheet, cell: str, mistakes: list[str]
) -> None:
    namespace = dict(sheet.solved)
    before = [mark(c)["grade_id"] for c in sheet.notebook.cells if mark(c).get("grade_id")]
    before = [name for name in before[: before.index(cell)] if name.startswith("ritual_")]
    for name in [*before, cell]:
        assert sheet.run(name, namespace) is None
    known = {variant.name: variant for variant in sheet.misconceptions}
    for name in mistakes:
        # The cells before this one define what it calls: they run again, beside the wrong function.
        wrong = sheet.with_variant(known[name])
        for earlier in before:
            sheet.run(earlier, wrong)
        assert isinstance(sheet.run(cell, wrong), AssertionError), name


@every_sheet
def test_what_students_get_holds_points_in_order_and_tests_that_say_what_they_ask(
    sheet: Sheet,
) -> None:
    """Each hidden test leaves one line of comment in the release, and each question has a check."""
    for cell in sheet.code:
        if mark(cell).get("grade_id") in sheet.hidden:
            first, second, *_, last = cell.source.split("\n")
            assert first.startswith("# Hidden: ")
            assert second == "### BEGIN HIDDEN TESTS"
            assert last == "### END HIDDEN TESTS"
    for question in sheet.solutions:
        check, *hidden = sheet.cells_of(question)
        assert check == f"{question}_check"
        assert hidden
        assert all(name in sheet.hidden for name in hidden)
    cells = sheet.notebook.cells
    table = next(cell.source for cell in cells if "| question | points |" in cell.source)
    total = sum(mark(cell).get("points", 0) for cell in cells)
    assert sum(int(n) for n in re.findall(r"\| (\d+) \|$", table, re.MULTILINE)) == total

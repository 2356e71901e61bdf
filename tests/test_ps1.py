"""The tests of ps1_word2vec, tested: what must pass passes, what must fail fails, and only there.

Everything runs in this one process, as in a student's notebook; the engine is not used. A cell of
the source notebook is executed with one solution function replaced.
"""

# ruff: noqa: E501 - MUTANTS is a table: one row, one line
from __future__ import annotations

import ast
import contextlib
import copy
import functools
import io
import re
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from types import CodeType
from typing import Any

import nbformat
import numpy as np
import pytest
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearSolutions

from autograder import hints
from autograder.variants import Variant, load

FOLDER = Path(__file__).parent.parent / "solutions" / "ps1_word2vec"
NOTEBOOK = nbformat.read(FOLDER / "ps1_word2vec.ipynb", as_version=4)
MISCONCEPTIONS = load(FOLDER / "misconceptions.py")
ALTERNATIVES = load(FOLDER / "alternatives.py")
SEEDS = 200


def mark(cell: NotebookNode) -> dict[str, Any]:
    return cell.metadata.get("nbgrader", {})


def is_test(cell: NotebookNode) -> bool:
    return bool(mark(cell).get("grade"))


def is_code_solution(cell: NotebookNode) -> bool:
    return bool(mark(cell).get("solution")) and cell.cell_type == "code"


def is_skipped(cell: NotebookNode) -> bool:
    return "skip-execution" in cell.metadata.get("tags", [])


CODE = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code" and not is_skipped(cell)]
SOLUTIONS = {mark(cell)["grade_id"]: cell for cell in CODE if is_code_solution(cell)}
FUNCTION = {
    question: re.search(r"^def (\w+)", cell.source, re.MULTILINE)[1]
    for question, cell in SOLUTIONS.items()
}
QUESTION = {function: question for question, function in FUNCTION.items()}


def cells_of(question: str) -> list[str]:
    """Names of the test cells that follow the question's solution cell."""
    found, current = [], ""
    for cell in CODE:
        current = mark(cell)["grade_id"] if is_code_solution(cell) else current
        if is_test(cell) and current == question:
            found.append(mark(cell)["grade_id"])
    return found


HIDDEN = [mark(c)["grade_id"] for c in CODE if is_test(c) and "BEGIN HIDDEN TESTS" in c.source]


@functools.cache
def code(name: str) -> CodeType:
    (cell,) = (cell for cell in NOTEBOOK.cells if mark(cell).get("grade_id") == name)
    return compile(cell.source, f"<{name}>", "exec")


@functools.cache
def solved() -> dict[str, Any]:
    """The names of the notebook once the source has run."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in CODE:
        run(mark(cell)["grade_id"], namespace)
    return namespace


def run(name: str, namespace: dict[str, Any], seed: int = 0) -> BaseException | None:
    """Execute one cell; return what it raised."""
    np.random.seed(seed)
    with (
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
    ):
        warnings.simplefilter("ignore")
        try:
            exec(code(name), namespace)
        except Exception as error:
            return error
    return None


def with_source(question: str, source: str) -> dict[str, Any]:
    """The notebook's names, with another text in a solution cell."""
    namespace = dict(solved())
    exec(compile(source, f"<another {question}>", "exec"), namespace)
    return namespace


def with_function(function: str, replacement: Callable) -> dict[str, Any]:
    return {**solved(), function: replacement}


def failing(names: Iterable[str], namespace: dict[str, Any], seed: int = 0) -> set[str]:
    return {name for name in names if run(name, namespace, seed) is not None}


def label(variant: Variant) -> str:
    return variant.name


def test_the_solution_passes_every_test() -> None:
    names = [mark(cell)["grade_id"] for cell in CODE if is_test(cell)]
    assert len(names) == len(HIDDEN) + len(SOLUTIONS)
    assert failing(names, dict(solved())) == set()


def test_the_solution_passes_with_200_seeds() -> None:
    """Any failure would be a right answer marked wrong once in a while."""
    namespace = dict(solved())
    for seed in range(1, SEEDS + 1):
        assert failing(HIDDEN, namespace, seed) == set(), f"seed {seed}"


@pytest.mark.parametrize("variant", ALTERNATIVES, ids=label)
def test_a_right_answer_in_another_style_passes(variant: Variant) -> None:
    names = cells_of(QUESTION[variant.of])
    for seed in range(10):
        assert failing(names, with_function(variant.of, variant.function), seed) == set()


# The hidden tests that each misconception fails: those of the part that it gets wrong.
FAILS = {
    "softmax_over_columns": "rows",
    "softmax_over_everything": "rows",
    "softmax_without_shift": "large",
    "softmax_shifted_by_one_maximum": "rows",
    "softmax_divided_by_raw_scores": "vector rows large",
    "softmax_shifted_above_the_line_only": "vector rows large",
    "sigmoid_that_overflows": "large",
    "sigmoid_of_numbers_only": "",
    "sigmoid_without_the_minus": " large",
    "sigmoid_as_its_derivative": " large",
    "naive_gradient_of_prediction_only": "grad_v_c grad_U",
    "naive_gradient_uphill": "grad_v_c grad_U",
    "naive_loss_without_minus": "loss",
    "naive_loss_of_all_words": "loss",
    "naive_loss_as_probability": "loss",
    "naive_gradient_in_one_row": "grad_U",
    "naive_gradient_transposed": "grad_U",
    "naive_center_sees_only_the_outside_word": "grad_v_c",
    "negatives_overwritten": "grad_U",
    "negatives_without_repeats": "loss grad_v_c grad_U",
    "negatives_counted_twice_over": "grad_U",
    "negatives_with_sigmoid_reversed": "grad_v_c grad_U",
    "positive_with_slipped_bracket": "grad_v_c grad_U",
    "negatives_treated_as_positives": "loss",
    "negatives_averaged": "loss grad_v_c grad_U",
    "negatives_ten_at_most": "loss grad_v_c grad_U",
    "negatives_without_the_positive": "grad_U",
    "negatives_pulled_closer": "grad_v_c grad_U",
    "windows_with_negative_start": "",
    "windows_short_on_the_right": "",
    "windows_in_the_middle_only": "",
    "windows_clamped_to_the_edges": "",
    "windows_with_the_center": "",
    "windows_without_repeats_of_the_center": "",
    "windows_of_the_past": "",
    "pairs_in_one_direction": "",
    "pairs_without_repeats": "",
    "pairs_of_neighbors_only": "",
    "pairs_short_of_distance_m": "",
    "pairs_with_the_center_itself": "",
    "pairs_of_different_words": "",
    "skipgram_averaged": "loss grad_V grad_U",
    "skipgram_without_repeats": "loss grad_V grad_U",
    "skipgram_broadcast_to_every_row": "grad_V",
    "skipgram_keeps_the_last_only": "grad_V",
    "skipgram_updates_outside_rows": "grad_V",
    "skipgram_roles_swapped": "loss grad_V grad_U",
    "skipgram_four_words_always": "loss grad_V grad_U",
    "skipgram_with_its_own_loss": "loss grad_V grad_U",
    "cbow_summed": "loss grad_V grad_U",
    "cbow_without_the_share": "grad_V",
    "cbow_overwrites_repeats": "grad_V",
    "cbow_without_repeats": "loss grad_V grad_U",
    "cbow_divided_by_a_full_window": "loss grad_V grad_U",
    "cbow_updates_the_center": "grad_V",
    "cbow_as_skipgram": "loss grad_V grad_U",
    "sgd_uphill": "",
    "sgd_in_place": "unchanged",
    "sgd_without_step_length": "",
    "sgd_by_the_loss": " unchanged",
    "neighbors_by_scalar_product": "",
    "neighbors_by_distance": "",
    "neighbors_with_itself": "",
    "neighbors_from_the_far_end": "",
    "neighbors_least_similar_first": "",
    "neighbors_with_columns_normalized": "",
}


def parts(question: str, text: str) -> set[str]:
    """Cell names for a line of FAILS: "" is the hidden test without a part's name."""
    return {
        f"{question}_{part}_hidden" if part else f"{question}_hidden" for part in text.split(" ")
    }


@pytest.mark.parametrize("variant", MISCONCEPTIONS, ids=label)
def test_a_misconception_fails_the_parts_that_it_gets_wrong_and_no_other(variant: Variant) -> None:
    question = QUESTION[variant.of]
    hidden = [name for name in cells_of(question) if name in HIDDEN]
    for seed in range(10):
        failed = failing(hidden, with_function(variant.of, variant.function), seed)
        assert failed == parts(question, FAILS[variant.name]), f"seed {seed}"


def test_every_misconception_says_what_it_fails() -> None:
    assert [variant.name for variant in MISCONCEPTIONS] == list(FAILS)


def hints_for(function: str, replacement: Callable, cell: str, seed: int) -> list[str]:
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

    failure = run(cell, with_function(function, recorded), seed)
    assert failure is not None
    found = []
    for other in MISCONCEPTIONS:
        if other.of == function and all(answers_alike(other.function, *call) for call in calls):
            theirs = run(cell, with_function(function, other.function), seed)
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


@pytest.mark.parametrize("variant", MISCONCEPTIONS, ids=label)
def test_a_failed_test_points_to_its_own_misconception_alone(variant: Variant) -> None:
    question = QUESTION[variant.of]
    for seed in range(3):
        namespace = with_function(variant.of, variant.function)
        for cell in sorted(failing(cells_of(question), namespace, seed)):
            assert hints_for(variant.of, variant.function, cell, seed) == [variant.name], cell


def test_a_right_answer_gets_no_hint_by_chance() -> None:
    """A slightly wrong answer that nobody foresaw is explained by no misconception."""
    softmax = solved()["softmax"]
    assert hints_for("softmax", lambda x: softmax(x) * 1.01, "softmax_vector_hidden", 0) == []


def test_hints_are_distinct_single_sentences() -> None:
    notes = [variant.note for variant in MISCONCEPTIONS]
    assert len(notes) >= 24
    assert len(set(notes)) == len(notes)
    for note in notes:
        assert re.fullmatch(r"[A-Z][^.!?]*(?:\d\.\d[^.!?]*)*[.?]", note), note
        assert 20 <= len(note) <= 120, note


def test_there_are_alternatives_for_every_question() -> None:
    assert len(ALTERNATIVES) >= 14
    assert {variant.of for variant in ALTERNATIVES} == set(QUESTION)
    assert {variant.of for variant in MISCONCEPTIONS} == set(QUESTION)
    assert all(variant.note for variant in ALTERNATIVES)


def test_the_untouched_stub_passes_nothing() -> None:
    stub, _ = ClearSolutions().preprocess(copy.deepcopy(NOTEBOOK), {})
    cells = {mark(cell).get("grade_id"): cell for cell in stub.cells}
    for question in SOLUTIONS:
        namespace = with_source(question, cells[question].source)
        for name in cells_of(question):
            assert isinstance(run(name, namespace), NotImplementedError), name


@pytest.mark.parametrize("question", SOLUTIONS)
def test_answers_copied_from_the_visible_check_pass_no_hidden_test(question: str) -> None:
    function, check, *hidden = FUNCTION[question], *cells_of(question)
    answers: list[tuple[tuple, Any]] = []

    def recorded(*args: Any) -> Any:
        value = solved()[function](*args)
        answers.append((copy.deepcopy(args), copy.deepcopy(value)))
        return value

    assert run(check, with_function(function, recorded)) is None
    assert answers

    def copied(*args: Any) -> Any:
        for known, value in answers:
            if all(callable(a) or hints.same(a, b) for a, b in zip(known, args, strict=True)):
                return copy.deepcopy(value)
        return copy.deepcopy(answers[0][1])

    assert run(check, with_function(function, copied)) is None
    assert failing(hidden, with_function(function, copied)) == set(hidden)


# Changes to a solution, one for each thing that an assertion of a hidden test guards, with the
# hidden tests that must notice: (question, old text, new text, parts as in FAILS).
MUTANTS = [
    # the visible check's own length, or a vector of one score
    ("softmax", "    exp_x =", "    x = x[..., :8]\n    exp_x =", "vector"),
    ("softmax", "    return exp_x", "    if x.shape == (1,):\n        return x\n    return exp_x", "vector"),
    ("softmax", "    exp_x =", "    x = np.float32(x) if x.ndim == 1 else x[:3]\n    exp_x =", "rows"),
    ("softmax", "    return exp_x", "    if len(x) == 1 and x.ndim == 2:\n        return x\n    return exp_x", "rows"),
    ("softmax", "    return exp_x", "    if x.shape[-1] == 1 and x.ndim == 2:\n        return 0 * x\n    return exp_x", "rows"),
    ("softmax", "x - np.max(x, axis=-1, keepdims=True)", "x - np.min(x, axis=-1, keepdims=True)", "large"),
    ("softmax", "x - np.max(x, axis=-1, keepdims=True)", "np.clip(x, -700, 700)", "large"),
    ("softmax", "x - np.max(x, axis=-1, keepdims=True)", "x - np.mean(x, axis=-1, keepdims=True)", "large"),
    ("softmax", "np.max(x, axis=-1, keepdims=True)", "np.max(x, axis=-1, keepdims=True) + (800 if x.dtype == 'float32' and x.ndim == 1 and x[0] > 90 else 0)", "large"),
    ("softmax", "np.sum(exp_x, axis=-1, keepdims=True)", "(0.01 + np.sum(exp_x, axis=-1, keepdims=True))", "vector rows large"),
    ("sigmoid", ">= 0, 1, small", ">= 0, small, 1", " large"),
    ("sigmoid", "/ (1 + small)", "/ (1.01 + small)", " large"),
    ("sigmoid", "    small =", "    x = np.ravel(x)\n    small =", ""),
    ("sigmoid", "    small =", "    x = np.where(np.abs(x) > 10, 0, x)\n    small =", "large"),
    ("sigmoid", "    small =", "    assert np.ndim(x) > 0\n    small =", ""),
    ("sigmoid", "    small =", "    assert np.ndim(x) < 3\n    small =", ""),
    ("sigmoid", "np.exp(-np.abs(x))", "np.exp(np.abs(x))", " large"),
    ("naive_softmax", "-np.log(y_hat[o])", "-np.log(y_hat[0])", "loss"),
    ("naive_softmax", "-np.log(y_hat[o])", "-np.log2(y_hat[o])", "loss"),
    ("naive_softmax", "-np.log(y_hat[o])", "-np.log(y_hat[o]) / len(U)", "loss"),
    ("naive_softmax", "-np.log(y_hat[o])", "-np.log(y_hat[o]) if len(U) > 1 else 1.0", "loss"),
    ("naive_softmax", "U.T @ delta", "U.T @ y_hat", "grad_v_c"),
    ("naive_softmax", "U.T @ delta", "U.T @ delta if len(U) > 1 else v_c", "grad_v_c"),
    ("naive_softmax", "U.T @ delta", "U.T @ delta / len(U)", "grad_v_c"),
    ("naive_softmax", "np.outer(delta, v_c)", "np.outer(y_hat, v_c)", "grad_U"),
    ("naive_softmax", "np.outer(delta, v_c)", "np.outer(delta, v_c + 0.1)", "grad_U"),
    ("naive_softmax", "np.outer(delta, v_c)", "np.outer(delta, v_c) + (len(U) == 1)", "grad_U"),
    ("naive_softmax", "delta[o] -= 1", "delta[0] -= 1", "grad_v_c grad_U"),
    ("naive_softmax", "library_softmax(U @ v_c)", "library_softmax(-U @ v_c)", "loss grad_v_c grad_U"),
    ("negative_sampling", "np.where(yes, probability, 1 - probability)", "probability", "loss"),
    ("negative_sampling", "-np.sum", "-np.mean", "loss"),
    ("negative_sampling", "-np.sum", "np.sum", "loss"),
    ("negative_sampling", "loss = -np.sum(np.log(", "loss = -np.sum(np.log(0.01 + ", "loss"),
    ("negative_sampling", "U[words].T @ delta, grad_U", "U[words[:4]].T @ delta[:4], grad_U", "grad_v_c"),
    ("negative_sampling", "U[words].T @ delta, grad_U", "U[words[1:]].T @ delta[1:], grad_U", "grad_v_c"),
    ("negative_sampling", "np.add.at(grad_U, words, np.outer(delta, v_c))", "grad_U[words] += np.outer(delta, v_c)", "grad_U"),
    ("negative_sampling", "np.outer(delta, v_c))", "np.outer(delta, v_c) / 2)", "grad_U"),
    ("negative_sampling", "np.zeros_like(U)", "0.01 * np.ones_like(U)", "grad_U"),
    ("negative_sampling", "probability - yes", "probability", "grad_v_c grad_U"),
    ("negative_sampling", "probability - yes", "(probability - yes) * probability", "grad_v_c grad_U"),
    ("context_windows", "max(0, i - m)", "i - m", ""),
    ("context_windows", "max(0, i - m)", "max(1, i - m)", ""),
    ("context_windows", "i + 1 + m", "i + m", ""),
    ("context_windows", "tokens[max(0, i - m) : i]", "tokens[max(0, i - m) : i][::-1]", ""),
    ("context_windows", "enumerate(tokens)\n    ]", "enumerate(tokens)\n        if len(tokens) > 1\n    ]", ""),
    ("context_windows", "    return [", "    m = min(m, 3)\n    return [", ""),
    ("context_windows", "(center, tokens", "(str(center), tokens", ""),
    ("skipgram_pairs", "max(0, i - m)", "max(1, i - m)", ""),
    ("skipgram_pairs", "min(len(tokens), i + m + 1)", "min(len(tokens), i + m)", ""),
    ("skipgram_pairs", "j != i", "j > i", ""),
    ("skipgram_pairs", "j != i", "tokens[j] != center", ""),
    ("skipgram_pairs", "(center, tokens[j])", "(center, str(tokens[j]))", ""),
    ("skipgram_pairs", "(center, tokens[j])", "(center, center)", ""),
    ("skipgram_pairs", "(center, tokens[j])", "(tokens[0], tokens[j])", ""),
    ("skipgram", "loss += loss_o", "loss = loss_o", "loss"),
    ("skipgram", "loss += loss_o", "loss += 0.5 * loss_o", "loss"),
    ("skipgram", "grad_V[center] += grad_v_c", "grad_V[center] = grad_v_c", "grad_V"),
    ("skipgram", "grad_V[center] += grad_v_c", "grad_V += grad_v_c", "grad_V"),
    ("skipgram", "grad_U += grad_U_o", "grad_U = grad_U_o", "grad_U"),
    ("skipgram", "grad_U += grad_U_o", "grad_U[o] += grad_U_o[o]", "grad_U"),
    ("skipgram", "loss_and_gradients(V[center]", "loss_and_gradients(U[center]", "loss grad_V grad_U"),
    ("skipgram", "V[center], o, U)", "V[center], outside[0], U)", "loss grad_V grad_U"),
    ("cbow", "    return loss", "    return loss / len(outside)", "loss"),
    ("cbow", "grad_V[w] += grad_v_hat", "grad_V[w] = grad_v_hat", "grad_V"),
    ("cbow", "grad_v_hat / len(outside)", "grad_v_hat", "grad_V"),
    ("cbow", "grad_v_hat / len(outside)", "grad_v_hat / len(V)", "grad_V"),
    ("cbow", "for w in outside:", "for w in set(outside):", "grad_V"),
    ("cbow", "grad_V, grad_U\n", "grad_V, grad_U / len(outside)\n", "grad_U"),
    ("cbow", "grad_V, grad_U\n", "grad_V, np.roll(grad_U, 1, 0)\n", "grad_U"),
    ("cbow", "(v_hat, center, U)", "(v_hat, outside[0], U)", "loss grad_V grad_U"),
    ("cbow", "np.mean(V[outside]", "np.mean(V[[*outside, center]]", "loss grad_V grad_U"),
    ("cbow", "np.mean(V[outside]", "np.median(V[outside]", "loss grad_V grad_U"),
    ("sgd_step", "theta - alpha", "theta + alpha", ""),
    ("sgd_step", "alpha * gradient", "gradient", ""),
    ("sgd_step", "alpha * gradient", "0.1 * gradient", ""),
    ("sgd_step", "alpha * gradient", "alpha * np.sign(gradient)", " unchanged"),
    ("sgd_step", "theta - alpha", "0 * theta - alpha", " unchanged"),
    ("sgd_step", "    return theta - alpha * gradient", "    theta -= alpha * gradient\n    return theta", "unchanged"),
    ("sgd_step", "    return theta - alpha * gradient", "    return theta", " unchanged"),
    ("nearest_neighbors", "axis=1", "axis=0", ""),
    ("nearest_neighbors", "/ np.linalg.norm(vectors, axis=1, keepdims=True)", "/ 1", ""),
    ("nearest_neighbors", "-(unit", "(unit", ""),
    ("nearest_neighbors", "-(unit @ unit[w])", "-np.abs(unit @ unit[w])", ""),
    ("nearest_neighbors", " if i != w", "", ""),
    ("nearest_neighbors", "[:k]", "[: k + 1]", ""),
    ("nearest_neighbors", "[:k]", "[: min(k, 3)]", ""),
    ("nearest_neighbors", "[int(i) for i in order if i != w][:k]", "[int(order[1])] * k", ""),
]  # fmt: skip


@pytest.mark.parametrize(("question", "old", "new", "text"), MUTANTS)
def test_a_changed_solution_fails_the_hidden_tests_that_guard_it(
    question: str, old: str, new: str, text: str
) -> None:
    source = SOLUTIONS[question].source
    assert old in source, "this mutant does not fit the solution any more"
    namespace = with_source(question, source.replace(old, new))
    hidden = [name for name in cells_of(question) if name in HIDDEN]
    for seed in range(3):
        assert failing(hidden, namespace, seed) == parts(question, text), f"seed {seed}"


def test_every_hidden_test_has_a_change_that_only_it_notices_or_is_the_only_one() -> None:
    alone = {
        name for question, _, _, text in MUTANTS if len(parts(question, text)) == 1
        for name in parts(question, text)
    }  # fmt: skip
    assert alone == set(HIDDEN)


def assertions(name: str) -> set[int]:
    """Lines at which an assertion of a test cell begins."""
    (cell,) = (cell for cell in CODE if mark(cell).get("grade_id") == name)
    return {
        node.lineno
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Assert)
        or (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "assert_close")
    }


@pytest.mark.parametrize("question", SOLUTIONS)
def test_every_assertion_is_the_one_that_stops_some_wrong_answer(question: str) -> None:
    """Visible and hidden: an assertion that nothing can fail would only look like a test."""
    wrong = [
        with_function(variant.of, variant.function)
        for variant in MISCONCEPTIONS
        if variant.of == FUNCTION[question]
    ]
    source = SOLUTIONS[question].source
    wrong += [
        with_source(question, source.replace(old, new))
        for its_question, old, new in (mutant[:3] for mutant in MUTANTS)
        if its_question == question
    ]
    for name in cells_of(question):
        stopped = {
            line(error, name)
            for namespace in wrong
            for seed in range(3)
            if (error := run(name, namespace, seed)) is not None
        }
        assert assertions(name) <= stopped, f"{name}: lines {assertions(name) - stopped}"


def test_the_hidden_tests_of_the_whole_sheet_take_a_tenth_of_a_second() -> None:
    namespace = dict(solved())
    costs = []
    for seed in range(10):
        start = time.process_time()
        assert failing(HIDDEN, namespace, seed) == set()
        costs.append(time.process_time() - start)
    assert min(costs) <= 0.1, f"{min(costs):.3f} s"


@pytest.mark.parametrize(
    ("cell", "mistakes"),
    [
        ("ritual_first_loss", ["skipgram_averaged", "naive_loss_without_minus"]),
        ("ritual_gradients", ["naive_gradient_uphill", "negatives_overwritten"]),
        ("ritual_gradients", ["skipgram_keeps_the_last_only", "cbow_without_the_share"]),
        ("ritual_overfit", ["sgd_uphill", "naive_gradient_of_prediction_only"]),
    ],
)
def test_the_ritual_notices_mistakes_in_the_students_own_code(
    cell: str, mistakes: list[str]
) -> None:
    assert run(cell, dict(solved())) is None
    for variant in MISCONCEPTIONS:
        if variant.name in mistakes:
            error = run(cell, with_function(variant.of, variant.function))
            assert isinstance(error, AssertionError), variant.name


def test_what_students_get_holds_points_in_order_and_tests_that_say_what_they_ask() -> None:
    """Each hidden test leaves one line of comment in the release, and each question has a check."""
    for cell in CODE:
        if mark(cell).get("grade_id") in HIDDEN:
            first, second, *_, last = cell.source.split("\n")
            assert first.startswith("# Hidden: ")
            assert second == "### BEGIN HIDDEN TESTS"
            assert last == "### END HIDDEN TESTS"
    for question in SOLUTIONS:
        check, *hidden = cells_of(question)
        assert check == f"{question}_check"
        assert hidden
        assert all(name in HIDDEN for name in hidden)
    table = next(cell.source for cell in NOTEBOOK.cells if "| question | points |" in cell.source)
    total = sum(mark(cell).get("points", 0) for cell in NOTEBOOK.cells)
    assert sum(int(n) for n in re.findall(r"\| (\d+) \|$", table, re.MULTILINE)) == total

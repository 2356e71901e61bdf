"""Mutants: small changes to a solution, each valid Python, each once, always the same."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.mutants import mutants

SOLUTIONS = Path(__file__).parent.parent / "solutions"
CELLS = [
    "".join(cell["source"])
    for path in sorted(SOLUTIONS.glob("*/*.ipynb"))
    for cell in json.loads(path.read_text("utf-8"))["cells"]
    if cell["cell_type"] == "code" and cell["metadata"].get("nbgrader", {}).get("solution")
]

# A line of a function, and lines that its mutants must have in its place.
CHANGES = [
    ("return x + 1", ["return x - 1", "return x + 2", "return x + 0", "return x", "return 1"]),
    ("return x - y", ["return x + y", "return y - x", "return -(x - y)", "return 2 * (x - y)"]),
    ("return x @ y", ["return x * y", "return y @ x"]),
    ("return -x", ["return x"]),
    ("return x < y", ["return x <= y", "return x >= y"]),
    ("return x is None", ["return x is not None"]),
    ("return x and y", ["return x or y", "return x", "return y"]),
    ("return x if y else 0", ["return x if True else 0", "return x if False else 0"]),
    ("return x.sum(axis=-1)", ["return x.sum()", "return x.sum(axis=-2)", "return x.mean(axis=-1)"]),  # noqa: E501
    (
        "return x.max(0, keepdims=True)",
        ["return x.max(0)", "return x.max(1, keepdims=True)", "return x.min(0, keepdims=True)"],
    ),
    ("return np.mean(x, axis=y)", ["return np.sum(x, axis=y)", "return np.mean(x)", "return x"]),
    ("return f(x, y)", ["return f(y, x)", "return x", "return y"]),
    ("return x.detach()", ["return x"]),
    ("return x.copy()", ["return x"]),
    ("return x.T", ["return x"]),
    ("return x[y]", ["return x[y - 1]"]),
    ("return x[0]", ["return x[1]", "return x[-1]"]),
    ("return x[y:]", ["return x[:]", "return x[y - 1:]", "return x[y + 1:]"]),
    ("return x, y", ["return (y, x)", "return -x, y", "return x, 2 * y"]),
    ("x += y", ["x -= y", "x = y", "pass"]),
    ("x[0] = y", ["pass", "x[1] = y"]),
    ("x = np.zeros(3)", ["x = np.ones(3)", "pass"]),
    ("return [a for a in x if a]", ["return [a for a in x if True]"]),
    ("return [a for a in x]", ["return [a for a in list(x)[1:]]", "return [a for a in list(x)[:-1]]"]),  # noqa: E501
    ("return 0.5 * x", ["return 1.0 * x", "return 0.0 * x"]),
    ("return f(x, reverse=True)", ["return f(x, reverse=False)", "return f(x)"]),
]  # fmt: skip


def changed(line: str) -> list[str]:
    """Lines that take the place of one in the mutants of a function of it."""
    found = mutants(f"def g(x, y):\n    '''Return 1 + 1.'''\n    {line}\n")
    assert all(mutant.old == line for mutant in found)
    return [mutant.new for mutant in found]


def normal(line: str) -> str:
    """A line of a function as Python itself writes it."""
    return ast.unparse(ast.parse(f"def g():\n    {line}").body[0])


@pytest.mark.parametrize(("line", "wanted"), CHANGES, ids=[line for line, _ in CHANGES])
def test_a_line_is_changed_in_the_ways_in_which_it_goes_wrong(line: str, wanted: list[str]) -> None:
    assert {normal(new) for new in wanted} <= {normal(new) for new in changed(line)}


@pytest.mark.parametrize("cell", CELLS, ids=range(len(CELLS)))
def test_mutants_of_a_solution_are_valid_distinct_and_always_the_same(cell: str) -> None:
    found = mutants(cell)
    assert len(found) >= 10
    trees = [ast.dump(ast.parse(mutant.source)) for mutant in found]
    assert len({*trees, ast.dump(ast.parse(cell))}) == len(found) + 1
    assert found == mutants(cell)


@pytest.mark.parametrize("cell", CELLS, ids=range(len(CELLS)))
def test_a_mutant_differs_in_the_lines_that_its_diff_shows_and_in_the_solution_alone(
    cell: str,
) -> None:
    before, _, rest = cell.partition("### BEGIN SOLUTION")
    _, _, after = rest.partition("### END SOLUTION")
    for mutant in mutants(cell):
        assert mutant.source.startswith(before)
        assert mutant.source.endswith(after)
        kept = [line.strip() for line in mutant.source.splitlines()]
        assert all(line.strip() in kept for line in mutant.new.splitlines())
        # A loop that is dropped takes the remarks in it along.
        assert all(remark in kept or remark in mutant.old for remark in _comments(cell))


def _comments(cell: str) -> list[str]:
    return [line.strip() for line in cell.splitlines() if line.strip().startswith("#")]


def test_there_are_at_least_300_for_an_assignment() -> None:
    for path in SOLUTIONS.glob("*/*.ipynb"):
        cells = [
            "".join(cell["source"])
            for cell in json.loads(path.read_text("utf-8"))["cells"]
            if cell["cell_type"] == "code" and cell["metadata"].get("nbgrader", {}).get("solution")
        ]
        assert sum(len(mutants(cell)) for cell in cells) >= 300, path.name


def test_texts_docstrings_types_and_what_is_given_stay() -> None:
    cell = (
        "SIZE = 3\n"
        "def g(x: int = 4) -> int:\n"
        "    '''Return 1 + 1.'''\n"
        "    ### BEGIN SOLUTION\n"
        "    def inner(z: Literal[5]) -> Literal[6]:\n"
        "        return z\n"
        "    if x < y:\n"
        "        raise ValueError(f'{x} is below {y + 1}')\n"
        "    ### END SOLUTION\n"
        "    return 7 + x\n"
    )
    found = mutants(cell)
    assert {mutant.old for mutant in found} >= {"if x < y:"}
    for mutant in found:
        for kept in (
            "SIZE = 3",
            "x: int = 4",
            "Return 1 + 1.",
            "[5]) -> Literal[6]",
            "return 7 + x",
        ):
            assert kept in mutant.source
        assert "y + 1" in mutant.source or mutant.new == "pass"


def test_brackets_are_set_where_the_change_needs_them() -> None:
    assert "return (x + y) * 2" in changed("return f(x + y) * 2")
    assert "return 2 * (x + y)" in changed("return x + y")


def test_letters_beyond_ascii_do_not_shift_the_cut() -> None:
    assert "return 'é', x - 1" in changed("return 'é', x + 1")


def test_what_commutes_is_not_swapped_and_a_module_is_no_value() -> None:
    assert "return max(y, x)" not in changed("return max(x, y)")
    assert "return np" not in changed("return np.exp(x)")
    assert "return x" in changed("return np.exp(x)")


def test_what_is_no_plain_python_has_no_mutants() -> None:
    assert mutants("%timeit f(x)") == []
    assert mutants("# only a remark") == []


EXPRESSIONS = st.recursive(
    st.sampled_from(["x", "y", "1", "0", "2.5", "True", "x.T", "x[0]", "f(x)", "'é'"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "@", "<", "==", "and"]), inner).map(
            lambda parts: "(" + " ".join(parts) + ")"
        ),
        st.tuples(inner, inner).map(lambda parts: f"f({parts[0]}, axis={parts[1]})"),
        st.tuples(inner, inner).map(lambda parts: f"({parts[0]}, {parts[1]})"),
        inner.map(lambda part: f"(-{part})"),
        st.tuples(inner, inner).map(lambda parts: f"x[{parts[0]}:{parts[1]}]"),
        st.tuples(inner, inner).map(lambda parts: f"[a for a in {parts[0]} if {parts[1]}]"),
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(EXPRESSIONS)
def test_whatever_the_expression_its_mutants_parse_and_differ(text: str) -> None:
    cell = f"def g(x, y):\n    total = {text}\n    return total\n"
    found = mutants(cell)
    assert found
    trees = {ast.dump(ast.parse(mutant.source)) for mutant in found}
    assert len(trees) == len(found)
    assert ast.dump(ast.parse(cell)) not in trees

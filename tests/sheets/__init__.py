"""The assignments that have tests of their tests: each sheet's cells, run in this one process.

As in a student's notebook; the engine is not used. A module beside this one says for each sheet
which hidden tests each misconception fails (`FAILS`) and which changes of a solution each of them
must notice (`MUTANTS`).
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import io
import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from types import CodeType
from typing import Any

import nbformat
import numpy as np
from nbformat import NotebookNode

from autograder.variants import Variant, load

SOLUTIONS = Path(__file__).parents[2] / "solutions"


def mark(cell: NotebookNode) -> dict[str, Any]:
    return cell.metadata.get("nbgrader", {})


def is_test(cell: NotebookNode) -> bool:
    return bool(mark(cell).get("grade"))


def is_code_solution(cell: NotebookNode) -> bool:
    return bool(mark(cell).get("solution")) and cell.cell_type == "code"


def is_skipped(cell: NotebookNode) -> bool:
    return "skip-execution" in cell.metadata.get("tags", [])


class Sheet:
    """One assignment: its source notebook, its known wrong and right answers, what they score."""

    def __init__(self, name: str):
        self.name = name
        self.notebook = nbformat.read(SOLUTIONS / name / f"{name}.ipynb", as_version=4)
        self.misconceptions = load(SOLUTIONS / name / "misconceptions.py")
        self.alternatives = load(SOLUTIONS / name / "alternatives.py")
        self.expected = importlib.import_module(f"tests.sheets.{name}")
        self.code = [c for c in self.notebook.cells if c.cell_type == "code" and not is_skipped(c)]
        self.solutions = {mark(c)["grade_id"]: c for c in self.code if is_code_solution(c)}
        self.function = {}
        for question, cell in self.solutions.items():
            found = re.search(r"^def (\w+)", cell.source, re.MULTILINE)
            assert found is not None
            self.function[question] = found[1]
        self.question = {function: question for question, function in self.function.items()}
        self.hidden = [
            mark(c)["grade_id"] for c in self.code if is_test(c) and "BEGIN HIDDEN" in c.source
        ]
        self._compiled: dict[str, CodeType] = {}

    def __repr__(self) -> str:
        return self.name

    def cells_of(self, question: str) -> list[str]:
        """Names of the test cells that follow the question's solution cell."""
        found, current = [], ""
        for cell in self.code:
            current = mark(cell)["grade_id"] if is_code_solution(cell) else current
            if is_test(cell) and current == question:
                found.append(mark(cell)["grade_id"])
        return found

    def hidden_of(self, question: str) -> list[str]:
        return [name for name in self.cells_of(question) if name in self.hidden]

    def source(self, name: str) -> str:
        (cell,) = (cell for cell in self.notebook.cells if mark(cell).get("grade_id") == name)
        return cell.source

    @functools.cached_property
    def solved(self) -> dict[str, Any]:
        """The names of the notebook once the source has run."""
        namespace: dict[str, Any] = {"__name__": "__main__"}
        for cell in self.code:
            self.run(mark(cell)["grade_id"], namespace)
        return namespace

    def run(self, name: str, namespace: dict[str, Any], seed: int = 0) -> BaseException | None:
        """Execute one cell; return what it raised."""
        if name not in self._compiled:
            self._compiled[name] = compile(self.source(name), f"<{name}>", "exec")
        np.random.seed(seed)
        with (
            contextlib.redirect_stdout(io.StringIO()),
            warnings.catch_warnings(),
            np.errstate(all="ignore"),
        ):
            warnings.simplefilter("ignore")
            try:
                exec(self._compiled[name], namespace)
            except Exception as error:
                return error
        return None

    def with_source(self, question: str, source: str) -> dict[str, Any]:
        """The notebook's names, with another text in a solution cell."""
        namespace = dict(self.solved)
        exec(compile(source, f"<another {question}>", "exec"), namespace)
        return namespace

    def with_function(self, function: str, replacement: Callable) -> dict[str, Any]:
        return {**self.solved, function: replacement}

    def with_variant(self, variant: Variant) -> dict[str, Any]:
        return self.with_function(variant.of, variant.function)

    def failing(self, names: Iterable[str], namespace: dict[str, Any], seed: int = 0) -> set[str]:
        return {name for name in names if self.run(name, namespace, seed) is not None}

    def assertions(self, name: str) -> set[int]:
        """Lines at which an assertion of a test cell begins."""
        return {
            node.lineno
            for node in ast.walk(ast.parse(self.source(name)))
            if isinstance(node, ast.Assert)
            or (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", "").startswith("assert_close")
            )
        }


SHEETS = [Sheet("ps1_word2vec"), Sheet("ps2_glove_ngrams"), Sheet("ps3_rnn_lm")]


def parts(question: str, text: str) -> set[str]:
    """Cell names for an entry of FAILS: "" is the hidden test without a part's name."""
    return {
        f"{question}_{part}_hidden" if part else f"{question}_hidden" for part in text.split(" ")
    }

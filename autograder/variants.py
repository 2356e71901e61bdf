"""Named wrong and named right implementations of a question's function.

An assignment's `misconceptions.py` holds wrong ones, each with a one-sentence hint as its
docstring; its `alternatives.py` holds right ones in other styles. Both are the course's own code,
kept beside the source notebook and never released.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

F = TypeVar("F", bound=Callable)

_collected: list[Variant] = []


@dataclass(frozen=True)
class Variant:
    """One implementation of the function `of`; `note` is its docstring (a hint, or the style)."""

    of: str
    name: str
    note: str
    function: Callable

    def as_cell(self, source: str) -> str:
        """Return a solution cell that behaves as this variant; `source` is its module's text.

        It holds the function, by the name that the question asks for, and what the function uses:
        no other variant, and no docstring, which is a hint.
        """
        return _cell(self, source)


def _cell(wanted: Variant, source: str) -> str:
    module = ast.parse(source)
    functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
    needed = [wanted.name]
    for name in needed:  # grows while it is walked
        found = {node.id for node in ast.walk(functions[name]) if isinstance(node, ast.Name)}
        needed += sorted(found & functions.keys() - set(needed))
    parts: list[ast.stmt] = []
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and node.name in needed:
            node.decorator_list = []
            if node.name == wanted.name:
                if ast.get_docstring(node) is not None:
                    node.body = node.body[1:] or [ast.Pass()]
                node.name = wanted.of
            parts.append(node)
        elif isinstance(node, ast.Import | ast.Assign | ast.ClassDef) or (
            isinstance(node, ast.ImportFrom) and node.module != __name__
        ):
            parts.append(node)
    text = ast.unparse(ast.Module(body=parts, type_ignores=[]))
    # A function that calls itself does so by its old name.
    recursive = any(
        isinstance(node, ast.Name) and node.id == wanted.name
        for node in ast.walk(functions[wanted.name])
    )
    return text + (f"\n\n{wanted.name} = {wanted.of}\n" if recursive else "\n")


def variant(of: str) -> Callable[[F], F]:
    """Mark a function as an implementation of the question's function named `of`."""

    def mark(function: F) -> F:
        note = " ".join((function.__doc__ or "").split())
        _collected.append(Variant(of, function.__name__, note, function))
        return function

    return mark


def load(path: Path) -> list[Variant]:
    """Run the module at `path` (the course's own, never a student's) and return its variants."""
    spec = importlib.util.spec_from_file_location(f"_variants_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    _collected.clear()
    # A __pycache__ beside the source could be taken for data of the assignment.
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    finally:
        sys.dont_write_bytecode = before
    return list(_collected)

"""Named wrong and named right implementations of a question's function.

An assignment's `misconceptions.py` holds wrong ones, each with a one-sentence hint as its
docstring; its `alternatives.py` holds right ones in other styles. Both are the course's own code,
kept beside the source notebook and never released.
"""

from __future__ import annotations

import importlib.util
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
        """Return a solution cell that behaves as this variant; `source` is its module's text."""
        return f"{source}\n\n{self.of} = {self.name}\n"


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
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return list(_collected)

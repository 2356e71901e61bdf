"""The running table: bits per character of the course's language models, on one split.

`data/bits_per_character.csv` has a line per model: its name, the lecture that computes it, how many
numbers it stores, and the bits that it needs for each of the 47 test chapters of the King James
Bible, in the canon's order. The bits of a chapter are the sum of -log2 P over all its characters,
where each verse ends in a newline; every chapter is begun afresh, after one newline. A lecture that
makes a model computes its bits and calls `check`; a later lecture that compares reads `rows`.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from lectures import corpora

TABLE = Path(__file__).parent / "data" / "bits_per_character.csv"


@dataclass(frozen=True)
class Row:
    """One model's line; `bits` has one entry per test chapter, `characters` their lengths."""

    model: str
    lecture: str
    stored: int
    bits: np.ndarray
    characters: np.ndarray

    @property
    def per_character(self) -> float:
        """Bits per character over all test chapters together."""
        return float(self.bits.sum() / self.characters.sum())


@functools.cache
def characters() -> np.ndarray:
    """Return the number of characters of each test chapter, newlines included."""
    return np.array([len(chapter) for chapter in corpora.king_james_chapters("test")])


def rows() -> dict[str, Row]:
    """Return the table by the models' names, in the order in which the lectures added them."""
    with TABLE.open(newline="") as file:
        return {
            line["model"]: Row(
                line["model"],
                line["lecture"],
                int(line["stored"]),
                np.array(line["bits"].split(), dtype=float),
                characters(),
            )
            for line in csv.DictReader(file)
        }


def check(model: str, lecture: str, stored: int, bits: ArrayLike) -> Row:
    """Return the row of `model` if what was computed now is what the table says, within 0.1 %.

    Raises:
        AssertionError: it is not; the message holds the line that would be right.
    """
    now = np.asarray(bits, dtype=float)
    line = f"{model},{lecture},{stored},{' '.join(f'{b:.1f}' for b in now)}"
    row = rows().get(model)
    same = (
        row is not None
        and (row.lecture, row.stored, row.bits.shape) == (lecture, stored, now.shape)
        and np.allclose(row.bits, now, rtol=1e-3)
    )
    assert same, f"{TABLE.name} says otherwise; computed now:\n{line}"
    assert row is not None
    return row

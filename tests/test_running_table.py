"""The running table holds one line a model, and no line that a lecture did not compute."""

from __future__ import annotations

import numpy as np
import pytest

from lectures import checkpoints, running_table


def test_each_row_has_the_bits_of_the_47_test_chapters():
    assert running_table.rows()
    for row in running_table.rows().values():
        assert row.bits.shape == row.characters.shape == (47,)
        assert row.characters.sum() == 167_377
        assert (row.bits > 0).all()


def test_the_first_row_is_the_uniform_guess_of_66_characters():
    first = next(iter(running_table.rows().values()))
    assert first.per_character == pytest.approx(np.log2(66), abs=1e-4)


def test_what_the_table_says_passes():
    row = next(iter(running_table.rows().values()))
    again = running_table.check(row.model, row.lecture, row.stored, row.bits)
    assert again.per_character == row.per_character


@pytest.mark.parametrize(
    "change", ["bits of one chapter", "stored", "lecture", "model", "chapters"]
)
def test_anything_else_fails_and_names_the_line_that_would_be_right(change):
    row = next(iter(running_table.rows().values()))
    model, lecture, stored, bits = row.model, row.lecture, row.stored, row.bits.copy()
    if change == "bits of one chapter":
        bits[7] *= 1.002
    elif change == "stored":
        stored += 1
    elif change == "lecture":
        lecture = "99"
    elif change == "model":
        model = "another"
    else:
        bits = bits[:-1]
    with pytest.raises(AssertionError, match=f"{model},{lecture},{stored},"):
        running_table.check(model, lecture, stored, bits)


@pytest.mark.parametrize(
    ("model", "weights"), [("LSTM H=256", "lstm_lm"), ("transformer d=92", "transformer_lm")]
)
def test_a_shipped_model_s_row_says_what_its_manifest_says(model, weights):
    row, manifest = running_table.rows()[model], checkpoints.manifest(weights)
    assert row.per_character == pytest.approx(manifest["test"], abs=1e-4)
    assert row.stored == manifest["parameters"]

"""What a search must not say again."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lectures import decoding
from lectures.bpe import BOS


def is_loop(ids):
    """By its definition: the text ends with a phrase three times, or with one of 4 to 30 twice."""
    return any(
        ids[-n * times :] == ids[-n:] * times and len(ids) >= n * times
        for n in range(1, 31)
        for times in ([3] if n < 4 else [2])
    )


@given(st.lists(st.lists(st.integers(3, 5), min_size=14, max_size=14), min_size=1, max_size=4))
def test_what_is_forbidden_is_what_would_close_a_loop(texts):
    said = torch.tensor([[BOS, *text] for text in texts])
    forbidden = set(zip(*(part.tolist() for part in decoding.loops(said)), strict=True))
    wanted = {(i, s) for i, text in enumerate(texts) for s in range(6) if is_loop([*text, s])}
    assert forbidden == wanted


@pytest.mark.parametrize("n", [1, 3, 4, 30, 31])
def test_phrases_of_up_to_thirty_symbols_count(n):
    phrase = list(range(100, 100 + n))
    text = phrase * (3 if n < 4 else 2)
    rows, symbols = decoding.loops(torch.tensor([[BOS, *text[:-1]]]))
    assert (rows.tolist(), symbols.tolist()) == (([0], [text[-1]]) if n <= 30 else ([], []))


@given(st.lists(st.integers(3, 5), min_size=0, max_size=14), st.integers(2, 4))
def test_what_repeats_is_what_would_make_an_n_gram_stand_twice(text, n):
    rows, symbols = decoding.repeats(n)(torch.tensor([[BOS, *text]]))
    grams = [text[i : i + n] for i in range(len(text) - n + 1)]
    wanted = {s for s in range(6) if len(text) >= n and [*text[len(text) - n + 1 :], s] in grams}
    assert set(symbols.tolist()) == wanted
    assert not rows.any()


def test_a_text_that_has_only_begun_has_no_loop():
    assert [part.tolist() for part in decoding.loops(torch.tensor([[BOS], [BOS]]))] == [[], []]


def always(favorite, second):
    """Scores that like one symbol best, then another, whatever was said; the end never."""
    scores = torch.full((8,), -9.0)
    scores[favorite], scores[second] = 2.0, 1.0
    return lambda token, rows: scores.expand(len(token), -1).clone()


@pytest.mark.parametrize("k", [1, 3])
def test_a_search_that_may_not_loop_does_not(k):
    [free] = decoding.beam_search(always(4, 5), 1, 12, k)
    [blocked] = decoding.beam_search(always(4, 5), 1, 12, k, forbid=decoding.loops)
    assert free[0][1] == [4] * 12
    assert not any(is_loop(blocked[0][1][:t]) for t in range(13))

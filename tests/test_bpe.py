"""BPE: merges like the paper's own algorithm, and texts that come back whole."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lectures import bpe, corpora, translation

LETTERS = st.text("abc de.,", max_size=40)


def merges_counted_anew(counts, n_merges):
    """The algorithm of the paper: after each merge all pairs are counted again."""
    symbols = [list(word) for word in counts]
    merges = []
    for _ in range(n_merges):
        pairs = Counter()
        for word, n in zip(symbols, counts.values(), strict=True):
            for pair in pairwise(word):
                pairs[pair] += n
        if not pairs or max(pairs.values()) < 2:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        symbols = [bpe.merge(word, best) for word in symbols]
    return merges


@given(st.lists(LETTERS, max_size=8), st.integers(0, 30))
def test_the_merges_are_those_of_counting_anew_each_time(texts, n_merges):
    counts = Counter(word for text in texts for word in bpe.words(text))
    assert bpe.learn(counts, n_merges) == merges_counted_anew(counts, n_merges)


def test_the_merges_of_the_course_are_those_of_counting_anew():
    pairs = corpora.translation_pairs("train")[:200]
    counts = Counter(word for pair in pairs for word in bpe.words(pair.king_james))
    assert bpe.learn(counts, 300) == merges_counted_anew(counts, 300)


@given(st.text(max_size=80))
def test_words_joined_are_the_text(text):
    assert "".join(bpe.words(text)) == text


@given(st.lists(LETTERS, min_size=1, max_size=8), st.text("abc de.,", max_size=60))
@settings(deadline=None)
def test_a_text_over_known_characters_comes_back(texts, text):
    code = bpe.BPE.from_texts([*texts, "abc de.,"], 20)
    ids = code.encode(text)
    assert code.decode(ids) == text
    assert all(len(bpe.SPECIAL) <= i < len(code) for i in ids)
    # No merge is left undone: each word is what the merges make of it, one after another.
    for word in bpe.words(text):
        symbols = list(word)
        for pair in code.merges:
            symbols = bpe.merge(symbols, pair)
        assert code.split(word) == symbols


def test_every_verse_of_both_bibles_comes_back():
    code = translation.bpe()
    assert len(code) == 3069
    for side in ("train", "valid", "test"):
        for pair, (source, target) in zip(
            corpora.translation_pairs(side), translation.ids(side), strict=True
        ):
            assert code.decode(source) == pair.wycliffe
            assert code.decode(target) == pair.king_james


def test_the_special_ids_give_no_text_and_no_text_gives_them():
    code = bpe.BPE.from_texts(["a <s> a"], 5)
    assert code.decode([bpe.BOS, *code.encode("a <s>"), bpe.EOS, bpe.PAD]) == "a <s>"
    assert not {bpe.PAD, bpe.BOS, bpe.EOS} & set(code.encode("<s> a"))


def test_an_unknown_character_is_named():
    with pytest.raises(ValueError, match="no symbol for 'ß'"):
        bpe.BPE.from_texts(["abc"], 5).encode("aß")

"""IBM Model 1 is nltk's, its likelihood never falls, its texts are joined as they were."""

from __future__ import annotations

import random
import re
from collections import defaultdict

import nltk.translate
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lectures import corpora, ibm_model1

SENTENCE = st.lists(st.integers(0, 5), min_size=1, max_size=6)
CORPUS = st.lists(st.tuples(SENTENCE, SENTENCE), min_size=1, max_size=6)


def em_by_loops(pairs, passes):
    """The formulas of the paper, one word after another."""
    t = defaultdict(lambda: 1.0)
    for _ in range(passes):
        count, total = defaultdict(float), defaultdict(float)
        for fs, es in pairs:
            sources = [ibm_model1.NULL, *fs]
            for e in es:
                z = sum(t[f, e] for f in sources)
                for f in sources:
                    count[f, e] += t[f, e] / z
                    total[f] += t[f, e] / z
        t = defaultdict(float, {(f, e): count[f, e] / total[f] for f, e in count})
    return t


@given(CORPUS, st.integers(1, 4))
@settings(deadline=None)
def test_its_table_is_that_of_the_loops(pairs, passes):
    ours = ibm_model1.fit(pairs, passes)
    theirs = em_by_loops(pairs, passes)
    table = zip(ours.f.tolist(), ours.e.tolist(), ours.t.tolist(), strict=True)
    assert {(f, e): t for f, e, t in table} == pytest.approx(dict(theirs))


@given(st.lists(st.tuples(SENTENCE, SENTENCE.map(set).map(sorted)), min_size=1, max_size=6))
@settings(deadline=None)
def test_its_table_is_that_of_nltk(pairs):
    # nltk 3.10 divides by a target word's total once for each time it stands in the sentence, so
    # that a word that stands twice counts half: here no target word does.
    ours = ibm_model1.fit(pairs, 3)
    theirs = nltk.translate.IBMModel1(
        [
            nltk.translate.AlignedSent([f"e{e}" for e in es], [f"f{f}" for f in fs])
            for fs, es in pairs
        ],
        3,
    ).translation_table
    for f, e, t in zip(ours.f.tolist(), ours.e.tolist(), ours.t.tolist(), strict=True):
        source = None if f == ibm_model1.NULL else f"f{f}"
        assert t == pytest.approx(theirs[f"e{e}"][source], abs=1e-9)


@given(st.lists(st.integers(0, 60), min_size=1))
def test_links_are_numbered_as_by_numpy(links):
    for ours, numpys in zip(
        ibm_model1._numbered(np.array(links)),
        np.unique(links, return_inverse=True),
        strict=True,
    ):
        assert ours.tolist() == numpys.tolist()


@given(CORPUS)
@settings(deadline=None)
def test_probabilities_sum_to_one_and_the_likelihood_never_falls(pairs):
    model = ibm_model1.fit(pairs, 6)
    sums = np.bincount(model.f + 1, model.t)
    assert np.allclose(sums[np.unique(model.f + 1)], 1)
    assert (np.diff(model.log_likelihood) > -1e-9).all()


@given(CORPUS)
@settings(deadline=None)
def test_the_likelihood_is_that_of_the_sum_over_all_alignments(pairs):
    model = ibm_model1.fit(pairs, 1)
    table = dict(zip(zip(model.f.tolist(), model.e.tolist(), strict=True), model.t, strict=True))
    total = 0.0
    for f, e in pairs:
        for word in e:
            links = [table.get((source, word), 0.0) for source in (ibm_model1.NULL, *f)]
            total += np.log(sum(links) / (len(f) + 1))
    assert ibm_model1.fit(pairs, 2).log_likelihood[1] == pytest.approx(total)


def test_the_alignment_finds_back_a_dictionary_that_was_used():
    rng = random.Random(0)
    pairs = []
    for _ in range(300):
        f = rng.sample(range(20), 6)
        pairs.append((f, [19 - word for word in f]))
    model = ibm_model1.fit(pairs, 8)
    for f, e in pairs:
        assert ibm_model1.align(model, f, e).tolist() == list(range(6))
    assert model.best() == {ibm_model1.NULL: model.best()[ibm_model1.NULL]} | {
        f: 19 - f for f in range(20)
    }


def test_the_diagonal_decides_between_equal_words():
    model = ibm_model1.fit([([0, 1, 0], [0, 1, 0])], 3)
    assert ibm_model1.align(model, [0, 1, 0], [0, 1, 0], 1.0).tolist() == [0, 1, 2]
    assert model.probability(np.array([5, 0]), np.array([0, 0]))[0] == 0


def test_a_word_never_seen_stays_and_a_seen_one_is_translated():
    say = ibm_model1.WordForWord([("hous of bras", "house of brass"), ("hous", "house")])
    assert say("hous, Babiloyne!") == "house, Babiloyne!"


def test_joined_tokens_are_the_verse_but_for_spaces():
    pairs = corpora.translation_pairs("test")
    joined = [ibm_model1.join(ibm_model1.tokens(pair.king_james)) for pair in pairs]
    assert [re.sub(r"\s", "", pair.king_james) for pair in pairs] == [
        re.sub(r"\s", "", text) for text in joined
    ]
    assert sum(t != p.king_james for t, p in zip(joined, pairs, strict=True)) <= 12

"""Batches waste little and lose nothing; what counts as a loop."""

from __future__ import annotations

import csv
import random

import pytest
import sacrebleu
import torch
from hypothesis import given
from hypothesis import strategies as st

from lectures import batching, checkpoints, corpora, decoding, translation
from lectures.bpe import BOS, EOS, PAD


@given(st.lists(st.integers(1, 60), max_size=80), st.integers(60, 300), st.booleans())
def test_each_sequence_is_in_one_batch_and_no_batch_is_too_large(lengths, tokens, shuffled):
    batches = batching.by_tokens(lengths, tokens, random.Random(1) if shuffled else None)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert all(max(lengths[i] for i in batch) * len(batch) <= tokens for batch in batches)


def test_few_places_of_a_batch_are_padding():
    pairs = translation.ids("valid")
    lengths = [1 + max(map(len, pair)) for pair in pairs]
    places = empty = 0
    for batch in batching.by_tokens(lengths, 1400, random.Random(1)):
        source, target = translation.tensors([pairs[i] for i in batch])
        places += target.numel()
        empty += int((target == PAD).sum())
        assert (target[:, 0] == BOS).all()
        assert ((source == EOS).sum(1) == 1).all()
    assert empty / places < 0.15


def test_no_target_verse_of_the_test_occurs_in_training():
    said = {pair.king_james for pair in corpora.translation_pairs("test")}
    for side, n in (("train", 25_517), ("valid", 1_294)):
        pairs = corpora.translation_pairs(side)
        assert len(pairs) == n
        assert not said & {pair.king_james for pair in pairs}
    assert len(corpora.translation_pairs("test")) == 1_113


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Holy, holy, holy", True),
        ("Holy, holy, is the LORD", False),
        ("and the sons, and the sons, and the sons of Levi", True),
        ("the sons of Levi, the sons of Levi", True),
        ("the sons of Levi and the sons of Juda", False),
        ("and he, and he said", False),
        ("", False),
    ],
)
def test_what_is_a_loop(text, answer):
    assert translation.loops(text) is answer


def test_verses_that_people_wrote_hardly_ever_loop():
    verses = [pair.king_james for pair in corpora.translation_pairs("test")]
    assert sum(map(translation.loops, verses)) == 2


def test_padding_is_put_behind():
    assert torch.equal(batching.pad([[5, 6], [7]]), torch.tensor([[5, 6], [7, PAD]]))


def test_what_is_kept_of_the_test_verses_is_what_the_systems_say():
    with (checkpoints.DATA / "translations.csv").open(newline="") as file:
        kept = list(csv.DictReader(file))
    pairs = corpora.translation_pairs("test")
    assert [(k["book"], int(k["chapter"]), int(k["verse"])) for k in kept] == [p[:3] for p in pairs]
    some = range(0, len(pairs), 50)
    sources = [pairs[i].wycliffe for i in some]
    transformer, lstm = translation.load(), translation.load_lstm()
    for column, model, k, forbid in (
        ("greedy", transformer, 1, None),
        ("free", transformer, 4, None),
        ("beam", transformer, 4, decoding.loops),
        ("lstm", lstm, 1, None),
    ):
        now = translation.translate(model, sources, k=k, forbid=forbid)
        same = [said == kept[i][column] for said, i in zip(now, some, strict=True)]
        assert sum(same) >= 0.9 * len(same)  # another processor may round a near tie the other way


def test_the_shipped_translations_loop_rarely_and_the_manifest_says_how_they_score():
    with (checkpoints.DATA / "translations.csv").open(newline="") as file:
        said = [line["beam"] for line in csv.DictReader(file)]
    references = [[pair.king_james for pair in corpora.translation_pairs("test")]]
    recorded = checkpoints.manifest("translation")["test"]
    assert recorded["beam 4"] == {
        "bleu": round(sacrebleu.corpus_bleu(said, references).score, 2),
        "chrf": round(sacrebleu.corpus_chrf(said, references).score, 2),
        "loops": round(100 * sum(map(translation.loops, said)) / len(said), 2),
    }
    assert recorded["beam 4"]["loops"] < 2
    for score in ("bleu", "chrf"):
        assert recorded["beam 4"][score] > recorded["IBM Model 1"][score]


def test_a_system_that_is_kept_leaves_the_others_as_they_are(tmp_path, monkeypatch):
    before = (checkpoints.DATA / "translations.csv").read_text()
    (tmp_path / "translations.csv").write_text(before)
    monkeypatch.setattr(checkpoints, "DATA", tmp_path)
    with (tmp_path / "translations.csv").open(newline="") as file:
        model1 = [line["model1"] for line in csv.DictReader(file)]
    translation.keep({"model1": model1})
    assert (tmp_path / "translations.csv").read_text() == before
    translation.keep({"another": ["none"] * len(model1)})
    with (tmp_path / "translations.csv").open(newline="") as file:
        kept = list(csv.DictReader(file))
    assert [line["model1"] for line in kept] == model1
    assert {line["another"] for line in kept} == {"none"}

"""The attention LSTM is torch's parts put together; padding changes nothing; errors are counted."""

from __future__ import annotations

import math

import nltk
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lectures import character_lm, corpora, pronunciation
from lectures.attention_lstm import AttentionLSTM, greedy
from lectures.batching import pad
from lectures.bpe import BOS, EOS, PAD

SOURCES = [[5, 6, 7, 8, 3, EOS], [9, 4, EOS], [3, EOS]]
TARGETS = [[BOS, 7, 7, 3, 5], [BOS, 4, 8, 8, 6], [BOS, 3, 3, 9, 4]]


@pytest.fixture(params=[True, False], ids=["attention", "plain"])
def model(request):
    torch.manual_seed(1)
    return AttentionLSTM(10, 12, d=8, d_embedding=6, layers=2, attention=request.param).eval()


def test_padding_changes_nothing(model):
    together = model(pad(SOURCES), pad(TARGETS))
    for i, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        alone = model(torch.tensor([source]), torch.tensor([target]))
        assert torch.allclose(together[i], alone[0], atol=1e-6)


def test_step_by_step_is_the_whole_at_once(model):
    source, target = pad(SOURCES), pad(TARGETS)
    states, there, state = model.encode(source)
    steps = []
    for j in range(target.shape[1]):
        scores, state, _ = model.decode(target[:, j : j + 1], (states, there), state)
        steps.append(scores)
    assert torch.allclose(torch.cat(steps, 1), model(source, target), atol=1e-6)


def test_attention_is_torch_s_scaled_dot_product_over_the_source():
    torch.manual_seed(1)
    model = AttentionLSTM(10, 12, d=8, d_embedding=6).eval()
    states, there, last = model.encode(pad(SOURCES))
    h, _ = model.decoder(model.target_embedding(pad(TARGETS)), last)
    context = torch.nn.functional.scaled_dot_product_attention(
        h, model.key(states), states, attn_mask=there[:, None]
    )
    expected = model.output(torch.tanh(model.combine(torch.cat([context, h], -1))))
    scores, _, weights = model.decode(pad(TARGETS), (states, there), last)
    assert torch.allclose(scores, expected, atol=1e-6)
    assert torch.allclose(weights.sum(-1), torch.ones(3, 5))
    assert (weights[2, :, 2:] == 0).all()


def test_the_decoder_starts_from_both_ends_of_the_source(model):
    _, _, (h, c) = model.encode(pad(SOURCES))
    assert h.shape == c.shape == (2, 3, 8)
    forward, backward = model.encoder(model.source_embedding(torch.tensor([[9, 4, EOS]])))[0][0][
        [-1, 0]
    ].split(4, -1)
    assert torch.allclose(h[1, 1], torch.cat([forward[0], backward[1]]), atol=1e-6)


def test_greedy_takes_the_likeliest_each_time(model):
    for source, row in zip(SOURCES, greedy(model, pad(SOURCES), 9), strict=True):
        tokens = [BOS]
        while len(tokens) < 10:
            best = int(model(torch.tensor([source]), torch.tensor([tokens]))[0, -1].argmax())
            if best == EOS:
                break
            tokens.append(best)
        assert row == tokens[1:]


@given(st.text("abc", max_size=8), st.text("abc", max_size=8))
def test_edits_are_nltk_s(a, b):
    assert pronunciation.edits(a, b) == nltk.edit_distance(a, b)


def test_the_nearest_pronunciation_counts_and_rates_are_of_all_phonemes():
    read = corpora.Word("read", (("R", "EH", "D"), ("R", "IY", "D")))
    a = corpora.Word("a", (("AH",), ("EY",)))
    assert pronunciation.errors(("R", "IY", "D"), read) == (0, 3)
    assert pronunciation.errors(("R", "IY"), read) == (1, 3)
    assert pronunciation.phoneme_error_rate([("R", "IY"), ("EY",)], [read, a]) == 25


def test_ids_stand_for_the_dictionary():
    names = pronunciation.phonemes()
    assert len(names) == 42
    words = {word.letters: word.pronunciations for word in pronunciation.words("valid")}
    for source, target in pronunciation.ids("valid"):
        assert (source[-1], target[0], target[-1]) == (EOS, BOS, EOS)
        spelled = "".join(pronunciation.LETTERS[i] for i in source[:-1])
        assert tuple(names[i] for i in target[1:-1]) in words[spelled]


def test_bits_of_a_model_that_knows_nothing_are_those_of_even_chances():
    model = character_lm.CharacterLSTM(len(character_lm.characters()), hidden=4)
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    expected = [math.log2(66) * len(text) for text in corpora.king_james_chapters("valid")]
    assert character_lm.bits(model, "valid") == pytest.approx(expected)


def test_no_symbol_of_padding_is_ever_trained(model):
    assert (model.source_embedding.weight[PAD] == 0).all()

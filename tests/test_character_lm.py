"""The character models look only back, and the bits of a text are those of its definition."""

from __future__ import annotations

import math

import pytest
import torch

from lectures import character_lm
from lectures.character_lm import SPAN, CharacterLSTM, CharacterTransformer


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = CharacterTransformer(20, d=16, d_inner=32)
    torch.nn.init.normal_(model.output.weight)
    return model.eval()


def test_no_position_sees_what_comes_after_and_each_sees_all_before(model):
    x = torch.randint(20, (1, 12))
    for j in range(12):
        other = x.clone()
        other[0, j] = (x[0, j] + 1) % 20
        moved = (model(other) - model(x)).abs().amax(-1)[0] > 1e-7
        assert moved.tolist() == [t >= j for t in range(12)]


def test_distances_count_and_places_do_not(model):
    """Where nothing stands before, a text gives the same at each place: by its definition."""
    mask = model.mask(9)
    assert torch.equal(mask[..., 3:, 3:], mask[..., :6, :6])
    assert mask[0, :, 5, 3].tolist() == pytest.approx([-2.0, -0.5, -0.125, -0.03125])


def test_character_by_character_with_the_cache_is_the_whole_at_once(model):
    x = torch.randint(20, (2, 30))
    cache = [{} for _ in model.layers]
    parts = [model(x[:, :7], cache), *(model(x[:, i : i + 1], cache) for i in range(7, 30))]
    assert torch.allclose(torch.cat(parts, 1), model(x), atol=1e-5)


@pytest.mark.parametrize("n", [1, 127, SPAN, SPAN + 1, 2 * SPAN - 1, 700])
def test_each_character_is_scored_in_the_first_window_that_reaches_it(model, n):
    text, half = torch.randint(20, (n,)), SPAN // 2
    with torch.no_grad():
        scores = character_lm.in_windows(model, text)
        assert scores.shape == (n, 20)
        for t in {*range(0, n, 61), n - 1}:
            begin = max(0, t // half - 1) * half
            assert t - begin < SPAN
            assert begin == 0 or t - begin >= half
            alone = model(text[None, begin : t + 1])[0, -1]
            assert torch.allclose(scores[t], alone, atol=1e-4)


@pytest.mark.parametrize("kind", [CharacterLSTM, CharacterTransformer])
def test_a_model_that_knows_nothing_needs_log_v_bits_for_each_character(kind):
    model = kind(len(character_lm.characters())).eval()
    for name in ("weight", "bias"):
        torch.nn.init.zeros_(getattr(model.output, name))
    bits = character_lm.bits(model, "test")
    lengths = [len(chapter) for chapter in character_lm.ids("test")]
    assert len(bits) == 47
    assert bits == pytest.approx([n * math.log2(66) for n in lengths])

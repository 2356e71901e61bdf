"""The transformer looks where it may, caches what it would compute, and its beam finds the best."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from lectures.batching import pad
from lectures.bpe import BOS, EOS, PAD
from lectures.transformer import Transformer, beam_search, greedy, sinusoids

V = 12


def best(model, source, longest, **options):
    return [found[0][1] for found in beam_search(model, source, longest, **options)]


@pytest.fixture
def model():
    torch.manual_seed(3)
    model = Transformer(V, d=16, heads=2, layers=(2, 2), d_inner=32, dropout=0.1)
    with torch.no_grad():
        model.bias.normal_()
    return model.eval()


SOURCES = [[5, 6, 7, 8, 3, EOS], [9, 4, EOS], [3, EOS]]
TARGETS = [[BOS, 7, 7, 3, 5], [BOS, 4, 8, 8, 11], [BOS, 3, 3, 9, 4]]


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_it_is_torch_s_transformer(model):
    theirs = torch.nn.Transformer(
        16, 2, 2, 2, 32, dropout=0.0, batch_first=True, norm_first=True
    ).eval()
    state = {}
    for side in ("encoder", "decoder"):
        state |= {
            f"{side}.norm.{k}": v for k, v in getattr(model, f"{side}_norm").state_dict().items()
        }
        for n, layer in enumerate(getattr(model, side)):
            for ours, name in (
                ("self_attention", "self_attn"),
                ("cross_attention", "multihead_attn"),
            ):
                if hasattr(layer, ours):
                    a, to = getattr(layer, ours), f"{side}.layers.{n}.{name}"
                    for kind in ("weight", "bias"):
                        q, kv = getattr(a.query, kind), getattr(a.key_value, kind)
                        state[f"{to}.in_proj_{kind}"] = torch.cat([q, kv])
                        state[f"{to}.out_proj.{kind}"] = getattr(a.output, kind)
            for kind in ("weight", "bias"):
                for norm in ("norm_1", "norm_2", "norm_3"):
                    if hasattr(layer, norm):
                        to = f"{side}.layers.{n}.{norm.replace('_', '')}.{kind}"
                        state[to] = getattr(getattr(layer, norm), kind)
                state[f"{side}.layers.{n}.linear1.{kind}"] = getattr(layer.feed_forward[0], kind)
                state[f"{side}.layers.{n}.linear2.{kind}"] = getattr(layer.feed_forward[2], kind)
    theirs.load_state_dict(state)
    source, target = pad(SOURCES), pad(TARGETS)
    hidden = theirs(
        model.embed(source),
        model.embed(target),
        tgt_mask=theirs.generate_square_subsequent_mask(5),
        tgt_is_causal=True,
        src_key_padding_mask=source == PAD,
        memory_key_padding_mask=source == PAD,
    )
    expected = F.linear(hidden, model.embedding.weight, model.bias)
    assert torch.allclose(model(source, target), expected, atol=1e-5)


def test_positions_are_those_of_the_formula():
    p = sinusoids(50, 8)
    assert p[7, 4] == pytest.approx(math.sin(7 / 10_000 ** (4 / 8)), abs=1e-6)
    assert p[7, 5] == pytest.approx(math.cos(7 / 10_000 ** (4 / 8)), abs=1e-6)


def test_padding_changes_nothing(model):
    together = model(pad(SOURCES), pad(TARGETS))
    for i, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        alone = model(torch.tensor([source]), torch.tensor([target]))
        assert torch.allclose(together[i], alone[0], atol=1e-5)


def test_no_position_sees_what_comes_after(model):
    source, target = pad(SOURCES), pad(TARGETS)
    before = model(source, target)
    for j in range(1, target.shape[1]):
        other = target.clone()
        other[:, j] = (other[:, j] + 1) % V
        after = model(source, other)
        assert torch.allclose(before[:, :j], after[:, :j], atol=1e-6)
        assert not torch.allclose(before[:, j], after[:, j], atol=1e-3)


def test_token_by_token_with_the_cache_is_the_whole_at_once(model):
    source, target = pad(SOURCES), pad(TARGETS)
    cache, mask = model.encode(source)
    steps = [model.decode(target[:, j : j + 1], cache, mask) for j in range(target.shape[1])]
    assert torch.allclose(torch.cat(steps, 1), model(source, target), atol=1e-5)


def test_the_map_is_a_distribution_over_the_source_and_not_over_padding(model):
    maps = []
    model(pad(SOURCES), pad(TARGETS), maps)
    assert len(maps) == 2
    for weights in maps:
        assert torch.allclose(weights.exp().sum(-1), torch.ones(3, 5))
        assert (weights[1].exp()[:, len(SOURCES[1]) :] == 0).all()


def log_p(model, source, tokens):
    said = torch.tensor([[BOS, *tokens]])
    with torch.no_grad():
        scores = model(torch.tensor([source]), said[:, :-1]).log_softmax(-1)
    return float(scores[0].gather(1, said[0, 1:, None]).sum())


def test_greedy_takes_the_likeliest_each_time(model):
    said = greedy(model, pad(SOURCES), 9)
    for source, row in zip(SOURCES, said, strict=True):
        tokens = [BOS]
        while len(tokens) < 10:
            best = int(model(torch.tensor([source]), torch.tensor([tokens]))[0, -1].argmax())
            if best == EOS:
                break
            tokens.append(best)
        assert row == tokens[1:]


def test_a_beam_of_one_is_greedy(model):
    assert best(model, pad(SOURCES), 9, k=1) == greedy(model, pad(SOURCES), 9)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_wide_beam_finds_the_best_of_all(alpha):
    # Five ids (three special), at most three tokens: every translation can be tried.
    for seed in range(6):
        torch.manual_seed(seed)
        model = Transformer(5, d=8, heads=2, layers=(1, 1), d_inner=16).eval()
        with torch.no_grad():
            model.bias.normal_(std=2.0)
        source = [3, 4, 3, EOS]
        every = [
            [*middle, EOS]
            for n in range(3)
            for middle in itertools.product([PAD, BOS, 3, 4], repeat=n)
        ]
        ranked = sorted(every, key=lambda t: -log_p(model, source, t) / len(t) ** alpha)
        [found] = beam_search(model, torch.tensor([source]), 3, k=80, alpha=alpha)
        assert [ids for _, ids in found] == [t[:-1] for t in ranked]
        for (score, _), t in zip(found, ranked, strict=True):
            assert score == pytest.approx(log_p(model, source, t) / len(t) ** alpha, abs=1e-5)


def test_sentences_searched_together_are_those_searched_alone(model):
    together = best(model, pad(SOURCES), 12, k=3)
    alone = [best(model, torch.tensor([s]), 12, k=3)[0] for s in SOURCES]
    assert together == alone

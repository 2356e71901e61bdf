"""Character language models on the running table's text and conditions: LSTM and transformer.

`data/make_lstm_lm.py` and `data/make_transformer_lm.py` train them, with as many weights as lecture
06's RNN. The LSTM reads a chapter from its first character to its last; the transformer reads
windows of `SPAN` characters.
"""

from __future__ import annotations

import functools
import math
from typing import Literal

import torch
from torch import Tensor, nn

from lectures import checkpoints, corpora
from lectures.transformer import Cache, EncoderLayer

SPAN = 256  # characters that the transformer reads at once
Side = Literal["train", "valid", "test"]
State = tuple[Tensor, Tensor]  # h and c, each (1, streams, hidden)


class CharacterLSTM(nn.Module):
    """e = E[x], (h, c) = LSTM(e, h, c), z = U h + b."""

    def __init__(self, n_chars: int, d: int = 32, hidden: int = 256):
        super().__init__()
        self.embedding = nn.Embedding(n_chars, d)
        self.lstm = nn.LSTM(d, hidden, batch_first=True)
        self.output = nn.Linear(hidden, n_chars)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Scores (streams, steps, n_chars) for ids `x` (streams, steps), and the last state."""
        states, state = self.lstm(self.embedding(x), state)
        return self.output(states), state


class CharacterTransformer(nn.Module):
    """Pre-norm layers under a causal mask, with no positions but distances (Press et al. 2022).

    A key that stands k places back is scored lower by k times a slope, one for each head: 1, 1/4,
    1/16, ... So a head forgets faster or slower, and nothing is tied to a place in the window.
    """

    def __init__(
        self, n_chars: int, d: int = 92, heads: int = 4, layers: int = 3, d_inner: int = 360
    ):
        super().__init__()
        self.embedding = nn.Embedding(n_chars, d)
        self.layers = nn.ModuleList(EncoderLayer(d, heads, d_inner, 0.0) for _ in range(layers))
        self.norm = nn.LayerNorm(d)
        self.output = nn.Linear(d, n_chars)
        nn.init.normal_(self.output.weight, std=0.02)  # the first loss is near log n_chars
        nn.init.zeros_(self.output.bias)
        self.heads = heads

    def mask(self, n: int, past: int = 0) -> Tensor:
        """What is added to the scores of n queries behind `past` keys, (1, heads, n, past + n)."""
        distance = (past + torch.arange(n))[:, None] - torch.arange(past + n)
        slopes = 0.25 ** torch.arange(self.heads)[:, None, None]
        return (-slopes * distance).masked_fill(distance < 0, -math.inf)[None]

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        """Scores (B, n, n_chars) of the character after each of x (B, n).

        A `cache` holds each layer's keys and values of what was read before, and gets those of x;
        begin with an empty dict for each layer.
        """
        past = cache[0]["key"].shape[2] if cache and cache[0] else 0
        mask = self.mask(x.shape[1], past)
        stream = self.embedding(x)
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, EncoderLayer)
            h = layer.norm_1(stream)
            key, value = layer.self_attention.keys_values(h)
            if cache is not None:
                if cache[i]:
                    key = torch.cat([cache[i]["key"], key], 2)
                    value = torch.cat([cache[i]["value"], value], 2)
                cache[i] = {"key": key, "value": value}
            stream = stream + layer.self_attention(h, key, value, mask)
            stream = stream + layer.feed_forward(layer.norm_2(stream))
        return self.output(self.norm(stream))


@functools.cache
def characters() -> str:
    """Return all characters of the train side, sorted: a character's id is its place."""
    return "".join(sorted(set("".join(corpora.king_james_chapters("train")))))


@functools.cache
def ids(side: Side) -> list[list[int]]:
    """Return the chapters of a side as ids."""
    number = {char: i for i, char in enumerate(characters())}
    return [[number[char] for char in chapter] for chapter in corpora.king_james_chapters(side)]


@torch.no_grad()
def bits(model: CharacterLSTM | CharacterTransformer, side: Side) -> list[float]:
    """Sum of -log2 P over each chapter's characters; each is begun afresh, after a newline."""
    newline = characters().index("\n")
    found = []
    for chapter in ids(side):
        text = torch.tensor([newline, *chapter])
        if isinstance(model, CharacterLSTM):
            scores = model(text[None, :-1])[0][0]
        else:
            scores = in_windows(model, text[:-1])
        loss = nn.functional.cross_entropy(scores, text[1:], reduction="sum")
        found.append(loss.item() / math.log(2))
    return found


def in_windows(model: CharacterTransformer, text: Tensor) -> Tensor:
    """Scores (n, n_chars) of what follows each of n characters, each with half a window before it.

    Windows of `SPAN` characters begin every half of it; a character is scored in the first one that
    reaches it, so with 128 to 255 predecessors, or with all of them where there are not as many.
    """
    half = SPAN // 2
    windows = max(0, math.ceil((len(text) - SPAN) / half)) + 1
    filled = nn.functional.pad(text, (0, SPAN + (windows - 1) * half - len(text)))
    scores = model(filled.unfold(0, SPAN, half))  # what fills up comes last: nobody looks at it
    return torch.cat([scores[0, :half], scores[:, half:].flatten(0, 1)])[: len(text)]


@functools.cache
def load() -> CharacterLSTM:
    """Return the LSTM as `data/make_lstm_lm.py` left it, ready to use."""
    model = CharacterLSTM(len(characters()))
    checkpoints.load("lstm_lm", model)
    return model


@functools.cache
def load_transformer() -> CharacterTransformer:
    """Return the transformer as `data/make_transformer_lm.py` left it, ready to use."""
    model = CharacterTransformer(len(characters()))
    checkpoints.load("transformer_lm", model)
    return model

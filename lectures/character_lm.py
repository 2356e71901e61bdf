"""A character language model of LSTM cells, on the running table's text and conditions.

`data/make_lstm_lm.py` trains it: as many weights as lecture 06's RNN, on text read in the same
order, for half as many epochs. Its weights are not shipped yet.
"""

from __future__ import annotations

import functools
import math
from typing import Literal

import torch
from torch import Tensor, nn

from lectures import checkpoints, corpora

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
def bits(model: CharacterLSTM, side: Side) -> list[float]:
    """Sum of -log2 P over each chapter's characters; each is begun afresh, after a newline."""
    newline = characters().index("\n")
    found = []
    for chapter in ids(side):
        text = torch.tensor([[newline, *chapter]])
        scores, _ = model(text[:, :-1])
        loss = nn.functional.cross_entropy(scores[0], text[0, 1:], reduction="sum")
        found.append(loss.item() / math.log(2))
    return found


@functools.cache
def load() -> CharacterLSTM:
    """Return the LSTM as `data/make_lstm_lm.py` left it, ready to use."""
    model = CharacterLSTM(len(characters()))
    checkpoints.load("lstm_lm", model)
    return model

"""An LSTM encoder–decoder, with attention or without (Bahdanau et al. 2015; Luong et al. 2015).

The encoder reads both ways, the decoder starts from what the encoder ended with. With attention
each decoder state h_j then looks back: scores h_j W s_i (Luong's "general" form), their softmax,
the mean c_j of the source states, and tanh(W_c [c_j; h_j]) in the place of h_j. Shapes: B pairs, H
source symbols, Z target symbols, d the width of a state.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lectures import decoding
from lectures.bpe import PAD

State = tuple[Tensor, Tensor]  # an LSTM's h and c, each (layers, B, d)


class AttentionLSTM(nn.Module):
    """P(target | source), one symbol after another; without attention from the last state alone."""

    def __init__(
        self,
        source: int,
        target: int,
        d: int = 256,
        d_embedding: int = 64,
        layers: int = 1,
        dropout: float = 0.1,
        attention: bool = True,
    ):
        super().__init__()
        self.layers = layers
        self.source_embedding = nn.Embedding(source, d_embedding, padding_idx=PAD)
        self.target_embedding = nn.Embedding(target, d_embedding, padding_idx=PAD)
        self.encoder = nn.LSTM(d_embedding, d // 2, layers, batch_first=True, bidirectional=True)
        self.decoder = nn.LSTM(d_embedding, d, layers, batch_first=True)
        self.key = nn.Linear(d, d, bias=False) if attention else None
        self.combine = nn.Linear(2 * d, d, bias=False) if attention else None
        self.output = nn.Linear(d, target)
        self.dropout = nn.Dropout(dropout)

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor, State]:
        """Read (B, H); return all states (B, H, d), where a symbol stands (B, H), the last states.

        The last state of each direction is that at the end of the symbols, not of the padding.
        """
        there = source != PAD
        lengths = there.sum(1).cpu()  # where packing wants them
        x = self.dropout(self.source_embedding(source))
        if bool(there.all()):
            states, (h, c) = self.encoder(x)
        else:
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            states, (h, c) = self.encoder(packed)
            states, _ = pad_packed_sequence(states, batch_first=True)

        def both(last: Tensor) -> Tensor:  # (layers * 2, B, d / 2) to (layers, B, d)
            return last.unflatten(0, (self.layers, 2)).transpose(1, 2).flatten(2)

        return states, there, (both(h), both(c))

    def decode(
        self, target: Tensor, memory: tuple[Tensor, Tensor], state: State
    ) -> tuple[Tensor, State, Tensor | None]:
        """Scores (B, Z, V) of what comes after each of target (B, Z), the last state, the map.

        `memory` is what `encode` returned first; the map is (B, Z, H), None without attention.
        """
        states, there = memory
        h, state = self.decoder(self.dropout(self.target_embedding(target)), state)
        weights = None
        if self.key is not None and self.combine is not None:
            scores = h @ self.key(states).transpose(1, 2) / math.sqrt(h.shape[-1])
            weights = scores.masked_fill(~there[:, None], -math.inf).softmax(-1)
            h = torch.tanh(self.combine(torch.cat([weights @ states, h], -1)))
        return self.output(self.dropout(h)), state, weights

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Scores (B, Z, V) of the symbol after each of target (B, Z), given source (B, H)."""
        states, there, last = self.encode(source)
        return self.decode(target, (states, there), last)[0]


@torch.no_grad()
def greedy(model: AttentionLSTM, source: Tensor, longest: int) -> list[list[int]]:
    """Say by `decoding.greedy`."""
    states, there, state = model.encode(source)

    def step(token: Tensor) -> Tensor:
        nonlocal state
        scores, state, _ = model.decode(token, (states, there), state)
        return scores[:, -1]

    return decoding.greedy(step, len(source), longest)


@torch.no_grad()
def beam_search(
    model: AttentionLSTM,
    source: Tensor,
    longest: int,
    k: int = 4,
    alpha: float = 1.0,
    enough: int | None = None,
) -> list[list[tuple[float, list[int]]]]:
    """Search by `decoding.beam_search`."""
    states, there, (h, c) = model.encode(source)
    first = torch.arange(len(source)).repeat_interleave(k)  # one row for each hypothesis
    states, there, h, c = states[first], there[first], h[:, first], c[:, first]

    def step(token: Tensor, rows: Tensor) -> Tensor:
        nonlocal states, there, h, c
        if len(rows) < len(states):  # the source is the same for all of a text
            states, there = states[rows], there[rows]
        scores, (h, c), _ = model.decode(token, (states, there), (h[:, rows], c[:, rows]))
        return scores[:, -1]

    return decoding.beam_search(step, len(source), longest, k, alpha, enough)

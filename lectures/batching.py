"""Sequences of unequal length made into batches with few wasted places."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch import Tensor


def pad(sequences: Sequence[Sequence[int]], filler: int = 0) -> Tensor:
    """Return ids as one tensor (B, longest), filled up with `filler`."""
    longest = max(map(len, sequences))
    return torch.tensor([[*ids, *[filler] * (longest - len(ids))] for ids in sequences])


def by_tokens(
    lengths: Sequence[int],
    tokens: int,
    rng: random.Random | None = None,
    slack: float = 4,
) -> list[list[int]]:
    """Cut the indices of `lengths` into batches of about equal lengths and about equal size.

    In each, the longest times the number of sequences is at most `tokens` (a longer sequence is
    alone). `rng` shuffles the batches, and what is together in them: lengths within `slack` may
    change places. Without it the order is that of the lengths.
    """
    order = sorted(
        range(len(lengths)), key=lambda i: lengths[i] + (slack * rng.random() if rng else 0)
    )
    batches: list[list[int]] = []
    longest = 0
    for i in order:
        longest = max(longest, lengths[i])
        if not batches or longest * (len(batches[-1]) + 1) > tokens:
            batches.append([])
            longest = lengths[i]
        batches[-1].append(i)
    if rng:
        rng.shuffle(batches)
    return batches

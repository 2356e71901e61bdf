"""From scores to text, for any model that scores the next symbol."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lectures.bpe import BOS, EOS


def greedy(step: Callable[[Tensor], Tensor], n: int, longest: int) -> list[list[int]]:
    """Take the likeliest symbol each time, at most `longest`; return ids without begin and end.

    `step` gets the newest symbol of each of `n` texts, (n, 1), and returns the scores of the next
    one, (n, V); it keeps in mind what came before.
    """
    token = torch.full((n, 1), BOS)
    said = []
    done = torch.zeros(n, dtype=torch.bool)
    for _ in range(longest):
        token = step(token).argmax(-1, keepdim=True)
        done |= token[:, 0] == EOS
        if done.all():
            break
        said.append(token)
    rows = torch.cat(said, 1).tolist() if said else [[] for _ in range(n)]
    return [row[: row.index(EOS)] if EOS in row else row for row in rows]

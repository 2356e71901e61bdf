"""From scores to text, for any model that scores the next symbol."""

from __future__ import annotations

import math
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


Forbid = Callable[[Tensor], tuple[Tensor, Tensor]]


def loops(said: Tensor) -> tuple[Tensor, Tensor]:
    """Return which symbol would close a loop in which row of `said`, (m, length), begin included.

    A loop is a phrase that stands three times in a row, or one of four to thirty symbols twice.
    """
    length = said.shape[1]
    rows, symbols = [torch.empty(0, dtype=torch.long)], [torch.empty(0, dtype=torch.long)]
    for n in range(1, min(30, length // 2) + 1):
        again = (2 * n if n < 4 else n) - 1  # so many symbols are those n places before already
        if length - 1 >= again + n:  # the begin is not of the text
            same = (said[:, length - again :] == said[:, length - again - n : length - n]).all(1)
            rows.append(same.nonzero()[:, 0])
            symbols.append(said[rows[-1], length - n])
    return torch.cat(rows), torch.cat(symbols)


def repeats(n: int) -> Forbid:
    """Forbid each n-gram that a text has already (Paulus, Xiong and Socher 2018, section 2.5)."""

    def forbid(said: Tensor) -> tuple[Tensor, Tensor]:
        if said.shape[1] <= n:  # the begin is not of the text
            return torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long)
        there = said[:, 1:].unfold(1, n, 1)  # (m, length - n, n)
        end = said[:, None, said.shape[1] - n + 1 :]
        rows, place = (there[:, :, :-1] == end).all(-1).nonzero(as_tuple=True)
        return rows, there[rows, place, -1]

    return forbid


def beam_search(
    step: Callable[[Tensor, Tensor], Tensor],
    n: int,
    longest: int,
    k: int,
    alpha: float = 1.0,
    enough: int | None = None,
    forbid: Forbid | None = None,
) -> list[list[tuple[float, list[int]]]]:
    """Keep the k likeliest beginnings of each of `n` texts; return the texts found, best first.

    Each is (score, ids without begin and end), the score being log P / length**alpha with the end
    counted. A text that ends among the k likeliest is put aside and keeps no place: k others go on.
    A search is over when `enough` (default: k) have ended, or after `longest` symbols; if none had
    ended by then, the likeliest beginning is what it returns.

    `step` gets the newest symbol of each beginning, (m, 1), and which beginning of the step before
    each one continues, (m,); it returns the scores of what comes next, (m, V). The first time there
    are k equal beginnings of each text. `forbid` gets the beginnings (m, length) and returns rows
    and symbols: those must not follow these.
    """
    enough = k if enough is None else enough
    found: list[list[tuple[float, list[int]]]] = [[] for _ in range(n)]
    texts = list(range(n))  # those whose search is not over
    rows = torch.arange(n * k)
    said = torch.full((n * k, 1), BOS)
    score = torch.full((n, k), -math.inf)
    score[:, 0] = 0.0  # all k begin alike: one of them counts
    for length in range(1, longest + 1):
        log_p = step(said[:, -1:], rows).log_softmax(-1)
        if forbid is not None:
            log_p[forbid(said)] = -math.inf
        m, vocabulary = len(texts), log_p.shape[1]
        candidates = (score[:, :, None] + log_p.view(m, k, -1)).flatten(1)
        top, place = candidates.topk(min(2 * k, candidates.shape[1]))  # k of 2k do not end
        beam, token = place // vocabulary, place % vocabulary
        ends = token == EOS
        for i, column in (ends[:, :k] & (top[:, :k] > -math.inf)).nonzero().tolist():
            if len(found[texts[i]]) < enough:
                ids = said[i * k + int(beam[i, column]), 1:].tolist()
                found[texts[i]].append((float(top[i, column]) / length**alpha, ids))
        score, column = top.masked_fill(ends, -math.inf).topk(k)
        beam, token = beam.gather(1, column), token.gather(1, column)
        rows = torch.arange(m)[:, None] * k + beam
        on = torch.tensor([len(found[b]) < enough for b in texts])
        if not on.any():
            return [sorted(ended, reverse=True) for ended in found]
        texts = [b for b in texts if len(found[b]) < enough]
        score, rows, token = score[on], rows[on].flatten(), token[on].view(-1, 1)
        said = torch.cat([said[rows], token], 1)
    for i, b in enumerate(texts):
        if not found[b]:
            found[b] = [(float(score[i, 0]) / longest**alpha, said[i * k, 1:].tolist())]
    return [sorted(ended, reverse=True) for ended in found]

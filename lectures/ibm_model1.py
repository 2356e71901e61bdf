"""IBM Model 1 (Brown et al. 1993, section 4.1) by EM, over a whole corpus at once in NumPy.

Each target word e_j is made from one source word f_i, or from none (the null word), every i being
as likely as any other: P(e, a | f) is proportional to the product over j of t(e_j | f_{a_j}).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NULL = -1  # the source id of the null word


def tokens(text: str) -> list[str]:
    """Words and single marks of punctuation."""
    return re.findall(r"\w+|[^\w\s]", text)


def join(words: Sequence[str]) -> str:
    """Put tokens together as a text: no space before a closing mark or after an opening one."""
    text = " ".join(words)
    return re.sub(r"(\() | (?=[,.;:?!)])| ([’-]) ", r"\1\2", text)


@dataclass(frozen=True)
class Model1:
    """t(e | f) for the pairs of words that occur in one verse pair.

    Entry k says that source id `f[k]` gives target id `e[k]` with probability `t[k]`; entries are
    sorted by (f, e). `log_likelihood` has the corpus's log-likelihood before each pass.
    """

    f: np.ndarray
    e: np.ndarray
    t: np.ndarray
    log_likelihood: list[float]

    @functools.cached_property
    def _n_targets(self) -> int:
        return int(self.e.max()) + 1

    @functools.cached_property
    def _keys(self) -> np.ndarray:
        """One ascending number for each entry."""
        return (self.f + 1) * self._n_targets + self.e

    def probability(self, f: np.ndarray, e: np.ndarray) -> np.ndarray:
        """t(e | f) for ids, whose shapes are broadcast; 0 for words that never met."""
        wanted = (f + 1) * self._n_targets + e
        place = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        return np.where(self._keys[place] == wanted, self.t[place], 0.0)

    def best(self) -> dict[int, int]:
        """Return for each source id the target id of the largest t(e | f); ties: the smallest e."""
        order = np.lexsort((self.e, -self.t, self.f))
        first = np.unique(self.f[order], return_index=True)[1]
        return dict(zip(self.f[order][first].tolist(), self.e[order][first].tolist(), strict=True))


def _links(
    pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All links that an alignment may use: source id, target id; and where each e_j's begin.

    For each pair, each target position in turn, the null word and then each source position.
    """
    f, e, sizes = [], [], []
    for source, target in pairs:
        with_null = np.array([NULL, *source])
        f.append(np.tile(with_null, len(target)))
        e.append(np.repeat(np.asarray(target, dtype=np.int64), len(with_null)))
        sizes.append(np.full(len(target), len(with_null)))
    sizes_all = np.concatenate(sizes)
    starts = np.concatenate([[0], np.cumsum(sizes_all)[:-1]])
    return np.concatenate(f), np.concatenate(e), starts


def _numbered(links: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`np.unique` with the inverse; by a table instead of by sorting, where one fits in memory."""
    if links.max() >= 2 * len(links):
        return np.unique(links, return_inverse=True)
    there = np.zeros(int(links.max()) + 1, dtype=bool)
    there[links] = True
    return np.flatnonzero(there), (np.cumsum(there, dtype=np.int32) - 1)[links]


def fit(pairs: Sequence[tuple[Sequence[int], Sequence[int]]], passes: int = 5) -> Model1:
    """Run EM from a uniform t, on pairs of source ids and target ids (both from 0, none empty)."""
    f, e, starts = _links(pairs)
    sizes = np.diff([*starts, len(f)])
    n_targets = int(e.max()) + 1
    keys, entry = _numbered((f + 1) * n_targets + e)
    source = keys // n_targets - 1
    t = np.full(len(keys), 1 / n_targets)
    log_likelihood = []
    for _ in range(passes):
        joint = t[entry]  # E: P(a_j = i | e_j, f) = t(e_j | f_i) / sum over i' of t(e_j | f_i')
        total = np.add.reduceat(joint, starts)
        log_likelihood.append(float(np.log(total / sizes).sum()))
        joint /= np.repeat(total, sizes)
        count = np.bincount(entry, joint, len(keys))  # M: expected counts, normalized for each f
        t = count / np.bincount(source + 1, count)[source + 1]
    return Model1(source, keys % n_targets, t, log_likelihood)


def align(
    model: Model1, source: Sequence[int], target: Sequence[int], diagonal: float = 0.0
) -> np.ndarray:
    """Return for each target position the source position that most likely made it.

    Never the null word. `diagonal` > 0 multiplies t by exp(-diagonal * |i / I - j / J|), the
    prior of Dyer, Chahuneau and Smith (2013, section 2): words rarely move far. Shape (J,).
    """
    t = model.probability(np.asarray(source)[None, :], np.asarray(target)[:, None])
    i, j = np.arange(len(source)) / len(source), np.arange(len(target)) / len(target)
    return (t * np.exp(-diagonal * abs(i[None, :] - j[:, None])) + 1e-300).argmax(1)


class WordForWord:
    """Translate by the likeliest target word of each source word, in the source's order.

    A word that was never seen stays as it is. (The null word and the fertilities, which Model 1
    does not have, would be needed to add or to leave out words.)
    """

    def __init__(self, texts: Sequence[tuple[str, str]], passes: int = 5):
        self.source: dict[str, int] = {}
        self.target: dict[str, int] = {}
        pairs = [
            (
                [self.source.setdefault(w, len(self.source)) for w in tokens(f)],
                [self.target.setdefault(w, len(self.target)) for w in tokens(e)],
            )
            for f, e in texts
        ]
        self.model = fit(pairs, passes)
        words = list(self.target)
        best = self.model.best()
        self.table = {f: words[best[i]] for f, i in self.source.items()}

    def __call__(self, text: str) -> str:
        """Translate a text."""
        return join([self.table.get(word, word) for word in tokens(text)])

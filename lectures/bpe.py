"""Byte-pair encoding (Sennrich, Haddow and Birch 2016, section 3.2): words into frequent pieces.

Learning starts from single characters and, again and again, makes one symbol of the pair of
neighbors that is most frequent in the text. Encoding a word repeats those merges in the order in
which they were learned. A word is cut off together with the space before it, so that decoding is
nothing but joining: `decode(encode(text)) == text` for every text over the known characters.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise

PAD, BOS, EOS = 0, 1, 2  # ids of: filling up a batch, the begin and the end of a text
SPECIAL = ("<pad>", "<s>", "</s>")
WORD = re.compile(r"\s?\w+|\s?[^\w\s]+|\s")


def words(text: str) -> list[str]:
    """Cut a text into words and runs of punctuation, each with the space before it, if any."""
    return WORD.findall(text)


def learn(counts: Mapping[str, int], n_merges: int) -> list[tuple[str, str]]:
    """Return the merges in the order learned, from words and how often each occurs.

    Of equally frequent pairs the first in the alphabet is taken. Ends early when no pair of
    neighbors occurs twice.
    """
    symbols = [list(word) for word in counts]
    n = list(counts.values())
    pairs: Counter[tuple[str, str]] = Counter()
    where = defaultdict(set)  # the words in which a pair stands, or once stood
    for i, word in enumerate(symbols):
        for pair in pairwise(word):
            pairs[pair] += n[i]
            where[pair].add(i)
    heap = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(heap)
    merges: list[tuple[str, str]] = []
    while heap and len(merges) < n_merges:
        count, best = heapq.heappop(heap)
        if -count != pairs[best]:  # an old entry: its count has changed since
            continue
        if -count < 2:
            break
        merges.append(best)
        changed = set()
        for i in where.pop(best):
            before = Counter(pairwise(symbols[i]))
            symbols[i] = merge(symbols[i], best)
            after = Counter(pairwise(symbols[i]))
            for pair in before.keys() | after.keys():
                if before[pair] != after[pair]:
                    pairs[pair] += n[i] * (after[pair] - before[pair])
                    changed.add(pair)
                    if after[pair]:
                        where[pair].add(i)
        for pair in changed - {best}:
            heapq.heappush(heap, (-pairs[pair], pair))
        pairs[best] = 0
    return merges


def merge(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    """Return `symbols` with each occurrence of `pair`, from the left, made one symbol."""
    out: list[str] = []
    i = 0
    while i < len(symbols):
        both = tuple(symbols[i : i + 2]) == pair
        out.append(symbols[i] + symbols[i + 1] if both else symbols[i])
        i += 2 if both else 1
    return out


class BPE:
    """The merges at work: text to ids and back.

    `symbols[id]` is the text of an id. The first three are special (`SPECIAL`) and stand for no
    text; then come the characters, then what the merges make of them.
    """

    def __init__(self, characters: Iterable[str], merges: Iterable[tuple[str, str]]):
        self.characters = sorted(set(characters))
        self.merges = [(left, right) for left, right in merges]
        made = (left + right for left, right in self.merges)
        self.symbols = [*SPECIAL, *dict.fromkeys([*self.characters, *made])]
        self.ids = {symbol: i for i, symbol in enumerate(self.symbols) if i >= len(SPECIAL)}
        self.rank = {pair: i for i, pair in enumerate(self.merges)}
        self._cache: dict[str, list[int]] = {}

    @classmethod
    def from_texts(cls, texts: Iterable[str], n_merges: int) -> BPE:
        """Learn from texts."""
        counts = Counter(word for text in texts for word in words(text))
        return cls("".join(counts), learn(counts, n_merges))

    def __len__(self) -> int:
        """How many ids there are."""
        return len(self.symbols)

    def split(self, word: str) -> list[str]:
        """Return the symbols of one word."""
        symbols = list(word)
        while len(symbols) > 1:
            best = min(pairwise(symbols), key=lambda pair: self.rank.get(pair, len(self.rank)))
            if best not in self.rank:
                break
            symbols = merge(symbols, best)
        return symbols

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without begin and end.

        Raises:
            ValueError: a character that the learned texts did not have.
        """
        ids = []
        for word in words(text):
            if word not in self._cache:
                if unknown := set(word).difference(self.characters):
                    raise ValueError(f"no symbol for {', '.join(map(repr, sorted(unknown)))}")
                self._cache[word] = [self.ids[symbol] for symbol in self.split(word)]
            ids += self._cache[word]
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids; those of `SPECIAL` give nothing."""
        return "".join(self.symbols[i] for i in ids if i >= len(SPECIAL))

"""From letters to sounds: the words of CMUdict as ids, the models, the phoneme error rate.

The shipped weights are `data/letters_to_sounds.safetensors` (with attention) and
`data/letters_to_sounds_plain.safetensors` (without), made by `data/make_letters_to_sounds.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Literal

from lectures import batching, checkpoints, corpora
from lectures.attention_lstm import AttentionLSTM, greedy
from lectures.bpe import BOS, EOS, SPECIAL

LETTERS = [*SPECIAL, *"abcdefghijklmnopqrstuvwxyz"]
Side = Literal["train", "valid", "test"]


@functools.cache
def phonemes() -> list[str]:
    """Return the symbols of the target side: the special ones, then 39 phonemes, sorted."""
    heard = (p for word in corpora.cmudict() for said in word.pronunciations for p in said)
    return [*SPECIAL, *sorted(set(heard))]


@functools.cache
def words(side: Side) -> list[corpora.Word]:
    """Return the words of a side."""
    return [word for word in corpora.cmudict() if corpora.cmudict_side(word.letters) == side]


def letter_ids(word: str) -> list[int]:
    """Return the ids of a word's letters, and of its end."""
    return [*(LETTERS.index(letter) for letter in word), EOS]


@functools.cache
def ids(side: Side) -> list[tuple[list[int], list[int]]]:
    """Return each pronunciation of each word of a side: letters and end; begin, phonemes, end."""
    number = {phoneme: i for i, phoneme in enumerate(phonemes())}
    return [
        (letter_ids(word.letters), [BOS, *(number[p] for p in said), EOS])
        for word in words(side)
        for said in word.pronunciations
    ]


def network(attention: bool = True) -> AttentionLSTM:
    """Return a new network of the size of the shipped ones."""
    return AttentionLSTM(len(LETTERS), len(phonemes()), d=192, attention=attention)


@functools.cache
def load(attention: bool = True) -> AttentionLSTM:
    """Return a shipped network, ready to use."""
    model = network(attention)
    checkpoints.load("letters_to_sounds" if attention else "letters_to_sounds_plain", model)
    return model


def pronounce(model: AttentionLSTM, spelled: Sequence[str]) -> list[tuple[str, ...]]:
    """Say words (of the letters a to z) greedily, in the order given."""
    said: list[tuple[str, ...]] = [()] * len(spelled)
    for batch in batching.by_tokens([len(word) for word in spelled], 4000):
        source = batching.pad([letter_ids(spelled[i]) for i in batch])
        for i, row in zip(batch, greedy(model, source, 2 * source.shape[1] + 5), strict=True):
            said[i] = tuple(phonemes()[p] for p in row)
    return said


def edits(a: Sequence[str], b: Sequence[str]) -> int:
    """Return the least number of insertions, deletions and substitutions from a to b."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(before + (x != y), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def errors(said: Sequence[str], word: corpora.Word) -> tuple[int, int]:
    """Return the edits to the nearest of a word's pronunciations, and that one's length."""
    return min((edits(said, heard), len(heard)) for heard in word.pronunciations)


def phoneme_error_rate(said: Sequence[Sequence[str]], words: Sequence[corpora.Word]) -> float:
    """Return edits per phoneme, both summed over all words, in percent."""
    pairs = [errors(s, word) for s, word in zip(said, words, strict=True)]
    return 100 * sum(e for e, _ in pairs) / sum(n for _, n in pairs)

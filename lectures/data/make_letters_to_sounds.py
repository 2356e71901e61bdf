"""Train lecture 09's LSTMs from letters to sounds, with attention and without.

Writes `letters_to_sounds.safetensors` and `letters_to_sounds_plain.safetensors`, each beside its
manifest. Run it with `make checkpoints`; after Ctrl-C the same command goes on where it was.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from lectures import batching, checkpoints, pronunciation
from lectures.bpe import PAD

PEAK, WARMUP, DECAY = 3e-3, 100, 2000  # highest learning rate; steps of its rise and fall
TOKENS = 2000  # letters in a batch


class LettersToSounds:
    """One of the twins and its training, as `checkpoints.train` wants it."""

    seed, steps, valid_every = 0, 3000, 250

    def __init__(self, attention: bool = True):
        self.name = "letters_to_sounds" if attention else "letters_to_sounds_plain"
        self.carried: dict[str, Tensor] = {}
        self.pairs = pronunciation.ids("train")
        torch.manual_seed(self.seed)
        self.model = pronunciation.network(attention)

    def optimizer(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.model.parameters(), fused=True)

    def rate(self, step: int) -> float:
        """Warm-up, plateau, decay."""
        return checkpoints.warmup_then_decay(step, self.steps, PEAK, WARMUP, DECAY)

    def batches(self) -> Iterator[list[int]]:
        """Indices of pronunciations, shuffled anew in each epoch; words of one length together."""
        lengths = [len(source) for source, _ in self.pairs]
        epoch = 0
        while True:
            rng = random.Random(f"{self.seed} {epoch}")
            yield from batching.by_tokens(lengths, TOKENS, rng, slack=1)
            epoch += 1

    def loss(self, batch: list[int]) -> dict[str, Tensor]:
        """Cross-entropy of a phoneme, in nats."""
        source = batching.pad([self.pairs[i][0] for i in batch])
        target = batching.pad([self.pairs[i][1] for i in batch])
        scores = self.model(source, target[:, :-1]).flatten(0, 1)
        return {"loss": F.cross_entropy(scores, target[:, 1:].flatten(), ignore_index=PAD)}

    def valid(self) -> float:
        """Phoneme error rate on the validation side, in percent."""
        words = pronunciation.words("valid")
        said = pronunciation.pronounce(self.model, [word.letters for word in words])
        return pronunciation.phoneme_error_rate(said, words)


def main() -> None:
    """Train both, judge what was written on the test side, write the manifests."""
    checkpoints.set_up()
    words = pronunciation.words("test")
    for attention in (True, False):
        task = LettersToSounds(attention)
        curve = checkpoints.train(task, resume=True)
        checkpoints.save(task.name, task.model)
        said = pronunciation.pronounce(
            pronunciation.load(attention), [word.letters for word in words]
        )
        wrong = sum(tuple(s) not in w.pronunciations for s, w in zip(said, words, strict=True))
        test = {
            "phoneme error rate": round(pronunciation.phoneme_error_rate(said, words), 2),
            "word error rate": round(100 * wrong / len(words), 2),
        }
        schedule = {"peak": PEAK, "warmup": WARMUP, "decay": DECAY, "tokens": TOKENS}
        checkpoints.record(task, ["cmudict"], curve, schedule=schedule, test=test)
        print(task.name, test)


TASKS = {
    "letters_to_sounds": LettersToSounds,
    "letters_to_sounds_plain": functools.partial(LettersToSounds, attention=False),
}

if __name__ == "__main__":
    main()

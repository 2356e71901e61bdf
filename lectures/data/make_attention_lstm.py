"""Train lecture 09's attention LSTM from Wycliffe to King James: `translation_lstm.safetensors`.

Run it with `make checkpoints`; after Ctrl-C the same command goes on where it was. Pairs, pieces,
batches, label smoothing and the dropout of whole words are those of `make_translation.py`, and the
network has about as many weights as its transformer. What is not the same: 5,600 steps in the place
of 9,600, more dropout, and no guided alignment: whether it reads its source is its own affair.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from lectures import batching, checkpoints, corpora, translation
from lectures.bpe import BOS, PAD

PEAK, WARMUP, DECAY = 2e-3, 300, 3600  # highest learning rate; steps of its rise and fall
TOKENS = 1400  # in a batch, on the longer side, padding included
SMOOTHING, WORD_DROPOUT = 0.1, 0.1


class TranslationLSTM:
    """The attention LSTM and its training, as `checkpoints.train` wants it."""

    name, seed, steps, valid_every = translation.LSTM, 0, 5600, 400

    def __init__(self) -> None:
        self.carried: dict[str, Tensor] = {}
        self.pairs = translation.ids("train")
        torch.manual_seed(self.seed)
        self.model = translation.lstm()

    def optimizer(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.model.parameters(), fused=True)

    def rate(self, step: int) -> float:
        """Warm-up, plateau, decay."""
        return checkpoints.warmup_then_decay(step, self.steps, PEAK, WARMUP, DECAY)

    def batches(self) -> Iterator[list[int]]:
        """Indices of verse pairs, shuffled anew in each epoch."""
        lengths = [1 + max(map(len, pair)) for pair in self.pairs]
        epoch = 0
        while True:
            yield from batching.by_tokens(lengths, TOKENS, random.Random(f"{self.seed} {epoch}"))
            epoch += 1

    def loss(self, batch: list[int]) -> dict[str, Tensor]:
        """Smoothed cross-entropy of a piece, in nats."""
        source, target = translation.tensors([self.pairs[i] for i in batch])
        said, wanted = target[:, :-1], target[:, 1:]
        drop = (torch.rand(said.shape) < WORD_DROPOUT) & (said != BOS)
        scores = self.model(source, said.masked_fill(drop, PAD)).flatten(0, 1)
        loss = F.cross_entropy(
            scores, wanted.flatten(), ignore_index=PAD, label_smoothing=SMOOTHING
        )
        return {"loss": loss}

    def valid(self) -> float:
        """Perplexity of a piece of the validation side's verses, ends included."""
        pairs = translation.ids("valid")
        total, pieces = 0.0, 0
        with torch.no_grad():
            for batch in batching.by_tokens([1 + max(map(len, p)) for p in pairs], 2 * TOKENS):
                source, target = translation.tensors([pairs[i] for i in batch])
                scores = self.model(source, target[:, :-1]).flatten(0, 1)
                wanted = target[:, 1:].flatten()
                total += F.cross_entropy(scores, wanted, ignore_index=PAD, reduction="sum").item()
                pieces += int((wanted != PAD).sum())
        return math.exp(total / pieces)


def main() -> None:
    """Train, write the weights, judge what was written on the test chapters, write the manifest."""
    checkpoints.set_up()
    task = TranslationLSTM()
    curve = checkpoints.train(task, resume=True)
    checkpoints.save(task.name, task.model)
    sources = [pair.wycliffe for pair in corpora.translation_pairs("test")]
    said = translation.translate(translation.load_lstm(), sources)
    translation.keep({"lstm": said})
    test = {"greedy": translation.scores(said)}
    schedule = {"peak": PEAK, "warmup": WARMUP, "decay": DECAY, "tokens": TOKENS}
    checkpoints.record(task, ["wycliffe", "king_james"], curve, schedule=schedule, test=test)
    print(test)


TASKS = {"translation_lstm": TranslationLSTM}

if __name__ == "__main__":
    main()

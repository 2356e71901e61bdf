"""Train lecture 14's transformer from Wycliffe to King James: `translation.safetensors`.

Run it with `make checkpoints`; after Ctrl-C the same command goes on where it was. How it learns
is what low-resource translation has found to pay (Sennrich and Zhang 2019; Araabi and Monz 2020):
a small joint vocabulary, one tied embedding, dropout of whole words, label smoothing, small
batches, many epochs. And guided alignment (Chen et al. 2016): one head of the last layer's
cross-attention is drawn to where IBM Model 1 finds the word to be said, meant to make the network
read its source from early on. What each of these is worth here was not measured one by one.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from lectures import batching, checkpoints, corpora, decoding, ibm_model1, translation
from lectures.bpe import BOS, EOS, PAD
from lectures.transformer import Transformer

PEAK, WARMUP, DECAY = 1.5e-3, 300, 5600  # highest learning rate; steps of its rise and fall
TOKENS = 1400  # in a batch, on the longer side, padding included
SMOOTHING, WORD_DROPOUT = 0.1, 0.1
GUIDE, PASSES, DIAGONAL = 0.1, 3, 5.0  # weight of guided alignment; how Model 1 aligns pieces


class Translation:
    """The transformer and its training, as `checkpoints.train` wants it."""

    name, seed, steps, valid_every = translation.NAME, 0, 9600, 250

    def __init__(self) -> None:
        self.carried: dict[str, Tensor] = {}
        self.pairs = translation.ids("train")
        self.links = ibm_model1.fit(self.pairs, PASSES)
        torch.manual_seed(self.seed)
        self.model = Transformer(len(translation.bpe()))

    def optimizer(self) -> torch.optim.Optimizer:
        """Adam as Vaswani et al. set it."""
        return torch.optim.Adam(self.model.parameters(), betas=(0.9, 0.98), eps=1e-9, fused=True)

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
        """Smoothed cross-entropy, and -log of the attention to the aligned piece ("guide")."""
        source, target = translation.tensors([self.pairs[i] for i in batch])
        said, wanted = target[:, :-1], target[:, 1:]
        drop = (torch.rand(said.shape) < WORD_DROPOUT) & (said != BOS)
        maps: list[Tensor] = []
        scores = self.model(source, said.masked_fill(drop, PAD), maps)
        loss = F.cross_entropy(
            scores.flatten(0, 1), wanted.flatten(), ignore_index=PAD, label_smoothing=SMOOTHING
        )
        links = [ibm_model1.align(self.links, *self.pairs[i], DIAGONAL).tolist() for i in batch]
        attention = maps[-1][:, :-1].gather(2, batching.pad(links)[:, :, None])[:, :, 0]
        guide = -attention[(wanted[:, :-1] != PAD) & (wanted[:, :-1] != EOS)].mean()
        return {"loss": loss + GUIDE * guide, "guide": guide.detach()}

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


def searches(model: Transformer) -> dict[str, dict[str, float]]:
    """Scores on every sixth validation verse of a beam of 4 that may not repeat this or that."""
    sources = [pair.wycliffe for pair in corpora.translation_pairs("valid")[::6]]
    tried = {
        "free": None,
        "no trigram twice": decoding.repeats(3),
        "no 4-gram twice": decoding.repeats(4),
        "no loops": decoding.loops,
    }
    return {
        name: translation.scores(
            translation.translate(model, sources, k=4, forbid=forbid), "valid", 6
        )
        for name, forbid in tried.items()
    }


def judge(model: Transformer) -> dict[str, dict[str, float]]:
    """Translate the test verses in every way, keep what was said, return its scores."""
    sources = [pair.wycliffe for pair in corpora.translation_pairs("test")]
    said = {
        "model1": [translation.model1()(text) for text in sources],
        "greedy": translation.translate(model, sources),
        "free": translation.translate(model, sources, k=4, forbid=None),
        "beam": translation.translate(model, sources, k=4),
    }
    translation.keep(said)
    return {
        "copy": translation.scores(sources),
        "IBM Model 1": translation.scores(said["model1"]),
        "greedy": translation.scores(said["greedy"]),
        "beam 4, free": translation.scores(said["free"]),
        "beam 4": translation.scores(said["beam"]),
    }


def main() -> None:
    """Train, write the weights, judge what was written on the test chapters, write the manifest."""
    checkpoints.set_up()
    task = Translation()
    curve = checkpoints.train(task, resume=True)
    checkpoints.save(task.name, task.model)
    model = translation.load()
    found = {"test": judge(model), "searches": searches(model)}
    schedule = {"peak": PEAK, "warmup": WARMUP, "decay": DECAY, "tokens": TOKENS}
    checkpoints.record(task, ["wycliffe", "king_james"], curve, schedule=schedule, **found)
    print(found)


TASKS = {"translation": Translation}

if __name__ == "__main__":
    main()

"""Train lecture 14's character transformer on the King James Bible: `transformer_lm.safetensors`.

The text, its split, the number of weights and the epochs are those of `make_lstm_lm.py`'s LSTM.
A recurrent network carries its state from one step to the next, so it has to read the text in
order. A transformer carries nothing: an epoch cuts the text into windows of 256 characters, from
another offset each time, and shuffles them. Shape, slopes and learning rate were chosen by short
trials (600 steps and less) on a piece of the validation side. Run it with `make checkpoints`; after
Ctrl-C the same command goes on where it was.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from lectures import character_lm, checkpoints
from lectures.character_lm import SPAN

EPOCHS, PEAK, WARMUP = 6, 0.005, 300  # highest learning rate; steps of its rise
WINDOWS = 8  # in a batch


class CharacterModel:
    """The transformer and its training, as `checkpoints.train` wants it."""

    name, seed = "transformer_lm", 0

    def __init__(self) -> None:
        self.carried: dict[str, Tensor] = {}
        self.stream = torch.tensor([i for chapter in character_lm.ids("train") for i in chapter])
        self.windows = len(self.stream) // SPAN - 1  # whole ones, from any offset
        self.valid_every = self.windows // WINDOWS  # an epoch
        self.steps = self.valid_every * EPOCHS
        torch.manual_seed(self.seed)
        self.model = character_lm.CharacterTransformer(len(character_lm.characters()))

    def optimizer(self) -> torch.optim.Optimizer:
        """Adam as Vaswani et al. set it."""
        return torch.optim.Adam(self.model.parameters(), betas=(0.9, 0.98), eps=1e-9, fused=True)

    def rate(self, step: int) -> float:
        """Warm-up, then linearly down to 0."""
        return checkpoints.warmup_then_decay(step, self.steps, PEAK, WARMUP, self.steps)

    def batches(self) -> Iterator[list[int]]:
        """Where the windows of a batch begin."""
        epoch = 0
        while True:
            rng = random.Random(f"{self.seed} {epoch}")
            offset = rng.randrange(SPAN)
            begins = [offset + SPAN * i for i in range(self.windows)]
            rng.shuffle(begins)
            for i in range(self.valid_every):
                yield begins[i * WINDOWS : (i + 1) * WINDOWS]
            epoch += 1

    def loss(self, batch: list[int]) -> dict[str, Tensor]:
        """Cross-entropy of a character, in bits."""
        text = torch.stack([self.stream[begin : begin + SPAN + 1] for begin in batch])
        scores = self.model(text[:, :-1])
        return {"loss": F.cross_entropy(scores.flatten(0, 1), text[:, 1:].flatten()) / math.log(2)}

    def valid(self) -> float:
        """Bits per character of the validation side."""
        total = sum(map(len, character_lm.ids("valid")))
        return sum(character_lm.bits(self.model, "valid")) / total


def main() -> None:
    """Train, judge what was written on the test side, write the manifest."""
    checkpoints.set_up()
    task = CharacterModel()
    curve = checkpoints.train(task, resume=True)
    checkpoints.save(task.name, task.model)
    total = sum(map(len, character_lm.ids("test")))
    test = round(sum(character_lm.bits(character_lm.load_transformer(), "test")) / total, 4)
    schedule = {
        "peak": PEAK,
        "warmup": WARMUP,
        "epochs": EPOCHS,
        "windows": WINDOWS,
        "characters": SPAN,
    }
    checkpoints.record(task, ["king_james"], curve, schedule=schedule, test=test)
    print(task.name, test)


TASKS = {"transformer_lm": CharacterModel}

if __name__ == "__main__":
    main()

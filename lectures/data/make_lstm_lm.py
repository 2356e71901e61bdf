"""Train lecture 08's character LSTM on the King James Bible: `lstm_lm.safetensors`.

As in `make_rnn_lm.py`, which made lecture 06's RNN, are the text and its split, 64 streams of it
read side by side, 64 characters a step, Adam, the learning rate, clipping; and the number of
weights, so that 256 units stand against the RNN's 512. Not the epochs: 6, where the RNN had 12. Run
it with `make checkpoints`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from lectures import character_lm, checkpoints

EPOCHS, LEARNING_RATE = 6, 0.002
STREAMS, TAU = 64, 64  # texts read side by side; characters per step of training


class CharacterModel:
    """The LSTM and its training, as `checkpoints.train` wants it."""

    name, seed = "lstm_lm", 0

    def __init__(self) -> None:
        self.carried: dict[str, Tensor] = {}  # h and c go on from step to step
        stream = torch.tensor([i for chapter in character_lm.ids("train") for i in chapter])
        self.valid_every = (len(stream) - 1) // STREAMS // TAU  # an epoch
        self.steps = self.valid_every * EPOCHS
        n = self.valid_every * STREAMS * TAU
        self.x, self.y = (s.view(STREAMS, -1, TAU) for s in (stream[:n], stream[1 : n + 1]))
        torch.manual_seed(self.seed)
        self.model = character_lm.CharacterLSTM(len(character_lm.characters()))

    def optimizer(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.model.parameters())

    def rate(self, step: int) -> float:
        """From the start linearly down to 0."""
        return checkpoints.warmup_then_decay(step, self.steps, LEARNING_RATE, 1, self.steps)

    def batches(self) -> Iterator[int]:
        """Which 64 characters of each stream are read: one after another, in each epoch again."""
        while True:
            yield from range(self.valid_every)

    def loss(self, batch: int) -> dict[str, Tensor]:
        """Cross-entropy of a character, in bits."""
        state = (self.carried["h"], self.carried["c"]) if batch else None
        scores, (h, c) = self.model(self.x[:, batch], state)
        self.carried = {"h": h.detach(), "c": c.detach()}  # the gradient stops here
        return {
            "loss": F.cross_entropy(scores.flatten(0, 1), self.y[:, batch].flatten()) / math.log(2)
        }

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
    test = round(sum(character_lm.bits(character_lm.load(), "test")) / total, 4)
    schedule = {"peak": LEARNING_RATE, "epochs": EPOCHS, "streams": STREAMS, "characters": TAU}
    checkpoints.record(task, ["king_james"], curve, schedule=schedule, test=test)
    print(task.name, test)


TASKS = {"lstm_lm": CharacterModel}

if __name__ == "__main__":
    main()

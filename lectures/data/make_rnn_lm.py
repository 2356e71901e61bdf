"""Train the character RNN of lecture 06; write `rnn_lm.safetensors` and its manifest `rnn_lm.json`.

Takes about twenty minutes on one core, and fewer on more. Run it as

    make checkpoints        or        python lectures/data/make_rnn_lm.py

Lecture 06 trains a small RNN with its own code; this is the same model with 512 hidden units, by
torch. The gradients are truncated after 64 characters, the hidden state is carried on. Another
machine rounds otherwise, so it gets other weights, about as good; the lectures use the file that
is shipped, and compute again what they say of it.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn

from lectures import corpora

TARGET = Path(__file__).parent / "rnn_lm.safetensors"
SEED, EPOCHS, LEARNING_RATE, MAX_NORM = 0, 12, 0.002, 1.0
STREAMS, TAU = 64, 64  # texts read side by side; characters per step of training
D, HIDDEN = 32, 512  # length of a character's vector, of the hidden state


class CharacterRNN(nn.Module):
    """e = E[x], h = tanh(W_h h + W_e e + b_1), z = U h + b_2, in torch's layers."""

    def __init__(self, n_chars: int):
        super().__init__()
        self.embedding = nn.Embedding(n_chars, D)
        self.rnn = nn.RNN(D, HIDDEN, batch_first=True)
        self.output = nn.Linear(HIDDEN, n_chars)

    def forward(self, x: torch.Tensor, h: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores (streams, steps, n_chars) for ids `x` (streams, steps), and the last state."""
        states, h = self.rnn(self.embedding(x), h)
        return self.output(states), h


def bits_per_character(model: CharacterRNN, chapters: list[list[int]], newline: int) -> float:
    """Mean of -log2 P over all characters; each chapter is begun from h = 0 and a newline."""
    total = 0.0
    with torch.no_grad():
        for ids in chapters:
            text = torch.tensor([[newline, *ids]])
            scores, _ = model(text[:, :-1], None)
            total += nn.functional.cross_entropy(scores[0], text[0, 1:], reduction="sum").item()
    return total / math.log(2) / sum(map(len, chapters))


def main() -> None:
    """Train, print the curve, write the weights in float16 and the manifest."""
    torch.manual_seed(SEED)
    text = {side: corpora.king_james_chapters(side) for side in ("train", "valid", "test")}
    chars = sorted(set("".join(text["train"])))
    index = {char: i for i, char in enumerate(chars)}
    ids = {side: [[index[c] for c in chapter] for chapter in text[side]] for side in text}
    stream = torch.tensor([i for chapter in ids["train"] for i in chapter])
    steps = (len(stream) - 1) // STREAMS // TAU
    x = stream[: steps * STREAMS * TAU].view(STREAMS, steps, TAU)
    y = stream[1 : steps * STREAMS * TAU + 1].view(STREAMS, steps, TAU)

    model = CharacterRNN(len(chars))
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps * EPOCHS)
    curve = []
    for epoch in range(EPOCHS):
        h, losses = None, []
        for step in range(steps):
            scores, h = model(x[:, step], h)
            loss = nn.functional.cross_entropy(scores.flatten(0, 1), y[:, step].flatten())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
            optimizer.step()
            schedule.step()
            h = h.detach()  # the state goes on, the gradient does not
            losses.append(loss.item())
        valid = bits_per_character(model, ids["valid"], index["\n"])
        curve.append({"train": round(np.mean(losses) / math.log(2), 4), "valid": round(valid, 4)})
        print(f"epoch {epoch + 1}: {curve[-1]}", flush=True)

    state = {name: value.numpy() for name, value in model.state_dict().items()}
    weights = {
        "E": state["embedding.weight"],
        "W_h": state["rnn.weight_hh_l0"],
        "W_e": state["rnn.weight_ih_l0"],
        "b_1": state["rnn.bias_hh_l0"] + state["rnn.bias_ih_l0"],
        "U": state["output.weight"],
        "b_2": state["output.bias"],
    }
    save_file({name: value.astype(np.float16) for name, value in weights.items()}, TARGET)
    manifest = {
        "model": "character RNN, tanh: E, W_e, W_h, b_1, U, b_2 in float16",
        "characters": "".join(chars),
        "text": corpora.SOURCES["king_james"].sha256,
        "seed": SEED,
        "epochs": EPOCHS,
        "curve": curve,
        "test": round(bits_per_character(model, ids["test"], index["\n"]), 4),
        "sha256": hashlib.sha256(TARGET.read_bytes()).hexdigest(),
    }
    TARGET.with_suffix(".json").write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()

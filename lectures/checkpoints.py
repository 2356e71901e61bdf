"""Training that takes longer than a lecture: resumable, on a schedule in steps, and written down.

A `Task` is a model and what one step of its training is. `train` runs the steps, keeps its state
outside git in `build/checkpoints`, so that Ctrl-C loses nothing and a crash a minute, and returns
the curve. The weights go into float16 safetensors beside a manifest. Since every step's batch,
learning rate and randomness follow from the seed and the step's number, any first part of the
schedule can be run again and laid beside the recorded curve.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from importlib.util import module_from_spec, spec_from_file_location
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from lectures import corpora

DATA = Path(__file__).parent / "data"
STATE = Path(__file__).parent.parent / "build" / "checkpoints"
SAVE_SECONDS = 60
# By how much the curve of a hundredth or a tenth of a schedule may leave the recorded one: ratios.
# Weights that differ in the fifth digit move a hundredth's by 0.00003; a rate that is a tenth too
# high or low by more than 0.01.
BANDS = {100: 0.01, 10: 0.05}


class Task(Protocol):
    """A model and its training."""

    name: str
    steps: int
    seed: int
    valid_every: int  # steps between two measurements of `valid`
    model: nn.Module
    carried: dict[str, Tensor]  # what a step hands to the next one beside the weights

    def optimizer(self) -> torch.optim.Optimizer:
        """A new optimizer of the model's weights."""
        ...

    def rate(self, step: int) -> float:
        """Learning rate of a step, from 0."""
        ...

    def batches(self) -> Iterator[Any]:
        """The batch of step 0, 1, ...: without end, and always the same."""
        ...

    def loss(self, batch: Any) -> dict[str, Tensor]:
        """What is minimized ("loss") and, beside it, what else is to be recorded."""
        ...

    def valid(self) -> float:
        """The figure that is followed during training, on the held-out side."""
        ...


def warmup_then_decay(step: int, steps: int, peak: float, warmup: int, decay: int) -> float:
    """Rise linearly to `peak` in `warmup` steps, stay, fall linearly to 0 in the last `decay`."""
    return peak * min(1.0, (step + 1) / warmup, (steps - step) / decay)


def train(task: Task, until: int | None = None, resume: bool = False) -> dict[str, Any]:
    """Train up to step `until` (default: the whole schedule) and return the curve.

    The curve has "loss" (and what else the task records) for each of the first hundredth of the
    steps, then as means over as many; "valid" as pairs of step and figure; "seconds" of wall time
    spent. At the end the weights are the mean of those at ten points of the last twentieth.
    """
    steps = task.steps if until is None else until
    hundredth = max(1, task.steps // 100)
    path = STATE / f"{task.name}.pt"
    torch.manual_seed(task.seed)
    optimizer = task.optimizer()
    start, sums = 0, None
    curve: dict[str, Any] = {"valid": [], "seconds": 0.0}
    if resume and path.exists():
        state = torch.load(path, weights_only=True)
        task.model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        start, curve, sums = state["step"], state["curve"], state["sums"]
        task.carried = state.get("carried", {})
    raw = curve.setdefault("raw", {})
    average_from = task.steps - task.steps // 20
    average_every = max(1, task.steps // 200)
    began, saved, spent = time.monotonic(), time.monotonic(), curve["seconds"]

    def save(step: int) -> None:
        STATE.mkdir(parents=True, exist_ok=True)
        curve["seconds"] = spent + time.monotonic() - began
        state = {
            "model": task.model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            "step": step,
            "curve": curve,
            "sums": sums,
            "carried": task.carried,
        }
        torch.save(state, path.with_suffix(".new"))
        os.replace(path.with_suffix(".new"), path)

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[at]}"),
    )
    task.model.train()
    with Progress(*columns, disable=not resume) as progress:
        bar = progress.add_task(task.name, total=steps, completed=start, at="")
        step = start
        try:
            for batch in islice(task.batches(), start, steps):
                for group in optimizer.param_groups:
                    group["lr"] = task.rate(step)
                parts = task.loss(batch)
                optimizer.zero_grad()
                parts["loss"].backward()
                nn.utils.clip_grad_norm_(task.model.parameters(), 1.0)
                optimizer.step()
                with signals_held():  # the state is never that of half a step
                    step += 1
                    for name, value in parts.items():
                        raw.setdefault(name, []).append(value.item())
                    if step > average_from and step % average_every == 0:
                        now = {k: v.double() for k, v in task.model.state_dict().items()}
                        sums = now if sums is None else {k: sums[k] + now[k] for k in now}
                        curve["averaged"] = curve.get("averaged", 0) + 1
                    if step % task.valid_every == 0 or step == task.steps:
                        rng = torch.get_rng_state()
                        task.model.eval()
                        curve["valid"].append([step, round(task.valid(), 4)])
                        task.model.train()
                        torch.set_rng_state(rng)
                        if resume:
                            print(step, curve["valid"][-1], f"{time.monotonic() - began:.0f} s")
                    progress.update(bar, advance=1, at=f"loss {parts['loss'].item():.3f}")
                    if resume and time.monotonic() - saved > SAVE_SECONDS:
                        saved = time.monotonic()
                        save(step)
        finally:
            if resume:
                save(step)
    if step == task.steps and sums is not None:
        mean = {k: (v / curve["averaged"]).float() for k, v in sums.items()}
        task.model.load_state_dict(mean)
    task.model.eval()
    curve["seconds"] = spent + time.monotonic() - began
    for name, values in curve.pop("raw").items():
        later = [values[i : i + hundredth] for i in range(hundredth, len(values), hundredth)]
        curve[name] = [round(v, 4) for v in values[:hundredth]]
        curve[f"{name} by hundredths"] = [round(math.fsum(v) / len(v), 4) for v in later]
    return curve


class signals_held:
    """Let SIGINT wait until the block has ended."""

    def __enter__(self) -> None:
        self.pending = False
        try:
            self.before = signal.signal(signal.SIGINT, self._note)
        except ValueError:  # not the main thread: no signal arrives here
            self.before = None

    def _note(self, *_: Any) -> None:
        self.pending = True

    def __exit__(self, *_: Any) -> None:
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)
        if self.pending:
            raise KeyboardInterrupt


def set_up() -> None:
    """One thread; and numbers below 1e-38 count as 0, since some processors slow down for them."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def save(name: str, model: nn.Module) -> None:
    """Write the weights of `model` in float16, called `name`, into `data`; a shared one once."""
    path = DATA / f"{name}.safetensors"
    save_model(copy.deepcopy(model).half(), str(path))
    path.chmod(0o644)  # a shared file, where safetensors makes a private one


def load(name: str, model: nn.Module) -> None:
    """Fill `model` with the weights called `name`, and make it ready for use."""
    load_model(model, DATA / f"{name}.safetensors")
    model.eval()


def manifest(name: str) -> dict[str, Any]:
    """Return what is recorded about the weights called `name`."""
    found: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text())
    return found


def record(task: Task, data: list[str], curve: dict[str, Any], **more: Any) -> None:
    """Write the manifest of the weights of `task`; `data` names the corpora it learned from."""
    found = {
        "model": type(task.model).__name__,
        "parameters": sum(p.numel() for p in task.model.parameters()),
        "data": {name: corpora.SOURCES[name].sha256 for name in data},
        "seed": task.seed,
        "steps": task.steps,
        **more,
        "curve": curve,
        "cores": torch.get_num_threads(),
        "versions": {name: version(name) for name in ("numpy", "safetensors", "torch")},
        "sha256": hashlib.sha256((DATA / f"{task.name}.safetensors").read_bytes()).hexdigest(),
    }
    text = json.dumps(found, indent=1, ensure_ascii=False)
    text = re.sub(r"\n\s+(?=[-\d.]+,?\n)|(?<=\d)\n\s+(?=\])", " ", text)  # numbers on one line
    (DATA / f"{task.name}.json").write_text(text + "\n")


def tasks() -> dict[str, Callable[[], Task]]:
    """Return how to make each task of the scripts `data/make_*.py`, by its name: their `TASKS`."""
    found: dict[str, Callable[[], Task]] = {}
    for path in sorted(DATA.glob("make_*.py")):
        spec = spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        found |= getattr(module, "TASKS", {})
    return found


def differences(task: Task, parts: int, band: float | None = None) -> list[str]:
    """Train the first of `parts` parts of a schedule again and say where it leaves its curve.

    Compared are means of the loss over a quarter of a hundredth of the steps, later over a
    hundredth, and what was measured on the held-out side: each within `band` (default: `BANDS`).
    Where the rounding is that of the machine that recorded the curve, nothing differs at all.
    """
    band = BANDS[parts] if band is None else band
    recorded, now = manifest(task.name)["curve"], train(task, until=task.steps // parts)
    quarter = max(1, len(recorded["loss"]) // 4)
    pairs = [
        (
            f"loss up to step {i + quarter}",
            *(sum(c["loss"][i : i + quarter]) for c in (recorded, now)),
        )
        for i in range(0, quarter * 4, quarter)
    ]
    later = "loss by hundredths"
    pairs += [
        (f"loss of hundredth {i + 2}", recorded[later][i], loss)
        for i, loss in enumerate(now[later])
    ]
    then = dict(recorded["valid"])
    pairs += [
        (f"valid at step {step}", then[step], figure)
        for step, figure in now["valid"]
        if step in then
    ]
    return [
        f"{task.name}: {what} is {new / old:.3f} times that of the manifest"
        for what, old, new in pairs
        if not 1 / (1 + band) <= new / old <= 1 + band
    ]


def main() -> int:
    """Retrain a tenth of each schedule, and compare: `make checkpoints-check`."""
    set_up()
    found = []
    for name, make in tasks().items():
        if (DATA / f"{name}.json").exists():
            different = differences(make(), 10)
            found += different
            print("\n".join(different) or f"{name}: as recorded")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""Weights that lectures load are those of their manifest, small, finite, and can be made again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import count

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn

from lectures import checkpoints, corpora

WEIGHTS = sorted(corpora.DATA.glob("*.safetensors"))
TASKS = checkpoints.tasks()
SHIPPED = [name for name in TASKS if (corpora.DATA / f"{name}.json").exists()]


class Line:
    """A task of no time at all: y = w x from noisy points, with dropout."""

    name, seed, steps, valid_every = "line", 0, 400, 20

    def __init__(self):
        torch.manual_seed(self.seed)
        self.carried = {}
        self.model = nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 1))
        self.stop_at = None

    def optimizer(self):
        return torch.optim.Adam(self.model.parameters())

    def rate(self, step):
        return checkpoints.warmup_then_decay(step, self.steps, 0.05, 20, 200)

    def batches(self) -> Iterator[int]:
        return count()

    def loss(self, batch):
        if batch == self.stop_at:
            raise KeyboardInterrupt
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(batch))
        return {"loss": (self.model(x) - x.sum(1, keepdim=True)).square().mean()}

    def valid(self):
        torch.rand(5)  # a measurement that draws must not change what follows
        return (self.model[1].weight - 1).square().sum().item()


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "STATE", tmp_path / "state")
    monkeypatch.setattr(checkpoints, "DATA", tmp_path)
    return tmp_path


def curve_without_time(curve):
    return {key: value for key, value in curve.items() if key != "seconds"}


def test_a_run_that_was_interrupted_goes_on_as_if_it_had_not_been(folders):
    whole, parts = Line(), Line()
    expected = checkpoints.train(whole)
    for stop in (7, 123, 391):
        parts = Line()
        parts.stop_at = stop
        with pytest.raises(KeyboardInterrupt):
            checkpoints.train(parts, resume=True)
    parts = Line()
    found = checkpoints.train(parts, resume=True)
    assert curve_without_time(found) == curve_without_time(expected)
    for ours, theirs in zip(parts.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert len(found["loss"]) == 4
    assert len(found["loss by hundredths"]) == 99
    assert found["valid"][-1][0] == 400
    assert found["averaged"] == 10


def test_the_first_part_of_a_schedule_lands_on_the_recorded_curve_and_another_does_not(folders):
    task = Line()
    curve = checkpoints.train(task)
    checkpoints.save(task.name, task.model)
    checkpoints.record(task, ["king_james"], curve)
    assert checkpoints.manifest("line")["curve"] == curve
    for parts in (100, 10):
        assert checkpoints.differences(Line(), parts, 1e-9) == []
    slower = Line()
    slower.rate = lambda step: 0.5 * Line.rate(slower, step)
    assert checkpoints.differences(slower, 10)


def test_weights_come_back_in_float16(folders):
    task, other = Line(), Line()
    checkpoints.save("line", task.model)
    checkpoints.load("line", other.model)
    assert torch.equal(other.model[1].weight, task.model[1].weight.half().float())
    assert not other.model.training


def test_the_rate_rises_stays_and_falls_to_nothing():
    rates = [checkpoints.warmup_then_decay(step, 100, 2.0, 10, 40) for step in range(101)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[9:61] == [2.0] * 52
    assert rates[80] == pytest.approx(1.0)
    assert rates[100] == 0


@pytest.mark.parametrize("name", SHIPPED)
def test_the_first_hundredth_of_its_schedule_lands_on_the_recorded_curve(name):
    checkpoints.set_up()
    assert checkpoints.differences(TASKS[name](), 100) == []


@pytest.mark.parametrize("path", WEIGHTS, ids=lambda path: path.stem)
def test_weights_are_those_of_their_manifest(path):
    manifest = json.loads(path.with_suffix(".json").read_text())
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    if "epochs" in manifest:  # lecture 06's, made before there were tasks
        assert manifest["text"] == corpora.SOURCES["king_james"].sha256
        assert len(manifest["curve"]) == manifest["epochs"]
    else:
        sources = {name: corpora.SOURCES[name].sha256 for name in manifest["data"]}
        assert manifest["data"] == sources
    for value in load_file(path).values():
        assert value.dtype == np.float16
        assert np.isfinite(value).all()


def test_all_weights_together_are_small():
    assert WEIGHTS
    assert sum(path.stat().st_size for path in WEIGHTS) < 40e6

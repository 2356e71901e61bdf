"""Weights that a lecture loads are those of their manifest, small, and finite."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from lectures import corpora

WEIGHTS = sorted(corpora.DATA.glob("*.safetensors"))


@pytest.mark.parametrize("path", WEIGHTS, ids=lambda path: path.stem)
def test_weights_are_those_of_their_manifest(path):
    manifest = json.loads(path.with_suffix(".json").read_text())
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest["text"] in {source.sha256 for source in corpora.SOURCES.values()}
    assert len(manifest["curve"]) == manifest["epochs"]
    for value in load_file(path).values():
        assert value.dtype == np.float16
        assert np.isfinite(value).all()


def test_all_weights_together_are_small():
    assert WEIGHTS
    assert sum(path.stat().st_size for path in WEIGHTS) < 40e6

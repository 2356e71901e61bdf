"""Weights that a lecture loads are those of their manifest, small, and finite."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from lectures import corpora

WEIGHTS = sorted(corpora.DATA.glob("*.npz"))


@pytest.mark.parametrize("path", WEIGHTS, ids=lambda path: path.stem)
def test_weights_are_those_of_their_manifest(path):
    manifest = json.loads(path.with_suffix(".json").read_text())
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest["text"] in {source.sha256 for source in corpora.SOURCES.values()}
    assert len(manifest["curve"]) == manifest["epochs"]
    with np.load(path) as weights:  # never pickle: np.load refuses it
        for name in weights:
            assert weights[name].dtype == np.float16
            assert np.isfinite(weights[name]).all()


def test_all_weights_together_are_small():
    assert WEIGHTS
    assert sum(path.stat().st_size for path in WEIGHTS) < 40e6

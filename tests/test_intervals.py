"""The bootstrap interval covers what it should, and pairs what belongs together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lectures.intervals import bootstrap_interval


def test_the_interval_of_a_mean_agrees_with_scipys():
    sample = np.random.default_rng(1).exponential(size=80)
    ours = bootstrap_interval(np.mean, sample, resamples=4_000)
    theirs = stats.bootstrap((sample,), np.mean, n_resamples=4_000, method="percentile", rng=2)
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=0.02)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(3)
    intervals = [
        bootstrap_interval(np.mean, random.normal(size=40), level=0.8, resamples=300)
        for _ in range(300)
    ]
    covered = np.mean([low < 0 < high for low, high in intervals])
    assert 0.72 < covered < 0.86


def test_a_paired_difference_is_far_surer_than_an_unpaired_one():
    random = np.random.default_rng(4)
    difficulty = random.normal(scale=5, size=200)
    a, b = difficulty + 0.5 + random.normal(size=200), difficulty + random.normal(size=200)

    def difference(a, b):
        return np.mean(a) - np.mean(b)

    low, high = bootstrap_interval(difference, a, b)
    assert 0 < low < 0.5 < high
    theirs = stats.bootstrap((a, b), difference, paired=True, method="percentile", rng=5)
    assert (low, high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.03)
    low, high = bootstrap_interval(difference, a, random.permutation(b))
    assert low < 0 < high


def test_equal_seeds_give_equal_intervals_and_others_do_not():
    sample = np.random.default_rng(6).normal(size=10)
    assert bootstrap_interval(np.mean, sample) == bootstrap_interval(np.mean, sample)
    assert bootstrap_interval(np.mean, sample) != bootstrap_interval(np.mean, sample, seed=1)


def test_rows_keep_their_columns():
    rows = np.column_stack([np.arange(30), -np.arange(30)])
    assert bootstrap_interval(lambda r: r.sum(), rows) == (0, 0)


@pytest.mark.parametrize("samples", [(), ([1],), ([1, 2], [1, 2, 3])])
def test_samples_that_do_not_belong_together_are_refused(samples):
    with pytest.raises(ValueError, match="needs samples of one length"):
        bootstrap_interval(np.mean, *samples)

"""How sure are we? Intervals by resampling, for every "A is better than B" of the course."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike


def bootstrap_interval(
    statistic: Callable[..., float],
    *samples: ArrayLike,
    level: float = 0.95,
    resamples: int = 2_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of `statistic(*samples)` (Efron 1979).

    Each of `samples` has n rows, and row i of all of them belongs to the same item: every resample
    draws n items with replacement and takes their rows from each sample together. So the interval
    of a *paired difference* is that of a statistic of two samples:

        bootstrap_interval(lambda a, b: np.mean(a) - np.mean(b), scores_a, scores_b)

    If it leaves out 0, A and B differ on more than the choice of these items.

    Raises:
        ValueError: no samples, or samples of unequal length or shorter than 2.
    """
    arrays = [np.asarray(sample) for sample in samples]
    sizes = {len(array) for array in arrays}
    if len(sizes) != 1 or min(sizes) < 2:
        raise ValueError(f"needs samples of one length, at least 2 items; got {sorted(sizes)}")
    (size,) = sizes
    random = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        rows = random.integers(size, size=size)
        values.append(statistic(*(array[rows] for array in arrays)))
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)

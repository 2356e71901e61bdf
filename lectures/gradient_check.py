"""Is it the gradient? The two judges of lecture 02, for every gradient that is derived after it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch


def central_difference(
    f: Callable[[np.ndarray], float], x: np.ndarray, h: float = 1e-5
) -> np.ndarray:
    """Return the slopes of `f` at `x` (float64, any shape), one number of `x` at a time.

    The error shrinks as h² (lecture 02).
    """
    slopes = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        slopes[i] = (f(x + step) - f(x - step)) / (2 * h)
    return slopes


def judge(
    name: str,
    ours: np.ndarray,
    f: Callable[[np.ndarray], float],
    f_torch: Callable[[torch.Tensor], torch.Tensor],
    x: np.ndarray,
) -> None:
    """Assert that `ours` is the gradient of `f` at `x`, of the shape of `x` and nowhere near zero.

    `f_torch` is the same function in PyTorch's own functions, never with our gradient. Raises
    AssertionError if central differences or autograd say otherwise.
    """
    leaf = torch.tensor(x, requires_grad=True)
    f_torch(leaf).backward()
    assert leaf.grad is not None
    assert ours.shape == x.shape
    assert np.abs(ours).min() > 1e-4, "too near zero to judge"
    np.testing.assert_allclose(ours, central_difference(f, x), rtol=1e-5)
    np.testing.assert_allclose(ours, leaf.grad.numpy(), rtol=1e-9)
    print(f"{name}: {ours.size} numbers, both judges agree")

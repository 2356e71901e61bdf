"""The judges of the lectures accept a gradient and nothing that resembles one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lectures.gradient_check import central_difference, judge

X = np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]])


def cubes(x: np.ndarray) -> float:
    return (x**3).sum()


def test_central_differences_of_cubes_are_three_squares() -> None:
    np.testing.assert_allclose(central_difference(cubes, X), 3 * X**2, rtol=1e-8)


def test_the_gradient_is_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    judge("∂J/∂x", 3 * X**2, cubes, cubes, X)
    assert capsys.readouterr().out == "∂J/∂x: 6 numbers, both judges agree\n"


@pytest.mark.parametrize(
    "ours",
    [
        -3 * X**2,
        3 * X**2 / X.size,
        3 * X**2 + 1e-3 * np.eye(2, 3),
        (3 * X**2).ravel(),
        3 * abs(X) ** 2.01,
    ],
    ids=["sign", "mean", "one number", "shape", "power"],
)
def test_what_is_not_the_gradient_is_refused(ours: np.ndarray) -> None:
    with pytest.raises(AssertionError):
        judge("∂J/∂x", ours, cubes, cubes, X)


@pytest.mark.parametrize("other", [lambda x: (x**3).sum() * 2, lambda x: (x**2).sum()])
def test_each_judge_is_asked(other: Callable) -> None:
    with pytest.raises(AssertionError):
        judge("by differences", 3 * X**2, other, cubes, X)
    with pytest.raises(AssertionError):
        judge("by autograd", 3 * X**2, cubes, other, X)


def test_what_is_near_zero_is_not_judged() -> None:
    with pytest.raises(AssertionError, match="too near zero"):
        judge("∂J/∂x", 3 * (X * 0) ** 2, cubes, cubes, X * 0)

"""Which known mistake gives exactly what the student's function gave?

Runs the course's own wrong implementations on the arguments that a failed test used, in the
grader's process, and compares with what the student's function answered. Knows recorded bytes and
the course's functions; runs nothing of the student's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from autograder import carry
from autograder.alarm import OutOfTime, time_limit
from autograder.shell import Ran
from autograder.variants import Variant
from autograder.wall import Call
from autograder.wire import Reference, WireError, decode

SECONDS = 5
"""Time to look for a hint for one failed test; then there is none."""

Again = Callable[[str, Callable], Ran]
"""Runs the failed test once more, with one of our functions bound to a name."""


def find(calls: list[Call], ran: Ran, variants: list[Variant], again: Again) -> list[str]:
    """Return the hint of the first misconception that explains a failed test, or no hint.

    It explains the failure if it answers every recorded call as the student's function did, and
    fails the same line of the test when it is put in that function's place.
    """
    try:
        with time_limit(SECONDS), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            for variant in variants:
                mine = [call for call in calls if call.name == variant.of]
                if not mine or not all(_answers_alike(variant.function, call) for call in mine):
                    continue
                ours = again(variant.of, variant.function)
                if isinstance(ours.error, OutOfTime):  # IPython keeps whatever a cell raises
                    return []
                if _same_failure(ours, ran):
                    return [variant.note]
    except OutOfTime:
        pass
    return []


def _answers_alike(function: Callable, call: Call) -> bool:
    def resolve(reference: Reference) -> Any:
        if reference.owner == "library":
            return carry.from_library(reference.kind)
        found = call.functions.get(reference.number, reference)
        if reference.owner == "generator":
            return carry.copied(found)
        return found if reference.owner == "grader" else reference

    if call.reply is None:
        return False
    try:
        _, _, args, kwargs, show_args = decode(call.frame, resolve)
        reply = decode(call.reply, resolve)
    except (WireError, ValueError):
        return False
    try:
        value = function(*args, **kwargs)
    except Exception as error:
        return reply[0] == "failed" and reply[1] == type(error).__name__
    if reply[0] != "value" or not same(value, reply[1]):
        return False
    return not show_args or same(args, reply[2])


def _same_failure(ours: Ran, theirs: Ran) -> bool:
    if ours.error is None or theirs.error is None:
        return False
    return _line(ours.error) == _line(theirs.error)


def _line(error: BaseException) -> int | None:
    """Line of the test cell at which it failed."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.startswith("<ipython-input"):
            return trace.tb_lineno
        trace = trace.tb_next
    return None


def same(a: Any, b: Any) -> bool:
    """Whether two answers are the same up to rounding and harmless differences of type."""
    try:
        return _same(a, b)
    except Exception:
        # A student may return anything: a meta or bfloat16 tensor, lists nested 500 deep.
        return False


def _same(a: Any, b: Any) -> bool:
    if a is b:  # a function that the test lent
        return True
    if isinstance(a, torch.Tensor):
        a = a.detach().numpy()
    if isinstance(b, torch.Tensor):
        b = b.detach().numpy()
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if _is_sequence(a) and _is_sequence(b):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    x, y = np.asarray(a), np.asarray(b)
    if x.size == y.size == 1:
        x, y = x.reshape(()), y.reshape(())
    if x.shape != y.shape:
        return False
    if x.dtype.kind in "biufc" and y.dtype.kind in "biufc":
        tolerance = 1e-3 if 4 in (x.dtype.itemsize, y.dtype.itemsize) else 1e-6
        return bool(np.allclose(x, y, rtol=tolerance, atol=tolerance, equal_nan=True))
    return x.dtype.kind != "O" and bool((x == y).all())


def _is_sequence(value: Any) -> bool:
    return isinstance(value, list | tuple)

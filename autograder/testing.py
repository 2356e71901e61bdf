"""For authors of tests: what behaves the same in one process and across the wall.

In a student's notebook, and in stock nbgrader, a test meets the student's function itself. In this
engine it meets a handle, and arguments travel as copies; so a test that asks whether an argument
was changed must ask for the copy that the function had.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from autograder.gradients import shared as shared_gradients

__all__ = ["call_and_arguments", "shared_gradients"]


def call_and_arguments(function: Callable, *args: Any) -> tuple[Any, list[Any]]:
    """Call `function(*args)`; return its result and the arguments as the call left them.

    The caller's own objects are never touched, whatever `function` does.
    """
    across_the_wall = getattr(type(function), "_call_and_arguments", None)
    if across_the_wall is not None:
        return across_the_wall(function, *args)
    copies = copy.deepcopy(list(args))
    return function(*copies), copies

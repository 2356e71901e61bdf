"""What crosses the wall by a name or by a state: functions of libraries, random generators.

A function of torch's or numpy's that a test hands to student code is the library's own over there;
a generator is one in the same state, whose state comes back. States that come back are the
student's word and are checked before a generator takes them over: a wrong place in one would make C
code read beyond its end.
"""

from __future__ import annotations

import builtins
import copy
import math
import operator
import random
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from autograder.wire import WireError

_LIBRARIES: dict[str, Any] = {
    "torch": torch,
    "torch.nn": torch.nn,
    "torch.nn.functional": torch.nn.functional,
    "torch.nn.init": torch.nn.init,
    "torch.optim": torch.optim,
    "torch.linalg": torch.linalg,
    "numpy": np,
    "numpy.linalg": np.linalg,
    "math": math,
    "operator": operator,
    "builtins": builtins,
}


def library_name(value: Any) -> str | None:
    """Return by what name a library has this function or class, None if none does."""
    name = getattr(value, "__name__", None)
    if type(name) is str and name.isidentifier():
        for library, module in _LIBRARIES.items():
            if vars(module).get(name) is value:
                return f"{library}:{name}"
    return None


def from_library(name: str) -> Any:
    """Return what `library_name` gave this name to, or raise WireError."""
    library, _, attribute = name.partition(":")
    if library not in _LIBRARIES or not attribute.isidentifier():
        raise WireError("no name of a library")
    found = vars(_LIBRARIES[library]).get(attribute)
    if found is None:
        raise WireError("no name of a library")
    return found


def kind_of(value: Any) -> str:
    """Return the name of the type of `value`, and by what class of a library it is known."""
    kind = type(value)
    names = [kind.__name__.partition(" ")[0]]
    for base in kind.__mro__:
        name = library_name(base)
        if name is not None and known_class(name) is base:
            return f"{names[0]} {name}"
    return names[0]


def known_class(kind: str) -> type | None:
    """Return the library's class in what `kind_of` gave: a module of torch.nn or an optimizer.

    It is the student's word, as `isinstance` is in one process, where `__class__` can lie too. No
    other class counts: to be taken for a number or an array, a value must be one.
    """
    library, _, name = kind.rpartition(" ")[2].partition(":")
    if library not in ("torch.nn", "torch.optim"):
        return None
    found = vars(_LIBRARIES[library]).get(name)
    if isinstance(found, type) and issubclass(found, torch.nn.Module | torch.optim.Optimizer):
        return found
    return None


# Random generators.

Generator = np.random.Generator | np.random.RandomState | torch.Generator
_INTEGERS = 2**32


def is_generator(value: Any) -> bool:
    """Whether `value` is a generator that can cross."""
    if type(value) is np.random.Generator:
        return type(value.bit_generator) in (np.random.PCG64, np.random.MT19937)
    if type(value) is torch.Generator:
        return value.device.type == "cpu"
    return type(value) in (np.random.RandomState, random.Random)


def state_of(generator: Any) -> Any:
    """Return the state of a generator, as plain data."""
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    if isinstance(generator, random.Random):
        return generator.getstate()
    return generator.get_state()


def copied(generator: Any) -> Any:
    """Return another generator in the same state."""
    if isinstance(generator, torch.Generator):
        return generator.clone_state()
    return copy.deepcopy(generator)


def generator_of(state: Any) -> Any:
    """Return a new generator in this state."""
    made: Any
    if isinstance(state, torch.Tensor):
        made = torch.Generator()
    elif isinstance(state, dict):
        kind = {"PCG64": np.random.PCG64, "MT19937": np.random.MT19937}[state["bit_generator"]]
        made = np.random.Generator(kind(0))
    elif state[0] == "MT19937":
        made = np.random.RandomState(0)
    else:
        made = random.Random(0)
    set_state(made, state)
    return made


def set_state(generator: Any, state: Any) -> None:
    """Put a generator into a state; raise WireError if it is none of its states."""
    try:
        if isinstance(generator, torch.Generator):
            _check_torch(state)
            generator.set_state(state)
        elif isinstance(generator, random.Random):
            generator.setstate(state)
        elif isinstance(generator, np.random.RandomState):
            _check_numpy(state[1], state[2])
            generator.set_state(state)
        else:
            bits: Any = generator.bit_generator
            if type(bits) is np.random.MT19937:
                _check_numpy(state["state"]["key"], state["state"]["pos"])
            else:
                whole = state["state"]
                _check_integers(2**128, whole["state"], whole["inc"])
                _check_integers(2, state["has_uint32"])
                _check_integers(_INTEGERS, state["uinteger"])
            bits.state = state
    except WireError:
        raise
    except Exception as error:
        raise WireError(f"no state of a generator ({type(error).__name__})") from None


def _check_integers(below: int, *numbers: Any) -> None:
    if not all(type(number) is int and 0 <= number < below for number in numbers):
        raise WireError("no state of a generator")


def _check_numpy(key: Any, place: Any) -> None:
    _check_integers(625, place)
    if type(key) is not np.ndarray or key.shape != (624,) or key.dtype != np.uint32:
        raise WireError("no state of a generator")


_TORCH_BYTES = 5056


def _check_torch(state: Any) -> None:
    # at::CPUGeneratorImplState: seed, left, seeded, next, 624 words, the cached normal numbers.
    if (
        type(state) is not torch.Tensor
        or state.requires_grad
        or state.dtype is not torch.uint8
        or state.device.type != "cpu"
        or state.shape != (_TORCH_BYTES,)
    ):
        raise WireError("no state of a generator")
    data = state.numpy().tobytes()
    _, left, seeded, following = struct.unpack_from("<QiiQ", data)
    (cached,) = struct.unpack_from("<i", data, 24 + 624 * 8 + 24)
    # As torch leaves it: `next` and `left` are two counts of one place.
    fresh = (left, following) == (1, 0)
    if seeded != 1 or not (fresh or (1 <= left <= 624 and left + following == 625)):
        raise WireError("no state of a generator")
    if cached not in (0, 1) or data[_TORCH_BYTES - 4] > 1:
        raise WireError("no state of a generator")


_GLOBAL: dict[str, Callable[[], Any]] = {
    "python": lambda: random._inst,
    "numpy": lambda: np.random.mtrand._rand,
    "torch": lambda: torch.default_generator,
}


def global_states(names: list[str]) -> dict[str, Any]:
    """Return the states of these of the process's own generators."""
    return {name: state_of(_GLOBAL[name]()) for name in names}


def set_global_states(states: dict[str, Any]) -> None:
    """Put the process's own generators into these states."""
    for name, state in states.items():
        set_state(_GLOBAL[name](), state)


seeded: set[str] = set()
"""Which of this process's own generators a test has seeded since this was last cleared."""


def watch_seeds() -> None:
    """From now on, note in `seeded` when a cell seeds one of the process's own generators."""
    for name, module, attributes in (
        ("python", random, ("seed", "setstate")),
        ("numpy", np.random, ("seed", "set_state")),
        ("torch", torch.random, ("manual_seed", "set_rng_state")),
        ("torch", torch, ("manual_seed", "set_rng_state")),
    ):
        for attribute in attributes:
            function = getattr(module, attribute)
            if not hasattr(function, "_notes"):
                setattr(module, attribute, _noting(name, function))


def _noting(name: str, function: Callable) -> Callable:
    def noting(*args: Any, **kwargs: Any) -> Any:
        seeded.add(name)
        return function(*args, **kwargs)

    noting._notes = name  # type: ignore[attr-defined]
    noting.__name__ = function.__name__
    noting.__doc__ = function.__doc__
    return noting

"""What crosses the wall by a name or by a state: functions of libraries, random generators.

A function of torch's or numpy's that a test hands to student code is the library's own over there;
a generator is one in the same state, whose state comes back. No function comes back by a name. A
state that comes back is the student's word, and the test's next inputs are drawn from it: it is
taken over only if drawing from the test's generator leads there.
"""

from __future__ import annotations

import builtins
import copy
import math
import operator
import random
import struct
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, replace
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


def methods_of(value: Any) -> list[str]:
    """Return the names of the methods and properties that somebody's class adds to a plain type."""
    kinds = [kind for kind in type(value).__mro__ if kind.__module__ not in _STANDARD]
    made = (types.FunctionType, property, classmethod, staticmethod)
    return [
        n for k in kinds for n, part in vars(k).items() if isinstance(part, made) and n[0] != "_"
    ]


_STANDARD = sys.stdlib_module_names - {"__main__"}


# Random generators.

Generator = np.random.Generator | np.random.RandomState | torch.Generator
MAX_WORDS = 2**22
"""How far student code may draw from a generator of the test's that follows it, in one call."""


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
    """Put a generator into a state that `state_of` gave."""
    if isinstance(generator, np.random.Generator):
        bits: Any = generator.bit_generator
        bits.state = state
    elif isinstance(generator, random.Random):
        generator.setstate(state)
    else:
        generator.set_state(state)


def follow(generator: Any, state: Any, most: int = MAX_WORDS) -> tuple[bool, int]:
    """Draw from `generator` until it is in `state`, where student code left its copy.

    A state that is not met within `most` words is not taken over: student code seeded its copy anew
    or drew too much, or it is forged, say of zeros, to make the test's next inputs all zeros.
    Returns whether it is in that state now, and how many words were looked at. Raises WireError for
    what is no state at all.
    """
    before = state_of(generator)
    try:
        if isinstance(before, dict) and before["bit_generator"] == "PCG64":
            found, looked = _follow_pcg(before, state, most)
        else:
            found, looked = _follow_twister(before, state, most)
    except WireError:
        raise
    except Exception as error:
        raise WireError(f"no state of a generator ({type(error).__name__})") from None
    if found is not None:
        set_state(generator, found)
    return found is not None, looked


def _check_integers(below: int, *numbers: Any) -> None:
    if not all(type(number) is int and 0 <= number < below for number in numbers):
        raise WireError("no state of a generator")


_PCG_FACTOR = 0x2360ED051FC65DA44385DF649FCCF645


def _follow_pcg(before: dict, state: Any, most: int) -> tuple[Any, int]:
    whole, mine = state["state"], before["state"]
    _check_integers(2**128, whole["state"], whole["inc"])
    _check_integers(2, state["has_uint32"])
    _check_integers(2**32, state["uinteger"])
    if whole["inc"] != mine["inc"]:
        return None, 0
    steps = _pcg_steps(mine["state"], whole["state"], mine["inc"])
    if steps > most:
        return None, 0
    half = {key: state[key] for key in ("has_uint32", "uinteger")}
    looked = 0
    if half["has_uint32"] and half != {key: before[key] for key in half}:
        # The second half of a word, the first of which was drawn.
        looked = steps
        bits: Any = generator_of(before).bit_generator
        if half["uinteger"] not in bits.random_raw(steps) >> 32:
            half = {"has_uint32": 0, "uinteger": 0}
    return {**before, **half, "state": {"state": whole["state"], "inc": mine["inc"]}}, looked


def _pcg_steps(state: int, target: int, inc: int) -> int:
    """Return how many words of PCG64 lie between two states; each is met within 2**128.

    From the lowest bit up, as in F. Brown, "Random number generation with arbitrary strides", 1994.
    """
    factor, bit, steps = _PCG_FACTOR, 1, 0
    while state != target:
        if (state ^ target) & bit:
            state = (state * factor + inc) % 2**128
            steps |= bit
        inc = (factor + 1) * inc % 2**128
        factor = factor * factor % 2**128
        bit <<= 1
    return steps


_TORCH_BYTES = 5056
_TORCH_AHEAD = 24 + 624 * 8 + 8
_BLOCK = 256
_BACK = 36
"""A normal number ahead is taken over if one of so many last words began its pair."""


@dataclass(frozen=True)
class _Twister:
    """Where a Mersenne twister is, whichever library's."""

    words: np.ndarray
    place: int
    """Of the next word; 624 if they are used up."""
    ahead: float | None = None
    """The second of a pair of normal numbers, of which the first was drawn."""

    @classmethod
    def of(cls, state: Any) -> _Twister:
        """Read a state, whoever's word it is."""
        ahead: Any = None
        if isinstance(state, torch.Tensor):
            if (state.dtype, state.shape) != (torch.uint8, (_TORCH_BYTES,)):
                raise WireError("no state of a generator")
            # at::CPUGeneratorImplState: seed, left, seeded, next, words, normal numbers.
            data = state.detach().cpu().numpy().tobytes()
            (left,) = struct.unpack_from("<i", data, 8)
            words, place = np.frombuffer(data, np.uint64, 624, 24).astype(np.uint32), 625 - left
            number, _, valid = struct.unpack_from("<ddi", data, _TORCH_AHEAD)
            ahead = number if valid else None
        elif isinstance(state, dict):
            words, place = state["state"]["key"], state["state"]["pos"]
        elif state[0] == "MT19937":
            _, words, place, valid, number = state
            ahead = number if valid else None
        else:
            _, (*numbers, place), ahead = state
            _check_integers(2**32, *numbers)
            words = np.array(numbers, np.uint32)
        _check_integers(625, place)
        if type(words) is not np.ndarray or (words.dtype, words.shape) != (np.uint32, (624,)):
            raise WireError("no state of a generator")
        if ahead is not None and type(ahead) is not float:
            raise WireError("no state of a generator")
        return cls(words, place, ahead)

    def within(self, state: Any) -> Any:
        """Return `state` with this in the place of its own."""
        if isinstance(state, torch.Tensor):
            data = bytearray(state.numpy().tobytes())
            struct.pack_into("<i", data, 8, 625 - self.place)
            struct.pack_into("<Q", data, 16, self.place)
            data[24 : 24 + 624 * 8] = self.words.astype(np.uint64).tobytes()
            number, valid = self.ahead or 0.0, self.ahead is not None
            struct.pack_into("<ddi", data, _TORCH_AHEAD, number, 0.0, valid)
            return torch.frombuffer(data, dtype=torch.uint8).clone()
        if isinstance(state, dict):
            return {**state, "state": self._key()}
        if state[0] == "MT19937":
            return ("MT19937", self.words, self.place, int(self.ahead is not None), self.ahead or 0)
        return (state[0], (*self.words.tolist(), self.place), self.ahead)

    def bits(self) -> Any:
        """Return a twister of numpy's in this place."""
        bits: Any = np.random.MT19937(0)
        bits.state = {"bit_generator": "MT19937", "state": self._key()}
        return bits

    def _key(self) -> dict[str, Any]:
        return {"key": self.words, "pos": self.place}


def _follow_twister(before: Any, state: Any, most: int) -> tuple[Any, int]:
    mine, whole = _Twister.of(before), _Twister.of(state)
    steps, looked = _twister_steps(mine, whole, most)
    if steps is None:
        return None, looked
    if whole.ahead not in (None, mine.ahead) and not _drew_ahead(before, mine, whole, steps):
        whole = replace(whole, ahead=None)
    return whole.within(before), looked


def _twister_steps(mine: _Twister, whole: _Twister, most: int) -> tuple[int | None, int]:
    """Return how many words lie between two places if that is no more than `most`, else None.

    And how many were looked at.
    """
    if np.array_equal(mine.words, whole.words):
        steps = whole.place - mine.place
        return (steps if steps >= 0 else None), 0
    if not whole.place:  # the place before the first word is the one after the table before
        return None, 0
    bits, wanted = mine.bits(), replace(whole, place=0).bits().random_raw(624)
    bits.random_raw(624 - mine.place)
    for done in range(0, most, _BLOCK * 624):
        rows = bits.random_raw(_BLOCK * 624).reshape(_BLOCK, 624)
        for row in np.flatnonzero(rows[:, 0] == wanted[0]):
            if np.array_equal(rows[row], wanted):
                steps = 624 - mine.place + done + 624 * int(row) + whole.place
                return steps, done
    return None, most


def _drew_ahead(before: Any, mine: _Twister, whole: _Twister, steps: int) -> bool:
    """Whether one of the last words that were drawn gave the normal number ahead."""
    bits = mine.bits()
    bits.random_raw(max(0, steps - _BACK))
    for _ in range(min(steps, _BACK)):
        key = bits.state["state"]
        generator = generator_of(_Twister(key["key"], key["pos"]).within(before))
        if isinstance(generator, torch.Generator):
            torch.randn(1, generator=generator, dtype=torch.float64)
        elif isinstance(generator, random.Random):
            generator.gauss()
        else:
            generator.normal()
        if _Twister.of(state_of(generator)).ahead == whole.ahead:
            return True
        bits.random_raw(1)
    return False


_GLOBAL: dict[str, Callable[[], Any]] = {
    "python": lambda: random._inst,
    "numpy": lambda: np.random.mtrand._rand,
    "torch": lambda: torch.default_generator,
}


def own_generator(name: str) -> Any:
    """Return one of the process's own generators."""
    return _GLOBAL[name]()


def global_states(names: list[str]) -> dict[str, Any]:
    """Return the states of these of the process's own generators."""
    return {name: state_of(own_generator(name)) for name in names}


def set_global_states(states: dict[str, Any]) -> None:
    """Put the process's own generators into these states."""
    for name, state in states.items():
        set_state(own_generator(name), state)


seeded: dict[str, bytes] = {}
"""Which of this process's own generators a test has seeded since this was last cleared.

And in what state each was after the test's last question, as a frame; empty before the first.
"""


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
        seeded[name] = b""
        return function(*args, **kwargs)

    noting._notes = name  # type: ignore[attr-defined]
    noting.__name__ = function.__name__
    noting.__doc__ = function.__doc__
    return noting

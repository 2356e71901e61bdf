"""The student's process: runs the student's cells and answers questions about what they made.

Holds the student's own code and the arguments that a call brings; never a hidden test, an expected
value, another submission, the solutions, the gradebook or the network. Nothing that it says is
trusted: a student may change anything in here, and only harms their own submission.
"""

from __future__ import annotations

import builtins
import contextlib
import inspect
import itertools
import numbers
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from autograder import carry
from autograder.gradients import Kept
from autograder.shell import Shell, reseed
from autograder.wire import (
    MAX_FRAME_BYTES,
    TICKET_BYTES,
    Channel,
    Reference,
    WireError,
    decode,
    encode,
)

MAX_MESSAGE = 2000


class _Callback:
    """A function of the test's, lent to the student's code; the grader decides for how long."""

    def __init__(self, student: Student, reference: Reference):
        self.__name__ = self.__qualname__ = "given_function"
        self._student = student
        self.reference = reference

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._student.call_back(self.reference, args, kwargs)

    def __repr__(self) -> str:
        return "<a function given by the test>"


class Student:
    """Serves one grader over one channel until the channel closes."""

    def __init__(self, shell: Shell, channel: Channel):
        self._shell = shell
        self._channel = channel
        self._objects: dict[int, Any] = {}
        self._numbers = itertools.count(1)
        self._kept = Kept(self._objects, lambda: next(self._numbers))
        self._generators: dict[int, Any] = {}
        self._ticket = b""
        """What the grader's last message began with: what answers it begins with it too."""

    def serve(self) -> None:
        """Answer requests until the grader goes away."""
        while True:
            self._answer(self._receive())

    def call_back(self, reference: Reference, args: tuple, kwargs: dict) -> Any:
        """Call a function of the grader's; serve what it asks meanwhile."""
        self._send(self._ticket, ["callback", reference.number, list(args), kwargs])
        while True:
            message = self._receive()
            if message[0] == "returned":
                return message[1]
            if message[0] == "raised":
                kind = getattr(builtins, message[1], RuntimeError)
                raise kind(message[2])
            self._answer(message)

    def _answer(self, message: list) -> None:
        kind, *rest = message
        ticket = self._ticket
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            reply = getattr(self, f"_do_{kind}")(*rest)
        except BaseException as error:
            reply = self._failure(error)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            frame = encode(reply, self._refer, self._kept.track, carry.methods_of)
        except BaseException as error:
            frame = encode(self._failure(error), self._refer)
        self._channel.send(ticket + frame)

    def _do_files(self, files: dict[str, bytes]) -> list:
        for name, data in files.items():
            with contextlib.suppress(OSError):  # the assignment has a file where they have a folder
                Path(name).parent.mkdir(parents=True, exist_ok=True)
                Path(name).write_bytes(data)
        return ["value", None, None, []]

    def _do_run(self, source: str, seed: int) -> list:
        reseed(seed)
        ran = self._shell.run(source)
        return ["ran", ran.error is None, ran.outputs]

    def _do_test(self, source: str, seed: int) -> list:
        """Run a test cell in here (`trust = "shared"`): how it ended, and its points if a number.

        What ended it is data for the grader, which decides: a type's name and a message.
        """
        reseed(seed)
        ran = self._shell.run(source)
        value, _ = self._crossing(_plain_number(ran.result), MAX_FRAME_BYTES // 2)
        if ran.error is None:
            return ["tested", True, "", "", False, value, ran.outputs]
        name, message = _names(ran.error), _message(ran.error)
        return ["tested", False, name, message, _raised_elsewhere(ran.error), None, ran.outputs]

    def _do_names(self, names: list[str]) -> list:
        namespace = self._shell.namespace
        found, left = {}, MAX_FRAME_BYTES // 2
        for name in names:
            if name in namespace:
                found[name], size = self._crossing(namespace[name], left)
                left -= size
        return ["value", found, None, []]

    def _do_call(self, function: Any, args: list, kwargs: dict, show_args: bool) -> list:
        value = function(*args, **kwargs)
        return ["value", value, args if show_args else None, self._shell.outputs.take()]

    def _do_rows(self, number: int, start: int, stop: int, wanted: list[int]) -> list:
        return ["value", self._kept.rows(number, start, stop, wanted), None, []]

    def _do_product(self, number: int, cotangent: Any, wanted: list[int]) -> list:
        return ["value", self._kept.product(number, cotangent, wanted), None, []]

    def _do_update(self, changes: list[list]) -> list:
        self._kept.update(changes)
        return ["value", None, None, []]

    def _do_changed(self, numbers: list[int]) -> list:
        return ["value", self._kept.changed(numbers), None, []]

    def _do_release(self, numbers: list[int]) -> list:
        self._kept.release(numbers)
        return ["value", None, None, []]

    def _do_seeded(self, states: dict[str, Any]) -> list:
        carry.set_global_states(states)
        return ["value", None, None, []]

    def _do_states(self, names: list[str]) -> list:
        return ["value", carry.global_states(names), None, []]

    def _do_generators(self, states: dict[int, Any]) -> list:
        self._generators |= {n: carry.generator_of(state) for n, state in states.items()}
        return ["value", None, None, []]

    def _do_advanced(self, numbers: list[int]) -> list:
        states = {n: carry.state_of(self._generators.pop(n)) for n in numbers}
        return ["value", states, None, []]

    def _do_described(self, target: Any, name: str) -> list:
        if name == "__signature__":
            return ["value", _signature(target), None, []]
        value = getattr(target, name)
        if not isinstance(value, str | None):
            raise AttributeError(name)
        return ["value", value, None, []]

    def _do_attribute(self, target: Any, name: str) -> list:
        return ["value", getattr(target, name), None, self._shell.outputs.take()]

    def _do_item(self, target: Any, key: Any) -> list:
        return ["value", target[key], None, self._shell.outputs.take()]

    def _do_length(self, target: Any) -> list:
        return ["value", len(target), None, self._shell.outputs.take()]

    def _do_iterate(self, target: Any) -> list:
        return ["value", self._refer(iter(target)), None, self._shell.outputs.take()]

    def _do_next(self, target: Any) -> list:
        try:
            return ["value", next(target), None, self._shell.outputs.take()]
        except StopIteration:
            return ["stop"]

    def _crossing(self, value: Any, limit: int) -> tuple[Any, int]:
        """Return `value` and its size in bytes, or a reference if it is too large or cannot cross.

        One odd name must not hide the others.
        """
        try:
            size = len(encode(value, lambda _: Reference("student", 0, "")))
        except Exception:
            size = limit + 1
        return (value, size) if size <= limit else (self._refer(value), 0)

    def _failure(self, error: BaseException) -> list:
        try:
            lines = traceback.format_exception(error)
        except BaseException:
            lines = []
        text = "".join(lines)[-MAX_MESSAGE:]
        return ["failed", _names(error), _message(error), text, self._shell.outputs.take()]

    def _refer(self, value: Any) -> Reference:
        if isinstance(value, _Callback):
            return value.reference  # the test gets its own function back
        number = next(self._numbers)
        self._objects[number] = value
        return Reference("student", number, carry.kind_of(value))

    def _resolve(self, reference: Reference) -> Any:
        if reference.owner == "student":
            return self._objects[reference.number]
        if reference.owner == "library":
            return carry.from_library(reference.kind)
        if reference.owner == "generator":
            return self._generators[reference.number]
        return _Callback(self, reference)

    def _receive(self) -> list:
        frame = self._channel.receive()
        self._ticket = frame[:TICKET_BYTES]
        return decode(frame[TICKET_BYTES:], self._resolve, self._kept.attach)

    def _send(self, ticket: bytes, message: list) -> None:
        frame = encode(message, self._refer, self._kept.track, carry.methods_of)
        self._channel.send(ticket + frame)


def _message(error: BaseException) -> str:
    try:
        # A KeyError shows its key in quotes by itself.
        said = error.args[0] if type(error) is KeyError and error.args else error
        return str(said)[:MAX_MESSAGE]
    except BaseException:
        return "(its message cannot be shown)"


def _names(error: BaseException) -> str:
    """Return the name of an exception's type, and that of Python's exception which it extends."""
    name = type(error).__name__
    for kind in type(error).__mro__:
        known = getattr(builtins, kind.__name__, None) is kind
        if known and kind not in (Exception, BaseException, object):
            return name if kind is type(error) else f"{name}<{kind.__name__}"
    return name


def _signature(function: Any) -> list:
    """Return what `inspect.signature` says as plain data: parameters, and what is returned.

    A parameter is a name, a kind, its default if it has one, and its annotation.
    """
    signature = inspect.signature(function)
    parameters = [
        [
            parameter.name,
            int(parameter.kind),
            [] if parameter.default is parameter.empty else [parameter.default],
            _annotation(parameter.annotation),
        ]
        for parameter in signature.parameters.values()
    ]
    return [parameters, _annotation(signature.return_annotation)]


def _annotation(value: Any) -> list:
    if value is inspect.Parameter.empty:
        return []
    if value is None or isinstance(value, str):
        return ["text", value]
    name = carry.library_name(value)
    return ["text", inspect.formatannotation(value)] if name is None else ["library", name]


def _plain_number(value: Any) -> Any:
    """Return a cell's last value, with a subclass of a number as the number that it is."""
    if isinstance(value, numbers.Real) and not isinstance(value, bool | np.generic):
        with contextlib.suppress(OverflowError):
            return float(value)
    return value


def _raised_elsewhere(error: BaseException) -> bool:
    """Whether a test's error came out of code of another cell, that is: of the student's."""
    files = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
    return len([name for name in files if name.startswith("<ipython-input")]) > 1


def main(shell: Shell, stream: socket.socket) -> None:
    """Serve the grader at the other end of `stream`; returns when it has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A process that the student's code forks must not read the grader's next question.
    os.register_at_fork(after_in_child=stream.close)
    shell.redirect()
    sys.path.insert(0, "")  # as in a kernel: the student's own files can be imported
    with contextlib.suppress(WireError):
        Student(shell, Channel(stream)).serve()

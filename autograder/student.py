"""The student's process: runs the student's cells and answers questions about what they made.

Holds the student's own code and the arguments that a call brings; never a hidden test, an expected
value, another submission, the solutions, the gradebook or the network. Nothing that it says is
trusted: a student may change anything in here, and only harms their own submission.
"""

from __future__ import annotations

import builtins
import contextlib
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
    """A function of the test's, lent to the student's code for the length of one call."""

    def __init__(self, student: Student, reference: Reference):
        self.__name__ = self.__qualname__ = "given_function"
        self._student = student
        self.reference = reference
        self.lent = True

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
        self._lent: list[_Callback] = []
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
        lent, self._lent = self._lent, []
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            reply = getattr(self, f"_do_{kind}")(*rest)
        except BaseException as error:
            reply = self._failure(error)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            frame = encode(reply, self._refer)
        except BaseException as error:
            frame = encode(self._failure(error), self._refer)
        for callback in lent:
            callback.lent = False
        self._channel.send(ticket + frame)

    def _do_files(self, files: dict[str, bytes]) -> list:
        for name, data in files.items():
            Path(Path(name).name).write_bytes(data)
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
        name, message = type(ran.error).__name__, _message(ran.error)
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
        return ["failed", type(error).__name__, _message(error), text, self._shell.outputs.take()]

    def _refer(self, value: Any) -> Reference:
        if isinstance(value, _Callback) and value.lent:
            return value.reference  # the test gets its own function back
        number = next(self._numbers)
        self._objects[number] = value
        return Reference("student", number, type(value).__name__)

    def _resolve(self, reference: Reference) -> Any:
        if reference.owner == "student":
            return self._objects[reference.number]
        callback = _Callback(self, reference)
        self._lent.append(callback)
        return callback

    def _receive(self) -> list:
        frame = self._channel.receive()
        self._ticket = frame[:TICKET_BYTES]
        return decode(frame[TICKET_BYTES:], self._resolve)

    def _send(self, ticket: bytes, message: list) -> None:
        self._channel.send(ticket + encode(message, self._refer))


def _message(error: BaseException) -> str:
    try:
        return str(error)[:MAX_MESSAGE]
    except BaseException:
        return "(its message cannot be shown)"


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

"""The grader's side of the wall: handles on what stays in the student's process.

Every value that arrives here is plain data or a `Handle`. Nothing of the student's is run, imported
or unpickled in this process, and no method of the student's takes part in a comparison.
"""

from __future__ import annotations

import builtins
import inspect
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NoReturn

from autograder import carry
from autograder.gradients import Gradients
from autograder.wire import (
    DATA_METHODS,
    TICKET_BYTES,
    Channel,
    Closed,
    Late,
    Reference,
    WireError,
    decode,
    encode,
)

MAX_SHOWN = 2 * 2**20
"""Characters that student code may show during the calls of one cell, pictures included."""

MAX_CALLBACKS = 100_000
"""Calls of a lent function during one call of the student's."""

MAX_WORDS = 4 * carry.MAX_WORDS
"""Random numbers of 32 bits that are looked at in one cell, to see where student code left one of
the test's generators: about a third of a second."""


MOMENT = 0.05
"""Seconds waited for a processor that are worth a later deadline: less is not, or it would move in
ever smaller steps."""

MAX_REASON = 2000
"""Characters of why a lent function failed."""


class StudentError(Exception):
    """The student's code raised something that is no ordinary exception of Python's."""


class StudentTimeout(Exception):
    """The student's code did not finish in the time that a cell has."""


class StudentGone(Exception):
    """The student's process ended or broke the protocol; what it knew is lost."""


class NoValue(TypeError):
    """A test used as a value what is only a handle: a function, a class, a generator."""


# What student code may raise on the grader's side: ordinary errors that a test may expect.
# SystemExit, StopIteration, GeneratorExit, KeyboardInterrupt, SkipTest and the like mean something
# to the code around a test, so they and all unknown ones arrive as StudentError.
_ORDINARY = {
    name: getattr(builtins, name)
    for name in (
        "ArithmeticError AssertionError AttributeError BufferError EOFError FloatingPointError "
        "ImportError IndexError KeyError LookupError MemoryError ModuleNotFoundError NameError "
        "NotImplementedError OSError FileNotFoundError PermissionError OverflowError "
        "RecursionError RuntimeError SyntaxError TypeError UnboundLocalError ValueError "
        "ZeroDivisionError"
    ).split()
}


_TOLD = frozenset(
    (
        "AttributeError ImportError IndexError KeyError MemoryError ModuleNotFoundError NameError "
        "OverflowError RecursionError RuntimeError TypeError UnboundLocalError ValueError "
        "ZeroDivisionError"
    ).split()
)
"""What a mistake raises. Any name more is one more word to tell a test's input with."""


def _known_name(name: str) -> str:
    """Return what a student is told: a usual name of Python's, or of the class that it extends."""
    name, _, extended = name.partition("<")
    known = extended or name
    return known if known in _TOLD else "an exception of its own"


def _as_exception(name: str, message: str) -> Exception:
    name, _, extended = name.partition("<")
    ordinary = _ORDINARY.get(extended or name)
    if ordinary is not None:
        return ordinary(message)
    return StudentError(f"{name}: {message}")


@dataclass
class Call:
    """One call that a test made of a named function, as bytes: what hints are found from."""

    name: str
    frame: bytes
    """The arguments, encoded; functions in them are references into `functions`."""
    functions: dict[int, Any]
    """What the test lent, and generators in the state in which it handed them over."""
    show_args: bool
    reply: bytes | None = None
    """The student's answer, encoded; None if there was none."""


@dataclass
class Record:
    """What happened across the wall while one cell ran."""

    calls: list[Call] = field(default_factory=list)
    outputs: list[dict] = field(default_factory=list)
    """What student code printed meanwhile: for the TA alone."""
    raised: str = ""
    """What student code raised last, in words that hold nothing of a test's input."""
    timed_out: bool = False
    gone: bool = False
    _room: int = MAX_SHOWN

    def show(self, outputs: list[dict]) -> None:
        """Keep what student code showed during a call, until the cell has shown enough."""
        for item in outputs:
            size = len(str(item))
            if size > self._room:
                continue
            self._room -= size
            last = self.outputs[-1] if self.outputs else {}
            if item["output_type"] == "stream" == last.get("output_type") and (
                item["name"] == last["name"]
            ):
                last["text"] += item["text"]
            else:
                self.outputs.append(item)


class Wall:
    """A conversation with one student's process.

    `interrupt()` must make the student's code stop what it does; after it, the process has `grace`
    seconds to say so before it counts as gone. `waited()` says for how many seconds both sides so
    far were kept from running by others that run on this machine.
    """

    grace = 2.0

    methods: frozenset[str] = frozenset()
    """Names of methods that the assignment asks for."""

    def __init__(
        self,
        channel: Channel,
        interrupt: Callable[[], None],
        waited: Callable[[], float] = lambda: 0.0,
    ):
        self._channel = channel
        self._interrupt = interrupt
        self._waited = waited
        self._deadline = self._last = time.monotonic()
        self._waited_before = 0.0
        self._functions: dict[int, Callable] = {}
        self._generators: dict[int, Any] = {}
        self._lent = 0
        self._handles = 0
        self._gradients = Gradients(self._plainly, self._broken)
        self._words = MAX_WORDS
        self._strayed: set[str] = set()
        """Which of its own generators student code seeded anew since the test last drew."""
        self.record = Record()
        carry.watch_seeds()

    def begin(self, seconds: float, last: float = 0.0) -> None:
        """Start a new cell: a new record, and `seconds` from now for the student's code.

        What was waited for a processor meanwhile does not count, up to the time `last` of
        `time.monotonic`: an answer must not miss its time because of what is graded beside it. A
        process that broke off the conversation stays gone: nothing is asked of it again.
        """
        self.record = Record(gone=self.record.gone)
        self._deadline = time.monotonic() + seconds
        self._last = max(self._deadline, last)
        self._waited_before = self._waited()
        self._functions = {}
        self._gradients.begin()
        self._words = MAX_WORDS
        self._strayed.clear()
        carry.seeded.clear()

    def deadline(self) -> float:
        """Return when the student's code is out of time, of `time.monotonic`, as it stands now."""
        if time.monotonic() >= self._deadline:
            now = self._waited()
            if (since := now - self._waited_before) > MOMENT:
                self._waited_before = now
                self._deadline = min(self._deadline + since, self._last)
        return self._deadline

    def bring(self, files: dict[str, bytes]) -> None:
        """Put the student's own files into their home."""
        self._value(self._ask(["files", files]))

    def run(self, source: str, seed: int) -> list[dict]:
        """Run one of the student's cells; return what it showed."""
        reply = self._ask(["run", source, seed])
        if reply[0] == "failed":  # interrupted outside the cell's own code
            return checked_outputs(reply[4])
        if reply[0] != "ran":
            self._broken("an answer of the wrong kind")
        return checked_outputs(reply[2])

    def test(self, source: str, seed: int) -> tuple[Exception | None, Any]:
        """Run a test cell in the student's process (`trust = "shared"`).

        Returns what it says of the end: an error or None, and the value of the last line, a
        `Handle` if that is no data. It is what student code made of it, and can be forged.
        """
        reply = self._ask(["test", source, seed])
        if reply[0] == "failed":
            # Interrupted outside the cell's own code, or an answer that cannot be sent.
            reply = ["tested", False, reply[1], reply[2], True, None, reply[4]]
        if reply[0] != "tested":
            self._broken("an answer of the wrong kind")
        _, finished, name, message, in_theirs, value, outputs = reply
        self.record.show(checked_outputs(outputs))
        if finished:
            return None, value
        if in_theirs:
            self.record.raised = _known_name(name)
        return _as_exception(_clean(name), _clean(message)), None

    def names(self, names: list[str]) -> dict[str, Any]:
        """Return the values (or handles) that these names have, those that are bound."""
        reply = self._ask(["names", names])
        if reply[0] != "value" or type(reply[1]) is not dict:
            self._broken("an answer of the wrong kind")
        wanted = set(names)
        found = {n: value for n, value in reply[1].items() if type(n) is str and n in wanted}
        for name, value in found.items():
            if isinstance(value, Handle):
                object.__setattr__(value, "_name", name)
        return found

    def call(
        self, handle: Handle, args: tuple, kwargs: dict, *, show_args: bool = False
    ) -> tuple[Any, Any]:
        """Call what `handle` stands for; return its value and the arguments as it left them."""
        attribute = handle._attribute
        self._send_changes(gradients=attribute == "step")
        outer, generators, handles = self._functions, self._generators, self._handles
        self._functions, self._generators = dict(outer), {}
        request = ["call", handle._reference, list(args), kwargs, show_args]
        try:
            with self._clearing(attribute == "zero_grad"), self._seeded():
                frame = encode(request, self._lend, self._gradients.track)
                lent = {n: carry.copied(g) for n, g in self._generators.items()}
                call = Call(handle._name, frame, self._functions | lent, show_args)
                self.record.calls.append(call)
                with self._handed_over(self._generators):
                    reply = self._exchange(frame, call)
                    value = self._value(reply)
            self._see_changes()
            return value, reply[2]
        finally:
            # A lent function dies with its call, so that student code cannot use it for another
            # question. But a hook, a closure or a generator is made to use it later: if the call
            # gave back an object, or was one of an object's methods, it lives as long as the cell,
            # and can be called only while the student answers one of the test's questions.
            if attribute or self._handles > handles:
                outer = outer | self._functions
            self._functions, self._generators = outer, generators

    def _plainly(self, request: list) -> Any:
        """Ask for plain data, outside of any call."""
        return self._value(self._ask(request))

    @contextmanager
    def _checking(self) -> Iterator[None]:
        """Take what is no answer to a question of ours for the end of the process."""
        try:
            yield
        except WireError as error:
            self._broken(str(error))

    def _send_changes(self, *, gradients: bool = False) -> None:
        with self._checking():
            self._gradients.send_changes(gradients=gradients)

    def _see_changes(self) -> None:
        with self._checking():
            self._gradients.see_changes()

    @contextmanager
    def _clearing(self, clears: bool) -> Iterator[None]:
        with self._checking(), self._gradients.clearing() if clears else nullcontext():
            yield

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """Around a question: the generators that the test seeded are in that state there too.

        Only those that it seeded in this cell by itself: the stream that the engine gave the cell,
        from which hidden inputs come, never crosses. Where the test has drawn nothing since the
        last question, what student code seeded for itself goes on.
        """
        names = sorted(carry.seeded)
        if not names:
            yield
            return
        states = carry.global_states(names)
        moved = {n: state for n, state in states.items() if encode(state) != carry.seeded[n]}
        if moved:
            self._plainly(["seeded", moved])
        self._strayed -= moved.keys()
        yield
        states = self._plainly(["states", names])
        with self._checking():
            if type(states) is not dict or states.keys() != set(names):
                raise WireError("no states of generators")
            for name in names:
                # One that student code seeded anew does not find its way back by itself.
                generator = carry.own_generator(name)
                if name not in self._strayed and not self._follow(generator, states[name]):
                    self._strayed.add(name)
        carry.seeded |= {n: encode(state) for n, state in carry.global_states(names).items()}

    def _follow(self, generator: Any, state: Any) -> bool:
        most = max(0, min(carry.MAX_WORDS, self._words))
        followed, looked = carry.follow(generator, state, most)
        self._words -= looked
        return followed

    @contextmanager
    def _handed_over(self, generators: dict[int, Any]) -> Iterator[None]:
        """Around a call: the generators among its arguments, there and back."""
        if not generators:
            yield
            return
        self._plainly(["generators", {n: carry.state_of(g) for n, g in generators.items()}])
        yield
        states = self._plainly(["advanced", [*generators]])
        with self._checking():
            if type(states) is not dict or states.keys() != generators.keys():
                raise WireError("no states of generators")
            for number, generator in generators.items():
                self._follow(generator, states[number])

    def _lend(self, value: Any) -> Reference:
        if isinstance(value, Handle):
            return value._reference
        name = carry.library_name(value)
        if name is not None:
            return Reference("library", 0, name)
        if carry.is_generator(value):
            number = next((n for n, g in self._generators.items() if g is value), 0)
            if not number:
                self._lent = number = self._lent + 1
                self._generators[number] = value
            return Reference("generator", number, "generator")
        if not callable(value):
            raise TypeError(
                f"a {type(value).__name__} cannot be handed to student code: "
                "hand over data or a function"
            )
        self._lent += 1
        self._functions[self._lent] = value
        return Reference("grader", self._lent, "function")

    def _ask(self, request: list) -> list:
        return self._exchange(encode(request, self._lend, self._gradients.track), None)

    def _exchange(self, frame: bytes, call: Call | None) -> list:
        """Send one request; serve call-backs until the answer is there."""
        if self.record.gone:
            raise StudentGone("the student's process has ended")
        # Each question has a ticket that nobody can know before it is asked: an answer that came
        # early, twice or late is never taken for the next one's.
        ticket = secrets.token_bytes(TICKET_BYTES)
        try:
            if self.deadline() <= time.monotonic():
                self.record.timed_out = True
                raise StudentTimeout("no time left")
            self._channel.send(ticket + frame, self.deadline)
            callbacks = 0
            while True:
                answer = self._receive(ticket, self.deadline)
                reply = self._checked_reply(answer)
                if reply[0] != "callback":
                    if call is not None:
                        call.reply = answer
                    return reply
                callbacks += 1
                if callbacks > MAX_CALLBACKS:
                    raise WireError("too many call-backs")
                self._channel.send(ticket + self._serve(reply), self.deadline)
        except Late:
            self.record.timed_out = True
            self._stop(ticket)
            raise StudentTimeout("your code did not finish in time") from None
        except Closed:
            self.record.gone = True
            raise StudentGone("the student's process ended") from None
        except WireError as error:
            self.record.gone = True
            raise StudentGone(f"the student's process broke the protocol: {error}") from None
        except Exception:
            raise
        except BaseException:
            # Stopped between question and answer: the answer would be taken for the next one's.
            self.record.gone = True
            raise

    def _serve(self, request: list) -> bytes:
        """Call a lent function with the student's arguments (plain data); return its answer."""
        _, number, args, kwargs = request
        function = self._functions.get(number)
        try:
            if function is None:
                _over()
            value = function(*args, **kwargs)
            return encode(["returned", value], self._lend, self._gradients.track)
        except (StudentGone, StudentTimeout):
            raise
        except Exception as error:
            name = type(error).__name__
            text = _clean(f"a lent function raised {name}: {error}"[:MAX_REASON]) + "\n"
            self.record.show([{"output_type": "stream", "name": "stderr", "text": text}])
            name = name if name in _ORDINARY else "RuntimeError"
            return encode(["raised", name, _message_for_student(error)])

    def _receive(self, ticket: bytes, deadline: float | Callable[[], float]) -> bytes:
        """Return the next frame, if it answers the question that has this ticket."""
        frame = self._channel.receive(deadline)
        if not frame.startswith(ticket):
            raise WireError("an answer to no question, or to another one")
        return frame[TICKET_BYTES:]

    def _stop(self, ticket: bytes) -> None:
        """Interrupt the student's code, and see whether its process still answers."""
        self._interrupt()
        deadline = time.monotonic() + self.grace
        try:
            # The interrupted request's own answer; call-backs under way are dropped.
            reply = self._checked_reply(self._receive(ticket, deadline))
            while reply[0] == "callback":
                refusal = encode(["raised", "RuntimeError", "out of time"])
                self._channel.send(ticket + refusal, deadline)
                reply = self._checked_reply(self._receive(ticket, deadline))
            if reply[0] in ("ran", "tested"):
                self.record.show(checked_outputs(reply[-1]))
        except WireError:
            self.record.gone = True

    def _checked_reply(self, frame: bytes) -> list:
        """Decode an answer and check its form, whatever the student's process sent."""
        reply = decode(frame, self._resolve, self._gradients.attach, self._choose)
        if type(reply) is not list or not reply or type(reply[0]) is not str:
            raise WireError("an answer of the wrong form")
        forms: dict[str, tuple[type | tuple[type, ...], ...]] = {
            "ran": (bool, list),
            "tested": (bool, str, str, bool, object, list),
            "value": (object, object, list),
            "stop": (),
            "failed": (str, str, str, list),
            "callback": (int, list, dict),
        }
        form = forms.get(reply[0])
        if form is None or len(reply) != len(form) + 1:
            raise WireError("an answer of the wrong form")
        if not all(isinstance(part, kind) for part, kind in zip(reply[1:], form, strict=True)):
            raise WireError("an answer of the wrong form")
        return reply

    def _resolve(self, reference: Reference) -> Any:
        if reference.owner == "student":
            self._handles += 1
            return Handle(self, reference)
        if reference.owner != "grader" or not 0 < reference.number <= self._lent:
            raise WireError("a function that was not lent")
        return self._functions.get(reference.number, _over)

    def _choose(self, methods: list[str], held: Any, plain: Any) -> Any:
        """Return the object of a class that extends `dict`, say, if the assignment asks for one.

        Else its data: what has none of the methods that are asked for is met as what it extends.
        """
        return held if type(held) is Handle and not self.methods.isdisjoint(methods) else plain

    def _value(self, reply: list) -> Any:
        if reply[0] == "value":
            self.record.show(checked_outputs(reply[3]))
            return reply[1]
        if reply[0] == "failed":
            name, message, trace = (_clean(part) for part in reply[1:4])
            self.record.show(checked_outputs(reply[4]))
            self.record.show([{"output_type": "stream", "name": "stderr", "text": f"{trace}\n"}])
            self.record.raised = _known_name(name)
            raise _as_exception(name, message)
        self._broken("an answer of the wrong kind")

    def _broken(self, reason: str) -> NoReturn:
        self.record.gone = True
        raise StudentGone(f"the student's process broke the protocol: {reason}")

    def ask(self, verb: str, handle: Handle, *rest: Any) -> Any:
        """Attribute, item, length, iteration: one question about a handle."""
        self._send_changes()
        with self._seeded():
            reply = self._ask([verb, handle._reference, *rest])
        # Only here: from a call it would end a loop of the test's (`for y in map(f, xs)`) early,
        # with what it has not checked yet left out.
        if verb == "next" and reply[0] == "stop":
            raise StopIteration
        return self._value(reply)


def _message_for_student(error: Exception) -> str:
    """Return what student code may know of why a lent function failed.

    A message can be made of a test's values, what it expects among them. One that stands as it is
    in the code that raised it was written to be read; an assertion's was not, by student code.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    written = trace.tb_frame.f_code.co_consts if trace is not None else ()
    said = error.args[0] if len(error.args) == 1 else None
    if type(said) is str and said in written and not isinstance(error, AssertionError):
        return said[:MAX_REASON]
    return "the given function failed"


def _over(*_: Any, **__: Any) -> NoReturn:
    raise RuntimeError("this function was given for one call, and that is over")


_DESCRIPTIONS = frozenset({"__doc__", "__name__", "__qualname__", "__signature__"})
"""What a test may read of a student's function, as plain data; no score of ours rests on it."""


class Handle:
    """Stands for an object of the student's: call, attribute, index and iteration, nothing else.

    No operator, comparison, truth value or conversion: those would let an object of the student's
    answer for itself, or an expected value cross the wall.
    """

    __slots__ = ("_attribute", "_name", "_reference", "_wall")

    def __init__(self, wall: Wall, reference: Reference, name: str = ""):
        object.__setattr__(self, "_wall", wall)
        object.__setattr__(self, "_reference", reference)
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_attribute", "")

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """What `isinstance` sees: the class of torch.nn or torch.optim that it says to be one of.

        A lie helps nobody more than in one process, and nothing else is known to any class: what
        is no data has no operator, no value and no truth here, whatever it is called.
        """
        return carry.known_class(self._reference.kind) or Handle

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it with copies of the arguments; return its answer as plain data or a handle."""
        self._check_gets_no_value(args, kwargs)
        return self._wall.call(self, args, kwargs)[0]

    def _call_and_arguments(self, *args: Any) -> tuple[Any, list[Any]]:
        self._check_gets_no_value(args, {})
        value, after = self._wall.call(self, args, {}, show_args=True)
        if type(after) is not list or len(after) != len(args):
            raise StudentGone("an answer of the wrong form")
        return value, after

    def __getattr__(self, name: str) -> Any:
        if name in _DESCRIPTIONS:
            return self._described(name)
        if name.startswith("_"):
            raise AttributeError(name)
        value = self._wall.ask("attribute", self, name)
        if type(value) is Handle:
            object.__setattr__(value, "_attribute", name)
        return value

    def _described(self, name: str) -> Any:
        value = self._wall.ask("described", self, name)
        if name == "__signature__":
            try:
                return _signature(*value)
            except Exception:
                raise ValueError("no signature found") from None
        if type(value) is not str and (value is not None or name != "__doc__"):
            raise AttributeError(name)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        raise NoValue("a test cannot change an object of the student's")

    def __getitem__(self, key: Any) -> Any:
        return self._wall.ask("item", self, key)

    def __len__(self) -> int:
        length = self._wall.ask("length", self)
        if type(length) is not int:
            raise NoValue("a length that is no number")
        return length

    def __iter__(self) -> Iterator[Any]:
        iterator = self._wall.ask("iterate", self)
        if not isinstance(iterator, Handle):
            raise NoValue("an iterator that is none")
        return iterator

    def __next__(self) -> Any:
        return self._wall.ask("next", self)

    def __repr__(self) -> str:
        return f"<a {self._kind()} in the student's process>"

    def _check_gets_no_value(self, args: tuple, kwargs: dict) -> None:
        """Raise NoValue for a method of data that gets anything, unless the sheet asks for it."""
        name = self._attribute
        if (args or kwargs) and name in DATA_METHODS and name not in self._wall.methods:
            raise NoValue(f"a value was expected here, whose `{name}` is not the student's")

    def _kind(self) -> str:
        return self._reference.kind.partition(" ")[0]

    def _no_value(self, *_: Any, **__: Any) -> Any:
        raise NoValue(f"a value was expected here, but the student's code gave a {self._kind()}")

    __bool__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _no_value
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _no_value
    __truediv__ = __rtruediv__ = __matmul__ = __rmatmul__ = __pow__ = __rpow__ = _no_value
    __neg__ = __pos__ = __abs__ = __float__ = __int__ = __index__ = __contains__ = _no_value
    __array__ = __reduce__ = __reduce_ex__ = __copy__ = __deepcopy__ = _no_value
    __hash__ = object.__hash__


# Only now: in the class's body it would be the property's name for the text above.
Handle.__doc__ = property(lambda handle: handle._described("__doc__"))  # type: ignore[assignment]


def _signature(parameters: Any, returns: Any) -> inspect.Signature:
    """Return a signature made of plain data, or raise whatever comes of what is none."""
    made = []
    for name, kind, default, annotation in parameters:
        parameter = inspect.Parameter(name, inspect._ParameterKind(kind))
        if default:
            parameter = parameter.replace(default=default[0])
        made.append(parameter.replace(annotation=_annotation(annotation)))
    return inspect.Signature(made, return_annotation=_annotation(returns))


def _annotation(described: list) -> Any:
    if not described:
        return inspect.Parameter.empty
    kind, text = described
    if kind == "library":
        found = carry.from_library(text)
        return found if isinstance(found, type) else text
    return text if type(text) is str else None


_OUTPUT_KINDS = frozenset({"stream", "display_data", "execute_result", "error"})


def checked_outputs(outputs: list) -> list[dict]:
    """Return outputs in nbformat's shape, of text and pictures only; drop what is anything else.

    They are shown in a TA's browser: a picture must be one, and nothing that runs may pass.
    """
    return [kept for item in outputs[:200] if (kept := _checked_output(item)) is not None]


def _checked_output(item: Any) -> dict | None:
    if type(item) is not dict:
        return None
    kind, name = item.get("output_type"), item.get("name")
    if type(kind) is not str or kind not in _OUTPUT_KINDS:
        return None
    if kind == "stream":
        if type(name) is not str or name not in ("stdout", "stderr"):
            return None
        return {"output_type": kind, "name": name, "text": _clean(item.get("text"))}
    if kind == "error":
        lines = item.get("traceback")
        return {
            "output_type": kind,
            "ename": _clean(item.get("ename"))[:200],
            "evalue": _clean(item.get("evalue"))[:2000],
            "traceback": [_clean(line) for line in lines] if type(lines) is list else [],
        }
    data = item.get("data")
    if type(data) is not dict:
        return None
    kept: dict[str, str] = {}
    if "text/plain" in data:
        kept["text/plain"] = _clean(data["text/plain"])
    for mime, magic in (("image/png", "iVBORw0KGgo"), ("image/jpeg", "/9j/")):
        picture = data.get(mime)
        if type(picture) is str and picture.startswith(magic) and _is_base64(picture):
            kept[mime] = picture
    if not kept:
        return None
    checked: dict[str, Any] = {"output_type": kind, "data": kept, "metadata": {}}
    if kind == "execute_result":
        count = item.get("execution_count")
        checked["execution_count"] = count if type(count) is int and 0 <= count < 2**31 else None
    return checked


def _is_base64(text: str) -> bool:
    import binascii

    try:
        binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (ValueError, UnicodeEncodeError):
        return False
    return True


def _clean(text: Any) -> str:
    """Return `text` as text that any file and database can hold."""
    if type(text) is not str:
        return ""
    return text[:200_000].encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")

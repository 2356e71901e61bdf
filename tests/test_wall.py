"""What a test can do with the student's functions and objects, and what it cannot.

Most of these run against a real student process in its sandbox; those about forged answers play the
student's side of the socket themselves.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import inspect
import math
import pickle
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import autograder
from autograder import carry
from autograder import wall as walls
from autograder.gradients import MAX_ROWS
from autograder.shell import reseed
from autograder.testing import call_and_arguments, shared_gradients
from autograder.wall import (
    Handle,
    NoValue,
    StudentError,
    StudentGone,
    StudentTimeout,
    Wall,
)
from autograder.wire import (
    TICKET_BYTES,
    Channel,
    Closed,
    Reference,
    WireError,
    decode,
    encode,
)
from autograder.zygote import RemoteStudent

SETUP = {
    "readonly": [str(Path(autograder.__file__).parent)],
    "files": {},
    "limits": {
        "cpu_seconds": 60,
        "memory_bytes": 2**30,
        "processes": 32,
        "home_bytes": 16 * 2**20,
    },
    "unsafe": False,
}


@pytest.fixture(scope="module")
def zygote() -> Iterator[socket.socket]:
    """The warm interpreter that student processes are forked from."""
    ours, theirs = socket.socketpair()
    with tempfile.TemporaryDirectory() as home, theirs:
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", "autograder.zygote", "student", "", str(theirs.fileno())],
            env={"HOME": home, "MPLCONFIGDIR": home, "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"},
            pass_fds=[theirs.fileno()],
            cwd="/",
        )
        theirs.close()
        yield ours
        ours.close()
        process.wait(20)


class Theirs:
    """A student's process: run cells in it, and look at its names as a test does."""

    def __init__(self, wall: Wall):
        self.wall = wall
        self.wall.grace = 1.0

    def run(self, source: str, seconds: float = 20) -> list[dict]:
        self.wall.begin(seconds)
        return self.wall.run(source, 1)

    def get(self, name: str, source: str = "", seconds: float = 20) -> Any:
        """Return the name that `source` bound, within a cell of so many seconds."""
        if source:
            self.run(source)
        self.wall.begin(seconds)
        return self.wall.names([name])[name]


@pytest.fixture
def theirs(zygote) -> Iterator[Theirs]:
    process = RemoteStudent(zygote, SETUP, {})
    yield Theirs(process.open())
    process.close()


# Calls.


def test_a_function_is_called_by_position_and_by_keyword_and_with_its_defaults(theirs) -> None:
    f = theirs.get("f", "def f(a, b=2, *rest, c=3, **more): return [a, b, rest, c, more]")
    assert f(1) == [1, 2, (), 3, {}]
    assert f(1, 5, 6, c=7, d=8) == [1, 5, (6,), 7, {"d": 8}]
    assert f(b=1, a=0) == [0, 1, (), 3, {}]
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        f()


def test_values_come_back_as_plain_objects(theirs) -> None:
    theirs.run(
        "import numpy as np, torch, collections\n"
        "class Always(float):\n"
        "    def __eq__(self, other): return True\n"
        "    def __sub__(self, other): return 0.0\n"
        "    __hash__ = float.__hash__\n"
        "class Close(np.ndarray):\n"
        "    def __array_function__(self, *a): return True\n"
        "    def __array_ufunc__(self, *a, **k): return True\n"
        "class Sure(torch.Tensor):\n"
        "    @classmethod\n"
        "    def __torch_function__(cls, f, types, args=(), kwargs=None): return True\n"
        "class Text(str):\n"
        "    def __eq__(self, other): return True\n"
        "    __hash__ = str.__hash__\n"
        "def lies(): return [Always(1), np.zeros(2).view(Close), Text('x')]\n"
        "def sure(): return torch.zeros(2).as_subclass(Sure)\n"
    )
    number, array, text = theirs.get("lies")()
    assert type(number) is float
    assert number != 5
    assert type(array) is np.ndarray
    assert not np.allclose(array, 1)
    assert type(text) is str
    assert text != "y"


@pytest.mark.parametrize(
    "lie",
    [
        "def __eq__(self, other): return True",
        "def __array__(self, *a, **k): import numpy; return numpy.full(2, 4.0)",
        "def __float__(self): return 4.0",
        "def __bool__(self): return True",
        "def __lt__(self, other): return True\n    __gt__ = __le__ = __ge__ = __lt__",
        "def __sub__(self, other): return 0.0\n    __rsub__ = __sub__",
        "def __abs__(self): return 0.0",
        "def __ne__(self, other): return False",
        "def __contains__(self, x): return True",
        "__array_interface__ = {'shape': (2,), 'typestr': '<f8', 'data': b'0' * 16}",
        "__array_priority__ = 1e9",
        "def __torch_function__(self, *a, **k): return True",
    ],
)
def test_an_object_that_lies_about_itself_gains_nothing(theirs, lie: str) -> None:
    value = theirs.get("f", f"class Lie:\n    {lie}\ndef f(): return Lie()")()
    comparisons: list[Callable[[], object]] = [
        lambda: value == 4.0,
        lambda: value == 4.0,
        lambda: value != 4.0,
        lambda: not value,
        lambda: bool(value),
        lambda: value < 5,
        lambda: value >= 5,
        lambda: abs(value - 4.0) < 1e-9,
        lambda: abs(4.0 - value) < 1e-9,
        lambda: abs(value) < 1e-9,
        lambda: float(value),
        lambda: int(value),
        lambda: round(value),
        lambda: [value] == [4.0],
        lambda: (value,) != (4.0,),
        lambda: {"x": value} == {"x": 4.0},
        lambda: value in [4.0],
        lambda: 4.0 in value,
        lambda: np.allclose(value, np.full(2, 4.0)),
        lambda: np.array_equal(value, np.full(2, 4.0)) or 1 / 0,
        lambda: np.testing.assert_allclose(value, 4.0),
        lambda: np.testing.assert_array_equal(np.full(2, 4.0), value),
        lambda: np.full(2, 4.0) == value,
        lambda: np.full(2, 4.0) - value,
        lambda: np.float64(4) == value,
        lambda: np.asarray(value, dtype=float),
        lambda: torch.as_tensor(value),
        lambda: torch.allclose(value, torch.full((2,), 4.0)),
        lambda: torch.full((2,), 4.0) == value,
        lambda: torch.equal(torch.full((2,), 4.0), value),
        lambda: torch.full((2,), 4.0) - value,
        lambda: math.isclose(value, 4.0),
        lambda: sorted([value, 4.0]),
        lambda: max(value, 4.0),
        lambda: sum([value, 4.0]),
        lambda: f"{value:.3f}",
    ]
    for compare in comparisons:
        with pytest.raises((TypeError, ValueError, ZeroDivisionError, AttributeError)):
            compare()
    assert not isinstance(value, float)


def test_an_object_that_lies_about_its_class_does_not_arrive_as_that_class(theirs) -> None:
    source = "class Lie:\n    __class__ = property(lambda self: float)\ndef f(): return Lie()"
    with pytest.raises(TypeError, match="real number"):
        theirs.get("f", source)()


def test_a_handle_cannot_be_changed_copied_or_pickled(theirs) -> None:
    f = theirs.get("f", "def f(): pass")
    with pytest.raises(NoValue):
        f.attribute = 1
    for act in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(NoValue):
            act(f)
    for hidden in ("__globals__", "__code__", "__closure__", "__dict__", "_private"):
        assert not hasattr(f, hidden)


def test_an_object_that_extends_a_dict_is_one_where_its_methods_are_asked_for(theirs) -> None:
    source = (
        "import collections\n"
        "class Bag(collections.Counter):\n"
        "    def add(self, item): self[item] += 1\n"
        "    def size(self): return sum(self.values())\n"
    )
    bag = theirs.get("Bag", source)()
    assert type(bag) is dict, "nobody asks for a method of it"
    theirs.wall.methods = frozenset({"add", "size"})
    bag = theirs.get("Bag", source)("ab")
    bag.add("a")
    assert [bag.size(), bag["a"], len(bag)] == [3, 2, 2]


@pytest.mark.parametrize(
    "name", ["equal", "allclose", "issubset", "add", "dot", "matmul", "count", "index", "find"]
)
def test_a_method_of_data_gets_nothing_where_the_assignment_does_not_ask_for_it(
    theirs, name
) -> None:
    v = theirs.get(
        "v",
        "seen = []\nclass Agrees:\n"
        f"    def same(self, *other, **named): seen.append((other, named)); return True\n"
        f"    {name} = same\nv = Agrees()",
    )
    for given, named in (((1,), {}), ((), {"other": 1})):
        with pytest.raises(NoValue, match=name):
            getattr(v, name)(*given, **named)
    with pytest.raises(NoValue, match=name):
        call_and_arguments(getattr(v, name), 1)
    assert theirs.get("seen") == [], "what is expected has not crossed"
    assert v.same(1)
    assert getattr(v, name)() is True, "nothing crosses: the answer is as good as any other"
    theirs.wall.methods = frozenset({name})
    assert getattr(v, name)(1)


def test_what_a_dict_or_a_module_has_too_is_the_students(theirs) -> None:
    source = (
        "import torch\n"
        "class Bag:\n"
        "    def get(self, key, default): return default\n"
        "    def update(self, **named): self.mean = named\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.norm = torch.nn.LayerNorm(3)\n"
    )
    bag = theirs.get("Bag", source)()
    bag.update(a=1)
    assert [bag.get("a", 5), bag.mean] == [5, {"a": 1}]
    net = theirs.get("Net")()
    assert net.to(torch.float64).norm.weight.dtype is torch.float64


def test_instances_and_classes_are_used_by_call_attribute_index_and_iteration(theirs) -> None:
    Bag = theirs.get(
        "Bag",
        "class Bag:\n"
        "    size = 3\n"
        "    def __init__(self, items): self.items, self.made = list(items), 0\n"
        "    def __getitem__(self, i): return self.items[i]\n"
        "    def __len__(self): return len(self.items)\n"
        "    def add(self, item): self.items.append(item); return self\n"
        "    @classmethod\n"
        "    def of(cls, n): return cls(range(n))\n"
        "    def __call__(self, x): return x + len(self.items)\n",
    )
    theirs.wall.methods = frozenset({"add"})
    bag = Bag([1, 2])
    assert Bag.size == 3
    assert bag.items == [1, 2]
    bag.items.append(9)  # a copy: the student's own does not change
    assert bag.items == [1, 2]
    assert bag.add(5).add(6)[2:] == [5, 6]
    assert len(bag) == 4
    assert list(bag) == [1, 2, 5, 6]
    assert bag(10) == 14
    assert Bag.of(2).items == [0, 1]
    with pytest.raises(IndexError):
        bag[99]
    with pytest.raises(AttributeError, match="nothing"):
        _ = bag.nothing
    assert not hasattr(bag, "nothing")


def test_generators_are_taken_one_at_a_time(theirs) -> None:
    count = theirs.get(
        "count",
        "taken = []\ndef count():\n    n = 0\n    while True:\n"
        "        taken.append(n)\n        yield n\n        n += 1",
    )
    numbers = count()
    assert [next(numbers), next(numbers)] == [0, 1]
    assert theirs.get("taken") == [0, 1]
    few = theirs.get("few", "def few():\n    yield from (1, 2)")
    assert list(few()) == [1, 2]
    assert [x * y for x, y in zip(few(), [3, 4], strict=True)] == [3, 8]


def test_a_length_that_is_none_is_an_error(theirs) -> None:
    make = theirs.get(
        "L",
        "class L:\n    def __init__(self, n): self.n = n\n    def __len__(self): return self.n",
    )
    for length in (-1, "3", 1.5, None, 2**70):
        with pytest.raises((TypeError, ValueError, OverflowError)):
            len(make(length))


def test_what_cannot_cross_cannot_be_handed_over(theirs) -> None:
    f = theirs.get("f", "def f(x): return x")
    for value in (object(), np.array([object()]), torch.eye(2).to_sparse_csr(), socket.socket()):
        with pytest.raises(TypeError):
            f(value)
    assert f(3) == 3  # and the conversation goes on


def test_a_handle_that_is_handed_back_is_the_students_own_object_again(theirs) -> None:
    theirs.run(
        "class Thing: pass\ndef make(): return Thing()\ndef kind(x): return type(x).__name__"
    )
    theirs.wall.begin(20)
    names = theirs.wall.names(["make", "kind"])
    assert names["kind"]([names["make"]()][0]) == "Thing"


def test_tensors_and_types_of_numbers_cross_in_both_directions(theirs) -> None:
    f = theirs.get("f", "def f(x): return x")
    for value in (np.float32(1.5), np.arange(4, dtype=np.int16), torch.ones(2, 3).half()):
        back = f(value)
        assert type(back) is type(value)
        assert back.dtype == value.dtype
    on_meta = theirs.get(
        "g", "import torch\ndef g(x): return x @ torch.ones(3, 2, device=x.device)"
    )
    assert on_meta(torch.ones(4, 3, device="meta")).shape == (4, 2)


# Arguments are copies.


def test_the_students_function_gets_copies_of_the_arguments(theirs) -> None:
    f = theirs.get("f", "def f(x, y):\n    x += 1\n    y.append(3)\n    return x")
    x, y = np.zeros(2), [1]
    assert f(x, y).tolist() == [1, 1]
    assert x.tolist() == [0, 0]
    assert y == [1]


def test_a_test_can_ask_for_the_arguments_as_the_call_left_them(theirs) -> None:
    f = theirs.get("f", "def f(x, y):\n    x += 1\n    y.append(3)\n    return x.sum()")
    x, y = np.zeros(2), [1]
    value, (x_after, y_after) = call_and_arguments(f, x, y)
    assert value == 2
    assert x_after.tolist() == [1, 1]
    assert y_after == [1, 3]
    assert x.tolist() == [0, 0]
    assert y == [1]


# Call-backs.


def test_a_function_is_handed_over_and_called_back(theirs) -> None:
    f = theirs.get("f", "def f(g, x): return [g(x), g(value=x), g(x, scale=2.5), callable(g)]")

    def double(value: float, scale: float = 2.0) -> float:
        return value * scale

    assert f(double, 3.0) == [6.0, 6.0, 7.5, True]


def test_a_callback_may_call_the_students_function_again(theirs) -> None:
    f = theirs.get("f", "def f(g, n): return n if n == 0 else g(n - 1) + 1")

    def again(n: int) -> int:
        return f(again, n)

    assert f(again, 12) == 12


def test_a_function_that_was_handed_over_is_dead_after_the_call(theirs) -> None:
    theirs.run(
        "kept = []\n"
        "def keep(g): kept.append(g); return g(1)\n"
        "def use(x): return kept[0](x)\n"
        "def use_within(g, x): return kept[0](x)\n"
    )
    theirs.wall.begin(20)
    names = theirs.wall.names(["keep", "use", "use_within"])
    calls = []

    def given(x: int) -> int:
        calls.append(x)
        return x

    assert names["keep"](given) == 1
    for late in (lambda: names["use"](2), lambda: names["use_within"](given, 3)):
        with pytest.raises(RuntimeError, match="that is over"):
            late()
    assert calls == [1]


def test_a_function_that_was_handed_over_can_only_be_called(theirs) -> None:
    look = theirs.get(
        "look",
        "import gc\n"
        "def look(g):\n"
        "    seen = [n for n in dir(g) if n in ('__globals__', '__code__', '__closure__')]\n"
        "    return seen + [repr(g)] + sorted(k for k in vars(g) if 'secret' in str(vars(g)[k]))",
    )
    secret = "secret"

    def given() -> str:
        return secret[:0]

    assert look(given) == ["<a function given by the test>"]


def test_errors_of_a_callback_reach_the_student_by_an_ordinary_name(theirs) -> None:
    f = theirs.get(
        "f",
        "def f(g):\n    try:\n        g()\n    except Exception as e:\n"
        "        return [type(e).__name__, str(e)]",
    )

    class Own(Exception):
        pass

    def g() -> None:
        raise ValueError("no")

    def h() -> None:
        raise Own("mine")

    assert f(g) == ["ValueError", "no"]
    assert f(h) == ["RuntimeError", "mine"]
    assert f(lambda: object()) == ["TypeError", "the given function failed"]
    assert "a object cannot be handed to student code" in str(theirs.wall.record.outputs)


def test_no_value_of_a_test_crosses_in_the_message_of_a_callbacks_error(theirs) -> None:
    """Only what stands as it is in the code that raised it: no expected value does, in words."""
    f = theirs.get(
        "f",
        "def f(g):\n    try:\n        g(3)\n    except Exception as e:\n"
        "        return [type(e).__name__, *map(str, e.args)]",
    )
    expected, table = 271828.0, {"a": 1}

    def asserts(x: float) -> None:
        assert x == expected, f"expected {expected}"

    def asserts_in_words(x: float) -> None:
        assert x == expected, "expected 271828"

    def raises(x: float) -> None:
        raise ValueError(f"{x} is not {expected}")

    def raises_a_value(x: float) -> None:
        raise ValueError(expected)

    def raises_two(x: float) -> None:
        raise ValueError("expected", expected)

    def fails(x: float) -> None:
        float("271828" + "x")

    def looks_up(x: float) -> None:
        table[str(expected)]

    functions = (asserts, asserts_in_words, raises, raises_a_value, raises_two, fails, looks_up)
    names = {function.__name__: f(function) for function in functions}
    kinds = ["AssertionError"] * 2 + ["ValueError"] * 4 + ["KeyError"]
    assert [name for name, _ in names.values()] == kinds
    assert "271828" not in str(names)
    assert str(theirs.wall.record.outputs).count("271828") >= 6, "the TA sees why"


def test_the_student_cannot_hide_an_endless_stream_of_callbacks(theirs, monkeypatch) -> None:
    monkeypatch.setattr(walls, "MAX_CALLBACKS", 50)
    f = theirs.get("f", "def f(g):\n    while True:\n        g()")
    with pytest.raises(StudentGone, match="too many call-backs"):
        f(lambda: None)


# Exceptions.


@pytest.mark.parametrize("name", sorted(walls._ORDINARY))
def test_ordinary_exceptions_arrive_by_type_and_message(theirs, name: str) -> None:
    f = theirs.get("f", f"def f(): raise {name}('the message')")
    with pytest.raises(walls._ORDINARY[name]) as caught:
        f()
    assert type(caught.value) is walls._ORDINARY[name]
    assert "the message" in str(caught.value)


@pytest.mark.parametrize(
    "code",
    [
        "raise SystemExit('bye')",
        "import sys; sys.exit(0)",
        "raise StopIteration",
        "raise KeyboardInterrupt",
        "raise GeneratorExit",
        "raise StopAsyncIteration",
        "import unittest; raise unittest.SkipTest('skip me')",
        "raise type('Stops', (StopIteration,), {})('own')",
        "raise BaseException('base')",
        "raise type('AssertionErrorX', (BaseException,), {'__str__': lambda s: 1/0})()",
    ],
)
def test_exceptions_that_mean_something_to_the_code_around_are_student_errors(
    theirs, code: str
) -> None:
    f = theirs.get("f", f"def f(x):\n    {code}")
    with pytest.raises((StudentError, NameError)):
        f(1)
    checked = []
    with pytest.raises((StudentError, NameError)):
        checked.extend(map(f, [1, 2, 3]))  # a StopIteration would end this quietly
    assert theirs.get("g", "def g(): return 1")() == 1


def test_an_exception_with_an_ordinary_name_is_that_class_and_not_the_students(theirs) -> None:
    f = theirs.get(
        "f",
        "class ValueError(Exception):\n    args = property(lambda s: 1 / 0)\ndef f(): raise "
        "ValueError('x')",
    )
    with pytest.raises(Exception, match=r"cannot be shown|x") as caught:
        f()
    assert type(caught.value) is ValueError


@pytest.mark.parametrize("text", [r"\ud800", r"\0", r"\x1b[2J", "<script>alert(1)</script>"])
def test_what_an_exception_says_can_be_stored(theirs, text: str) -> None:
    f = theirs.get("f", f"def f(): raise ValueError('{text}' + 'x' * 10**6)")
    with pytest.raises(ValueError, match="x") as caught:
        f()
    shown = str(caught.value) + "".join(output["text"] for output in theirs.wall.record.outputs)
    shown.encode("utf-8")
    assert "\0" not in shown
    assert len(shown) < 20_000


# Time.


def test_a_call_that_does_not_end_is_interrupted_and_the_process_lives(theirs) -> None:
    f = theirs.get("f", "def f():\n    while True: pass\nalive = 7", seconds=1.0)
    with pytest.raises(StudentTimeout):
        f()
    assert theirs.wall.record.timed_out
    assert not theirs.wall.record.gone
    assert theirs.get("alive") == 7


def test_a_call_that_swallows_the_interrupt_costs_its_process(theirs) -> None:
    f = theirs.get(
        "f",
        "import time\ndef f():\n    while True:\n        try:\n"
        "            while True: time.sleep(0.01)\n"
        "        except BaseException: pass",
        seconds=1.0,
    )
    started = time.monotonic()
    with pytest.raises(StudentTimeout):
        f()
    assert theirs.wall.record.gone
    assert time.monotonic() - started < 8
    with pytest.raises(StudentGone):
        theirs.wall.call(f, (), {})


def test_a_timeout_within_a_callback_leaves_the_conversation_in_order(theirs) -> None:
    theirs.run("def spin():\n    while True: pass\ndef f(g): return g()\ndef one(): return 1")
    theirs.wall.begin(1.0)
    names = theirs.wall.names(["spin", "f", "one"])
    with pytest.raises(StudentTimeout):
        names["f"](lambda: names["spin"]())
    for expected in (1, 1, 1):
        theirs.wall.begin(20)
        assert names["one"]() == expected


@pytest.mark.parametrize("code", ["import os; os._exit(0)", "import ctypes; ctypes.string_at(0)"])
def test_a_process_that_ends_is_gone(theirs, code: str) -> None:
    f = theirs.get("f", f"def f():\n    {code}")
    with pytest.raises(StudentGone):
        f()
    assert theirs.wall.record.gone


# Names and outputs.


def test_one_name_that_cannot_cross_does_not_hide_the_others(theirs) -> None:
    theirs.run(
        "import numpy as np\n"
        "a = 1\n"
        "b = np.zeros(3 * 2**20)\n"
        "c = np.zeros(2**24)\n"
        "d = []\n"
        "d.append(d)\n"
        "e = np.zeros(3 * 2**20)\n"
    )
    theirs.wall.begin(20)
    found = theirs.wall.names(["a", "b", "c", "d", "e", "unbound"])
    kinds = {name: type(value) for name, value in found.items()}
    # Each array of 24 MiB fits into a frame, and both do not: the second is a handle.
    assert kinds == {"a": int, "b": np.ndarray, "c": Handle, "d": Handle, "e": Handle}


def test_what_student_code_prints_while_a_test_calls_it_goes_to_the_record(theirs) -> None:
    f = theirs.get(
        "f",
        "import sys, warnings\ndef f():\n    print('out')\n"
        "    print('err', file=sys.stderr)\n    warnings.warn('careful')\n    return 1",
    )
    assert f() == 1
    text = {o["name"]: o["text"] for o in theirs.wall.record.outputs}
    assert text["stdout"] == "out\n"
    assert text["stderr"].startswith("err\n")
    assert "careful" in text["stderr"]


def test_a_million_lines_of_print_are_cut(theirs) -> None:
    outputs = theirs.run("for i in range(10**6): print(i)")
    (stream,) = outputs
    assert len(stream["text"]) < 110_000
    assert "dropped" in stream["text"]


# A student who speaks for the process: forged answers on the socket.


class Forger:
    """The other end of a wall, answering requests with what it is told to."""

    def __init__(self, answers: list[bytes | list]):
        ours, theirs = socket.socketpair()
        self.wall = Wall(Channel(ours), lambda: None)
        self.wall.grace = 0.2
        self.wall.begin(5)
        self._channel = Channel(theirs)
        self._answers = answers
        self.requests: list[Any] = []
        self._thread = threading.Thread(target=self._speak, daemon=True)
        self._thread.start()
        self.handle = Handle(self.wall, Reference("student", 1, "function"), "f")

    def _speak(self) -> None:
        try:
            for answer in self._answers:
                frame = self._channel.receive()
                self.ticket = frame[:TICKET_BYTES]
                self.requests.append(decode(frame[TICKET_BYTES:], lambda r: r))
                self._channel.send(
                    self.ticket + (answer if isinstance(answer, bytes) else encode(answer))
                )
            self._channel.receive(time.monotonic() + 5)
        except (Closed, Exception):
            self._channel.close()


def test_stop_in_answer_to_a_call_does_not_end_a_tests_loop() -> None:
    forger = Forger([["stop"]] * 3)
    with pytest.raises(StudentGone):
        list(map(forger.handle, [1, 2, 3]))
    assert forger.wall.record.gone


@pytest.mark.parametrize("verb", ["attribute", "item", "length", "iterate"])
def test_stop_is_an_answer_to_next_alone(verb: str) -> None:
    use: dict[str, Callable[[Handle], object]] = {
        "attribute": lambda h: h.shape,
        "item": lambda h: h[0],
        "length": len,
        "iterate": iter,
    }
    with pytest.raises(StudentGone):
        use[verb](Forger([["stop"]]).handle)


GARBAGE: dict[str, bytes | list] = {
    "no frame": b"\xc1\xc1",
    "empty": b"",
    "a number": encode(4),
    "an empty list": [],
    "an unknown verb": ["passed"],
    "too short": ["value", 4],
    "too long": ["value", 4, None, [], 1],
    "outputs that are none": ["value", 4, None, "text"],
    "a failure of no name": ["failed", 1, 2, 3, []],
    "a callback that was not lent": ["value", Reference("grader", 1, "f"), None, []],
    "a function of a library": ["value", Reference("library", 0, "builtins:exec"), None, []],
    "one in a list": ["value", [{"f": Reference("library", 0, "torch:load")}], None, []],
    "a generator": ["value", Reference("generator", 1, "generator"), None, []],
    "an unhashable verb": [["value"], 4, None, []],
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_in_answer_to_a_call_is_the_end_of_the_process(name: str) -> None:
    forger = Forger([GARBAGE[name]])
    with pytest.raises(StudentGone):
        forger.handle(1)
    assert forger.wall.record.gone


@pytest.mark.parametrize(
    "answer",
    [
        ["stop"],
        ["value", 1, [{"output_type": "stream"}], []],
        ["value", Reference("student", 1, "x"), Reference("student", 2, "x"), []],
        ["callback", 1, [], {}],
    ],
)
def test_garbage_in_answer_to_a_cell_is_the_end_of_the_process(answer: list) -> None:
    with pytest.raises((StudentGone, StudentTimeout)):
        Forger([answer]).wall.run("x = 1", 1)


@pytest.mark.parametrize(
    "names",
    [
        4,
        [["a", 1]],
        {Reference("student", 1, "x"): 1},
        {1: 2, np.float64(1): 3, (): 4},
        {"other": 1, "__builtins__": 2},
    ],
)
def test_forged_names_bind_nothing(names: Any) -> None:
    forger = Forger([["value", names, None, []]])
    with contextlib.suppress(StudentGone):
        assert forger.wall.names(["a", "b"]) == {}


def test_forged_names_bind_only_what_was_asked_for() -> None:
    answer = ["value", {"a": 1, "np": 2, "assert": 3}, None, []]
    assert Forger([answer]).wall.names(["a", "b"]) == {"a": 1}


@pytest.mark.parametrize(
    "answer",
    [["stop"], ["failed", "StopIteration", "", "", []], ["failed", "ValueError", "x", "", []]],
)
def test_a_refusal_to_give_names_is_the_end_of_the_process(answer: list) -> None:
    with pytest.raises(StudentGone):
        Forger([answer]).wall.names(["a"])


VALUE = encode(["value", 3, None, []])


@pytest.mark.parametrize("early", [VALUE, bytes(TICKET_BYTES) + VALUE, b""])
def test_an_answer_before_its_question_is_the_end_of_the_process(early: bytes) -> None:
    forger = Forger([["value", 4, None, []]])
    forger._channel.send(early)
    with pytest.raises(StudentGone, match="no question"):
        forger.handle(1)
    with pytest.raises(StudentGone):
        forger.handle(2)


def test_a_second_answer_is_never_the_answer_to_the_next_question() -> None:
    forger = Forger([["value", 4, None, []]])
    assert forger.handle(1) == 4
    forger._channel.send(forger.ticket + VALUE)
    with pytest.raises(StudentGone, match="another one"):
        forger.handle(2)


def test_no_answer_is_a_timeout_and_then_the_end() -> None:
    forger = Forger([])
    forger.wall.begin(0.3)
    with pytest.raises(StudentTimeout):
        forger.handle(1)
    assert forger.wall.record.timed_out
    assert forger.wall.record.gone


class Raw:
    """The other end of a wall as bytes of the stream, below frames."""

    def __init__(self) -> None:
        ours, self.stream = socket.socketpair()
        self.wall = Wall(Channel(ours), lambda: None)
        self.wall.grace = 0.2
        self.wall.begin(0.5)
        self.handle = Handle(self.wall, Reference("student", 1, "function"), "f")

    def answer(self, pieces: Callable[[bytes], Iterator[bytes]]) -> threading.Thread:
        """Answer the next question with these pieces of a stream."""

        def speak() -> None:
            channel = Channel(self.stream)
            ticket = channel.receive()[:TICKET_BYTES]
            with contextlib.suppress(OSError):
                for piece in pieces(ticket):
                    self.stream.sendall(piece)

        thread = threading.Thread(target=speak, daemon=True)
        thread.start()
        return thread


def framed(body: bytes) -> bytes:
    """Return a frame as it stands in the stream."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        Channel(ours).send(body)
        return theirs.recv(10_000)


def test_a_frame_is_a_length_and_a_body() -> None:
    raw = Raw()
    raw.answer(lambda ticket: iter([framed(ticket + VALUE)]))
    assert raw.handle(1) == 3


@pytest.mark.parametrize("bytes_sent", [0, 3, 4, 12, 20])
@pytest.mark.parametrize("closes", [True, False], ids=["and closes", "and waits"])
def test_half_a_frame_is_no_answer(bytes_sent: int, *, closes: bool) -> None:
    def half(ticket: bytes) -> Iterator[bytes]:
        yield framed(ticket + VALUE)[:bytes_sent]
        if closes:
            raw.stream.shutdown(socket.SHUT_RDWR)

    raw = Raw()
    raw.answer(half)
    with pytest.raises(StudentGone if closes else StudentTimeout):
        raw.handle(1)
    assert raw.wall.record.gone
    raw.wall.begin(0.5)
    with pytest.raises(StudentGone):
        raw.handle(2)


def test_an_answer_in_drops_ends_at_the_cells_deadline() -> None:
    def drops(ticket: bytes) -> Iterator[bytes]:
        for byte in framed(ticket + encode(["value", "x" * 1000, None, []])):
            yield bytes([byte])
            time.sleep(0.01)

    raw = Raw()
    raw.answer(drops)
    started = time.monotonic()
    with pytest.raises(StudentTimeout):
        raw.handle(1)
    assert time.monotonic() - started < 5
    assert raw.wall.record.gone


@pytest.mark.parametrize(
    ("waited", "last", "in_time"), [(0.0, 9.0, False), (1.0, 9.0, True), (1.0, 0.2, False)]
)
def test_what_was_waited_for_a_processor_does_not_count(
    waited: float, last: float, in_time: bool
) -> None:
    """In the answer's 0.6 seconds; up to the time that the submission has as a whole."""

    def slowly(ticket: bytes) -> Iterator[bytes]:
        for piece in (framed(ticket + VALUE)[:9], framed(ticket + VALUE)[9:]):
            time.sleep(0.3)
            yield piece

    raw, seen = Raw(), iter([7.0])
    raw.wall._waited = lambda: next(seen, 7.0 + waited)
    raw.wall.begin(0.2, time.monotonic() + last)
    raw.answer(slowly)
    if in_time:
        assert raw.handle(1) == 3
    else:
        with pytest.raises(StudentTimeout):
            raw.handle(1)


def test_an_answer_in_drops_that_comes_in_time_is_one() -> None:
    raw = Raw()
    raw.wall.begin(20)
    raw.answer(lambda ticket: (bytes([byte]) for byte in framed(ticket + VALUE)))
    assert raw.handle(1) == 3


@pytest.mark.parametrize(
    "output",
    [
        1,
        [],
        {"output_type": []},
        {"output_type": {}},
        {"output_type": "update_display_data", "data": {"text/plain": "x"}},
        {"output_type": "stream", "name": np.zeros(2), "text": "x"},
        {"output_type": "stream", "name": "stdlog", "text": "x"},
        {"output_type": "display_data", "data": "text"},
        {"output_type": "display_data", "data": {"text/html": "<script>"}},
        {"output_type": "display_data", "data": {"application/javascript": "alert(1)"}},
        {"output_type": "display_data", "data": {"image/svg+xml": "<svg onload=alert(1)>"}},
        {"output_type": "display_data", "data": {"image/png": "<script>alert(1)</script>"}},
        {"output_type": "display_data", "data": {"image/png": 'iVBORw0KGgo" onerror="alert(1)'}},
        {"output_type": "display_data", "data": {"image/png": "/9j/AAAA"}},
        {"output_type": "display_data", "data": {"image/jpeg": "iVBORw0KGgoA"}},
    ],
    ids=str,
)
def test_a_forged_output_is_dropped(output: Any) -> None:
    assert Forger([["ran", True, [output]]]).wall.run("1", 1) == []


def test_what_is_kept_of_an_output_is_text_and_pictures_only() -> None:
    picture = "iVBORw0KGgoAAAANSUhEUg=="
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": "a\0b\ud800", "extra": "<script>"},
        {
            "output_type": "display_data",
            "data": {"text/html": "<b>", "text/plain": "b", "image/png": picture},
            "metadata": {"text/html": "<script>"},
            "transient": {},
        },
        {"output_type": "error", "ename": 3, "evalue": "v", "traceback": ["t", 4, None]},
    ]
    assert Forger([["ran", True, outputs]]).wall.run("1", 1) == [
        {"output_type": "stream", "name": "stdout", "text": "a\ufffdb?"},
        {
            "output_type": "display_data",
            "data": {"text/plain": "b", "image/png": picture},
            "metadata": {},
        },
        {"output_type": "error", "ename": "", "evalue": "v", "traceback": ["t", "", ""]},
    ]


def test_a_conversation_broken_off_between_question_and_answer_is_over(monkeypatch) -> None:
    forger = Forger([["value", 4, None, []]])

    class Stop(BaseException):
        pass

    def stop(deadline: float | None = None) -> bytes:
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(forger.wall._channel, "receive", stop)
        with pytest.raises(Stop):
            forger.handle(1)
    # Were it not, the late answer to that question would be taken for the answer to this one.
    with pytest.raises(StudentGone):
        forger.handle(2)


# Gradients: everything that comes back is the student's word.


def forged_result(note: Any, values: torch.Tensor | None = None) -> bytes:
    """Return an answer to a call: a tensor that requires grad, with a note of the forger's."""
    values = torch.ones(2, dtype=torch.float64) if values is None else values
    return encode(["value", values.requires_grad_(), None, []], track=lambda _: note)


OUTPUT = ["output", 7, [["grader", 1]]]


def pulled(answers: list[bytes | list], target: float = 0.0) -> tuple[Forger, torch.Tensor]:
    """Differentiate a forged result; the forger answers what the backward pass asks."""
    forger = Forger([forged_result(OUTPUT), *answers])
    x = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    ((forger.handle(x) - target) ** 2).sum().backward()
    assert x.grad is not None
    return forger, x.grad


@pytest.mark.parametrize("targets", [(0.0, 9.0), (1.0, -3.5)])
def test_what_a_backward_pass_asks_does_not_depend_on_what_the_test_expects(targets) -> None:
    """2(ŷ - y) would give y away; with target 1 it is zero, and even that must not show."""
    rows = encode(["value", [torch.eye(2, 3, dtype=torch.float64)], None, []])
    one, two = (pulled([rows], target) for target in targets)
    assert one[0].requests[1:] == two[0].requests[1:]
    assert one[0].requests[1] == ["rows", 7, 0, 2, [0]]
    assert not torch.equal(one[1], two[1])
    assert one[1].tolist() == [2 * (1 - targets[0])] * 2 + [0.0]


@pytest.mark.parametrize(
    "gradients",
    [
        4,
        [],
        [1.0],
        [torch.ones(2, 4, dtype=torch.float64)],
        [torch.ones(3, dtype=torch.float64)],
        [torch.ones(3, 3, dtype=torch.float64)],
        [torch.ones(2, 3)],
        [torch.ones(2, 3, dtype=torch.complex128)],
        [torch.ones(2, 3, dtype=torch.float64, device="meta")],
        [torch.ones(2, 3, dtype=torch.float64, requires_grad=True)],
        [torch.ones(2, 3, dtype=torch.float64).to_sparse()],
        [torch.ones(2, 3, dtype=torch.float64)] * 2,
        [np.ones((2, 3))],
        [Reference("student", 1, "Tensor")],
    ],
    ids=lambda g: str(g)[:40].split("\n")[0],
)
def test_a_gradient_of_the_wrong_form_is_the_end_of_the_process(gradients: Any) -> None:
    with pytest.raises(StudentGone):
        pulled([["value", gradients, None, []]])


def test_a_gradient_of_nan_is_nan_and_no_gradient_is_none() -> None:
    nan = torch.full((2, 3), math.nan, dtype=torch.float64)
    assert pulled([["value", [nan], None, []]])[1].isnan().all()
    with pytest.raises(AssertionError):
        pulled([["value", [None], None, []]])


@pytest.mark.parametrize(
    "note",
    [
        None,
        [],
        ["output"],
        ["output", "7", []],
        ["output", 7, 4],
        ["output", 7, [4]],
        ["output", 7, [["grader", 2]]],
        ["output", 7, [["grader", 0]]],
        ["output", 7, [["grader", "1"]]],
        ["output", 7, [["other", 1]]],
        ["output", 7, [["student", 3]]],
        ["output", 7, [["student", 3, torch.int64, [2], True, "cpu"]]],
        ["output", 7, [["student", 3, "float64", [2], True, "cpu"]]],
        ["output", 7, [["student", 3, torch.float64, [-2], True, "cpu"]]],
        ["output", 7, [["student", 3, torch.float64, [2**40], True, "cpu"]]],
        ["output", 7, [["student", n, torch.float64, [2**24], True, "cpu"] for n in range(99)]],
        ["output", 7, [["student", 3, torch.float64, [2], True, "cuda"]]],
        ["output", 7, [["grader", 1]] * 20_000],
        ["leaf", 7, True],
        ["leaf", 7, 1, None],
        ["leaf", 7, True, 4],
        ["leaf", 7, True, torch.ones(3, dtype=torch.float64)],
        ["leaf", 7, True, torch.ones(2)],
        {"output": 7},
    ],
    ids=lambda note: str(note)[:70],
)
def test_a_tensor_with_a_forged_note_is_the_end_of_the_process(note: Any) -> None:
    forger = Forger([forged_result(note)])
    with pytest.raises(StudentGone):
        forger.handle(torch.zeros(3, requires_grad=True))
    assert forger.wall.record.gone


@pytest.mark.parametrize(
    "changes",
    [
        4,
        [4],
        [[7, 1, None]],
        [[8, torch.ones(2), None]],
        [[7, torch.ones(2, dtype=torch.float64), torch.ones(3, dtype=torch.float64)]],
        [[7, torch.ones(2, dtype=torch.float64), 1]],
    ],
    ids=str,
)
def test_forged_changes_of_parameters_are_the_end_of_the_process(changes: Any) -> None:
    leaf = forged_result(["leaf", 7, True, None])
    forger = Forger([leaf, ["value", changes, None, []]])
    with pytest.raises(StudentGone):
        forger.handle(1)


def test_a_backward_pass_that_never_ends_or_whose_process_has_gone_fails_cleanly(theirs) -> None:
    slow = """
import os, torch
class Slow(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, how): ctx.how = how; return x * 2
    @staticmethod
    def backward(ctx, g):
        while ctx.how == "slow": pass
        if ctx.how == "exit": os._exit(0)
        raise ValueError("my backward")
def f(x, how): return Slow.apply(x, how)
def g(x): return x * 2
"""
    x = torch.ones(2, requires_grad=True)
    theirs.run(slow)
    for how, error in (("raise", ValueError), ("slow", StudentTimeout), ("exit", StudentGone)):
        f = theirs.get("f", seconds=2)
        with pytest.raises(error):
            f(x, how).sum().backward()
    assert theirs.wall.record.gone
    assert x.grad is None


def test_only_first_derivatives_of_results_of_some_size_cross(theirs) -> None:
    f = theirs.get("f", "def f(x): return x * x")
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="only first derivatives"):
        torch.autograd.grad(f(x).sum(), x, create_graph=True)
    large = torch.ones(MAX_ROWS + 1, requires_grad=True)
    with pytest.raises(RuntimeError, match="4096 numbers"):
        f(large).sum().backward()
    with shared_gradients():
        f(large).sum().backward()
    assert large.grad is not None
    assert large.grad.eq(2).all()


# The gradients that the test has of a student's parameters.

MODEL = """
import torch
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
def seen(): return [p.grad is not None for p in model.parameters()]
"""


def test_a_gradient_reaches_the_students_process_only_by_step_and_when_it_is_shared(theirs) -> None:
    theirs.run(MODEL)
    theirs.wall.begin(20)
    names = theirs.wall.names(["model", "optimizer", "seen"])

    def differentiate() -> None:
        ((names["model"](torch.ones(1, 2)) - 5) ** 2).sum().backward()

    differentiate()
    assert names["model"].weight.grad is not None
    assert names["seen"]() == [False, False]
    names["optimizer"].step()
    assert names["seen"]() == [True, True]
    names["optimizer"].zero_grad()
    assert names["seen"]() == [False, False]
    assert names["model"].weight.grad is None
    differentiate()
    with shared_gradients():
        assert names["seen"]() == [True, True]


# Seeds and generators.


def test_the_stream_that_the_engine_gave_a_cell_never_crosses() -> None:
    forger = Forger([["value", 1, None, []]] * 2)
    reseed(11)
    np.random.rand()
    torch.rand(1)
    random.random()
    forger.handle(1)
    _ = forger.handle.attribute
    assert [request[0] for request in forger.requests] == ["call", "attribute"]


def advanced(state: Any, draw: Callable) -> Any:
    """Return where a generator is after this was drawn from it, as a student's copy is."""
    generator = carry.generator_of(state)
    draw(generator)
    return carry.state_of(generator)


def test_only_what_the_test_seeded_in_this_cell_crosses() -> None:
    np.random.seed(8)
    state = advanced(np.random.get_state(), lambda r: r.rand(1000))
    forger = Forger(
        [
            ["value", None, None, []],
            ["value", 4, None, []],
            ["value", {"numpy": state}, None, []],
            ["value", 5, None, []],
        ]
    )
    np.random.seed(8)
    assert forger.handle(1) == 4
    assert [request[0] for request in forger.requests] == ["seeded", "call", "states"]
    assert list(forger.requests[0][1]) == ["numpy"]
    assert np.random.rand() == np.random.RandomState(8).rand(1001)[-1]
    forger.wall.begin(5)
    assert forger.handle(1) == 5
    assert forger.requests[-1][0] == "call"


def test_a_state_is_sent_again_only_when_the_test_drew_or_seeded() -> None:
    theirs_now = np.random.RandomState(3).get_state()
    answer: list = [["value", 4, None, []], ["value", {"numpy": theirs_now}, None, []]]
    told: list = ["value", None, None, []]
    forger = Forger([told, *answer, *answer, told, *answer, told, *answer])
    np.random.seed(8)
    forger.handle(1)
    forger.handle(1)
    np.random.seed(8)
    forger.handle(1)
    np.random.rand()
    forger.handle(1)
    wanted = ["seeded", "call", "states", "call", "states"] + ["seeded", "call", "states"] * 2
    assert [request[0] for request in forger.requests] == wanted


NO_STATES: list[Any] = [
    4,
    {},
    {"numpy": 4, "torch": 4},
    {"torch": torch.zeros(5055, dtype=torch.uint8)},
    {"torch": torch.zeros(5056, dtype=torch.uint8)},  # a place behind its own table
    {"torch": [1, 2]},
]


@pytest.mark.parametrize("states", NO_STATES, ids=lambda s: str(s)[:40])
def test_what_is_no_state_of_a_generator_is_the_end_of_the_process(states: Any) -> None:
    answers: list[Any] = [
        ["value", None, None, []],
        ["value", 4, None, []],
        ["value", states, None, []],
    ]
    forger = Forger(answers)
    torch.manual_seed(8)
    before = torch.default_generator.get_state()
    with pytest.raises(StudentGone):
        forger.handle(1)
    assert torch.equal(torch.default_generator.get_state(), before)


GENERATORS: dict[str, Callable[[], Any]] = {
    "pcg": lambda: np.random.default_rng(3),
    "twister": lambda: np.random.Generator(np.random.MT19937(3)),
    "numpy": lambda: np.random.RandomState(3),
    "torch": lambda: torch.Generator().manual_seed(3),
    "python": lambda: random.Random(3),
}
DRAWS: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda g: None,
    "one number": lambda g: one_number(g),
    "an odd number of normal numbers": lambda g: normal_numbers(g, 5),
    "a normal number and others": lambda g: [normal_numbers(g, 1), one_number(g)],
    "over the end of a table": lambda g: [
        *(one_number(g) for _ in "x" * 700),
        normal_numbers(g, 1),
    ],
    "very many": lambda g: many_numbers(g, 10**6 + 1),
}


def one_number(g: Any) -> Any:
    if isinstance(g, torch.Generator):
        return torch.rand(1, generator=g).item()
    return int(g.integers(100)) if isinstance(g, np.random.Generator) else g.random()


def normal_numbers(g: Any, n: int) -> Any:
    if isinstance(g, torch.Generator):
        return torch.randn(n, generator=g).tolist()
    return [float(g.gauss() if isinstance(g, random.Random) else g.normal()) for _ in range(n)]


def many_numbers(g: Any, n: int) -> Any:
    if isinstance(g, torch.Generator):
        return torch.rand(n, generator=g)[-1].item()
    return g.getrandbits(32 * n) % 1000 if isinstance(g, random.Random) else g.random(size=n)[-1]


@pytest.mark.parametrize("kind", GENERATORS)
@pytest.mark.parametrize("draw", DRAWS)
def test_a_generator_follows_whatever_was_drawn_from_its_copy(kind: str, draw: str) -> None:
    for before in DRAWS:
        ours, alone = GENERATORS[kind](), GENERATORS[kind]()
        for generator in (ours, alone):
            if before != "very many":
                DRAWS[before](generator)
        carry.follow(ours, advanced(carry.state_of(ours), DRAWS[draw]))
        DRAWS[draw](alone)
        rest = [[one_number(g), normal_numbers(g, 3), one_number(g)] for g in (ours, alone)]
        assert rest[0] == rest[1], before


def twisted(state: Any, **changes: Any) -> Any:
    """Return a state of a Mersenne twister with other words, place or normal number ahead."""
    return dataclasses.replace(carry._Twister.of(state), **changes).within(state)


NOUGHTS = np.zeros(624, np.uint32)
CHOSEN: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "another seed": ("numpy", lambda s: np.random.RandomState(4).get_state()),
    "another seed of torch's": ("torch", lambda s: torch.Generator().manual_seed(4).get_state()),
    "an earlier place": ("numpy", lambda s: twisted(s, place=carry._Twister.of(s).place - 1)),
    "all noughts": ("numpy", lambda s: twisted(s, words=NOUGHTS)),
    "all noughts in torch": ("torch", lambda s: twisted(s, words=NOUGHTS)),
    "all noughts in Python": ("python", lambda s: twisted(s, words=NOUGHTS)),
    "all noughts in a new generator": ("twister", lambda s: twisted(s, words=NOUGHTS)),
    "no place": ("torch", lambda s: twisted(s, words=twice(s), place=0)),
    "a fixed point of PCG": ("pcg", lambda s: {**s, "state": {"state": 0, "inc": 0}}),
    "another way of PCG": ("pcg", lambda s: np.random.default_rng(4).bit_generator.state),
    "a chosen state of PCG": (
        "pcg",
        lambda s: {**s, "state": {"state": 0, "inc": s["state"]["inc"]}},
    ),
    "a normal number of one's own": ("numpy", lambda s: twisted(s, ahead=0.5)),
    "a normal number of one's own in torch": ("torch", lambda s: twisted(s, ahead=0.5)),
    "a normal number of one's own in Python": ("python", lambda s: twisted(s, ahead=0.5)),
    "no number ahead": ("numpy", lambda s: twisted(s, ahead=float("nan"))),
    "half a word of one's own": ("pcg", lambda s: {**s, "has_uint32": 1, "uinteger": 7}),
}


def twice(state: Any) -> np.ndarray:
    bits = carry._Twister.of(state).bits()
    bits.random_raw(1300)
    return bits.state["state"]["key"]


@pytest.mark.parametrize("name", CHOSEN)
def test_a_student_cannot_choose_what_a_test_draws_next(name: str) -> None:
    kind, change = CHOSEN[name]
    ours, alone = GENERATORS[kind](), GENERATORS[kind]()
    for generator in (ours, alone):
        many_numbers(generator, 700)
    carry.follow(ours, change(carry.state_of(ours)))
    assert [one_number(ours), normal_numbers(ours, 3)] == [
        one_number(alone),
        normal_numbers(alone, 3),
    ]


def test_looking_for_states_is_bounded_within_a_cell(monkeypatch) -> None:
    looked = []
    follow = carry.follow

    def counted(*args: Any) -> Any:
        found = follow(*args)
        looked.append(found[1])
        return found

    monkeypatch.setattr(carry, "follow", counted)
    wrong = np.random.RandomState(4).get_state()
    answers: list[Any] = []
    for number in range(1, 10):
        answers += [["value", None, None, []], ["value", 4, None, []]]
        answers.append(["value", {number: wrong}, None, []])
    forger = Forger(answers)
    rng = np.random.RandomState(3)
    for _ in range(9):
        assert forger.handle(rng) == 4
    assert sum(looked) == walls.MAX_WORDS
    assert rng.random() == np.random.RandomState(3).random()


@pytest.mark.parametrize(
    "change",
    [
        lambda s: {**s, "has_uint32": 7},
        lambda s: {**s, "state": {"state": -1, "inc": 1}},
        lambda s: {**s, "state": {"state": 2**128, "inc": 1}},
        lambda s: {**s, "state": {"state": 1.5, "inc": 1}},
        lambda s: {"state": s["state"]},
        lambda s: 4,
    ],
)
def test_what_is_no_state_of_an_argument_is_the_end_of_the_process(change: Callable) -> None:
    rng = np.random.default_rng(1)
    state = advanced(rng.bit_generator.state, lambda r: r.random())
    done: list[Any] = [["value", None, None, []], ["value", 4, None, []]]
    honest = Forger([*done, ["value", {1: state}, None, []]])
    assert honest.handle(rng) == 4
    assert rng.random() == np.random.default_rng(1).random(2)[1]
    with pytest.raises(StudentGone):
        Forger([*done, ["value", {1: change(state)}, None, []]]).handle(rng)


@pytest.mark.parametrize("place", [-1, 625, 2**40, True, 1.0])
def test_a_place_beyond_a_generators_table_is_refused(place: Any) -> None:
    kind, key, _, *rest = np.random.RandomState(1).get_state()
    with pytest.raises(WireError):
        carry.follow(np.random.RandomState(1), (kind, key, place, *rest))


# Lent functions that live on, descriptions, classes.


def test_a_function_lent_to_an_object_dies_with_the_cell(theirs) -> None:
    make = theirs.get("make", "def make(g): return lambda x: g(x)")
    calls: list[int] = []
    kept = make(calls.append)
    kept = make(lambda x: calls.append(x))
    kept(1)
    assert calls == [1]
    theirs.wall.begin(20)
    with pytest.raises(RuntimeError, match="that is over"):
        kept(2)
    assert calls == [1]


@pytest.mark.parametrize("described", [4, None, ["x"], {"a": 1}, Reference("student", 1, "str")])
def test_a_description_that_is_no_text_is_none(described: Any) -> None:
    for name in ("__name__", "__signature__"):
        with pytest.raises((AttributeError, ValueError)):
            getattr(Forger([["value", described, None, []]]).handle, name)


@pytest.mark.parametrize(
    "parameters",
    [
        [["not a name", 1, [], []]],
        [["x", 9, [], []]],
        [["x", 1, [], ["library", "os:system"]]],
        [["x", 1, [], ["library", "builtins:nothing"]]],
        [["x", 1, [], []], ["x", 1, [], []]],
        [["x"]],
        [4],
    ],
    ids=str,
)
def test_a_forged_signature_is_none(parameters: Any) -> None:
    forger = Forger([["value", [parameters, []], None, []]])
    with pytest.raises(ValueError, match="no signature found"):
        inspect.signature(forger.handle)


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("Net torch.nn:Module", torch.nn.Module),
        ("X torch.optim:Adam", torch.optim.Adam),
        ("X torch:Tensor", Handle),
        ("X builtins:float", Handle),
        ("X torch.nn:Parameter", Handle),
        ("X torch.nn:functional", Handle),
        ("X numpy:ndarray", Handle),
        ("X", Handle),
    ],
)
def test_a_handle_is_known_as_a_module_or_an_optimizer_and_as_nothing_else(kind, known) -> None:
    handle = Handle(Forger([]).wall, Reference("student", 1, kind))
    assert handle.__class__ is known
    assert not isinstance(handle, float | np.ndarray | torch.Tensor)
    with pytest.raises(NoValue):
        bool(handle)
    with pytest.raises(NoValue):
        _ = handle == handle

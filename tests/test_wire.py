"""The wire carries every plain value unchanged, and nothing that is not plain."""

from __future__ import annotations

import collections
import copy
import decimal
import enum
import fractions
import math
import socket
import struct
import threading
import time
import tracemalloc
from typing import Any

import msgpack
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autograder import carry, wire
from autograder.wire import Channel, Closed, Late, Reference, WireError, decode, encode
from tests.fuzz_wire import Count, Frames, is_plain, try_frame


def identical(a: Any, b: Any) -> bool:
    """Same exact types, same bits: 0.0 is not -0.0, NaN is itself, 1 is not True."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("<d", a) == struct.pack("<d", b)
    if isinstance(a, complex):
        return identical(a.real, b.real) and identical(a.imag, b.imag)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(identical, a, b))
    if isinstance(a, dict):
        return identical([*a.items()], [*b.items()])
    if isinstance(a, np.ndarray | np.generic):
        same = a.dtype == b.dtype and a.dtype.str == b.dtype.str and a.shape == b.shape
        return same and a.tobytes() == b.tobytes()
    return a == b


def there(value: Any) -> Any:
    return decode(encode(value))


hashable = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text(st.characters(exclude_categories=()))  # lone surrogates too
    | st.binary(),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
dtypes = st.sampled_from("? i1 u2 >i4 i8 f2 f4 >f8 c8 c16 S3 U4 M8[ns] m8[D]".split())


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    dtype = np.dtype(draw(dtypes))
    shape = draw(st.lists(st.integers(0, 3), max_size=4))
    size = math.prod(shape)
    if dtype.kind in "bU":
        return np.resize(np.array([True, False, True]).astype(dtype), shape)
    data = draw(st.binary(min_size=size * dtype.itemsize, max_size=size * dtype.itemsize))
    return np.frombuffer(data, dtype).reshape(shape)  # any bits, signalling NaN too


anything = st.recursive(
    hashable | st.floats() | arrays() | st.just(...) | st.builds(range, st.integers(-9, 9)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(hashable, inner, max_size=3)
        | st.sets(hashable, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(anything)
def test_what_is_plain_arrives_bit_for_bit(value: Any) -> None:
    assert identical(there(value), value)


def hostile_frames() -> st.SearchStrategy[bytes]:
    """Arbitrary bytes, msgpack of our extension codes, and good frames with bytes changed."""
    extensions = st.builds(
        lambda code, data: msgpack.ExtType(code, data), st.integers(0, 20), st.binary(max_size=40)
    )
    packed = st.recursive(
        st.none() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary() | extensions,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.builds(
                lambda code, item: msgpack.ExtType(code, msgpack.packb(item)),
                st.integers(1, 19),
                inner | st.lists(inner, max_size=5),
            )
        ),
        max_leaves=8,
    ).map(msgpack.packb)

    def bend(frame: bytes, changes: list[tuple[int, int]], length: int) -> bytes:
        bent = bytearray(frame)
        for place, byte in changes:
            bent[place % len(bent)] = byte
        return bytes(bent[:length])

    changes = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4)
    bent = st.builds(bend, anything.map(encode), changes, st.integers(1, 10**6))
    return st.binary(max_size=200) | packed | bent


@settings(max_examples=600, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(hostile_frames())
def test_any_bytes_are_plain_values_or_a_wire_error(frame: bytes) -> None:
    try:
        value = decode(frame)
    except WireError:
        return
    assert is_plain(value), type(value)


@settings(max_examples=150, deadline=None)
@given(hostile_frames())
def test_any_bytes_that_decode_can_be_used_without_a_crash(frame: bytes) -> None:
    try:
        value = decode(frame)
    except WireError:
        return
    encode(value)  # looks at every array's and tensor's data


class Liar(float):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = float.__hash__


class Odd(enum.IntEnum):
    ONE = 1


class Named(collections.namedtuple("Named", "x y")):
    pass


class Array(np.ndarray):
    pass


class Weight(torch.nn.Parameter):
    pass


@pytest.mark.parametrize(
    ("value", "kind", "plain"),
    [
        (Liar(2.5), float, 2.5),
        (Odd.ONE, int, 1),
        (Named(1, 2), wire.Fields, (1, 2)),
        (type("C", (collections.Counter,), {})("aab"), dict, {"a": 2, "b": 1}),
        (type("D", (dict,), {})(a=1), dict, {"a": 1}),
        (type("S", (str,), {})("text"), str, "text"),
        (type("L", (list,), {})([1]), list, [1]),
        (type("F", (frozenset,), {})([1]), frozenset, frozenset([1])),
        (bytearray(b"ab"), bytes, b"ab"),
        (memoryview(b"ab"), bytes, b"ab"),
    ],
)
def test_a_subclass_loses_its_class(value: Any, kind: type, plain: Any) -> None:
    arrived = there([value])[0]
    assert type(arrived) is kind
    assert arrived == plain


def test_subclasses_of_arrays_and_tensors_lose_their_class() -> None:
    assert type(there(np.arange(3).view(Array))) is np.ndarray
    assert type(there(np.ma.masked_array([1, 2], [True, False]))) is np.ndarray
    assert type(there(np.float32(1.5))) is np.float32
    arrived = there(Weight(torch.ones(2)))
    assert type(arrived) is torch.Tensor
    assert arrived.requires_grad


@pytest.mark.parametrize("dtype", [*wire._TORCH_DTYPES.values()])
def test_a_tensor_arrives_with_its_type_shape_and_bits(dtype: torch.dtype) -> None:
    sent = torch.tensor([[0, 1, 1], [1, 0, 1]]).to(dtype)
    for tensor in (sent, sent.T, sent[:, :0], sent[0, 0], sent[::2, 1:]):
        arrived = there(tensor)
        assert arrived.dtype is dtype
        assert arrived.shape == tensor.shape
        assert torch.equal(arrived, tensor)


def test_views_conjugates_and_negatives_of_tensors_arrive_as_values() -> None:
    z = torch.tensor([1 + 2j, 3 - 1j])
    assert torch.equal(there(z.conj()), torch.tensor([1 - 2j, 3 + 1j]))
    assert torch.equal(there(z.conj().imag), torch.tensor([-2.0, 1.0]))
    assert torch.equal(there(torch.arange(6.0).reshape(2, 3).T), torch.arange(6.0).reshape(2, 3).T)


def test_a_meta_tensor_arrives_without_data_and_without_memory() -> None:
    arrived = there(torch.empty(10**6, 10**6, device="meta", requires_grad=True))
    assert (arrived.device.type, arrived.shape) == ("meta", (10**6, 10**6))
    assert arrived.requires_grad


def test_an_array_that_arrived_is_the_receivers_own() -> None:
    arrived = there(np.zeros(3))
    arrived[0] = 1
    there(torch.zeros(3))[0] = 1


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**3000, -(10**3000)])
def test_integers_of_any_honest_size_arrive(number: int) -> None:
    assert there(number) == number


def test_an_integer_that_would_take_forever_to_print_does_not_cross() -> None:
    with pytest.raises(WireError, match="integer"):
        encode(1 << 40000)


@pytest.mark.parametrize(
    "value",
    [
        np.array([object()], dtype=object),
        np.zeros(2, dtype=[("a", "i4")]),
        np.dtype([("a", "i4")]),
        np.void(b"ab"),
        torch.eye(2).to_sparse_csr(),
        object(),
        len,
        Named,
        collections,
        (i for i in ()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_data_crosses_only_as_a_reference(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot cross"):
        encode([value])
    given: list[Any] = []

    def refer(item: Any) -> Reference:
        given.append(item)
        return Reference("student", 7, type(item).__name__)

    frame = encode({"it": value}, refer)
    assert len(given) == 1
    assert given[0] is value
    with pytest.raises(WireError, match="reference"):
        decode(frame)
    assert decode(frame, lambda reference: ("stands for", reference.number))["it"] == (
        "stands for",
        7,
    )


def test_a_value_that_contains_itself_or_is_too_deep_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    ring: dict[str, Any] = {}
    ring["ring"] = ([ring],)
    deep: Any = 0
    for _ in range(5000):
        deep = [deep]
    tuples: Any = 0
    for _ in range(5000):
        tuples = (tuples,)
    for value in (loop, ring, deep, tuples):
        with pytest.raises(WireError, match="too deeply"):
            encode(value)


def test_what_is_larger_than_a_frame_is_refused_before_it_is_copied() -> None:
    tracemalloc.start()
    try:
        for value in (np.zeros(2**24), torch.zeros(2**25), np.broadcast_to(0.0, (2**40,))):
            with pytest.raises(WireError, match="MiB cannot cross"):
                encode(value)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 300 * 2**20  # the zeros themselves, not another copy


def extension(code: int, *fields: Any, body: bytes = b"") -> bytes:
    head = msgpack.packb(list(fields))
    return msgpack.packb(msgpack.ExtType(code, struct.pack("<H", len(head)) + head + body))


FORGED = {
    "an object array": extension(6, "|O", [1], body=b"\0" * 8),
    "a structured array": extension(6, "i4,i4", [1], body=b"\0" * 8),
    "a void array": extension(6, "|V8", [1], body=b"\0" * 8),
    "a dtype of no size": extension(6, "|S0", [5]),
    "a dtype that is a list": extension(6, [["a", "i4"]], [1], body=b"\0" * 4),
    "a dtype with a shape": extension(6, "(2,)f8", [1], body=b"\0" * 16),
    "a dtype by a Python name": extension(6, "object", [1], body=b"\0" * 8),
    "a shape too large for its data": extension(6, "<f8", [2], body=b"\0" * 8),
    "a shape too small for its data": extension(6, "<f8", [1], body=b"\0" * 16),
    "a negative shape": extension(6, "<f8", [-1], body=b"\0" * 8),
    "two negative lengths": extension(6, "<f8", [-1, -1], body=b"\0" * 8),
    "a shape of floats": extension(6, "<f8", [1.0], body=b"\0" * 8),
    "a shape of truth": extension(6, "<f8", [True], body=b"\0" * 8),
    "a shape beyond all memory": extension(6, "<f8", [2**60, 0]),
    "65 dimensions": extension(6, "<f8", [1] * 65, body=b"\0" * 8),
    "a boolean that is 2": extension(6, "|b1", [2], body=b"\1\2"),
    "a boolean tensor that is 255": extension(8, "bool", [1], "cpu", False, body=b"\xff"),
    "a tensor on a device": extension(8, "float32", [1], "cuda", False, body=b"\0" * 4),
    "a tensor of no type": extension(8, "qint8", [1], "cpu", False, body=b"\0"),
    "an integer tensor with gradient": extension(8, "int64", [1], "cpu", True, body=b"\0" * 8),
    "a flag that is a number": extension(8, "float32", [1], "cpu", 1, body=b"\0" * 4),
    "a meta tensor with data": extension(8, "float32", [1], "meta", False, body=b"\0" * 4),
    "a meta tensor beyond 2^48": extension(8, "float32", [2**30, 2**30], "meta", False),
    "an empty tensor of absurd shape": extension(8, "float32", [2**47, 2**47, 0], "cpu", False),
    "an unknown extension": msgpack.packb(msgpack.ExtType(99, b"")),
    "a tuple of a dict": msgpack.packb(msgpack.ExtType(1, msgpack.packb({}))),
    "a set of lists": msgpack.packb(msgpack.ExtType(2, msgpack.packb([[1]]))),
    "a dict with a list for a key": b"\x81\x90\xc0",
    "a range of nothing": msgpack.packb(msgpack.ExtType(12, msgpack.packb([1, 2, 0]))),
    "a range of text": msgpack.packb(msgpack.ExtType(12, msgpack.packb(["a"]))),
    "an integer without end": msgpack.packb(msgpack.ExtType(5, b"\1" * 5000)),
    "a dtype that runs code": msgpack.packb(msgpack.ExtType(13, b"__import__('os')")),
    "a torch type by another name": msgpack.packb(msgpack.ExtType(14, b"nn")),
    "a device of no kind": msgpack.packb(msgpack.ExtType(15, b"rm -rf")),
    "a device of another world": msgpack.packb(msgpack.ExtType(15, b"privateuseone:7")),
    "a dtype of a gigabyte": msgpack.packb(msgpack.ExtType(13, b"|S1000000000")),
    "an empty array of gigabytes": extension(6, "|S1000000000", [0]),
    "an empty array whose sum is 2^47 long": extension(6, "<f8", [0, 2**47]),
    "an empty tensor whose sum is 2^47 long": extension(8, "float32", [0, 2**47], "cpu", False),
    "a reference": msgpack.packb(msgpack.ExtType(9, msgpack.packb(["student", 1, "x"]))),
    "two frames in one": b"\xc0\xc0",
    "nothing": b"",
    "a list that claims 4 billion": b"\xdd\xff\xff\xff\xff\xc0",
    "a text that claims 4 GB": b"\xdb\xff\xff\xff\xffabc",
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_frame_is_refused(name: str) -> None:
    with pytest.raises(WireError):
        decode(FORGED[name])


def test_the_forged_frames_differ_from_good_ones_only_where_they_say() -> None:
    assert decode(extension(6, "<f8", [1], body=b"\0" * 8)).tolist() == [0.0]
    assert decode(extension(6, "|b1", [2], body=b"\1\0")).tolist() == [True, False]
    assert decode(extension(8, "bool", [1], "cpu", False, body=b"\1")).tolist() == [True]
    assert decode(extension(8, "float32", [1], "cpu", True, body=b"\0" * 4)).requires_grad
    assert decode(extension(8, "float32", [2**20, 2**20], "meta", False)).shape == (2**20, 2**20)


@pytest.mark.parametrize(
    "fields",
    [["student", 1], ["student", "1", "x"], [1, 1, "x"], ["student", 1, 1], ["student", True, "x"]],
)
def test_a_forged_reference_is_refused(fields: list) -> None:
    frame = msgpack.packb(msgpack.ExtType(9, msgpack.packb(fields)))
    with pytest.raises(WireError):
        decode(frame, lambda reference: reference)


UNITS = [b"\x90", b"\x80", b"\xd4\x01\x90", b"\xd4\x02\x90", b"\xc0", b"\x07", b"\xa2ab"]


@pytest.mark.parametrize("unit", UNITS)
def test_objects_of_every_kind_are_counted(unit: bytes, monkeypatch) -> None:
    monkeypatch.setattr(wire, "MAX_OBJECTS", 100_000)
    frame = b"\xdd" + struct.pack(">I", 200_000) + unit * 200_000
    with pytest.raises(WireError, match="more than"):
        decode(frame)


def test_the_entries_of_a_dict_are_counted(monkeypatch) -> None:
    frames = [encode({f"w{i}": 0 for i in range(60_000)}), encode(dict.fromkeys(range(60_000)))]
    monkeypatch.setattr(wire, "MAX_OBJECTS", 100_000)
    for frame in frames:
        with pytest.raises(WireError, match="more than"):
            decode(frame)


def test_a_value_of_too_many_objects_is_refused_by_the_side_that_sends_it(monkeypatch) -> None:
    monkeypatch.setattr(wire, "MAX_OBJECTS", 100_000)
    with pytest.raises(WireError, match="more than"):
        encode([0] * 200_000)


def test_memory_is_looked_at_while_a_list_of_small_strings_is_still_being_read(monkeypatch) -> None:
    monkeypatch.setattr(wire, "MAX_MEMORY", 64 * 2**20)
    monkeypatch.setattr(wire, "MAX_OBJECTS", 10**9)
    count = 5_000_000  # 16 MB, and 360 MB when decoded
    frame = b"\xdd" + struct.pack(">I", count) + b"\xa2ab" * count
    before = wire._resident()
    with pytest.raises(WireError, match="memory"):
        decode(frame)
    assert wire._resident() - before < 300 * 2**20


def test_an_extension_in_an_extension_cannot_copy_a_frame_a_hundred_times(monkeypatch) -> None:
    monkeypatch.setattr(wire, "MAX_MEMORY", 64 * 2**20)
    frame = msgpack.packb(bytes(2**23))
    for _ in range(50):
        frame = msgpack.packb(msgpack.ExtType(1, b"\x91" + frame))
    with pytest.raises(WireError, match="memory"):
        decode(frame)


@pytest.mark.parametrize("kind", [dict.fromkeys, set, frozenset], ids=["dict", "set", "frozenset"])
def test_keys_that_collide_do_not_take_the_graders_time(kind, monkeypatch) -> None:
    # Each of these has the hash 0. Their own dict would take as long to make here.
    keys = [msgpack.ExtType(5, (k * (2**61 - 1)).to_bytes(12, "little")) for k in range(40_000)]
    if kind is dict.fromkeys:
        frame = (
            b"\xdf"
            + struct.pack(">I", len(keys))
            + b"".join(msgpack.packb(k) + b"\xc0" for k in keys)
        )
    else:
        frame = msgpack.packb(msgpack.ExtType(2 if kind is set else 3, msgpack.packb(keys)))
    monkeypatch.setattr(wire, "MAX_SECONDS", 0.3)
    started = time.thread_time()
    with pytest.raises(WireError, match="to decode"):
        decode(frame)
    assert time.thread_time() - started < 3


@pytest.mark.parametrize(
    "value",
    [
        {f"word{i}": i for i in range(200_000)},
        {i: float(i) for i in range(200_000)},
        {(i, i + 1) for i in range(100_000)},
        {(f"w{i}", f"w{i + 1}"): i for i in range(100_000)},
        [i / 7 for i in range(2_000_000)],
        [(i, -i) for i in range(1_200_000)],
    ],
    ids=["words", "numbers", "set of pairs", "bigrams", "two million floats", "many tuples"],
)
def test_large_right_answers_pass_quickly(value: Any) -> None:
    frame = encode(value)
    started = time.thread_time()
    assert decode(frame) == value
    assert time.thread_time() - started < wire.MAX_SECONDS / 4


def test_a_tree_of_tuples_as_deep_as_a_sentence_arrives_and_a_deeper_one_is_refused() -> None:
    tree: Any = ()
    for _ in range(wire.MAX_DEPTH - 2):
        tree = (tree,)
    assert there(tree) == tree
    with pytest.raises(WireError, match="too deeply"):
        encode((tree,))


def test_a_thousandth_of_the_fuzz_run() -> None:
    supply, count = Frames(7), Count()
    for number in range(1000):
        try_frame(supply.next(), count, wall=number % 5 == 0)
    assert count.decoded > 100
    assert count.refused > 100


def test_bombs_of_extensions_in_extensions_stop_early() -> None:
    frame = b"\xc0"
    for _ in range(wire.MAX_DEPTH + 5):
        frame = msgpack.packb([msgpack.ExtType(1, b"\x91" + frame)])
    with pytest.raises(WireError):
        decode(frame)


def test_a_frame_longer_than_the_limit_is_refused_unread() -> None:
    with pytest.raises(WireError, match="longer"):
        decode(bytes(wire.MAX_FRAME_BYTES + 1))


# The channel.


@pytest.fixture
def ends() -> Any:
    ours, theirs = socket.socketpair()
    yield Channel(ours), theirs
    ours.close()
    theirs.close()


def test_frames_keep_their_borders_however_they_are_cut(ends) -> None:
    channel, stream = ends
    data = b"".join(struct.pack("<I", n) + bytes([n]) * n for n in (3, 0, 200))

    def drip() -> None:
        for byte in data:
            stream.sendall(bytes([byte]))

    thread = threading.Thread(target=drip)
    thread.start()
    assert [channel.receive(time.monotonic() + 20) for _ in range(3)] == [
        bytes([3]) * 3,
        b"",
        bytes([200]) * 200,
    ]
    thread.join()


def test_a_length_alone_takes_no_memory(ends) -> None:
    channel, stream = ends
    stream.sendall(struct.pack("<I", wire.MAX_FRAME_BYTES) + b"x")
    tracemalloc.start()
    try:
        with pytest.raises(Late):
            channel.receive(time.monotonic() + 0.1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 2**20


def test_a_length_beyond_the_limit_is_refused(ends) -> None:
    channel, stream = ends
    stream.sendall(struct.pack("<I", 2**32 - 1))
    with pytest.raises(WireError, match="longer"):
        channel.receive(time.monotonic() + 5)


def test_a_frame_that_drips_does_not_outlast_its_deadline(ends) -> None:
    channel, stream = ends
    done = threading.Event()

    def drip() -> None:
        stream.sendall(struct.pack("<I", 1000))
        while not done.wait(0.02):
            stream.sendall(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    started = time.monotonic()
    with pytest.raises(Late):
        channel.receive(started + 0.3)
    assert time.monotonic() - started < 3
    done.set()
    thread.join()


def test_a_reader_that_does_not_read_is_late_and_one_that_left_is_closed(ends) -> None:
    channel, stream = ends
    with pytest.raises(Late):
        channel.send(bytes(2**24), time.monotonic() + 0.2)
    stream.close()
    with pytest.raises(Closed):
        channel.receive(time.monotonic() + 5)


def test_an_object_array_of_numbers_crosses_as_numbers() -> None:
    made = np.frompyfunc(lambda x: float(x) / 2, 1, 1)(np.arange(6).reshape(2, 3))
    assert made.dtype == object
    crossed = decode(encode(made))
    assert crossed.dtype == float
    assert np.array_equal(crossed, np.arange(6).reshape(2, 3) / 2)
    with pytest.raises(TypeError):  # one thing among the numbers that is none
        encode(np.array([1.0, "two"], dtype=object))


@pytest.mark.parametrize(
    "value",
    [
        collections.Counter("aab"),
        collections.OrderedDict(b=1, a=2),
        collections.defaultdict(list, a=[1]),
        collections.defaultdict(None, a=[1]),
        collections.deque([1, (2,)], 5),
        fractions.Fraction(1, 3),
        decimal.Decimal("-1.50"),
        decimal.Decimal("Infinity"),
        {"a": 1, (2,): 3}.keys(),
        {"a": 1, (2,): [3]}.items(),
        int,
        type(None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_counts_and_orders_by_the_standard_librarys_rules_crosses_as_itself(value) -> None:
    arrived = there([value])[0]
    assert type(arrived) is type(value)
    assert arrived == value
    assert repr(arrived) == repr(value)


def test_a_named_tuple_arrives_as_a_tuple_with_names() -> None:
    arrived = there(Named(1, (2,)))
    fields = arrived._fields
    assert [arrived[0], getattr(arrived, fields[1]), arrived == (1, (2,))] == [1, (2,), True]
    assert not hasattr(arrived, "nothing")
    assert copy.deepcopy(arrived) == arrived
    counted = there(collections.namedtuple("Counted", "word count")("a", 2))
    assert [counted.word, counted.count, counted.index(2)] == ["a", 2, 1]
    near = there(collections.namedtuple("Near", "dist allclose")(0.5, int))
    assert near.dist == 0.5
    with pytest.raises(TypeError, match="a value was expected"):
        near.allclose(3.0)  # would be told what is expected, and agree with it
    largest = there(torch.max(torch.eye(2), 0))
    assert torch.equal(largest.values, torch.ones(2))
    renamed = collections.namedtuple("renamed", ["a", "a"], rename=True)  # a field named _1
    assert type(there(renamed(1, 2))) is tuple


def test_a_default_of_ones_own_stays_where_it_is_and_is_asked() -> None:
    def three() -> int:
        return 3

    held = wire.Reference("student", 7, "function")
    frame = encode(collections.defaultdict(three, a=1), lambda item: held)
    arrived = decode(frame, lambda reference: three)
    assert copy.deepcopy(arrived)["b"] == arrived["c"] == 3
    assert arrived == {"a": 1, "c": 3}
    asked = []
    assert encode(arrived, lambda item: asked.append(item) or held)  # type: ignore[func-returns-value]
    assert asked == [three], "it goes back as what it was"
    assert decode(frame, lambda reference: reference) == {"a": 1}, "nobody is there to ask"


def test_an_object_that_extends_a_plain_type_crosses_as_both_for_the_other_side_to_choose() -> None:
    class Bag(dict):
        def add(self, item: str) -> None:
            self[item] = 1

    bag, held = Bag(a=1), wire.Reference("student", 7, "Bag")
    frame = encode([bag], lambda item: held, methods=carry.methods_of)
    assert decode(frame, lambda reference: reference) == [{"a": 1}]
    chosen = decode(frame, lambda reference: reference, choose=lambda *parts: parts)
    assert chosen == [(["add"], held, {"a": 1})]
    assert there(bag) == {"a": 1}
    with pytest.raises(WireError):
        decode(packed(20, [1], None, {}))


def test_a_sparse_tensor_crosses_with_its_entries() -> None:
    twice = torch.sparse_coo_tensor([[0, 0]], [1.0, 2.0], (3,))
    assert there(twice)._nnz() == 2
    assert torch.equal(there(twice).to_dense(), twice.to_dense())
    assert there(torch.eye(3).to_sparse().coalesce()).is_coalesced()


def packed(code: int, *items: Any) -> bytes:
    return msgpack.packb(msgpack.ExtType(code, encode(list(items))))


FORGED_PARTS = {
    "names that are no identifiers": packed(17, ("a b",), (1,)),
    "a hidden name": packed(17, ("__class__",), (1,)),
    "too few names": packed(17, ("a",), (1, 2)),
    "names of a list": packed(17, ("a",), [1]),
    "a Counter of a list": packed(18, "Counter", [1]),
    "an unknown class": packed(18, "Popen", {}),
    "a default that is no type of data": packed(18, "defaultdict", {}, "eval"),
    "a fraction of nothing": packed(18, "Fraction", 1, 0),
    "a decimal of a billion digits": packed(18, "Decimal", "1e999999999"),
    "a long decimal": packed(18, "Decimal", "1" * 100_000),
    "a decimal of a word": packed(18, "Decimal", "one"),
    "a fraction of floats": packed(18, "Fraction", 1.5, 2),
    "a deque of negative length": packed(18, "deque", [1], -1),
    "no parts": packed(18, "deque"),
    "an entry outside": packed(19, torch.tensor([[7]]), torch.ones(1), [3], False),
    "a negative place": packed(19, torch.tensor([[-1]]), torch.ones(1), [3], False),
    "places that are no numbers": packed(19, torch.ones(1, 1), torch.ones(1), [3], False),
    "places without values": packed(19, torch.tensor([[1]]), torch.ones(2), [3], False),
    "an absurd sparse shape": packed(19, torch.tensor([[1]]), torch.ones(1), [2**40], False),
    "a sparse tensor of lists": packed(19, [[1]], [1.0], [3], False),
    "a note without a tensor": packed(16, 1, 2),
    "a note of a tensor without gradient": packed(16, 1, torch.ones(2)),
}


@pytest.mark.parametrize("name", FORGED_PARTS)
def test_forged_parts_of_a_value_are_refused(name: str) -> None:
    with pytest.raises(WireError):
        decode(FORGED_PARTS[name])


def test_a_sparse_tensor_that_says_it_is_coalesced_is_made_so() -> None:
    """Two entries at one place, believed to be one, would be two answers in one tensor."""
    place = torch.tensor([[1, 1]])
    forged = decode(packed(19, place, torch.tensor([1.0, 2.0]), [3], True))
    assert forged._nnz() == 1
    assert forged.to_dense().tolist() == [0, 3, 0]


def test_a_note_goes_with_a_tensor_that_requires_grad_and_with_no_other() -> None:
    values = [torch.ones(2, requires_grad=True), torch.ones(2)]
    frame = encode(values, track=lambda tensor: {"shape": list(tensor.shape)})
    noted: list[Any] = []
    arrived = decode(frame, None, lambda note, tensor: noted.append(note) or tensor)
    assert noted == [{"shape": [2]}]
    assert [t.requires_grad for t in arrived] == [True, False]
    assert [t.requires_grad for t in decode(frame)] == [True, False]

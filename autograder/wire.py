"""Values as bytes: what may cross between the student's process and the grader's, and how.

Data only. No pickle, no code, no class of the student's: a frame is msgpack with a closed list of
extension types, and what is decoded is always of a plain, exact type. Anything else crosses as a
`Reference`, a number that means something only to the side that gave it out.

This module knows bytes and plain values; it never knows a test, a score or a notebook.
"""

from __future__ import annotations

import collections
import decimal
import fractions
import math
import os
import re
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
import torch

MAX_FRAME_BYTES = 64 * 2**20
"""Longest frame, in bytes, that either side sends or accepts."""

TICKET_BYTES = 8
"""What a question and its answers begin with on the wall, beside the frame itself."""

MAX_DEPTH = 100
"""Deepest nesting of extension types (tuples, sets, arrays in them) that is decoded.

Lists and dicts may be nested as deep as msgpack packs and unpacks them, about 500.
"""

MAX_OBJECTS = 10_000_000
"""Most objects of any kind in one frame: containers, numbers, strings, both halves of an entry."""

MAX_MEMORY = 2**30
"""Most memory, in bytes, that decoding one frame may take beyond what the process has.

An empty dict is one byte in a frame and sixty-four in memory. Looked at every quarter MiB of the
frame and every few thousand objects, so that what is taken between two looks is small; one string
takes up to four times its bytes.
"""

MAX_SECONDS = 20.0
"""Most seconds of CPU for one frame: numbers chosen to collide make a dict or a set quadratic."""

_OBJECTS_BETWEEN_LOOKS = 4096
_SECONDS_BETWEEN_LOOKS = 0.02
_BYTES_BETWEEN_LOOKS = 2**18
_LARGE = 2**20  # a shorter frame cannot take much memory
_MAX_EMPTY = 2**31
_DEVICE_NAME = re.compile(r"(cpu|cuda|meta|mps|xpu)(:\d{1,2})?")
_MAX_INTEGER_BYTES = 4096
_MAX_DIMENSIONS = 32

# Extension codes. The numbers are the format: never reuse one.
_TUPLE, _SET, _FROZENSET, _COMPLEX, _INTEGER, _ARRAY, _SCALAR, _TENSOR = range(1, 9)
_REFERENCE, _SLICE, _ELLIPSIS, _RANGE, _NUMPY_DTYPE, _TORCH_DTYPE, _DEVICE = range(9, 16)
_TRACKED, _FIELDS, _LIBRARY, _SPARSE, _INSTANCE = range(16, 21)

_TORCH_DTYPES: dict[str, torch.dtype] = {
    name: getattr(torch, name)
    for name in (
        "float64 float32 float16 bfloat16 complex128 complex64 int64 int32 int16 int8 uint8 bool"
    ).split()
}
_TORCH_NAMES = {dtype: name for name, dtype in _TORCH_DTYPES.items()}


class WireError(Exception):
    """Bytes that are no frame of ours, or a value that may not cross."""


class Closed(WireError):
    """The other side has gone."""


class Late(WireError):
    """The other side did not finish within the time it had."""


@dataclass(frozen=True)
class Reference:
    """Stands for an object that stays in one process.

    `owner` is the side that holds it ("student" or "grader"), `number` its place in that side's
    table, `kind` the name of its type, for messages only.
    """

    owner: str
    number: int
    kind: str


def _methods(*kinds: type) -> set[str]:
    return {
        name
        for kind in kinds
        for name in dir(kind)
        if name[0] != "_" and callable(getattr(kind, name))
    }


DATA_METHODS = frozenset(
    _methods(np.ndarray, torch.Tensor, int, float, complex, str, bytes, set, tuple)
    - _methods(dict, torch.nn.Module, torch.optim.Optimizer)
)
"""Methods of numbers, arrays, tensors, strings and sets: those are data here, never the student's.
One that a test calls on an object of theirs, as in `got.dot(want)`, would hand over what is
expected, and believe the answer. What a dict, a module or an optimizer has too is no such method.
"""


class Fields(tuple):
    """A tuple whose items have names too: what a namedtuple, or `torch.max(x, 0)`, arrives as.

    Made of names alone: no class of the other side's, and no code from its names.
    """

    _fields: tuple[str, ...]

    @staticmethod
    def of(names: Any, items: Any) -> Fields:
        """Return `items` with these names, or raise WireError."""
        if not _are_names(names) or type(items) is not tuple or len(names) != len(items):
            raise WireError("no names of fields")
        made = Fields(items)
        made._fields = names
        return made

    def __getattribute__(self, name: str) -> Any:
        # Before the methods of a tuple: `count` is a good name for a field.
        names = () if name.startswith("_") else self._fields
        if name not in names:
            return super().__getattribute__(name)
        item = self[names.index(name)]
        if name in DATA_METHODS and callable(item):
            raise TypeError(f"a value was expected here, whose `{name}` is not the student's")
        return item

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self._fields, self, strict=True))


def _are_names(names: Any) -> bool:
    return type(names) is tuple and all(
        type(name) is str and name.isidentifier() and name[0] != "_" for name in names
    )


# What is equal, counts and orders by the standard library's own rules, rebuilt from a plain value.
_DEFAULTS: dict[str, Any] = {
    kind.__name__: kind for kind in (int, float, complex, bool, str, list, dict, set, tuple)
}


_EMPTY: dict[Any, Any] = {}
_VIEWS: dict[str, type] = {
    "dict_keys": type(_EMPTY.keys()),
    "dict_values": type(_EMPTY.values()),
    "dict_items": type(_EMPTY.items()),
}
_TYPES: dict[str, type] = {
    kind.__name__: kind for kind in (*_DEFAULTS.values(), bytes, frozenset, type(None))
}

# Digits and exponent: int() of a larger one would write out as many digits.
_MAX_DECIMAL = 10_000


class _Asks:
    """A default of the other side's, asked when it is needed; a copy of the dict asks it too."""

    def __init__(self, default: Any):
        self.default = default

    def __call__(self) -> Any:
        return self.default()

    def __deepcopy__(self, _: Any) -> _Asks:
        return self


def _rebuilt(kind: Any, parts: tuple) -> Any:
    if kind == "Counter" and type(parts[0]) is dict:
        return collections.Counter(parts[0])
    if kind == "OrderedDict" and type(parts[0]) is dict:
        return collections.OrderedDict(parts[0])
    if kind == "defaultdict" and type(parts[0]) is dict:
        default = _DEFAULTS[parts[1]] if type(parts[1]) is str else parts[1]
        if default is None or type(default) is type:
            return collections.defaultdict(default, parts[0])
        # One that stays on the other side; where nobody can ask it, the entries are left.
        return collections.defaultdict(_Asks(default), parts[0]) if callable(default) else parts[0]
    if kind == "deque" and type(parts[0]) is list and (parts[1] is None or parts[1] >= 0):
        return collections.deque(parts[0], parts[1])
    if kind == "type":
        return _TYPES[parts[0]]
    if kind in _VIEWS and type(parts[0]) is dict:
        return getattr(parts[0], kind.removeprefix("dict_"))()
    if kind == "Fraction" and type(parts[0]) is type(parts[1]) is int:
        return fractions.Fraction(parts[0], parts[1])
    if kind == "Decimal" and type(parts[0]) is str and len(parts[0]) <= _MAX_DECIMAL:
        made = decimal.Decimal(parts[0])
        if not made.is_finite() or abs(made.adjusted()) <= _MAX_DECIMAL:
            return made
    raise WireError("an unknown kind of value")


def _taken_apart(item: Any) -> tuple | None:
    """Return what `_rebuilt` needs to make `item` again, None if it cannot."""
    kind: Any = type(item)
    if kind is collections.Counter or kind is collections.OrderedDict:
        return kind.__name__, dict(item)
    if kind is collections.defaultdict:
        default: Any = item.default_factory
        if type(default) is _Asks:
            default = default.default
        elif default is not None:
            name = str(getattr(default, "__name__", ""))
            default = name if _DEFAULTS.get(name) is default else default
        return "defaultdict", dict(item), default
    if kind is type and _TYPES.get(name := item.__name__) is item:
        return "type", name
    if kind is _VIEWS["dict_keys"]:
        return kind.__name__, dict.fromkeys(item)
    if kind is _VIEWS["dict_values"]:
        return kind.__name__, dict(enumerate(item))
    if kind is _VIEWS["dict_items"]:
        return kind.__name__, dict(item)
    if kind is collections.deque:
        return "deque", list(item), item.maxlen
    if kind is fractions.Fraction:
        return "Fraction", item.numerator, item.denominator
    if kind is decimal.Decimal:
        return "Decimal", str(item)
    return None


_PLAIN = (float, str, bytes, dict, list, int, tuple, set, frozenset)

Refer = Callable[[Any], Reference]
"""Gives the reference for an object that cannot cross, or raises TypeError to refuse it."""

_StandIn = Callable[[Any], msgpack.ExtType]

Resolve = Callable[[Reference], Any]
"""Gives what the receiving side uses in the place of a reference."""


Track = Callable[[torch.Tensor], Any]
"""Notes a tensor that requires grad: gives plain data that goes with it, or a Reference instead."""

Attach = Callable[[Any, torch.Tensor], torch.Tensor]
"""Gives what the receiving side uses for such a tensor, from the note and the bare values."""


Methods = Callable[[Any], list[str]]
"""Gives the names of the methods that a class adds to the plain type that it extends."""

Choose = Callable[[list[str], Any, Any], Any]
"""Gives what the receiving side uses for an instance of such a class: from the names of its
methods, what stands for the object and its plain value."""


def _refuse(value: Any) -> Reference:
    raise TypeError(f"a {type(value).__name__} cannot cross the wall: hand over data or functions")


def encode(
    value: Any,
    refer: Refer = _refuse,
    track: Track | None = None,
    methods: Methods = lambda item: [],
) -> bytes:
    """Return `value` as bytes; what is not data becomes the reference that `refer` gives.

    Subclasses lose their class: one of dict's crosses as a dict, a `Parameter` as a tensor; with
    `methods`, one that has any crosses as a reference too, for the other side to choose. Raises
    WireError for a value too deep or too large, TypeError when `refer` refuses.
    """

    depth = 0

    def pack(item: Any) -> bytes:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise WireError("a value nested too deeply cannot cross")
        packed = msgpack.packb(
            item, default=extend, strict_types=True, unicode_errors="surrogatepass"
        )
        depth -= 1
        return packed

    def stand_in(item: Any) -> msgpack.ExtType:
        reference = item if isinstance(item, Reference) else refer(item)
        fields = [reference.owner, reference.number, reference.kind]
        return msgpack.ExtType(_REFERENCE, pack(fields))

    def extend(item: Any) -> Any:
        kind = type(item)
        if isinstance(item, np.ndarray | np.generic):
            return _pack_array(item, pack, stand_in)
        if isinstance(item, torch.Tensor):
            if track is not None and item.requires_grad and _is_strided(item):
                note = track(item)
                if isinstance(note, Reference):
                    return stand_in(note)
                return msgpack.ExtType(_TRACKED, pack([note, _pack_tensor(item, pack, stand_in)]))
            return _pack_tensor(item, pack, stand_in)
        if kind is int:
            return _pack_integer(item)
        if kind is tuple:
            return msgpack.ExtType(_TUPLE, pack(list(item)))
        if kind is set or kind is frozenset:
            return msgpack.ExtType(_SET if kind is set else _FROZENSET, pack(list(item)))
        if kind is complex:
            return msgpack.ExtType(_COMPLEX, struct.pack("<dd", item.real, item.imag))
        if kind is range or kind is slice:
            code = _RANGE if kind is range else _SLICE
            return msgpack.ExtType(code, pack([item.start, item.stop, item.step]))
        if item is Ellipsis:
            return msgpack.ExtType(_ELLIPSIS, b"")
        if isinstance(item, np.dtype) or (kind is type and issubclass(item, np.generic)):
            return _pack_dtype(item, stand_in)
        if kind is torch.dtype and item in _TORCH_NAMES:
            return msgpack.ExtType(_TORCH_DTYPE, _TORCH_NAMES[item].encode())
        if kind is torch.device:
            return msgpack.ExtType(_DEVICE, str(item).encode())
        if kind is bytearray or kind is memoryview:
            return bytes(item)
        apart = _taken_apart(item)
        if apart is not None:
            return msgpack.ExtType(_LIBRARY, pack(list(apart)))
        if isinstance(item, _PLAIN) and (names := methods(item)):
            return msgpack.ExtType(_INSTANCE, pack([names, refer(item), bare(item)]))
        return bare(item)

    def bare(item: Any) -> Any:
        kind = type(item)
        if isinstance(item, tuple):
            # A namedtuple's, or those of a structure of C's such as torch.max gives.
            names = getattr(kind, "_fields", None) or getattr(kind, "__match_args__", None)
            if names and _are_names(names) and len(names) == tuple.__len__(item):
                return msgpack.ExtType(_FIELDS, pack([names, tuple(item)]))
        # Subclasses of plain types, after everything that has its own code.
        plain: Any
        for plain in (float, str, bytes, dict, list):
            if isinstance(item, plain):
                return plain(item)
        for plain in (int, tuple, set, frozenset):
            if isinstance(item, plain):
                return extend(plain(item))
        return stand_in(item)

    try:
        frame = pack(value)
    except (ValueError, RecursionError) as error:
        # msgpack's word for a list that contains itself, or one nested beyond reason.
        raise WireError(f"a value nested too deeply cannot cross ({error})") from None
    if len(frame) > MAX_FRAME_BYTES:
        raise WireError(f"a value of {len(frame) >> 20} MiB cannot cross (limit {_limit()})")
    if len(frame) > MAX_OBJECTS:  # each object is a byte or more
        # What the other side would refuse is refused here, where the error has a name.
        decode(frame, lambda reference: reference)
    return frame


def _limit() -> str:
    return f"{MAX_FRAME_BYTES >> 20} MiB"


def _pack_integer(item: int) -> Any:
    size = item.bit_length() // 8 + 1
    if size > _MAX_INTEGER_BYTES:
        raise WireError(f"an integer of {size} bytes cannot cross (limit {_MAX_INTEGER_BYTES})")
    return msgpack.ExtType(_INTEGER, item.to_bytes(size, "little", signed=True))


def _pack_dtype(item: Any, stand_in: _StandIn) -> Any:
    dtype = np.dtype(item)
    if dtype.kind not in "biufcUSmM":
        return stand_in(item)
    return msgpack.ExtType(_NUMPY_DTYPE, dtype.str.encode())


def _pack_array(item: np.ndarray | np.generic, pack: Callable, stand_in: _StandIn) -> Any:
    array = _numbers(np.asarray(item))
    if array.dtype.kind not in "biufcUSmM" or array.dtype.itemsize == 0:
        return stand_in(item)
    if array.nbytes > MAX_FRAME_BYTES:
        raise WireError(f"an array of {array.nbytes >> 20} MiB cannot cross (limit {_limit()})")
    head = pack([array.dtype.str, list(array.shape)])
    code = _SCALAR if isinstance(item, np.generic) else _ARRAY
    return msgpack.ExtType(code, struct.pack("<H", len(head)) + head + array.tobytes())


def _numbers(array: np.ndarray) -> np.ndarray:
    """Return an object array of numbers (what `np.frompyfunc` gives) as one of their own type."""
    if array.dtype.kind == "O" and array.size <= MAX_OBJECTS:
        items = array.ravel().tolist()
        if items and all(isinstance(item, int | float | complex | np.number) for item in items):
            plain = np.array(items)
            if plain.dtype.kind in "biufc":
                return plain.reshape(array.shape)
    return array


def _is_strided(item: torch.Tensor) -> bool:
    return item.layout is torch.strided


def _pack_tensor(item: torch.Tensor, pack: Callable, stand_in: _StandIn) -> Any:
    if (
        item.layout is torch.sparse_coo
        and item.device.type == "cpu"
        and item.dtype in _TORCH_NAMES
        and not item.requires_grad
    ):
        plain = item.detach()
        parts = [plain._indices(), plain._values(), list(plain.shape), plain.is_coalesced()]
        return msgpack.ExtType(_SPARSE, pack(parts))
    if not _is_strided(item) or item.dtype not in _TORCH_NAMES:
        return stand_in(item)
    if item.device.type not in ("cpu", "meta"):
        return stand_in(item)
    if item.device.type == "meta":
        data = b""
    else:
        size = item.numel() * item.element_size()
        if size > MAX_FRAME_BYTES:
            raise WireError(f"a tensor of {size >> 20} MiB cannot cross (limit {_limit()})")
        dense = item.detach().contiguous().resolve_conj().resolve_neg()
        # A subclass's own __torch_function__ takes no part from here on.
        plain = torch.Tensor.as_subclass(dense, torch.Tensor).reshape(-1)
        data = plain.view(torch.uint8).numpy().tobytes() if size else b""
    head = pack(
        [_TORCH_NAMES[item.dtype], list(item.shape), item.device.type, bool(item.requires_grad)]
    )
    return msgpack.ExtType(_TENSOR, struct.pack("<H", len(head)) + head + data)


class _Meter:
    """Counts what one frame becomes, and looks at the CPU and memory that this takes."""

    def __init__(self, size: int):
        self.objects = 0
        self.due = 0.0
        """When to look again, on the clock of `time.perf_counter`."""
        self._stop = _OBJECTS_BETWEEN_LOOKS
        self._end = time.thread_time() + MAX_SECONDS
        self._most = _resident() + MAX_MEMORY if size > _LARGE else math.inf

    def count(self, objects: int) -> None:
        self.objects += objects
        if self.objects > self._stop:
            self._stop = self.objects + _OBJECTS_BETWEEN_LOOKS
            self.look()

    def look(self) -> None:
        self.due = time.perf_counter() + _SECONDS_BETWEEN_LOOKS
        if self.objects > MAX_OBJECTS:
            raise WireError(f"more than {MAX_OBJECTS:,} objects")
        if time.thread_time() > self._end:
            raise WireError(f"a frame that takes more than {MAX_SECONDS:.0f} s to decode")
        if self._most < math.inf and _resident() > self._most:
            raise WireError(f"a frame that takes more than {MAX_MEMORY >> 20} MiB of memory")


def _resident() -> int:
    """Return how many bytes of memory this process has; 0 where the kernel does not say."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


class _Paced:
    """A long frame, read piece by piece, with a look at the meter before each."""

    def __init__(self, data: bytes, meter: _Meter):
        self._data, self._meter, self._place = data, meter, 0

    def read(self, size: int) -> bytes:
        self._meter.look()
        place = self._place
        self._place += size
        return self._data[place : place + size]


class _OtherKeys(Exception):
    """The frame has a dict with a key that is neither str nor bytes, or is none of ours."""


def decode(
    frame: bytes,
    resolve: Resolve | None = None,
    attach: Attach = lambda _, tensor: tensor,
    choose: Choose = lambda methods, held, plain: plain,
) -> Any:
    """Return the value in `frame`, every part of it of a plain, exact type.

    Raises WireError for anything that `encode` could not have made, and for what takes more than
    MAX_OBJECTS, MAX_MEMORY or MAX_SECONDS.
    """
    if len(frame) > MAX_FRAME_BYTES:
        raise WireError(f"a frame of {len(frame)} bytes is longer than {_limit()}")
    meter = _Meter(len(frame))
    try:
        try:
            # Python salts the hashes of str and bytes, so dicts of them can be left to msgpack.
            return _decode(frame, resolve, attach, choose, meter, salted=True)
        except _OtherKeys:
            meter.objects = 0
            return _decode(frame, resolve, attach, choose, meter, salted=False)
    except WireError:
        raise
    except Exception as error:  # msgpack, struct, numpy, unhashable keys: all hostile bytes
        raise WireError(f"not a frame: {type(error).__name__}") from None


def _decode(
    frame: bytes,
    resolve: Resolve | None,
    attach: Attach,
    choose: Choose,
    meter: _Meter,
    *,
    salted: bool,
) -> Any:
    depth = 0
    clock = time.perf_counter

    def listed(made: list) -> list:
        meter.count(1 + len(made))
        return made

    def counted(made: dict) -> dict:
        meter.count(1 + 2 * len(made))
        return made

    def mapped(pairs: list[tuple]) -> dict:
        meter.count(1 + 2 * len(pairs))
        made = {}
        # One key at a time: among a million that collide, each is compared with all before it.
        for key, value in pairs:
            made[key] = value
            if clock() > meter.due:
                meter.look()
        return made

    def gathered(items: list) -> set:
        made = set()
        for item in items:
            made.add(item)
            if clock() > meter.due:
                meter.look()
        return made

    object_hook, pairs_hook = (counted, None) if salted else (None, mapped)

    def unpack(data: bytes) -> Any:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise WireError("nested too deeply")
        try:
            if len(data) <= _LARGE:
                # Written out: a tuple comes here, and passing a dict on would double its time.
                return msgpack.unpackb(
                    data,
                    ext_hook=extension,
                    list_hook=listed,
                    object_hook=object_hook,
                    object_pairs_hook=pairs_hook,
                    strict_map_key=salted,
                    unicode_errors="surrogatepass",
                    timestamp=1,
                )
            unpacker = msgpack.Unpacker(
                _Paced(data, meter),
                read_size=_BYTES_BETWEEN_LOOKS,
                max_buffer_size=2 * MAX_FRAME_BYTES,
                ext_hook=extension,
                list_hook=listed,
                object_hook=object_hook,
                object_pairs_hook=pairs_hook,
                strict_map_key=salted,
                unicode_errors="surrogatepass",
                timestamp=1,
            )
            value = unpacker.unpack()
            if unpacker.tell() != len(data):
                raise WireError("more than one value")
            return value
        except (WireError, _OtherKeys):
            raise
        except ValueError:
            if salted:
                raise _OtherKeys from None
            raise
        finally:
            depth -= 1

    def items(data: bytes) -> list:
        value = unpack(data)
        if type(value) is not list:
            raise WireError("a list was expected")
        return value

    def extension(code: int, data: bytes) -> Any:
        meter.count(1)
        if code == _TUPLE:
            return tuple(items(data))
        if code in (_SET, _FROZENSET):
            made = gathered(items(data))
            return made if code == _SET else frozenset(made)
        if code in (_ARRAY, _SCALAR):
            return _unpack_array(data, items, scalar=code == _SCALAR)
        if code == _TENSOR:
            return _unpack_tensor(data, items)
        if code == _REFERENCE:
            return _unpack_reference(items(data), resolve)
        if code == _COMPLEX:
            return complex(*struct.unpack("<dd", data))
        if code == _INTEGER:
            if len(data) > _MAX_INTEGER_BYTES:
                raise WireError("an integer is too long")
            return int.from_bytes(data, "little", signed=True)
        if code == _RANGE:
            return range(*items(data))
        if code == _SLICE:
            return slice(*items(data))
        if code == _ELLIPSIS:
            return Ellipsis
        if code == _NUMPY_DTYPE:
            return _dtype(data.decode("ascii"))
        if code == _TORCH_DTYPE:
            return _TORCH_DTYPES[data.decode("ascii")]
        if code == _DEVICE:
            name = data.decode("ascii")
            if not _DEVICE_NAME.fullmatch(name):
                raise WireError("not a device that may cross")
            return torch.device(name)
        if code == _TRACKED:
            note, tensor = items(data)
            if not isinstance(tensor, torch.Tensor) or not tensor.requires_grad:
                raise WireError("no tensor that has a gradient")
            return attach(note, tensor)
        if code == _FIELDS:
            return Fields.of(*items(data))
        if code == _LIBRARY:
            kind, *parts = items(data)
            return _rebuilt(kind, tuple(parts))
        if code == _SPARSE:
            return _unpack_sparse(*items(data))
        if code == _INSTANCE:
            names, held, plain = items(data)
            if type(names) is not list or not all(type(name) is str for name in names):
                raise WireError("no names of methods")
            return choose(names, held, plain)
        raise WireError(f"unknown extension {code}")

    return unpack(frame)


def _dtype(text: Any) -> np.dtype:
    # np.dtype() accepts a small language of comma strings and Python types: allow one plain item.
    if type(text) is not str or len(text) > 24 or "," in text:
        raise WireError("not a dtype")
    dtype = np.dtype(text)
    if dtype.kind not in "biufcUSmM" or not 0 < dtype.itemsize <= MAX_FRAME_BYTES or dtype.shape:
        raise WireError("not a dtype that may cross")
    return dtype


def _head(data: bytes, items: Callable[[bytes], list], length: int) -> tuple[list, memoryview]:
    (size,) = struct.unpack_from("<H", data)
    head = items(data[2 : 2 + size])
    if len(head) != length:
        raise WireError("a header of the wrong length")
    return head, memoryview(data)[2 + size :]


def _check_shape(shape: Any, itemsize: int, size: int | None) -> tuple[int, ...]:
    """Return `shape` as a tuple, if it is one and accounts for exactly `size` bytes."""
    if type(shape) is not list or len(shape) > _MAX_DIMENSIONS:
        raise WireError("not a shape")
    if not all(type(n) is int and 0 <= n < 2**48 for n in shape):
        raise WireError("not a shape")
    if size is not None and math.prod(shape) * itemsize != size:
        raise WireError("the shape does not fit the data")
    if size == 0 and math.prod(n for n in shape if n) > _MAX_EMPTY:
        raise WireError("an empty array of absurd shape")  # its sums would take all memory
    return tuple(shape)


def checked_shape(shape: Any) -> tuple[int, ...]:
    """Return `shape` as a tuple, or raise WireError if it is none or that of no tensor."""
    checked = _check_shape(shape, 1, None)
    if math.prod(checked) > MAX_FRAME_BYTES:
        raise WireError("a shape that no tensor has")
    return checked


def float_type(dtype: Any) -> torch.dtype:
    """Return `dtype` if it is one that has gradients, or raise WireError."""
    if type(dtype) is not torch.dtype or not (dtype.is_floating_point or dtype.is_complex):
        raise WireError("not a type that has gradients")
    return dtype


def _check_booleans(body: memoryview) -> None:
    # Another byte would be a boolean that is neither true nor false, to numpy and to C.
    if np.frombuffer(body, np.uint8).max(initial=0) > 1:
        raise WireError("not booleans")


def _unpack_array(data: bytes, items: Callable, *, scalar: bool) -> Any:
    (text, shape), body = _head(data, items, 2)
    dtype = _dtype(text)
    shape = _check_shape(shape, dtype.itemsize, len(body))
    if dtype.kind == "b":
        _check_booleans(body)
    array = np.frombuffer(body, dtype).reshape(shape).copy()
    return array[()] if scalar and not shape else array


def _unpack_tensor(data: bytes, items: Callable) -> torch.Tensor:
    (name, shape, device, requires_grad), body = _head(data, items, 4)
    dtype = _TORCH_DTYPES[name]
    if type(requires_grad) is not bool:
        raise WireError("not a flag")
    if device == "meta":
        shape = _check_shape(shape, dtype.itemsize, None)
        if body or math.prod(shape) >= 2**48:
            raise WireError("a meta tensor has no data")
        tensor = torch.empty(shape, dtype=dtype, device="meta")
    elif device == "cpu":
        shape = _check_shape(shape, dtype.itemsize, len(body))
        if dtype is torch.bool:
            _check_booleans(body)
        tensor = (
            torch.frombuffer(bytearray(body), dtype=dtype).reshape(shape)
            if len(body)
            else torch.empty(shape, dtype=dtype)
        )
    else:
        raise WireError("not a device that may cross")
    if requires_grad and not (dtype.is_floating_point or dtype.is_complex):
        raise WireError("integers have no gradient")
    return tensor.requires_grad_(requires_grad)


def _unpack_sparse(indices: Any, values: Any, shape: Any, coalesced: Any) -> torch.Tensor:
    if not all(isinstance(part, torch.Tensor) for part in (indices, values)):
        raise WireError("no parts of a sparse tensor")
    if (
        indices.dtype is not torch.int64
        or indices.requires_grad
        or values.requires_grad
        or type(coalesced) is not bool
    ):
        raise WireError("no parts of a sparse tensor")
    shape = _check_shape(shape, values.element_size(), None)
    if math.prod(shape) >= 2**31:
        raise WireError("a sparse tensor of absurd shape")
    made = torch.sparse_coo_tensor(indices, values, shape, check_invariants=True)
    # Coalesced again here: were that believed, a position given twice would count once.
    return made.coalesce() if coalesced else made


def _unpack_reference(fields: list, resolve: Resolve | None) -> Any:
    if resolve is None or len(fields) != 3:
        raise WireError("a reference where only data is expected")
    owner, number, kind = fields
    if type(owner) is not str or type(kind) is not str or type(number) is not int:
        raise WireError("not a reference")
    return resolve(Reference(owner, number, kind[:80]))


Deadline = float | Callable[[], float] | None
"""A time of `time.monotonic`, or what says it when asked, as it may move."""


class Channel:
    """Frames over a stream socket, each with a deadline, or a function that says when it is.

    One side speaks, the other answers; a frame is a four-byte length and that many bytes.
    """

    def __init__(self, stream: socket.socket):
        self._stream = stream

    def fileno(self) -> int:
        """Descriptor of the socket, for passing it on or polling."""
        return self._stream.fileno()

    def close(self) -> None:
        """Close the socket; the other side sees `Closed`."""
        self._stream.close()

    def send(self, frame: bytes, deadline: Deadline = None) -> None:
        """Send one frame before `deadline` (of `time.monotonic`), or raise Late or Closed."""
        if len(frame) > MAX_FRAME_BYTES + TICKET_BYTES:
            raise WireError(f"a frame of {len(frame)} bytes is longer than {_limit()}")
        left = memoryview(struct.pack("<I", len(frame)) + frame)
        while left:
            self._set_timeout(deadline)
            try:
                left = left[self._stream.send(left) :]
            except TimeoutError:
                continue  # late, unless the deadline has moved
            except OSError as error:
                raise Closed(str(error)) from None

    def receive(self, deadline: Deadline = None) -> bytes:
        """Return the next frame, or raise Late, Closed or WireError."""
        (size,) = struct.unpack("<I", self._exactly(4, deadline))
        if size > MAX_FRAME_BYTES + TICKET_BYTES:
            raise WireError(f"a frame of {size} bytes is longer than {_limit()}")
        return self._exactly(size, deadline)

    def _exactly(self, size: int, deadline: Deadline) -> bytes:
        # Grows with what really arrives: a length alone takes no memory.
        parts = bytearray()
        while len(parts) < size:
            self._set_timeout(deadline)
            try:
                part = self._stream.recv(min(size - len(parts), 2**20))
            except TimeoutError:
                continue  # late, unless the deadline has moved
            except OSError as error:
                raise Closed(str(error)) from None
            if not part:
                raise Closed("the other side has gone")
            parts += part
        return bytes(parts)

    def _set_timeout(self, deadline: Deadline) -> None:
        if callable(deadline):
            deadline = deadline()
        if deadline is None:
            self._stream.settimeout(None)
        else:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Late("no time left")
            self._stream.settimeout(left)

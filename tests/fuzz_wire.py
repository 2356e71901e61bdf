"""Hostile frames by the million: `make fuzz`, or `python -m tests.fuzz_wire FRAMES SEED`.

Good frames with bytes changed, and frames made of our own extensions wrongly put together, go
through `decode`; one in twenty goes through a whole `Wall`, as the answer to a call. Each must end
in plain values or in the error that says so. The same seed gives the same frames.
"""

from __future__ import annotations

import collections
import decimal
import fractions
import random
import resource
import socket
import struct
import sys
import time
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
import torch

from autograder.wall import _ORDINARY, Handle, StudentError, StudentGone, StudentTimeout, Wall
from autograder.wire import (
    TICKET_BYTES,
    Channel,
    Fields,
    Reference,
    WireError,
    _resident,
    decode,
    encode,
)

SLOW = 5.0
"""Seconds of CPU for one small frame that count as a hang."""

# Every type that may come out of `decode`, without a reference in the frame.
PLAIN = {
    *(type(None), bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict),
    *(range, slice, type(Ellipsis), np.ndarray, torch.Tensor, torch.dtype, torch.device),
    fractions.Fraction,
    decimal.Decimal,
}


def is_plain(value: Any, *others: type) -> bool:
    """Whether `value` and all in it are of exact plain types, or of exactly one of `others`."""
    kind = type(value)
    if kind in (list, tuple, set, frozenset, collections.deque, Fields):
        return all(is_plain(item, *others) for item in value)
    if kind in (dict, collections.Counter, collections.OrderedDict, collections.defaultdict):
        return all(is_plain(k, *others) and is_plain(v, *others) for k, v in value.items())
    known = kind in PLAIN or kind in others
    return known or issubclass(kind, np.generic) or isinstance(value, np.dtype)


GOOD = [
    *(None, True, -1, 2**63, 10**40, 0.5, float("nan"), 1 - 2j, "words", "\ud800", b"bytes", ...),
    [1, [2.5, ["three"]], ()],
    {"a": 1, "b": {"c": [1, 2]}},
    {("the", "cat"): 3, 4: 5, frozenset({1, (2, 3)}): {6, "seven"}},
    [range(3, 9, 2), slice(None, 4), np.dtype("<M8[ns]"), torch.float16, torch.device("cpu")],
    [np.arange(6.0).reshape(2, 3), np.float32(1.5), np.array(["ab", "c"]), np.zeros((0, 4))],
    [np.array(["2020-01-01"], "M8[D]"), np.array([True, False]), np.arange(3, dtype=">i2")],
    [torch.ones(2, 3), torch.tensor([True]), torch.ones(2, requires_grad=True).bfloat16()],
    torch.empty(5, 10**6, device="meta"),
    [torch.eye(3).to_sparse(), torch.max(torch.eye(2), 0), fractions.Fraction(1, 3)],
    [collections.Counter("aab"), collections.OrderedDict(a=1), collections.deque([1], 3)],
    [collections.defaultdict(int, {"a": 1}), decimal.Decimal("1.5e3")],
    [Reference("student", 1, "function"), Reference("grader", 1, "function")],
    ["value", [1.0, 2.0], None, []],
    ["value", {"x": np.ones(2)}, [1], [{"output_type": "stream", "name": "stdout", "text": "x"}]],
    ["failed", "ValueError", "message", "trace", []],
    ["callback", 1, [1, 2], {"key": "value"}],
    ["stop"],
    ["ran", True, []],
]


class Frames:
    """An endless supply of hostile frames, the same for the same seed."""

    def __init__(self, seed: int):
        self._random = random.Random(seed)
        self._good = [encode(value) for value in GOOD]
        tensor = torch.ones(2, requires_grad=True)
        notes: list[list] = [["output", 1, [["grader", 1]]], ["leaf", 2, True, torch.ones(2)]]
        self._good += [encode(["value", tensor, None, []], track=lambda _, n=n: n) for n in notes]

    def next(self) -> bytes:
        """Return one frame."""
        if self._random.random() < 0.4:
            return msgpack.packb(self._made(0), unicode_errors="surrogatepass")
        frame = bytearray(self._random.choice(self._good))
        for _ in range(self._random.choice((0, 1, 1, 2, 3, 8))):
            self._bend(frame)
        return bytes(frame)

    def _bend(self, frame: bytearray) -> None:
        pick, size = self._random.randrange(6), len(frame)
        place = self._random.randrange(size + 1)
        end = min(size, place + self._random.randrange(9))
        if pick == 0 and place < size:
            frame[place] = self._random.randrange(256)
        elif pick == 1 and place < size:
            frame[place] ^= 1 << self._random.randrange(8)
        elif pick == 2:
            del frame[place:end]
        elif pick == 3:
            frame[place:place] = frame[place:end]
        elif pick == 4:  # another frame, or a part of one, in the middle
            other = self._random.choice(self._good)
            frame[place:end] = other[self._random.randrange(len(other)) :]
        else:  # the headers that claim most
            code = self._random.choice(b"\xc6\xc9\xdb\xdd\xdf\xd9\xc7\xde\xdc")
            frame[place:end] = bytes([code]) + self._random.randbytes(self._random.randrange(5))

    def _made(self, depth: int) -> Any:
        chance = self._random
        pick = chance.randrange(9 if depth < 5 else 4)
        if pick < 4:
            return chance.choice(
                [None, False, 0, -1, 2**64 - 1, -(2**63), 1e308, float("nan"), "", "a" * 40, b"b"]
            )
        few = chance.randrange(4)
        if pick == 4:
            return [self._made(depth + 1) for _ in range(few)]
        if pick == 5:
            return {self._key(): self._made(depth + 1) for _ in range(few)}
        code = chance.randrange(0, 22)
        if pick == 6 or code not in (6, 7, 8):
            data: Any = [self._made(depth + 1) for _ in range(few)]
            packed = msgpack.packb(data, unicode_errors="surrogatepass")
            return msgpack.ExtType(code, packed if few else chance.randbytes(chance.randrange(20)))
        names = (
            "<f8 |b1 |O <i4 |S0 <U3 |S1000000000 <M8[ns] i4,i4 float32 bool bfloat16 qint8".split()
        )
        shape = [chance.choice((0, 1, 2, 3, -1, 2**31, 2**47, 2**63)) for _ in range(few)]
        fields = [chance.choice(names), shape]
        if code == 8:
            fields += [chance.choice(("cpu", "meta", "cuda")), chance.choice((True, False, 1))]
        head = msgpack.packb(fields)
        body = chance.randbytes(chance.choice((0, 1, 4, 8, 16, 24, 48)))
        return msgpack.ExtType(code, struct.pack("<H", len(head)) + head + body)

    def _key(self) -> Any:
        key = msgpack.ExtType(self._random.choice((1, 2, 3, 4, 9)), self._random.randbytes(4))
        return self._random.choice([None, 1, "a", b"b", 2**61 - 1, 0.0, key])


class _Peer(Channel):
    """A channel on which the student has already said what they will say."""

    def __init__(self, words: bytes):
        ours, self._theirs = socket.socketpair()
        super().__init__(ours)
        self._words: bytes | None = words

    def send(self, frame: bytes, deadline: float | None = None) -> None:
        if self._words is not None:
            answer = frame[:TICKET_BYTES] + self._words
            self._words = None
            self._theirs.sendall(struct.pack("<I", len(answer)) + answer)
            self._theirs.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        super().close()
        self._theirs.close()


@dataclass
class Count:
    """What became of the frames."""

    decoded: int = 0
    refused: int = 0
    walls: int = 0
    slowest: float = 0.0
    """Seconds of CPU for the slowest frame."""


def try_frame(frame: bytes, count: Count, *, wall: bool) -> None:
    """Put one frame through `decode`, and through a wall; raise AssertionError if it breaks in."""
    started = time.thread_time()
    try:
        value = decode(frame)
        assert is_plain(value), frame.hex()
        count.decoded += 1
    except WireError:
        count.refused += 1
    except Exception as error:
        raise AssertionError(frame.hex()) from error
    if wall:
        count.walls += 1
        _ask(frame)
    taken = time.thread_time() - started
    count.slowest = max(count.slowest, taken)
    assert taken < SLOW, frame.hex()


def _ask(frame: bytes) -> None:
    channel = _Peer(frame)
    wall = Wall(channel, lambda: None)
    wall.grace = 0.1
    wall.begin(10)
    try:
        value = Handle(wall, Reference("student", 1, "function"), "f")(1.5)
        assert is_plain(value, Handle), frame.hex()
    except (StudentGone, StudentError, StudentTimeout):
        pass
    except tuple(_ORDINARY.values()) as error:  # only what the student's code is said to raise
        if not wall.record.raised or isinstance(error, AssertionError):
            raise AssertionError(frame.hex()) from error
    finally:
        channel.close()


def main(frames: int = 1_000_000, seed: int = 1) -> None:
    """Run so many frames, and say how it goes."""
    supply, count = Frames(seed), Count()
    started, shown, early = time.monotonic(), 0.0, 0
    done = 0
    try:
        while done < frames:
            try_frame(supply.next(), count, wall=done % 20 == 0)
            done += 1
            if done == max(1, frames // 10):
                early = _resident()
            if time.monotonic() - shown > 10 or done == frames:
                shown = time.monotonic()
                print(
                    f"{done:,} of {frames:,} frames, {done / (shown - started):,.0f}/s: "
                    f"{count.decoded:,} decoded, {count.refused:,} refused, "
                    f"{count.walls:,} through a wall; memory {_resident() >> 20} MiB",
                    flush=True,
                )
    except KeyboardInterrupt:
        print(f"stopped after {done:,} frames (seed {seed})")
        return
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    grown = (_resident() - early) / 2**20
    print(f"slowest frame {count.slowest:.3f} s of CPU; peak {peak} MiB; ", end="")
    print(f"{grown:+.1f} MiB since the first tenth")
    if grown > 64:
        sys.exit("memory grew")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

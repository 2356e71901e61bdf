"""First-order gradients through the wall: what each side knows of tensors that require grad.

A tensor that a student's function returns has its graph in the student's process. The grader gets
the values, and the numbers of the leaves that the graph ends in: the test's own tensors, of which
the student's function had copies, and the student's parameters. For the grader's autograd it is one
function of these leaves, whose backward asks the student's process.

It must not ask for what the test differentiates: of a loss that compares with an expected value,
the gradient at the student's result is 2(ŷ - y), which gives y away. So the grader asks for every
row of the Jacobian, by its number alone, and adds them up itself: the same questions, in the same
order, whatever the test expects. That costs a backward pass for each element of the result, which
is why MAX_ROWS exists.
"""

from __future__ import annotations

import math
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from autograder.wire import MAX_FRAME_BYTES, Reference, WireError, checked_shape, float_type

MAX_ROWS = 4096
"""Most elements of a result that gradients are taken through (a complex one counts twice)."""

MAX_LEAVES = 10_000
_CHUNK_BYTES = 8 * 2**20
_CHUNK_ROWS = 256
_MAX_CACHED_BYTES = 8 * 2**20

Ask = Callable[[list], Any]


# The student's side.


class Kept:
    """The student's side: graphs of what crossed, and parameters that the test has met."""

    def __init__(self, objects: dict[int, Any], number: Callable[[], int]):
        self._objects = objects
        self._number = number
        self._copies = WeakTensorKeyDictionary()  # of the test's tensors: their numbers there
        self._leaves = WeakTensorKeyDictionary()  # the student's own: their numbers here
        self._told: dict[int, tuple[torch.Tensor, torch.Tensor | None]] = {}

    def attach(self, note: Any, tensor: torch.Tensor) -> torch.Tensor:
        """Return the student's copy of a tensor of the test's."""
        number, parameter = note
        if parameter:
            tensor = torch.nn.Parameter(tensor.detach())
        self._copies[tensor] = number
        return tensor

    def track(self, tensor: torch.Tensor) -> Any:
        """Return the note that goes with a tensor that requires grad."""
        if tensor.is_leaf and tensor not in self._copies:
            _, number, _, _, parameter, _ = self._leaf(tensor)
            self._told[number] = _snapshot(tensor)
            return ["leaf", number, parameter, _bare(tensor.grad)]
        number = self._number()
        self._objects[number] = tensor
        return ["output", number, self._ends(tensor)]

    def _leaf(self, tensor: torch.Tensor) -> list:
        if tensor not in self._leaves:
            number = self._number()
            self._leaves[tensor] = number
            self._objects[number] = tensor
        shape, device = list(tensor.shape), tensor.device.type
        parameter = isinstance(tensor, torch.nn.Parameter)
        return ["student", self._leaves[tensor], tensor.dtype, shape, parameter, device]

    def _ends(self, tensor: torch.Tensor) -> list[list]:
        """Return what the grader knows the leaves by in which the graph of `tensor` ends."""
        return [
            ["grader", self._copies[leaf]] if leaf in self._copies else self._leaf(leaf)
            for leaf in _leaves(tensor)
        ]

    def rows(self, number: int, start: int, stop: int, wanted: list[int]) -> list:
        """Return rows of the Jacobian of a result: for each wanted leaf a stack of them, or None.

        Row i is the gradient of the i-th number in the result (of a complex result, of the real
        and then of the imaginary part of each element).
        """
        result: torch.Tensor = self._objects[number]
        each = torch.arange(stop - start)
        places = each + start
        basis = torch.zeros(len(places), result.numel(), dtype=result.dtype)
        if result.is_complex():
            basis[each, places // 2] = torch.tensor([1, 1j], dtype=result.dtype)[places % 2]
        else:
            basis[each, places] = 1
        basis = basis.reshape(-1, *result.shape)
        leaves = _leaves(result)
        leaves = [leaves[i] for i in wanted]
        if len(basis) > 1:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of what torch cannot do in one pass
                    return [_bare(stack) for stack in _grad(result, leaves, basis, batched=True)]
            except RuntimeError:
                pass  # a function with a backward of its own, say: row by row
        found = [_grad(result, leaves, row, batched=False) for row in basis]
        return [
            None if column[0] is None else _bare(torch.stack([*column]))
            for column in zip(*found, strict=True)
        ]

    def product(self, number: int, cotangent: torch.Tensor, wanted: list[int]) -> list:
        """Return the gradients of the wanted leaves for this gradient of the result."""
        result = self._objects[number]
        leaves = _leaves(result)
        found = _grad(result, [leaves[i] for i in wanted], cotangent, batched=False)
        return [_bare(gradient) for gradient in found]

    def release(self, numbers: list[int]) -> None:
        """Forget results that the test can no longer differentiate."""
        for number in numbers:
            self._objects.pop(number, None)

    def update(self, changes: list[list]) -> None:
        """Take over what the test did to parameters: [number, values, what of .grad, gradient]."""
        for number, values, what, gradient in changes:
            leaf = self._objects[number]
            if values is not None:
                leaf.data.copy_(values)
            if what == "set":
                leaf.grad = gradient
            self._told[number] = _snapshot(leaf)

    def changed(self, numbers: list[int]) -> list[list]:
        """Return [number, values, gradient] of those that are no longer as last told."""
        found = []
        for number in numbers:
            leaf = self._objects[number]
            now, told = _snapshot(leaf), self._told.get(number)
            if told is None or not (_alike(now[0], told[0]) and _alike(now[1], told[1])):
                found.append([number, _bare(leaf), _bare(leaf.grad)])
                self._told[number] = now
        return found


def _leaves(tensor: torch.Tensor) -> list[torch.Tensor]:
    """Return the leaves in which the graph of `tensor` ends, in an order of its own."""
    if tensor.grad_fn is None:
        return [tensor]
    found: dict[int, torch.Tensor] = {}
    nodes, seen = [tensor.grad_fn], {tensor.grad_fn}
    while nodes:
        node = nodes.pop()
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            found[id(leaf)] = leaf
        for following, _ in getattr(node, "next_functions", ()):
            if following is not None and following not in seen:
                seen.add(following)
                nodes.append(following)
    return [*found.values()]


def _grad(result: Any, leaves: list, cotangent: Any, *, batched: bool) -> tuple:
    return torch.autograd.grad(
        result, leaves, cotangent, retain_graph=True, allow_unused=True, is_grads_batched=batched
    )


def _bare(tensor: torch.Tensor | None) -> torch.Tensor | None:
    if tensor is None:
        return None
    tensor = tensor.detach()
    return tensor if tensor.layout is torch.strided else tensor.to_dense()


def _snapshot(leaf: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    gradient = _bare(leaf.grad)
    return leaf.detach().clone(), None if gradient is None else gradient.clone()


def _alike(a: torch.Tensor | None, b: torch.Tensor | None) -> bool:
    """Whether two tensors have the same bits."""
    if a is None or b is None or a.shape != b.shape or a.dtype != b.dtype:
        return a is b
    if a.device.type == "meta" or a.numel() == 0:
        return True
    return torch.equal(_bits(a), _bits(b))


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    dense = tensor.detach().contiguous().resolve_conj().resolve_neg()
    return dense.reshape(-1).view(torch.uint8)


# The grader's side.


@dataclass
class _Mirror:
    """A parameter of the student's as the test has it: one tensor, however often it is met."""

    tensor: torch.Tensor
    shown: bool
    """False while only its shape is known: some result depends on it."""
    values: torch.Tensor
    """What the student's process has, as last told."""
    gradient: torch.Tensor | None = None
    """What the student's process has in `.grad`, as last told."""

    def has_own_gradient(self) -> bool:
        """Whether the test computed a gradient that the student's process does not have."""
        return self.tensor.grad is not None and not _alike(_bare(self.tensor.grad), self.gradient)


_open = 0


@contextmanager
def shared() -> Iterator[None]:
    """Send gradients as they are: for training, where the targets are no secret."""
    global _open
    _open += 1
    try:
        yield
    finally:
        _open -= 1


class Gradients:
    """The grader's side: the test's tensors that crossed, and mirrors of the student's parameters.

    Everything in a note is the student's word and is checked; what is wrong raises WireError.
    """

    def __init__(self, ask: Ask, broken: Callable[[str], NoReturn]):
        self._ask = ask
        self._broken = broken
        self._sent: dict[int, torch.Tensor] = {}
        self._last = 0
        self._mirrors: dict[int, _Mirror] = {}
        self._numbers = WeakTensorKeyDictionary()
        self._released: list[int] = []
        self._bytes = 0

    def begin(self) -> None:
        """A new cell: what was sent in the last one takes part in no gradient any more."""
        self._sent.clear()

    def track(self, tensor: torch.Tensor) -> Any:
        """Return the note that goes with a tensor of the test's, or what it stands for there."""
        number = self._numbers.get(tensor)
        if number is not None:
            return Reference("student", number, "Tensor")
        self._last += 1
        self._sent[self._last] = tensor
        return [self._last, isinstance(tensor, torch.nn.Parameter)]

    def attach(self, note: Any, tensor: torch.Tensor) -> torch.Tensor:
        """Return what the test gets for a tensor of the student's that requires grad."""
        if type(note) is not list or len(note) < 3 or type(note[1]) is not int:
            raise WireError("no note of a tensor")
        kind, number = note[:2]
        if kind == "leaf" and len(note) == 4 and type(note[2]) is bool:
            return self._meet(number, note[2], tensor.detach(), note[3])
        if kind == "output" and len(note) == 3 and type(note[2]) is list:
            if len(note[2]) > MAX_LEAVES:
                raise WireError("too many leaves")
            found = [(i, self._end(end)) for i, end in enumerate(note[2])]
            ends = [(i, leaf) for i, leaf in found if leaf is not None]
            tensor = tensor.detach()
            if not torch.is_grad_enabled() or not ends:
                self._released.append(number)
                return tensor
            places, leaves = [i for i, _ in ends], [leaf for _, leaf in ends]
            link = _Link(self._ask, self._broken, number, tensor, places, leaves)
            weakref.finalize(link, self._released.append, number).atexit = False
            return _Across.apply(link, *link.leaves)
        raise WireError("no note of a tensor")

    def _end(self, end: Any) -> torch.Tensor | None:
        """Return the leaf that one end of a graph is here; None if it is of an earlier cell."""
        if type(end) is not list or len(end) < 2 or type(end[1]) is not int:
            raise WireError("no leaf")
        if end[0] == "grader" and len(end) == 2:
            if not 0 < end[1] <= self._last:
                raise WireError("a leaf that was not sent")
            return self._sent.get(end[1])
        if end[0] != "student" or len(end) != 6 or type(end[4]) is not bool:
            raise WireError("no leaf")
        _, number, dtype, shape, parameter, device = end
        if device not in ("cpu", "meta"):
            raise WireError("no device")
        mirror = self._mirrors.get(number)
        if mirror is None:
            dtype = float_type(dtype)
            shape = checked_shape(shape)
            self._bytes += math.prod(shape) * dtype.itemsize
            if self._bytes > 4 * MAX_FRAME_BYTES or len(self._mirrors) >= MAX_LEAVES:
                raise WireError("too many parameters")
            mirror = self._mirror(number, parameter, torch.zeros(shape, dtype=dtype, device=device))
        return mirror.tensor

    def _mirror(self, number: int, parameter: bool, values: torch.Tensor) -> _Mirror:
        tensor = torch.nn.Parameter(values) if parameter else values.requires_grad_()
        mirror = _Mirror(tensor, False, values.detach().clone())
        self._mirrors[number] = mirror
        self._numbers[tensor] = number
        return mirror

    def _meet(self, number: int, parameter: bool, values: torch.Tensor, gradient: Any) -> Any:
        mirror = self._mirrors.get(number)
        if mirror is None or not _same_form(mirror.tensor, values):
            self._bytes += values.numel() * values.element_size()
            if self._bytes > 4 * MAX_FRAME_BYTES or len(self._mirrors) >= MAX_LEAVES:
                raise WireError("too many parameters")
            mirror = self._mirror(number, parameter, values)
        mirror.shown = True
        self._take(mirror, values, gradient)
        return mirror.tensor

    def _take(self, mirror: _Mirror, values: Any, gradient: Any) -> None:
        """Let a mirror show what the student's process has for the parameter now."""
        tensor = mirror.tensor
        for part in (values, gradient):
            if part is not None and not (
                type(part) is torch.Tensor
                and not part.requires_grad
                and (_same_form(tensor, part) or part is values)
            ):
                raise WireError("no values of a parameter")
        if not _same_form(tensor, values):
            return  # of another type now: whoever asks for it anew gets another tensor
        if tensor.device.type != "meta":
            tensor.data.copy_(values)
        mirror.values = values.clone()
        if _alike(gradient, mirror.gradient):
            return
        had, mine = mirror.gradient, _bare(tensor.grad)
        if gradient is None or mine is None or _alike(mine, had):
            tensor.grad = None if gradient is None else gradient.clone()
        else:  # both sides have added to it
            tensor.grad = mine + gradient - (had if had is not None else 0)
        mirror.gradient = gradient

    def send_changes(self, *, gradients: bool = False) -> None:
        """Tell the student's process what the test did in place to its parameters.

        Gradients that the test computed go only when they are asked for (`step`, `shared`); that
        one was cleared always does.
        """
        if len(self._released) > 64:
            done, self._released[:] = [*self._released], []
            self._ask(["release", done])
        changes = []
        for number, mirror in self._mirrors.items():
            now, gradient = mirror.tensor.detach(), _bare(mirror.tensor.grad)
            values = None if not mirror.shown or _alike(now, mirror.values) else now
            cleared = gradient is None or not gradient.any()
            give = not _alike(gradient, mirror.gradient) and (
                gradients or bool(_open) or (cleared and mirror.gradient is not None)
            )
            if values is None and not give:
                continue
            changes.append([number, values, "set" if give else "keep", gradient if give else None])
            if values is not None:
                mirror.values = now.clone()
            if give:
                mirror.gradient = None if gradient is None else gradient.clone()
        if changes:
            self._ask(["update", changes])

    def see_changes(self) -> None:
        """Let what the test has of the student's parameters follow what their code did to them."""
        numbers = [
            number
            for number, mirror in self._mirrors.items()
            if mirror.shown or mirror.gradient is not None
        ]
        if numbers:
            self._look(numbers)

    def _look(self, numbers: list[int]) -> None:
        found = self._ask(["changed", numbers])
        if type(found) is not list:
            raise WireError("no changes")
        for change in found:
            if type(change) is not list or len(change) != 3 or change[0] not in numbers:
                raise WireError("no change")
            number, values, gradient = change
            if not isinstance(values, torch.Tensor):
                raise WireError("no values of a parameter")
            self._take(self._mirrors[number], values, gradient)

    @contextmanager
    def clearing(self) -> Iterator[None]:
        """Around a `zero_grad` of the student's: gradients that only the test has are cleared too.

        Ones stand for them meanwhile; where they are gone afterwards, so is the gradient.
        """
        mine = {n: m for n, m in self._mirrors.items() if m.has_own_gradient()}
        if mine:
            standing = [
                [n, None, "set", torch.ones_like(m.tensor, requires_grad=False)]
                for n, m in mine.items()
            ]
            self._ask(["update", standing])
        yield
        left = []
        for number, mirror in mine.items():
            kept, had = _bare(mirror.tensor.grad), mirror.gradient
            mirror.gradient = torch.ones_like(mirror.tensor, requires_grad=False)
            mirror.tensor.grad = mirror.gradient.clone()
            self._look([number])
            if mirror.tensor.grad is not None and mirror.tensor.grad.any():
                left.append([number, None, "set", had])
                mirror.tensor.grad, mirror.gradient = kept, had
        if left:
            self._ask(["update", left])


def _same_form(a: torch.Tensor, b: Any) -> bool:
    return (
        isinstance(b, torch.Tensor)
        and b.layout is torch.strided
        and (a.shape, a.dtype, a.device.type) == (b.shape, b.dtype, b.device.type)
    )


class _Link:
    """From a result here to its graph in the student's process."""

    def __init__(
        self,
        ask: Ask,
        broken: Callable[[str], NoReturn],
        number: int,
        values: torch.Tensor,
        places: list[int],
        leaves: list[torch.Tensor],
    ):
        self.ask = ask
        self.broken = broken
        self.number = number
        self.values: torch.Tensor | None = values
        self.places = places
        self.leaves = leaves
        self._rows: dict[tuple[int, ...], list] = {}

    def pull(self, cotangent: torch.Tensor, needed: tuple[bool, ...]) -> list:
        """Return the gradients of the leaves that are needed, from rows of the Jacobian."""
        wanted = [i for i, need in enumerate(needed) if need]
        answers: list[Any] = [None] * len(self.leaves)
        if cotangent.device.type == "meta":
            return [torch.zeros_like(leaf) for leaf in self.leaves]
        if _open:
            found = self.ask(
                ["product", self.number, cotangent.detach(), [self.places[i] for i in wanted]]
            )
            self._check(found, wanted, ())
            for i, gradient in zip(wanted, found, strict=True):
                answers[i] = gradient
            return answers
        weights = cotangent.detach().resolve_conj().resolve_neg().reshape(-1)
        if weights.is_complex():
            weights = torch.view_as_real(weights).reshape(-1)
        weights = weights.to(torch.float64)
        if len(weights) > MAX_ROWS:
            raise RuntimeError(
                f"gradients cross the wall through results of up to {MAX_ROWS} numbers, and this "
                f"one has {len(weights)}: use a smaller case, let the student's code compute the "
                "loss, or train within autograder.testing.shared_gradients()"
            )
        sums: list[Any] = [None] * len(wanted)
        for start, stacks in self._stacks(len(weights), wanted):
            for place, stack in enumerate(stacks):
                if stack is None:
                    continue
                wide = torch.complex128 if stack.is_complex() else torch.float64
                part = weights[start : start + len(stack)].to(wide)
                total = torch.tensordot(part, stack.to(wide), dims=1)
                sums[place] = total if sums[place] is None else sums[place] + total
        for i, total in zip(wanted, sums, strict=True):
            answers[i] = None if total is None else total.to(self.leaves[i].dtype)
        return answers

    def _stacks(self, rows: int, wanted: list[int]) -> Iterator[tuple[int, list]]:
        key = tuple(wanted)
        if key in self._rows:
            yield from self._rows[key]
            return
        width = sum(self.leaves[i].numel() * self.leaves[i].element_size() for i in wanted)
        chunk = max(1, min(_CHUNK_ROWS, _CHUNK_BYTES // max(width, 1)))
        kept = []
        for start in range(0, rows, chunk):
            stop = min(start + chunk, rows)
            places = [self.places[i] for i in wanted]
            stacks = self.ask(["rows", self.number, start, stop, places])
            self._check(stacks, wanted, (stop - start,))
            yield start, stacks
            if width * rows <= _MAX_CACHED_BYTES:
                kept.append((start, stacks))
        if width * rows <= _MAX_CACHED_BYTES:
            self._rows[key] = kept

    def _check(self, stacks: Any, wanted: list[int], rows: tuple[int, ...]) -> None:
        if type(stacks) is not list or len(stacks) != len(wanted):
            raise WireError("no gradients")
        for i, stack in zip(wanted, stacks, strict=True):
            if stack is None:
                continue
            leaf = self.leaves[i]
            if (
                type(stack) is not torch.Tensor
                or stack.requires_grad
                or stack.dtype != leaf.dtype
                or stack.shape != (*rows, *leaf.shape)
                or stack.device != leaf.device
                or stack.layout is not torch.strided
            ):
                raise WireError("a gradient of the wrong form")


class _Across(torch.autograd.Function):
    """A result of the student's as a function of its leaves."""

    @staticmethod
    def forward(ctx: Any, link: _Link, *_: torch.Tensor) -> torch.Tensor:
        ctx.link = link
        ctx.save_for_backward(torch.empty(0))  # freed as any graph's: no second pass unasked
        # Not kept: the result would keep its own graph alive, and so itself.
        values, link.values = link.values, None
        assert values is not None
        return values

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> Any:
        _ = ctx.saved_tensors
        if torch.is_grad_enabled():
            raise RuntimeError(
                "only first derivatives cross the wall: a gradient of a student's result cannot be "
                "differentiated again (create_graph=True)"
            )
        try:
            return (None, *ctx.link.pull(cotangents[0], ctx.needs_input_grad[1:]))
        except WireError as error:
            ctx.link.broken(str(error))

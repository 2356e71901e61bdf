"""Right answers stay right: a test cell comes to the same in one process and across the wall.

Each case is a student's cell and a test cell that binds `result`. Both run twice: in one namespace,
as in a notebook and in stock nbgrader; and with the student's cell in a sandboxed process and only
its names, met through the wall, in the test's namespace.
"""

from __future__ import annotations

import socket
import textwrap
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from test_wall import SETUP, Theirs, zygote  # noqa: F401

from autograder.sheet import names_asked_for
from autograder.shell import reseed
from autograder.zygote import RemoteStudent

GIVEN = "import collections, copy, dataclasses, inspect, math, random\nimport numpy as np, torch\n"
GIVEN += "import torch.nn as nn\nimport torch.nn.functional as F\n"
GIVEN += "from autograder.testing import call_and_arguments, shared_gradients\n"


def run_plain(source: str, names: dict[str, Any]) -> None:
    exec(compile(source, "<cell>", "exec", dont_inherit=True), names)


def names_of(source: str) -> list[str]:
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(GIVEN, names)
        given = set(names)
        run_plain(source, names)
    return sorted(set(names) - given)


def test_cell(source: str, names: dict[str, Any]) -> Any:
    """Run a test cell; return its `result`, or the type and message of what it raised."""
    space: dict[str, Any] = {}
    exec(GIVEN, space)
    space |= names
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            run_plain(source, space)
        except Exception as error:
            return [type(error).__name__, str(error)]
    return space["result"]


test_cell.__test__ = False  # type: ignore[attr-defined]


def in_one_process(theirs: str, test: str) -> Any:
    names: dict[str, Any] = {"__name__": "__main__"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run_plain(GIVEN + theirs, names)
    reseed(5)
    return test_cell(test, names)


def differs(a: Any, b: Any, where: str = "result") -> str:
    """Return where two results differ, in type or value (rounding apart), or nothing."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        a, b = list(a), list(b)
    if type(a) is not type(b):
        return f"{where}: {type(a).__name__} {a!r}, {type(b).__name__} {b!r}"
    if isinstance(a, list):
        if len(a) != len(b):
            return f"{where}: {a!r}, {b!r}"
        found = [differs(x, y, f"{where}[{i}]") for i, (x, y) in enumerate(zip(a, b, strict=True))]
        return next((f for f in found if f), "")
    if isinstance(a, dict):
        return differs(list(a), list(b), where) or differs([*a.values()], [*b.values()], where)
    if isinstance(a, torch.Tensor):
        form = [(t.dtype, t.shape, t.device, t.layout, t.requires_grad) for t in (a, b)]
        if form[0] != form[1]:
            return f"{where}: {form}"
        if a.device.type == "meta":
            return ""
        a, b = (t.detach().to_dense() for t in (a, b))
        fine = 1e-11 if a.dtype in (torch.float64, torch.complex128) else 1e-5
        ok = torch.allclose(a, b, rtol=fine, atol=fine, equal_nan=True)
        return "" if ok else f"{where}: {a}, {b}"
    if isinstance(a, np.ndarray | np.generic):
        if (a.dtype, a.shape) != (b.dtype, b.shape):
            return f"{where}: {a.dtype} {a.shape}, {b.dtype} {b.shape}"
        same = np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
        return "" if same else f"{where}: {a!r}, {b!r}"
    if isinstance(a, float):
        return "" if a == b or a != a != b or abs(a - b) < 1e-9 else f"{where}: {a!r}, {b!r}"
    return "" if a == b else f"{where}: {a!r}, {b!r}"


NET = """
class Net(nn.Module):
    def __init__(self, n=4, k=3, dtype=torch.float64):
        super().__init__()
        torch.manual_seed(3)
        self.fc = nn.Linear(n, 5, dtype=dtype)
        self.out = nn.Linear(5, k, dtype=dtype)
        self.drop = nn.Dropout(0.5)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
    def forward(self, x):
        return self.out(self.drop(torch.tanh(self.fc(x))))
"""

VALUES = """
Point = collections.namedtuple("Point", "x y")
@dataclasses.dataclass
class Line:
    a: float
    b: np.ndarray
class Own(dict): pass
class Word(str): pass
class Count(int): pass
def get(n): return [
    None, Ellipsis, slice(1, None, 2), 2**200, -2**70, {1: [(2, {3}), frozenset("a")]},
    collections.Counter("abca"), collections.OrderedDict(b=1, a=2), collections.deque([1, 2], 5),
    collections.defaultdict(int, {"a": 1}), Own(a=1), Word("w"), Count(7), b"\\0", 1j, True,
    np.float32(1.5), np.bool_(True), np.array(3), np.zeros((0, 4)), np.arange(6).reshape(2, 3).T,
    np.arange(10)[::3], np.ones(2, np.complex64), np.array(["a", "bc"]),
    torch.tensor(3), torch.zeros(0, 2), torch.ones(2, dtype=torch.bfloat16),
    torch.arange(6).reshape(2, 3).T[::2], torch.ones(2, dtype=torch.bool),
    torch.ones(2).conj() * 1j,
    torch.ones(3, 4, device="meta"), torch.eye(3).to_sparse(), torch.float16, np.dtype("int16"),
    range(3), float("nan"), float("inf"), "\\ud800é",
][n]
def point(): return Point(1, [2])
def line(): return Line(2.0, np.ones(2))
def largest(x): return torch.max(x, 0)
"""

CASES: dict[str, tuple[str, str]] = {
    "arguments": (
        "def f(a, b=2, *rest, c=3, **more): return [a, b, rest, c, more]",
        "result = [f(1), f(1, 2, 3, c=4, d=5), f(b=1, a=0), f(*[1, 2], **{'z': 1})]",
    ),
    "a missing argument": ("def f(a): return a", "f()\nresult = 0"),
    "classes": (
        """
class Vocab:
    unknown = 0
    def __init__(self, words): self.words = list(words); self.calls = 0
    @property
    def size(self): return len(self.words)
    @staticmethod
    def clean(w): return w.lower()
    @classmethod
    def of(cls, text): return cls(text.split())
    def __len__(self): return len(self.words)
    def __getitem__(self, i): return self.words[i]
    def __iter__(self): return iter(self.words)
    def __call__(self, w): self.calls += 1; return self.words.index(w)
    def add(self, w): self.words.append(w); return self
class Sub(Vocab):
    def __getitem__(self, i): return super().__getitem__(i) + "!"
""",
        """
v = Sub.of("a b c")
result = [v.size, len(v), v[0], v[-1], list(v), v("b"), v.calls, v.add("d").size, Vocab.clean("A"),
          Sub.unknown, [w for w in Vocab("xy")], hasattr(v, "size"), hasattr(v, "nothing"),
          getattr(v, "nothing", 5), callable(v.add), sorted(v), dict(enumerate(v)), "-".join(v),
          v.words[1:], v[0:2] if False else 0]
try:
    v[99]
except IndexError as error:
    result.append(str(error))
""",
    ),
    "a description": (
        """
def f(x: int, /, y: np.ndarray = None, *args, k: "text" = 3, t=(1, 2), **kw) -> torch.Tensor:
    '''Return it.'''
def plain(x): return x
""",
        """
result = [f.__doc__, f.__name__, str(inspect.signature(f)), inspect.getdoc(f), plain.__doc__,
          list(inspect.signature(plain).parameters), f.__qualname__,
          inspect.signature(f).parameters["x"].annotation is int,
          inspect.signature(f).parameters["k"].default,
          inspect.signature(f).return_annotation is torch.Tensor]
""",
    ),
    "generators": (
        """
log = []
def count(n):
    for i in range(n):
        log.append(i)
        yield i * i
def mapped(g, xs):
    for x in xs:
        yield g(x)
def seen(): return log
""",
        """
g = count(10**9)
result = [next(g), next(g), list(seen()), list(count(3)), list(zip("ab", count(5)))]
scale = 2
def double(x):
    return scale * x
result.append([y for y in mapped(double, [1, 2, 3])])
it = mapped(double, iter([4, 5]) if False else [4, 5])
result += [next(it), next(it), next(it, "end"), sum(count(4)), max(count(4)), sorted(count(3))]
""",
    ),
    "functions of the test's": (
        """
def apply(g, x): return g(x)
def nested(gs): return [g(3) for g in gs["all"]] + [gs["one"](value=4)]
def keyword(*, g): return g(1, b=2)
def compose(f, g): return lambda x: f(g(x))
class Hooked:
    def __init__(self, g): self.g = g; self.more = []
    def add(self, h): self.more.append(h)
    def run(self, x): return [self.g(x)] + [h(x) for h in self.more]
def safe(g):
    try:
        g()
    except ValueError as error:
        return str(error)
def same(g): return g
""",
        """
def inc(value): return value + 1
def raising(): raise ValueError("mine")
calls = []
def log(x):
    calls.append(x)
    return len(calls)
h = Hooked(inc)
h.add(log)
result = [apply(inc, 1), apply(lambda x: x * 2, np.ones(2)),
          nested({"all": [inc, inc], "one": inc}),
          keyword(g=lambda a, b: [a, b]), compose(inc, inc)(5), h.run(3), h.run(4), calls,
          safe(raising), apply(math.sqrt, 4.0), apply(torch.relu, torch.tensor([-1.0, 1.0])),
          apply(np.sum, np.ones(3)), apply(len, [1]), same(inc) is inc,
          apply(lambda x: apply(inc, x), 3)]
""",
    ),
    "exceptions": (
        """
class MyError(ValueError): pass
class Deep(MyError): pass
def f(n):
    if n == 0: raise ValueError("no")
    if n == 1: raise MyError("mine", 2)
    if n == 2: raise Deep("deep")
    if n == 3: return {}["key"]
    if n == 4: return [][1]
    if n == 5: return 1 / 0
    if n == 6: raise NotImplementedError("later")
    if n == 7: assert n == 8, "seven"
    if n == 8: return undefined
    if n == 9: return torch.ones(2) @ torch.ones(3)
    if n == 10: return np.ones(2) + np.ones(3)
    if n == 11: return open("/nothing/here")
    if n == 12: return int("x")
    if n == 13: return None.x
""",
        """
result = []
for n in range(14):
    try:
        f(n)
    except ValueError as error:
        result.append(["value", str(error)])
    except LookupError as error:
        result.append(["lookup", str(error), isinstance(error, KeyError)])
    except Exception as error:
        result.append([isinstance(error, ArithmeticError), isinstance(error, OSError), str(error)])
""",
    ),
    "arguments changed in place": (
        """
def f(x, ys, d, t):
    x += 1; ys.append(3); d["k"] = 1; t.mul_(2)
    return x.sum()
""",
        """
result = call_and_arguments(f, np.zeros(2), [1], {}, torch.ones(2, dtype=torch.float16))
""",
    ),
    "types that arrive": (
        VALUES,
        """
values = [get(n) for n in range(38)]
result = [v if type(v) is not dict else v for v in values]
result = [dict(v) if type(v).__name__ == "Own" else v for v in result]
result = [str.__str__(v) if isinstance(v, str) else v for v in result]
result = [int(v) if type(v).__name__ == "Count" else v for v in result]
result = [list(v) if isinstance(v, collections.deque) else v for v in result]
c, d = values[6], values[9]
result += [c["nothing"], c.most_common(1), d["nothing"], [isinstance(v, dict) for v in values],
           [isinstance(v, np.ndarray) for v in values],
           [isinstance(v, torch.Tensor) for v in values],
           [isinstance(v, (int, float, str)) for v in values]]
p, m, l = point(), largest(torch.eye(2)), line()
result += [p.x, p.y, p == (1, [2]), p[0], len(p), p._asdict(), m.values, m.indices, m[0], l.a, l.b]
values, places = m
result += [values, places, isinstance(p, tuple)]
""",
    ),
    "types that are sent": (
        "def kinds(*xs): return [[type(x).__name__, str(getattr(x, 'dtype', '')), "
        "str(getattr(x, 'shape', '')), str(getattr(x, 'device', ''))] for x in xs]\n"
        "def same(x): return x",
        """
xs = [1, 2.0, True, None, 1j, "s", b"b", (1,), {1}, {2: 3}, slice(1), ..., 2**99, range(3),
      np.float32(1), np.arange(3, dtype=np.int8), np.ones((2, 0)), np.array(1.0), np.bool_(True),
      torch.ones(2, dtype=torch.bfloat16), torch.tensor(1), torch.ones(2, device="meta"),
      torch.ones(2, dtype=torch.complex64), torch.float32, collections.Counter("ab"),
      np.ones((3, 2)).T, torch.ones(3, 2).T[1:], torch.ones(1).expand(4), np.int64(3),
      torch.eye(3).to_sparse()]
result = [kinds(*xs), [same(x) for x in xs]]
""",
    ),
    "printing, warning and drawing": (
        """
import sys, warnings
import matplotlib.pyplot as plt
def noisy(x):
    print("out", x)
    print("err", file=sys.stderr)
    warnings.warn("careful")
    plt.plot([1, 2]); plt.close("all")
    return np.log(np.zeros(2)) * 0 + x
""",
        "result = noisy(2.0)",
    ),
    "the seed that the test sets": (
        """
def draw(): return [random.random(), np.random.normal(size=2), torch.rand(2)]
def dropout(x): return F.dropout(x, 0.5)
def steps():
    while True:
        yield np.random.rand()
class Sampler:
    @property
    def value(self): return torch.randn(1)
""",
        """
result = []
for seed in (0, 1, 0):
    random.seed(seed); np.random.seed(seed); torch.manual_seed(seed)
    result += [draw(), draw(), random.random(), np.random.rand(3), torch.rand(1)]
torch.manual_seed(0)
result += [dropout(torch.ones(20)), torch.rand(1), Sampler().value, torch.rand(1)]
np.random.seed(1)
s = steps()
result += [next(s), np.random.rand(), next(s)]
""",
    ),
    "generators of random numbers": (
        """
def draw(rng): return rng.normal(size=3)
def tensor(*, generator): return torch.rand(3, generator=generator)
def old(r): return [r.rand(), r.randint(10)]
def both(a, b): return [draw(a), draw(b)]
def python(r): return r.random()
""",
        """
rng, g = np.random.default_rng(4), torch.Generator()
r, p = np.random.RandomState(2), random.Random(1)
g.manual_seed(7)
result = [draw(rng), rng.normal(), draw(rng), tensor(generator=g), torch.rand(1, generator=g),
          tensor(generator=g), old(r), r.rand(), draw(np.random.default_rng(4)), both(rng, rng),
          python(p), p.random()]
""",
    ),
    "types and views of dicts": (
        """
def types(xs): return [type(x) for x in xs]
def views(d): return d.keys(), d.values(), d.items()
def takes(kind): return kind is int, kind("5")
""",
        """
result = [types([1, "a", None, [], {}, 1.5]) == [int, str, type(None), list, dict, float]]
keys, values, items = views({"a": 1, (2, 3): [4]})
result += [keys == {"a", (2, 3)}, len(values), [*values], dict(items), type(items).__name__]
result += ["a" in keys, ("a", 1) in items, sorted(views({2: 1, 1: 1})[0]), takes(int)]
""",
    ),
    "what a test draws after the student did": (
        """
def weights(): return np.random.randn(3, 3), torch.randn(3, 3), random.gauss(0, 1)
def pick(rng, n): return rng.integers(0, 50, size=n).tolist()
class Own:
    def __init__(self):
        np.random.seed(42); torch.manual_seed(42); random.seed(42)
    def sample(self): return [np.random.randn(), torch.randn(3), random.random()]
def big(): return torch.nn.Linear(700, 900).weight.detach().sum()
""",
        """
np.random.seed(0); torch.manual_seed(0); random.seed(0)
result = [weights(), np.random.randn(4), torch.randn(4), random.gauss(0, 1), np.random.rand()]
rng = np.random.default_rng(8)
result += [pick(rng, 3), rng.integers(0, 50, size=4), rng.normal(), pick(rng, 1), rng.random()]
own = Own()
result += [own.sample(), own.sample(), own.sample()]
torch.manual_seed(1)
a = own.sample()
torch.manual_seed(1)
result += [bool((a[1] == own.sample()[1]).all())]
torch.manual_seed(2)
result += [big(), torch.rand(3), big(), torch.randn(5)]
""",
    ),
    "a module": (
        NET,
        """
net = Net()
x = torch.linspace(-1, 1, 8, dtype=torch.float64).reshape(2, 4)
net.eval()
result = [net(x), net.training, net.fc.weight.clone(), net.out.bias.shape, net.fc.in_features,
          net.steps,
          [n for n, _ in net.named_parameters()], [tuple(p.shape) for p in net.parameters()],
          sum(p.numel() for p in net.parameters()), list(net.state_dict()),
          isinstance(net, nn.Module), isinstance(net.fc, nn.Linear), isinstance(net, nn.LSTM),
          isinstance(net.fc.weight, nn.Parameter), isinstance(net.drop, nn.Module),
          [type(m).__name__ == "x" for m in net.children()], net.fc(x)]
net.train()
result += [net.training, net.drop.training]
torch.manual_seed(0)
result.append(net(x))
other = Net(k=3)
state = {k: v * 2 if v.is_floating_point() else v for k, v in net.state_dict().items()}
other.load_state_dict(state)
other.eval()
result += [other(x), other.fc.weight, other.state_dict()["out.bias"]]
half = Net().to(torch.float32).eval()
result += [half(x.float()), half.fc.weight.dtype, next(half.parameters()).dtype]
meta = Net().to("meta").eval()
result += [meta(x.to("meta")), meta.fc.weight.device.type]
with torch.no_grad():
    result += [net(x).requires_grad, net.fc(x).requires_grad]
net.requires_grad_(False)
result += [net(x).requires_grad, net.fc.weight.requires_grad]
""",
    ),
    "hooks": (
        NET,
        """
net = Net().eval()
seen = []
def look(module, args, output):
    seen.append([tuple(args[0].shape), output.detach()])
def change(module, args, output):
    return output * 2
x = torch.ones(2, 4, dtype=torch.float64)
handle = net.fc.register_forward_hook(look)
first = net(x)
second = net.out.register_forward_hook(change)
doubled = net(x)
handle.remove(); second.remove()
result = [first, doubled, net(x), seen]
""",
    ),
    "gradients of arguments": (
        """
def f(x, w): return torch.tanh(x @ w).sum(1)
def total(x): return (x ** 3).sum()
def two(x): return x * 2, {"s": x.sum()}
def same(x): return x
def none(x): return x.detach() + 1
def view(x): return x.T[1:]
class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): ctx.save_for_backward(x); return x * x
    @staticmethod
    def backward(ctx, g): return 2 * g * ctx.saved_tensors[0]
def own(x): return Square.apply(x)
def cplx(x): return torch.complex(x, 2 * x) * torch.tensor(1 + 1j, dtype=torch.complex128)
def halves(x): return (x * x).to(torch.bfloat16)
""",
        """
torch.manual_seed(1)
result = []
for dtype in (torch.float64, torch.float32):
    x = torch.randn(3, 4, dtype=dtype, requires_grad=True)
    w = torch.randn(4, 2, dtype=dtype, requires_grad=True)
    y = f(x, w)
    loss = ((y - torch.arange(3, dtype=dtype)) ** 2).mean()
    loss.backward()
    result += [y, x.grad, w.grad]
    f(x, w).sum().backward()
    result += [x.grad, y.is_leaf, loss.requires_grad]
x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
result += list(torch.autograd.grad(total(x), x))
a, b = two(x)
result += list(torch.autograd.grad((a * torch.arange(4.0)).sum() + 3 * b["s"], x))
result += list(torch.autograd.grad(two(two(x)[0])[0].sum(), x))
result += list(torch.autograd.grad((same(x) ** 2).sum(), x))
result += [none(x).requires_grad, view(x)]
result += list(torch.autograd.grad((view(x) ** 2).sum(), x))
result += list(torch.autograd.grad((own(x) * torch.arange(4.0)).sum(), x))
v = torch.arange(3.0, dtype=torch.float64)
h = f(x, x.T)
h.retain_grad()
(h * v).sum().backward()
result += [x.grad, h.grad]
small = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
result += [torch.autograd.gradcheck(own, small)]
result += [torch.autograd.gradcheck(lambda t: f(t, t.T), small)]
z = cplx(small)
result += list(torch.autograd.grad((z.abs() ** 2).sum() + z.real.sum(), small))
result += list(torch.autograd.grad(halves(small).float().sum(), small))
g = torch.autograd.grad((small * own(small)).sum(), small, retain_graph=True)
result += list(g)
""",
    ),
    "a second backward": (
        "def f(x): return x * x",
        """
x = torch.ones(2, requires_grad=True)
y = f(x).sum()
y.backward(retain_graph=True)
y.backward()
result = [x.grad]
try:
    y.backward()
except RuntimeError as error:
    result.append("second time" in str(error))
""",
    ),
    "gradients of parameters": (
        NET,
        """
net = Net().eval()
x = torch.linspace(-1, 1, 8, dtype=torch.float64).reshape(2, 4)
w = net.fc.weight
result = [w.grad]
loss = F.cross_entropy(net(x), torch.tensor([0, 2]))
loss.backward()
result += [w.grad, net.fc.weight.grad, net.out.bias.grad, net.fc.weight is w]
net(x).sum().backward()
result += [w.grad, [p.grad for p in net.parameters()]]
net.zero_grad()
result += [w.grad, net.fc.bias.grad]
net(x).sum().backward()
result += [net.fc.bias.grad.clone()]
net.zero_grad(set_to_none=False)
result += [w.grad]
grads = torch.autograd.grad(net(x).pow(2).sum(), list(net.parameters()))
result += list(grads)
norm = (net(x).pow(2).sum() + 0.1 * sum((p ** 2).sum() for p in net.parameters()))
norm.backward()
result += [p.grad for p in net.parameters()]
result += [torch.nn.utils.clip_grad_norm_(list(net.parameters()), 0.1), net.fc.weight.grad]
""",
    ),
    "training by the test": (
        NET
        + "def optimizer(m): return torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9)\n"
        + "def logits(m, x): return m(x)\n",
        """
torch.manual_seed(0)
x, y = torch.randn(6, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 2])
result = []
net = Net().eval()
opt = torch.optim.Adam(net.parameters(), lr=0.05)
for _ in range(5):
    opt.zero_grad()
    loss = F.cross_entropy(net(x), y)
    loss.backward()
    opt.step()
    result.append(loss.item())
result += [net.fc.weight, net.state_dict()["fc.weight"], logits(net, x)]
net = Net().eval()
opt = optimizer(net)
for _ in range(4):
    opt.zero_grad()
    loss = F.cross_entropy(net(x), y)
    loss.backward()
    opt.step()
    result.append(loss.item())
result += [net.out.weight, net.out.weight.grad]
net = Net().eval()
for _ in range(3):
    loss = F.cross_entropy(net(x), y)
    net.zero_grad()
    loss.backward()
    with torch.no_grad():
        for p in net.parameters():
            p -= 0.5 * p.grad
    result.append(loss.item())
for p in net.parameters():
    p.data.fill_(0.1)
result += [net(x), net.fc.weight]
nn.init.ones_(net.fc.weight)
result += [net(x)]
""",
    ),
    "training by the student": (
        NET
        + """
def train(m, x, y, loss_fn, steps=3):
    opt = torch.optim.SGD(m.parameters(), lr=0.1)
    for _ in range(steps):
        opt.zero_grad()
        loss = loss_fn(m(x), y)
        loss.backward()
        opt.step()
    return loss.item()
def losses(m, x, y): return F.cross_entropy(m(x), y)
""",
        """
torch.manual_seed(0)
x, y = torch.randn(6, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 2])
net = Net().eval()
w = net.fc.weight
before = w.clone()
result = [train(net, x, y, F.cross_entropy), w, w.grad, net.fc.weight is w]
result += [bool((w == before).all())]
net.zero_grad()
loss = losses(net, x, y)
loss.backward()
result += [loss, w.grad]
""",
    ),
    "a default of ones own": (
        """
Table = collections.defaultdict
def count(words):
    table = Table(lambda: Table(lambda: 0.5))
    for a, b in zip(words, words[1:]):
        table[a][b] += 1
    return table
def ask(table, a, b): return table[a][b]
""",
        """
table = count("a b a c".split())
kept = copy.deepcopy(table)
result = [table["a"]["b"], table["a"]["z"], ask(table, "a", "c"), ask(table, "q", "c")]
result += [isinstance(table, dict), {"a", "b"} <= set(table), kept["n"]["m"], "n" in table]
""",
    ),
    "a state between calls": (
        """
class RNN:
    def __init__(self): self.h = torch.zeros(2, dtype=torch.float64)
    def step(self, x): self.h = torch.tanh(self.h + x); return self.h
""",
        """
xs = [torch.full((2,), 0.1 * i, dtype=torch.float64, requires_grad=True) for i in range(4)]
r = RNN()
hs = [r.step(x) for x in xs]
hs[-1].sum().backward()
result = [x.grad for x in xs]
""",
    ),
}


@pytest.fixture
def theirs(zygote: socket.socket):  # noqa: F811
    process = RemoteStudent(zygote, SETUP, {})
    yield Theirs(process.open())
    process.close()


def across_the_wall(theirs: Theirs, source: str, test: str) -> Any:
    shown = theirs.run(GIVEN + source)
    assert not [o for o in shown if o["output_type"] == "error"], shown
    theirs.wall.begin(60)
    theirs.wall.methods = names_asked_for(source)
    names = theirs.wall.names(names_of(source))
    reseed(5)
    return test_cell(test, names)


@pytest.mark.parametrize("case", CASES)
def test_a_test_cell_comes_to_the_same(theirs: Theirs, case: str) -> None:
    source, test = (textwrap.dedent(part) for part in CASES[case])
    alone = in_one_process(source, test)
    across = across_the_wall(theirs, source, test)
    assert not differs(alone, across), differs(alone, across)

"""The course that is attacked: small questions, one of each way in which a test meets code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograder.build import build
from autograder.course import Course
from tests import tiny

NAME = "vault"
SECRET = "expected_secret_total"
"""A name that occurs in a hidden test and nowhere else."""

STOCK = """
c = get_config()
c.CourseDirectory.course_id = "attacked"
c.CourseDirectory.ignore = ["misconceptions.py", "alternatives.py"]
c.ExecutePreprocessor.timeout = 8
"""
OURS = (
    tiny.CONFIG
    + """
c.Grading.cell_seconds = 2
c.Grading.total_seconds = 25
c.Grading.memory_mb = 512
c.Grading.home_mb = 16
"""
)

RIGHT = {
    "double": "def double(x):\n    return 2 * x",
    "total": "def total(values):\n    return sum(values)",
    "softmax": "def softmax(z):\n    e = np.exp(z - z.max())\n    return e / e.sum()",
    "sign": "def sign(x):\n    return (x > 0) - (x < 0)",
    "best": "def best(score, n):\n    return max(range(n), key=score)",
    "bag": (
        "class Bag:\n    def __init__(self):\n        self.items = []\n"
        "    def add(self, item):\n        self.items.append(item)\n"
        "    def count(self, item):\n        return self.items.count(item)"
    ),
    "cube": "def cube(x):\n    return x ** 3",
    "tally": (
        "def tally(words):\n    counts = {}\n    for word in words:\n"
        "        counts[word] = counts.get(word, 0) + 1\n    return counts"
    ),
    "near": "def near(x):\n    return x * x",
    "evens": "def evens(n):\n    return list(range(0, n, 2))",
    "verify": "def verify(a, r):\n    return abs(r * r - a) < 1e-6",
    "root": (
        "def root(a, rng):\n    r = a * rng.random() + 1\n"
        "    for _ in range(60):\n        r = (r + a / r) / 2\n    return r"
    ),
    "wave": "def wave(x):\n    return torch.sin(x)",
    "essay": "Because.",
}
"""Right answers, by grade id; the stub of each raises NotImplementedError."""

_DRAW = "rng = np.random.default_rng(np.random.randint(2**31 - 1))\n"
_TESTS = {
    "double_check": (1, 'assert double(2) == 4, "2 doubled is 4"'),
    "double_hidden": (
        2,
        f"### BEGIN HIDDEN TESTS\n{_DRAW}for number in rng.normal(size=5) * 10:\n"
        "    assert abs(double(float(number)) - (number + number)) < 1e-9\n"
        "### END HIDDEN TESTS",
    ),
    "total_check": (1, 'assert total([1, 2, 3]) == 6, "1 + 2 + 3 is 6"'),
    "total_hidden": (
        3,
        f"### BEGIN HIDDEN TESTS\n{_DRAW}values = rng.normal(size=7) + 5\n"
        f"{SECRET} = float(np.sum(values))\n"
        f"assert abs(float(total(values)) - {SECRET}) < 1e-9\n"
        "### END HIDDEN TESTS",
    ),
    "softmax_hidden": (
        2,
        f"### BEGIN HIDDEN TESTS\n{_DRAW}z = rng.normal(size=6)\n"
        "want = torch.softmax(torch.tensor(z), 0).numpy()\n"
        "got = softmax(z.copy())\n"
        "assert got.shape == want.shape\n"
        "assert np.allclose(got, want)\n"
        "### END HIDDEN TESTS",
    ),
    "sign_hidden": (
        2,
        "got = [sign(3), sign(-2)]\n### BEGIN HIDDEN TESTS\n"
        "int(got[0] == 1) + int(got[1] == -1)  # a point each\n### END HIDDEN TESTS",
    ),
    "best_hidden": (
        2,
        f"### BEGIN HIDDEN TESTS\n{_DRAW}scores = rng.permutation(50)\n"
        "assert best(lambda i: int(scores[i]), 50) == int(np.argmax(scores))\n"
        "### END HIDDEN TESTS",
    ),
    "bag_hidden": (
        2,
        f"### BEGIN HIDDEN TESTS\n{_DRAW}items = rng.integers(0, 4, size=20).tolist()\n"
        "bag = Bag()\nfor item in items:\n    bag.add(item)\n"
        "for item in range(4):\n    assert bag.count(item) == items.count(item)\n"
        "### END HIDDEN TESTS",
    ),
    "cube_hidden": (
        2,
        f"### BEGIN HIDDEN TESTS\n{_DRAW}numbers = rng.integers(2, 9, size=6).tolist()\n"
        "for number, got in zip(numbers, map(cube, numbers)):\n"
        "    assert got == number * number * number\n"
        "### END HIDDEN TESTS",
    ),
    "tally_hidden": (
        2,
        f"### BEGIN HIDDEN TESTS\n{_DRAW}words = [f'w{{i}}' for i in rng.integers(0, 5, size=30)]\n"
        "got = tally(words)\n"
        "assert isinstance(got, dict)\n"
        "assert len(got) == len(set(words))\n"
        "assert sorted(got) == sorted(set(words))\n"
        "for word in words:\n    assert got.get(word) == words.count(word)\n"
        "### END HIDDEN TESTS",
    ),
    "near_hidden": (
        2,
        f"### BEGIN HIDDEN TESTS\n{_DRAW}x = int(rng.integers(50, 90))\n"
        "2 - abs(near(x) - x * x)  # the further off, the less\n"
        "### END HIDDEN TESTS",
    ),
    "evens_hidden": (
        2,
        f"### BEGIN HIDDEN TESTS\n{_DRAW}n = int(rng.integers(20, 60))\n"
        "assert sum(evens(n)) == sum(i for i in range(n) if i % 2 == 0)\n"
        "### END HIDDEN TESTS",
    ),
    "verify_hidden": (
        1,
        f"### BEGIN HIDDEN TESTS\n{_DRAW}a = float(rng.random() * 90 + 2)\n"
        "assert verify(a, a**0.5)\nassert not verify(a, a**0.5 + 1)\n"
        "### END HIDDEN TESTS",
    ),
    "root_hidden": (
        2,
        f"### BEGIN HIDDEN TESTS\n{_DRAW}parts = [0]\nfor _ in range(4):\n"
        "    a = float(rng.random() * 90 + 2)\n"
        "    parts.append(abs(root(a, rng) - a**0.5) < 1e-6)\n"
        "0.5 * sum(parts)\n"
        "### END HIDDEN TESTS",
    ),
    "wave_hidden": (
        2,
        f"### BEGIN HIDDEN TESTS\n{_DRAW}x = torch.tensor(rng.normal(size=5), requires_grad=True)\n"
        "want = torch.sin(x.detach())\n"
        "loss = ((wave(x) - want) ** 2).sum()\n"
        "loss.backward()\n"
        "assert wave(x.detach()).allclose(want)\n"
        "### END HIDDEN TESTS",
    ),
}
FULL = float(sum(points for points, _ in _TESTS.values()))
"""Points of all that is graded by a test."""


def source() -> Any:
    """Return the source notebook."""
    cells = [new_markdown_cell("# Vault"), new_code_cell("import numpy as np\nimport torch")]
    for question, answer in RIGHT.items():
        if question == "essay":
            flags = {"grade": True, "solution": True, "locked": False, "points": 2}
            cells.append(new_markdown_cell("Why?", metadata=tiny._marked("essay", **flags)))
            continue
        cells.append(tiny._solution(question, answer))
        cells += [
            tiny._test(name, points, text)
            for name, (points, text) in _TESTS.items()
            if name.startswith(question)
        ]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def make_course(root: Path, *, stock: bool = False) -> Course:
    """Write the course under `root`, build its release and return it."""
    folder = root / "source" / NAME
    folder.mkdir(parents=True)
    (root / "nbgrader_config.py").write_text(STOCK if stock else OURS)
    nbformat.write(source(), folder / f"{NAME}.ipynb")
    course = Course(root)
    build(course, NAME)
    return course

"""A whole class through the real pool and sandbox: each submission gets what it deserves.

The class is graded once; the tests below look at what came of it. Every hostile member is there to
gain a point or to harm another; the expected scores say that none does.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import tiny
import torch
from tiny import DOUBLE, NAME, RIGHT, SIGN, TOTAL

from autograder import grade as grading
from autograder.course import Course
from autograder.grade import MARK, Result
from autograder.grader import MAX_RESTARTS, Rules, _points
from autograder.grader import grade as grade_one
from autograder.sheet import Sheet
from autograder.shell import Ran
from autograder.wall import Wall
from autograder.wire import Channel

SECRET = "5ec7e7" * 10
CANARY = "another_students_answer"
HINT = "divide by nothing"
FULL = {"double": 3.0, "total": 4.0, "sign": 2.0}
WRONG = {
    "double": "def double(x):\n    return 3 * x",
    "total": "def total(values):\n    return -1",
    "sign": "def sign(x):\n    return 7",
    "essay": "Because.",
}
CONFIG = """
c.Grading.cell_seconds = 2
c.Grading.memory_mb = 400
c.Grading.processes = 32
c.Grading.total_seconds = 40
"""

Change = Callable[[dict], None]


def right(**answers: str) -> dict[str, str]:
    return {**RIGHT, **answers}


def wrong(**answers: str) -> dict[str, str]:
    return {**WRONG, **answers}


def only(**points: float) -> dict[str, float]:
    return dict.fromkeys(FULL, 0.0) | points


def but(**points: float) -> dict[str, float]:
    return FULL | points


def cell(notebook: dict, grade_id: str) -> dict:
    (found,) = [c for c in notebook["cells"] if mark(c).get("grade_id") == grade_id]
    return found


def mark(cell: dict) -> dict:
    return cell["metadata"].get("nbgrader", {})


def is_test(cell: dict) -> bool:
    return bool(mark(cell).get("grade")) and not mark(cell).get("solution")


def edit_tests(**change: Any) -> Change:
    def edit(notebook: dict) -> None:
        for c in filter(is_test, notebook["cells"]):
            c["source"] = change.get("source", c["source"])
            mark(c).update(change.get("mark", {}))
            c["metadata"].update(change.get("metadata", {}))

    return edit


def drop_tests(notebook: dict) -> None:
    notebook["cells"] = [c for c in notebook["cells"] if not is_test(c)]


def drop(grade_id: str) -> Change:
    def change(notebook: dict) -> None:
        notebook["cells"].remove(cell(notebook, grade_id))

    return change


def reverse(notebook: dict) -> None:
    notebook["cells"].reverse()


def twice_the_tests(notebook: dict) -> None:
    copies = [json.loads(json.dumps(c)) for c in notebook["cells"] if is_test(c)]
    for copy in copies:
        copy["source"] = "double = total = sign = None"
    notebook["cells"] += copies


def other_settings(notebook: dict) -> None:
    notebook["metadata"] = {
        "kernelspec": {"name": "bash", "display_name": "Bash", "language": "bash"},
        "jupytext": {"formats": "ipynb,/tmp/evil//py:percent"},
        "celltoolbar": "<script>",
    }


def split(notebook: dict) -> None:
    """Cut the cell of `total` in three, as JupyterLab does, with a helper in the middle."""
    place = notebook["cells"].index(cell(notebook, "total"))
    whole = notebook["cells"][place]
    first = {**whole, "source": "start = 0", "id": "half-1"}
    middle = {**whole, "source": "def add(a, b): return a + b + start", "metadata": {}, "id": "m"}
    last = "from functools import reduce\nadd\ndef total(values): return reduce(add, values, 0)"
    notebook["cells"][place : place + 1] = [first, middle, {**whole, "source": last}]


def old_outputs(notebook: dict) -> None:
    for c in notebook["cells"]:
        if c["cell_type"] == "code":
            c["outputs"] = [
                {
                    "output_type": "display_data",
                    "metadata": {},
                    "data": {"text/html": "<script>alert('old')</script>"},
                }
            ]


def markup(notebook: dict) -> None:
    text = "<script>alert(1)</script> <img src=x onerror=alert(1)> <svg/onload=alert(1)>"
    for kind in ("markdown", "raw"):
        notebook["cells"].insert(
            1, {"cell_type": kind, "id": f"m-{kind}", "metadata": {}, "source": text}
        )


RICH = """
import base64
from IPython.display import HTML, SVG, Javascript, Markdown, Image, display, publish_display_data
display(HTML("<script>alert(1)</script>"))
display(Markdown("<img src=x onerror=alert(1)>"))
display(Javascript("alert(1)"))
publish_display_data({"image/svg+xml": "<svg onload=alert(1)>", "text/latex": "<script>"})
publish_display_data({"application/vnd.plotly.v1+json": {"x": "<script>"}})
publish_display_data({"image/png": base64.b64encode(b"<script>alert(1)</script>").decode()})
publish_display_data({"text/plain": "kept"}, metadata={"text/html": "<script>"})
class Rich:
    def _repr_html_(self): return "<script>alert(2)</script>"
    def __repr__(self): return "a rich object"
Rich()
"""

IN_CALL = "def total(values):\n    import numpy as np\n    if isinstance(values, np.ndarray):\n"

# Looks for what it must not find, by patterns that do not match themselves, in every place that
# Python and the kernel let a process read. `control` is there to be found.
THIEF = r"""
import ctypes, gc, os, re, sys
control = "".join(["control_", "that_is_", "to_be_found"])
patterns = {
    "control": "control_that_is_to_be_foun[d]",
    "hidden test": "expected_secret_tota[l]",
    "mark scheme": "MARK SCHEM[E]",
    "hint": "divide by nothin[g]",
    "misconception": "total_is_mea[n]",
    "course secret": "5ec7e75ec7e[7]",
    "another student": "another_students_answe[r]",
}
compiled = {name: re.compile(text.encode()) for name, text in patterns.items()}
found = {name: set() for name in patterns}

def look(where, data):
    for name, pattern in compiled.items():
        if pattern.search(data):
            found[name].add(where)

for thing in gc.get_objects():
    if isinstance(thing, (str, bytes)):
        look("gc", thing.encode("utf-8", "replace") if isinstance(thing, str) else thing)
    elif isinstance(thing, dict):
        for key, value in list(thing.items()):
            for part in (key, value):
                if type(part) is str:
                    look("gc", part.encode("utf-8", "replace"))
frame = sys._getframe()
while frame:
    for value in frame.f_locals.values():
        look("frames", repr(type(value)).encode() if not isinstance(value, str) else value.encode())
    frame = frame.f_back
for module in list(sys.modules.values()):
    for name, value in list(vars(module).items()):
        if type(value) is str:
            look("modules", value.encode("utf-8", "replace"))
scanned = 0
with open("/proc/self/maps") as maps:  # /proc/self/mem is closed: its own pointers are not
    spans = [line.split() for line in maps]
for span, mode, _, _, inode, *path in spans:
    if mode.startswith("rw") and inode == "0" and "[v" not in str(path):
        start, end = (int(part, 16) for part in span.split("-"))
        look("memory", (ctypes.c_char * (end - start)).from_address(start))
        scanned += end - start
for folder, folders, names in os.walk("/"):
    if folder.startswith((sys.prefix, sys.base_prefix, "/usr", "/lib", "/proc", "/sys", "/dev")):
        folders[:] = []
        continue
    for name in names:
        try:
            with open(os.path.join(folder, name), "rb") as file:
                look("files", file.read(2**20))
        except OSError:
            pass
for name in ("environ", "cmdline", "mountinfo", "status", "maps"):
    try:
        look("proc", open("/proc/self/" + name, "rb").read())
    except OSError:
        pass
print("SCANNED", scanned >> 20, "MiB")
print("FOUND", {name: sorted(places) for name, places in found.items() if places})
"""

FIND_STUDENT = """
import gc
me = next(o for o in gc.get_objects() if type(o).__name__ == "Student")
"""

FORGE = {
    # What scores full marks in stock nbgrader 0.9.6.
    "f_transform": "get_ipython().input_transformers_cleanup.append(lambda lines: [])",
    "f_run_cell": "type(get_ipython()).run_cell = lambda *a, **k: None",
    "f_excepthook": "get_ipython().set_custom_exc((BaseException,), lambda *a, **k: None)",
    "f_ast": "import ast\nclass T(ast.NodeTransformer):\n"
    "    def visit_Assert(self, node): return ast.Pass()\n"
    "get_ipython().ast_transformers.append(T())",
    "f_patch": "import builtins, numpy as np\nbuiltins.abs = lambda x: 0\nbuiltins.float = int\n"
    "np.sum = np.random.default_rng = lambda *a, **k: 0\n"
    "builtins.AssertionError = ValueError\nimport sys\nsys.flags = None",
    "f_names": "class Yes:\n    def __eq__(s, o): return True\n"
    "expected_secret_total = values = rng = number = got = np = Yes()",
    "f_liar": "class Yes(float):\n    def __eq__(s, o): return True\n"
    "    def __sub__(s, o): return 0.0\n    def __abs__(s): return 0.0\n"
    "    def __float__(s): return s\n    __hash__ = None\n"
    "def double(x): return Yes()\ntotal = sign = double",
    "f_object": "class Yes:\n    def __eq__(s, o): return True\n    def __sub__(s, o): return 0.0\n"
    "    def __abs__(s): return 0.0\n    def __float__(s): return 0.0\n"
    "    def __add__(s, o): return 2\n    __radd__ = __add__\n"
    "def double(x): return Yes()\ntotal = sign = double",
    "f_arrays": "import numpy as np\nclass A(np.ndarray):\n    __eq__ = lambda s, o: True\n"
    "def sign(x): return np.array([[1, -1], [2, 3]])\n"
    "def double(x): return np.zeros(2).view(A)\ntotal = double",
    "f_empty": "import numpy as np\ndef double(x): return np.array([])\ntotal = sign = double",
    "f_nan": "def double(x): return float('nan')\ntotal = sign = double",
    "f_descriptors": "import os, struct\nframe = b'\\x95\\xa5value\\x04\\xc0\\x90'\n"
    "frame = struct.pack('<I', len(frame)) + frame\n"
    "for fd in range(3, 64):\n    try: os.write(fd, frame)\n    except OSError: pass",
    "f_garbage": "import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'\\xff' * 1000)\n"
    "    except OSError: pass",
    "f_twice": FIND_STUDENT + "send = me._send\nfor i in range(9):\n"
    "    send(['value', 6, None, []])\n    send(['ran', True, []])",
    "f_stop": FIND_STUDENT + "type(me)._do_call = lambda s, *a: ['stop']",
    "f_skip": FIND_STUDENT + "type(me)._do_call = lambda s, *a: ['failed', 'SkipTest', '', '', []]",
    "f_passed": FIND_STUDENT + "type(me)._do_call = lambda s, *a: ['passed', 3.0]",
    "f_names_reply": FIND_STUDENT + "type(me)._do_names = lambda s, names: "
    "['value', {**{n: 1 for n in names}, 'abs': 0, 'np': 0}, None, []]",
    "f_callback": FIND_STUDENT + "type(me)._do_call = lambda s, *a: ['callback', 1, [], {}]",
    "f_closed": FIND_STUDENT + "me._channel.close()",
    "f_kill": "import os, signal\nfor pid in (-1, 1, os.getppid()):\n    try: os.kill(pid, 9)\n"
    "    except OSError: pass",
}

# Its score, what it hands in, and how: the class.
CLASS: dict[str, tuple[dict[str, float], dict[str, str], dict[str, Any]]] = {
    "a_canary": (FULL, right(double=f"{CANARY} = 1\n{DOUBLE}"), {}),
    "right": (FULL, RIGHT, {}),
    "other_types": (
        FULL,
        right(
            double="def double(x): return np.asarray([x, x]).sum()",
            total="import torch\ndef total(values): return torch.as_tensor(values).sum()",
            sign="def sign(x): return np.float32(np.sign(x))",
        ),
        {},
    ),
    "shapes": (
        FULL,
        right(
            total="import numpy as np\ndef total(v): return np.sum(v, keepdims=True).item()",
            sign="import torch\ndef sign(x): return torch.sign(torch.tensor([x]))[0]",
        ),
        {},
    ),
    "noisy": (
        FULL,
        {
            name: text.replace(
                "    return",
                "    import sys, warnings\n    print('hm', file=sys.stderr)\n"
                "    print('hm')\n    warnings.warn('careful')\n    return",
            )
            for name, text in RIGHT.items()
        },
        {},
    ),
    "stub": (only(), {}, {}),
    "helpers": (
        FULL,
        right(double="def double(x): return by(x, TWO)"),
        {"extra": [(2, "def by(a, b): return a * b\nTWO = 2"), (99, "by = None")]},
    ),
    "helper_after": (
        but(total=0.0),  # as in a notebook that is run from the top: too late for its tests
        right(total="total = None"),
        {"extra": [(99, TOTAL)]},
    ),
    "own_file": (
        FULL,
        right(double="from tools import twice as double"),
        {"files": [("tools.py", "def twice(x): return 2 * x\n"), ("data.csv", "1,2\n")]},
    ),
    "own_package": (
        FULL,
        right(double="from utils.helpers import twice as double"),
        {"files": [("utils/helpers.py", "def twice(x): return 2 * x\n"), ("utils/.x", "")]},
    ),
    "names": (
        FULL,
        right(
            double=f"{DOUBLE}\nnp = rng = number = values = expected_secret_total = got = None",
            sign=f"{SIGN}\nabs = float = print = len = None",
        ),
        {},
    ),
    "magics": (FULL, right(double=f"%matplotlib inline\n%precision 3\n{DOUBLE}\n!true"), {}),
    "class_function": (
        FULL,
        right(double="class D:\n    def __call__(self, x): return x + x\ndouble = D()"),
        {},
    ),
    "syntax": (but(double=0.0), right(double="def double(x)\n    return 2 * x"), {}),
    "partial": (but(sign=1.0), right(sign="def sign(x): return 1"), {}),
    "raises_stop": (but(sign=0.0), right(sign="def sign(x): raise StopIteration"), {}),
    "surrogates": (
        but(total=0.0, sign=0.0),
        right(
            total="def total(values): raise ValueError('\\ud800\\0')",
            sign="def sign(x): print('\\udcff'); return '\\ud800'",
        ),
        {},
    ),
    "odd_values": (
        but(double=0.0, total=0.0),
        right(
            double="import torch\ndef double(x): return torch.ones(2, dtype=torch.bfloat16)",
            total="import torch\ndef total(x): return torch.ones(2, device='meta')",
        ),
        {},
    ),
    "mean": (only(double=3.0, sign=2.0), right(total="def total(v): return np.mean(v)"), {}),
    # Only their own question is lost.
    "loop": (but(double=0.0), right(double="while True: pass"), {}),
    "loop_in_call": (
        but(total=1.0),
        right(total=f"{IN_CALL}        while 1: pass\n    return 6"),
        {},
    ),
    "loop_for_ever": (
        but(total=1.0),
        right(
            total=f"{IN_CALL}        import time\n        while 1:\n            try:\n"
            "                while 1: time.sleep(0.01)\n            except BaseException: pass\n"
            "    return sum(values)"
        ),
        {},
    ),
    "exit": (but(double=0.0), right(double="import os\nos._exit(0)"), {}),
    "exit_in_call": (
        but(total=1.0),
        right(total=f"{IN_CALL}        import os; os._exit(0)\n    return sum(values)"),
        {},
    ),
    "sys_exit": (
        but(total=1.0),
        right(total=f"{IN_CALL}        raise SystemExit\n    return 6"),
        {},
    ),
    "segfault": (
        but(total=1.0),
        right(total=f"{IN_CALL}        import ctypes; ctypes.string_at(0)\n    return sum(values)"),
        {},
    ),
    "memory": (but(double=0.0), right(double="double = bytearray(10 * 2**30)"), {}),
    "memory_slowly": (
        but(total=1.0),
        right(
            total=f"{IN_CALL}        a = []\n        while 1: a.append(b'x' * 2**22)\n    return 6"
        ),
        {},
    ),
    "forks": (
        but(double=0.0),
        right(double="import os\nwhile True: os.fork()"),
        {},
    ),
    "threads": (
        but(double=0.0),
        right(
            double="import threading, time\n"
            "while True: threading.Thread(target=time.sleep, args=(1e6,)).start()"
        ),
        {},
    ),
    "prints": (
        but(total=1.0),
        right(total=f"{IN_CALL}        while 1: print('x' * 1000)\n    return 6"),
        {},
    ),
    # Forged passes.
    **{
        name: (only(), wrong(double=f"{WRONG['double']}\n{code}"), {})
        for name, code in FORGE.items()
    },
    # Edited notebooks.
    "no_tests": (only(), WRONG, {"change": drop_tests}),
    "no_tests_right": (FULL, RIGHT, {"change": drop_tests}),
    "true_tests": (only(), WRONG, {"change": edit_tests(source="assert True\n100.0")}),
    "points": (only(), WRONG, {"change": edit_tests(mark={"points": 100, "grade": False})}),
    "points_right": (FULL, RIGHT, {"change": edit_tests(mark={"points": 100})}),
    "skip": (only(), WRONG, {"change": edit_tests(metadata={"tags": ["skip-execution"]})}),
    "skip_right": (FULL, RIGHT, {"change": edit_tests(metadata={"tags": ["skip-execution"]})}),
    "reversed": (FULL, RIGHT, {"change": reverse}),
    "tests_twice": (FULL, RIGHT, {"change": twice_the_tests}),
    "settings": (FULL, RIGHT, {"change": other_settings}),
    "split": (FULL, RIGHT, {"change": split}),
    "no_double": (but(double=0.0), RIGHT, {"change": drop("double")}),
    "no_import": (FULL, RIGHT, {"change": lambda n: n["cells"].pop(1)}),
    "other_import": (FULL, RIGHT, {"change": lambda n: n["cells"][1].update(source="np = 3")}),
    "no_essay": (FULL, RIGHT, {"change": drop("essay")}),
    "old_outputs": (FULL, RIGHT, {"change": old_outputs}),
    "markup": (FULL, right(essay="<script>alert(1)</script> because"), {"change": markup}),
    "rich": (FULL, right(double=f"{DOUBLE}\n{RICH}"), {}),
    "z_thief": (FULL, right(sign=f"{SIGN}\n{THIEF}"), {}),
}


@pytest.fixture(scope="session")
def graded(tmp_path_factory) -> tuple[Course, dict[str, Result]]:
    """The class, graded; results by student."""
    course = tiny.make_course(tmp_path_factory.mktemp("class"), CONFIG)
    (course.root / "gradebook.secret").write_text(SECRET)
    for student, (_, answers, options) in CLASS.items():
        tiny.hand_in(course, student, answers, **options)
    before = {path: path.read_bytes() for path in (course.root / "submitted").rglob("*.*")}
    results = grading.grade(course, NAME, jobs=2)
    after = {path: path.read_bytes() for path in (course.root / "submitted").rglob("*.*")}
    assert before == after, "a student's file was changed"
    return course, {result.student: result for result in results}


def autograded(course: Course, student: str) -> str:
    return (course.autograded(NAME, student) / f"{NAME}.ipynb").read_text("utf-8")


def shown(course: Course, student: str) -> str:
    """Everything that the cells of a graded notebook show, as text."""
    notebook = json.loads(autograded(course, student))
    return json.dumps([c.get("outputs", []) for c in notebook["cells"]], ensure_ascii=False)


@pytest.mark.parametrize("student", CLASS)
def test_each_gets_what_the_code_deserves(graded, student: str) -> None:
    _, results = graded
    result = results[student]
    assert result.status == "graded", result.message
    scores = {question: score for question, (score, _) in result.questions.items()}
    scores.pop("essay")
    expected = CLASS[student][0]
    if student in FORGE:
        # `double(2) == 4` and `total([1, 2, 3]) == 6` can be had by answering 4 and 6: that is
        # what visible checks are. What nobody can forge is a hidden test.
        hidden = {name: result.statuses[name] for name in ("double_hidden", "total_hidden")}
        assert "passed" not in hidden.values(), result.statuses
        assert result.score <= 2
    else:
        assert scores == expected, (result.statuses, shown(graded[0], student)[-3000:])
    assert result.max_score == 11
    assert [points for _, points in result.questions.values()] == [3, 4, 2, 2]


@pytest.mark.parametrize("student", CLASS)
def test_the_gradebook_says_the_same(graded, student: str) -> None:
    course, results = graded
    saved = [v[0] for (who, _), v in tiny.gradebook_of(course).items() if who == student]
    assert sum(score or 0 for score in saved) == results[student].score


@pytest.mark.parametrize("student", CLASS)
def test_the_graded_notebook_is_valid_and_runs_nothing_in_a_browser(graded, student) -> None:
    notebook = nbformat.reads(autograded(graded[0], student), as_version=4)
    nbformat.validate(notebook)
    for c in notebook.cells:
        if c.cell_type != "code":
            assert not re.search(r"<[A-Za-z/!?]", c.source)
        for output in c.get("outputs", []):
            for mime, data in output.get("data", {}).items():
                assert mime in ("text/plain", "image/png", "image/jpeg")
                assert mime == "text/plain" or "<" not in data
            assert output.get("metadata", {}) == {}
    assert notebook.metadata.kernelspec.name == "python3"
    assert "jupytext" not in notebook.metadata


@pytest.mark.parametrize("student", CLASS)
def test_nothing_hidden_is_in_what_a_student_may_see(graded, student: str) -> None:
    """Autograded notebooks are the TA's; a result's words and hints go to the student."""
    result = graded[1][student]
    words = " ".join([result.message, *result.hints, *result.statuses.values()])
    assert "expected_secret" not in words
    assert SECRET not in autograded(graded[0], student)


def test_an_essay_is_graded_by_hand_and_an_untouched_one_is_zero(graded) -> None:
    _, results = graded
    assert results["right"].statuses["essay"] == "manual"
    assert results["right"].questions["essay"] == [None, 2.0]
    assert results["right"].needs_manual
    for student in ("stub", "no_essay"):
        assert results[student].statuses["essay"] == "not attempted"
        assert results[student].questions["essay"] == [0.0, 2.0]
        assert not results[student].needs_manual
    book = tiny.gradebook_of(graded[0])
    assert book["right", "essay"][:3] == (None, None, True)
    assert book["stub", "essay"][:3] == (0.0, None, False)


@pytest.mark.parametrize(
    ("student", "test", "status"),
    [
        ("right", "total_hidden", "passed"),
        ("stub", "total_hidden", "not attempted"),
        ("partial", "sign_parts", "partial"),
        ("mean", "total_hidden", "failed"),
        ("loop_in_call", "total_hidden", "timed out"),
        ("loop_for_ever", "total_hidden", "stopped"),
        ("exit_in_call", "total_hidden", "stopped"),
        ("segfault", "total_hidden", "stopped"),
        ("sys_exit", "total_hidden", "failed"),
        ("memory_slowly", "total_hidden", "failed"),
        ("prints", "total_hidden", "timed out"),
        ("no_double", "double_hidden", "failed"),
    ],
)
def test_the_verdict_says_what_happened(graded, student: str, test: str, status: str) -> None:
    assert graded[1][student].statuses[test] == status


@pytest.mark.parametrize(
    ("student", "note"),
    [
        ("no_tests", "test cell total_hidden was deleted: put back"),
        ("true_tests", "test cell total_hidden was edited: the source's is used"),
        ("no_double", "solution cell double was deleted"),
        ("exit", "the student's process ended and was started again"),
    ],
)
def test_the_ta_is_told_what_was_repaired(graded, student: str, note: str) -> None:
    assert note in graded[1][student].notes


def test_a_known_mistake_gets_its_hint_and_no_other_does(graded) -> None:
    _, results = graded
    assert results["mean"].hints == ["This is the mean: divide by nothing."]
    assert [name for name, result in results.items() if HINT in str(result.hints)] == ["mean"]


def test_the_source_decides_points_tags_and_order(graded) -> None:
    def marks(notebook: dict) -> list[dict]:
        # A checksum is of the cell's text: the release's has no hidden tests in it.
        tests = [mark(cell) for cell in notebook["cells"] if is_test(cell)]
        return [{key: value for key, value in m.items() if key != "checksum"} for m in tests]

    ours = tiny.release(graded[0])
    for student in ("points", "skip", "reversed", "true_tests", "tests_twice", "settings"):
        notebook = json.loads(autograded(graded[0], student))
        tests = [c for c in notebook["cells"] if is_test(c)]
        assert marks(notebook) == marks(ours)
        assert not any("tags" in c["metadata"] for c in notebook["cells"])
        assert "100.0" not in [c["source"] for c in tests]


def test_nothing_secret_can_be_read_where_the_students_code_runs(graded) -> None:
    output = shown(graded[0], "z_thief")
    assert int(re.findall(r"SCANNED (\d+) MiB", output)[0]) > 20, output
    found = eval(re.findall(r"FOUND (\{.*?\})", output)[0])
    # The search works: the thief's own control lies in its memory and among its objects.
    assert "memory" in found["control"], found
    assert found.keys() == {"control"}, found


def test_what_the_thief_looks_for_does_exist(graded) -> None:
    """The other half of the control: these words are where the grader and the driver read."""
    course, _ = graded
    source = (course.source(NAME) / f"{NAME}.ipynb").read_text()
    hints = (course.source(NAME) / "misconceptions.py").read_text()
    assert "expected_secret_total" in source
    assert "MARK SCHEME" in source
    assert HINT in hints
    assert "total_is_mean" in hints
    assert "5ec7e75ec7e7" in (course.root / "gradebook.secret").read_text()
    assert CANARY in autograded(course, "a_canary")


def test_prints_of_student_code_and_pictures_are_kept_for_the_ta(graded) -> None:
    assert "careful" in shown(graded[0], "noisy")
    assert "a rich object" in shown(graded[0], "rich")
    assert "kept" in shown(graded[0], "rich")
    assert len(autograded(graded[0], "prints")) < 3 * 2**20


def test_a_students_process_never_gets_back_at_the_course(graded) -> None:
    course, _ = graded
    names = {path.name for path in course.root.iterdir()}
    known = {"source", "release", "submitted", "autograded", "gradebook.db", "gradebook.secret"}
    assert names == known | {"nbgrader_config.py"}


# Again.


def snapshot(course: Course) -> dict[str, Any]:
    notebooks = {
        str(path.relative_to(course.root)): path.read_text("utf-8")
        for path in sorted((course.root / "autograded").rglob("*"))
        if path.is_file() and path.name != MARK  # which holds seconds
    }
    return {"notebooks": notebooks, "gradebook": tiny.gradebook_of(course)}


def test_what_did_not_change_is_not_graded_again_and_what_did_is(graded) -> None:
    course, results = graded
    before = snapshot(course)
    times = {p: p.stat().st_mtime_ns for p in (course.root / "autograded").rglob("*.ipynb")}
    again = grading.grade(course, NAME)
    assert {result.status for result in again} == {"unchanged"}
    for result in again:
        kept = {**vars(result), "status": "graded"}
        assert kept == vars(results[result.student])
    assert times == {p: p.stat().st_mtime_ns for p in (course.root / "autograded").rglob("*.ipynb")}
    assert snapshot(course) == before


@pytest.fixture(scope="module")
def copied(graded, tmp_path_factory) -> Course:
    """A copy of the graded course, to be changed."""
    root = tmp_path_factory.mktemp("copy") / "course"
    shutil.copytree(graded[0].root, root)
    return Course(root)


def test_changed_forced_alone_or_in_another_order_gives_the_same(graded, copied) -> None:
    course, results = graded
    chosen = ["right", "partial", "mean", "f_twice", "exit_in_call", "stub"]
    before = snapshot(course)
    tiny.hand_in(copied, "stub", RIGHT)
    shutil.rmtree(copied.autograded(NAME, "right"))
    found = grading.grade(copied, NAME, reversed(chosen), jobs=1)
    assert {r.student: r.status for r in found} == {
        **dict.fromkeys(["partial", "mean", "f_twice", "exit_in_call"], "unchanged"),
        **dict.fromkeys(["right", "stub"], "graded"),
    }
    assert next(r for r in found if r.student == "stub").score == 9
    found = grading.grade(copied, NAME, chosen[:-1], jobs=1, force=True)
    for result in found:
        assert result.status == "graded"
        assert result.statuses == results[result.student].statuses
        assert result.questions == results[result.student].questions
    after = snapshot(copied)
    for student in chosen[:-1]:
        place = f"autograded/{student}/{NAME}/{NAME}.ipynb"
        assert after["notebooks"][place] == before["notebooks"][place]
    assert {k: v for k, v in after["gradebook"].items() if k[0] != "stub"} == {
        k: v for k, v in before["gradebook"].items() if k[0] != "stub"
    }


# Interrupted.


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> tuple[Path, dict[str, Any]]:
    """Two dozen ungraded submissions, and what an undisturbed run makes of them."""
    course = tiny.make_course(tmp_path_factory.mktemp("many") / "ungraded", CONFIG)
    (course.root / "gradebook.secret").write_text(SECRET)
    for number in range(24):
        answers = [RIGHT, WRONG, right(sign="def sign(x): return 1"), {}][number % 4]
        tiny.hand_in(course, f"s{number:02}", answers)
    whole = course.root.parent / "undisturbed"
    shutil.copytree(course.root, whole)
    grading.grade(Course(whole), NAME, jobs=2)
    return course.root, snapshot(Course(whole))


def start(root: Path) -> subprocess.Popen:
    """Start `course grade`; return when the first results are saved."""
    process = subprocess.Popen(
        [Path(sys.executable).parent / "course", "grade", NAME, "--jobs", "2"],
        cwd=root,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    end = time.monotonic() + 60
    while not list(root.glob(f"autograded/*/{NAME}/{MARK}")):
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.005)
    return process


def finish(root: Path, done: dict[str, Any]) -> int:
    """Grade the rest; compare with the undisturbed run; return how many had been done before."""
    results = grading.grade(Course(root), NAME, jobs=2)
    assert snapshot(Course(root)) == done
    assert not list(root.glob("autograded/*/.grading-*"))
    return sum(result.status == "unchanged" for result in results)


def test_a_run_that_was_killed_goes_on_to_the_same_end(many, tmp_path) -> None:
    root = shutil.copytree(many[0], tmp_path / "course")
    process = start(root)
    process.kill()
    process.wait()
    left = root / "autograded" / "s23" / ".grading-left"
    left.mkdir(parents=True)
    (left / f"{NAME}.ipynb").write_text("half")
    assert 0 < finish(root, many[1]) < 24


def test_ctrl_c_keeps_what_was_graded_and_says_how_to_go_on(many, tmp_path) -> None:
    root = shutil.copytree(many[0], tmp_path / "course")
    process = start(root)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    (line,) = [text for text in errors.splitlines() if text.startswith("course:")]
    said = re.search(r"stopped; graded and saved: (\d+) of 24; the same command goes on", line)
    assert said, errors
    assert "Traceback" not in errors
    assert 0 < finish(root, many[1]) == int(said[1]) < 24


# The test's own number.


@pytest.mark.parametrize(
    ("last_line", "score"),
    [
        ("1.5", 1.5),
        ("1", 1.0),
        ("0", 0.0),
        ("-3", 0.0),
        ("99", 2.0),
        ("float('nan')", 0.0),
        ("np.float32(0.5)", 0.5),
        ("np.array(1.0)", 1.0),
        ("torch.tensor(1.0)", 1.0),
        # Points that a student's answer turned into something else are none.
        ("np.ones(1)", 0.0),
        ("np.ones(3)", 0.0),
        ("torch.ones(2, 2)", 0.0),
        ("np.array('full')", 0.0),
        ("torch.ones(1, device='meta')", 0.0),
        # What is no number of points says nothing, as in nbgrader.
        ("None", 2.0),
        ("'done'", 2.0),
        ("x = 0", 2.0),
        ("", 2.0),
    ],
)
def test_partial_credit_is_the_number_on_a_tests_last_line(last_line: str, score: float) -> None:
    names = {"np": np, "torch": torch}
    try:
        result = eval(last_line, names)
    except SyntaxError:
        result = None
    (test,) = [
        c
        for c in Sheet.parse(NAME, NAME, *[json.dumps(tiny.source()).encode()] * 2).cells
        if c.grade_id == "sign_parts"
    ]
    assert _points(test, Ran(None, result)) == score
    assert _points(test, Ran(ValueError(), result)) == 0.0


# A process that ends again and again.


class Deaf:
    """A student's process that answers nothing, each time that it is started."""

    def __init__(self) -> None:
        self.caveats: list[str] = []
        self.opened = self.waited = 0
        self._ends: list[socket.socket] = []

    def open(self) -> Wall:
        self.opened += 1
        ours, theirs = socket.socketpair()
        self._ends.append(theirs)
        wall = Wall(Channel(ours), self.interrupt)
        wall.grace = 0.0
        return wall

    def interrupt(self) -> None:
        self.waited += 1

    def close(self) -> dict[str, float]:
        return {}


class Nothing:
    """A grader's shell in which nothing is bound."""

    def __init__(self) -> None:
        self.namespace: dict[str, Any] = {}

    def run(self, source: str) -> Ran:
        return Ran(NameError(), None)


def test_a_process_that_answers_nothing_is_not_waited_for_in_every_cell() -> None:
    texts = [json.dumps(tiny.source()).encode()] * 2
    theirs = Deaf()
    graded = grade_one(
        Sheet.parse(NAME, NAME, *texts),
        texts[0],
        "here",
        secret=b"s",
        student=theirs,
        shell=Nothing(),  # type: ignore[arg-type]
        rules=Rules(cell_seconds=0.1),
        misconceptions=list,
        caveats=[],
        left_out=[],
    )
    assert theirs.opened == 1 + MAX_RESTARTS
    assert theirs.waited == theirs.opened, "what broke off is not waited for again"
    tests = [score for score in graded.scores if score.grade_id != "essay"]
    assert {(score.status, score.score) for score in tests} == {("stopped", 0.0)}


def test_a_number_of_points_beyond_any_float_is_none() -> None:

    class Two:
        points = 2.0

    assert _points(Two, Ran(None, 1)) == 1.0  # type: ignore[arg-type]
    assert _points(Two, Ran(None, 10**400)) == 0.0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("result", "score"),
    [
        (Decimal("1.5"), 1.5),
        (2 - Decimal(5000), 0.0),
        (Decimal("NaN"), 0.0),
        (Decimal("sNaN"), 0.0),
        (Fraction(-1, 3), 0.0),
        (2 - abs(np.timedelta64("NaT") - 5), 0.0),
        (2 - abs(np.timedelta64(0, "s") - 5000), 0.0),
    ],
)
def test_points_are_numbers_of_any_kind_that_a_students_value_made_of_them(result, score) -> None:

    class Two:
        points = 2.0

    assert _points(Two, Ran(None, result)) == score  # type: ignore[arg-type]

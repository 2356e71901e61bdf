"""Who is in the class, and what each handed in.

A student is named after what is special about them; where their story says nothing, the answers are
the course's own. `loses`, `nothing` and `refused` say what they deserve; the demo compares.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.course import Course
from autograder.variants import Variant, load

Notebook = dict[str, Any]

ASSIGNMENT = "ps1_word2vec"

# The solution cell of each function.
CELLS = {
    "softmax": "softmax",
    "sigmoid": "sigmoid",
    "naive_softmax_loss_and_gradients": "naive_softmax",
    "negative_sampling_loss_and_gradients": "negative_sampling",
    "context_windows": "context_windows",
    "skipgram_pairs": "skipgram_pairs",
    "skipgram_loss_and_gradients": "skipgram",
    "cbow_loss_and_gradients": "cbow",
    "sgd_step": "sgd_step",
    "nearest_neighbors": "nearest_neighbors",
}
CELL_OF = {cell: function for function, cell in CELLS.items()}
FLOATS = (
    "softmax",
    "sigmoid",
    "naive_softmax",
    "negative_sampling",
    "skipgram",
    "cbow",
    "sgd_step",
)
WRONG_AXIS = "softmax_over_columns"
SIGN_ERROR = "naive_gradient_uphill"


@dataclass(frozen=True)
class Student:
    """One submission of the class."""

    name: str
    story: str
    """What they handed in, in one line, for the README and the table."""
    hand_in: Callable[[], Notebook | bytes]
    loses: set[str] = field(default_factory=set)
    """Questions that cannot get full points; all others must."""
    nothing: bool = False
    """Whether no question may get a point."""
    refused: bool = False


def answer(notebook: Notebook, **cells: str) -> Notebook:
    """Replace the text of cells by their grade id."""
    for cell in notebook["cells"]:
        grade_id = cell["metadata"].get("nbgrader", {}).get("grade_id")
        if grade_id in cells:
            cell["source"] = cells[grade_id]
    return notebook


def find(notebook: Notebook, grade_id: str) -> Notebook:
    """Return one cell by its grade id."""
    return next(
        cell
        for cell in notebook["cells"]
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == grade_id
    )


FLOAT32 = '''

def in_float32(function):
    """Hand back float32, as a model on a GPU would."""
    def wrapped(*args):
        result = function(*args)
        if isinstance(result, tuple):
            return tuple(np.asarray(part, dtype=np.float32) for part in result)
        return np.asarray(result, dtype=np.float32)
    return wrapped


{0} = in_float32({0})
'''

TEN_GIGABYTES = """
def sigmoid(x):
    scratch = np.ones(10 * 2**30 // 8)  # ten gigabytes
    return 1 / (1 + np.exp(-x)) * scratch[0]
"""

FORGED = "get_ipython().input_transformers_cleanup.append(lambda lines: [])"

READS_DISK = """
import os
found = 0
for folder, inside, names in os.walk("/"):
    inside[:] = [name for name in inside if name != "site-packages"]  # nothing new in there
    for name in names:
        try:
            text = open(os.path.join(folder, name), "rb").read(10**6)
        except OSError:
            continue
        found += 1
        if b"HIDDEN TESTS" in text or "gradebook" in name or name.endswith(".ipynb"):
            print("LOOT:", folder, name, text[:300])
print(found, "files read;", dict(os.environ))
"""


def class_of(course: Course) -> list[Student]:
    """Return the class, given the course with the assignment built."""
    source = course.source(ASSIGNMENT)
    right = _answers(source / f"{ASSIGNMENT}.ipynb")
    release = (course.release(ASSIGNMENT) / f"{ASSIGNMENT}.ipynb").read_text("utf-8")

    def solved(**cells: str) -> Notebook:
        return answer(json.loads(release), **{**right, **cells})

    def variant(kind: str, name: str) -> str:
        """Return a cell that behaves as one of the course's own variants."""
        path = source / f"{kind}.py"
        known = {variant.name: variant for variant in load(path)}
        return known[name].as_cell(path.read_text("utf-8"))

    def left_out(*grade_ids: str) -> Notebook:
        """Return right answers, but these cells as they were released."""
        blank = json.loads(release)
        return solved(**{name: "".join(find(blank, name)["source"]) for name in grade_ids})

    def deleted() -> Notebook:
        notebook = solved()
        gone = [find(notebook, name) for name in ("sgd_step", "softmax_check")]
        notebook["cells"] = [cell for cell in notebook["cells"] if cell not in gone]
        return notebook

    def tampered() -> Notebook:
        notebook = solved(softmax="def softmax(x):\n    return x")
        for cell in notebook["cells"]:
            mark = cell["metadata"].get("nbgrader", {})
            if mark.get("grade_id", "").startswith("softmax_"):
                mark["points"] = 1000
                cell["metadata"]["tags"] = ["skip-execution"]
                cell["source"] = "1000"
        return notebook

    def other_style() -> Notebook:
        styles: dict[str, str] = {}
        for style in load(source / "alternatives.py"):
            cell = CELLS.get(style.of)
            if cell is not None and cell not in styles:
                styles[cell] = variant("alternatives", style.name)
        return solved(**styles)

    def forged() -> Notebook:
        return solved(softmax=f"{FORGED}\n\ndef softmax(x):\n    return x")

    return [
        Student("perfect", "right everywhere", solved),
        Student("other-style", "right, in other styles: loops, einsum, torch", other_style),
        Student(
            "float32",
            "right, and every result in float32",
            lambda: solved(
                **{name: right[name] + FLOAT32.format(CELL_OF[name]) for name in FLOATS}
            ),
        ),
        Student(
            "wrong-axis",
            "a softmax that runs over the columns",
            lambda: solved(softmax=variant("misconceptions", WRONG_AXIS)),
            loses={"softmax"},
        ),
        Student(
            "sign-error",
            "a gradient with the wrong sign",
            lambda: solved(naive_softmax=variant("misconceptions", SIGN_ERROR)),
            loses={"naive_softmax"},
        ),
        Student(
            "one-missing", "the SGD step left out", lambda: left_out("sgd_step"), loses={"sgd_step"}
        ),
        Student(
            "untouched", "the sheet as it was released", lambda: json.loads(release), nothing=True
        ),
        Student(
            "syntax-error",
            "a bracket that is never closed",
            lambda: solved(cbow=right["cbow"] + "\nprint((1)"),
            loses={"cbow"},
        ),
        Student(
            "endless-loop",
            "a loop that never ends",
            lambda: solved(skipgram_pairs="def skipgram_pairs(tokens, m):\n    while True: pass"),
            loses={"skipgram_pairs"},
        ),
        Student(
            "ten-gigabytes",
            "a function that wants 10 GB",
            lambda: solved(sigmoid=TEN_GIGABYTES),
            loses={"sigmoid"},
        ),
        Student(
            "cell-deleted",
            "a solution cell and a test cell deleted",
            deleted,
            loses={"sgd_step"},
        ),
        Student(
            "edited-tests",
            "a wrong softmax; its tests say 1000 points, skip me",
            tampered,
            loses={"softmax"},
        ),
        Student(
            "forged-pass",
            "`input_transformers_cleanup` swallows every later cell",
            forged,
            nothing=True,
        ),
        Student(
            "reads-disk",
            "right, and reads every file and prints what it finds",
            lambda: solved(softmax=READS_DISK + "\n\n" + right["softmax"]),
        ),
        Student(
            "no-notebook",
            "a PDF with the name of a notebook",
            lambda: b"%PDF-1.7 " + bytes(range(256)),
            refused=True,
        ),
    ]


def solved_with(
    course: Course, kind: str, *variants: Variant, assignment: str = ASSIGNMENT
) -> Callable[[], Notebook]:
    """Return the hand-in whose every answer is the course's own, but for these variants."""
    source = course.source(assignment)
    text = (source / f"{kind}.py").read_text("utf-8")
    release = (course.release(assignment) / f"{assignment}.ipynb").read_text("utf-8")
    answers = _answers(source / f"{assignment}.ipynb")
    cell_of = {}
    for grade_id, cell in answers.items():
        if found := re.search(r"^def (\w+)", cell, re.MULTILINE):
            cell_of[found[1]] = grade_id
    answers |= {cell_of[variant.of]: variant.as_cell(text) for variant in variants}
    return lambda: answer(json.loads(release), **answers)


def _answers(path: Path) -> dict[str, str]:
    """Return the course's own answers by grade id."""
    found = {}
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        mark = cell["metadata"].get("nbgrader", {})
        if mark.get("solution"):
            lines = "".join(cell["source"]).splitlines()
            found[mark["grade_id"]] = "\n".join(
                line for line in lines if "### BEGIN SOL" not in line and "### END SOL" not in line
            )
    return found


def as_bytes(handed_in: Notebook | bytes) -> bytes:
    """Return what lies in the file."""
    return handed_in if isinstance(handed_in, bytes) else json.dumps(handed_in).encode()

"""What the tests share: a tiny nbgrader course, made anew for each test that asks for one.

It is not the course of this repository: what holds for it must hold for anybody's.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.api import Gradebook

from autograder import build
from autograder.course import Course

CONFIG = """\
c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "tiny"
c.CourseDirectory.ignore = [
    ".ipynb_checkpoints", "__pycache__", "misconceptions.py", "alternatives.py", "double.py",
]
"""

MISCONCEPTIONS = '''\
"""Wrong ways to double."""

from autograder.variants import variant


@variant(of="double")
def squared_instead(x):
    """This is what you get when the number is squared
    where it should be doubled."""
    return x**2 + 0 * len("wrong")
'''


def nbgrader_cell(cell: NotebookNode, grade_id: str, **kind: object) -> NotebookNode:
    """Mark a cell as nbgrader does; `kind` overrides grade, solution, task, locked, points."""
    metadata = {"grade": False, "solution": False, "task": False, "locked": True, **kind}
    if metadata["grade"] or metadata["task"]:
        metadata.setdefault("points", 1)
    cell.metadata["nbgrader"] = {"schema_version": 3, "grade_id": grade_id, **metadata}
    return cell


def tiny_notebook() -> NotebookNode:
    """Return a source notebook with each kind of cell and of hidden region, and outputs."""
    ran = new_code_cell("import math\nprint('ready')", metadata={"tags": ["setup"]})
    ran.execution_count = 1
    ran.outputs = [nbformat.v4.new_output("stream", name="stdout", text="ready\n")]
    solution = new_code_cell(
        "def double(x):\n"
        "    '''Return x doubled.'''\n"
        "    ### BEGIN SOLUTION\n"
        "    answer = float(x) + float(x)\n"
        "    del x\n"
        "    return answer\n"
        "    ### END SOLUTION"
    )
    tests = new_code_cell(
        "assert double(2) == 4, 'two and two'\n"
        "### BEGIN HIDDEN TESTS\n"
        "assert double(-3.5) == -7.0\n"
        "### END HIDDEN TESTS"
    )
    written = new_markdown_cell("Doubling is adding a number to itself, so it is linear.")
    task = new_markdown_cell(
        "Draw it.\n### BEGIN MARK SCHEME\nOne point for a straight line.\n### END MARK SCHEME"
    )
    return new_notebook(
        cells=[
            new_markdown_cell("# Doubling"),
            ran,
            nbgrader_cell(solution, "double", solution=True, locked=False),
            nbgrader_cell(tests, "test_double", grade=True, points=2),
            new_markdown_cell("Say why."),
            nbgrader_cell(written, "why", grade=True, solution=True, locked=False),
            nbgrader_cell(task, "draw", task=True),
        ],
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "jupytext": {"formats": "ipynb,py:percent"},
        },
    )


def save(notebook: NotebookNode, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="session")
def empty_gradebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new gradebook, to be copied: making one takes nbgrader more than a second."""
    build._own_programs_on_path()
    path = tmp_path_factory.mktemp("gradebook") / "gradebook.db"
    Gradebook(f"sqlite:///{path}", "tiny").close()
    return path


@pytest.fixture
def course(tmp_path: Path, empty_gradebook: Path) -> Course:
    """A course with one assignment, `double`; its notebook has no `.py` yet."""
    (tmp_path / "nbgrader_config.py").write_text(CONFIG)
    shutil.copy(empty_gradebook, tmp_path / "gradebook.db")
    save(tiny_notebook(), tmp_path / "source" / "double" / "double.ipynb")
    (tmp_path / "source" / "double" / "misconceptions.py").write_text(MISCONCEPTIONS)
    return Course(tmp_path)

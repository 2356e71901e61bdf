"""A small nbgrader course and its students, for tests of the engine: three questions, one essay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.api import Gradebook

from autograder.build import build
from autograder.course import Course

NAME = "sums"

CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "tiny"
c.CourseDirectory.ignore = ["misconceptions.py", "alternatives.py", "equivalents.toml"]
c.Grading.cell_seconds = 3
c.Autograde.exporter_class = "autograder.seam.Exporter"
c.Autograde.autograde_preprocessors = [
    "autograder.seam.Execute",
    "nbgrader.preprocessors.LimitOutput",
    "autograder.seam.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.GenerateFeedback.preprocessors = [
    "nbgrader.preprocessors.GetGrades",
    "autograder.seam.HideTests",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]
"""

MISCONCEPTIONS = '''
import numpy as np
from autograder.variants import variant


@variant("total")
def total_is_mean(values):
    """This is the mean: divide by nothing."""
    return float(np.mean(values))


@variant("double")
def double_squares(x):
    """Doubling adds a number to itself, it does not multiply it by itself."""
    return x * x
'''

DOUBLE = "def double(x):\n    return 2 * x"
TOTAL = "def total(values):\n    return sum(values)"
SIGN = "def sign(x):\n    return (x > 0) - (x < 0)"
SECRET_LINE = "expected_secret_total = float(np.sum(values))"


def _marked(grade_id: str, **flags: Any) -> dict[str, Any]:
    mark = {"grade": False, "solution": False, "locked": True, "schema_version": 3, "task": False}
    return {"nbgrader": {**mark, "grade_id": grade_id, **flags}}


def _solution(grade_id: str, body: str) -> Any:
    head, _, rest = body.partition("\n")
    text = f"{head}\n    ### BEGIN SOLUTION\n{rest}\n    ### END SOLUTION"
    return new_code_cell(text, metadata=_marked(grade_id, solution=True, locked=False))


def _test(grade_id: str, points: int, text: str) -> Any:
    return new_code_cell(text, metadata=_marked(grade_id, grade=True, points=points))


def source() -> Any:
    """Return the source notebook."""
    cells = [
        new_markdown_cell("# Sums"),
        new_code_cell("import numpy as np"),
        _solution("double", DOUBLE),
        _test("double_check", 1, 'assert double(2) == 4, "2 doubled is 4"'),
        _test(
            "double_hidden",
            2,
            "# more numbers\n### BEGIN HIDDEN TESTS\n"
            "rng = np.random.default_rng(np.random.randint(2**31 - 1))\n"
            "for number in rng.normal(size=5) * 10:\n"
            "    assert abs(double(float(number)) - (number + number)) < 1e-9\n"
            "### END HIDDEN TESTS",
        ),
        _solution("total", TOTAL),
        _test("total_check", 1, 'assert total([1, 2, 3]) == 6, "1 + 2 + 3 is 6"'),
        _test(
            "total_hidden",
            3,
            "# arrays\n### BEGIN HIDDEN TESTS\n"
            "rng = np.random.default_rng(np.random.randint(2**31 - 1))\n"
            "values = rng.normal(size=7) + 5\n"
            f"{SECRET_LINE}\n"
            "assert abs(float(total(values)) - expected_secret_total) < 1e-9\n"
            "### END HIDDEN TESTS",
        ),
        _solution("sign", SIGN),
        _test(
            "sign_parts",
            2,
            "got = [sign(3), sign(-2)]\n### BEGIN HIDDEN TESTS\n"
            "int(got[0] == 1) + int(got[1] == -1)  # a point each\n### END HIDDEN TESTS",
        ),
        new_markdown_cell(
            "Why?\n\n### BEGIN MARK SCHEME\nany reason\n### END MARK SCHEME",
            metadata=_marked("essay", grade=True, solution=True, locked=False, points=2),
        ),
    ]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def make_course(root: Path, config: str = "") -> Course:
    """Write the course under `root` with more `config`, build its release, and return it."""
    folder = root / "source" / NAME
    folder.mkdir(parents=True)
    (root / "nbgrader_config.py").write_text(CONFIG + config)
    nbformat.write(source(), folder / f"{NAME}.ipynb")
    (folder / "misconceptions.py").write_text(MISCONCEPTIONS)
    course = Course(root)
    build(course, NAME)
    return course


def release(course: Course) -> dict[str, Any]:
    """Return the released notebook as JSON."""
    return json.loads((course.release(NAME) / f"{NAME}.ipynb").read_text())


def hand_in(
    course: Course, student: str, answers: dict[str, str] | None = None, **options: Any
) -> Path:
    """Hand in the release with some cells answered, by grade id; return the notebook's path.

    `change` is called with the notebook before it is written; `extra` are cells (place, text);
    `files` lie beside it (name, text).
    """
    notebook = release(course)
    for cell in notebook["cells"]:
        grade_id = cell["metadata"].get("nbgrader", {}).get("grade_id")
        if answers and grade_id in answers:
            cell["source"] = answers[grade_id]
    for place, text in options.get("extra", ()):
        cell = {"cell_type": "code", "id": f"new-{place}", "metadata": {}, "source": text}
        notebook["cells"].insert(place, cell | {"outputs": [], "execution_count": None})
    if "change" in options:
        options["change"](notebook)
    path = course.submitted(NAME, student) / f"{NAME}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook))
    for name, text in options.get("files", ()):
        (path.parent / name).parent.mkdir(parents=True, exist_ok=True)
        (path.parent / name).write_text(text)
    return path


RIGHT = {"double": DOUBLE, "total": TOTAL, "sign": SIGN, "essay": "Because."}


def gradebook_of(course: Course) -> dict[tuple[str, str], tuple]:
    """Return what the gradebook holds, by student and cell."""
    with Gradebook(course.db_url) as gradebook:
        return {
            (submission.student_id, grade.name): (
                *(grade.auto_score, grade.manual_score, grade.needs_manual_grade),
                notebook.late_submission_penalty,
            )
            for submission in gradebook.assignment_submissions(NAME)
            for notebook in submission.notebooks
            for grade in notebook.grades
        }

"""Whether honest submissions score with us what they score with stock nbgrader, cell by cell.

    python -m tests.parity [--only N] [--jobs N]

Hands in ps1 as a whole class would: the solution, the stub, every alternative, every misconception,
and partial work (seeded). Grades it with stock `nbgrader autograde` and with ours, and prints each
cell that differs. Stock gives 0 to a test cell during which anything is printed to stderr; its
kernels get a startup file that sends stderr nowhere, so that what is compared is the tests.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nbgrader.api import Gradebook

from autograder.build import build
from autograder.course import Course
from autograder.grade import grade
from autograder.variants import load
from benchmarks.grading import STOCK
from tests.demo.__main__ import hand_in, make_course
from tests.demo.students import ASSIGNMENT, CELLS, Notebook, Student, answer, class_of, solved_with

PARTIAL = 20
SILENT = "import os, sys\nsys.stderr = open(os.devnull, 'w')\n"

Scores = dict[tuple[str, str], float | None]
"""Automatic points by student and grade id."""

DIFFERENT: dict[tuple[str, str], str] = {}
"""Cells that are meant to differ, by student and grade id, with the reason."""


def the_class(course: Course) -> list[Student]:
    """Return everybody, in an order that puts unlike ones side by side."""
    known = {student.name: student for student in class_of(course)}
    students = [known["perfect"], known["untouched"]]
    for kind in ("alternatives", "misconceptions"):
        for variant in load(course.source(ASSIGNMENT) / f"{kind}.py"):
            name = f"{kind[:3]}-{variant.name.replace('_', '-')}"
            students.append(Student(name, variant.note, solved_with(course, kind, variant)))
    students += [_partial(course, number) for number in range(PARTIAL)]
    random.Random(0).shuffle(students)
    return students


def _partial(course: Course, number: int) -> Student:
    """Return who answered some questions rightly, some with a misconception, and left the rest."""
    chance = random.Random(number)
    path = course.source(ASSIGNMENT) / "misconceptions.py"
    wrong, text = load(path), path.read_text("utf-8")
    by_function = {name: [v for v in wrong if v.of == name] for name in CELLS}
    right = {student.name: student for student in class_of(course)}["perfect"].hand_in()
    release = json.loads((course.release(ASSIGNMENT) / f"{ASSIGNMENT}.ipynb").read_text("utf-8"))
    answers: dict[str, str] = {}
    for function, cell in CELLS.items():
        kind = chance.choice(["right", "right", "wrong", "left", "left"])
        if kind == "right":
            answers[cell] = next(
                "".join(c["source"])
                for c in right["cells"]
                if c["metadata"].get("nbgrader", {}).get("grade_id") == cell
            )
        elif kind == "wrong" and by_function[function]:
            answers[cell] = chance.choice(by_function[function]).as_cell(text)

    def handed_in() -> Notebook:
        return answer(release, **answers)

    return Student(f"partial-{number:02}", "partial work", handed_in)


def scores_of(course: Course) -> Scores:
    """Return what the gradebook holds."""
    with Gradebook(course.db_url) as gradebook:
        return {
            (submission.student_id, grade.name): grade.auto_score
            for submission in gradebook.assignment_submissions(ASSIGNMENT)
            for notebook in submission.notebooks
            for grade in notebook.grades
        }


def by_stock(course: Course, jobs: int) -> Scores:
    """Grade a class with `nbgrader autograde`, in `jobs` courses side by side."""
    home = course.root / "home"
    startup = home / ".ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "silent.py").write_text(SILENT)
    environment = {**os.environ, "HOME": str(home), "IPYTHONDIR": str(home / ".ipython")}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    environment.pop("JUPYTER_CONFIG_PATH", None)
    students = course.students(ASSIGNMENT)

    def part(number: int) -> Scores:
        root = course.root.with_name(f"{course.root.name}-{number}")
        shutil.copytree(course.root, root, ignore=shutil.ignore_patterns("submitted"))
        copy = Course(root)
        for student in students[number::jobs]:
            shutil.copytree(
                course.submitted(ASSIGNMENT, student), copy.submitted(ASSIGNMENT, student)
            )
        command = [sys.executable, "-m", "nbgrader", "autograde", ASSIGNMENT]
        done = subprocess.Popen(
            command, cwd=root, env=environment, stderr=subprocess.PIPE, text=True
        )
        assert done.stderr is not None
        lines = []
        for line in done.stderr:
            lines.append(line)
            if "Autograding" in line and sys.stderr.isatty():
                print(line.strip()[-76:], end="\r", file=sys.stderr)
        if done.wait() != 0:
            raise RuntimeError("".join(lines[-20:]))
        return scores_of(copy)

    with ThreadPoolExecutor(jobs) as threads:
        return {
            key: score for found in threads.map(part, range(jobs)) for key, score in found.items()
        }


def compare(folder: Path, only: int | None, jobs: int) -> tuple[int, list[str]]:
    """Grade a class both ways; return the number of cells and a line for each that differs."""
    ours = make_course(folder / "ours")
    build(ours, ASSIGNMENT)
    hand_in(ours, the_class(ours)[:only])
    stock = Course(Path(shutil.copytree(ours.root, folder / "stock")))
    (stock.root / "nbgrader_config.py").write_text(STOCK)
    refused = [r for r in grade(ours, ASSIGNMENT, jobs=jobs) if r.status != "graded"]
    if refused:
        raise RuntimeError(f"not graded: {refused}")
    theirs, mine = by_stock(stock, jobs), scores_of(ours)
    lines = [] if theirs.keys() == mine.keys() else ["the two gradebooks hold different cells"]
    for key in sorted(theirs.keys() & mine.keys()):
        if (theirs[key] != mine[key]) != (key in DIFFERENT):
            lines.append(f"{' '.join(key)}: nbgrader {theirs[key]}, ours {mine[key]}")
    return len(theirs), lines


def main() -> int:
    """Compare and print; return 1 if anything differs that is not listed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=int, help="this many submissions of the class")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cells, lines = compare(Path(folder), options.only, options.jobs)
    print("\n".join(lines))
    print(f"{cells} cells of {ASSIGNMENT}: {len(lines)} differ, {len(DIFFERENT)} are meant to")
    return bool(lines)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

"""Submissions a second: `course grade` beside stock `nbgrader autograde`, in one run.

    python -m benchmarks.grading [--submissions N] [--repeats R] [--jobs J]

Both grade the same right answers to ps1_word2vec into a new gradebook each time; the scores must
be equal, or the figure means nothing. Prints the median and the range of the ratio. Figures of two
machines, or of two runs, are not comparable: only the ratio within one run is.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nbgrader.api import Gradebook

from autograder.build import build
from autograder.course import Course
from tests.demo.students import ASSIGNMENT, class_of

REPOSITORY = Path(__file__).resolve().parents[1]
NBGRADER = (sys.executable, "-m", "nbgrader", "autograde")
COURSE = (str(Path(sys.executable).with_name("course")), "grade")
STOCK = """
c = get_config()
c.CourseDirectory.course_id = "nlp"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "assignments"
c.CourseDirectory.ignore = [
    "misconceptions.py", "alternatives.py", "equivalents.toml", "ps1_word2vec.py",
]
"""


def make_course(folder: Path, *, stock: bool, submissions: int) -> Course:
    """Make a course with a class of right answers."""
    folder.mkdir()
    if stock:
        (folder / "nbgrader_config.py").write_text(STOCK)
    else:
        shutil.copy(REPOSITORY / "nbgrader_config.py", folder)
    shutil.copytree(
        REPOSITORY / "solutions" / ASSIGNMENT,
        folder / "solutions" / ASSIGNMENT,
        ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"),
    )
    course = Course(folder)
    build(course, ASSIGNMENT)
    perfect = next(student for student in class_of(course) if student.name == "perfect")
    for number in range(submissions):
        path = course.submitted(ASSIGNMENT, f"student{number:04}") / f"{ASSIGNMENT}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(perfect.hand_in()))
    return course


def run(course: Course, *command: str) -> tuple[float, dict[str, float]]:
    """Run a grading command; return its wall time in seconds and the scores it saved."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = time.monotonic()
    subprocess.run(
        list(command),
        cwd=course.root,
        env=environment,
        check=True,
        capture_output=True,
    )
    seconds = time.monotonic() - started
    with Gradebook(course.db_url, "nlp") as gradebook:
        rows = gradebook.assignment_submissions(ASSIGNMENT)
        scores = {row.student.id: row.score for row in rows}
    return seconds, scores


def compare(submissions: int, jobs: int) -> tuple[float, float]:
    """Grade one class both ways; return the submissions a second of (nbgrader, ours)."""
    with tempfile.TemporaryDirectory() as scratch:
        theirs = make_course(Path(scratch) / "stock", stock=True, submissions=submissions)
        ours = make_course(Path(scratch) / "ours", stock=False, submissions=submissions)
        stock_seconds, stock_scores = run(theirs, *NBGRADER, ASSIGNMENT)
        our_seconds, our_scores = run(ours, *COURSE, ASSIGNMENT, "--jobs", str(jobs))
    if stock_scores != our_scores or len(our_scores) != submissions:
        sys.exit(f"the scores differ: nbgrader {stock_scores}, ours {our_scores}")
    return submissions / stock_seconds, submissions / our_seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submissions", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    ratios = []
    for _ in range(options.repeats):
        stock, ours = compare(options.submissions, options.jobs)
        ratios.append(ours / stock)
        print(f"nbgrader {stock:6.2f}/s   course grade {ours:6.2f}/s   ratio {ratios[-1]:5.1f}")
    print(
        f"{options.submissions} submissions of {ASSIGNMENT}, equal scores, {options.jobs} jobs: "
        f"course grade is {statistics.median(ratios):.1f} times as fast as nbgrader autograde "
        f"(median of {options.repeats}; {min(ratios):.1f} to {max(ratios):.1f})"
    )


if __name__ == "__main__":
    main()

"""Run the demo: build, hand in, grade, give feedback, plot; say who got what and what is next."""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from pathlib import Path

import matplotlib

matplotlib.use("agg")

from rich.console import Console

from autograder import show
from autograder.build import build
from autograder.course import Course
from autograder.errors import CourseError
from autograder.feedback import feedback
from autograder.grade import Result, grade
from tests.demo.students import ASSIGNMENT, Student, as_bytes, class_of

REPOSITORY = Path(__file__).resolve().parents[2]
console = Console()


def make_course(folder: Path, assignment: str = ASSIGNMENT) -> Course:
    """Make a course of its own in `folder`: the demo must not touch a real gradebook."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in ("nbgrader_config.py", "requirements.lock"):
        shutil.copy(REPOSITORY / name, folder)
    shutil.copytree(
        REPOSITORY / "solutions" / assignment,
        folder / "solutions" / assignment,
        ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"),
    )
    return Course(folder)


def hand_in(
    course: Course, students: list[Student], assignment: str = ASSIGNMENT
) -> dict[str, str]:
    """Write what each student handed in; return the files' digests."""
    digests = {}
    for student in students:
        path = course.submitted(assignment, student.name) / f"{assignment}.ipynb"
        path.parent.mkdir(parents=True)
        data = as_bytes(student.hand_in())
        path.write_bytes(data)
        digests[student.name] = hashlib.sha256(data).hexdigest()
    return digests


def judge(student: Student, result: Result) -> str:
    """Say how a result differs from what the student deserves; nothing if it does not."""
    if (result.status == "refused") != student.refused:
        return f"{student.name} was {result.status}"
    wrong = []
    for name, (score, points) in result.questions.items():
        if score is None:
            continue
        lost = student.nothing or name in student.loses
        if (score < (points or 0)) != lost or (student.nothing and score):
            wrong.append(f"{name} {score:g}/{points:g}")
    return f"{student.name} got {', '.join(wrong)}" if wrong else ""


def outcome(result: Result) -> str:
    """Say what came of a submission, as the README's table does."""
    if result.status == "refused":
        return "refused"
    if not result.score:
        return "no points"
    lost = [
        f"{name} {score:g} of {points:g}"
        for name, (score, points) in result.questions.items()
        if score is not None and points is not None and score < points
    ]
    if not lost:
        return "all points"
    return f"loses {', '.join(lost)}" + (", and gets the hint" if result.hints else "")


def plot(results: list[Result], path: Path) -> str:
    """Draw everybody's points by kind of outcome; return the picture's text."""
    import matplotlib.pyplot as plt

    graded = [result for result in results if result.status != "refused"]
    whole = max(r.max_score for r in graded)
    figure, axes = plt.subplots(figsize=(7, 0.32 * len(graded) + 1.2), layout="constrained")
    names = [result.student for result in graded][::-1]
    scores = [result.score for result in graded][::-1]
    axes.barh(names, scores, color="#0072b2")
    axes.barh(names, [whole - s for s in scores], left=scores, color="#dddddd", hatch="//")
    for place, score in enumerate(scores):
        axes.annotate(f"{score:g}", (score, place), (4, 0), textcoords="offset points", va="center")
    full = sum(score == max(scores) for score in scores)
    none = sum(score == 0 for score in scores)
    title = f"{full} of {len(graded)} have every point that a machine can give, {none} have none"
    axes.set(title=title, xlabel=f"points of {whole:g} (the rest is graded by hand or lost)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return title


def main(folder: Path) -> int:
    """Run it all in `folder`; return 0 if everybody got what they deserve."""
    started = time.monotonic()
    console.print(f"[bold]$ course build {ASSIGNMENT}[/]")
    course = make_course(folder)
    built = build(course, ASSIGNMENT)
    students = class_of(course)
    digests = hand_in(course, students)
    console.print(f"built {', '.join(built.files)}; {len(students)} students hand in\n")
    console.print(f"[bold]$ course grade {ASSIGNMENT}[/]")
    began = time.monotonic()
    with show.counting("grading") as counter:
        results = grade(
            course,
            ASSIGNMENT,
            watch=lambda result, total: counter.count(total, failed=result.status == "refused"),
        )
    show.results(course, ASSIGNMENT, results, time.monotonic() - began)

    console.print(f"\n[bold]$ course feedback {ASSIGNMENT}[/]")
    with show.counting("feedback") as counter:
        pages = feedback(
            course, ASSIGNMENT, watch=lambda page, total: counter.count(total, failed=not page.path)
        )
    place = folder.name
    console.print(f"{len(pages)} pages: {place}/feedback/STUDENT/{ASSIGNMENT}/{ASSIGNMENT}.html")
    text = plot(results, folder / "scores.png")
    line = f"plot of the scores: {place}/scores.png ({text})\n"
    console.print(line, highlight=False, soft_wrap=True)

    by_name = {student.name: student for student in students}
    failures = [said for r in results if (said := judge(by_name[r.student], r))]
    for name, digest in digests.items():
        path = course.submitted(ASSIGNMENT, name) / f"{ASSIGNMENT}.ipynb"
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            failures.append(f"the file of {name} was changed")
    for said in failures:
        console.print(f"[red]not as deserved:[/] {said}")
    if not failures:
        console.print("everybody got what they deserve, and no file was changed")
    console.print(f"{time.monotonic() - started:.0f} s in all")
    console.print(
        f"\nnext: [bold]cd {place} && ../.venv/bin/jupyter lab[/]\n"
        "then the menu Nbgrader > Formgrader, to read submissions and grade the written answers",
        highlight=False,
    )
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main(REPOSITORY / "demo"))
    except CourseError as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        sys.exit(130)

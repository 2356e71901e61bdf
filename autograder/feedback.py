"""`course feedback`: what each student sees of their grades, as HTML; several pages at a time.

nbgrader's own converter and template do the work, with `autograder.seam.HideTests` in between and
a table of contents of ours.
"""

from __future__ import annotations

import glob
import logging
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autograder.alarm import OutOfTime, time_limit
from autograder.course import Course
from autograder.errors import CourseError, UsageError

PAGE_SECONDS = 60.0
"""Time for one page: a student's Markdown must not keep the class from its feedback."""

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Page:
    """One student's feedback: where it is, or why there is none."""

    student: str
    path: Path | None
    message: str = ""


Watch = Callable[[Page, int], None]


def feedback(
    course: Course,
    assignment: str,
    students: Iterable[str] = (),
    *,
    jobs: int | None = None,
    watch: Watch = lambda page, total: None,
) -> list[Page]:
    """Write the feedback of everybody whose submission was graded; return the pages, by name."""
    course.check_assignment(assignment)
    names = sorted(set(students)) or graded_students(course, assignment)
    missing = [name for name in names if not course.autograded(assignment, name).is_dir()]
    if missing and students:
        raise UsageError(
            f"{', '.join(missing)} has no graded {assignment}: run `course grade {assignment}`"
        )
    if not names:
        raise CourseError(f"nothing is graded in {assignment}: run `course grade {assignment}`")
    pages: dict[str, Page] = {}
    for page in _pages(course.root, assignment, names, jobs or len(os.sched_getaffinity(0))):
        pages[page.student] = page
        watch(page, len(names))
    return [pages[name] for name in names]


def _pages(root: Path, assignment: str, names: list[str], jobs: int) -> Iterator[Page]:
    """Write pages as they come, `jobs` at a time.

    A process that is killed, for its memory say, takes the others' with it: then one at a time is
    written, in order, until it is known whose page it was.
    """
    # Spawned and not forked: the caller may have threads.
    context = multiprocessing.get_context("spawn")
    waiting, one_by_one = list(names), False
    while waiting:
        workers = 1 if one_by_one else min(jobs, len(waiting))
        with ProcessPoolExecutor(workers, context) as pool:
            try:
                futures = [pool.submit(write_page, root, assignment, name) for name in waiting]
                for future in as_completed(futures):
                    with suppress(BrokenProcessPool):
                        page = future.result()
                        waiting.remove(page.student)
                        yield page
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        if waiting and one_by_one:
            name = waiting.pop(0)
            yield Page(name, None, f"no feedback for {name}: the process that wrote it was killed")
        one_by_one = not one_by_one


def graded_students(course: Course, assignment: str) -> list[str]:
    """Names of the students whose submission has been graded, sorted."""
    parent = course.autograded(assignment, "x").parent.parent
    if not parent.is_dir():
        return []
    return sorted(
        child.name
        for child in parent.iterdir()
        if course.autograded(assignment, child.name).is_dir()
    )


def write_page(root: Path, assignment: str, student: str) -> Page:
    """Write one student's feedback."""
    import nbgrader
    from nbgrader.converters import GenerateFeedback
    from nbgrader.coursedir import CourseDirectory

    course = Course(root)
    theirs = Path(nbgrader.__file__).parent / "server_extensions" / "formgrader" / "templates"
    course.config.HTMLExporter.template_name = "verdicts"
    course.config.HTMLExporter.extra_template_basedirs = [str(TEMPLATES), str(theirs)]
    directory = CourseDirectory(config=course.config)
    directory.assignment_id = assignment
    directory.student_id = glob.escape(student)
    converter = GenerateFeedback(coursedir=directory, config=course.config)
    # Where our template finds the one that it extends, beside what the converter itself needs.
    paths = [*converter.config.HTMLExporter.extra_template_paths, str(theirs)]
    converter.config.HTMLExporter.extra_template_paths = paths
    converter.force = True
    converter.log.setLevel(logging.CRITICAL)
    folder = course.feedback(assignment, student)
    try:
        with time_limit(PAGE_SECONDS):
            converter.start()
    except OutOfTime:
        shutil.rmtree(folder, ignore_errors=True)  # as nbgrader does with what failed
        return Page(student, None, f"no feedback for {student}: not done in {PAGE_SECONDS:g} s")
    except Exception as error:
        reason = str(error) or type(error).__name__
        return Page(student, None, f"no feedback for {student}: {reason.splitlines()[0]}")
    # By name: a student's own page may lie beside the notebook.
    graded = sorted(course.autograded(assignment, student).glob("*.ipynb"))
    found = [folder / f"{notebook.stem}.html" for notebook in graded]
    if not found or not all(page.is_file() for page in found):
        return Page(student, None, f"no feedback for {student}: nothing was written")
    return Page(student, found[0])

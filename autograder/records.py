"""Results into nbgrader's own gradebook: scores, comments, late penalties; a batch at a time.

The only module that writes the gradebook. It is given numbers and names, never a notebook to read
results from: nbgrader's way of reading scores out of outputs fails open.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook, InvalidEntry, MissingEntry, SubmittedNotebook
from nbgrader.plugins import LateSubmissionPlugin
from sqlalchemy.exc import DBAPIError

from autograder.course import Course
from autograder.errors import CourseError


@dataclass(frozen=True)
class NotebookScores:
    """What one notebook of one submission came to."""

    assignment: str
    student: str
    notebook: str
    scores: dict[str, float | None]
    """Points by grade id; None where a person decides."""
    unchanged: frozenset[str]
    """Solution cells without an answer."""
    timestamp: datetime | None = None


@contextmanager
def open_gradebook(course: Course) -> Iterator[Gradebook]:
    """Open the course's gradebook; its errors become one line with the mend."""
    file = course.db_url.removeprefix("sqlite:///")
    if file != course.db_url and not Path(file).is_file():
        raise CourseError(f"there is no gradebook {file}: run `course build`")
    log = logging.getLogger("tornado.application")  # where nbgrader prints a traceback of its own
    log.disabled, before = True, log.disabled
    try:
        with Gradebook(course.db_url, course.directory.course_id) as gradebook:
            yield gradebook
    except DBAPIError as error:
        raise CourseError(_explain(course, str(error.orig))) from None
    except InvalidEntry as error:  # nbgrader's word for what the database refused
        raise CourseError(_explain(course, str(error))) from None
    finally:
        log.disabled = before


def _explain(course: Course, reason: str) -> str:
    where = course.db_url.removeprefix("sqlite:///")
    if "locked" in reason:
        mend = "another program is writing it; wait or close it, and run the command again"
    elif "full" in reason:
        mend = "free some space and run the command again"
    elif "readonly" in reason or "unable to open" in reason:
        mend = "check the permissions of the file and its folder"
    elif "not a database" in reason or "malformed" in reason:
        mend = "restore it from a backup; the file was not changed"
    else:
        mend = "what was saved before stays saved"
    return f"gradebook {where}: {reason}; {mend}"


def check_assignment(gradebook: Gradebook, assignment: str, notebooks: list[str]) -> None:
    """Raise CourseError unless the gradebook knows the assignment and its notebooks."""
    try:
        known = {notebook.name for notebook in gradebook.find_assignment(assignment).notebooks}
    except MissingEntry:
        known = set()
    missing = sorted(set(notebooks) - known)
    if missing:
        raise CourseError(
            f"the gradebook does not know {', '.join(missing)} of {assignment}: "
            f"run `course build {assignment}`"
        )


def with_autotests(course: Course, assignment: str, source: Path) -> bytes:
    """Return a source notebook with the tests that nbgrader made of its `### AUTOTEST` lines.

    `nbgrader generate_assignment` runs the solution to make them, and keeps them in the gradebook;
    in the source, such a line is a comment, and a cell of comments passes for everybody.
    """
    notebook = json.loads(source.read_bytes())
    with open_gradebook(course) as gradebook:
        check_assignment(gradebook, assignment, [source.stem])
        made = gradebook.find_notebook(source.stem, assignment).source_cells
        texts = {cell.name: cell.source for cell in made}
    for cell in notebook["cells"]:
        mark = cell["metadata"].get("nbgrader", {})
        if mark.get("grade") and not mark.get("solution") and "AUTOTEST" in "".join(cell["source"]):
            cell["source"] = texts[mark["grade_id"]]
    return json.dumps(notebook).encode()


def recorded(gradebook: Gradebook, assignment: str) -> set[str]:
    """Names of the students for whom the gradebook has a submission of `assignment`."""
    return {found.student_id for found in gradebook.assignment_submissions(assignment)}


def save(gradebook: Gradebook, results: list[NotebookScores], late: LateSubmissionPlugin) -> None:
    """Write a batch of results in one transaction: all of it or nothing."""
    with gradebook.db.no_autoflush:
        _save(gradebook, results, late)
    gradebook.db.commit()


def _save(gradebook: Gradebook, results: list[NotebookScores], late: LateSubmissionPlugin) -> None:
    for result in results:
        gradebook.update_or_create_student(result.student)
        when: dict[str, Any] = {"timestamp": result.timestamp} if result.timestamp else {}
        submission = gradebook.update_or_create_submission(
            result.assignment, result.student, **when
        )
        notebook = next(n for n in submission.notebooks if n.name == result.notebook)
        fill(notebook, result)
        if submission.total_seconds_late > 0:
            # The penalty is bounded by the score, which the database sums up.
            gradebook.db.flush()
            gradebook.db.expire(notebook, ["score"])
        _penalize(notebook, result, submission.total_seconds_late, late)


def fill(notebook: SubmittedNotebook, result: NotebookScores) -> None:
    """Set the scores and automatic comments of one notebook; the caller commits."""
    source = notebook.notebook
    # By id: a grade's own `name` is a query for each cell of each student.
    cells = [*source.grade_cells, *source.task_cells, *source.solution_cells]
    names = {cell.id: cell.name for cell in cells}
    for grade in notebook.grades:
        # A cell without a verdict is not graded: no old score stands in for it.
        grade.auto_score = result.scores.get(names[grade.cell_id])
        grade.needs_manual_grade = grade.manual_score is not None or grade.auto_score is None
    for comment in notebook.comments:
        unanswered = names[comment.cell_id] in result.unchanged
        comment.auto_comment = "No response." if unanswered else None


def _penalize(
    notebook: SubmittedNotebook, result: NotebookScores, late: float, plugin: LateSubmissionPlugin
) -> None:
    notebook.late_submission_penalty = None
    if late > 0:
        penalty = plugin.late_submission_penalty(result.student, notebook.score, late)
        if penalty is not None:
            notebook.late_submission_penalty = min(max(penalty, 0), notebook.score)


def late_plugin(course: Course) -> LateSubmissionPlugin:
    """Return the plugin for late submissions that the course configures (default: none)."""
    from nbgrader.preprocessors import AssignLatePenalties

    step = AssignLatePenalties(config=course.config)
    step.init_plugin()
    return step.plugin_inst

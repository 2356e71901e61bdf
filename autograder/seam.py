"""Where the engine plugs into nbgrader: for `nbgrader_config.py`, three preprocessors and a reader.

With them, `nbgrader autograde`, the formgrader's Autograde and Generate Feedback buttons and
`course grade` and `course feedback` all go the same way. They may run inside a server; no code of
a course runs in here: the interpreters that do are executed, not forked.
"""

from __future__ import annotations

import atexit
import html
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import ClearHiddenTests, NbGraderPreprocessor
from nbgrader.preprocessors.clearmarkingscheme import ClearMarkScheme
from traitlets import Integer

from autograder import records
from autograder.course import Course
from autograder.errors import CourseError, SubmissionError
from autograder.grade import MARK, Setup
from autograder.grader import inert, unlinked
from autograder.handed_in import check_folder, read_regular
from autograder.pool import Pool
from autograder.sheet import MAX_NOTEBOOK_BYTES, Sheet, pictures
from autograder.wall import checked_outputs

Resources = dict[str, Any]


_kept: dict[tuple[Path, str], tuple[Setup, Pool]] = {}


def _pool(course: Course, assignment: str) -> tuple[Setup, Pool]:
    """One job for an assignment as it is now; kept, since a converter grades a class in a row.

    One pool at a time: a server would otherwise hold those of every version of every assignment.
    """
    setup = Setup.read(course, assignment)
    kept = _kept.get((course.root, assignment))
    if kept is None or kept[0].digest != setup.digest:
        _drop_pool()
        _kept[course.root, assignment] = kept = setup, Pool(1, setup.message, setup.modules)
    return kept


@atexit.register
def _drop_pool() -> None:
    while _kept:
        _kept.popitem()[1][1].close()


def _course(step: Any) -> Course:
    root = Path(CourseDirectory(parent=step).root or ".").resolve()
    return Course.configured(root, step.config)


class Exporter(NotebookExporter):
    """In the place of nbgrader's: never opens what a student handed in, which may be anything.

    What nbgrader reads to sanitize it and to hand it to `Execute` is our release of the notebook;
    `Execute` hands the student's bytes to a limited process. With `--no-execute` the student's
    own is read, within limits.
    """

    def from_filename(
        self, filename: str, resources: Resources | None = None, **options: Any
    ) -> tuple[NotebookNode, Resources]:
        """Read a notebook on its way from submitted/ to autograded/."""
        about = (resources or {})["nbgrader"]
        if Execute(parent=self).enabled:
            release = _course(self).release(about["assignment"])
            filename = str(release / f"{about['notebook']}.ipynb")
        else:
            read_regular(Path(filename), MAX_NOTEBOOK_BYTES)
        return super().from_filename(filename, resources, **options)


class Execute(NbGraderPreprocessor):
    """In the place of nbgrader's `Execute`: grades the file that the student handed in."""

    timeout = Integer(
        None, allow_none=True, help="Wall time of one cell, in seconds, as c.Grading.cell_seconds."
    ).tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        """Return the graded notebook; the scores go to `SaveAutoGrades` by `resources`."""
        course = _course(self)
        about = resources["nbgrader"]
        assignment, student, name = about["assignment"], about["student"], about["notebook"]
        setup, pool = _pool(course, assignment)
        folder = course.submitted(assignment, student)
        check_folder(folder)
        files, left_out = setup.helpers(folder)
        path = folder / f"{name}.ipynb"
        task = {
            "notebook": name,
            "data": read_regular(path, MAX_NOTEBOOK_BYTES),
            "where": os.path.relpath(path, course.root),
            "files": files,
            "notes": [left_out] if left_out else [],
        }
        try:
            ((_, kind, answer),) = pool.map([(student, task)])
        except BaseException:
            _drop_pool()  # it may owe an answer: the next submission gets a new one
            raise
        if kind == "refused":
            raise SubmissionError(answer)
        if kind != "graded":
            raise CourseError(str(answer).splitlines()[0])
        for line in [*answer["caveats"], *answer["notes"]]:
            self.log.warning("%s: %s", path, line)
        resources["autograder"] = answer
        return nbformat.reads(answer["notebook"], as_version=4), resources


class SaveAutoGrades(NbGraderPreprocessor):
    """In the place of nbgrader's: takes the scores from the grader and not from outputs."""

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        """Write this notebook's scores and automatic comments into the gradebook."""
        about = resources["nbgrader"]
        graded = resources.get("autograder")
        if graded is None:
            # `--no-execute`: nothing is graded, and what was handed in is shown as it is.
            graded = {"scores": [], "unchanged": []}
            _sanitize(nb, _course(self), about["assignment"], about["notebook"])
        result = records.NotebookScores(
            assignment=about["assignment"],
            student=about["student"],
            notebook=about["notebook"],
            scores={score["grade_id"]: score["score"] for score in graded["scores"]},
            unchanged=frozenset(graded["unchanged"]),
        )
        with Gradebook(about["db_url"]) as gradebook:
            records.fill(
                gradebook.find_submission_notebook(
                    result.notebook, result.assignment, result.student
                ),
                result,
            )
            gradebook.db.commit()
        return nb, resources


def _sanitize(nb: NotebookNode, course: Course, assignment: str, notebook: str) -> None:
    """Leave nothing in a student's notebook that runs in the browser of whoever looks at it."""
    places = (step(assignment) / f"{notebook}.ipynb" for step in (course.source, course.release))
    ours = {text for c in Sheet.load(assignment, *places).cells for text in (c.source, c.release)}
    kernel = nb.metadata.get("kernelspec")  # nbgrader has put the source's in
    nb.metadata = nbformat.from_dict({"kernelspec": kernel} if kernel else {})
    for cell in nb.cells:
        cell.metadata = nbformat.from_dict(
            {key: cell.metadata[key] for key in ("nbgrader",) if key in cell.metadata}
        )
        if cell.cell_type == "code":
            plain = json.loads(json.dumps(cell.outputs))  # dicts alone pass, no class of nbformat's
            cell.outputs = nbformat.from_dict(checked_outputs(plain))
        else:
            kept = pictures(cell.pop("attachments", None))
            if kept:
                cell.attachments = nbformat.from_dict(kept)
            if cell.source not in ours:
                cell.source = inert(cell.cell_type, cell.source)
            cell.source = unlinked(cell.source, kept)


class HideTests(NbGraderPreprocessor):
    """Takes hidden tests, and what they showed, out of a feedback page; puts verdicts in.

    A function that a hidden test called may remember with what, and any later cell may print it, so
    from the first hidden test on a page shows no output but verdicts. Their own notebook has them.
    """

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        """Treat the cells of an autograded notebook, in their order."""
        if "nbgrader" in resources:
            _remove_copies(_course(self), **resources["nbgrader"])
        hidden_before = False
        for cell in nb.cells:
            hidden_before |= self._treat(cell, hidden_before=hidden_before)
        return nb, resources

    def _treat(self, cell: NotebookNode, *, hidden_before: bool) -> bool:
        """Treat one cell; return whether it holds a hidden test."""
        mark = cell.metadata.get("nbgrader", {})
        ours = (mark.get("grade") and not mark.get("solution")) or mark.get("task")
        hidden = bool(ours) and _Hidden(parent=self).take_out(cell)
        if cell.cell_type != "code":
            return hidden
        verdict = cell.metadata.get("autograder") if ours else None
        if hidden or hidden_before or (ours and verdict is None):
            cell.outputs = []
        if verdict is not None:
            cell.outputs = [_verdict(verdict), *cell.outputs]
        return hidden


def _remove_copies(course: Course, assignment: str, student: str, notebook: str, **_: Any) -> None:
    """Remove what must not be released from what nbgrader copied beside the feedback page.

    It copies all that lies beside the graded notebook, our mark too, and releases every *.html:
    that of a student's would be published, and one that is a folder would stop the class's.
    """
    folder = course.feedback(assignment, student)
    pages = {f"{path.stem}.html" for path in course.autograded(assignment, student).glob("*.ipynb")}
    for path in [folder / MARK, *folder.glob("*.html")]:
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in pages - {f"{notebook}.html"}:
            path.unlink(missing_ok=True)


class _Hidden(ClearHiddenTests):
    """Nbgrader's way to find hidden regions, for one cell at a time."""

    def take_out(self, cell: NotebookNode) -> bool:
        """Remove hidden tests and marking schemes; return whether there was a hidden test."""
        found = self._remove_hidden_test_region(cell)
        ClearMarkScheme(parent=self)._remove_mark_scheme_region(cell)
        return bool(found)


_COLORS = {"passed": "success", "partial": "warning", "manual": "info"}


def _verdict(verdict: dict[str, Any]) -> NotebookNode:
    """Say what came of a test cell, in words that the grader chose for the student."""
    status, message = str(verdict.get("status", "")), str(verdict.get("message", ""))
    hints = [str(hint) for hint in verdict.get("hints", [])]
    words = f"{status}: {message}" if message else status
    parts = [f"<strong>{html.escape(words)}</strong>"]
    parts += [f"<p>Hint: {_inline(hint)}</p>" for hint in hints]
    color = _COLORS.get(status, "danger")
    text = "\n".join([words, *(f"Hint: {hint}" for hint in hints)])
    return nbformat.v4.new_output(
        "display_data",
        data={
            "text/html": f'<div class="alert alert-{color}" role="note">{"".join(parts)}</div>',
            "text/plain": text,
        },
    )


def _inline(hint: str) -> str:
    """Return a hint as HTML, with its `code` marked."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(hint))

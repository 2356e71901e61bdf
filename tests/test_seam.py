"""nbgrader's own commands and buttons go through the engine, and give what `course grade` gives."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import tiny
from nbgrader.api import Gradebook
from nbgrader.coursedir import CourseDirectory
from tiny import NAME, RIGHT
from traitlets.config import Config
from traitlets.config.loader import DeferredConfigString

from autograder import grade as grading
from autograder import seam
from autograder.build import build
from autograder.course import Course
from autograder.errors import CourseError
from autograder.settings import Grading

NBGRADER = Path(sys.executable).parent / "nbgrader"
CONFIG = """
c.Grading.cell_seconds = 2
from nbgrader.plugins import LateSubmissionPlugin
class OnePointAnHour(LateSubmissionPlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return total_seconds_late // 3600
c.AssignLatePenalties.plugin_class = OnePointAnHour
"""
FORGED = "get_ipython().input_transformers_cleanup.append(lambda lines: [])\ndouble = total = len"
LATE = "2026-03-01 02:30:00.0 UTC"


def drop_tests(notebook: dict) -> None:
    def is_test(cell: dict) -> bool:
        return cell["metadata"].get("nbgrader", {}).get("grade", False)

    notebook["cells"] = [cell for cell in notebook["cells"] if not is_test(cell)]


STUDENTS = {
    "right": (RIGHT, {}),
    "late": (RIGHT, {"files": [("timestamp.txt", LATE)]}),
    "very_late": ({}, {"files": [("timestamp.txt", LATE)]}),
    "partial": ({**RIGHT, "sign": "def sign(x): return 1"}, {}),
    "noisy": ({**RIGHT, "double": f"import warnings\nwarnings.warn('!')\n{tiny.DOUBLE}"}, {}),
    "stub": ({}, {}),
    "forged": ({"double": FORGED, "total": "total = len", "sign": "sign = len"}, {}),
    "no_tests": (RIGHT, {"change": drop_tests}),
    "loop": ({**RIGHT, "total": "def total(values):\n    while True: pass"}, {}),
    "own_file": (
        {**RIGHT, "double": "from tools import double"},
        {"files": [("tools.py", tiny.DOUBLE)]},
    ),
}


def nbgrader(course: Course, *arguments: str) -> str:
    done = subprocess.run(
        [NBGRADER, *arguments], cwd=course.root, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> tuple[Course, Course]:
    """One class graded by `course grade`, and a copy of it by `nbgrader autograde`."""
    root = tmp_path_factory.mktemp("seam")
    ours = tiny.make_course(root / "ours", CONFIG)
    (ours.root / "gradebook.secret").write_text("s" * 60)
    with Gradebook(ours.db_url) as gradebook:
        gradebook.update_or_create_assignment(NAME, duedate="2026-03-01 00:00:00")
    for student, (answers, options) in STUDENTS.items():
        tiny.hand_in(ours, student, answers, **options)
    theirs = Course(Path(shutil.copytree(ours.root, root / "theirs")))
    grading.grade(ours, NAME, jobs=2)
    nbgrader(theirs, "autograde", NAME)
    return ours, theirs


def test_nbgraders_command_gives_the_same_scores(both) -> None:
    ours, theirs = (tiny.gradebook_of(course) for course in both)
    assert {student for student, _ in ours} == set(STUDENTS)
    assert theirs == ours


def test_nbgraders_command_writes_the_same_notebooks(both) -> None:
    def cells(course: Course, student: str) -> list:
        path = course.autograded(NAME, student) / f"{NAME}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        return [
            (cell.source, cell.get("outputs"), cell.metadata.get("autograder"))
            for cell in notebook.cells
        ]

    for student in STUDENTS:
        assert cells(both[0], student) == cells(both[1], student), student


def test_a_forged_pass_gains_nothing_by_either_way(both) -> None:
    for course in both:
        scores = {
            cell: row[0]
            for (who, cell), row in tiny.gradebook_of(course).items()
            if who == "forged"
        }
        assert sum(score or 0 for score in scores.values()) == 0, scores


def test_a_deleted_test_is_put_back_and_a_warning_costs_nothing_by_either_way(both) -> None:
    for course in both:
        book = tiny.gradebook_of(course)
        for student in ("no_tests", "noisy"):
            assert book[student, "total_hidden"][0] == 3.0
            assert book[student, "double_hidden"][0] == 2.0


def test_a_late_penalty_is_the_plugins_and_never_more_than_the_score(both) -> None:
    for course in both:
        book = tiny.gradebook_of(course)
        assert book["late", "total_hidden"][3] == 2.0  # two and a half hours
        assert book["very_late", "total_hidden"][3] == 0.0  # of a score of 0
        assert book["right", "total_hidden"][3] is None


def test_feedback_by_nbgraders_command_shows_no_hidden_test(both) -> None:
    _, theirs = both
    nbgrader(theirs, "generate_feedback", NAME)
    for student in STUDENTS:
        (path,) = theirs.feedback(NAME, student).glob("*.html")
        page = path.read_text()
        assert "expected_secret" not in page
        assert "HIDDEN TESTS" not in page
        assert "MARK SCHEME" not in page
        assert re.search(r"passed|failed|not attempted|timed out", page)


@pytest.fixture
def course(both, tmp_path) -> Course:
    return Course(Path(shutil.copytree(both[0].root, tmp_path / "course")))


def test_a_manual_grade_and_comment_are_kept_when_graded_again(course) -> None:
    with Gradebook(course.db_url) as gradebook:
        essay = gradebook.find_grade("essay", NAME, NAME, "right")
        essay.manual_score, essay.needs_manual_grade = 1.5, False
        gradebook.find_comment("essay", NAME, NAME, "right").manual_comment = "Good."
        test = gradebook.find_grade("total_hidden", NAME, NAME, "partial")
        test.manual_score, test.extra_credit = 1.0, 0.5
        gradebook.db.commit()
    grading.grade(course, NAME, ["right", "partial"], jobs=1, force=True)
    book = tiny.gradebook_of(course)
    # As nbgrader does: kept, and shown to the person again.
    assert book["right", "essay"] == (None, 1.5, True, None)
    assert book["partial", "total_hidden"] == (3.0, 1.0, True, None)
    with Gradebook(course.db_url) as gradebook:
        comment = gradebook.find_comment("essay", NAME, NAME, "right")
        assert (comment.manual_comment, comment.auto_comment) == ("Good.", None)
        assert gradebook.find_grade("total_hidden", NAME, NAME, "partial").extra_credit == 0.5


def test_a_later_submission_of_the_same_answers_is_graded_again_for_its_penalty(course) -> None:
    (course.submitted(NAME, "right") / "timestamp.txt").write_text("2026-03-01 05:10:00 UTC")
    (result,) = grading.grade(course, NAME, ["right"], jobs=1)
    assert result.status == "graded"
    assert tiny.gradebook_of(course)["right", "total_hidden"][3] == 5.0


def test_what_nbgrader_graded_can_be_graded_by_course_and_the_other_way(both, tmp_path) -> None:
    theirs = Course(Path(shutil.copytree(both[1].root, tmp_path / "course")))
    before = tiny.gradebook_of(theirs)
    (result,) = grading.grade(theirs, NAME, ["partial"], jobs=1)
    assert result.status == "graded"  # by nbgrader before: there is no mark of ours
    assert tiny.gradebook_of(theirs) == before


def test_a_refused_submission_is_nbgraders_failure_and_not_the_classes(both, tmp_path) -> None:
    course = Course(Path(shutil.copytree(both[0].root, tmp_path / "course")))
    shutil.rmtree(course.root / "autograded")
    (course.submitted(NAME, "stub") / f"{NAME}.ipynb").write_text(
        nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]))
    )
    # nbgrader's own way would read all of the first, and recurse into the second.
    with (course.submitted(NAME, "partial") / f"{NAME}.ipynb").open("r+b") as file:
        file.truncate(2**31)
    (course.submitted(NAME, "loop") / f"{NAME}.ipynb").write_text('{"a":' * 10**6)
    done = subprocess.run(
        [NBGRADER, "autograde", NAME], cwd=course.root, capture_output=True, text=True, timeout=240
    )
    assert done.returncode != 0
    assert "another assignment" in done.stderr
    for student, words in (
        ("stub", "none of the cells"),
        ("partial", r"has 2048 MiB \(limit 32\)"),
        ("loop", "not JSON"),
    ):
        assert re.search(f"SubmissionError: .*{student}.*{words}", done.stderr)
        assert not (course.autograded(NAME, student)).exists()
    assert (course.autograded(NAME, "right") / f"{NAME}.ipynb").is_file()


def test_a_pool_that_was_killed_is_replaced_for_the_next_submission(course, monkeypatch) -> None:
    monkeypatch.chdir(course.root)

    def grade_one() -> dict:
        about = {"assignment": NAME, "student": "right", "notebook": NAME}
        config = Config(course.config)
        directory = CourseDirectory(config=config)
        step = seam.Execute(parent=directory)
        _, resources = step.preprocess(nbformat.v4.new_notebook(), {"nbgrader": about})
        return {score["grade_id"]: score["score"] for score in resources["autograder"]["scores"]}

    try:
        before = grade_one()
        assert before["total_hidden"] == 3.0
        assert len(seam._kept) == 1
        ((_, pool),) = seam._kept.values()
        for process in pool._processes:
            process.kill()
            process.wait()
        with pytest.raises(CourseError, match="was killed"):
            grade_one()
        assert grade_one() == before
    finally:
        seam._drop_pool()


LINKS = "[a](javascript:alert(1)) <img src=x onerror=alert(1)> ![p](attachment:x.svg)"


def _written(notebook: nbformat.NotebookNode) -> str:
    """What a notebook holds beside the outputs and the sources of code."""
    texts = [cell.source for cell in notebook.cells if cell.cell_type != "code"]
    rest = [cell.get("attachments") for cell in notebook.cells]
    return str([texts, rest, [cell.metadata for cell in notebook.cells], notebook.metadata])


def test_without_execution_nothing_is_graded_whatever_outputs_were_handed_in(course) -> None:
    """Stock nbgrader takes the points from the student's own outputs then."""

    def change(notebook: dict) -> None:
        kinds = ("text/html", "image/svg+xml", "application/javascript", "text/plain")
        data = dict.fromkeys(kinds, "<script>alert('SHOWN')</script>")
        shows = {"output_type": "display_data", "metadata": {"x": "<script>"}, "data": data}
        result = {**shows, "output_type": "execute_result", "execution_count": 7}
        for cell in notebook["cells"]:
            cell["metadata"]["autograder"] = {"status": "passed", "message": "FORGED"}
            if cell["cell_type"] == "code":
                cell["outputs"] = [shows, result]
        picture = {"x.svg": {"image/svg+xml": "PHN2Zz4="}}
        notebook["cells"][-1] |= {"source": LINKS, "attachments": picture}
        notebook["metadata"]["jupytext"] = {"formats": "ipynb,py"}

    tiny.hand_in(course, "right", RIGHT, change=change)
    nbgrader(course, "autograde", NAME, "--student", "right", "--force", "--no-execute")
    path = course.autograded(NAME, "right") / f"{NAME}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert "SHOWN" in str(shown), "what was handed in is there for the TA"
    assert {kind for output in shown for kind in output.data} == {"text/plain"}
    assert {o.execution_count for o in shown if o.output_type == "execute_result"} == {7}
    assert not re.search(r"javascript:|<[a-z]|svg\+xml|FORGED|jupytext", _written(notebook))
    assert "# Sums" in [cell.source for cell in notebook.cells]
    nbgrader(course, "generate_feedback", NAME, "--student", "right", "--force")
    page = (course.feedback(NAME, "right") / f"{NAME}.html").read_text("utf-8")
    assert "FORGED" not in page
    assert 'href="javascript' not in page
    book = tiny.gradebook_of(course)
    rows = {cell: row for (student, cell), row in book.items() if student == "right"}
    assert {row[0] for row in rows.values()} == {None}
    assert all(row[2] for row in rows.values())


def test_a_timeout_in_nbgraders_words_is_ours_unless_the_course_says_its_own() -> None:
    def seconds(**sections: dict) -> float:
        return Grading(config=Config(sections)).cell_seconds

    assert seconds() == 15
    assert seconds(Execute={"timeout": 40}) == 40
    assert seconds(Execute={"timeout": DeferredConfigString("40")}) == 40
    assert seconds(Execute={"timeout": None}) == seconds(Execute={"timeout": -1}) == 15
    assert seconds(Execute={"timeout": 40}, Grading={"cell_seconds": 3}) == 3


AUTOTESTS = '''
python3:
    setup: "from hashlib import sha1"
    hash: 'sha1({{snippet}}.encode("utf-8")+b"{{salt}}").hexdigest()'
    dispatch: "type({{snippet}})"
    normalize: "str({{snippet}})"
    check: 'assert {{snippet}} == """{{value}}""", """{{message}}"""'
    success: "print('Success!')"
    templates:
        default:
            - test: "type({{snippet}})"
              fail: "of another type"
            - test: "{{snippet}}"
              fail: "of another value"
'''


def test_a_test_that_nbgrader_makes_itself_is_run_and_no_comment(tmp_path) -> None:
    """A cell of `### AUTOTEST` lines, taken from the source, would pass for everybody."""
    made = tiny.source()
    for cell in made.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == "total_check":
            cell.source = "### HASHED AUTOTEST total([1, 2, 3])"
    folder = tmp_path / "source" / NAME
    folder.mkdir(parents=True)
    (tmp_path / "nbgrader_config.py").write_text(tiny.CONFIG)
    (tmp_path / "autotests.yml").write_text(AUTOTESTS)
    nbformat.write(made, folder / f"{NAME}.ipynb")
    course = Course(tmp_path)
    build(course, NAME)
    tiny.hand_in(course, "right", RIGHT)
    tiny.hand_in(course, "wrong", {**RIGHT, "total": "def total(values): return 5"})
    grading.grade(course, NAME, jobs=1)
    book = tiny.gradebook_of(course)
    assert book["right", "total_check"][0] == 1
    assert book["wrong", "total_check"][0] == 0


def test_a_source_that_shows_no_solution_is_graded_by_the_names_that_its_tests_read(
    tmp_path,
) -> None:
    course = tiny.make_course(tmp_path)
    path = course.source(NAME) / f"{NAME}.ipynb"
    made = nbformat.read(path, as_version=4)
    for cell in made.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") in ("double", "total", "sign"):
            cell.source = "# YOUR CODE HERE\nraise NotImplementedError()"
    nbformat.write(made, path)
    build(course, NAME)
    tiny.hand_in(course, "right", RIGHT)
    tiny.hand_in(course, "stub")
    right, stub = grading.grade(course, NAME, jobs=1)
    assert (right.score, stub.score) == (9, 0)


def test_the_seam_forks_nothing_from_the_process_that_it_runs_in() -> None:
    """The formgrader grades inside of its own server, which has threads and open sockets."""
    source = Path(seam.__file__).read_text()
    assert "os.fork" not in source
    assert "multiprocessing" not in source

"""The bundled class scores as the README says, and the hostile ones do no harm."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from nbgrader.validator import Validator

from autograder.course import Course
from autograder.grade import Result, grade
from benchmarks.grading import NBGRADER, make_course, run
from tests.demo.__main__ import judge, main, outcome
from tests.demo.students import ASSIGNMENT, class_of

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Course:
    folder = tmp_path_factory.mktemp("demo") / "demo"
    assert main(folder) == 0
    return Course(folder)


@pytest.fixture(scope="module")
def results(demo: Course) -> dict[str, Result]:
    """The results as a second run reports them: nothing is graded again."""
    found = grade(demo, ASSIGNMENT)
    assert {result.status for result in found} == {"unchanged", "refused"}
    return {result.student: result for result in found}


def graded_cells(demo: Course, student: str) -> list[dict]:
    path = demo.autograded(ASSIGNMENT, student) / f"{ASSIGNMENT}.ipynb"
    return json.loads(path.read_text("utf-8"))["cells"]


def test_the_readme_says_what_the_demo_gives(demo: Course, results: dict[str, Result]) -> None:
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \| (.+) \|$", readme, flags=re.M)
    stories = {student.name: student.story for student in class_of(demo)}
    assert {name: (story, said) for name, story, said in rows} == {
        name: (stories[name], outcome(results[name])) for name in stories
    }


def test_the_demo_notices_a_result_that_is_not_deserved(
    demo: Course, results: dict[str, Result]
) -> None:
    students = {student.name: student for student in class_of(demo)}
    assert judge(students["perfect"], results["perfect"]) == ""
    assert "softmax" in judge(students["perfect"], results["wrong-axis"])
    assert "softmax" in judge(students["wrong-axis"], results["perfect"])
    assert "got" in judge(students["untouched"], results["perfect"])
    assert "refused" in judge(students["perfect"], results["no-notebook"])


def test_what_reads_the_disk_finds_no_hidden_test(demo: Course) -> None:
    source = json.loads((demo.source(ASSIGNMENT) / f"{ASSIGNMENT}.ipynb").read_text("utf-8"))
    secret = {
        line.strip()
        for cell in source["cells"]
        for region in re.findall(
            r"### BEGIN HIDDEN TESTS\n(.*?)### END HIDDEN", "".join(cell["source"]), flags=re.S
        )
        for line in region.splitlines()
        if len(line.strip()) > 30
    }
    assert len(secret) > 100
    printed = "".join(
        output.get("text", "")
        for cell in graded_cells(demo, "reads-disk")
        for output in cell.get("outputs", [])
    )
    assert re.search(r"[1-9]\d* files read", printed)
    assert not [line for line in secret if line in printed]


def test_feedback_shows_verdicts_and_hints_and_no_hidden_test(demo: Course) -> None:
    page = (demo.feedback(ASSIGNMENT, "wrong-axis") / f"{ASSIGNMENT}.html").read_text("utf-8")
    assert "your softmax runs down the columns" in page
    assert "HIDDEN TESTS" not in page
    assert "MARK SCHEME" not in page
    assert not (demo.feedback(ASSIGNMENT, "no-notebook")).exists()


def test_the_endless_loop_is_stopped_and_says_so(demo: Course) -> None:
    verdicts = {
        cell["metadata"]["nbgrader"]["grade_id"]: cell["metadata"]["autograder"]["status"]
        for cell in graded_cells(demo, "endless-loop")
        if "autograder" in cell["metadata"]
    }
    assert verdicts["skipgram_pairs_check"] == "timed out"
    assert verdicts["skipgram_pairs_hidden"] == "timed out"


def test_the_forged_pass_has_every_point_from_stock_nbgrader(demo: Course, tmp_path: Path) -> None:
    """The control: what scores nothing here is no harmless line."""
    stock = make_course(tmp_path / "stock", stock=True, submissions=1)
    (folder,) = (stock.submitted(ASSIGNMENT, name) for name in stock.students(ASSIGNMENT))
    shutil.copy(demo.submitted(ASSIGNMENT, "forged-pass") / f"{ASSIGNMENT}.ipynb", folder)
    _, scores = run(stock, *NBGRADER, ASSIGNMENT)
    assert list(scores.values()) == [53]


@pytest.mark.parametrize(
    ("folder", "passes"), [("solutions", True), ("assignments", False)], ids=["source", "release"]
)
def test_nbgraders_validator_reads_the_sheet(demo: Course, folder: str, passes: bool) -> None:
    said = io.StringIO()
    path = demo.root / folder / ASSIGNMENT / f"{ASSIGNMENT}.ipynb"
    validator = Validator()
    validator.stream = said
    validator.validate_and_print(str(path))
    assert ("Success! Your notebook passes all the tests." in said.getvalue()) == passes
    assert ("VALIDATION FAILED ON 10 CELL(S)!" in said.getvalue()) != passes


def test_the_formgrader_shows_every_submission(
    demo: Course, results: dict[str, Result], tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyter", "server", "--no-browser", "--allow-root"]
    command += [f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="]
    address = f"http://127.0.0.1:{port}/formgrader"

    def get(path: str) -> str:
        with urllib.request.urlopen(f"{address}/{path}", timeout=30) as answer:
            return answer.read().decode()

    environment = {**os.environ, "HOME": str(tmp_path)}
    with open(tmp_path / "log", "wb") as log:
        server = subprocess.Popen(
            command, cwd=demo.root, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                listed = json.loads(get(f"api/submissions/{ASSIGNMENT}"))
                break
            except OSError:
                assert server.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.2)
        scores = {row["student"]: row["score"] for row in listed if row["autograded"]}
        graded = {name: r.score for name, r in results.items() if r.status != "refused"}
        assert scores == graded
        for row in json.loads(get(f"api/submitted_notebooks/{ASSIGNMENT}/{ASSIGNMENT}")):
            page = get(f"submissions/{row['id']}/")
            assert "Submission #" in page
            assert "softmax_rows_hidden" in page
    finally:
        server.terminate()
        server.wait(30)

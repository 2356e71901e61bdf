"""A class of malformed submissions: each is graded or refused in one line, and hurts nobody else.

The cases are a table in `malformed.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import fuzz_notebooks
import malformed
import pytest
import tiny
from malformed import CASES
from tiny import NAME

from autograder import grade as grading
from autograder.course import Course

Class = tuple[Course, dict[str, grading.Result], dict[str, tuple]]


def state(course: Course) -> dict[str, tuple]:
    """Return what must not change of each file handed in."""
    found = {}
    for folder, _, names in os.walk(course.root / "submitted"):
        for name in names:
            path = Path(folder, name)
            status = path.lstat()
            regular = path.is_file() and not path.is_symlink() and status.st_size < 2**20
            data = path.read_bytes() if regular else b""
            found[str(path)] = status.st_mtime_ns, status.st_mode, status.st_size, data
    return found


@pytest.fixture(scope="module")
def graded(tmp_path_factory) -> Class:
    course = tiny.make_course(tmp_path_factory.mktemp("malformed") / "course")
    release = tiny.release(course)
    for name, case in CASES.items():
        malformed.hand_in(course.submitted(NAME, name), case, release)
    before = state(course)
    results = {result.student: result for result in grading.grade(course, NAME, jobs=2)}
    return course, results, before


@pytest.mark.parametrize("name", CASES, ids=ascii)
def test_it_is_graded_or_refused_in_one_line(graded: Class, name: str) -> None:
    course, results, _ = graded
    result, expect = results[name], CASES[name].expect
    if isinstance(expect, str):
        assert result.status == "refused", result
        assert expect in result.message
        assert result.message.isprintable()
        assert len(result.message.replace(str(course.root), "")) < 200
        assert not course.autograded(NAME, name).exists()
    else:
        assert (result.status, result.message, result.score) == ("graded", "", expect), result


def test_no_file_that_was_handed_in_changes(graded: Class) -> None:
    course, _, before = graded
    assert state(course) == before


def test_the_gradebook_holds_the_graded_and_their_scores_alone(graded: Class) -> None:
    course, results, _ = graded
    scores: dict[str, float] = {}
    for (student, _), row in tiny.gradebook_of(course).items():
        scores[student] = scores.get(student, 0.0) + (row[0] or 0.0)
    fine = {name: result.score for name, result in results.items() if result.status == "graded"}
    assert scores == fine
    with contextlib.closing(sqlite3.connect(course.root / "gradebook.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        known = {row[0] for row in database.execute("SELECT id FROM student")}
    assert known == set(fine)


def test_a_second_run_changes_nothing(graded: Class) -> None:
    course, results, before = graded
    book = tiny.gradebook_of(course)
    again = {result.student: result for result in grading.grade(course, NAME, jobs=2)}
    for name, result in results.items():
        status = "unchanged" if result.status == "graded" else result.status
        assert (again[name].status, again[name].score) == (status, result.score)
        assert again[name].message == result.message
    assert tiny.gradebook_of(course) == book
    assert state(course) == before


def test_pasted_pictures_reach_the_ta_and_nothing_else_that_is_attached(graded: Class) -> None:
    course, _, _ = graded

    def essay(student: str) -> dict:
        path = course.autograded(NAME, student) / f"{NAME}.ipynb"
        return malformed.cell(json.loads(path.read_text()), "essay")

    kept = {"proof.png": {"image/png": malformed.PIXEL}}
    assert essay("attachment")["attachments"] == kept
    assert "attachments" not in essay("attachment_of_script")
    assert "attachments" not in essay("attachments_odd")


def test_a_mark_that_the_course_did_not_seal_is_not_believed(graded: Class) -> None:
    """By `nbgrader autograde`, what a student handed in beside the notebook is copied there."""
    course, results, _ = graded
    path = course.autograded(NAME, "solution_deleted") / grading.MARK
    text = path.read_text()
    mark = json.loads(text)
    mark["result"]["score"] = 9.0
    for forged in (json.dumps(mark), json.dumps({**mark, "seal": None}), "[" * 100_000, "[]"):
        path.write_text(forged)
        (again,) = grading.grade(course, NAME, ["solution_deleted"])
        assert (again.status, again.score) == ("graded", results["solution_deleted"].score)


BY_NBGRADER = {
    **dict.fromkeys(["right", "tests_deleted", "points_edited", "language_R", "ids_missing"], 9.0),
    **dict.fromkeys(["solution_deleted", "source_deep"], 5.0),
    **dict.fromkeys(["truncated", "nbformat_5", "cells_null", "bad_utf8", "gzip"], None),
}


def test_nbgraders_own_command_gives_the_same_or_records_nothing(tmp_path) -> None:
    """It stops at what it cannot read, and goes on with the next student."""
    course = tiny.make_course(tmp_path / "course")
    tiny_release = tiny.release(course)
    for name in BY_NBGRADER:
        malformed.hand_in(course.submitted(NAME, name), CASES[name], tiny_release)
    before = state(course)
    command = [Path(sys.executable).parent / "nbgrader", "autograde", NAME, "--create"]
    done = subprocess.run(command, cwd=course.root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    scores: dict[str, float] = {}
    for (student, _), row in tiny.gradebook_of(course).items():
        scores[student] = scores.get(student, 0.0) + (row[0] or 0.0)
    for name, score in BY_NBGRADER.items():
        assert scores.get(name, 0.0) == (score or 0.0), name
        assert course.autograded(NAME, name).exists() == (score is not None), name
    assert state(course) == before


def test_a_fuzzed_notebook_is_laid_out_or_refused_in_one_line() -> None:
    accepted = fuzz_notebooks.read_many(1000, 10**6, *fuzz_notebooks.tiny_sheet())
    assert 300 < accepted < 900


def test_a_fuzzed_stub_never_scores_and_the_gradebook_says_what_the_results_say(tmp_path) -> None:
    results = fuzz_notebooks.grade_many(20, 10**6, tmp_path)
    assert len(results) == 40
    assert sum(result.score == 9 for result in results) >= 5

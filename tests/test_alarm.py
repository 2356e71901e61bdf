"""The course's own code has a time limit too: a student's answer can make a test loop."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from autograder.alarm import ENDED, OutOfTime, process_limit, time_limit
from autograder.grade import grade
from tests import tiny


def test_what_takes_too_long_is_stopped_and_nothing_after_it() -> None:
    def spin() -> None:
        while True:
            pass

    with pytest.raises(OutOfTime), time_limit(0.05):
        spin()
    time.sleep(0.1)


def test_what_has_time_left_when_it_is_up_goes_on_for_so_long() -> None:
    left = iter([0.2, 0.0])
    started = time.monotonic()
    with pytest.raises(OutOfTime), time_limit(0.05, lambda: next(left)):
        time.sleep(5)
    assert time.monotonic() - started >= 0.25


COLLIDING = "[k * (2**61 - 1) for k in range(200_000)]"


@pytest.mark.parametrize("code", ["sum(range(10**18))", f"set({COLLIDING})"])
def test_c_code_that_looks_at_no_signal_ends_with_its_process(code: str) -> None:
    """Numbers that a student chose to collide make a set take hours, in C."""
    program = "from autograder.alarm import *\nwith process_limit(1.0), time_limit(0.1): "
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program + code], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == ENDED
    assert time.monotonic() - started >= 1.0, "the alarm alone did not stop it"
    assert (done.stdout, done.stderr) == (b"", b"")


def test_what_is_done_in_time_goes_on() -> None:
    with process_limit(0.2) as begin_anew:
        time.sleep(0.1)
        begin_anew(0.2)
        time.sleep(0.15)
    time.sleep(0.4)


def test_a_test_that_loops_on_a_students_number_costs_only_its_own_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tiny.source()
    (cell,) = (
        c for c in source.cells if c.metadata.get("nbgrader", {}).get("grade_id") == "total_check"
    )
    cell.source = "for _ in range(int(total([1, 2, 3]))):\n    pass"
    monkeypatch.setattr(tiny, "source", lambda: source)
    course = tiny.make_course(tmp_path)
    tiny.hand_in(course, "huge", {**tiny.RIGHT, "total": "def total(values):\n    return 10**12"})
    (result,) = grade(course, tiny.NAME, jobs=1)
    assert result.statuses["total_check"] == "timed out"
    assert result.statuses["total_hidden"] == "failed"
    assert result.statuses["double_hidden"] == "passed"

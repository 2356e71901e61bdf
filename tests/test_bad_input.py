"""What cannot be graded is said in one line with the mend, and costs nobody else anything."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny
from nbgrader.api import Gradebook
from tiny import NAME, RIGHT

from autograder import cli, handed_in
from autograder import grade as grading
from autograder.course import Course
from autograder.sandbox.process import LANDLOCK

COURSE = Path(sys.executable).parent / "course"


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    return tiny.make_course(tmp_path_factory.mktemp("template") / "course").root


@pytest.fixture
def course(template, tmp_path) -> Course:
    """A fresh course with its release built and nothing handed in."""
    return Course(shutil.copytree(template, tmp_path / "course"))


@pytest.fixture
def run(course, monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """Run `course ...` in this process; return exit code, stdout and stderr."""
    monkeypatch.chdir(course.root)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("COURSE_DEBUG", raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["course", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        code = end.value.code
        assert isinstance(code, int)
        assert "Traceback" not in out + err
        assert "bug" not in err
        lines = [line for line in err.splitlines() if line.startswith("course:")]
        return code, out, "\n".join(lines)

    return call


def one_line(result: tuple[int, str, str], code: int, *words: str) -> None:
    assert result[0] == code, result
    assert result[2].count("\n") == 0, result
    assert all(word in result[2] for word in words), result


# Nothing to grade.


def test_an_unknown_assignment_lists_the_known_ones(run) -> None:
    for command in ("grade", "feedback"):
        one_line(run(command, "ps9"), 2, "no assignment 'ps9'", f"(there are: {NAME})")


def test_no_submissions_say_where_they_belong_and_how_to_collect_them(run) -> None:
    one_line(run("grade", NAME), 1, "no submissions", f"STUDENT/{NAME}", "nbgrader collect")


def test_an_unknown_student_is_wrong_use(run, course) -> None:
    tiny.hand_in(course, "ada", RIGHT)
    result = run("grade", NAME, "--student", "ada", "--student", "bob")
    one_line(result, 2, "bob handed in nothing", f"submitted/bob/{NAME}")
    assert not (course.root / "autograded").exists()


def test_an_assignment_that_is_not_built_says_how_to_build_it(run, course) -> None:
    tiny.hand_in(course, "ada", RIGHT)
    shutil.rmtree(course.root / "release")
    one_line(run("grade", NAME), 1, "release", f"course build {NAME}")


def test_a_gradebook_that_does_not_know_the_assignment_says_how_to_build_it(run, course) -> None:
    tiny.hand_in(course, "ada", RIGHT)
    with Gradebook(course.db_url) as gradebook:
        gradebook.remove_assignment(NAME)
    one_line(run("grade", NAME), 1, f"does not know {NAME}", f"course build {NAME}")
    (course.root / "gradebook.db").unlink()
    one_line(run("grade", NAME), 1, "no gradebook", "course build")
    assert not (course.root / "gradebook.db").exists()


def test_feedback_before_grading_says_what_comes_first(run, course) -> None:
    tiny.hand_in(course, "ada", RIGHT)
    one_line(run("feedback", NAME), 1, "nothing is graded", f"course grade {NAME}")
    one_line(run("feedback", NAME, "--student", "ada"), 2, f"ada has no graded {NAME}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("c = get_config(\n", "fails with SyntaxError"),
        ("c = get_config()\n1/0\n", "fails with ZeroDivisionError"),
        ("c = get_config()\nc.Grading.memory_mb = 'much'\n", "memory_mb"),
        ("c = get_config()\nc.Grading.packages = ['no_such_package']\n", "'no_such_package'"),
    ],
)
def test_a_wrong_configuration_names_the_file_or_the_option(run, course, text, words) -> None:
    tiny.hand_in(course, "ada", RIGHT)
    (course.root / "nbgrader_config.py").write_text(text)
    one_line(run("grade", NAME), 1, words)


# A bad submission in a class.


def broken(course: Course) -> dict[str, tuple[str, str]]:
    """Hand in what cannot be graded; return status and words of each."""

    def place(student: str) -> Path:
        path = course.submitted(NAME, student) / f"{NAME}.ipynb"
        path.parent.mkdir(parents=True)
        return path

    place("missing")
    (place("renamed").parent / "Untitled.ipynb").write_text("{}")
    place("empty").touch()
    place("garbage").write_bytes(bytes(range(256)))
    place("old").write_text('{"nbformat": 3, "worksheets": []}')
    other = tiny.release(course)
    for cell in other["cells"]:
        cell["metadata"], cell["source"] = {}, f"# other {cell['source']}"
        cell["id"] += "-other"
    place("other").write_text(json.dumps(other))
    with place("huge").open("wb") as file:
        file.truncate(2**40)
    place("folder").mkdir()
    os.mkfifo(place("pipe"))
    secret = course.root / "elsewhere.ipynb"
    secret.write_text(json.dumps(tiny.release(course)))
    place("link").symlink_to(secret)
    place("device").symlink_to("/dev/zero")
    link = course.submitted(NAME, "link_folder")
    link.parent.mkdir()
    link.symlink_to(course.submitted(NAME, "right"))
    link = course.submitted(NAME, "link_student").parent
    link.symlink_to(course.submitted(NAME, "right").parent)
    tiny.hand_in(course, "link_out", RIGHT)
    outside = course.root.parent / "outside"
    outside.mkdir()
    course.autograded(NAME, "x").parent.parent.mkdir()
    course.autograded(NAME, "link_out").parent.symlink_to(outside)
    time = tiny.hand_in(course, "time", RIGHT).parent / "timestamp.txt"
    time.write_text("yesterday or so")
    time = tiny.hand_in(course, "time_pipe", RIGHT).parent / "timestamp.txt"
    os.mkfifo(time)
    control = '{"nbformat": "\\ud800\\u001b[2J[red]", "cells": []}'
    place("[bold]markup").write_text(control)
    return {
        "missing": ("refused", "is missing: ask the student"),
        "renamed": ("refused", "there is Untitled.ipynb"),
        "empty": ("refused", "is empty"),
        "garbage": ("refused", "not JSON"),
        "old": ("refused", "nbformat 3, not 4: open it in JupyterLab, save it"),
        "other": ("refused", "notebook of another assignment?"),
        "huge": ("refused", "MiB (limit 32)"),
        "folder": ("refused", "no regular file"),
        "pipe": ("refused", "no regular file"),
        "link": ("refused", "is a link"),
        "device": ("refused", "is a link"),
        "link_folder": ("refused", "is no folder"),
        "link_student": ("refused", "is no folder"),
        "link_out": ("refused", "is a link: remove it, a result would be written there"),
        "time": ("refused", "timestamp.txt holds no time"),
        "time_pipe": ("refused", "no regular file"),
        "[bold]markup": ("refused", "nbformat"),
    }


def odd_but_right(course: Course) -> set[str]:
    """Hand in right answers beside files that no program expects."""
    folder = tiny.hand_in(course, "odd_files", RIGHT).parent
    (folder / "sub").mkdir()
    os.mkfifo(folder / "pipe.py")
    (folder / "gone.py").symlink_to("/nowhere")
    (folder / "passwd").symlink_to("/etc/passwd")
    Path(os.fsdecode(bytes(folder) + b"/!\xff\xfe.py")).write_text("x = 1")
    for number in range(50):
        (folder / f"{number}.txt").write_text("x")
    with (folder / "big.bin").open("wb") as file:
        file.truncate(2**35)
    tiny.hand_in(course, "ünïcode", RIGHT)
    tiny.hand_in(course, "with space", RIGHT)
    return {"odd_files", "ünïcode", "with space"}


def test_bad_submissions_are_refused_and_the_rest_is_graded(run, course) -> None:
    tiny.hand_in(course, "right", RIGHT)
    expected = broken(course)
    fine = odd_but_right(course) | {"right"}

    def files() -> dict[Path, tuple]:
        return {
            path: (path.lstat().st_mtime_ns, path.lstat().st_size)
            for path in (course.root / "submitted").rglob("*")
        }

    before = files()
    code, out, err = run("grade", NAME, "--json")
    assert (code, err) == (1, "")
    results = {result["student"]: result for result in json.loads(out)["results"]}
    assert results.keys() == expected.keys() | fine
    for student, (status, words) in expected.items():
        assert results[student]["status"] == status, results[student]
        assert words in results[student]["message"]
        assert len(results[student]["message"].splitlines()) == 1
        assert results[student]["score"] == 0
        assert not course.autograded(NAME, student).exists()
    for student in fine:
        assert (results[student]["status"], results[student]["score"]) == ("graded", 9.0)
    assert {student for student, _ in tiny.gradebook_of(course)} == fine
    assert files() == before
    assert not list((course.root.parent / "outside").iterdir())
    (note,) = results["odd_files"]["notes"]
    assert note == (
        "left out when this was graded: `26.txt`, `27.txt`, `28.txt` and 29 more "
        "(more than 20 files); `gone.py`, `passwd`, `pipe.py` (a link, or no regular file)"
    )
    copied = {path.name for path in course.autograded(NAME, "odd_files").iterdir()}
    assert "passwd" not in copied
    assert "big.bin" not in copied
    assert len(copied) <= handed_in.MAX_HELPER_FILES + 2

    # Said again in a table, to a person: no markup, no control characters, and nothing is lost.
    code, out, err = run("grade", NAME)
    assert code == 1
    for student, (_, words) in expected.items():
        (line,) = [text for text in out.splitlines() if text.startswith(f"✗ {student}: ")]
        assert words in line
    assert "\x1b[2J" not in out
    assert f"{len(expected)} not graded" in out


def test_a_file_of_the_assignments_is_the_assignments_own(run, course) -> None:
    """As nbgrader does; and one that is handed in again takes nothing of the student's room."""
    reads = "def double(x):\n    return int(open('data/two.txt').read()) * x"
    for name, text in (("data/two.txt", "2"), ("table.csv", "x" * 2**21)):
        (course.release(NAME) / name).parent.mkdir(exist_ok=True)
        (course.release(NAME) / name).write_text(text)
    files = [("data/two.txt", "3"), ("table.csv", "y" * 2**22), ("own.py", "")]
    tiny.hand_in(course, "ada", {**RIGHT, "double": reads}, files=files)
    code, out, _ = run("grade", NAME, "--json")
    (result,) = json.loads(out)["results"]
    assert (code, result["score"], result["notes"]) == (0, 9.0, [])
    (course.release(NAME) / "data/two.txt").write_text("4")
    (result,) = json.loads(run("grade", NAME, "--json")[1])["results"]
    assert (result["status"], result["score"]) == ("graded", 6.0), "other data, another result"


def test_a_refused_resubmission_leaves_the_earlier_grade(run, course) -> None:
    path = tiny.hand_in(course, "ada", RIGHT)
    assert run("grade", NAME)[0] == 0
    before = tiny.gradebook_of(course)
    path.write_text("half a fi")
    assert run("grade", NAME)[0] == 1
    assert tiny.gradebook_of(course) == before
    assert (course.autograded(NAME, "ada") / f"{NAME}.ipynb").is_file()


def test_a_gradebook_that_lost_a_result_gets_it_again(run, course) -> None:
    tiny.hand_in(course, "ada", RIGHT)
    empty = (course.root / "gradebook.db").read_bytes()
    run("grade", NAME)
    before = tiny.gradebook_of(course)
    (course.root / "gradebook.db").write_bytes(empty)
    assert run("grade", NAME)[0] == 0
    assert tiny.gradebook_of(course) == before


# The gradebook and the disk.


@contextlib.contextmanager
def write_lock(path: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def test_a_locked_gradebook_is_one_line_and_nothing_is_lost(run, course) -> None:
    tiny.hand_in(course, "ada", RIGHT)
    path = course.root / "gradebook.db"
    before = path.read_bytes()
    with write_lock(path):
        one_line(run("grade", NAME), 1, "gradebook.db", "locked", "another program")
    assert path.read_bytes() == before
    assert run("grade", NAME)[0] == 0


def test_a_gradebook_that_is_locked_while_the_class_is_graded_loses_nothing(
    run, course, monkeypatch
) -> None:
    tiny.hand_in(course, "ada", RIGHT)
    save, locks = grading.records.save, contextlib.ExitStack()

    def lock_and_save(*arguments: object) -> None:
        if not locks._exit_callbacks:  # type: ignore[attr-defined]
            other = sqlite3.connect(course.root / "gradebook.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            locks.callback(other.close)
        save(*arguments)

    monkeypatch.setattr(grading.records, "save", lock_and_save)
    one_line(run("grade", NAME), 1, "gradebook.db", "locked")
    locks.close()
    monkeypatch.setattr(grading.records, "save", save)
    assert not (course.root / "autograded").exists()
    assert run("grade", NAME)[0] == 0
    assert tiny.gradebook_of(course)["ada", "total_hidden"][0] == 3


@pytest.mark.parametrize("data", [b"this is no database" * 100, b"SQLite format 3\0" + b"x" * 5000])
def test_a_corrupt_gradebook_is_one_line_and_is_not_touched(run, course, data: bytes) -> None:
    tiny.hand_in(course, "ada", RIGHT)
    (course.root / "gradebook.db").write_bytes(data)
    one_line(run("grade", NAME), 1, "gradebook.db", "restore it from a backup")
    assert (course.root / "gradebook.db").read_bytes() == data


def test_the_course_secret_must_be_one(run, course) -> None:
    tiny.hand_in(course, "ada", RIGHT)
    (course.root / "gradebook.secret").write_text("short")
    one_line(run("grade", NAME), 1, "gradebook.secret is too short", "delete it")


ROOT = ("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc")
USER = "unshare --user --map-user=1000 --map-group=1000"
"""Be an ordinary user again, inside: a sandbox refuses to run students as root."""


def in_namespace(script: str) -> subprocess.CompletedProcess:
    """Run a shell script as root of namespaces of its own, or skip where the kernel gives none."""
    if subprocess.run([*ROOT, *USER.split(), "true"], capture_output=True).returncode:
        pytest.skip("this machine gives no user namespaces")
    command = [*ROOT, "sh", "-ec", script]
    return subprocess.run(command, capture_output=True, text=True, timeout=180)


def said(process: subprocess.CompletedProcess) -> str:
    assert "Traceback" not in process.stderr + process.stdout
    (line,) = [text for text in process.stderr.splitlines() if text.startswith("course:")]
    return line


def test_a_full_disk_is_one_line_and_the_rest_can_be_graded_later(course, tmp_path) -> None:
    """A real one: a tmpfs with no room left for results, seen by this run alone."""
    for number in range(3):
        padding = f"{tiny.TOTAL}\n# {'x' * 300_000}"
        tiny.hand_in(course, f"s{number}", {**RIGHT, "total": padding})
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    process = in_namespace(
        f"mount -t tmpfs -o size=32m none {mounted}\n"
        f"cp -r {course.root}/. {mounted}\n"
        f"cd {mounted}\n"
        "dd if=/dev/zero of=filler bs=1k 2>/dev/null || true\n"
        "truncate -s -900k filler\n"
        f"{USER} {COURSE} grade {NAME} --jobs 1 || echo CODE $?\n"
        "ls -A autograded/* || true\n"
        "rm filler\n"
        f"{USER} {COURSE} grade {NAME} --jobs 1 --json\n"
    )
    line = said(process)
    assert "No space left on device" in line or "full" in line
    assert "free some space" in line
    first, _, last = process.stdout.partition("{")
    assert "CODE 1" in first
    assert ".grading-" not in first
    results = json.loads("{" + last)["results"]
    assert [result["score"] for result in results] == [9.0, 9.0, 9.0]
    assert "unchanged" in {result["status"] for result in results}


def test_a_result_that_the_disk_does_not_take_stops_nobody_elses(course) -> None:
    """A real limit on the size of a file, which one graded notebook does not keep."""
    for student, padding in (("a", ""), ("large", "x" * 400_000), ("z", "")):
        tiny.hand_in(course, student, {**RIGHT, "total": f"{tiny.TOTAL}\n# {padding}"})

    def grade(limit: int) -> tuple[int, dict[str, dict]]:
        process = subprocess.run(
            [COURSE, "grade", NAME, "--jobs", "1", "--json"],
            cwd=course.root,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)
            ),
        )
        results = json.loads(process.stdout)["results"]
        return process.returncode, {result["student"]: result for result in results}

    code, results = grade(390_000)
    assert (code, results["large"]["status"]) == (1, "failed")
    assert "File too large" in results["large"]["message"]
    assert {results[student]["status"] for student in ("a", "z")} == {"graded"}
    assert not list((course.root / "autograded" / "large").iterdir())
    code, results = grade(resource.RLIM_INFINITY)
    statuses = {student: result["status"] for student, result in results.items()}
    assert (code, statuses) == (0, {"a": "unchanged", "large": "graded", "z": "unchanged"})
    assert tiny.gradebook_of(course)["large", "total_hidden"][0] == 3


def test_a_read_only_course_is_one_line(course, tmp_path) -> None:
    tiny.hand_in(course, "ada", RIGHT)
    (course.root / "gradebook.secret").write_text("s" * 60)
    process = in_namespace(
        f"mount --bind {course.root} {course.root}\n"
        f"mount -o remount,bind,ro {course.root}\n"
        f"cd {course.root}\n"
        f"{USER} {COURSE} grade {NAME}\n"
    )
    assert process.returncode == 1
    assert "read" in said(process)


def test_where_namespaces_are_refused_the_second_level_holds_and_reports_say_so(course) -> None:
    """A real refusal: a kernel that gives no more namespaces to a normal user."""
    mark = course.root / "it_ran"
    tiny.hand_in(course, "ada", RIGHT)
    writes = f"open({str(mark)!r}, 'w')\n{tiny.DOUBLE}"
    tiny.hand_in(course, "writes", {**RIGHT, "double": writes})
    fills = "for n in range(20):\n    open(str(n), 'wb').write(bytes(2**23))\n"
    fills += "import time\ntime.sleep(9)"
    tiny.hand_in(course, "fills", {**RIGHT, "double": fills})
    process = in_namespace(
        "echo 0 > /proc/sys/user/max_pid_namespaces\n"
        f"cd {course.root}\n{USER} {COURSE} grade {NAME} --jobs 1 --json"
    )
    assert process.returncode == 0, process
    caveat = LANDLOCK.caveat
    assert process.stderr.count(caveat) == 1
    body = json.loads(process.stdout)
    assert body["caveats"] == [caveat]
    results = {result["student"]: result for result in body["results"]}
    assert {result["level"] for result in results.values()} == {"landlock"}
    assert results["ada"]["questions"]["double"][0] == 3
    assert not mark.exists()
    assert results["writes"]["questions"]["double"][0] == 0
    assert results["fills"]["questions"]["double"][0] == 0
    assert "the student's process ended and was started again" in results["fills"]["notes"]
    notebook = (course.autograded(NAME, "ada") / f"{NAME}.ipynb").read_text("utf-8")
    assert "isolated by landlock alone" in notebook

    # The result of another level is not taken for this one's.
    (again,) = grading.grade(course, NAME, ["ada"], jobs=1)
    assert (again.status, again.level, again.caveats) == ("graded", "namespaces", [])
    (again,) = grading.grade(course, NAME, ["ada"], jobs=1)
    assert again.status == "unchanged"


def test_without_a_sandbox_nothing_is_run_and_unsafe_must_be_typed(course) -> None:
    """A real refusal: a root without its rights."""
    mark = course.root / "it_ran"
    tiny.hand_in(course, "ada", {**RIGHT, "double": f"open({str(mark)!r}, 'w')\n{tiny.DOUBLE}"})
    start = f"cd {course.root}\n {COURSE} grade {NAME} --jobs 1"
    process = in_namespace(start)
    assert process.returncode == 1, process
    assert said(process).count("will not run a student as root") == 2
    assert not mark.exists()
    assert tiny.gradebook_of(course) == {}

    process = in_namespace(f"{start} --unsafe")
    assert process.returncode == 0, process
    assert "without a sandbox: these scores can be forged" in said(process)
    assert mark.exists()
    assert tiny.gradebook_of(course)["ada", "total_hidden"][0] == 3

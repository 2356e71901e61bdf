"""`course`: one line for each failure, the exit code that belongs to it, nothing in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from conftest import save
from nbformat.v4 import new_markdown_cell
from rich.console import Console

from autograder import cli, doctor
from autograder.course import Course
from autograder.errors import CourseError, UsageError

COURSE = Path(sys.executable).with_name("course")


@pytest.fixture
def run(course: Course, monkeypatch, capsys):
    """Run `course ARGS` in the tiny course; return exit code, stdout and stderr."""
    monkeypatch.chdir(course.root)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["course", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        output = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, output.out, output.err

    return run


def test_sync_makes_the_missing_file_and_then_has_nothing_to_do(run) -> None:
    made = "source/double/double.py made from its notebook\n"
    assert run("sync") == (0, made + "0 of 1 pair was equal\n", "")
    assert run("sync") == (0, "1 of 1 pair was equal\n", "")
    assert run("sync", "--check") == (0, "1 of 1 pair is equal\n", "")


def test_sync_check_exits_1_and_names_what_differs(run) -> None:
    code, out, err = run("sync", "--check")
    assert (code, out) == (1, "0 of 1 pair is equal\n")
    assert err == "course: source/double/double.py is missing: run `course sync`\n"


def test_a_broken_notebook_is_one_line_and_the_other_pairs_are_done(run, course) -> None:
    lectures = course.root / "lectures"
    lectures.mkdir()
    (lectures / "01_x.ipynb").write_text('{"cells": [')
    code, out, err = run("sync")
    assert code == 1
    assert err.startswith("course: lectures/01_x.ipynb is not a notebook: ")
    assert err.count("\n") == 1
    assert "source/double/double.py made" in out


def test_build_syncs_then_builds_all_or_the_named(run) -> None:
    assert run("build") == (
        0,
        "source/double/double.py made from its notebook\n"
        "release/double built: double.ipynb, double.py\n",
        "",
    )
    up_to_date = "release/double is up to date: double.ipynb, double.py\n"
    assert run("build", "double") == (0, up_to_date, "")


def test_one_assignment_that_leaks_does_not_stop_the_next(run, course: Course) -> None:
    config = course.root / "nbgrader_config.py"
    config.write_text(config.read_text().replace('"double.py"', '"double.py", "a.py"'))
    notebook = nbformat.read(course.root / "source/double/double.ipynb", as_version=4)
    notebook.cells[0].metadata["tags"] = ["assert double(-3.5) == -7.0"]
    save(notebook, course.root / "source/a/a.ipynb")
    code, out, err = run("build")
    assert code == 1
    assert "release/double built" in out
    assert err == (
        "course: release/a/a.ipynb, cell 1, metadata.tags would give away "
        "source/a/a.ipynb, cell 4, line 3; no release was made\n"
    )
    assert sorted(path.name for path in (course.root / "release").iterdir()) == ["double"]


def test_building_works_without_the_environment_on_the_path(course: Course) -> None:
    (course.root / "gradebook.db").unlink()  # nbgrader starts `alembic` to make one
    done = subprocess.run(
        [COURSE, "build"],
        cwd=course.root,
        env={"PATH": "/usr/bin:/bin", "HOME": str(course.root)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (course.root / "release/double/double.py").is_file()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["bogus"], "No such command 'bogus'. (see `course --help`)"),
        (["sync", "--bogus"], "No such option: --bogus (see `course --help`)"),
        (["grade"], "Missing argument 'PS'. (see `course --help`)"),
        (["--course-dir"], "Option '--course-dir' requires an argument. (see `course --help`)"),
        (["build", "ps9"], "no assignment 'ps9' in {root} (there are: double)"),
        (
            ["--course-dir", "source", "sync"],
            "--course-dir source: there is no nbgrader_config.py in it",
        ),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(run, course: Course, arguments, line: str) -> None:
    assert run(*arguments) == (2, "", f"course: {line.format(root=course.root)}\n")


def test_outside_a_course_the_mend_is_said(run, tmp_path_factory, monkeypatch) -> None:
    outside = tmp_path_factory.mktemp("outside")
    monkeypatch.chdir(outside)
    code, out, err = run("sync")
    assert (code, out) == (2, "")
    assert err.endswith("run this inside a course, or name one with --course-dir\n")


@pytest.mark.parametrize("place", ["before", "after", "joined"])
def test_the_course_can_be_named_before_or_after_the_command(
    run, course: Course, tmp_path_factory, monkeypatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("outside"))
    name = str(course.root)
    arguments = {
        "before": ["--course-dir", name, "sync"],
        "after": ["sync", "--course-dir", name],
        "joined": ["sync", f"--course-dir={name}"],
    }[place]
    assert run(*arguments)[0] == 0
    assert (course.root / "source/double/double.py").is_file()


def test_a_configuration_that_fails_is_one_line(run, course: Course) -> None:
    (course.root / "nbgrader_config.py").write_text("c = get_config()\n1 / 0\n")
    code, _, err = run("build")
    assert code == 1
    assert err == (
        f"course: {course.root}/nbgrader_config.py fails with ZeroDivisionError: division by zero\n"
    )


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (CourseError("two\nlines"), 1, "two lines"),
        (UsageError("wrong"), 2, "wrong"),
        (KeyboardInterrupt(), 130, "stopped"),
        (cli._Stopped("stopped: 3 of 5 are saved"), 130, "stopped: 3 of 5 are saved"),
        (
            ZeroDivisionError("oh\nno"),
            1,
            "this is a bug: ZeroDivisionError: oh no (COURSE_DEBUG=1 shows where)",
        ),
    ],
)
def test_every_failure_is_one_line(run, monkeypatch, error, code: int, line: str) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "_course", fail)
    assert run("sync") == (code, "", f"course: {line}\n")


def test_a_bug_shows_its_traceback_on_request(run, monkeypatch) -> None:
    monkeypatch.setattr(cli, "_course", lambda _: 1 / 0)
    monkeypatch.setenv("COURSE_DEBUG", "1")
    monkeypatch.setattr(sys, "argv", ["course", "sync"])
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_ctrl_c_ends_a_running_build_with_one_line_and_nothing_left(course: Course) -> None:
    started = course.root / "started"
    with (course.root / "nbgrader_config.py").open("a") as stream:
        stream.write(
            "import pathlib, time\n"
            "def wait(**_):\n"
            f"    pathlib.Path({str(started)!r}).touch()\n"
            "    time.sleep(60)\n"
            "c.GenerateAssignment.pre_convert_hook = wait\n"
        )
    process = subprocess.Popen(
        [COURSE, "build"],
        cwd=course.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not started.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "course: stopped\n")
    assert not list(course.root.glob(".course-build-*"))
    assert not (course.root / "release").exists()


def test_a_reader_that_leaves_early_is_no_failure(course: Course) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [COURSE, "sync"], cwd=course.root, stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, autograder.cli as c; sys.argv = ['course', '--help']\n"
        "try: c.main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'nbformat', 'nbgrader', 'jupytext', 'IPython'}\n"
        "print(sorted(heavy & {*sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    for command in ("sync", "build", "grade", "feedback", "doctor"):
        assert command in done.stdout


# doctor


def passing(monkeypatch) -> None:
    """Let the parts of this machine that a test is not about be as they should."""
    sandbox = SimpleNamespace(
        checks=lambda: [
            SimpleNamespace(name=name, ok=True, detail="made", mend="", needed=True)
            for name in ("kernel", "mount namespace")
        ]
    )
    monkeypatch.setitem(sys.modules, "autograder.sandbox", sandbox)
    monkeypatch.setattr(doctor, "_packages", lambda _: doctor.Check("packages", True, "all"))


def test_doctor_is_content_with_a_good_machine(run, monkeypatch) -> None:
    passing(monkeypatch)
    code, out, err = run("doctor")
    assert (code, err) == (0, "")
    assert "✓ sandbox kernel, mount namespace" in " ".join(out.split())
    assert "This machine can grade." in out


def test_doctor_as_json_is_one_object(run, monkeypatch) -> None:
    passing(monkeypatch)
    code, out, _ = run("doctor", "--json")
    report = json.loads(out)
    assert (code, report["ok"]) == (0, True)
    names = [check["name"] for check in report["checks"]]
    assert names[:3] == ["Python", "packages", "sandbox: kernel"]
    assert {"GPU", "git", "course", "gradebook", "exchange"} <= set(names)


def test_doctor_fails_with_the_mend_if_the_sandbox_does(run, monkeypatch) -> None:
    passing(monkeypatch)
    part = SimpleNamespace(name="userns", ok=False, detail="off", mend="sysctl [x]=1", needed=True)
    broken = SimpleNamespace(checks=lambda: [part])
    monkeypatch.setitem(sys.modules, "autograder.sandbox", broken)
    code, out, _ = run("doctor")
    assert code == 1
    assert "✗ sandbox: userns off" in " ".join(out.split())
    assert "mend: sysctl [x]=1" in out
    assert "This machine cannot grade yet: sandbox: userns." in out


def test_doctor_shows_the_level_that_holds_and_the_mend_for_the_stronger(run, monkeypatch) -> None:
    passing(monkeypatch)
    parts = [
        SimpleNamespace(name="pid namespace", ok=False, detail="off", mend="allow", needed=False),
        SimpleNamespace(name="isolation", ok=True, detail="by landlock", mend="", needed=True),
    ]
    monkeypatch.setitem(sys.modules, "autograder.sandbox", SimpleNamespace(checks=lambda: parts))
    code, out, _ = run("doctor")
    assert code == 0
    seen = " ".join(out.split())
    assert "– sandbox: pid namespace off mend: allow" in seen
    assert "✓ sandbox: isolation by landlock" in seen


def test_doctor_fails_if_the_sandbox_cannot_even_be_asked(run, monkeypatch) -> None:
    passing(monkeypatch)
    monkeypatch.setitem(sys.modules, "autograder.sandbox", SimpleNamespace())
    assert run("doctor")[0] == 1


def test_doctor_outside_a_course_says_so_and_makes_no_gradebook(
    run, monkeypatch, tmp_path_factory
) -> None:
    passing(monkeypatch)
    outside = tmp_path_factory.mktemp("outside")
    monkeypatch.chdir(outside)
    code, out, _ = run("doctor")
    assert code == 1
    assert "✗ course" in out
    assert list(outside.iterdir()) == []


def test_doctor_says_that_a_gradebook_cannot_be_read(run, course, monkeypatch) -> None:
    passing(monkeypatch)
    (course.root / "gradebook.db").write_bytes(b"no database, whatever its name says")
    code, out, _ = run("doctor")
    assert code == 1
    assert "file is not a database" in " ".join(out.split())


def test_doctor_does_not_make_a_missing_gradebook(run, course, monkeypatch) -> None:
    passing(monkeypatch)
    (course.root / "gradebook.db").unlink()
    assert run("doctor")[0] == 0
    assert not (course.root / "gradebook.db").exists()


@pytest.mark.parametrize(
    ("lock", "ok", "needed", "detail"),
    [
        ("# a comment\nrich=={rich}\n", True, True, "all 1 as requirements.lock says"),
        ("rich==0.1\n", False, False, "other versions: rich {rich} (locked: 0.1)"),
        ("no-such-package==1\nrich==0.1\n", False, True, "missing: no-such-package"),
    ],
)
def test_packages_are_compared_with_the_lock(
    tmp_path: Path, lock: str, ok: bool, needed: bool, detail: str
) -> None:
    from importlib.metadata import version

    path = tmp_path / "requirements.lock"
    path.write_text(lock.format(rich=version("rich")))
    check = doctor._packages(path)
    assert (check.ok, check.needed, check.detail) == (
        ok,
        needed,
        detail.format(rich=version("rich")),
    )


def test_the_table_fits_80_columns_and_needs_no_color() -> None:
    checks = [
        doctor.Check("sandbox: user namespaces", False, "x" * 300, "mend " * 30),
        doctor.Check("GPU", False, "none", needed=False),
    ]
    console = Console(width=80, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    doctor.show(checks, console)
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("✗ sandbox: user namespaces")


def test_a_password_in_the_address_of_a_gradebook_is_not_shown() -> None:
    url = "postgresql://teacher:secret@db.example/grades"
    assert doctor._without_password(url) == "postgresql://teacher:…@db.example/grades"


def test_what_is_printed_about_markdown_cells_is_not_markup(run, course: Course) -> None:
    """A file's own text in a message, brackets and all, is printed as it stands."""
    assert run("sync")[0] == 0
    notebook = nbformat.read(course.root / "source/double/double.ipynb", as_version=4)
    notebook.cells[0] = new_markdown_cell("[red]x[/red]")
    save(notebook, course.root / "source/double/double.ipynb")
    _, _, err = run("sync", "--check")
    assert "'[red]x[/red]' in the notebook" in err

"""The command line, `course`: reads arguments, calls one module a command, prints lines.

Knows no cells, processes or scores. Modules are imported inside the commands, so that a command
loads only what it needs and `course --help` answers at once. What a command did goes to stdout;
what went wrong goes to stderr, one line each, as `course: ...`.

Exit codes: 0 done; 1 something could not be done, or a check found a difference; 2 wrong use;
130 stopped with Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autograder.errors import CourseError, UsageError, counted, plain

if TYPE_CHECKING:
    from autograder.course import Course

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Build, grade and check a course of nbgrader notebooks.",
)

Assignment = Annotated[str, typer.Argument(metavar="PS", help="The assignment, as its folder.")]


class _Stopped(CourseError):
    """Ctrl-C, where there is more to say than that."""

    exit_code = 130


@app.callback()
def _options(
    context: typer.Context,
    course_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The course's folder (default: the nearest nbgrader_config.py)."
        ),
    ] = None,
) -> None:
    context.obj = course_dir


@app.command()
def sync(
    context: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail if any differ.")] = (
        False
    ),
) -> None:
    """Keep each .py and its notebook equal, by content."""
    from autograder import pairs

    results = list((pairs.check if check else pairs.sync)(_course(context)))
    for result in results:
        if not result.ok:
            _complain(result.line)
        elif result.written:
            print(result.line)
    equal = sum(result.ok and not result.written for result in results)
    one, more = ("is", "are") if check else ("was", "were")
    verb = one if len(results) == 1 else more
    print(f"{equal} of {counted(len(results), 'pair')} {verb} equal")
    _exit(all(result.ok for result in results))


@app.command()
def build(
    context: typer.Context,
    assignments: Annotated[
        list[str] | None, typer.Argument(metavar="PS", help="Default: all of them.")
    ] = None,
) -> None:
    """Make the students' release of each assignment, and prove that it hides its answers."""
    from autograder import build as building
    from autograder import pairs

    course = _course(context)
    names = assignments or course.assignments()
    if not names:
        raise UsageError(f"no assignment has a notebook of its own name below {course.root}")
    done = True
    for name in names:
        try:
            for result in pairs.sync(course, [course.source(name)]):
                if not result.ok:
                    raise CourseError(result.line)
                if result.written:
                    print(result.line)
            built = building.build(course, name)
        except CourseError as error:
            if isinstance(error, UsageError):
                raise
            _complain(error)
            done = False
        else:
            state = "built" if built.changed else "is up to date"
            place = built.folder.relative_to(course.root)
            print(f"{place} {state}: {', '.join(built.files)}")
    _exit(done)


@app.command()
def grade(
    context: typer.Context,
    assignment: Assignment,
    student: Annotated[
        list[str] | None, typer.Option(metavar="S", help="Only this student; may be repeated.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Processes at once (default: cores).")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Grade again what is graded.")] = False,
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="Run students' code without a sandbox.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Grade what was submitted, into the gradebook and autograded/."""
    import time

    from autograder import grade as grading
    from autograder import show
    from autograder.settings import Grading

    course = _course(context)
    started = time.monotonic()
    with show.counting(f"grading {assignment}") as counter:
        try:
            found = grading.grade(
                course,
                assignment,
                student or (),
                jobs=jobs,
                force=force,
                unsafe=unsafe,
                watch=lambda result, total: counter.count(
                    total, failed=result.status in ("refused", "failed")
                ),
            )
        except KeyboardInterrupt:
            raise _Stopped(
                f"stopped; graded and saved: {counter.done} of {counter.total}; "
                "the same command goes on from there"
            ) from None
    for caveat in show.caveats(found):
        _complain(caveat)
    if as_json:
        print(show.as_json(assignment, found, Grading.of(course).trust))
    else:
        show.results(course, assignment, found, time.monotonic() - started)
    _exit(all(result.status in ("graded", "unchanged") for result in found))


@app.command()
def feedback(
    context: typer.Context,
    assignment: Assignment,
    student: Annotated[
        list[str] | None, typer.Option(metavar="S", help="Only this student; may be repeated.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Processes at once (default: cores).")
    ] = None,
) -> None:
    """Write each student's feedback as HTML, hints included, hidden tests not."""
    from autograder import feedback as pages
    from autograder import show

    course = _course(context)
    with show.counting(f"feedback for {assignment}") as counter:
        written = pages.feedback(
            course,
            assignment,
            student or (),
            jobs=jobs,
            watch=lambda page, total: counter.count(total, failed=page.path is None),
        )
    for page in written:
        if page.path is None:
            _complain(page.message)
    place = course.feedback(assignment, "STUDENT").relative_to(course.root)
    print(f"{counted(sum(page.path is not None for page in written), 'page')} in {place}")
    print(f"next: nbgrader release_feedback {assignment}")
    _exit(all(page.path is not None for page in written))


@app.command()
def audit(
    context: typer.Context,
    assignments: Annotated[
        list[str] | None, typer.Argument(metavar="PS", help="Default: all of them.")
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="A sample, for CI: it says which.")] = False,
    runs: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="How often the solution is graded (default: 10)."),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Processes at once (default: cores).")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the matrix as a page.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Test the hidden tests: known answers, right and wrong, and mutants of the solutions."""
    from autograder import audit as auditing
    from autograder import matrix, show

    course = _course(context)
    names = assignments or course.assignments()
    if not names:
        raise UsageError(f"no assignment has a notebook of its own name below {course.root}")
    found = []
    for name in names:
        with show.counting(f"auditing {name}") as counter:
            done = auditing.audit(
                course,
                name,
                jobs=jobs,
                runs=runs,
                fast=fast,
                watch=lambda total: counter.count(total, failed=False),
            )
        found.append(done)
        if not as_json:
            matrix.show(done)
    if html is not None:
        try:
            html.write_text(matrix.page(found), "utf-8")
        except OSError as error:
            raise CourseError(f"{html} cannot be written: {error.strerror}") from None
    if as_json:
        print(matrix.as_json(found))
    elif html is not None:
        print(f"the matrix as a page: {html}")
    _exit(all(done.met for done in found))


@app.command()
def doctor(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Say what works on this machine, and the mend for what does not."""
    from autograder import doctor as checkup

    checks = checkup.examine(lambda: _course(context))
    print(checkup.as_json(checks)) if as_json else checkup.show(checks)
    _exit(checkup.able_to_grade(checks))


def main() -> None:
    """Run `course`; every failure ends in one line and the exit code that belongs to it."""
    try:
        code = app(_hoisted(sys.argv[1:]) or ["--help"], "course", standalone_mode=False) or 0
        if code == 130:  # typer's own answer to Ctrl-C
            raise KeyboardInterrupt
        sys.stdout.flush()
    except KeyboardInterrupt:
        _complain("stopped")
        code = 130
    except typer.TyperException as error:
        format_message = getattr(error, "format_message", error.__str__)
        _complain(f"{format_message()} (see `course --help`)")
        code = 2
    except CourseError as error:
        _complain(error)
        code = error.exit_code
    except BrokenPipeError:  # the reader, `head` for one, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        if os.environ.get("COURSE_DEBUG"):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        _complain(f"this is a bug: {reason} (COURSE_DEBUG=1 shows where)")
        code = 1
    raise SystemExit(code)


def _course(context: typer.Context) -> Course:
    from autograder.course import CONFIG_NAME, Course

    folder: Path | None = context.obj
    if folder is None:
        return Course.find()
    # No search upwards from a folder that was named: a slip of the finger must not find another.
    if not (folder / CONFIG_NAME).is_file():
        raise UsageError(f"--course-dir {folder}: there is no {CONFIG_NAME} in it")
    return Course(folder.resolve())


def _hoisted(arguments: list[str]) -> list[str]:
    """Move `--course-dir DIR` to the front: people write it behind the command as well."""
    for place, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == "--course-dir" or argument.startswith("--course-dir="):
            size = 1 if "=" in argument else 2
            end = place + size
            return arguments[place:end] + arguments[:place] + arguments[end:]
    return arguments


def _complain(message: object) -> None:
    """Print one line on stderr, whatever line breaks the message has."""
    print(f"course: {plain(message)}", file=sys.stderr, flush=True)


def _exit(done: bool) -> None:
    if not done:
        raise typer.Exit(1)

"""`course doctor`: what works on this machine, and the mend for what does not.

Looks and changes nothing. Each check is a function that returns a `Check` and never raises.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from autograder.caveats import SHARED
from autograder.course import Course
from autograder.errors import CourseError, counted
from autograder.settings import Grading

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"
OLDEST = (3, 11)
SANDBOX = "sandbox: "
ISOLATION = f"{SANDBOX}isolation"


@dataclass(frozen=True)
class Check:
    """One thing looked at: whether it works, what was seen, and what to do if it does not.

    `needed` says whether grading depends on it.
    """

    name: str
    ok: bool
    detail: str
    mend: str = ""
    needed: bool = True


def examine(find_course: Callable[[], Course]) -> list[Check]:
    """Make every check; `find_course` returns the course or raises a `CourseError`."""
    checks = [_python(), _packages(LOCK), *_sandbox(), _gpu(), _git()]
    try:
        course = find_course()
        _ = course.directory  # a configuration that cannot be read shows here
        settings = Grading.of(course)
    except CourseError as error:
        return [*checks, Check("course", False, str(error), "go to the course's folder")]
    count = len(course.assignments())
    detail = f"{course.root}, {counted(count, 'assignment')}"
    checks += [Check("course", True, detail), _trust(settings)]
    return [*checks, _gradebook(course), _exchange(course)]


def able_to_grade(checks: Iterable[Check]) -> bool:
    """Whether everything that grading needs works."""
    return all(check.ok for check in checks if check.needed)


def as_json(checks: list[Check]) -> str:
    """Return the checks as one JSON object."""
    return json.dumps(
        {"ok": able_to_grade(checks), "checks": [asdict(check) for check in checks]}, indent=1
    )


def show(checks: list[Check], console: Console | None = None) -> None:
    """Print the checks as a table, and what they come to."""
    console = console or Console(highlight=False)
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in _summed_up(checks):
        mark = "[green]✓[/]" if check.ok else "[bold red]✗[/]" if check.needed else "–"
        text = escape(check.detail)
        if not check.ok and check.mend:
            text += f"\n[bold]mend:[/] {escape(check.mend)}"
        table.add_row(mark, check.name, text)
    console.print(table)
    failed = [check.name for check in checks if not check.ok and check.needed]
    console.print()
    if failed:
        console.print(f"This machine cannot grade yet: {escape(', '.join(failed))}.")
    else:
        console.print("This machine can grade.")
    if any(not check.ok and not check.needed for check in checks):
        console.print("What is marked – is optional.")


def _summed_up(checks: list[Check]) -> list[Check]:
    """Put the sandbox's parts that work into one row; whoever asks for JSON gets them all."""
    works = [check for check in checks if check.ok and check.name.startswith(SANDBOX)]
    if not works:
        return checks
    parts = [check for check in works if check.name != ISOLATION]
    names = ", ".join(check.name.removeprefix(SANDBOX) for check in parts)
    rows = [check for check in checks if check not in parts]
    rows.insert(checks.index(works[0]), Check("sandbox", True, names))
    return rows


def _python() -> Check:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.platform != "linux":
        return Check("Python", False, found, "grade on Linux: the sandbox is made of its parts")
    newest = ".".join(map(str, OLDEST))
    return Check("Python", sys.version_info >= OLDEST, found, f"install Python {newest} or newer")


def _packages(lock: Path) -> Check:
    """Compare what is installed with the lock; another version may change a stored output."""
    if not lock.is_file():
        return Check("packages", True, "no requirements.lock beside the engine to compare with")
    missing, other, count = [], [], 0
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", lock.read_text("utf-8"), re.MULTILINE):
        count += 1
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
            continue
        # A local label, as in 2.13.0+cpu, names a build of the same version.
        if found.split("+")[0] != version:
            other.append(f"{name} {found} (locked: {version})")
    mend = f"make setup, or: pip install -r {lock.name}"
    if missing:
        return Check("packages", False, f"missing: {_some(missing)}", mend)
    if other:
        return Check("packages", False, f"other versions: {_some(other)}", mend, needed=False)
    return Check("packages", True, f"all {count} as requirements.lock says")


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def _sandbox() -> list[Check]:
    try:
        sandbox = importlib.import_module("autograder.sandbox")
        found = [
            Check(f"{SANDBOX}{part.name}", part.ok, part.detail, part.mend, part.needed)
            for part in sandbox.checks()
        ]
    except Exception as error:  # whatever is wrong with it, the answer is the same
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return [Check("sandbox", False, f"cannot be checked: {reason}", "make setup")]
    return found or [Check("sandbox", False, "it checks nothing", "make setup")]


def _gpu() -> Check:
    try:
        import torch

        if torch.cuda.is_available():
            name = torch.cuda.get_device_name(0)
            return Check("GPU", True, f"{torch.cuda.device_count()} × {name}", needed=False)
    except Exception as error:
        return Check("GPU", False, f"torch fails: {error}", "make setup", needed=False)
    detail = "none: cells tagged gpu say so and are left out; grading needs none"
    return Check("GPU", False, detail, needed=False)


def _git() -> Check:
    found = shutil.which("git")
    detail = found or "not found: `course sync` decides by file times alone"
    return Check("git", found is not None, detail, "install git", needed=False)


def _trust(settings: Grading) -> Check:
    if not settings.shared:
        return Check("trust", True, "separate: tests run apart from student code")
    mend = 'c.Grading.trust = "separate", if no test reaches inside a student\'s objects'
    return Check("trust", False, SHARED, mend, needed=False)


def _gradebook(course: Course) -> Check:
    """Open an existing gradebook, without making one."""
    url = course.db_url
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        writable = os.access(path if path.exists() else path.parent, os.W_OK)
        if not writable:
            return Check("gradebook", False, f"{path} is not writable", f"chmod u+w {path}")
        if not path.exists():
            return Check("gradebook", True, f"{path.name}: `course build` will make it")
    try:
        from nbgrader.api import Gradebook

        with Gradebook(url, course.directory.course_id) as gradebook:
            students, count = len(gradebook.students), len(gradebook.assignments)
    except Exception as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        mend = "close what holds it; if it is of an older nbgrader: nbgrader db upgrade"
        return Check("gradebook", False, f"{_without_password(url)}: {reason}", mend)
    held = f"{counted(count, 'assignment')}, {counted(students, 'student')}"
    return Check("gradebook", True, f"{_without_password(url)}: {held}")


def _without_password(url: str) -> str:
    return re.sub(r"://([^:/@]*):[^@]*@", r"://\1:…@", url)


def _exchange(course: Course) -> Check:
    from nbgrader.exchange.default import Exchange

    root = Path(Exchange(config=course.config, coursedir=course.directory).root)
    if os.access(root, os.W_OK | os.X_OK):
        return Check("exchange", True, str(root), needed=False)
    state = "is not writable" if root.exists() else "does not exist"
    mend = f"sudo mkdir -p {root} && sudo chmod ugo+rwx {root}"
    detail = f"{root} {state}: needed where students fetch and submit through the hub"
    return Check("exchange", False, detail, mend, needed=False)

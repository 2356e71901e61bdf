"""What a course may set for grading, in its `nbgrader_config.py` (`c.Grading.… = …`)."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from traitlets import Enum, Float, Integer, List, TraitError, Unicode, default
from traitlets.config import Configurable

from autograder.course import CONFIG_NAME, Course
from autograder.errors import CourseError


class Grading(Configurable):
    """Limits of one submission, what its code may import, and where the tests run."""

    trust = Enum(
        ("separate", "shared"),
        "separate",
        help="Where the tests run. separate: in a process of their own, which meets the student's "
        "values alone; nobody can forge a score. shared: in the student's process, for tests that "
        "patch a student's objects, compare identity or change them in place; a student who "
        "attacks the tests can read them and forge a pass, and every report says so.",
    ).tag(config=True)

    cell_seconds = Float(
        help="Wall time of one cell, the student's or a test (default: Execute.timeout, or 15), "
        "without what it waited for a processor that others kept busy."
    ).tag(config=True)
    total_seconds = Float(180, help="Wall time of a whole submission.").tag(config=True)
    cpu_seconds = Integer(180, help="CPU time of a whole submission.").tag(config=True)
    memory_mb = Integer(2048, help="MiB beyond what the warm interpreter takes.").tag(config=True)
    processes = Integer(64, help="Processes and threads at any time.").tag(config=True)
    home_mb = Integer(64, help="Size of the student's home and /tmp, in MiB.").tag(config=True)
    packages = List(
        Unicode(),
        help="The course's own packages that student code may import (by name, read-only).",
    ).tag(config=True)

    @classmethod
    def of(cls, course: Course) -> Grading:
        """Return what `course` has set; raise CourseError, in one line, for a wrong value."""
        try:
            return cls(config=course.config)
        except TraitError as error:
            raise CourseError(f"{course.root / CONFIG_NAME}: {error}") from None

    @property
    def shared(self) -> bool:
        """Whether the tests run in the student's process."""
        return self.trust == "shared"

    @default("cell_seconds")
    def _nbgraders_timeout(self) -> float:
        """Return what the course says in nbgrader's own words, if it does."""
        seconds = str(self.config.Execute.get("timeout"))  # a number, or from the command line
        return float(seconds) if re.fullmatch(r"\d+", seconds) and int(seconds) > 0 else 15.0

    def package_folders(self) -> list[Path]:
        """Folders of `packages`, and of this engine, that the student's process may read."""
        return [_folder(name) for name in ["autograder", *self.packages]]


def _folder(name: str) -> Path:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise CourseError(
            f"c.Grading.packages names {name!r}, which cannot be imported here: install it"
        )
    return Path(next(iter(spec.submodule_search_locations)))

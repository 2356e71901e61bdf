"""What a course may set for grading, in its `nbgrader_config.py` (`c.Grading.… = …`)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from traitlets import Float, Integer, List, Unicode
from traitlets.config import Configurable

from autograder.errors import CourseError


class Grading(Configurable):
    """Limits of one submission, and what its code may import."""

    cell_seconds = Float(15, help="Wall time of one cell, the student's or a test.").tag(
        config=True
    )
    total_seconds = Float(180, help="Wall time of a whole submission.").tag(config=True)
    cpu_seconds = Integer(180, help="CPU time of a whole submission.").tag(config=True)
    memory_mb = Integer(2048, help="MiB beyond what the warm interpreter takes.").tag(config=True)
    processes = Integer(64, help="Processes and threads at any time.").tag(config=True)
    home_mb = Integer(64, help="Size of the student's home and /tmp, in MiB.").tag(config=True)
    packages = List(
        Unicode(),
        help="The course's own packages that student code may import (by name, read-only).",
    ).tag(config=True)

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

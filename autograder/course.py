"""Where a course keeps its things, as nbgrader's own configuration says.

Knows folders and configuration; knows nothing of cells, processes or scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config
from traitlets.config.loader import ConfigFileNotFound, PyFileConfigLoader

from autograder.errors import CourseError, UsageError

CONFIG_NAME = "nbgrader_config.py"


@dataclass(frozen=True)
class Course:
    """One nbgrader course: the folder that holds its `nbgrader_config.py`, and what that says."""

    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> Course:
        """Return the course whose `nbgrader_config.py` is nearest, upwards from `start`."""
        here = (start or Path.cwd()).resolve()
        for folder in (here, *here.parents):
            if (folder / CONFIG_NAME).is_file():
                return cls(folder)
        raise UsageError(
            f"no {CONFIG_NAME} in {here} or above it: "
            "run this inside a course, or name one with --course-dir"
        )

    @classmethod
    def configured(cls, root: Path, config: Config) -> Course:
        """Return the course at `root` as an application of nbgrader's has it configured.

        It may have read other files than the course's own, and options of its command line.
        """
        course = cls(root)
        own = Config(config)
        own.CourseDirectory.root = str(root)
        course.__dict__["config"] = own
        return course

    @cached_property
    def config(self) -> Config:
        """The course's traitlets configuration, with its root set."""
        try:
            config = PyFileConfigLoader(CONFIG_NAME, path=str(self.root)).load_config()
        except ConfigFileNotFound as error:
            raise UsageError(f"{self.root / CONFIG_NAME} cannot be read: {error}") from None
        except Exception as error:
            raise CourseError(
                f"{self.root / CONFIG_NAME} fails with {type(error).__name__}: {error}"
            ) from None
        config.CourseDirectory.root = str(self.root)
        return config

    @cached_property
    def directory(self) -> CourseDirectory:
        """Nbgrader's own view of the folders."""
        return CourseDirectory(config=self.config)

    @property
    def db_url(self) -> str:
        """SQLAlchemy's address of the gradebook."""
        return str(self.directory.db_url)

    def _step(self, step: str, student: str, assignment: str) -> Path:
        return Path(self.directory.format_path(step, student, assignment))

    def source(self, assignment: str) -> Path:
        """Folder of the instructor's version."""
        return self._step(self.directory.source_directory, ".", assignment)

    def release(self, assignment: str) -> Path:
        """Folder of the version that students get."""
        return self._step(self.directory.release_directory, ".", assignment)

    def submitted(self, assignment: str, student: str) -> Path:
        """Folder with what the student handed in; never written to by the engine."""
        return self._step(self.directory.submitted_directory, student, assignment)

    def autograded(self, assignment: str, student: str) -> Path:
        """Folder for the graded notebook."""
        return self._step(self.directory.autograded_directory, student, assignment)

    def feedback(self, assignment: str, student: str) -> Path:
        """Folder for the student's HTML feedback."""
        return self._step(self.directory.feedback_directory, student, assignment)

    def assignments(self) -> list[str]:
        """Names of the assignments that have a source, sorted."""
        parent = self.source("x").parent
        if not parent.is_dir():
            return []
        return sorted(
            child.name for child in parent.iterdir() if (child / f"{child.name}.ipynb").is_file()
        )

    def check_assignment(self, assignment: str) -> None:
        """Raise a `UsageError` that lists what there is, if `assignment` has no source."""
        known = self.assignments()
        if assignment not in known:
            names = ", ".join(known) or "none"
            raise UsageError(f"no assignment {assignment!r} in {self.root} (there are: {names})")

    def students(self, assignment: str) -> list[str]:
        """Names of the students who handed in something for `assignment`, sorted."""
        parent = self.submitted(assignment, "x").parent.parent
        if not parent.is_dir():
            return []
        return sorted(
            child.name
            for child in parent.iterdir()
            if not child.name.startswith(".") and self.submitted(assignment, child.name).exists()
        )

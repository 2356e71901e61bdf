"""The errors a user can meet. Each message says what happened, where, and the mend, in one line."""


class CourseError(Exception):
    """Something could not be done; `exit_code` follows the command line's contract."""

    exit_code = 1


class UsageError(CourseError):
    """The command was called with something that does not exist or makes no sense."""

    exit_code = 2


class SubmissionError(CourseError):
    """One submission cannot be graded; the rest of the class is not affected."""


class SandboxError(CourseError):
    """This machine cannot isolate a student's process, so nothing is run."""

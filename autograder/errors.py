"""The errors a user can meet. Each message says what happened, where, and the mend, in one line."""


def plain(text: object) -> str:
    """Return `text` for a terminal, in one line: no file's name commands anything there.

    What cannot be printed (escape sequences, marks of direction, bytes that are no text) becomes
    the replacement character; white space becomes a space.
    """
    line = " ".join(str(text).split())
    return "".join(c if c.isprintable() else "\ufffd" for c in line)


def counted(number: int, thing: str) -> str:
    """Return a number of things in words: `1 page`, `2 pages`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


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

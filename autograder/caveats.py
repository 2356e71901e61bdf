"""What whoever reads a score must know of the way in which it came to be: one line for each reason.

Every report of a run shows these lines: the terminal, `--json`, the mark of a graded submission,
the graded notebook (and so the formgrader and the feedback), nbgrader's log.
"""

from __future__ import annotations

SHARED = (
    'graded with trust = "shared": the tests ran in the student\'s process, '
    "so a student who attacks them can read them and forge a pass"
)
UNSAFE = "graded without a sandbox: these scores can be forged (--unsafe)"


def caveats(*, shared: bool, unsafe: bool) -> list[str]:
    """Return the lines that every report of such a run shows; none for a run without reserve."""
    return [line for line, holds in ((SHARED, shared), (UNSAFE, unsafe)) if holds]

"""A limit on the time that the course's own code may take in the grader's process."""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class OutOfTime(BaseException):
    """The time is up. No `Exception`, so that no test's own handler takes it for a result."""


@contextmanager
def time_limit(seconds: float, left: Callable[[], float] = lambda: 0.0) -> Iterator[None]:
    """Raise `OutOfTime` in the body after `seconds`; it can come up at any line of it.

    Unless `left()`, asked then, says that there are seconds left: then after those.
    """

    def stop(*_: Any) -> None:
        more = left()
        if more <= 0:
            raise OutOfTime
        signal.setitimer(signal.ITIMER_REAL, more)

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


ENDED = 1
"""Exit code of a process that `process_limit` ended: faulthandler's own."""


@contextmanager
def process_limit(seconds: float) -> Iterator[Callable[[float], None]]:
    """End this process if the body takes longer than `seconds`.

    Yields a function that lets so many seconds begin anew. For what `time_limit` cannot stop: C
    code that looks at no signal, as `sum(range(10**18))` is.
    """
    with open(os.devnull, "w") as nowhere:

        def begin(seconds: float) -> None:
            faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)

        begin(seconds)
        try:
            yield begin
        finally:
            faulthandler.cancel_dump_traceback_later()

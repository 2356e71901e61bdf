"""What `course grade` and `course feedback` show in a terminal: progress, a table, next steps.

Presentation only. Whatever a student could have written is shown as text, never as markup.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape as escape_markup
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from autograder.course import Course
from autograder.errors import plain
from autograder.grade import Result

MAX_NAMED = 6
"""Most questions that get their name as a column's head."""

MAX_ROWS = 60
"""Longest class that is shown student by student."""


def escape(text: str) -> str:
    """Return `text` so that neither rich nor the terminal takes any of it for a command."""
    return escape_markup(plain(text))


class Counter:
    """A progress bar on standard error that counts what is done and what went wrong."""

    def __init__(self, progress: Progress, verb: str):
        self._progress = progress
        self._task = progress.add_task(verb, total=None, failed=0, rate="")
        self._started = time.monotonic()
        self.done = 0
        self.failed = 0
        self.total = 0

    def count(self, total: int, *, failed: bool) -> None:
        """Note one more, of `total`."""
        self.done += 1
        self.failed += failed
        self.total = total
        rate = self.done / max(time.monotonic() - self._started, 1e-6)
        self._progress.update(
            self._task,
            completed=self.done,
            total=total,
            failed=self.failed,
            rate=f"{rate:.1f}/s" if rate >= 1 else f"{60 * rate:.0f}/min",
        )


@contextmanager
def counting(verb: str) -> Iterator[Counter]:
    """Show a progress bar while the body runs; it survives an interruption."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("[red]{task.fields[failed]} failed"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    # In a file or a pipe it would leave nothing but an empty line.
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        yield Counter(progress, verb)


def results(course: Course, assignment: str, found: list[Result], seconds: float) -> None:
    """Print who got what, who was not graded and why, and what to do next."""
    console = Console()
    if len(found) <= MAX_ROWS:
        _print_scores(console, found)
        for result in found:
            for hint in result.hints:
                line = f"[cyan]?[/] {escape(result.student)} was told: {escape(hint)}"
                console.print(line, soft_wrap=True, highlight=False)
    problems = [result for result in found if result.status in ("refused", "failed")]
    for result in problems:
        line = f"[red]✗[/] {escape(result.student)}: {escape(result.message)}"
        console.print(line, soft_wrap=True, highlight=False)
    for result in found:
        for note in result.notes:
            line = f"[yellow]![/] {escape(result.student)}: {escape(note)}"
            console.print(line, soft_wrap=True, highlight=False)
    graded = [result for result in found if result.status == "graded"]
    kept = sum(result.status == "unchanged" for result in found)
    by_hand = sum(result.needs_manual for result in found)
    parts = [f"{len(graded)} graded in {seconds:.1f} s"]
    parts += [f"{kept} unchanged since last time"] if kept else []
    parts += [f"{len(problems)} not graded"] if problems else []
    parts += [f"{by_hand} with an answer to grade by hand"] if by_hand else []
    console.print("; ".join(parts), highlight=False)
    place = course.autograded(assignment, "STUDENT").relative_to(course.root)
    console.print(f"graded notebooks: {place}", highlight=False, soft_wrap=True)
    console.print(f"next: [bold]course feedback {escape(assignment)}[/]", highlight=False)


def _print_scores(console: Console, found: list[Result]) -> None:
    """Print a table of students by question; many questions get numbers, and a line says which."""
    points = {name: of for result in found for name, (_, of) in result.questions.items()}
    numbered = len(points) > MAX_NAMED
    table = Table(padding=(0, 1), pad_edge=False, show_edge=False, show_footer=True)
    table.add_column("student", "points", no_wrap=True)
    for number, (name, of) in enumerate(points.items(), 1):
        head = str(number) if numbered else escape(name)
        table.add_column(head, f"{of:g}", justify="right", no_wrap=True)
    whole = max((result.max_score for result in found), default=0.0)
    table.add_column("score", f"{whole:g}", justify="right", no_wrap=True)
    for result in found:
        name = escape(result.student)
        if result.status in ("refused", "failed"):
            table.add_row(name, *[""] * len(points), f"[red]{result.status}[/]")
            continue
        cells = [_mark(*result.questions.get(question, (None, 0.0))) for question in points]
        table.add_row(name, *cells, f"{result.score:g}{'+?' if result.needs_manual else ''}")
    console.print(table)
    console.print("✓ all points, ? graded by hand", highlight=False)
    if numbered:
        legend = ", ".join(f"{number} {name}" for number, name in enumerate(points, 1))
        console.print(escape(legend), highlight=False)


def _mark(score: float | None, points: float | None) -> str:
    if score is None:
        return "?"
    if score == points:
        return "[green]✓[/]"
    return f"[{'yellow' if score else 'red'}]{score:g}[/]"


def caveats(found: list[Result]) -> list[str]:
    """Return what holds for any of the results, each once."""
    return [*dict.fromkeys(line for result in found for line in result.caveats)]


def as_json(assignment: str, found: list[Result], trust: str) -> str:
    """Return the results as one JSON object."""
    body: dict[str, Any] = {
        "assignment": assignment,
        "trust": trust,
        "caveats": caveats(found),
        "results": [vars(result) for result in found],
    }
    return json.dumps(body, indent=1)

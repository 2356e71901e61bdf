"""`make attack-report`: every attack against nbgrader, our engine at each level, and its control.

python -m tests.attacks.report [--family F] [--only NAME]… [--no-stock]

Writes build/attack-report.md. It takes tens of minutes on two cores: stock nbgrader starts a kernel
for each attack. Ctrl-C writes what there is and ends.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.attacks import suite, weakenings
from tests.attacks.suite import Attack, Outcome

WHERE = Path(__file__).resolve().parents[2] / "build" / "attack-report.md"
STOCK, OURS, SECOND, CONTROL = "nbgrader", "ours", "second level", "control"
LEVELS: tuple[tuple[str, Callable[[], None] | None], ...] = (
    (OURS, None),
    (SECOND, weakenings.second_level),
)


def main() -> None:
    """Run what is asked for and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--family")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--no-stock", action="store_true", help="leave the slow column out")
    options = parser.parse_args()
    attacks = [
        attack
        for attack in suite.attacks()
        if options.family in (None, attack.family)
        and (not options.only or attack.name in options.only)
    ]
    console, found, started = Console(stderr=True), dict[tuple[str, str], str](), time.monotonic()
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("attacks", total=sum(1 for _ in _cells(attacks, options.no_stock)))
        try:
            for column, name, verdict in _verdicts(attacks, options.no_stock):
                found[name, column] = verdict
                progress.update(bar, advance=1, description=f"{column}: {name}"[:40])
        except KeyboardInterrupt:
            console.print("stopped: the table holds what was run")
    WHERE.parent.mkdir(exist_ok=True)
    WHERE.write_text(table(attacks, found), "utf-8")
    console.print(f"{summary(attacks, found)}; {time.monotonic() - started:.0f} s; {WHERE}")


def _cells(attacks: Iterable[Attack], no_stock: bool) -> Iterator[tuple[str, str]]:
    """Yield the cells of the table that will be filled, but for controls that are nbgrader."""
    for attack in attacks:
        yield from ((attack.name, level) for level, _ in LEVELS)
        if callable(attack.control):
            yield attack.name, CONTROL
        if not no_stock:
            yield attack.name, STOCK


def _verdicts(attacks: list[Attack], no_stock: bool) -> Iterator[tuple[str, str, str]]:
    """Yield column, attack and verdict as they come."""
    for column, weakening in LEVELS:
        outcomes = suite.run_ours(attacks, weakening)
        yield from ((column, a.name, _verdict(a, outcomes[a.name])) for a in attacks)
    for control in {a.control_name: a.control for a in attacks if callable(a.control)}.values():
        chosen = [attack for attack in attacks if attack.control is control]
        outcomes = suite.run_ours(chosen, control)
        yield from ((CONTROL, a.name, _verdict(a, outcomes[a.name])) for a in chosen)
    if no_stock:
        return
    some = [attacks[start : start + 8] for start in range(0, len(attacks), 8)]
    with ThreadPoolExecutor(2) as threads:
        under_way = [threads.submit(suite.run_stock, chosen) for chosen in some]
        try:
            for ready in as_completed(under_way):
                outcomes = ready.result()
                yield from (
                    (STOCK, a.name, _verdict(a, outcomes[a.name]))
                    for a in attacks
                    if a.name in outcomes
                )
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise


def _verdict(attack: Attack, outcome: Outcome) -> str:
    if attack.succeeded(outcome):
        return "succeeds"
    return "fails" if outcome.report.get("student") else "nothing graded"


def table(attacks: list[Attack], found: dict[tuple[str, str], str]) -> str:
    """Return the report as Markdown; `found` holds a verdict by attack and column."""
    levels = [column for column, _ in LEVELS]
    lines = ["# Attacks", "", summary(attacks, found) + "."]
    for family in dict.fromkeys(attack.family for attack in attacks):
        head = ["attack", STOCK, *levels, "succeeds without"]
        lines += ["", f"## {family}", "", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
        for attack in attacks:
            if attack.family != family:
                continue
            column = STOCK if attack.control == STOCK else CONTROL
            control = f"{attack.control_name}: {found.get((attack.name, column), 'not run')}"
            cells = [found.get((attack.name, c), "not run") for c in (STOCK, *levels)]
            title = attack.title.replace("|", "\\|")
            lines.append("| " + " | ".join([f"`{attack.name}`: {title}", *cells, control]) + " |")
    return "\n".join(lines) + "\n"


def summary(attacks: list[Attack], found: dict[tuple[str, str], str]) -> str:
    """Return how many attacks succeed in each column, in one line."""
    run = Counter(column for _, column in found)
    won = Counter(column for (_, column), verdict in found.items() if verdict == "succeeds")
    parts = [f"{column} {won[column]} of {run[column]}" for column in run]
    return f"{len(attacks)} attacks; succeed: " + ", ".join(parts)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()

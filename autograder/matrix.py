"""What `course audit` shows: the kill matrix in a terminal, as JSON and as a page.

Presentation only; judges nothing (`autograder.audit` does). For the course's eyes: the lines of
solutions stand in it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from rich.console import Console
from rich.table import Table

from autograder.audit import FAST, Audit, Outcome, Question
from autograder.errors import counted
from autograder.show import escape

TEMPLATES = Path(__file__).parent / "templates" / "audit"
WIDTH = 640
"""Width of a matrix in the page, beside its labels."""


def show(audit: Audit) -> None:
    """Print the matrix, the bar, and whatever falls short, with diffs."""
    console = Console()
    title = f"{escape(audit.assignment)}: its tests, tested"
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for head in _HEADS:
        table.add_column(head, justify="left" if head == "question" else "right", no_wrap=True)
    for question in audit.questions:
        row = _row(audit, question)
        style = "" if row["alive"] == "0" else "yellow"
        table.add_row(*(escape(row[head]) for head in _HEADS), style=style)
    console.print(table)
    console.print(LEGEND, highlight=False, style="dim")

    def line(text: str, mark: str) -> None:
        console.print(f"{mark} {escape(text)}", soft_wrap=True, highlight=False)

    for demand in audit.bar:
        line(demand.text, "[green]✓[/]" if demand.met else "[red]✗[/]")
    for text in shortfalls(audit):
        line(text, "[red]✗[/]")
    for text in audit.advice:
        line(text, "[yellow]![/]")
    for outcome in audit.survivors():
        line(_survivor(outcome), "[yellow]survives[/]")
        for sign, style, text in _diff(outcome):
            console.print(f"  [{style}]{sign} {escape(text)}[/]", soft_wrap=True, highlight=False)
    for text in _remarks(audit):
        line(text, "·")


_HEADS = {
    "question": "",
    "wrong": "misconceptions that lose points here and nowhere else",
    "hinted": "those with their own hint",
    "right": "alternatives with full marks",
    "copied": "hidden points of answers copied from the visible checks",
    "killed": "mutants that a hidden test notices",
    "equal": "mutants listed as equivalent",
    "alive": "mutants that no hidden test notices",
}

LEGEND = "; ".join(f"{head}: {meaning}" for head, meaning in _HEADS.items() if meaning)


def _row(audit: Audit, question: Question) -> dict[str, str]:
    wrong, right = audit.of("misconception", question), audit.of("alternative", question)
    killed, alive = audit.killed(question), audit.survivors(question)
    cheats = audit.of("cheat", question)
    return {
        "question": question.name,
        "wrong": _of([o for o in wrong if o.rejected], wrong),
        "hinted": _of([o for o in wrong if o.hinted], wrong),
        "right": _of([o for o in right if not o.failed], right),
        "copied": f"{sum(o.hidden_points for o in cheats):g}" if cheats else "–",
        "killed": _of(killed, [*killed, *alive]),
        "equal": str(len(audit.equivalent(question))),
        "alive": str(len(alive)),
    }


def _of(good: list[Outcome], every: list[Outcome]) -> str:
    return f"{len(good)}/{len(every)}"


def shortfalls(audit: Audit) -> list[str]:
    """Return a line for each known answer that did not get what it deserves."""
    found = []
    for o in audit.outcomes:
        name, lost = o.case.name, ", ".join(o.failed)
        if o.case.kind == "solution" and o.failed:
            found.append(f"the solution ({name}) loses points in {lost}")
        elif o.case.kind == "stub" and any(test["score"] for test in o.tests.values()):
            found.append("the untouched stub gets points")
        elif o.case.kind == "alternative" and o.failed:
            found.append(f"alternative {name} loses points in {lost}")
        elif o.case.kind == "misconception" and not o.rejected:
            found.append(f"misconception {name} loses points in {lost or 'no test'}")
        elif o.case.kind == "misconception" and not o.hinted:
            found.append(f"misconception {name} gets {' '.join(o.hints) or 'no hint'}")
        elif o.case.kind == "cheat" and o.hidden_points:
            found.append(f"what the visible checks of {name} tell gets {o.hidden_points:g} points")
    return found


def _remarks(audit: Audit) -> list[str]:
    """Return what whoever reads the figures must know."""
    killed = audit.killed()
    stopped = [o.case.name for o in killed if o.stopped]
    visible = [o for o in audit.of("mutant") if o.visibly_wrong]
    found = [
        "a mutant counts as killed if a hidden test of its question takes points off; "
        f"the visible checks alone notice {len(visible)} of {len(audit.of('mutant'))}"
    ]
    if stopped:
        found.append(f"killed by the time limit, not by an assertion: {', '.join(stopped)}")
    cheats = {o.case.question: o for o in audit.of("cheat")}
    without = [q.name for q in audit.questions if q not in cheats or cheats[q].visibly_wrong]
    if without:
        found.append(f"no cheat passes the visible checks of {', '.join(without)}")
    if audit.fast:
        found.append(
            f"a sample: one in {FAST} of {audit.mutants_made} mutants, of the misconceptions and "
            "of the alternatives of each question; the whole without --fast"
        )
    found.append(f"{counted(len(audit.outcomes), 'notebook')} graded in {audit.seconds:.0f} s")
    return found


def _survivor(outcome: Outcome) -> str:
    assert outcome.case.mutant is not None
    only = f" (only {', '.join(outcome.failed)} notices it)" if outcome.failed else ""
    return f"{outcome.case.name}, {outcome.case.mutant.operator}{only}"


def _diff(outcome: Outcome) -> list[tuple[str, str, str]]:
    mutant = outcome.case.mutant
    assert mutant is not None
    old = [("-", "red", line) for line in mutant.old.splitlines()]
    return old + [("+", "green", line) for line in mutant.new.splitlines()]


def as_json(audits: list[Audit]) -> str:
    """Return everything that was found as one JSON object."""
    body = {"met": all(audit.met for audit in audits), "audits": [_as_data(a) for a in audits]}
    return json.dumps(body, indent=1)


def _as_data(audit: Audit) -> dict[str, Any]:
    return {
        "assignment": audit.assignment,
        "met": audit.met,
        "bar": [{"text": demand.text, "met": demand.met} for demand in audit.bar],
        "questions": [_row(audit, question) for question in audit.questions],
        "outcomes": [_outcome_as_data(outcome) for outcome in audit.outcomes],
        "mutants_made": audit.mutants_made,
        "shortfalls": shortfalls(audit),
        "stale": audit.stale,
        "advice": audit.advice,
        "fast": audit.fast,
        "seconds": round(audit.seconds, 1),
    }


def _outcome_as_data(outcome: Outcome) -> dict[str, Any]:
    case = outcome.case
    mutant = case.mutant
    return {
        "kind": case.kind,
        "name": case.name,
        "question": case.question.name if case.question is not None else None,
        "failed": outcome.failed,
        "hints": outcome.hints,
        "stopped": outcome.stopped,
        "note": case.note,
        **({"operator": mutant.operator, "old": mutant.old, "new": mutant.new} if mutant else {}),
    }


def page(audits: list[Audit]) -> str:
    """Return one HTML page that needs no other file: matrices as pictures, survivors, figures."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.get_template("matrix.html.j2")
    return template.render(audits=[_for_page(audit) for audit in audits])


def _for_page(audit: Audit) -> dict[str, Any]:
    return {
        "audit": audit,
        "heads": [*_HEADS],
        "legend": LEGEND,
        "rows": [_row(audit, question) for question in audit.questions],
        "pictures": [_picture(audit, question) for question in audit.questions],
        "shortfalls": shortfalls(audit),
        "remarks": _remarks(audit),
        "survivors": [(_survivor(o), _diff(o)) for o in audit.survivors()],
        "equivalent": [(o.case.name, _diff(o), o.case.note) for o in audit.equivalent()],
    }


def _picture(audit: Audit, question: Question) -> dict[str, Any]:
    """Return what the template draws: a column for each wrong answer, a row for each test."""
    groups = {
        "misconceptions": audit.of("misconception", question),
        "copied": audit.of("cheat", question),
        "mutants": audit.of("mutant", question),
    }
    columns, labels, x = [], [], 0.0
    every = sum(map(len, groups.values()))
    step = max(2.0, min(10.0, (WIDTH - 24) / max(every, 1)))
    for name, outcomes in groups.items():
        if not outcomes:
            continue
        labels.append((x, name))
        for outcome in sorted(outcomes, key=lambda o: _pattern(o, question)):
            columns.append((x, _state(outcome), _title(outcome), set(outcome.failed)))
            x += step
        x = max(x + 12, labels[-1][0] + 7 * len(name))  # the next label needs room
    tests = [(cell.grade_id, cell.grade_id in question.hidden) for cell in question.tests]
    killed, survivors = len(audit.killed(question)), len(audit.survivors(question))
    equivalent = len(audit.equivalent(question))
    wrong = groups["misconceptions"]
    alt = (
        f"{question.name}: its hidden tests notice {killed} of {killed + survivors} mutants and "
        f"{sum(bool(o.noticed_by) for o in wrong)} of {counted(len(wrong), 'misconception')}; "
        f"{survivors} survive, {equivalent} are listed as equivalent. Columns are wrong answers, "
        f"rows the tests {', '.join(str(name) for name, _ in tests)}; dark: the test takes points."
    )
    return {
        "name": question.name,
        "alt": alt,
        "step": step,
        "columns": columns,
        "labels": labels,
        "tests": tests,
    }


def _pattern(outcome: Outcome, question: Question) -> list[bool]:
    """Order the columns by which tests notice them, so that a picture shows blocks."""
    return [cell.grade_id not in outcome.failed for cell in question.tests]


def _state(outcome: Outcome) -> str:
    if outcome.case.kind == "mutant" and outcome.case.note:
        return "equivalent"
    return "" if outcome.noticed_by else "survives"


def _title(outcome: Outcome) -> str:
    mutant = outcome.case.mutant
    if mutant is None:
        return (
            f"{outcome.case.name}: {outcome.case.note}" if outcome.case.note else "copied answers"
        )
    return f"{outcome.case.name}, {mutant.operator}: {mutant.old} → {mutant.new}"

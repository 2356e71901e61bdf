"""Mutates notebooks and hands them in: each is laid out or refused in one line, in bounded time.

    python -m tests.fuzz_notebooks --cases 100000             reading and laying out, in here
    python -m tests.fuzz_notebooks --cases 1000 --engine 300  and some through the whole engine

A case is a seed: `--seed N --cases 1` makes case N again. What must hold: the outcome is `Arranged`
or a `SubmissionError` of one printable line; every cell of the source is there once, each test as
in the source; and a stub never scores, whatever was done to it.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import tiny

from autograder import grade as grading
from autograder.errors import SubmissionError
from autograder.sheet import Arranged, Role, Sheet, arrange, parse_submission

MAX_SECONDS = 2.0
"""Longest that reading one case may take: hundreds of times the usual."""

ODD: list[Any] = [
    *(None, True, False, 0, -1, 4, 3, 1e308, float("nan"), float("inf"), 2**70, ""),
    *("4", "code", "raw", "\ud800", "\0", "\u202e", "a\nb", "x" * 5000, [], {}, [[]], {"a": []}),
    *(["a", "b"], ["a", 1], {"grade_id": "double"}, {"nbgrader": {"grade_id": "total_check"}}),
]
BYTES = [b"\0", b"\xff", b"\xef\xbb\xbf", b"{", b"}", b"[", b"]", b'"', b",", b"NaN", b"\\ud800"]

Notebook = dict[str, Any]


def mutate(notebook: Notebook, rng: random.Random) -> bytes:
    """Return the file of a notebook after a few changes to its cells, its JSON or its bytes."""
    changed = copy.deepcopy(notebook)
    for _ in range(rng.choice([0, 1, 1, 2, 5])):
        rng.choice(_CELL_CHANGES)(changed, rng)
    for _ in range(rng.choice([0, 0, 1, 2])):
        _change_json(changed, rng)
    data = json.dumps(changed, ensure_ascii=rng.random() < 0.9).encode("utf-8", "surrogatepass")
    if rng.random() < 0.3:
        data = _change_bytes(data, rng)
    return data


def _change_json(notebook: Notebook, rng: random.Random) -> None:
    """Change, drop or repeat one value anywhere."""
    parent: Any = notebook
    while True:
        keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        if not keys:
            return
        key = rng.choice(keys)
        if isinstance(parent[key], dict | list) and rng.random() < 0.8:
            parent = parent[key]
            continue
        kind = rng.random()
        if kind < 0.6:
            parent[key] = copy.deepcopy(rng.choice(ODD))
        elif kind < 0.8:
            del parent[key]
        elif isinstance(parent, list):
            parent.insert(rng.randrange(len(parent) + 1), copy.deepcopy(parent[key]))
        else:
            parent[rng.choice(["id", "source", "metadata", "cells", "x"])] = parent[key]
        return


def _change_bytes(data: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.1:
        return data.decode("utf-8", "replace").encode(rng.choice(["utf-16", "utf-32", "utf-16-le"]))
    for _ in range(rng.choice([1, 1, 3, 10])):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice([0, 1, 10, 1000]))
        put = rng.choice([b"", *BYTES, bytes([rng.randrange(256)]), data[at:end] * 2])
        data = data[:at] + put + data[end:]
    return data


def _move(notebook: Notebook, rng: random.Random) -> None:
    cells = notebook["cells"]
    if cells:
        cells.insert(rng.randrange(len(cells)), cells.pop(rng.randrange(len(cells))))


def _drop(notebook: Notebook, rng: random.Random) -> None:
    if notebook["cells"]:
        notebook["cells"].pop(rng.randrange(len(notebook["cells"])))


def _repeat(notebook: Notebook, rng: random.Random) -> None:
    cells = notebook["cells"]
    if cells:
        copied = copy.deepcopy(rng.choice(cells))
        cells.insert(rng.randrange(len(cells) + 1), copied)


def _retype(notebook: Notebook, rng: random.Random) -> None:
    if notebook["cells"]:
        rng.choice(notebook["cells"])["cell_type"] = rng.choice(["code", "markdown", "raw"])


def _rename(notebook: Notebook, rng: random.Random) -> None:
    """Give one cell the metadata or the id of another."""
    if notebook["cells"]:
        one, other = rng.choice(notebook["cells"]), rng.choice(notebook["cells"])
        key = rng.choice(["metadata", "id"])
        one[key] = copy.deepcopy(other.get(key))


def _edit(notebook: Notebook, rng: random.Random) -> None:
    """Empty a cell, or give it something that defines none of the asked names."""
    texts = ["", "1", "pass", "'''", "\t\f", "%%writefile a.py\n", "6", "assert True", "(" * 500]
    if notebook["cells"]:
        rng.choice(notebook["cells"])["source"] = rng.choice(texts)


_CELL_CHANGES: list[Callable[[Notebook, random.Random], None]] = [
    *(_move, _drop, _repeat, _retype, _rename, _edit)
]


def tiny_sheet() -> tuple[Sheet, Notebook]:
    """Return the tiny course's sheet and its release, built in a folder that is gone then."""
    with tempfile.TemporaryDirectory() as folder:
        course = tiny.make_course(Path(folder) / "course")
        source = course.source(tiny.NAME) / f"{tiny.NAME}.ipynb"
        release = course.release(tiny.NAME) / f"{tiny.NAME}.ipynb"
        return Sheet.load(tiny.NAME, source, release), json.loads(release.read_text())


def answered(release: Notebook) -> Notebook:
    """Return the release with the right answers."""
    notebook = copy.deepcopy(release)
    for cell in notebook["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        cell["source"] = tiny.RIGHT.get(name, cell["source"])
    return notebook


def check_reading(sheet: Sheet, data: bytes) -> bool:
    """Read and lay out one file; return whether it was accepted. AssertionError if a rule broke."""
    started = time.monotonic()
    try:
        arranged = arrange(sheet, parse_submission(data, "x.ipynb"), "x.ipynb")
    except SubmissionError as error:
        line = str(error)
        assert line.isprintable(), line
        assert len(line) < 200, line
        return False
    finally:
        assert time.monotonic() - started < MAX_SECONDS
    _check_arranged(sheet, arranged)
    return True


def _check_arranged(sheet: Sheet, arranged: Arranged) -> None:
    ours = [placed.cell.position for placed in arranged.cells if placed.cell is not None]
    assert ours == list(range(len(sheet.cells)))
    for placed in arranged.cells:
        placed.text.encode("utf-8")
        cell = placed.cell
        assert cell is None or placed.cell_type == cell.cell_type
        if cell is not None and cell.role is Role.TEST:
            assert placed.text == cell.source
    assert all(note.isprintable() for note in arranged.notes)


def read_many(
    cases: int,
    seed: int,
    sheet: Sheet,
    release: Notebook,
    watch: Callable[[int, int], None] = lambda done, accepted: None,
) -> int:
    """Read `cases` mutated notebooks; return how many were accepted."""
    bases = [release, answered(release)]
    accepted = 0
    for number in range(seed, seed + cases):
        rng = random.Random(number)
        data = mutate(rng.choice(bases), rng)
        try:
            accepted += check_reading(sheet, data)
        except Exception as error:
            error.add_note(f"case {number}: --seed {number} --cases 1")
            raise
        watch(number - seed + 1, accepted)
    return accepted


def grade_many(cases: int, seed: int, root: Path) -> list[grading.Result]:
    """Grade `cases` mutated stubs and as many solutions as one class; return the results."""
    course = tiny.make_course(root / "course")
    release = tiny.release(course)
    for kind, base in (("stub", release), ("right", answered(release))):
        for number in range(seed, seed + cases):
            folder = course.submitted(tiny.NAME, f"{kind}-{number}")
            folder.mkdir(parents=True)
            data = mutate(base, random.Random(number))
            (folder / f"{tiny.NAME}.ipynb").write_bytes(data)
    results = grading.grade(course, tiny.NAME)
    for result in results:
        assert result.status in ("graded", "refused"), result
        assert result.message.isprintable(), result
        assert 0 <= result.score <= 9, result
        assert result.score == 0 or not result.student.startswith("stub-"), result
    book: dict[str, float] = {}
    for (student, _), row in tiny.gradebook_of(course).items():
        book[student] = book.get(student, 0.0) + (row[0] or 0.0)
    assert book == {r.student: r.score for r in results if r.status == "graded"}
    return results


def main() -> None:
    """Run the fuzzer as its options say; Ctrl-C ends it with what was done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cases", type=int, default=100_000, help="notebooks to read")
    parser.add_argument("--engine", type=int, default=0, help="stubs, and solutions, to grade")
    parser.add_argument("--seed", type=int, default=0, help="number of the first case")
    options = parser.parse_args()
    started, done, accepted = time.monotonic(), 0, 0

    def watch(count: int, fine: int) -> None:
        nonlocal done, accepted
        done, accepted = count, fine
        if count % 5000 == 0:
            rate = count / (time.monotonic() - started)
            print(f"{count:,} of {options.cases:,}, {rate:,.0f}/s", file=sys.stderr, flush=True)

    try:
        read_many(options.cases, options.seed, *tiny_sheet(), watch)
        if options.engine:
            with tempfile.TemporaryDirectory() as folder:
                results = grade_many(options.engine, options.seed, Path(folder))
            graded = sum(result.status == "graded" for result in results)
            print(f"{len(results)} through the engine: {graded} graded, the others refused")
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    seconds = time.monotonic() - started
    print(f"{done:,} notebooks read in {seconds:.0f} s: {accepted:,} accepted, the others refused")


if __name__ == "__main__":
    main()

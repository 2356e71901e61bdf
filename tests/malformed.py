"""Malformed submissions, by name: how each is made, and what must come of it.

`Case.make` turns the right submission of `tiny` into the bytes that are handed in (or None: what it
does to the folder is all). `expect` is a score, or words of the one line that refuses it.
"""

from __future__ import annotations

import copy
import gzip
import json
import os
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tiny
from tiny import NAME, RIGHT

FULL = 9.0
"""Points of the right submission that no person has to give."""

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)


@dataclass(frozen=True)
class Case:
    """One way to hand in something else than a notebook saved by JupyterLab."""

    make: Callable[[dict[str, Any], Path], bytes | None]
    expect: float | str


def cell(notebook: dict[str, Any], grade_id: str) -> dict[str, Any]:
    """Return the cell of that name."""
    return next(c for c in notebook["cells"] if grade_id_of(c) == grade_id)


def grade_id_of(found: dict[str, Any]) -> str | None:
    """Return nbgrader's name of a cell."""
    return found["metadata"].get("nbgrader", {}).get("grade_id")


def _json(change: Callable[[dict[str, Any]], object]) -> Callable[[dict, Path], bytes]:
    """Return a maker that changes the notebook in place."""

    def make(notebook: dict[str, Any], _: Path) -> bytes:
        change(notebook)
        return json.dumps(notebook).encode()

    return make


def _bytes(change: Callable[[bytes], bytes]) -> Callable[[dict, Path], bytes]:
    """Return a maker that changes the file's bytes."""
    return lambda notebook, _: change(json.dumps(notebook, indent=1).encode())


def _cells(change: Callable[[dict[str, Any]], object]) -> Callable[[dict, Path], bytes]:
    """Return a maker that changes every cell."""
    return _json(lambda notebook: [change(found) for found in notebook["cells"]])


def _source(grade_id: str, text: Any) -> Callable[[dict, Path], bytes]:
    return _json(lambda notebook: cell(notebook, grade_id).update(source=text))


def _marks(**fields: Any) -> Callable[[dict, Path], bytes]:
    """Return a maker that changes nbgrader's metadata wherever it is."""

    def change(found: dict[str, Any]) -> None:
        if "nbgrader" in found["metadata"]:
            found["metadata"]["nbgrader"].update(fields)

    return _cells(change)


def _add(text: str, place: int = 2, **fields: Any) -> Callable[[dict, Path], bytes]:
    extra = {"cell_type": "code", "metadata": {}, "source": text, "outputs": []} | fields
    return _json(lambda notebook: notebook["cells"].insert(place, extra))


def _without(*grade_ids: str) -> Callable[[dict, Path], bytes]:
    return _json(
        lambda nb: nb.update(cells=[c for c in nb["cells"] if grade_id_of(c) not in grade_ids])
    )


def _beside(change: Callable[[Path], object]) -> Callable[[dict, Path], bytes]:
    """Return a maker that leaves the notebook right and does something to its folder."""

    def make(notebook: dict[str, Any], folder: Path) -> bytes:
        change(folder)
        return json.dumps(notebook).encode()

    return make


def _instead(change: Callable[[Path], object]) -> Callable[[dict, Path], None]:
    """Return a maker that puts something else where the notebook belongs."""
    return lambda _, folder: (change(folder / f"{NAME}.ipynb"), None)[1]  # type: ignore[func-returns-value]


def _time(text: bytes) -> Callable[[dict, Path], bytes]:
    return _beside(lambda folder: (folder / "timestamp.txt").write_bytes(text))


def _twice(notebook: dict[str, Any]) -> None:
    notebook["cells"] += copy.deepcopy(notebook["cells"])


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's address is short
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(path.name)
    finally:
        os.chdir(here)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10 * 2**30)


def _device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        path.symlink_to("/dev/zero")


def _hard_link(notebook: dict[str, Any], folder: Path) -> None:
    """Whose it is cannot be seen; it is read, and never written to."""
    other = folder.parents[2] / "another.ipynb"
    other.write_text(json.dumps(notebook))
    os.link(other, folder / f"{NAME}.ipynb")


def _deep(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def _many_files(folder: Path) -> None:
    for number in range(3000):
        (folder / f"{number}\n.txt").write_text("x")
    deep = folder.joinpath(*["d"] * 40)
    deep.mkdir(parents=True)
    (deep / "up").symlink_to(folder)


def _names(folder: Path) -> None:
    for number in range(5):
        (folder / f"Untitled{number}\n.ipynb").write_text("{}")


NOT_JSON, NO_TYPE, NO_TEXT = "(not JSON)", "cell of no known type", "whose source is no text"

CASES: dict[str, Case] = {
    # The file.
    "right": Case(_bytes(lambda data: data), FULL),
    "empty": Case(_bytes(lambda data: b""), "is empty"),
    "blank": Case(_bytes(lambda data: b" \r\n\t"), "is empty"),
    "truncated": Case(_bytes(lambda data: data[: len(data) // 2]), NOT_JSON),
    "one_byte_short": Case(_bytes(lambda data: data[:-1]), NOT_JSON),
    "twice_in_one_file": Case(_bytes(lambda data: data + data), NOT_JSON),
    "bad_utf8": Case(_bytes(lambda data: data.replace(b"sum", b"s\xffm")), NOT_JSON),
    "latin1": Case(_bytes(lambda data: data.replace(b"Because", b"\xfcber")), NOT_JSON),
    "bom": Case(_bytes(lambda data: b"\xef\xbb\xbf" + data), FULL),
    "utf16": Case(_bytes(lambda data: data.decode().encode("utf-16")), FULL),
    "utf32": Case(_bytes(lambda data: data.decode().encode("utf-32")), FULL),
    "nul_bytes": Case(_bytes(lambda data: data + b"\0" * 1000), NOT_JSON),
    "all_nul": Case(_bytes(lambda data: b"\0" * 4096), NOT_JSON),
    "windows_lines": Case(_bytes(lambda data: data.replace(b"\n", b"\r\n")), FULL),
    "gzip": Case(_bytes(gzip.compress), NOT_JSON),
    "html": Case(_bytes(lambda data: b"<!DOCTYPE html><html>" + data), NOT_JSON),
    "python": Case(_bytes(lambda data: b"# %%\ndef double(x):\n    return 2 * x\n"), NOT_JSON),
    "merge_conflict": Case(
        _bytes(lambda data: data.replace(b"{", b"<<<<<<< HEAD\n{\n=======\n>>>>>>> b\n", 1)),
        NOT_JSON,
    ),
    "megabytes_of_space": Case(_bytes(lambda data: data + b" " * (31 * 2**20)), FULL),
    "too_large": Case(_bytes(lambda data: data + b" " * (33 * 2**20)), "MiB (limit 32)"),
    "sparse_10_GB": Case(_instead(_sparse), "MiB (limit 32)"),
    "folder": Case(_instead(Path.mkdir), "no regular file"),
    "link_out": Case(_instead(lambda path: path.symlink_to("/etc/passwd")), "is a link"),
    "link_loop": Case(_instead(lambda path: path.symlink_to(path.name)), "is a link"),
    "link_nowhere": Case(_instead(lambda path: path.symlink_to("nowhere")), "is a link"),
    "pipe": Case(_instead(os.mkfifo), "no regular file"),
    "device": Case(_instead(_device), "ask the student to hand"),
    "hard_link": Case(lambda *made: (_hard_link(*made), None)[1], FULL),  # type: ignore[func-returns-value]
    "socket": Case(_instead(_socket), "no regular file"),
    "other_case": Case(
        lambda notebook, folder: ((folder / "Sums.IPYNB").write_text("{}"), None)[1],  # type: ignore[func-returns-value]
        "is missing: ask the student",
    ),
    "other_names": Case(
        lambda _, folder: (_names(folder), None)[1],  # type: ignore[func-returns-value]
        "and 2 more: ask the student",
    ),
    # JSON.
    "a_list": Case(_bytes(lambda data: b"[" + data + b"]"), "JSON of another kind"),
    "a_number": Case(_bytes(lambda data: b"17"), "JSON of another kind"),
    "infinity": Case(_json(lambda nb: nb["metadata"].update(a=float("inf"), b=float("nan"))), FULL),
    "duplicate_keys": Case(
        _bytes(lambda data: data.replace(b"{", b'{"cells": 1, "nbformat": 3,', 1)), FULL
    ),
    "huge_integer": Case(
        _bytes(lambda data: data.replace(b'nbformat": 4', b'nbformat": 4' + b"0" * 5000)), NOT_JSON
    ),
    "deep": Case(_bytes(lambda data: b'{"a":' * 100_000 + data + b"}" * 100_000), NOT_JSON),
    "rather_deep": Case(_json(lambda nb: nb["metadata"].update(deep=_deep(500))), FULL),
    "deep_nbformat": Case(_json(lambda nb: nb.update(nbformat=_deep(500))), "of no number"),
    "nbformat_2": Case(_json(lambda nb: nb.update(nbformat=2)), "nbformat 2, not 4"),
    "nbformat_3": Case(_json(lambda nb: nb.update(nbformat=3)), "nbformat 3, not 4"),
    "nbformat_5": Case(_json(lambda nb: nb.update(nbformat=5)), "nbformat 5, not 4"),
    "nbformat_text": Case(_json(lambda nb: nb.update(nbformat="4")), "nbformat '4', not 4"),
    "nbformat_float": Case(_json(lambda nb: nb.update(nbformat=4.0)), FULL),
    "nbformat_missing": Case(_json(lambda nb: nb.pop("nbformat")), "JSON of another kind"),
    "minor_missing": Case(_json(lambda nb: nb.pop("nbformat_minor")), FULL),
    "minor_odd": Case(_json(lambda nb: nb.update(nbformat_minor=[{}])), FULL),
    "cells_missing": Case(_json(lambda nb: nb.pop("cells")), "has no cells"),
    "cells_null": Case(_json(lambda nb: nb.update(cells=None)), "has no cells"),
    "cells_empty": Case(_json(lambda nb: nb.update(cells=[])), 0),
    "cells_6000": Case(_json(lambda nb: nb.update(cells=nb["cells"] * 600)), "cells (limit 5000)"),
    "cell_of_text": Case(_json(lambda nb: nb["cells"].append("x = 1")), NO_TYPE),
    "cell_of_new_type": Case(_json(lambda nb: nb["cells"][0].update(cell_type="ai")), NO_TYPE),
    "metadata_null": Case(_json(lambda nb: nb.update(metadata=None)), FULL),
    "kernel_wrong": Case(
        _json(lambda nb: nb["metadata"].update(kernelspec={"name": "../../bin/sh"})), FULL
    ),
    "kernel_absent": Case(_json(lambda nb: nb["metadata"].clear()), FULL),
    "language_R": Case(
        _json(
            lambda nb: nb["metadata"].update(
                language_info={"name": "R"},
                kernelspec={"name": "ir", "display_name": "R", "language": "R"},
            )
        ),
        FULL,
    ),
    "kernel_of_no_object": Case(_json(lambda nb: nb["metadata"].update(kernelspec=[])), FULL),
    # Cells.
    "ids_missing": Case(_cells(lambda found: found.pop("id", None)), FULL),
    "ids_equal": Case(_cells(lambda found: found.update(id="same")), FULL),
    "ids_huge": Case(_cells(lambda found: found.update(id="x" * 100_000)), FULL),
    "ids_odd": Case(_cells(lambda found: found.update(id={"a": None})), FULL),
    "cell_metadata_null": Case(_cells(lambda found: found.update(metadata=None)), FULL),
    "schema_1": Case(_marks(schema_version=1), FULL),
    "schema_2": Case(_marks(schema_version=2, cell_type="x"), FULL),
    "schema_4": Case(_marks(schema_version=4, kind=["?"]), FULL),
    "schema_garbage": Case(_marks(schema_version={"a": []}, checksum=7), FULL),
    "points_edited": Case(_marks(points=1e9), FULL),
    "all_unlocked": Case(_marks(locked=False, grade=False, solution=True), FULL),
    "grade_ids_of_numbers": Case(_marks(grade_id=7), FULL),
    "grade_ids_equal": Case(_marks(grade_id="double"), FULL),
    "every_cell_twice": Case(_json(_twice), FULL),
    "cells_reversed": Case(_json(lambda nb: nb["cells"].reverse()), FULL),
    "a_test_moved_up": Case(_json(lambda nb: nb["cells"].insert(0, nb["cells"].pop(7))), FULL),
    "all_markdown": Case(_cells(lambda found: found.update(cell_type="markdown")), FULL),
    "solution_made_raw": Case(_json(lambda nb: cell(nb, "total").update(cell_type="raw")), FULL),
    "tests_made_raw": Case(
        _json(lambda nb: cell(nb, "total_hidden").update(cell_type="raw")), FULL
    ),
    "tests_edited": Case(_source("total_hidden", "pass"), FULL),
    "tests_deleted": Case(_without("total_hidden", "total_check", "sign_parts"), FULL),
    "tests_edited_of_a_wrong_one": Case(
        _json(
            lambda nb: (
                cell(nb, "total").update(source="total = len"),
                cell(nb, "total_hidden").update(source="pass"),
                cell(nb, "total_check").update(source="6"),
            )
        ),
        FULL - 4,
    ),
    "solution_deleted": Case(_without("total"), FULL - 4),
    "every_solution_deleted": Case(_without("double", "total", "sign", "essay"), 0.0),
    "megabytes_of_output": Case(
        _json(
            lambda nb: cell(nb, "total").update(
                outputs=[{"output_type": "stream", "name": "stdout", "text": "x" * 20_000_000}]
            )
        ),
        FULL,
    ),
    "outputs_null": Case(_cells(lambda found: found.update(outputs=None)), FULL),
    "attachments_odd": Case(_cells(lambda found: found.update(attachments=[{"a": 1}])), FULL),
    "attachment": Case(
        _json(
            lambda nb: cell(nb, "essay").update(
                source="![proof](attachment:proof.png)",
                attachments={"proof.png": {"image/png": PIXEL}},
            )
        ),
        FULL,
    ),
    "attachment_of_script": Case(
        _json(
            lambda nb: cell(nb, "essay").update(
                source="![x](attachment:x.svg) ![y](attachment:y.png)",
                attachments={
                    "x.svg": {"image/svg+xml": "PHN2Zz4="},
                    "y.png": {"image/png": '"><script>alert(1)</script>'},
                },
            )
        ),
        FULL,
    ),
    # Sources.
    "source_of_lines": Case(
        _cells(lambda found: found.update(source=found["source"].splitlines(keepends=True))), FULL
    ),
    "source_null": Case(_source("total", None), NO_TEXT),
    "source_a_number": Case(_source("total", 6), NO_TEXT),
    "source_nested": Case(_source("total", [["def total(v):"], []]), NO_TEXT),
    "source_missing": Case(_json(lambda nb: cell(nb, "total").pop("source")), NO_TEXT),
    "source_surrogate": Case(_source("total", tiny.TOTAL + "  # \ud800"), FULL),
    "source_nul": Case(_source("total", tiny.TOTAL + "\n'\0'"), FULL),
    "source_form_feed": Case(_source("total", "\f\n" + tiny.TOTAL + "\n\f"), FULL),
    "source_windows_lines": Case(_source("total", tiny.TOTAL.replace("\n", "\r\n")), FULL),
    "source_tabs": Case(_source("total", tiny.TOTAL.replace("    ", "\t")), FULL),
    "source_mixed_tabs": Case(
        _source("total", "def total(v):\n\tx = 1\n        return sum(v)"), FULL - 4
    ),
    "source_unterminated": Case(_source("total", tiny.TOTAL + "\ns = '''"), FULL - 4),
    "source_unicode": Case(_source("total", tiny.TOTAL.replace("sum", "ſum")), FULL),
    "source_writefile": Case(_source("total", "%%writefile total.py\n" + tiny.TOTAL), FULL - 4),
    "source_deep": Case(_source("total", "(" * 50_000 + ")" * 50_000), FULL - 4),
    "source_deep_unary": Case(_source("total", tiny.TOTAL + f"\nx = {'-' * 100_000}1"), FULL - 4),
    "source_100_000_lines": Case(_source("total", tiny.TOTAL + "\n# x" * 100_000), FULL),
    "source_too_long": Case(_source("total", "#" * 10_000_000), "characters in its cells"),
    "text_too_long": Case(_source("essay", "<a" * 5_000_000), "characters in its cells"),
    "extra_cell_with_an_error": Case(_add("1 / 0"), FULL),
    "extra_cell_raw": Case(_add("1 / 0", cell_type="raw"), FULL),
    "extra_cell_as_a_test": Case(
        _add("get_ipython().x = 1", metadata={"nbgrader": {"grade_id": "total_check"}}), FULL
    ),
    # Beside the notebook.
    "time_empty": Case(_time(b""), FULL),
    "time_right": Case(_time(b"2026-03-01 02:30:00.123456 UTC"), FULL),
    "time_zone": Case(_time(b"2026-03-01 02:30:00 Europe/Berlin\n"), FULL),
    "time_1900": Case(_time(b"1900-01-01 00:00:00 UTC"), FULL),
    "time_9999": Case(_time(b"9999-12-31 23:59:59 UTC"), FULL),
    "time_past_9999": Case(_time(b"9999-12-31 23:59:59 -14:00"), "holds no time"),
    "time_binary": Case(_time(bytes(range(256))), "holds no time"),
    "time_long": Case(_time(b"2026" * 1000), "bytes (limit 1000)"),
    "time_of_a_file": Case(_time(b"2026-03-01 02:30 /etc/localtime"), "holds no time"),
    "time_day_31": Case(_time(b"2026-02-31 02:30:00 UTC"), "holds no time"),
    "time_folder": Case(_beside(lambda folder: (folder / "timestamp.txt").mkdir()), "no regular"),
    "time_link": Case(
        _beside(lambda folder: (folder / "timestamp.txt").symlink_to("/etc/passwd")), "is a link"
    ),
    "helpers_3000": Case(_beside(_many_files), FULL),
    "helper_huge": Case(_beside(lambda folder: _sparse(folder / "data.bin")), FULL),
    "helper_link": Case(_beside(lambda folder: (folder / "a.py").symlink_to("/etc/passwd")), FULL),
    "helper_pipe": Case(_beside(lambda folder: os.mkfifo(folder / "a.py")), FULL),
    "helper_as_the_mark": Case(
        _beside(lambda folder: (folder / ".grading.json").write_text('{"key": "", "result": {}}')),
        FULL,
    ),
    "helper_second_notebook": Case(
        _beside(lambda folder: (folder / "Other.ipynb").write_text("{")), FULL
    ),
    # The student's folder.
    "with space": Case(_bytes(lambda data: data), FULL),
    "ünï+çødé": Case(_bytes(lambda data: data), FULL),
    "[red]": Case(_bytes(lambda data: data), FULL),
    "x" * 120: Case(_bytes(lambda data: data), FULL),
    "y" * 200: Case(_bytes(lambda data: data), "a name of 200 characters"),
    "two\nlines": Case(_bytes(lambda data: data), "a name that is no text"),
    os.fsdecode(b"bad\xff"): Case(_bytes(lambda data: data), "a name that is no text"),
}


def hand_in(folder: Path, case: Case, notebook: dict[str, Any]) -> None:
    """Make one case in `folder`, a student's, from the released notebook."""
    folder.mkdir(parents=True)
    answered = copy.deepcopy(notebook)
    for found in answered["cells"]:
        found["source"] = RIGHT.get(grade_id_of(found) or "", "".join(found["source"]))
    data = case.make(answered, folder)
    if data is not None:
        (folder / f"{NAME}.ipynb").write_bytes(data)

"""The two forms of one document: a percent-format `.py`, which people review, and its `.ipynb`.

Knows notebooks as text; runs nothing and knows no scores. A pair is compared by *content*: cell
types, sources, and the metadata that the text form can hold (tags, nbgrader's own). Outputs,
execution counts, cell ids and timestamps are no content: they live in the notebook alone.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import jupytext
import nbformat
from jupytext.cell_metadata import _JUPYTEXT_CELL_METADATA
from jupytext.combine import combine_inputs_with_outputs
from nbformat import NotebookNode

from autograder.course import Course
from autograder.errors import CourseError

PERCENT = "py:percent"
FORMATS = "ipynb,py:percent"
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}

# One cell as it counts: its type, its source, and its metadata as sorted JSON.
Cell = tuple[str, str, str]


class PairError(CourseError):
    """One file of a pair cannot be read; the other pairs are not affected."""


@dataclass(frozen=True)
class Pair:
    """A document's two files; at least one of them exists. `root` is the course's folder."""

    py: Path
    root: Path

    @property
    def ipynb(self) -> Path:
        """The notebook."""
        return self.py.with_suffix(".ipynb")

    def name(self, path: Path) -> str:
        """`path` as people say it: from the course's folder on."""
        return str(path.relative_to(self.root))


@dataclass(frozen=True)
class Result:
    """What was found, or done, about one pair.

    `line` is for people. `ok` is False for a difference that --check found and for a file that
    cannot be read; `written` is the file that was replaced or made, if any.
    """

    pair: Pair
    line: str
    ok: bool = True
    written: Path | None = None


@dataclass(frozen=True)
class _Side:
    """One existing file of a pair."""

    path: Path
    text: str
    pair: Pair

    @cached_property
    def notebook(self) -> NotebookNode:
        return _parse(self.path, self.text, self.pair.name(self.path))


def find(course: Course, folders: Sequence[Path] | None = None) -> list[Pair]:
    """Return the pairs below `folders` (default: lectures/ and the source directory), sorted.

    A notebook always belongs to a pair. A `.py` does if its jupytext header says percent, or if
    it opens with a percent cell; any other `.py` is a module and is left alone.
    """
    if folders is None:
        folders = [course.root / "lectures", course.source("x").parent]
    documents = {
        path.with_suffix(".py")
        for folder in folders
        for path in _files(folder)
        if path.suffix == ".ipynb" or (path.suffix == ".py" and _is_percent(path))
    }
    return [Pair(py, course.root) for py in sorted(documents)]


def sync(course: Course, folders: Sequence[Path] | None = None) -> Iterator[Result]:
    """Make the two files of every pair equal, and yield what was done, pair by pair.

    If both exist and differ, the one that changed since git's HEAD wins if exactly one did, and
    otherwise the newer one. Equal pairs are not touched.
    """
    for pair in find(course, folders):
        try:
            yield _sync(pair)
        except PairError as error:
            yield Result(pair, str(error), ok=False)


def check(course: Course, folders: Sequence[Path] | None = None) -> Iterator[Result]:
    """Yield for every pair whether its files are equal; change nothing."""
    for pair in find(course, folders):
        try:
            yield _check(pair)
        except PairError as error:
            yield Result(pair, str(error), ok=False)


def content(notebook: NotebookNode, header: NotebookNode | None = None) -> list[Cell]:
    """Return the cells as they count, passed through the text form so that both sides compare.

    `header` is notebook metadata whose jupytext filters say what the text form can hold.
    """
    bare = copy.deepcopy(notebook)
    for cell in bare.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    if header is not None:
        bare.metadata = copy.deepcopy(header)
    bare = jupytext.reads(jupytext.writes(bare, PERCENT), PERCENT)
    return [(cell.cell_type, cell.source, _metadata(cell)) for cell in bare.cells]


def to_text(notebook: NotebookNode, header: NotebookNode | None = None) -> str:
    """Return the percent form; `header` (an older text's metadata) is kept where it is given."""
    bare = copy.deepcopy(notebook)
    if header is not None:
        bare.metadata = copy.deepcopy(header)
    else:
        kernel = bare.metadata.get("kernelspec", KERNELSPEC)
        bare.metadata = NotebookNode(jupytext={"formats": FORMATS}, kernelspec=kernel)
    return str(jupytext.writes(bare, PERCENT))


def set_ids(notebook: NotebookNode, keep: set[str]) -> None:
    """Give each cell whose id is not in `keep` one that follows from what the cell is.

    nbgrader's cells are called by their grade_id, the others by a hash of their source, so that
    the same text makes the same notebook on every machine.
    """
    notebook.nbformat, notebook.nbformat_minor = 4, max(5, notebook.nbformat_minor)
    seen = {cell.id for cell in notebook.cells if cell.get("id") in keep}
    for cell in notebook.cells:
        if cell.get("id") in keep:
            continue
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
        base = re.sub(r"[^\w-]", "-", cell.metadata.get("nbgrader", {}).get("grade_id") or digest)
        base = base.encode("ascii", "replace").decode().replace("?", "-")[:56]
        name, copies = base, 1
        while name in seen:
            copies += 1
            name = f"{base}-{copies}"
        seen.add(name)
        cell.id = name


def dump(notebook: NotebookNode) -> str:
    """Return the notebook as JSON text, checked against the format."""
    nbformat.validate(notebook)
    return str(nbformat.writes(notebook, version=nbformat.NO_CONVERT)).rstrip("\n") + "\n"


def write(path: Path, text: str) -> None:
    """Replace `path` as a whole: a reader, or a crash, meets the old text or the new one."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
            os.chmod(temporary, mode)
            os.replace(temporary, path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise CourseError(f"{path} cannot be written: {error.strerror}") from None


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _files(folder: Path) -> Iterator[Path]:
    """Files one or two levels down, without hidden and generated folders."""
    for path in sorted([*folder.glob("*"), *folder.glob("*/*")]):
        inside = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in inside):
            yield path


def _is_percent(path: Path) -> bool:
    head = path.read_bytes()[:2000].decode("utf-8", "replace").lstrip("\ufeff\n\r ")
    if head.startswith("# ---"):
        header = head.split("# ---")[1]
        return "jupytext:" in header and "percent" in header
    return head.startswith("# %%")


def _read(path: Path, pair: Pair) -> _Side | None:
    try:
        return _Side(path, path.read_text(encoding="utf-8"), pair)
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise PairError(f"{pair.name(path)} is not UTF-8 text: byte {error.start}") from None
    except OSError as error:
        raise PairError(f"{pair.name(path)} cannot be read: {error.strerror}") from None


def _parse(path: Path, text: str, name: str) -> NotebookNode:
    try:
        if path.suffix == ".py":
            return jupytext.reads(text, PERCENT)
        notebook = nbformat.reads(text, as_version=4)
        nbformat.validate(notebook)
        return notebook
    except Exception as error:  # both libraries raise whatever their parsers do
        reason = " ".join(str(error).split())
        if isinstance(error, nbformat.reader.NotJSONError):
            reason = _json_reason(text)
        kind = "a percent script" if path.suffix == ".py" else "a notebook"
        raise PairError(f"{name} is not {kind}: {_shorten(reason, 120)}") from None


def _json_reason(text: str) -> str:
    try:
        json.loads(text)
    except ValueError as error:
        return str(error)
    return "it is JSON, but no notebook"


def _metadata(cell: NotebookNode) -> str:
    kept = {
        key: value for key, value in cell.metadata.items() if key not in _JUPYTEXT_CELL_METADATA
    }
    return json.dumps(kept, sort_keys=True, ensure_ascii=False)


def _sides(pair: Pair) -> tuple[_Side | None, _Side | None]:
    if pair.py.is_file() and not _is_percent(pair.py):
        raise PairError(
            f"{pair.name(pair.py)} is no percent script, but {pair.ipynb.name} stands beside it: "
            "rename one of them"
        )
    return _read(pair.py, pair), _read(pair.ipynb, pair)


def _check(pair: Pair) -> Result:
    py, ipynb = _sides(pair)
    if py is None or ipynb is None:
        missing = pair.py if py is None else pair.ipynb
        for side in (py, ipynb):
            _ = side and side.notebook  # one that cannot be read is the worse news
        return Result(pair, f"{pair.name(missing)} is missing: run `course sync`", ok=False)
    difference = _first_difference(*_contents(py, ipynb))
    if difference is None:
        return Result(pair, f"{pair.name(pair.ipynb)} and its .py are equal")
    return Result(
        pair, f"{pair.name(pair.py)} and {pair.ipynb.name} differ: {difference}", ok=False
    )


def _contents(py: _Side, ipynb: _Side) -> tuple[list[Cell], list[Cell]]:
    header = py.notebook.metadata
    return content(py.notebook), content(ipynb.notebook, header)


def _first_difference(py: list[Cell], ipynb: list[Cell]) -> str | None:
    """Say in a few words where the first difference is, counting cells from 1."""
    for number, (left, right) in enumerate(zip(py, ipynb, strict=False), 1):
        if left[0] != right[0]:
            return f"cell {number} is {left[0]} in the .py, {right[0]} in the notebook"
        if left[1] != right[1]:
            line, a, b = _first_line(left[1].splitlines(), right[1].splitlines())
            return f"cell {number}, line {line}: {a} in the .py, {b} in the notebook"
        if left[2] != right[2]:
            a, b = _around_difference(left[2], right[2])
            return f"cell {number}, metadata: {a} in the .py, {b} in the notebook"
    if len(py) != len(ipynb):
        where = "the .py" if len(py) > len(ipynb) else "the notebook"
        return f"cell {min(len(py), len(ipynb)) + 1} is only in {where}"
    return None


def _first_line(ours: list[str], theirs: list[str]) -> tuple[int, str, str]:
    """Return the number of the first line that differs, from 1, and both sides of it in quotes."""
    for number, (a, b) in enumerate(zip(ours, theirs, strict=False), 1):
        if a != b:
            left, right = _around_difference(a, b)
            return number, repr(left), repr(right)
    common = min(len(ours), len(theirs))
    left, right = (
        repr(_shorten(x[common], 40)) if common < len(x) else "nothing" for x in (ours, theirs)
    )
    return common + 1, left, right


def _around_difference(a: str, b: str) -> tuple[str, str]:
    """Cut both strings to what surrounds the first character in which they differ."""
    parts = (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y)
    start = max(0, next(parts, min(len(a), len(b))) - 15)
    lead = "…" if start else ""
    return lead + _shorten(a[start:], 40), lead + _shorten(b[start:], 40)


def _sync(pair: Pair) -> Result:
    py, ipynb = _sides(pair)
    if ipynb is None:
        assert py is not None
        write(pair.ipynb, dump(_notebook(py.notebook, None)))
        return Result(pair, f"{pair.name(pair.ipynb)} made from its .py", written=pair.ipynb)
    if py is None:
        write(pair.py, to_text(ipynb.notebook))
        return Result(pair, f"{pair.name(pair.py)} made from its notebook", written=pair.py)

    contents = _contents(py, ipynb)
    if contents[0] == contents[1]:
        return Result(pair, f"{pair.name(pair.ipynb)} and its .py are equal")
    winner, reason = _winner(py, ipynb, contents)
    if winner is py:
        text, target = dump(_notebook(py.notebook, ipynb.notebook)), ipynb
    else:
        text, target = to_text(ipynb.notebook, py.notebook.metadata), py
    kept = ""
    if reason.startswith("both"):  # the loser has work in it that git does not have
        copy_to = pair.root / "build" / "replaced" / pair.name(target.path)
        write(copy_to, target.text)
        kept = f"; the other is kept in {pair.name(copy_to)}"
    write(target.path, text)
    line = f"{pair.name(target.path)} updated from {winner.path.name}: {reason}{kept}"
    return Result(pair, line, written=target.path)


def _notebook(source: NotebookNode, old: NotebookNode | None) -> NotebookNode:
    """Return `source` as a notebook, with `old`'s outputs and ids where a cell is unchanged.

    An edited cell keeps its id and loses its outputs: they show what the old code did.
    """
    before: dict[str, NotebookNode] = {}
    if old is not None:
        old = copy.deepcopy(old)
        set_ids(old, keep={cell.id for cell in old.cells if cell.get("id")})
        before = {cell.id: cell for cell in old.cells}
        notebook = combine_inputs_with_outputs(copy.deepcopy(source), old, PERCENT)
    else:
        notebook = copy.deepcopy(source)
    for cell in notebook.cells:
        same = cell.id in before and before[cell.id].source.rstrip() == cell.source.rstrip()
        if cell.cell_type == "code" and not same:
            cell.outputs, cell.execution_count = [], None
    set_ids(notebook, keep=set(before))
    notebook.metadata.setdefault("kernelspec", NotebookNode(KERNELSPEC))
    notebook.metadata.jupytext = NotebookNode(
        {**notebook.metadata.get("jupytext", {}), "formats": FORMATS}
    )
    notebook.metadata.jupytext.pop("text_representation", None)
    return notebook


def _winner(py: _Side, ipynb: _Side, contents: tuple[list[Cell], list[Cell]]) -> tuple[_Side, str]:
    header = py.notebook.metadata
    changed = [
        _changed_since_head(side, cells, header)
        for side, cells in zip((py, ipynb), contents, strict=True)
    ]
    if changed == [True, False]:
        return py, "it changed since the last commit"
    if changed == [False, True]:
        return ipynb, "it changed since the last commit"
    newer = py if py.path.stat().st_mtime_ns >= ipynb.path.stat().st_mtime_ns else ipynb
    state = "both have changes that git has not" if all(changed) else "neither changed"
    return newer, f"{state}, and it is newer"


def _changed_since_head(side: _Side, cells: list[Cell], header: NotebookNode) -> bool:
    """Whether the content differs from the last commit's; True for what git does not know.

    By content: a notebook that was only run again has not changed.
    """
    try:
        shown = subprocess.run(
            ["git", "show", f"HEAD:./{side.path.name}"],
            cwd=side.path.parent,
            capture_output=True,
            check=True,
            text=True,
            encoding="utf-8",
        )
        committed = _parse(side.path, shown.stdout, side.path.name)
    except (OSError, subprocess.CalledProcessError, UnicodeDecodeError, PairError):
        return True
    return content(committed, header) != cells


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"

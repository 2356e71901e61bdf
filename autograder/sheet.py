"""An assignment's notebook: cells with roles, and what a student made of them.

Knows the source notebook (the course's own, solutions and hidden tests included) and reads
submissions as data. Runs nothing.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

from autograder.errors import CourseError, SubmissionError

MAX_NOTEBOOK_BYTES = 32 * 2**20
MAX_CELLS = 5000
"""Most cells of a submission: the page of one with a hundred thousand takes nbconvert minutes."""

MAX_TEXT = 4 * 2**20
"""Most characters in all cells of a submission: with it the graded notebook fits one frame."""

MAX_ATTACHMENTS = 8 * 2**20
"""Most characters of the pictures, in base64, that are kept in the answers of a submission."""

PICTURES = ("image/png", "image/jpeg", "image/gif")

SKIP_TAG = "skip-execution"
_STAR = re.compile(r"^\s*(from\s.*import\s*\(?\s*\*|%)", re.MULTILINE)
_ASKED_FOR = re.compile(r"(?:\bdef\s+|\bself\.)(\w+)(?=\s*[(:=](?!=))")
_IDENTIFIER = re.compile(r"[^\W\d]\w*")
_BASE64 = re.compile(r"[A-Za-z0-9+/\n]+=*\n?")


class Role(StrEnum):
    """What a cell of the source is for, in nbgrader's terms."""

    TEXT = "text"
    GIVEN = "given"  # code that everybody has: run on both sides of the wall
    SOLUTION = "solution"  # the student's, graded by the test cells that follow
    MANUAL = "manual"  # the student's, graded by hand
    TASK = "task"  # ours, sets a task; what the student did about it is graded by hand
    TEST = "test"  # ours, decides points


_GRADED = (Role.TEST, Role.MANUAL, Role.TASK)


@dataclass(frozen=True)
class Cell:
    """One cell of the source, beside its text in the release."""

    position: int
    role: Role
    cell_type: str
    source: str
    release: str
    cell_id: str
    grade_id: str | None
    points: float
    locked: bool
    metadata: dict[str, Any]
    skip: bool
    attachments: dict[str, dict[str, str]] = field(default_factory=dict)
    """The author's own pictures in a Markdown cell, as nbformat has them."""

    @property
    def is_code(self) -> bool:
        """Whether the cell holds code."""
        return self.cell_type == "code"


@dataclass(frozen=True)
class Sheet:
    """One notebook of an assignment. Trusted side only: it holds the hidden tests."""

    assignment: str
    name: str
    cells: tuple[Cell, ...]
    metadata: dict[str, Any]
    digest: str
    """SHA-256 of source and release: a sheet that changed is another sheet."""

    @classmethod
    def load(cls, assignment: str, source: Path, release: Path) -> Sheet:
        """Read the source notebook and its release; raise CourseError if they do not match."""
        texts = []
        for path in (source, release):
            try:
                texts.append(path.read_bytes())
            except OSError as error:
                raise CourseError(
                    f"{path} cannot be read ({error.strerror}): run `course build {assignment}`"
                ) from None
        try:
            return cls.parse(assignment, source.stem, *texts)
        except (ValueError, KeyError, TypeError):
            raise CourseError(
                f"{release} is not the release of {source}: run `course build {assignment}`"
            ) from None

    @classmethod
    def parse(cls, assignment: str, name: str, source: bytes, release: bytes) -> Sheet:
        """Return the sheet that two notebooks make; ValueError if they do not match."""
        ours, theirs = json.loads(source), json.loads(release)
        pairs = zip(ours["cells"], theirs["cells"], strict=True)
        kernel = ours.get("metadata", {}).get("kernelspec", {})
        if (language := kernel.get("language", "python")) != "python":
            raise CourseError(f"{name} of {assignment} is written in {language}, not in Python")
        return cls(
            assignment=assignment,
            name=name,
            cells=tuple(_cell(i, *pair) for i, pair in enumerate(pairs)),
            metadata=theirs.get("metadata", {}),
            digest=hashlib.sha256(source + b"\0" + release).hexdigest(),
        )

    @cached_property
    def by_grade_id(self) -> dict[str, Cell]:
        """Cells that nbgrader knows by name."""
        return {cell.grade_id: cell for cell in self.cells if cell.grade_id is not None}

    @cached_property
    def our_names(self) -> dict[int, frozenset[str]]:
        """Names that each cell which the grader runs binds, imports too, by position."""
        return {
            cell.position: bound_names(cell.source, imports=True)
            for cell in self.cells
            if cell.is_code and cell.role in (Role.GIVEN, Role.TEST)
        }

    @cached_property
    def identifiers(self) -> frozenset[str]:
        """Every identifier in a cell that the grader runs."""
        cells = [c for c in self.cells if c.is_code and c.role in (Role.GIVEN, Role.TEST)]
        return frozenset(name for c in cells for name in _IDENTIFIER.findall(c.source))

    @cached_property
    def unbound(self) -> frozenset[str]:
        """Names that the grader's cells read and no cell of the source binds: the student's.

        So it is where a solution cell of the source shows nothing but "your code here". A star
        import binds names that cannot be seen here: with one, there are none.
        """
        ours = [c for c in self.cells if c.is_code and c.role in (Role.GIVEN, Role.TEST)]
        if any(_STAR.search(cell.source) for cell in ours):
            return frozenset()
        bound = {name for cell in self.cells for name in self.solution_names.get(cell.position, ())}
        bound |= {name for cell in ours for name in self.our_names[cell.position]}
        trees = [tree for cell in ours if (tree := _tree(cell.source)) is not None]
        read = {
            node.id
            for tree in trees
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        }
        return frozenset(
            name for name in read - bound - set(dir(builtins)) if not name.startswith("_")
        )

    @cached_property
    def questions(self) -> dict[str, list[Cell]]:
        """Cells that carry points, by question: the solution cell that they follow."""
        found: dict[str, list[Cell]] = {}
        question = self.name
        for cell in self.cells:
            if cell.role in (Role.SOLUTION, Role.MANUAL, Role.TASK):
                question = cell.grade_id or question
            if cell.role in _GRADED:
                found.setdefault(question, []).append(cell)
        return found

    @cached_property
    def solution_names(self) -> dict[int, frozenset[str]]:
        """Names that each solution cell of the source binds (imports aside), by position."""
        return {
            cell.position: bound_names(cell.source)
            for cell in self.cells
            if cell.is_code and cell.role in (Role.SOLUTION, Role.MANUAL)
        }

    @cached_property
    def solution_functions(self) -> frozenset[str]:
        """The `names_asked_for` of the source's own code and solutions."""
        roles = (Role.GIVEN, Role.SOLUTION, Role.MANUAL)
        cells = [cell for cell in self.cells if cell.is_code and cell.role in roles]
        return frozenset().union(*(names_asked_for(cell.source) for cell in cells))

    def prepare(self) -> None:
        """Compute what every submission needs, once, before the first one is forked off."""
        _ = self.by_grade_id, self.questions, self.identifiers
        _ = self.solution_names, self.our_names, self.unbound, self.solution_functions

    @cached_property
    def visible_imports(self) -> tuple[str, ...]:
        """Modules that the released code cells import, for warming an interpreter."""
        found: set[str] = set()
        for cell in self.cells:
            if cell.is_code and cell.role is Role.GIVEN and not cell.skip:
                found |= _imports(cell.release)
        return tuple(sorted(found))


def names_asked_for(source: str) -> frozenset[str]:
    """Return the names of functions, methods and attributes of `self` that a source defines."""
    return frozenset(_ASKED_FOR.findall(source))


def _cell(position: int, ours: dict, theirs: dict) -> Cell:
    if ours["cell_type"] != theirs["cell_type"]:
        raise ValueError("another cell")
    mark = theirs["metadata"].get("nbgrader", {})
    if ours["metadata"].get("nbgrader", {}).get("grade_id") != mark.get("grade_id"):
        raise ValueError("another cell")
    source, release = _text(ours["source"]), _text(theirs["source"])
    metadata = theirs["metadata"]
    if mark.get("grade") and not mark.get("solution") and source != release:
        # The release's is of a cell without its hidden tests: `nbgrader validate` would object.
        checksum = _checksum(source, ours["cell_type"], mark)
        metadata = {**metadata, "nbgrader": {**mark, "checksum": checksum}}
    return Cell(
        position=position,
        role=_role(ours["cell_type"], mark),
        cell_type=ours["cell_type"],
        source=source,
        release=release,
        cell_id=str(theirs.get("id", f"cell-{position}")),
        grade_id=mark.get("grade_id"),
        points=float(mark.get("points", 0) or 0),
        locked=bool(mark.get("locked")),
        metadata=metadata,
        skip=SKIP_TAG in theirs["metadata"].get("tags", []),
        attachments=theirs.get("attachments", {}),
    )


def _checksum(source: str, cell_type: str, mark: dict) -> str:
    """Return what `nbgrader.utils.compute_checksum` gives for a test cell.

    That module takes long to import. The three flags: a grade, no solution, locked.
    """
    parts = [source, cell_type, "True", "False", "True", mark["grade_id"]]
    parts.append(str(float(mark["points"])))
    return hashlib.md5("".join(parts).encode()).hexdigest()


def _role(cell_type: str, mark: dict) -> Role:
    if mark.get("task"):
        return Role.TASK
    if mark.get("grade") and mark.get("solution"):
        return Role.MANUAL
    if mark.get("grade"):
        return Role.TEST
    if mark.get("solution"):
        return Role.SOLUTION
    return Role.GIVEN if cell_type == "code" else Role.TEXT


def _text(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def _tree(source: str) -> ast.Module | None:
    """Parse a cell that may hold IPython's magics; None if it is no Python at all."""
    try:
        return ast.parse(TransformerManager().transform_cell(source))
    except (SyntaxError, ValueError):
        return None


def bound_names(source: str, *, imports: bool = False) -> frozenset[str]:
    """Names that a cell binds at its top level, those that it imports only if asked."""
    found: set[str] = set()

    class Binder(ast.NodeVisitor):
        def visit_FunctionDef(self, node: Any) -> None:
            found.add(node.name)  # and nothing inside it

        visit_AsyncFunctionDef = visit_FunctionDef
        visit_ClassDef = visit_FunctionDef

        def visit_Lambda(self, node: ast.Lambda) -> None:
            pass

        def visit_Name(self, node: ast.Name) -> None:
            if isinstance(node.ctx, ast.Store):
                found.add(node.id)

        def visit_alias(self, node: ast.alias) -> None:
            if imports:
                found.add((node.asname or node.name).partition(".")[0])

    tree = _tree(source)
    if tree is not None:
        Binder().visit(tree)
    return frozenset(found)


def _imports(source: str) -> set[str]:
    tree = _tree(source)
    found: set[str] = set()
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
    return found


@dataclass(frozen=True)
class SubmittedCell:
    """A cell as a student handed it in: a type, a text, and the names it was matched by."""

    cell_type: str
    source: str
    cell_id: str | None
    grade_id: str | None
    attachments: dict[str, dict[str, str]] = field(default_factory=dict)
    """Pictures pasted into a Markdown cell, as nbformat has them: by name, then MIME type."""


@dataclass(frozen=True)
class Placed:
    """A cell of the graded notebook: the source's, the student's text for it, or an extra one."""

    cell: Cell | None
    """The source's cell, or None for one that the student added."""
    cell_type: str
    text: str
    """What stands in the cell, and what the student's process runs."""
    missing: bool = False
    """Whether the student's version of a solution cell was not in the submission."""
    attachments: dict[str, dict[str, str]] = field(default_factory=dict)
    """Pictures of a Markdown cell of the student's."""


@dataclass(frozen=True)
class Arranged:
    """A submission laid into the source's order."""

    cells: tuple[Placed, ...]
    notes: tuple[str, ...] = field(default=())
    """What was repaired, in words for the TA."""


def parse_submission(data: bytes, where: str) -> list[SubmittedCell]:
    """Read a notebook that a student handed in, or raise SubmissionError with the mend."""
    if len(data) > MAX_NOTEBOOK_BYTES:
        raise SubmissionError(
            f"{where} has {len(data) >> 20} MiB (limit {MAX_NOTEBOOK_BYTES >> 20}): "
            "ask for it with its outputs cleared"
        )
    if not data.strip():
        raise SubmissionError(f"{where} is empty: ask the student to hand it in again")
    try:
        notebook = json.loads(data)
    except (ValueError, RecursionError):
        raise SubmissionError(
            f"{where} is no notebook (not JSON): ask the student to hand it in again"
        ) from None
    except MemoryError:
        raise SubmissionError(
            f"{where} needs too much memory: ask for it with its outputs cleared"
        ) from None
    if not isinstance(notebook, dict) or "nbformat" not in notebook:
        raise SubmissionError(
            f"{where} is no notebook (JSON of another kind): ask for the .ipynb file"
        )
    version = notebook["nbformat"]
    if version != 4:
        said = "of no number" if isinstance(version, list | dict) else ascii(version)[:20]
        raise SubmissionError(
            f"{where} has nbformat {said}, not 4: "
            "open it in JupyterLab, save it, and hand it in again"
        )
    cells = notebook.get("cells")
    if not isinstance(cells, list):
        raise SubmissionError(f"{where} has no cells: ask the student to hand it in again")
    if len(cells) > MAX_CELLS:
        raise SubmissionError(
            f"{where} has {len(cells)} cells (limit {MAX_CELLS}): "
            "ask the student to hand it in again"
        )
    read = [_submitted_cell(cell, where) for cell in cells]
    size = sum(len(cell.source) for cell in read)
    if size > MAX_TEXT:
        raise SubmissionError(
            f"{where} has {size:,} characters in its cells (limit {MAX_TEXT:,}): "
            "ask the student to shorten it"
        )
    return read


def _submitted_cell(cell: Any, where: str) -> SubmittedCell:
    if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw"):
        raise SubmissionError(f"{where} has a cell of no known type: ask for it again")
    source = cell.get("source")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        raise SubmissionError(f"{where} has a cell whose source is no text: ask for it again")
    metadata = cell.get("metadata")
    mark = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = mark.get("grade_id") if isinstance(mark, dict) else None
    cell_id = cell.get("id")
    return SubmittedCell(
        cell_type=cell["cell_type"],
        # A lone surrogate cannot be written to a file or a database.
        source=source.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd"),
        cell_id=cell_id if isinstance(cell_id, str) else None,
        grade_id=grade_id if isinstance(grade_id, str) else None,
        attachments=pictures(cell.get("attachments")),
    )


def pictures(attachments: Any) -> dict[str, dict[str, str]]:
    """Return the pictures among a cell's attachments; what else could be there is dropped."""
    found: dict[str, dict[str, str]] = {}
    for name, kinds in attachments.items() if isinstance(attachments, dict) else ():
        for kind in PICTURES:
            data = kinds.get(kind) if isinstance(kinds, dict) else None
            if isinstance(data, list) and all(isinstance(line, str) for line in data):
                data = "".join(data)
            if isinstance(data, str) and name.isprintable() and _BASE64.fullmatch(data):
                found[name] = {kind: data}
    return found


def arrange(sheet: Sheet, submitted: list[SubmittedCell], where: str) -> Arranged:
    """Lay a submission into the source's order.

    Test cells and locked cells are the source's own; solution cells are the student's; cells that
    the student added follow the cell that they followed. Raises SubmissionError for a notebook
    that has nothing in common with the sheet; one without any cell is one without any answer.
    """
    match = _match(sheet, submitted)
    if match and not any(position is not None for position in match):
        raise SubmissionError(
            f"{where} has none of the cells of {sheet.name}: "
            "is it the notebook of another assignment?"
        )
    theirs: dict[int, SubmittedCell] = {}
    extras: dict[int, list[SubmittedCell]] = {}
    last = -1
    for cell, position in zip(submitted, match, strict=True):
        if position is None:
            extras.setdefault(last, []).append(cell)
            continue
        if position in theirs:
            # A cell that was split carries its name twice: both halves run, the last is "the" cell,
            # and what stands between them stays there.
            before = extras.setdefault(position - 1, [])
            before.append(theirs[position])
            before += extras.pop(position, [])
        theirs[position] = cell
        last = position

    def added(after: int) -> list[Placed]:
        return [
            Placed(None, extra.cell_type, extra.source, attachments=extra.attachments)
            for extra in extras.get(after, [])
        ]

    placed = added(after=-1)
    notes: list[str] = []
    for ours in sheet.cells:
        placed.append(_place(ours, theirs.get(ours.position), notes))
        placed += added(after=ours.position)
    return Arranged(_with_few_pictures(placed, notes), tuple(notes))


def _with_few_pictures(placed: list[Placed], notes: list[str]) -> tuple[Placed, ...]:
    """Drop the pictures of every cell behind the limit, and say so."""
    left, kept = MAX_ATTACHMENTS, []
    for cell in placed:
        left -= sum(len(data) for kinds in cell.attachments.values() for data in kinds.values())
        kept.append(cell if left >= 0 else replace(cell, attachments={}))
    if left < 0:
        limit = MAX_ATTACHMENTS >> 20
        notes.append(f"pictures beyond {limit} MiB are left out: see the submitted notebook")
    return tuple(kept)


def _match(sheet: Sheet, submitted: list[SubmittedCell]) -> list[int | None]:
    """Position in the source of each submitted cell: by nbgrader's name, cell id, or text."""
    # A cell that lost its name (metadata dropped by another editor) is known by its id.
    claimed = {cell.grade_id for cell in submitted} - {None}
    by_id: dict[str | None, int]
    by_id = {c.cell_id: c.position for c in sheet.cells if c.grade_id not in claimed}
    by_text: dict[tuple[str, str], list[int]] = {}
    for ours in sheet.cells:
        if ours.grade_id is None:
            by_text.setdefault((ours.cell_type, ours.release), []).append(ours.position)
    named = {name: cell.position for name, cell in sheet.by_grade_id.items()}
    found: list[int | None] = []
    for cell in submitted:
        if cell.grade_id in named:
            found.append(named[cell.grade_id])
            continue
        same = by_text.get((cell.cell_type, cell.source), [])
        known = by_id.get(cell.cell_id)
        if same and known not in same:
            known = same[0]
        if known in same and len(same) > 1:
            same.remove(known)  # of several cells with one text, each stands for another
        found.append(known)
    return found


def _place(cell: Cell, theirs: SubmittedCell | None, notes: list[str]) -> Placed:
    name = cell.grade_id or f"cell {cell.position + 1}"
    if cell.role is Role.TASK:
        return Placed(cell, cell.cell_type, cell.source, attachments=cell.attachments)
    if cell.role is Role.TEST:
        if theirs is None:
            notes.append(f"test cell {name} was deleted: put back")
        elif theirs.source != cell.release:
            notes.append(f"test cell {name} was edited: the source's is used")
        return Placed(cell, cell.cell_type, cell.source)
    if cell.role in (Role.SOLUTION, Role.MANUAL):
        if theirs is None:
            notes.append(f"solution cell {name} was deleted")
            return Placed(cell, cell.cell_type, "", missing=True)
        if theirs.cell_type != cell.cell_type:
            notes.append(f"solution cell {name} was made {theirs.cell_type}: read as what it was")
        return _theirs(cell, theirs)
    if cell.locked:
        if theirs is not None and theirs.source != cell.release:
            notes.append(f"locked cell {name} was edited: the source's is used")
        return Placed(cell, cell.cell_type, cell.release, attachments=cell.attachments)
    if theirs is None or theirs.cell_type != cell.cell_type:
        return Placed(cell, cell.cell_type, cell.release, attachments=cell.attachments)
    return _theirs(cell, theirs)


def _theirs(cell: Cell, theirs: SubmittedCell) -> Placed:
    return Placed(cell, cell.cell_type, theirs.source, attachments=theirs.attachments)

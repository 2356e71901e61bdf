"""The proof that a release holds nothing of what its source hides.

It does not trust the tools that made the release: it reads what the *source* hides and looks for
that in every file, output, piece of metadata and attachment of what students would get.

What is hidden: the lines of solution, hidden-test and mark-scheme regions, the whole of a solution
cell without a region, and every Python file of the source folder that is withheld (misconceptions,
alternatives): its lines, its docstrings (the hints) and the names of its functions.

Two rules, after white space, quotes, backslashes and `#` are dropped on both sides, so that a line
is found in a string, a comment, an escape or another indentation:

1. Anywhere: a hidden line of `LONG` characters or more, as part of any text. Shorter ones, such as
   `return x`, stand in prose and data by chance.
2. In a cell's source: any hidden line, as a whole line. There even `y -= 1` is an answer.

A line that also stands in a visible part of the source is no secret. What is compressed is opened;
what is drawn (the pixels of an image) is not read.
"""

from __future__ import annotations

import ast
import base64
import binascii
import bz2
import gzip
import html
import io
import json
import lzma
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from nbformat import NotebookNode
from nbgrader.preprocessors import ClearHiddenTests, ClearMarkScheme, ClearSolutions
from nbgrader.utils import is_solution
from traitlets.config import Config

from autograder.errors import CourseError

LONG = 12
# A marker that nbgrader removes with its region. One that is left was misspelled, and so was
# whatever it should have hidden taken for visible, here as there.
MARKER = re.compile(r"\b(BEGIN|END)[\s_-]*(SOLUTION|HIDDEN|MARK[\s_-]*SCHEME)", re.IGNORECASE)
_DROPPED = re.compile(r"[\s\\'\"`#]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{24,}={0,2}\s*")
_LARGEST = 200_000_000  # bytes of one opened file; more is refused, not skipped


class Text(NamedTuple):
    """One text found in a release: where it stands, and whether it is the source of a cell."""

    where: str
    text: str
    is_source: bool = False


@dataclass(frozen=True)
class Leak:
    """A hidden thing in a release: the place, and the place in the source that hides it."""

    where: str
    what: str


@dataclass
class Secrets:
    """What the source of one assignment hides, and what it shows. The course's eyes only."""

    lines: dict[str, str] = field(default_factory=dict)  # normal form -> where it is hidden
    hints: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    visible: list[str] = field(default_factory=list)  # texts

    def hide(self, text: str, where: str, first: int = 1) -> None:
        """Add the lines of `text`, which starts at line `first` of `where`."""
        for number, line in enumerate(text.split("\n"), first):
            normal = normalize(line)
            if normal:
                self.lines.setdefault(normal, f"{where}, line {number}")

    def show(self, text: str) -> None:
        """Add a text that students are meant to see."""
        self.visible.append(text)

    def settle(self) -> None:
        """Take out of the secrets what is also visible."""
        shown = "\n".join(self.visible)
        whole = {normalize(line) for line in shown.split("\n")}
        parts = "\n".join(sorted(whole))
        flat = normalize(shown)
        self.lines = {
            line: where
            for line, where in self.lines.items()
            if line not in whole and (len(line) < LONG or line not in parts)
        }
        self.hints = {hint: where for hint, where in self.hints.items() if hint not in flat}
        words = set(re.findall(r"\w+", shown))
        self.names = {name: where for name, where in self.names.items() if name not in words}


def normalize(text: str) -> str:
    """Return `text` without what copying, quoting, commenting or indenting may change."""
    return _DROPPED.sub("", html.unescape(text))


def secrets_of(
    notebooks: Iterable[tuple[str, NotebookNode]],
    withheld: Iterable[tuple[str, str]],
    config: Config,
) -> Secrets:
    """Collect what is hidden in an assignment's source, given as (name, content) pairs."""
    secrets = Secrets()
    stubs = ClearSolutions(config=config)
    for stub in (*stubs.code_stub.values(), stubs.text_stub):
        secrets.show(stub)
    for name, notebook in notebooks:
        for number, cell in enumerate(notebook.cells, 1):
            _split_cell(secrets, cell, f"{name}, cell {number}", config)
    for name, text in withheld:
        _add_module(secrets, name, text)
    secrets.settle()
    return secrets


def find(folder: Path, secrets: Secrets) -> Leak | None:
    """Return the first secret found in any file below `folder`, or None."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = str(path.relative_to(folder))
            for text in _texts(name, path.read_bytes()):
                leak = _find_in(text, secrets)
                if leak is not None:
                    return leak
    return None


def _split_cell(secrets: Secrets, cell: NotebookNode, where: str, config: Config) -> None:
    """Sort the lines of a source cell into hidden and visible, as nbgrader's delimiters say."""
    solutions, tests, scheme = (
        kind(config=config) for kind in (ClearSolutions, ClearHiddenTests, ClearMarkScheme)
    )
    pairs = (
        (solutions.begin_solution_delimeter, solutions.end_solution_delimeter),
        (tests.begin_test_delimeter, tests.end_test_delimeter),
        (scheme.begin_mark_scheme_delimeter, scheme.end_mark_scheme_delimeter),
    )
    lines = cell.source.split("\n")
    whole = is_solution(cell) and not any(pairs[0][0] in line for line in lines)
    inside: str | None = None
    for number, line in enumerate(lines, 1):
        begun = next((end for begin, end in pairs if begin in line), None)
        if begun is not None:
            inside = begun
        elif any(end in line for _, end in pairs):
            inside = None
        elif whole or inside is not None:
            secrets.hide(line, where, number)
        else:
            secrets.show(line)


def _add_module(secrets: Secrets, name: str, text: str) -> None:
    secrets.hide(text, name)
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise CourseError(f"{name}, line {error.lineno}: {error.msg}") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            where = f"{name}, line {node.lineno}"
            if "_" in node.name.strip("_") and len(node.name) >= 8:
                secrets.names[node.name] = where
            hint = normalize(ast.get_docstring(node) or "")
            if len(hint) >= LONG:
                secrets.hints[hint] = where


def _find_in(text: Text, secrets: Secrets) -> Leak | None:
    lines = text.text.split("\n")
    normal = [normalize(line) for line in lines]

    def at(number: int) -> str:
        return f"{text.where}, line {number + 1}" if len(lines) > 1 else text.where

    if text.is_source or text.where.endswith(".py"):
        for number, line in enumerate(lines):
            if MARKER.search(line):
                return Leak(at(number), f"a marker nbgrader did not know: {line.strip()}")
    if text.is_source:
        for number, line in enumerate(normal):
            if line in secrets.lines:
                return Leak(at(number), secrets.lines[line])
    joined = "\n".join(normal)
    if len(joined) < 8:  # too short for a long line, a hint or a name
        return None
    for line, where in secrets.lines.items():
        if len(line) >= LONG and line in joined:
            return Leak(at(joined[: joined.index(line)].count("\n")), where)
    flat = joined.replace("\n", "")
    for hint, where in secrets.hints.items():
        if hint in flat:
            return Leak(text.where, f"the hint of {where}")
    for number, line in enumerate(lines):
        for word in re.findall(r"\w{8,}", line):
            if word in secrets.names:
                return Leak(at(number), f"the name of {secrets.names[word]}")
    return None


def _texts(name: str, data: bytes, depth: int = 0) -> Iterator[Text]:
    """Yield every text in a file: strings of JSON, members of archives, bytes read as UTF-8."""
    if depth > 4 or len(data) > _LARGEST:
        raise CourseError(f"{name} is too large, or packed too often, to be searched for leaks")
    if name.endswith((".ipynb", ".json")):
        try:
            yield from _leaves(name, json.loads(data), depth)
            return
        except ValueError:
            pass  # searched as plain text
    members = list(_members(name, data))
    for member, content in members:
        yield from _texts(f"{name}: {member}", content, depth + 1)
    if not members:
        yield Text(name, data.decode("utf-8", "replace"))


def _leaves(name: str, value: Any, depth: int, path: str = "") -> Iterator[Text]:
    """Yield the strings of a JSON value with their place, lists of lines joined into one."""
    where = f"{name}, {path}" if path else name
    if isinstance(value, dict):
        for key, child in value.items():
            yield Text(where, key)
            yield from _leaves(name, child, depth, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        yield from _leaves(name, "".join(value), depth, path)
    elif isinstance(value, list):
        # People count cells from 1, and so does every other message.
        for number, child in enumerate(value, 1):
            yield from _leaves(name, child, depth, f"{path} {number}".strip())
    elif isinstance(value, str):
        yield Text(_cell(where), value, is_source=bool(re.search(r"cells \d+\.source$", where)))
        if _BASE64.fullmatch(value):
            try:
                inner = base64.b64decode(value)
            except binascii.Error:
                return
            yield from _texts(_cell(where), inner, depth + 1)


def _cell(where: str) -> str:
    return re.sub(
        r"cells (\d+)\.(source$)?", lambda m: f"cell {m[1]}" + ("" if m[2] else ", "), where
    )


def _members(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what is inside an archive or a compressed file; nothing if it is neither."""
    openers: dict[bytes, Callable[..., Any]] = {
        b"\x1f\x8b\x08": gzip.open,
        b"BZh": bz2.open,
        b"\xfd7zXZ": lzma.open,
    }
    try:
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for info in archive.infolist():
                    if not info.is_dir():
                        yield info.filename, _bounded(archive.open(info), name)
            return
        for magic, opener in openers.items():
            if data.startswith(magic):
                with opener(io.BytesIO(data)) as packed:
                    yield "inside", _bounded(packed, name)
                return
        if data[257:262] == b"ustar":
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                for member in tar:
                    packed_member = tar.extractfile(member)
                    if packed_member is not None:
                        yield member.name, _bounded(packed_member, name)
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError):
        raise CourseError(f"{name} looks packed but cannot be opened to be searched") from None


def _bounded(stream: Any, name: str) -> bytes:
    data: bytes = stream.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise CourseError(f"{name} is too large to be searched for leaks")
    return data

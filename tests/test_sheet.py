"""A submission is read as data and laid into the source's order, whatever it holds."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import nbformat
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from nbconvert.filters.markdown_mistune import markdown2html_mistune
from nbgrader.utils import compute_checksum
from tiny import NAME, RIGHT

from autograder.errors import CourseError, SubmissionError
from autograder.grader import unlinked
from autograder.sheet import Arranged, Role, Sheet, arrange, bound_names, parse_submission

SOURCE = tiny.source()


def released() -> dict[str, Any]:
    """Return what nbgrader makes of the source: here, the hidden regions cut out."""
    notebook = json.loads(json.dumps(SOURCE))
    for cell in notebook["cells"]:
        lines, keep, kept = cell["source"].splitlines(), True, []
        for line in lines:
            if "### BEGIN" in line:
                keep = False
                if "SOLUTION" in line:
                    kept.append("    raise NotImplementedError()")
            if keep:
                kept.append(line)
            if "### END" in line:
                keep = True
        cell["source"] = "\n".join(kept)
    return notebook


SHEET = Sheet.parse(NAME, NAME, json.dumps(SOURCE).encode(), json.dumps(released()).encode())


def answered(**answers: str) -> dict[str, Any]:
    notebook = released()
    for cell in notebook["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        cell["source"] = {**RIGHT, **answers}.get(name, cell["source"])
    return notebook


def laid(notebook: Any) -> Arranged:
    return arrange(SHEET, parse_submission(json.dumps(notebook).encode(), "x.ipynb"), "x.ipynb")


def test_cells_have_the_roles_that_nbgrader_gives_them() -> None:
    roles = {cell.grade_id or cell.position: cell.role for cell in SHEET.cells}
    assert roles == {
        0: Role.TEXT,
        1: Role.GIVEN,
        **dict.fromkeys(["double", "total", "sign"], Role.SOLUTION),
        **dict.fromkeys(
            ["double_check", "double_hidden", "total_check", "total_hidden"], Role.TEST
        ),
        "sign_parts": Role.TEST,
        "essay": Role.MANUAL,
    }
    assert {name: len(cells) for name, cells in SHEET.questions.items()} == {
        "double": 2,
        "total": 2,
        "sign": 1,
        "essay": 1,
    }
    assert sum(cell.points for cells in SHEET.questions.values() for cell in cells) == 11


def test_only_a_solution_cells_own_names_come_from_the_student() -> None:
    names = bound_names(
        "import os\nfrom a import b as c\n%matplotlib inline\nx, (y, *z) = 1, (2, 3)\n"
        "def f(q): inner = 1\nclass C: attribute = 1\nfor i in (): pass\nwith o as w: pass\n"
        "(n := 5)\n!ls\n"
    )
    assert {"x", "y", "z", "f", "C", "i", "w", "n"} <= names
    assert not {"os", "c", "q", "inner", "attribute"} & names


def test_a_right_submission_is_laid_out_with_our_tests() -> None:
    placed = laid(answered()).cells
    assert [p.cell.position for p in placed if p.cell] == list(range(len(SHEET.cells)))
    for p in placed:
        assert p.cell is not None
        expected = p.cell.source if p.cell.role is Role.TEST else p.text
        assert p.text == expected
    assert laid(answered()).notes == ()


def test_an_extra_cell_follows_the_cell_that_it_followed() -> None:
    notebook = answered()
    extra = {"cell_type": "code", "metadata": {}, "source": "helper = 1", "id": "new"}
    for place in range(len(notebook["cells"]) + 1):
        changed = json.loads(json.dumps(notebook))
        changed["cells"].insert(place, extra)
        assert [p.text for p in laid(changed).cells].index("helper = 1") == place


def test_an_edited_given_cell_is_known_by_its_id_and_an_old_notebooks_by_its_text() -> None:
    notebook = answered()
    notebook["cells"][1]["source"] = "import numpy as np, math"
    assert laid(notebook).cells[1].text == "import numpy as np, math"
    for cell in notebook["cells"]:
        del cell["id"]
    notebook["cells"][1]["source"] = "import numpy as np"
    assert [p.cell is None for p in laid(notebook).cells] == [False] * len(SHEET.cells)


@pytest.mark.parametrize("copies", [2, 3])
def test_the_last_of_several_cells_with_one_name_is_the_cell(copies: int) -> None:
    notebook = answered()
    place = next(i for i, c in enumerate(notebook["cells"]) if c["source"] == RIGHT["total"])
    for number in range(copies - 1):
        notebook["cells"].insert(place, {**notebook["cells"][place], "source": f"x = {number}"})
    texts = [p.text for p in laid(notebook).cells]
    assert texts.count(RIGHT["total"]) == 1
    at = texts.index(RIGHT["total"])
    assert texts[at - copies + 1 : at] == [f"x = {n}" for n in reversed(range(copies - 1))]


def test_a_helper_between_the_halves_of_a_split_cell_stays_between_them() -> None:
    notebook = answered()
    place = next(i for i, c in enumerate(notebook["cells"]) if c["source"] == RIGHT["total"])
    half = {**notebook["cells"][place], "source": "first = 1"}
    helper = {"cell_type": "code", "metadata": {}, "source": "helper = first"}
    notebook["cells"][place:place] = [half, helper]
    texts = [p.text for p in laid(notebook).cells]
    at = texts.index(RIGHT["total"])
    assert texts[at - 2 : at] == ["first = 1", "helper = first"]


def test_an_answer_whose_metadata_was_lost_is_known_by_its_cell_id() -> None:
    notebook = answered()
    for cell in notebook["cells"]:
        cell["metadata"] = {}
    whole = laid(notebook)
    assert whole.notes == ()
    assert [p.text for p in whole.cells if p.cell and p.cell.role is Role.MANUAL] == ["Because."]


@pytest.mark.parametrize("with_ids", [True, False])
def test_cells_of_ours_with_one_text_each_stand_for_themselves(with_ids: bool) -> None:
    """A step that a course repeats must not run twice in one place and not at all in another."""
    ours, theirs = copy.deepcopy(SOURCE), released()
    for notebook in (ours, theirs):
        for place in (5, 3, 1):
            step = {"cell_type": "code", "id": f"step-{place}", "metadata": {}, "source": "n += 1"}
            notebook["cells"].insert(place, copy.deepcopy(step))
    sheet = Sheet.parse(NAME, NAME, json.dumps(ours).encode(), json.dumps(theirs).encode())
    if not with_ids:
        for cell in theirs["cells"]:
            cell.pop("id")
    read = parse_submission(json.dumps(theirs).encode(), "x.ipynb")
    placed = arrange(sheet, read, "x.ipynb").cells
    assert [p.cell.position for p in placed if p.cell] == list(range(len(sheet.cells)))
    assert len(placed) == len(sheet.cells)


def test_pictures_beyond_the_limit_are_left_out_with_a_note() -> None:
    notebook = answered()
    for cell in notebook["cells"][-1:] + notebook["cells"][:1]:
        cell["attachments"] = {"a.png": {"image/png": "A" * 5_000_000}}
    whole = laid(notebook)
    assert [bool(p.attachments) for p in whole.cells if p.cell_type == "markdown"] == [True, False]
    assert "pictures beyond 8 MiB are left out" in whole.notes[0]


def test_what_no_file_or_database_can_hold_is_replaced() -> None:
    assert laid(answered(total="a = '\0\ud800'")).cells[5].text == "a = '\ufffd?'"


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "blank": (b" \n ", "is empty"),
    "no JSON": (b"{'cells': []}", "not JSON"),
    "half a notebook": (b'{"cells": [{"cell', "not JSON"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0", "not JSON"),
    "no UTF-8": (b'{"a": "\xff"}', "not JSON"),
    "deep": (b"[" * 200_000, "not JSON"),
    "a number of 5000 digits": (b'{"nbformat": 1' + b"0" * 5000 + b"}", "not JSON"),
    "a list": (b"[]", "JSON of another kind"),
    "other JSON": (b'{"a": 1}', "JSON of another kind"),
    "nbformat 3": (b'{"nbformat": 3, "worksheets": []}', "nbformat 3, not 4"),
    "nbformat 5": (b'{"nbformat": 5, "cells": []}', "nbformat 5, not 4"),
    "nbformat text": (b'{"nbformat": "\\ud800\\u001b[2J", "cells": []}', "nbformat"),
    "nbformat null": (b'{"nbformat": null}', "nbformat None"),
    "no cells": (b'{"nbformat": 4}', "no cells"),
    "cells of no list": (b'{"nbformat": 4, "cells": {}}', "no cells"),
    "a cell of no dict": (b'{"nbformat": 4, "cells": [1]}', "no known type"),
    "a cell of no type": (b'{"nbformat": 4, "cells": [{"cell_type": "x"}]}', "no known type"),
    "a cell of a list type": (b'{"nbformat": 4, "cells": [{"cell_type": []}]}', "no known type"),
    "no source": (b'{"nbformat": 4, "cells": [{"cell_type": "code"}]}', "no text"),
    "a source of numbers": (
        b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": [1]}]}',
        "no text",
    ),
    "no cell of ours": (
        b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "x"}]}',
        "of another assignment",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_in_one_line_with_the_mend(name: str) -> None:
    data, words = BROKEN[name]
    with pytest.raises(SubmissionError) as caught:
        arrange(SHEET, parse_submission(data, "submitted/x.ipynb"), "submitted/x.ipynb")
    line = str(caught.value)
    assert line.startswith("submitted/x.ipynb ")
    assert words in line
    assert line.isprintable()
    line.encode("utf-8")


def test_a_notebook_of_another_assignment_is_told_apart() -> None:
    notebook = answered()
    for cell in notebook["cells"]:
        cell["id"] += "-other"
        cell["source"] += "# other"
        cell["metadata"] = {"nbgrader": {"grade_id": "other"}}
    with pytest.raises(SubmissionError, match="another assignment"):
        laid(notebook)


def test_a_notebook_without_any_cell_is_one_without_any_answer() -> None:
    placed = laid({"nbformat": 4, "cells": []}).cells
    assert [p.missing for p in placed if p.cell is not None and p.cell.role is Role.SOLUTION]
    assert all(p.missing == (p.cell.role in (Role.SOLUTION, Role.MANUAL)) for p in placed if p.cell)


def test_a_test_cells_checksum_is_nbgraders_for_what_stands_in_the_graded_notebook() -> None:
    changed = [
        cell for cell in SHEET.cells if cell.role is Role.TEST and cell.source != cell.release
    ]
    assert len(changed) == 3
    for cell in changed:
        node = nbformat.v4.new_code_cell(cell.source, metadata=cell.metadata)
        assert cell.metadata["nbgrader"]["checksum"] == compute_checksum(node)


def sheet_of(*sources: str) -> Sheet:
    """Return a sheet of cells that everybody has, by their source."""
    cells = [{"cell_type": "code", "source": text, "metadata": {}} for text in sources]
    data = json.dumps({"cells": cells}).encode()
    return Sheet.parse(NAME, NAME, data, data)


def test_names_that_no_cell_of_the_source_binds_are_the_students() -> None:
    assert sheet_of("import os\nb = 1", "assert a == b\nlen(os.sep)").unbound == {"a"}
    assert sheet_of("from os.path import *", "assert a == join").unbound == set()
    assert sheet_of("%pylab", "assert a == array").unbound == set()
    assert SHEET.unbound == set()


def test_a_source_in_another_language_is_refused() -> None:
    source = {"cells": [], "metadata": {"kernelspec": {"name": "ir", "language": "R"}}}
    data = json.dumps(source).encode()
    with pytest.raises(CourseError, match="written in R, not in Python"):
        Sheet.parse(NAME, NAME, data, data)


def test_a_file_beyond_the_limit_is_refused_unparsed() -> None:
    started = time.monotonic()
    with pytest.raises(SubmissionError, match="its outputs cleared"):
        parse_submission(b"[" * (33 * 2**20), "x.ipynb")
    assert time.monotonic() - started < 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
marks = st.fixed_dictionaries(
    {}, optional={"grade_id": st.sampled_from([*SHEET.by_grade_id, "other"]) | json_values}
)
cells = st.fixed_dictionaries(
    {
        "cell_type": st.sampled_from(["code", "markdown", "raw"]),
        "source": st.text(max_size=20) | st.lists(st.text(max_size=9), max_size=3),
    },
    optional={
        "id": st.sampled_from([c.cell_id for c in SHEET.cells]) | json_values,
        "metadata": st.fixed_dictionaries({}, optional={"nbgrader": marks | json_values})
        | json_values,
    },
)
notebooks = st.fixed_dictionaries({"nbformat": st.just(4), "cells": st.lists(cells, max_size=9)})


@settings(max_examples=200, deadline=None)
@given(notebooks | st.fixed_dictionaries({"nbformat": json_values, "cells": json_values}))
def test_any_notebook_is_refused_or_laid_out_with_every_cell_of_ours_once(notebook: dict) -> None:
    try:
        placed = laid(notebook).cells
    except SubmissionError:
        return
    ours = [p.cell.position for p in placed if p.cell is not None]
    assert ours == list(range(len(SHEET.cells)))
    for p in placed:
        if p.cell is not None and p.cell.role is Role.TEST:
            assert (p.text, p.cell_type) == (p.cell.source, "code")
        p.text.encode("utf-8")
        assert "\0" not in p.text


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_cells(data: bytes) -> None:
    try:
        parse_submission(data, "x.ipynb")
    except SubmissionError:
        return


def test_a_release_that_is_not_the_sources_is_a_course_error(tmp_path) -> None:
    source, release = tmp_path / "a.ipynb", tmp_path / "b.ipynb"
    source.write_text(json.dumps(SOURCE))
    for text in ("", "{}", '{"cells": []}', json.dumps({"cells": released()["cells"][::-1]})):
        release.write_text(text)
        with pytest.raises(CourseError, match=f"course build {NAME}"):
            Sheet.load(NAME, source, release)
    release.unlink()
    with pytest.raises(CourseError, match=f"No such file.*course build {NAME}"):
        Sheet.load(NAME, source, release)


def test_pictures_of_the_author_stay_whatever_a_student_did_to_the_cell() -> None:
    """nbconvert makes no page, for the whole class, of a cell whose picture is missing."""
    ours, theirs = (json.loads(json.dumps(made)) for made in (SOURCE, released()))
    picture = {"a.png": {"image/png": "iVBORw0KGgo="}}
    for notebook in (ours, theirs):
        notebook["cells"][0] |= {"source": "![a](attachment:a.png)", "attachments": picture}
    sheet = Sheet.parse(NAME, NAME, json.dumps(ours).encode(), json.dumps(theirs).encode())
    deleted = {**theirs, "cells": theirs["cells"][1:]}
    for notebook in (theirs, deleted):
        placed = arrange(sheet, parse_submission(json.dumps(notebook).encode(), "x"), "x").cells[0]
        assert placed.attachments == picture


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("![a](attachment:a.png)", True),
        ('![a](attachment:a.png "title") ![a](<attachment:a.png>)', True),
        ("![a](attachment:b.png)", False),
        ("![a](attachment:a.png.png)", False),
        ("![a](attachment\\:b.png)", False),
        ("![a][b]\n\n[b]: attachment:b.png", False),
        ("an attachment of mine", True),
    ],
)
def test_a_picture_that_is_not_attached_stops_no_page(text: str, kept: bool) -> None:
    picture = {"a.png": {"image/png": "iVBORw0KGgo="}}
    shown = unlinked(text, picture)
    assert (shown == text) == kept
    markdown2html_mistune(unlinked(text, {}))  # it raises where a picture is missing
    if not kept:
        with pytest.raises(Exception, match="missing attachment"):
            markdown2html_mistune(text)

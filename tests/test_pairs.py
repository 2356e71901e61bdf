"""`course sync`: a pair is one document, and nobody's edit or output is lost by keeping it so."""

from __future__ import annotations

import os
from pathlib import Path

import jupytext
import nbformat
import pytest
from conftest import git, nbgrader_cell, save, tiny_notebook
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from autograder import pairs
from autograder.course import Course


@pytest.fixture
def pair(course: Course) -> pairs.Pair:
    """The tiny course's one pair, in sync."""
    assert [result.ok for result in pairs.sync(course)] == [True]
    (found,) = pairs.find(course)
    return found


def snapshot(root: Path) -> dict[Path, tuple[bytes, int]]:
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def make_newer(path: Path, than: Path) -> None:
    stamp = than.stat().st_mtime_ns + 10**9
    os.utime(path, ns=(stamp, stamp))


def only(results) -> pairs.Result:
    (result,) = results
    return result


def test_a_missing_script_is_made(course: Course) -> None:
    result = only(pairs.sync(course))
    assert result.line == "source/double/double.py made from its notebook"
    text = (course.root / "source/double/double.py").read_text()
    assert "answer = float(x) + float(x)" in text
    assert '"grade_id": "double"' in text
    assert 'tags=["setup"]' in text


def test_a_missing_notebook_is_made_and_is_the_same_every_time(pair: pairs.Pair, course) -> None:
    made = []
    for _ in range(2):
        pair.ipynb.unlink()
        assert only(pairs.sync(course)).written == pair.ipynb
        made.append(pair.ipynb.read_bytes())
    assert made[0] == made[1]
    notebook = nbformat.read(pair.ipynb, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.cells[2].id == "double"  # nbgrader's own name for the cell


def test_equal_pairs_are_not_touched(pair: pairs.Pair, course: Course) -> None:
    before = snapshot(course.root)
    assert only(pairs.sync(course)).written is None
    assert snapshot(course.root) == before


def test_outputs_ids_counts_and_timings_are_no_difference(pair: pairs.Pair, course) -> None:
    notebook = nbformat.read(pair.ipynb, as_version=4)
    notebook.cells[1].outputs = [new_output("stream", name="stdout", text="other\n")]
    notebook.cells[1].execution_count = 7
    notebook.cells[1].id = "another-id"
    notebook.cells[1].metadata["execution"] = {"shell.execute_reply": "2026-01-01"}
    notebook.metadata["language_info"] = {"name": "python", "version": "3.12.0"}
    save(notebook, pair.ipynb)
    assert only(pairs.check(course)).ok


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (
            lambda nb: nb.cells[2].update(source=nb.cells[2].source + "\n    # end"),
            "cell 3, line 8",
        ),
        (lambda nb: nb.cells[1].metadata.update(tags=["gpu"]), "cell 2, metadata"),
        (lambda nb: nb.cells[3].metadata.nbgrader.update(points=5), "cell 4, metadata"),
        (lambda nb: nb.cells.append(new_markdown_cell("more")), "cell 8 is only in the notebook"),
        (lambda nb: nb.cells.pop(), "cell 7 is only in the .py"),
        (lambda nb: nb.cells.__setitem__(0, new_code_cell("# Doubling")), "cell 1 is markdown"),
    ],
    ids=["source", "tag", "nbgrader", "added", "removed", "type"],
)
def test_check_names_the_first_differing_cell_and_changes_nothing(
    pair: pairs.Pair, course: Course, change, place: str
) -> None:
    notebook = nbformat.read(pair.ipynb, as_version=4)
    change(notebook)
    save(notebook, pair.ipynb)
    before = snapshot(course.root)
    result = only(pairs.check(course))
    assert not result.ok
    assert result.line.startswith(f"source/double/double.py and double.ipynb differ: {place}")
    assert "\n" not in result.line
    assert snapshot(course.root) == before


def test_check_shows_the_place_where_two_long_lines_part(pair: pairs.Pair, course) -> None:
    edit(pair.py, "answer = float", "answer = " + "0 + " * 20 + "1.0 + float")
    edit(pair.ipynb, "answer = float", "answer = " + "0 + " * 20 + "1.5 + float")
    line = only(pairs.check(course)).line
    assert line.endswith(
        "cell 3, line 4: '… 0 + 0 + 0 + 1.0 + float(x) + float(x)' in the .py, "
        "'… 0 + 0 + 0 + 1.5 + float(x) + float(x)' in the notebook"
    )


def test_check_reports_a_missing_file_without_making_it(course: Course) -> None:
    result = only(pairs.check(course))
    assert (result.ok, result.line) == (
        False,
        "source/double/double.py is missing: run `course sync`",
    )
    assert not (course.root / "source/double/double.py").exists()


@pytest.mark.parametrize("edited", ["py", "ipynb"])
def test_the_side_that_changed_since_the_last_commit_wins_even_if_older(
    pair: pairs.Pair, course: Course, edited: str
) -> None:
    git(course.root, "init", "-q")
    git(course.root, "add", "source")
    git(course.root, "commit", "-qm", "start")
    path, other = (pair.py, pair.ipynb) if edited == "py" else (pair.ipynb, pair.py)
    edit(path, "float(x) + float(x)", "2 * x")
    make_newer(other, than=path)
    result = only(pairs.sync(course))
    assert result.written == other
    assert f"updated from {path.name}: it changed since the last commit" in result.line
    assert "2 * x" in other.read_text()
    assert only(pairs.check(course)).ok


def test_a_notebook_that_was_only_run_again_does_not_win(pair: pairs.Pair, course) -> None:
    git(course.root, "init", "-q")
    git(course.root, "add", "source")
    git(course.root, "commit", "-qm", "start")
    edit(pair.py, "float(x) + float(x)", "2 * x")
    notebook = nbformat.read(pair.ipynb, as_version=4)
    notebook.cells[1].execution_count = 9
    save(notebook, pair.ipynb)
    make_newer(pair.ipynb, than=pair.py)
    assert only(pairs.sync(course)).written == pair.ipynb
    assert "2 * x" in pair.ipynb.read_text()


@pytest.mark.parametrize("newer", ["py", "ipynb"])
def test_if_both_changed_the_newer_wins_and_the_other_is_kept(pair, course, newer: str) -> None:
    path, other = (pair.py, pair.ipynb) if newer == "py" else (pair.ipynb, pair.py)
    edit(path, "float(x) + float(x)", "2 * x")
    edit(other, "float(x) + float(x)", "x * 2")
    lost = other.read_text()
    make_newer(path, than=other)
    result = only(pairs.sync(course))
    assert result.written == other
    assert "both have changes that git has not, and it is newer" in result.line
    assert "2 * x" in other.read_text()
    kept = course.root / "build" / "replaced" / "source" / "double" / other.name
    assert kept.read_text() == lost
    assert str(kept.relative_to(course.root)) in result.line


def test_outputs_of_unchanged_cells_are_kept_and_of_edited_ones_dropped(course: Course) -> None:
    notebook = new_notebook(
        cells=[
            new_code_cell("print(1, 23)", outputs=[new_output("stream", text="1 23\n")]),
            new_code_cell("print('b')", outputs=[new_output("stream", text="b\n")]),
            new_code_cell("print('c')", outputs=[new_output("stream", text="c\n")]),
        ]
    )
    path = course.root / "lectures" / "01_x.ipynb"
    save(notebook, path)
    list(pairs.sync(course))
    script = path.with_suffix(".py")
    # As text, 12, 3 and 1, 23 differ only in where the comma stands.
    edit(script, "print(1, 23)", "print(12, 3)")
    edit(script, "print('c')", "x = 0\n\n# %%\nprint('c')")
    make_newer(script, than=path)
    list(pairs.sync(course))
    after = nbformat.read(path, as_version=4)
    shown = {cell.source: [out.text for out in cell.outputs] for cell in after.cells}
    assert shown == {
        "print(12, 3)": [],
        "print('b')": ["b\n"],
        "x = 0": [],
        "print('c')": ["c\n"],
    }
    assert [after.cells[i].id for i in (0, 1, 3)] == [cell.id for cell in notebook.cells]


def test_attachments_survive_an_edit_of_the_script(pair: pairs.Pair, course: Course) -> None:
    notebook = nbformat.read(pair.ipynb, as_version=4)
    notebook.cells[0].attachments = {"a.png": {"image/png": "iVBORw0KGgo="}}
    save(notebook, pair.ipynb)
    edit(pair.py, "float(x) + float(x)", "2 * x")
    make_newer(pair.py, than=pair.ipynb)
    list(pairs.sync(course))
    after = nbformat.read(pair.ipynb, as_version=4)
    assert after.cells[0].attachments == notebook.cells[0].attachments


def test_the_header_of_a_script_is_kept_when_its_cells_are_replaced(pair, course: Course) -> None:
    edit(pair.py, "jupytext_version: ", "jupytext_version: 0.0.0  # ")
    edit(pair.ipynb, "float(x) + float(x)", "2 * x")
    make_newer(pair.ipynb, than=pair.py)
    list(pairs.sync(course))
    assert "display_name: Python 3\n" in pair.py.read_text()
    assert "2 * x" in pair.py.read_text()


def test_modules_are_no_pairs(course: Course) -> None:
    lectures = course.root / "lectures"
    lectures.mkdir()
    (lectures / "corpora.py").write_text('"""A module."""\n\n# %% not a header\n')
    (lectures / "02_bare.py").write_text("# %%\nx = 1\n")
    (lectures / ".ipynb_checkpoints").mkdir()
    save(tiny_notebook(), lectures / ".ipynb_checkpoints" / "02_bare-checkpoint.ipynb")
    names = [pair.name(pair.py) for pair in pairs.find(course)]
    assert names == ["lectures/02_bare.py", "source/double/double.py"]


def test_a_module_beside_a_notebook_of_its_name_is_never_overwritten(course: Course) -> None:
    script = course.root / "source/double/double.py"
    script.write_text("import math\n")
    result = only(pairs.sync(course))
    assert not result.ok
    assert "is no percent script" in result.line
    assert script.read_text() == "import math\n"


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("01_x.ipynb", b'{"cells": [', "lectures/01_x.ipynb is not a notebook: Expecting value"),
        ("01_x.ipynb", b'{"a": 1}', "lectures/01_x.ipynb is not a notebook:"),
        ("01_x.ipynb", b"", "lectures/01_x.ipynb is not a notebook:"),
        ("01_x.ipynb", b"\xff\xfe\x00", "lectures/01_x.ipynb is not UTF-8 text: byte 0"),
        ("01_x.py", b"# %%\nx = '\xff'\n", "lectures/01_x.py is not UTF-8 text: byte 10"),
        (
            "01_x.py",
            b"# ---\n# jupyter:\n#   jupytext: [percent\n# ---\n",
            "lectures/01_x.py is not a percent script",
        ),
    ],
    ids=["cut", "other-json", "empty", "binary", "latin-1", "bad-header"],
)
def test_a_broken_file_gives_one_line_and_is_kept_and_the_others_go_on(
    course: Course, name: str, data: bytes, reason: str
) -> None:
    path = course.root / "lectures" / name
    path.parent.mkdir()
    path.write_bytes(data)
    for action in (pairs.check, pairs.sync):
        broken, other = action(course)
        assert not broken.ok
        assert broken.line.startswith(reason)
        assert "\n" not in broken.line
    assert other.written == course.root / "source/double/double.py"
    assert path.read_bytes() == data


def test_a_crash_while_writing_leaves_the_old_file(pair, course, monkeypatch) -> None:
    edit(pair.py, "float(x) + float(x)", "2 * x")
    make_newer(pair.py, than=pair.ipynb)
    before = pair.ipynb.read_bytes()

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    monkeypatch.setattr(pairs, "_changed_since_head", lambda *_: False)
    with pytest.raises(KeyboardInterrupt):
        list(pairs.sync(course))
    assert pair.ipynb.read_bytes() == before
    assert sorted(p.name for p in pair.py.parent.iterdir()) == [
        "double.ipynb",
        "double.py",
        "misconceptions.py",
    ]


def test_equal_cells_get_different_ids() -> None:
    notebook = new_notebook(cells=[new_code_cell("x") for _ in range(3)])
    nbgrader_cell(notebook.cells[2], "é/weird id" * 20)
    pairs.set_ids(notebook, keep=set())
    assert len({cell.id for cell in notebook.cells}) == 3
    nbformat.validate(notebook)


# What a percent cell can hold: not a cell marker of its own, and no line break but \n.
LINES = st.lists(
    st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=20).filter(
        lambda line: not line.lstrip().startswith("#")
    ),
    min_size=1,
    max_size=4,
).map("\n".join)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cells=st.lists(st.tuples(st.sampled_from(["code", "markdown"]), LINES), max_size=4))
def test_what_sync_writes_always_reads_back_equal(tmp_path: Path, cells) -> None:
    make = {"code": new_code_cell, "markdown": new_markdown_cell}
    notebook = new_notebook(cells=[make[kind](source) for kind, source in cells])
    text = pairs.to_text(notebook)
    assert pairs.content(jupytext.reads(text, pairs.PERCENT)) == pairs.content(notebook)

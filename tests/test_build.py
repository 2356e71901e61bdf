"""`course build`: a release is reproducible, and gives nothing away."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import shutil
import sqlite3
import tarfile
import zipfile
from pathlib import Path

import nbformat
import pytest
from conftest import nbgrader_cell, save, tiny_notebook
from nbconvert.writers import FilesWriter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from nbgrader.api import Gradebook
from nbgrader.preprocessors import ClearOutput

from autograder import build as building
from autograder import leaks, pairs
from autograder.build import Built, build
from autograder.course import Course
from autograder.errors import CourseError, UsageError

SECRET = "assert double(-3.5) == -7.0"
NONE = "no release was made"


def source(course: Course) -> Path:
    return course.root / "source" / "double"


def change(course: Course, edit) -> None:
    """Edit the source notebook, and make its script anew."""
    path = source(course) / "double.ipynb"
    notebook = nbformat.read(path, as_version=4)
    edit(notebook)
    save(notebook, path)
    path.with_suffix(".py").unlink(missing_ok=True)


def make(course: Course) -> Built:
    assert all(result.ok for result in pairs.sync(course))
    return build(course, "double")


def refused(course: Course) -> str:
    """Build, and return the one line that says why there is no release."""
    with pytest.raises(CourseError) as caught:
        make(course)
    assert not (course.root / "release" / "double").exists()
    assert not list(course.root.glob(".course-build-*"))
    line = str(caught.value)
    assert "\n" not in line
    return line


def add_data(course: Course, name: str, data: bytes, *, declare: bool = True) -> None:
    path = source(course) / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    if declare:
        with (source(course) / "data.sha256").open("a") as stream:
            stream.write(f"{hashlib.sha256(data).hexdigest()}  {name}\n")


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def released(course: Course) -> NotebookNode:
    return nbformat.read(course.root / "release/double/double.ipynb", as_version=4)


# What a build makes


def test_a_release_is_a_pair_with_stubs_and_without_outputs(course: Course) -> None:
    built = make(course)
    assert built.files == ["double.ipynb", "double.py"]
    notebook = released(course)
    nbformat.validate(notebook)
    assert [cell.source for cell in notebook.cells] == [
        "# Doubling",
        "import math\nprint('ready')",
        "def double(x):\n    '''Return x doubled.'''\n"
        "    # YOUR CODE HERE\n    raise NotImplementedError()",
        "assert double(2) == 4, 'two and two'",
        "Say why.",
        "YOUR ANSWER HERE",
        "Draw it.",
    ]
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")
    twin = (built.folder / "double.py").read_text()
    assert pairs.content(pairs.jupytext.reads(twin, pairs.PERCENT)) == pairs.content(notebook)


def test_building_twice_gives_the_same_bytes_and_touches_nothing(course: Course) -> None:
    first = make(course)
    before = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    second = make(course)
    assert (first.changed, second.changed) == (True, False)
    assert {path: path.stat().st_mtime_ns for path in first.folder.iterdir()} == before


def test_another_machine_builds_the_same_bytes(course: Course, tmp_path_factory) -> None:
    make(course)
    elsewhere = Course(tmp_path_factory.mktemp("elsewhere"))
    (elsewhere.root / "nbgrader_config.py").write_bytes(
        (course.root / "nbgrader_config.py").read_bytes()
    )
    source(elsewhere).mkdir(parents=True)
    for name in ("double.ipynb", "misconceptions.py"):
        (source(elsewhere) / name).write_bytes((source(course) / name).read_bytes())
    make(elsewhere)
    assert files(course.root / "release") == files(elsewhere.root / "release")


def test_a_source_without_cell_ids_still_builds_reproducibly(course: Course) -> None:
    def downgrade(notebook: NotebookNode) -> None:
        notebook.nbformat_minor = 4
        for cell in notebook.cells:
            del cell["id"]

    change(course, downgrade)
    first = files(make(course).folder)
    assert not make(course).changed
    assert files(course.root / "release/double") == first


def test_the_gradebook_knows_the_assignment_with_its_hidden_tests(course: Course) -> None:
    make(course)
    with Gradebook(course.db_url, "tiny") as gradebook:
        assert [a.name for a in gradebook.assignments] == ["double"]
        assert SECRET in gradebook.find_source_cell("test_double", "double", "double").source
        assert gradebook.find_assignment("double").max_score == 4


def test_old_files_of_a_release_do_not_stay(course: Course) -> None:
    stale = course.root / "release/double/solution.txt"
    stale.parent.mkdir(parents=True)
    stale.write_text("answer")
    assert make(course).changed
    assert not stale.exists()


def test_declared_data_are_released_with_their_declaration(course: Course) -> None:
    add_data(course, "data/words.txt", b"one\ntwo\n")
    built = make(course)
    assert built.files == ["data.sha256", "data/words.txt", "double.ipynb", "double.py"]


def test_metadata_that_no_student_needs_is_left_out(course: Course) -> None:
    def decorate(notebook: NotebookNode) -> None:
        notebook.metadata["widgets"] = {"state": "x = 1"}
        notebook.cells[1].metadata["execution"] = {"iopub.status.busy": "2026-01-01"}
        notebook.cells[1].metadata["notes"] = "ask about this"

    change(course, decorate)
    make(course)
    notebook = released(course)
    assert set(notebook.metadata) == {"kernelspec", "jupytext"}
    assert set(notebook.cells[1].metadata) == {"tags"}


def test_an_image_stays_where_the_text_shows_it_and_goes_with_a_cleared_answer(course) -> None:
    image = {"image/png": base64.b64encode(b"\x89PNG drawn").decode()}

    def attach(notebook: NotebookNode) -> None:
        notebook.cells[0].source += "\n![a map](attachment:map.png)"
        notebook.cells[0].attachments = {"map.png": image}
        notebook.cells[5].source += "\n![the answer](attachment:answer.png)"
        notebook.cells[5].attachments = {"answer.png": image}

    change(course, attach)
    make(course)
    kept = [list(cell.get("attachments", {})) for cell in released(course).cells]
    assert kept == [["map.png"], [], [], [], [], [], []]


def test_an_unknown_assignment_names_those_there_are(course: Course) -> None:
    with pytest.raises(UsageError, match=r"no assignment 'ps9' .* \(there are: double\)"):
        build(course, "ps9")


# What a build refuses


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("notes.txt", b"nothing"),
        ("sub/helper.py", b"x = 1\n"),
        ("old.py", b"def double(x): ...\n"),
    ],
)
def test_a_file_that_is_not_declared_is_refused_with_the_mend(course, name: str, data) -> None:
    add_data(course, name, data, declare=False)
    line = refused(course)
    assert line.startswith(f"source/double/{name} would reach the students")
    assert f"sha256sum {name} >> data.sha256" in line


def test_answers_are_no_data_even_if_declared(course: Course) -> None:
    add_data(course, "sub/alternatives.py", b"x = 1\n")
    config = course.root / "nbgrader_config.py"
    config.write_text(config.read_text().replace('"alternatives.py", ', ""))
    assert "sub/alternatives.py would reach the students" in refused(course)


def test_the_solution_script_is_refused_if_nbgrader_would_copy_it(course: Course) -> None:
    config = course.root / "nbgrader_config.py"
    config.write_text(config.read_text().replace(' "double.py",', ""))
    line = refused(course)
    assert line.startswith("source/double/double.py would reach the students: name it in")


def test_data_that_differ_from_their_declaration_are_refused(course: Course) -> None:
    add_data(course, "words.txt", b"one\n")
    (source(course) / "words.txt").write_bytes(b"two\n")
    assert "is not the file that data.sha256 declares" in refused(course)


def test_a_declaration_without_its_file_or_without_sense_is_refused(course: Course) -> None:
    path = source(course) / "data.sha256"
    path.write_text(f"{'0' * 64}  gone.txt\n")
    assert "declares gone.txt: no such file" in refused(course)
    path.write_text("words.txt\n")
    assert "source/double/data.sha256, line 1 is no line of sha256sum: 'words.txt'" in refused(
        course
    )


def zipped(text: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner/old.txt", text)
    return stream.getvalue()


def tarred(text: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        info = tarfile.TarInfo("old.txt")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text.encode()))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "place"),
    [
        ("words.txt", f"one\ntwo\n{SECRET}\n".encode(), "words.txt, line 3"),
        ("words.txt", f"# {SECRET.replace(' ', '')}  # kept".encode(), "words.txt"),
        ("words.csv", f'1,"{SECRET}",2\n'.encode(), "words.csv, line 1"),
        ("a.json", b'{"k": ["\\n", "answer = float(x) \\u002b float(x)\\n"]}', "a.json, k, line 2"),
        ("words.txt.gz", gzip.compress(SECRET.encode()), "words.txt.gz: inside"),
        ("words.zip", zipped(SECRET), "words.zip: inner/old.txt"),
        ("words.tar.gz", tarred(SECRET), "words.tar.gz: inside: old.txt"),
        ("a.bin", b"\x00\xff" + SECRET.encode() + b"\x00", "a.bin"),
        ("a.html", b"<p>assert double(-3.5) &#61;&#61; -7.0</p>", "a.html"),
        ("a.txt", b"One point for\xc2\xa0a straight line.", "a.txt"),
        ("a.txt", b"so: Doubling is adding a number to itself, so it is linear.", "a.txt"),
        ("a.txt", b"the number is squared where\nit should be doubled, This is what you get "
                  b"when the number is squared where it should be doubled.", "a.txt"),
        ("a.txt", b"avoid squared_instead here", "a.txt"),
        ("a.txt", b"return x ** 2 + 0*len('wrong')", "a.txt"),
    ],
    ids=["text", "comment", "csv", "json-escape", "gzip", "zip", "tar", "binary", "html",
         "mark-scheme", "written-answer", "hint", "name", "misconception"],
)  # fmt: skip
def test_a_secret_in_declared_data_is_found(course: Course, name: str, data, place: str) -> None:
    add_data(course, name, data)
    line = refused(course)
    assert line.startswith(f"release/double/{place}")
    assert " would give away " in line


def use_header(course: Course, *cells: NotebookNode) -> None:
    """Let nbgrader put `cells` on top of each release; no line of theirs is in the source."""
    save(nbformat.v4.new_notebook(cells=list(cells)), course.root / "header.ipynb")
    with (course.root / "nbgrader_config.py").open("a") as stream:
        stream.write('c.IncludeHeaderFooter.header = "header.ipynb"\n')


@pytest.mark.parametrize(
    ("cell", "place", "what"),
    [
        (
            new_code_cell("y = 1\nanswer  =  float(x)+float(x)"),
            "cell 1, line 2",
            "source/double/double.ipynb, cell 3, line 4",
        ),
        (
            new_markdown_cell(f"Try\n\n    >>> {SECRET}"),
            "cell 1, line 3",
            "source/double/double.ipynb, cell 4, line 3",
        ),
        # Too short to be looked for in prose; as a whole line of a cell it is an answer.
        (new_code_cell("del x"), "cell 1", "source/double/double.ipynb, cell 3, line 5"),
    ],
    ids=["code", "markdown", "short"],
)
def test_a_secret_that_the_source_does_not_show_is_found_in_a_cell(
    course: Course, cell: NotebookNode, place: str, what: str
) -> None:
    use_header(course, cell)
    assert refused(course) == f"release/double/double.ipynb, {place} would give away {what}; {NONE}"


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        (lambda nb: nb.cells[0].metadata.update(tags=["a", SECRET]), "cell 1, metadata.tags"),
        (
            lambda nb: nb.metadata.kernelspec.update(display_name=SECRET),
            "metadata.kernelspec.display_name",
        ),
        (
            lambda nb: nb.cells[0].update(
                source="![](attachment:a.svg)",
                attachments={
                    "a.svg": {"image/svg+xml": base64.b64encode(SECRET.encode() * 2).decode()}
                },
            ),
            "cell 1, attachments.a.svg.image/svg+xml",
        ),
    ],
    ids=["tag", "metadata", "attachment"],
)
def test_a_secret_beside_the_cells_is_found(course: Course, edit, place: str) -> None:
    change(course, edit)
    secret = "source/double/double.ipynb, cell 4, line 3"
    assert (
        refused(course) == f"release/double/double.ipynb, {place} would give away {secret}; {NONE}"
    )


@pytest.mark.parametrize("marker", ["# BEGIN HIDDEN TEST", "### begin solution", "BEGIN_SOLUTION"])
def test_a_misspelled_marker_is_found_for_it_hides_nothing(course: Course, marker: str) -> None:
    change(course, lambda nb: nb.cells.append(new_markdown_cell(f"a\n{marker}\nassert d(1) == 2")))
    assert f"cell 8, line 2 would give away a marker nbgrader did not know: {marker}" in refused(
        course
    )


def test_a_converter_that_forgets_the_hidden_tests_is_found_out(course: Course) -> None:
    with (course.root / "nbgrader_config.py").open("a") as stream:
        stream.write(
            "c.GenerateAssignment.preprocessors = [\n"
            "    'nbgrader.preprocessors.ClearSolutions', 'nbgrader.preprocessors.ClearOutput',\n"
            "    'nbgrader.preprocessors.ClearMarkScheme',\n]\n"
        )
    assert "double.ipynb, cell 4, line 2 would give away a marker" in refused(course)


def test_an_output_would_be_found_if_nbgrader_left_it(course: Course, monkeypatch) -> None:
    secrets = leaks.secrets_of([("double.ipynb", tiny_notebook())], [], course.config)
    notebook = tiny_notebook()
    for cell in notebook.cells[2:]:
        cell.source = "cleared"
    notebook.cells[2].outputs = [
        new_output("display_data", {"text/html": f"<b>{SECRET}</b>", "text/plain": "x"})
    ]
    save(notebook, course.root / "out" / "double.ipynb")
    leak = leaks.find(course.root / "out", secrets)
    assert leak is not None
    assert leak.where == "double.ipynb, cell 3, outputs 1.data.text/html"
    # And in a real build, no output survives a converter that forgets to clear it.
    monkeypatch.setattr(
        ClearOutput, "preprocess_cell", lambda _, cell, resources, index: (cell, resources)
    )
    change(course, lambda nb: nb.cells[3].update(outputs=notebook.cells[2].outputs))
    make(course)
    assert b"-3.5" not in (course.root / "release/double/double.ipynb").read_bytes()


def test_a_line_that_is_also_visible_is_no_leak(course: Course) -> None:
    change(course, lambda nb: nb.cells[0].update(source=f"We check `{SECRET}`, as everyone knows."))
    assert make(course).changed


def test_a_leak_keeps_the_last_good_release_and_the_gradebook_as_it_was(course: Course) -> None:
    good = files(make(course).folder)

    def leak(notebook: NotebookNode) -> None:
        notebook.cells[0].metadata["tags"] = [SECRET]
        test = new_code_cell("assert True")
        notebook.cells.append(nbgrader_cell(test, "more", grade=True, points=9))

    change(course, leak)
    with pytest.raises(CourseError, match="would give away"):
        make(course)
    assert files(course.root / "release/double") == good
    with Gradebook(course.db_url, "tiny") as gradebook:
        assert gradebook.find_assignment("double").max_score == 4


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (
            lambda nb: nb.cells[2].update(
                source=nb.cells[2].source.replace("### END", "### E N D")
            ),
            "double: No end solution statement found",
        ),
        (
            lambda nb: nb.cells[3].metadata.nbgrader.update(grade_id="double"),
            "double: ValidationError: Duplicate grade id: double",
        ),
    ],
    ids=["open-region", "same-id"],
)
def test_what_nbgrader_refuses_is_said_in_one_line(course: Course, edit, reason: str) -> None:
    change(course, edit)
    assert refused(course).startswith(reason)


def test_a_gradebook_that_is_none_is_said_in_one_line(course: Course) -> None:
    (course.root / "gradebook.db").write_bytes(b"this is no database at all, whatever it says")
    line = refused(course)
    assert line == (
        f"double: the gradebook {course.db_url} cannot be used: file is not a database: "
        "back it up and run `nbgrader db upgrade`"
    )


def test_a_locked_gradebook_is_said_with_the_mend_and_nothing_is_lost(course: Course) -> None:
    with sqlite3.connect(course.root / "gradebook.db") as holder:
        holder.execute("begin exclusive")
        assert "cannot be used: database is locked: stop what uses it" in refused(course)
    assert make(course).changed


@pytest.mark.parametrize(
    "reason",
    [
        "OSError: [Errno 28] No space left on device",
        "OperationalError: (sqlite3.OperationalError) database or disk is full",
    ],
)
def test_a_full_disk_is_said_with_the_mend(course: Course, monkeypatch, reason: str) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FilesWriter, "write", full)
    expected = "double: the disk is full: free some space and run this again"
    assert refused(course) == expected
    assert building._explained(course, "double", reason) == expected


def test_a_misconception_that_is_not_python_is_said_with_its_line(course: Course) -> None:
    (source(course) / "misconceptions.py").write_text("x = 1\ndef (:\n")
    assert refused(course) == "source/double/misconceptions.py, line 2: invalid syntax"


# The committed releases of this repository

REPOSITORY = Course(Path(__file__).parents[1])


@pytest.mark.parametrize("assignment", REPOSITORY.assignments())
def test_the_committed_release_is_what_a_build_makes_now(assignment: str, tmp_path: Path) -> None:
    (tmp_path / "nbgrader_config.py").write_bytes(
        (REPOSITORY.root / "nbgrader_config.py").read_bytes()
    )
    fresh = Course(tmp_path)
    shutil.copytree(
        REPOSITORY.source(assignment),
        fresh.source(assignment),
        ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"),
    )
    made = files(build(fresh, assignment).folder)
    committed = files(REPOSITORY.release(assignment))
    stale = sorted(n for n in made.keys() | committed.keys() if made.get(n) != committed.get(n))
    assert stale == [], f"run `course build {assignment}` and commit the result"

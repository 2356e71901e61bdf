"""What holds of every lecture, whatever it teaches."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

LECTURES = sorted((Path(__file__).parent.parent / "lectures").glob("[0-9][0-9]_*.py"))


def notebook(lecture: Path):
    return nbformat.read(lecture.with_suffix(".ipynb"), as_version=4)


def test_there_are_lectures():
    assert LECTURES


@pytest.mark.parametrize("lecture", LECTURES, ids=lambda path: path.stem)
def test_importing_a_lecture_runs_nothing_slow(lecture):
    """A lecture is a program. Imported, it stops at its first line, before NumPy is loaded."""
    program = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('lecture', {str(lecture)!r})\n"
        "try: spec.loader.exec_module(importlib.util.module_from_spec(spec))\n"
        "except ImportError as stop: print(stop)\n"
        "assert not {'numpy', 'torch'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=10
    )
    assert done.returncode == 0, done.stderr
    assert "a lecture is run, not imported" in done.stdout


@pytest.mark.parametrize("lecture", LECTURES, ids=lambda path: path.stem)
def test_stored_outputs_are_whole_and_clean(lecture):
    """Every code cell was run, in order, without errors, warnings, times, paths or addresses."""
    cells = [cell for cell in notebook(lecture).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for output in (output for cell in cells for output in cell.outputs):
        assert output.output_type != "error"
        assert output.get("name") != "stderr"
        text = output.get("text", "") + output.get("data", {}).get("text/plain", "")
        for unstable in (" at 0x", "/home/", "/tmp/", "site-packages", "Figure("):
            assert unstable not in text


@pytest.mark.parametrize("lecture", LECTURES, ids=lambda path: path.stem)
def test_every_figure_says_what_it_shows(lecture):
    """Its alt text is a finding with numbers, and the same text is what nbval compares."""
    figures = [
        output
        for cell in notebook(lecture).cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert figures
    for figure in figures:
        alt = figure.metadata["image/png"]["alt"]
        assert alt == figure.data["text/plain"]
        assert len(alt) > 60
        assert any(character.isdigit() for character in alt)


@pytest.mark.parametrize("lecture", LECTURES, ids=lambda path: path.stem)
def test_a_lecture_has_its_parts_and_minds_its_words(lecture):
    prose = "\n".join(c.source for c in notebook(lecture).cells if c.cell_type == "markdown")
    for part in ("## Symbols", "What we showed", "## Exercises", "## Sources", "<details>"):
        assert part in prose
    for word in ("simply", "obviously", "just"):
        assert not re.search(rf"\b{word}\b", prose.lower()), word


@pytest.mark.parametrize("lecture", LECTURES, ids=lambda path: path.stem)
def test_no_formula_runs_over_a_line_of_a_quoted_box(lecture):
    """JupyterLab takes formulas out before it reads Markdown, so the next line's ">" is set too."""
    for cell in notebook(lecture).cells:
        for line in cell.source.splitlines() if cell.cell_type == "markdown" else []:
            assert not (line.startswith(">") and line.count("$") % 2), line

"""A sample of honest submissions scores with us what it scores with stock nbgrader."""

from __future__ import annotations

from pathlib import Path

from tests.parity import compare


def test_honest_submissions_score_what_nbgrader_gives_them_cell_by_cell(tmp_path: Path) -> None:
    cells, differences = compare(tmp_path, only=6, jobs=2)
    assert cells == 6 * 33
    assert differences == []

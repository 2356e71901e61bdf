"""A figure says what it shows, also to those who cannot see it."""

from __future__ import annotations

import base64
import itertools

import pytest
from matplotlib import pyplot as plt

from lectures import figures


@pytest.fixture
def shown(monkeypatch):
    """Collect what is displayed."""
    calls = []
    monkeypatch.setattr(figures, "get_ipython", lambda: "a shell")
    monkeypatch.setattr(figures, "display", lambda data, **rest: calls.append((data, rest)))
    return calls


def test_the_alt_text_is_the_text_form_and_the_images_alt(shown):
    figure, axes = plt.subplots()
    axes.plot([1, 2])
    figures.show(figure, "A line\n    rises from 1 to 2.")
    ((data, rest),) = shown
    assert data["text/plain"] == "A line rises from 1 to 2."
    assert rest["metadata"] == {"image/png": {"alt": "A line rises from 1 to 2."}}
    assert rest["raw"]
    png = base64.b64decode(data["image/png"])
    assert png.startswith(b"\x89PNG")
    assert b"Matplotlib" not in png  # no version, so equal figures are equal bytes


def test_a_shown_figure_is_closed_so_it_is_not_shown_twice(shown):
    before = plt.get_fignums()
    figures.show(plt.figure(), "An empty figure.")
    assert plt.get_fignums() == before


def test_without_a_notebook_the_finding_is_printed(capsys):
    figures.show(plt.figure(), "An empty figure.")
    assert capsys.readouterr().out == "An empty figure.\n"
    assert not plt.get_fignums()


def test_a_figure_is_700_pixels_wide(shown):
    figures.show(plt.figure(), "An empty figure.")
    png = base64.b64decode(shown[0][0]["image/png"])
    assert int.from_bytes(png[16:20]) == 700


def test_a_figure_without_a_finding_is_refused():
    with pytest.raises(ValueError, match="alt text"):
        figures.show(plt.figure(), "  \n ")
    plt.close("all")


def luminance(color: str) -> float:
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_neighbors_in_the_palette_differ_in_gray():
    grays = [luminance(color) for color in figures.palette.values()]
    assert all(abs(a - b) > 0.1 for a, b in itertools.pairwise(grays)), grays

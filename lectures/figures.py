"""How the lectures draw: one style, one palette, and figures that carry their finding as text.

Importing this module sets the style. It knows nothing of any lecture.
"""

from __future__ import annotations

import base64
import io

import matplotlib as mpl
from cycler import cycler
from IPython import get_ipython
from IPython.display import display
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

# Okabe and Ito's colors, told apart with any common form of color vision
# (https://jfly.uni-koeln.de/color/), ordered so that neighbors also differ in gray.
palette = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "sky": "#56B4E9",
    "red": "#D55E00",
    "pink": "#CC79A7",
    "black": "#000000",
}

mpl.rcParams.update(
    {
        "figure.figsize": (7.0, 4.0),  # inches; at 100 dots an inch, 700 pixels wide
        "figure.dpi": 100,
        "figure.constrained_layout.use": True,
        "font.size": 11,
        "axes.titlesize": 12,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#DDDDDD",
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
        "legend.frameon": False,
        # Never color alone: each line of a figure has its own dashes too.
        "axes.prop_cycle": cycler(color=list(palette.values()))
        + cycler(linestyle=["-", "--", "-.", ":", "-", "--", "-."]),
    }
)


def show(figure: Figure, alt: str) -> None:
    """Display `figure` as a PNG whose text form is `alt`, then close it.

    `alt` says what the figure shows, in words and numbers. It is read aloud to a reader who cannot
    see the image, and it is what the notebook's check compares on another machine, where the same
    curve may differ in a pixel.

    Raises:
        ValueError: `alt` is blank.
    """
    alt = " ".join(alt.split())
    if not alt:
        raise ValueError("a figure needs an alt text that says what it shows")
    if get_ipython() is None:  # the lecture is run as a plain program
        print(alt)
        plt.close(figure)
        return
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})  # no version in the bytes
    plt.close(figure)
    png = base64.b64encode(buffer.getvalue()).decode("ascii")
    display({"image/png": png, "text/plain": alt}, metadata={"image/png": {"alt": alt}}, raw=True)

"""Colours and sizes that all displays share, and their base class."""

from __future__ import annotations

from typing import Any, Self

from ..utils.extras import import_extra

# Okabe and Ito's colours, which people with colour blindness can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Line styles tell curves apart in print without colours.
DASHES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 2)), (0, (8, 3)))
# Inches: one column of a journal, and both with the space between them.
COLUMN_WIDTH = 3.5
PAGE_WIDTH = 7.2
# Figures are printed at their size, so fonts are as small as captions; on screens 150 dots per inch
# keep them legible.
_STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 150,
}


# Marks the curves of displays, so that later ones find how many the axes have already.
_CURVE = "lightrnn"


def curve_style(number: int) -> dict[str, Any]:
    """Return the style of one curve of several on the same axes."""
    colour = COLOURS[number % len(COLOURS)]
    return {"color": colour, "ls": DASHES[number % len(DASHES)], "lw": 1.4, "gid": _CURVE}


def count_curves(ax: Any) -> int:
    """Return the number of curves that displays have drawn on axes."""
    return sum(line.get_gid() == _CURVE for line in ax.lines)


def legend_above(ax: Any, columns: int, **options: Any) -> None:
    """Write a legend above axes, where it hides no curve."""
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, **options)


class Display:
    """Base of all displays: `plot` makes axes in the common style, and `_draw` fills them."""

    _width = COLUMN_WIDTH

    @property
    def _height(self) -> float:
        """Height of a new figure in inches."""
        raise NotImplementedError

    def plot(self, ax: Any = None) -> Self:
        """Draw what the display holds.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to draw on; None makes a new figure, as wide as a journal's column, or for the
            diagram of a network as wide as two.

        Returns
        -------
        Display
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        pyplot = import_extra("matplotlib.pyplot", "to draw")
        with pyplot.rc_context(_STYLE):
            if ax is None:
                size = (self._width, self._height)
                ax = pyplot.subplots(figsize=size, layout="constrained")[1]
            self.ax_ = ax
            self.figure_ = ax.figure
            self._draw(ax)
        return self

    def _draw(self, ax: Any) -> None:
        """Draw on these axes."""
        raise NotImplementedError

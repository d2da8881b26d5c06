"""Colours, sizes and axes that all displays share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 150,
}


@contextmanager
def canvas(ax: Any, height: float, width: float = COLUMN_WIDTH) -> Iterator[Any]:
    """Yield axes to draw on in the common style: `ax`, or a new figure's of this size in inches.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "matplotlib must be installed to draw, got none. "
            "Run: python -m pip install 'lightrnn[plot]'"
        ) from error
    with pyplot.rc_context(_STYLE):
        if ax is None:
            ax = pyplot.subplots(figsize=(width, height), layout="constrained")[1]
        yield ax

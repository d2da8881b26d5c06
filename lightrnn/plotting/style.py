"""What all pictures share: colours, sizes, and the axes they are drawn on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Okabe and Ito's colours, which the colour-blind can tell apart; line styles tell them apart without any colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 2)), (0, (8, 3)))
COLUMN = 3.5  # inches: one column of a journal
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
def canvas(ax: Any, height: float, width: float = COLUMN) -> Iterator[Any]:
    """Give axes to draw on: `ax`, or those of a new figure of this size in inches.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "matplotlib must be installed to draw, got none. Run: python -m pip install 'lightrnn[plot]'"
        ) from error
    with pyplot.rc_context(_STYLE):
        yield (
            pyplot.subplots(figsize=(width, height), layout="constrained")[1] if ax is None else ax
        )

"""Refuse to answer where a network's outputs are not finite."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ..data.ragged import Values

_FEW = 8192  # with more BLAS would start threads


def check_outputs(
    rows: np.ndarray,
    form: Values,
    why: Callable[[int], str],
    name: str = "X",
    what: str = "outputs",
) -> None:
    """Raise a ValueError unless all outputs are finite: NaN or infinity is never an answer.

    Parameters
    ----------
    rows : ndarray (N, ...)
        What was computed of each sequence, or of each step of all sequences.
    form : ndarray or list of ndarray
        The same for each sequence: an array, or a list of one array per sequence.
    why : callable
        Function from the number of a sequence to the cause and the remedy.
    name : str, default="X"
        Name of the sequences in the message.
    what : str, default="outputs"
        Name of the outputs in the message.

    Raises
    ------
    ValueError
        Names the first sequence whose outputs are not finite.

    Examples
    --------
    >>> outputs = np.array([[0.5], [1.5]])
    >>> check_outputs(outputs, outputs, lambda index: "It overflows.")
    """
    # Of few numbers the sum of squares shows fastest that all are finite; else it may overflow.
    if rows.size <= _FEW and math.isfinite(np.vdot(rows, rows)):
        return
    finite = np.isfinite(rows)
    if finite.all():
        return
    row = index = int(np.argmin(finite.reshape(len(rows), -1).all(axis=1)))
    found = str(rows[row][~finite[row]].flat[0])
    if isinstance(form, list):
        ends = np.cumsum([len(part) for part in form])
        index = int(np.searchsorted(ends, row, side="right"))
        found += f" at step {row - ends[index] + len(form[index])}"
    raise ValueError(f"{name}[{index}] must give finite {what}, got {found}: {why(index)}")


def overflow(x: np.ndarray, dtype: npt.DTypeLike) -> str:
    """Return why a network overflows on finite inputs, and the remedy, for a message."""
    x = np.asarray(x)  # patches may be on disk
    if x.dtype.kind in "iu" and x.ndim < 2:  # codes
        return f"the weights overflow in {dtype}. Fit again with a lower learning_rate_init."
    largest = float(np.abs(x.astype(np.float64)).max())
    precise = "" if np.dtype(dtype) == np.float64 else ", or fit with dtype='float64'"
    return (
        f"its values, up to {largest:.3g}, overflow in {dtype}. Mark or replace values that stand "
        f"for missing ones, or bring X to the scale that it has in fit{precise}."
    )

"""Index arrays and lists alike."""

from typing import Any

import numpy as np


def take(values: Any, indices: np.ndarray) -> Any:
    """Return the items of an array or a list at some indices.

    Parameters
    ----------
    values : ndarray or list
        What to take from.
    indices : ndarray of int, shape (m,)
        Positions along the first axis.

    Returns
    -------
    ndarray or list
        Of the kind of `values`, with m items.

    Examples
    --------
    >>> take(["a", "b", "c"], np.array([2, 0]))
    ['c', 'a']
    """
    return (
        values[indices] if isinstance(values, np.ndarray) else [values[i] for i in indices.tolist()]
    )

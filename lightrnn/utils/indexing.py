"""Index arrays and lists in the same way."""

from typing import Any

import numpy as np


def take(values: Any, indices: np.ndarray) -> Any:
    """Return the items of an array or a list at the given indices.

    Parameters
    ----------
    values : ndarray or list
        The values.
    indices : ndarray of int, shape (m,)
        Positions along the first axis.

    Returns
    -------
    ndarray or list
        An array if `values` is one, else a list, with m items.

    Examples
    --------
    >>> take(["a", "b", "c"], np.array([2, 0]))
    ['c', 'a']
    """
    if isinstance(values, np.ndarray):
        return values[indices]
    return [values[i] for i in indices.tolist()]

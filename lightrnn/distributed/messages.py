"""Objects as few buffers: what a step sends to a worker, and what it answers.

Dask would serialise each argument by itself, and send each array as a frame of its own. The
arguments of a step hold some twenty small arrays, so that this took half of a small step's time.
"""

from __future__ import annotations

import pickle
from typing import Any

# Bytes from which on an array is sent without a copy, as a buffer of its own.
_LARGE = 1 << 16


def packed(value: Any) -> list[Any]:
    """Return an object as bytes, and its large arrays as buffers.

    Examples
    --------
    >>> import numpy as np
    >>> len(packed([np.zeros(10), np.zeros(100_000)]))
    2
    >>> unpacked(packed({"a": 1}))
    {'a': 1}
    """
    buffers: list[pickle.PickleBuffer] = []

    def is_small(buffer: pickle.PickleBuffer) -> bool:
        """Return whether an array is left in the bytes; keep it if not."""
        large = buffer.raw().nbytes >= _LARGE
        if large:
            buffers.append(buffer)
        return not large

    data = pickle.dumps(value, protocol=5, buffer_callback=is_small)
    return [data, *(buffer.raw() for buffer in buffers)]


def unpacked(frames: list[Any]) -> Any:
    """Return the object of `packed`; its large arrays may be read-only."""
    return pickle.loads(frames[0], buffers=frames[1:])

"""Which sequences run together: the order of a batch, its largest size, groups to predict."""

from collections.abc import Iterator

import numpy as np


def longest_first(lengths: np.ndarray) -> np.ndarray:
    """Return the indices that sort sequences by falling length; equal lengths keep their order."""
    return np.argsort(-lengths, kind="stable")


def largest_batch(lengths: np.ndarray, batch_size: int) -> tuple[int, int]:
    """Return the number of sequences and of steps of the largest minibatch that there can be.

    Examples
    --------
    >>> largest_batch(np.array([3, 1000, 2, 5]), 2)
    (2, 1005)
    """
    size = min(batch_size, len(lengths))
    longest = np.partition(lengths, len(lengths) - size)[-size:]
    return size, int(longest.sum())


def group_sequences(lengths: np.ndarray, max_steps: int, threads: int = 1) -> list[np.ndarray]:
    """Return indices of sequences in groups, longest first, of about `max_steps` steps or fewer.

    The groups are of about equally many steps, and as many for each thread, so that all threads
    finish together.
    """
    order = longest_first(lengths)
    if lengths[order[-1]] < 1:
        raise ValueError("X must hold sequences of at least one step, got one of 0. Leave it out.")
    total = int(lengths.sum())
    count = -(-total // max_steps)
    if count > 1:  # a single group is too little work to be divided
        count = -(-count // threads) * threads
    share = -(-total // count)
    groups = []
    start = 0
    while start < len(order):
        # The first is the longest: a group of this many sequences has about `share` steps, or
        # fewer.
        size = -(-share // int(lengths[order[start]]))
        groups.append(order[start : start + size])
        start += size
    return groups


def original_order(groups: list[np.ndarray]) -> np.ndarray:
    """Return the index of each sequence in the concatenated groups of `group_sequences`."""
    return np.argsort(np.concatenate(groups))


def pieces(x: np.ndarray, rows: int, before: int) -> Iterator[tuple[np.ndarray, int]]:
    """Yield pieces of a sequence, each with up to `before` earlier steps, and their number."""
    for start in range(0, len(x), rows):
        first = max(0, start - before)
        yield x[first : start + rows], start - first

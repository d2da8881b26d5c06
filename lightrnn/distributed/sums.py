"""The fixed tree in which the terms of all partitions are added.

Floating-point sums depend on their order. The tree over partitions 0 .. P - 1 depends on P alone,
so a worker may add the terms of a whole subtree before it answers, and the bits of the total are
the same however partitions are spread over workers.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

# Partitions start .. stop - 1.
Node = tuple[int, int]
Terms = dict[Node, Any]


def halves(start: int, stop: int) -> tuple[Node, Node]:
    """Return the two subtrees of a node of two partitions or more."""
    middle = start + (1 << ((stop - start - 1).bit_length() - 1))
    return (start, middle), (middle, stop)


def added(left: Any, right: Any) -> Any:
    """Return the sum of two terms, (loss, gradient), of which one may be missing.

    The left gradient is overwritten.
    """
    if left is None or right is None:
        return left or right
    return left[0] + right[0], np.add(left[1], right[1], out=left[1])


def total(terms: Terms, start: int, stop: int) -> Any:
    """Return the sum over the partitions start .. stop - 1, None if there is no term.

    Parameters
    ----------
    terms : dict
        Sums over some nodes of the tree; partitions in none of them contribute nothing.
    start, stop : int
        A node.

    Examples
    --------
    >>> terms = {(i, i + 1): (1.0, np.array([i])) for i in range(5)}
    >>> total(terms, 0, 5)
    (5.0, array([10]))
    """
    if (start, stop) in terms or stop - start == 1:
        return terms.get((start, stop))
    left, right = halves(start, stop)
    return added(total(terms, *left), total(terms, *right))


def partial_sums(terms: Terms, start: int, stop: int, elsewhere: Collection[int]) -> Terms:
    """Return the sums over the largest subtrees that need no term of another worker.

    Parameters
    ----------
    terms : dict
        Terms of single partitions.
    start, stop : int
        The node to begin with.
    elsewhere : collection of int
        Partitions whose terms other workers have.

    Examples
    --------
    >>> terms = {(i, i + 1): (1.0, np.array([i])) for i in range(3)}
    >>> partial_sums(terms, 0, 4, elsewhere={3})
    {(0, 2): (2.0, array([1])), (2, 3): (1.0, array([2]))}
    """
    if not any(start <= i < stop for i in elsewhere):
        sum_ = total(terms, start, stop)
        return {} if sum_ is None else {(start, stop): sum_}
    if stop - start == 1:
        return {}
    left, right = halves(start, stop)
    return partial_sums(terms, *left, elsewhere) | partial_sums(terms, *right, elsewhere)

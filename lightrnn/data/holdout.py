"""Split sequences into those to train on and those to validate on."""

import numpy as np


def hold_out(
    n: int, fraction: float, rng: np.random.Generator, classes: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Split n sequences at random into those to train on and those to validate on.

    Parameters
    ----------
    n : int
        At least 2.
    fraction : float
        Share to hold out, in (0, 1); at least two sequences if there are three, never all.
    rng : Generator
        Draws the split.
    classes : ndarray of int (n,), optional
        Stratify by these: every class loses the same share, as nearly as can be, and keeps at least one sequence.

    Returns
    -------
    training, validation : ndarray of int
        Indices, ascending.

    Examples
    --------
    >>> training, validation = hold_out(8, 0.25, np.random.default_rng(0), np.repeat([0, 1], 4))
    >>> np.repeat([0, 1], 4)[validation]
    array([0, 1])
    """
    if n < 2:
        raise ValueError(
            f"early_stopping must have at least 2 sequences to split, got {n}. Pass X_val and y_val, or more data."
        )
    groups = np.zeros(n, np.intp) if classes is None else classes
    shuffled = rng.permutation(n)
    shuffled = shuffled[np.argsort(groups[shuffled], kind="stable")]
    _, starts, counts = np.unique(groups[shuffled], return_index=True, return_counts=True)
    # The j-th of a class's m sequences stands at (j + 0.5) / m; the lowest places of all classes together are held out.
    place = (np.arange(n) - np.repeat(starts, counts) + 0.5) / np.repeat(counts, counts)
    place[starts + counts - 1] = 1.0
    wanted = min(max(2, round(fraction * n)), n - len(counts))
    if wanted < 1:
        wanted = 1
    order = shuffled[np.lexsort((rng.random(n), place))]
    return np.sort(order[wanted:]), np.sort(order[:wanted])

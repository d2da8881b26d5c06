"""Split sequences into those to train on and those to validate on."""

import numpy as np


def hold_out(
    n: int, fraction: float, rng: np.random.Generator, classes: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Split n sequences at random into those to train on and those to validate on.

    Parameters
    ----------
    n : int
        Number of sequences, at least 2.
    fraction : float in (0, 1)
        Share to hold out: at least two sequences if there are three, never all.
    rng : Generator
        Source of the split.
    classes : ndarray of int (n,), optional
        Class of each sequence, for a stratified split: every class loses the same share, as nearly
        as possible, and keeps at least one sequence.

    Returns
    -------
    training, validation : ndarray of int
        Indices in ascending order.

    Raises
    ------
    ValueError
        If there is only one sequence.

    Examples
    --------
    >>> training, validation = hold_out(8, 0.25, np.random.default_rng(0), np.repeat([0, 1], 4))
    >>> np.repeat([0, 1], 4)[validation]
    array([0, 1])
    """
    if n < 2:
        raise ValueError(
            f"early_stopping must have at least 2 sequences to split, got {n}. "
            "Pass X_val and y_val, or more data."
        )
    groups = np.zeros(n, np.intp) if classes is None else classes
    shuffled = rng.permutation(n)
    # Stable, so that the sequences of a class stay in random order.
    shuffled = shuffled[np.argsort(groups[shuffled], kind="stable")]
    _, starts, counts = np.unique(groups[shuffled], return_index=True, return_counts=True)
    # The j-th of the m sequences of a class stands at the rank (j + 0.5) / m within it. The lowest
    # ranks of all classes together are held out, so each class loses about the same share.
    position = np.arange(n) - np.repeat(starts, counts)
    rank = (position + 0.5) / np.repeat(counts, counts)
    rank[starts + counts - 1] = 1.0  # the last of a class stays in training
    # Two at least, because R^2 of one sequence says nothing; one of each class stays in training.
    wanted = min(max(2, round(fraction * n)), n - len(counts))
    wanted = max(wanted, 1)
    order = shuffled[np.lexsort((rng.random(n), rank))]  # random where ranks are equal
    return np.sort(order[wanted:]), np.sort(order[:wanted])

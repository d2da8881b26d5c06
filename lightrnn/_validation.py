"""Held-out sequences, and the scores that are taken on them."""

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


def accuracy(right: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the weighted share of True.

    Examples
    --------
    >>> accuracy(np.array([True, False, True, True]))
    0.75
    """
    return float(np.average(right, weights=weights))


def r_squared(y: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return 1 - (residual sum of squares) / (total sum of squares), averaged over outputs.

    A constant output counts 1 if predicted exactly, else 0.

    Parameters
    ----------
    y, predicted : ndarray (n,) or (n, k)
        True and predicted values.
    weights : ndarray (n,), optional
        Sample weights.

    Examples
    --------
    >>> r_squared(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]))
    0.5
    """
    y, predicted = np.asarray(y, np.float64), np.asarray(predicted, np.float64)
    if y.ndim == 1:
        y, predicted = y[:, None], predicted.reshape(-1, 1)
    share = np.full(len(y), 1.0) if weights is None else np.asarray(weights, np.float64)
    residual = share @ (y - predicted) ** 2
    total = share @ (y - np.average(y, axis=0, weights=share)) ** 2
    exact = np.where(residual == 0, 1.0, 0.0)
    return float(np.mean(np.where(total > 0, 1.0 - residual / np.where(total > 0, total, 1.0), exact)))

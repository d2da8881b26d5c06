"""The best prediction without X, with whose loss that of a network is compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..utils.scales import weighted_quantile

if TYPE_CHECKING:
    from ..losses import Loss

RELEVANT = 0.01  # share of the prior's loss that is worth noticing
_OF_LOSS = {
    "softmax": "the frequencies of the classes",
    "sigmoid": "the frequencies of the labels",
    "squared_error": "the mean of y",
    "absolute_error": "the median of y",
    "huber": "the median of y",
    "quantile": "the quantile of y",
}


class Prior(NamedTuple):
    """The best constant prediction, which needs no X.

    Attributes
    ----------
    loss : float
        Its mean loss, weighted as in training.
    relevant : float
        Difference in loss that is worth noticing.
    of : str
        Its name in messages.
    advice : str, default=""
        What else to look at if a network is not better.
    """

    loss: float
    relevant: float
    of: str
    advice: str = ""


def prior_of(loss: Loss, targets: np.ndarray, weights: np.ndarray) -> Prior:
    """Return the prior of targets.

    Parameters
    ----------
    loss : Loss
        The loss that is minimised; of "huber" it is that of the median.
    targets : ndarray (N,) or (N, k)
        Encoded targets.
    weights : ndarray (N,)
        Their weights, with a positive sum.

    Returns
    -------
    Prior

    Examples
    --------
    >>> from lightrnn.losses import make_loss
    >>> prior_of(make_loss("squared_error"), np.array([1.0, 3.0, 5.0]), np.array([1, 1, 0])).loss
    1.0
    """
    if loss.name == "softmax":
        mean = entropy(np.bincount(targets, weights))
    elif loss.name == "sigmoid":
        shares = np.average(targets, axis=0, weights=weights)  # (k,)
        mean = float(np.mean([entropy(np.array([share, 1 - share])) for share in shares]))
    else:
        columns = targets.reshape(len(targets), -1).astype(np.float64)
        row = _best_row(loss, columns, weights)
        mean = loss(np.broadcast_to(row, columns.shape), columns, weights)[0] / weights.sum()
    # y is standardised, so that a loss above 1 is that of a few outliers, or of many classes.
    relevant = RELEVANT * min(float(mean), 1.0)
    return Prior(float(mean), relevant, _OF_LOSS[loss.name], " Check that y[i] belongs to X[i].")


def entropy(counts: np.ndarray) -> float:
    """Return the entropy of frequencies, in nats."""
    shares = counts[counts > 0] / counts.sum()
    return -float(shares @ np.log(shares))


def _best_row(loss: Loss, columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the constant outputs (k,) of the least loss for numbers (N, k)."""
    if loss.name == "squared_error":
        return np.average(columns, axis=0, weights=weights)
    quantile = loss.constant if loss.name == "quantile" else 0.5
    quantiles = np.broadcast_to(quantile, columns.shape[1]).tolist()
    pairs = zip(columns.T, quantiles, strict=True)
    return np.array([weighted_quantile(column, weights, q) for column, q in pairs])

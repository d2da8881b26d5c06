"""Targets: how y is encoded for the network, scored, weighted, and decoded for the user.

`Targets` is the interface. Numbers are in `targets.py`, labels in `labels.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..exceptions import DataConversionWarning, warn
from ..utils.indexing import split
from .ragged import Values, as_values

if TYPE_CHECKING:
    from ..losses import Loss


def flat(values: np.ndarray) -> np.ndarray:
    """Return a single column as a flat array."""
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def flat_with_warning(values: np.ndarray, name: str) -> np.ndarray:
    """Return a single column as a flat array, with scikit-learn's warning."""
    column = flat(values)
    if column is not values:
        warn(
            DataConversionWarning,
            "A column-vector y was passed when a 1d array was expected. Please change the shape "
            f"of {name} to (n_samples,), for example using ravel().",
        )
    return column


class Targets:
    """Interface of all kinds of targets, and the conversion between sequences and values.

    Encoded targets are an array with one entry per sequence, (n,) or (n, k), or with `step` a list
    with one array per sequence, (T_i,) or (T_i, k).

    Attributes
    ----------
    step : bool
        Whether there is a target for every step.
    n_outputs : int
        Number of outputs of the network.
    """

    step: bool
    n_outputs: int
    is_multilabel = False

    # -- from y to the network and back -----------------------------------------------------------

    def read(self, y: Any, lengths: np.ndarray, name: str = "y") -> Values:
        """Check y and return it encoded.

        Parameters
        ----------
        y : array-like
            As in `ragged.as_values`.
        lengths : ndarray of int64, shape (n,)
            Lengths of the sequences.
        name : str, default="y"
            Name of y in messages.

        Returns
        -------
        ndarray or list of ndarray
            Encoded targets.

        Raises
        ------
        ValueError, TypeError
            If y is not of the kind that the targets were learned from.
        """
        return self.arranged(self._encoded(self._read(y, lengths, name), name), lengths)

    def truth(self, y: Any, lengths: np.ndarray) -> np.ndarray:
        """Check y as `read` does and return it as it is, pooled over steps, to score predictions.

        Labels that were not seen in fit are let through: a prediction can only be wrong about them.
        """
        return flat(self._read(y, lengths))

    def arranged(self, values: np.ndarray, lengths: np.ndarray) -> Values:
        """Return values (N, ...) as they are, or with `step` one array per sequence."""
        return split(values, lengths) if self.step else values

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Return predictions for raw outputs (N, k)."""
        raise NotImplementedError

    def decode_row(self, output: np.ndarray) -> Any:
        """Return the prediction for one raw output (k,), as `decode` gives it."""
        return self.decode(output[None])[0]

    # -- what training needs ----------------------------------------------------------------------

    def loss(self, **arguments: Any) -> Loss:
        """Return the loss to minimise, given the estimator's arguments."""
        raise NotImplementedError

    def score(self, outputs: np.ndarray, encoded: np.ndarray, weights: np.ndarray) -> float:
        """Return what the estimator's `score` would for raw outputs (N, k); greater is better.

        Parameters
        ----------
        outputs : ndarray (N, k)
            Raw outputs of the network.
        encoded : ndarray (N,) or (N, k)
            Encoded targets, pooled over steps.
        weights : ndarray (N,)
            Sample weights.

        Returns
        -------
        float
        """
        raise NotImplementedError

    def require_enough(self, encoded: Values, weights: Values) -> None:
        """Raise a ValueError if a whole fit cannot learn from these targets."""

    def follow(self, y: Any, lengths: np.ndarray, weights: Values) -> tuple[Targets, Values]:
        """Return targets that also know the y of a further `partial_fit`, and this y encoded."""
        return self, self.read(y, lengths)

    def take_over(self, network: Any, old: Any) -> None:
        """Let a network that was trained on `old` targets go on with these; predictions stay."""

    def _read(self, y: Any, lengths: np.ndarray, name: str = "y") -> np.ndarray:
        """Return checked values of all sequences or steps, (N,) or (N, k)."""
        return self._checked(flat(as_values(y, lengths, self.step, name)), name)

    def _checked(self, values: np.ndarray, name: str) -> np.ndarray:
        """Return values of the kind and the columns that the targets were learned from."""
        raise NotImplementedError

    def _encoded(self, values: np.ndarray, name: str) -> np.ndarray:
        """Return checked values encoded."""
        raise NotImplementedError

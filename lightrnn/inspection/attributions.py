"""The result of an attribution, and rankings of features and of lags over a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, overload

import numpy as np

from ..utils.tables import as_table


class Ranking(NamedTuple):
    """Features or lags by the size of their shares in the output; printed, it is a table.

    The size of a share is the sum of the absolute shares of a sequence in one feature, or at one
    lag.

    Attributes
    ----------
    names : tuple of str
        Features, or lags in steps before the end, the most important first.
    mean : ndarray of shape (m,)
        Mean of the sizes over sequences.
    low, high : ndarray of shape (m,)
        Their quartiles over sequences.
    n_sequences : ndarray of int, shape (m,)
        Number of sequences, of which short ones have no far lags.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNRegressor
    >>> from lightrnn.inspection import attribution
    >>> X = np.random.default_rng(0).normal(size=(40, 6, 2))
    >>> net = RNNRegressor("gru", (8,), max_iter=20, random_state=0).fit(X, X[:, -1, 1])
    >>> found = attribution(net, X, method="integrated_gradients")
    >>> found.rank_features().names[0], found.rank_lags().names[0]
    ('1', '0')
    """

    names: tuple[str, ...]
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n_sequences: np.ndarray

    def __str__(self) -> str:
        """Return a table.

        Returns
        -------
        str
            A line for each feature or lag.
        """
        columns = zip(self.names, self.mean, self.low, self.high, self.n_sequences, strict=True)
        rows = [
            (name, f"{mean:.3g}", f"{low:.3g} to {high:.3g}", str(count))
            for name, mean, low, high, count in columns
        ]
        return as_table(("", "mean share", "quartiles", "sequences"), rows)


@dataclass(frozen=True, eq=False)
class Attribution(Sequence[np.ndarray]):
    """Shares of one output in each of n sequences; item i is those of sequence i.

    Attributes
    ----------
    values : list of ndarray
        Shares of each sequence, float64: (T_i, F), or (T_i,) by step, (F,) by feature, (G,) by
        groups of one's own.
    standard_errors : list of ndarray or None
        Standard errors of Shapley values, 0 where they are exact; None for other methods.
    outputs : ndarray of shape (n,)
        The output that is attributed.
    baseline_outputs : ndarray of shape (n,) or None
        The output for the baseline. The shares of integrated gradients and Shapley values add up to
        ``outputs - baseline_outputs``. None for methods whose shares do not add up.
    method : str
        The method.
    axes : str
        What the shares belong to: "step", "feature", "step_feature" or "group".
    feature_names : tuple of str
        Names of the features, their numbers if they have none; empty for tokens.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNRegressor
    >>> from lightrnn.inspection import attribution
    >>> X = np.random.default_rng(0).normal(size=(10, 6, 2))
    >>> net = RNNRegressor("gru", (4,), max_iter=2, random_state=0).fit(X, X[:, -1, 1])
    >>> found = attribution(net, X, method="integrated_gradients", baseline="zeros")
    >>> len(found), found[0].shape
    (10, (6, 2))
    >>> bool(np.isclose(found[0].sum(), found.outputs[0] - found.baseline_outputs[0], atol=1e-4))
    True
    """

    values: list[np.ndarray]
    standard_errors: list[np.ndarray] | None
    outputs: np.ndarray
    baseline_outputs: np.ndarray | None
    method: str
    axes: str
    feature_names: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.values)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, index: slice) -> list[np.ndarray]: ...

    def __getitem__(self, index: Any) -> Any:
        """Return the shares of one sequence."""
        return self.values[index]

    def rank_features(self) -> Ranking:
        """Rank the features by the size of their shares.

        Returns
        -------
        Ranking
            Mean and quartiles over sequences of each feature's absolute shares, added up over time.

        Raises
        ------
        ValueError
            If the shares do not belong to features.
        """
        if self.axes not in ("feature", "step_feature"):
            raise ValueError(
                "method must give shares to features to rank them, got shares by "
                f"{self.axes}. Use method='integrated_gradients', or "
                "method='shapley' with groups='feature'."
            )
        sizes = [np.abs(np.atleast_2d(shares)).sum(axis=0) for shares in self.values]
        return _ranked(np.array(sizes), self.feature_names)

    def rank_lags(self) -> Ranking:
        """Rank the lags, steps before the end of a sequence, by the size of their shares.

        Returns
        -------
        Ranking
            Mean and quartiles over sequences of each lag's absolute shares, added up over features.

        Raises
        ------
        ValueError
            If the shares do not belong to steps.
        """
        if self.axes not in ("step", "step_feature"):
            raise ValueError(
                f"method must give shares to steps to rank lags, got shares by {self.axes}. "
                "Use method='integrated_gradients', or method='shapley' with groups='step'."
            )
        sizes = np.full((len(self), max(map(len, self.values))), np.nan)
        for row, shares in zip(sizes, self.values, strict=True):
            row[: len(shares)] = np.abs(shares.reshape(len(shares), -1)).sum(axis=1)[::-1]
        return _ranked(sizes, tuple(map(str, range(sizes.shape[1]))))


def _ranked(sizes: np.ndarray, names: tuple[str, ...]) -> Ranking:
    """Return the ranking of columns by the mean of their sizes (n, m), NaN where there is none."""
    mean = np.nanmean(sizes, axis=0)
    order = np.argsort(-mean, kind="stable")
    low, high = np.nanquantile(sizes, [0.25, 0.75], axis=0)
    count = (~np.isnan(sizes)).sum(axis=0)
    ranked = tuple(names[i] for i in order.tolist())
    return Ranking(ranked, mean[order], low[order], high[order], count[order])

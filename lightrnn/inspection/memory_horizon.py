"""Measure how many steps back a network remembers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .objective import as_fitted

if TYPE_CHECKING:
    from ..estimators.estimator import NetworkEstimator
from .gradient_flow import gradient_flow

FAINT, _STEADY = 0.01, 0.01  # influence that counts as none; growth per lag that counts as none


class MemoryHorizon(NamedTuple):
    """What `memory_horizon` returns; printed, it is a sentence.

    Attributes
    ----------
    cell : str
        The estimator's.
    horizon : float
        Lag from which on the influence stays below 1 % of what it is at the end; inf if it never does.
    half_life : float
        Lag from which on it stays below a half.
    growth : float
        Factor by which the influence changes from lag to lag, from a line through its logarithm.
    word : {"vanishing", "stable", "exploding", "windowed"}
        What growth means: below 0.99, between, above 1.01. A feed-forward net has a window instead.
    observed : int
        The longest sequence's steps: how far the measurement reaches.
    layer : str
        The layer whose memory reaches furthest, which all this is about.
    influence : ndarray (observed,)
        By lag, relative to lag 0.
    window, n_parameters : int
        The feed-forward net that sees as far, of the same layers: its window (`observed`, if the horizon is inf),
        and its number of parameters.
    """

    cell: str
    horizon: float
    half_life: float
    growth: float
    word: str
    observed: int
    layer: str
    influence: np.ndarray
    window: int
    n_parameters: int

    def __str__(self) -> str:
        """Say it in words."""
        net = f"an FFNN window of {self.window} steps, which would need {self.n_parameters:,} parameters"
        if self.word == "windowed":
            return f"{self.cell}: sees its window of {self.window} steps and nothing before."
        if math.isinf(self.horizon):
            reach = (
                f"remembers beyond the {self.observed} steps that were looked at: more than {net}"
            )
        else:
            reach = f"remembers {self.horizon:.0f} steps, half-life {self.half_life:.0f}: equal to {net}"
        return f"{self.cell}: {reach}. Influence is {self.word}, times {self.growth:.3g} each step back."


def memory_horizon(estimator: NetworkEstimator, X: Any) -> MemoryHorizon:
    """Measure how many steps back a network's memory reaches.

    Influence at lag k is the mean over sequences of ``||dL/ds||`` there (see `gradient_flow`), relative to lag 0; of
    several layers and directions the one counts that reaches furthest.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        Fitted.
    X : as in `predict`; for a language model a list of texts
        Sequences, long enough to forget something in.

    Returns
    -------
    MemoryHorizon
        Printed, it is a sentence.

    Raises
    ------
    NotFittedError
        If the estimator was not fitted.
    ValueError
        If every sequence has one step only, or no gradient arrives anywhere.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNRegressor
    >>> from lightrnn.inspection import memory_horizon
    >>> X = np.random.default_rng(0).normal(size=(20, 50, 2))
    >>> net = RNNRegressor("ffnn", (8,), window=5, max_iter=1, learning_rate="cosine").fit(X, X[:, -1, 0])
    >>> print(memory_horizon(net, X))
    ffnn: sees its window of 5 steps and nothing before.
    """
    estimator = as_fitted(estimator)
    flow = gradient_flow(estimator, X)
    observed = len(flow.lags)
    if observed < 2:
        raise ValueError(
            "X must have a sequence of at least 2 steps, got 1 step in each. Give longer ones."
        )
    kind = "input" if flow.cell == "ffnn" else "state"
    if not any(flow.mean(kind, name)[0] > 0 for name in flow.layers):
        raise ValueError(
            "estimator must have outputs that depend on its states, got gradients of 0. Train it first."
        )
    curves = {name: _relative(flow.mean(kind, name)) for name in flow.layers}
    layer = max(curves, key=lambda name: (_reach(curves[name], FAINT), curves[name].sum()))
    if flow.cell == "ffnn":
        layer = "layer0"
    curve = curves[layer]
    horizon, growth = _reach(curve, FAINT), _growth(curve)
    word = (
        "vanishing" if growth < 1 - _STEADY else "exploding" if growth > 1 + _STEADY else "stable"
    )
    window = observed if math.isinf(horizon) else int(horizon)
    if flow.cell == "ffnn":
        horizon, word, window = estimator.window, "windowed", estimator.window
    figures = horizon, _reach(curve, 0.5), growth, word, observed, layer, curve, window
    return MemoryHorizon(flow.cell, *figures, equal_ffnn(estimator, window))


def equal_ffnn(estimator: NetworkEstimator, window: int) -> int:
    """Return the number of parameters of a feed-forward net of the same layers with this window."""
    from ..nn.network import Network

    changes = {"cell": "ffnn", "bidirectional": False, "window": window}
    return Network(**estimator._model.architecture | changes).n_parameters


def _relative(curve: np.ndarray) -> np.ndarray:
    return curve / curve[0] if curve[0] > 0 else curve


def _reach(curve: np.ndarray, least: float) -> float:
    """Return the lag from which on a curve stays below `least`; inf if it does not."""
    above = np.flatnonzero(~(curve < least))
    last = int(above[-1]) if len(above) else -1
    return math.inf if last == len(curve) - 1 else float(last + 1)


def _growth(curve: np.ndarray) -> float:
    """Return the factor by which a curve changes from lag to lag, the first apart: there L touches no more than h."""
    lags = 1 + np.flatnonzero(curve[1:] > 0)
    if len(lags) < 2:
        return float(curve[1] / curve[0]) if curve[0] > 0 else math.nan
    return float(np.exp(np.polyfit(lags, np.log(curve[lags]), 1)[0]))

"""Measure how many steps back a network remembers."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..cells import CELLS
from ..estimators.estimator import NetworkEstimator
from ..utils.tables import counted
from .gradient_flow import gradient_flow
from .objective import fitted_copy
from .parameter_table import feed_forward

# Thresholds by convention, not measured: below 1 % of the influence at the end a step counts as
# forgotten, and a change of less than 1 % per lag counts as none.
FAINT = 0.01
_STEADY = 0.01


class MemoryHorizon(NamedTuple):
    """How far back a network remembers, as `memory_horizon` measures it; printed, it is a sentence.

    Attributes
    ----------
    cell : str
        The estimator's cell.
    horizon : float
        Steps before the end from which on the influence stays below 1 % of that at the end; inf if
        it never does.
    half_life : float
        Steps before the end from which on the influence stays below a half of that at the end.
    growth : float
        Factor by which the influence changes per step back, from a line fitted to its logarithm.
    word : {"vanishing", "stable", "exploding", "windowed"}
        Vanishing if growth is below 0.99, exploding above 1.01, stable in between. A feed-forward
        net is windowed, unless it pools its outputs.
    observed : int
        Steps of the longest sequence in whole patches, which is how far the measurement reaches.
    layer : str
        Name of the layer whose memory reaches furthest; the other attributes describe this layer.
    influence : ndarray of shape (observed / patch_,)
        Influence at each lag, relative to lag 0; two lags are ``patch_`` steps apart.
    window : int
        Steps that the feed-forward net with the same layers has to see to reach as far; `observed`
        if the horizon is inf.
    n_parameters : int
        Number of parameters of that feed-forward net.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNRegressor
    >>> from lightrnn.inspection import memory_horizon
    >>> X = np.random.default_rng(0).normal(size=(20, 50, 2))
    >>> net = RNNRegressor("gru", (8,), patch=1, max_iter=1, random_state=0)
    >>> found = memory_horizon(net.fit(X, X[:, -1, 0]), X)
    >>> found.word, found.observed, found.layer
    ('vanishing', 50, 'layer0')
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
        """Return a sentence.

        Returns
        -------
        str
            Horizon and half-life in steps, the feed-forward net that sees as far, and the growth.
        """
        window = counted(self.window, "step")
        if self.word == "windowed":
            return f"{self.cell}: sees its window of {window} and nothing before."
        net = f"an FFNN window of {window}, which would need {self.n_parameters:,} parameters"
        if math.isinf(self.horizon):
            observed = counted(self.observed, "step")
            reach = f"remembers beyond the {observed} that were measured: more than {net}"
        else:
            horizon = counted(int(self.horizon), "step")
            reach = f"remembers {horizon}, half-life {self.half_life:.0f}: equal to {net}"
        change = f"{self.word}, times {self.growth:.3g} each step back"
        return f"{self.cell}: {reach}. Influence is {change}."


def memory_horizon(estimator: NetworkEstimator, X: Any) -> MemoryHorizon:
    """Measure how many steps back a network's memory reaches.

    The influence at lag k is the mean over sequences of ``||dL/ds||`` at that lag (see
    `gradient_flow`), relative to lag 0. A network that reads patches has a lag after each patch. Of
    several layers and directions, the one whose influence reaches furthest counts. Where states are
    pooled, every step has a way to L besides the memory, so the horizon is that of the pooled
    network, which mostly sees all steps.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        A fitted estimator.
    X : as in `predict`; for a language model a list of str
        Sequences that are long enough for the network to forget their beginnings.

    Returns
    -------
    MemoryHorizon
        Horizon, half-life and growth of the influence; printed, it is a sentence.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If `estimator` is not an estimator of this package, or X has the wrong type.
    ValueError
        If X does not match the data of `fit`, every sequence has only one step, or all gradients
        are 0.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNRegressor
    >>> from lightrnn.inspection import memory_horizon
    >>> X = np.random.default_rng(0).normal(size=(20, 50, 2))
    >>> net = RNNRegressor("ffnn", (8,), window=5, max_iter=1)
    >>> print(memory_horizon(net.fit(X, X[:, -1, 0]), X))
    ffnn: sees its window of 5 steps and nothing before.
    """
    estimator = fitted_copy(estimator)
    flow = gradient_flow(estimator, X)
    patch = flow.patch
    observed = patch * len(flow.lags)
    if len(flow.lags) < 2:
        raise ValueError(
            f"X must have a sequence of at least {patch + 1} steps, got at most "
            f"{counted(patch, 'step')} in each. Give longer ones."
        )
    recurrent = CELLS[flow.cell].recurrent
    architecture = estimator._model.architecture
    windowed = not recurrent and architecture.get("pooling", "last") == "last"
    # A layer without recurrence carries no state from step to step, but its inputs reach back.
    kind = "state" if recurrent else "input"
    means = {name: flow.mean(kind, name) for name in flow.layers}
    if not any(mean[0] > 0 for mean in means.values()):
        raise ValueError(
            "estimator must have outputs that depend on its states, got gradients of 0. "
            "Train it first."
        )
    # A layer that no gradient reaches keeps its zeros.
    curves = {name: mean / mean[0] if mean[0] > 0 else mean for name, mean in means.items()}
    layer = "layer0"
    if recurrent:
        # Of layers that reach equally far, the one with the most influence in between.
        layer = max(
            curves,
            key=lambda name: (_reach(curves[name], FAINT), curves[name].sum()),
        )
    influence = curves[layer]
    # A window is known exactly; however faint, its first step still counts.
    horizon = patch * (estimator.window if windowed else _reach(influence, FAINT))
    growth = _growth(influence) ** (1 / patch)
    window = observed if math.isinf(horizon) else int(horizon)
    inputs = window // patch
    return MemoryHorizon(
        cell=flow.cell,
        horizon=horizon,
        half_life=patch * _reach(influence, 0.5),
        growth=growth,
        word="windowed" if windowed else _word(growth),
        observed=observed,
        layer=layer,
        influence=influence,
        window=window,
        n_parameters=feed_forward(architecture, inputs).n_parameters,
    )


def _reach(curve: np.ndarray, threshold: float) -> float:
    """Return the lag from which on a curve stays below a threshold; inf if it never does."""
    above = np.flatnonzero(~(curve < threshold))  # so that NaN counts as not below
    last = int(above[-1]) if len(above) else -1
    return math.inf if last == len(curve) - 1 else float(last + 1)


def _growth(curve: np.ndarray) -> float:
    """Return the factor by which a curve changes per lag.

    Lag 0 is left out of the fit: at the last step L depends on h alone, not on the whole state.
    """
    lags = 1 + np.flatnonzero(curve[1:] > 0)
    if len(lags) < 2:
        # Too few points for a line.
        return float(curve[1] / curve[0]) if curve[0] > 0 else math.nan
    slope = np.polyfit(lags, np.log(curve[lags]), 1)[0]
    return float(np.exp(slope))


def _word(growth: float) -> str:
    """Return the word for a growth of the influence."""
    if growth < 1 - _STEADY:
        return "vanishing"
    return "exploding" if growth > 1 + _STEADY else "stable"

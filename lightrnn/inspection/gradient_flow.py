"""Gradient flow and memory horizon: how far back it reaches what a network says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import cpu
from ..nn.prediction import regrouped
from ..utils.checks import choice, flag, integer
from .objective import answers_of, as_fitted, groups, inputs_of, loss_gradient, output_gradient

if TYPE_CHECKING:
    from ..estimators.estimator import NetworkEstimator
    from ..nn.trace import Trace


KINDS = ("state", "input", "jacobian", "spectral")
_ROUNDS, _SPECTRAL = 30, 16  # of power iteration, on at most so many sequences


class LayerFlow(NamedTuple):
    """Norms (n, K) of one layer and direction: of sequence i, k steps before its end; NaN where it has none.

    Attributes
    ----------
    state : ndarray
        ``||dL/ds||``, s the state after the step: h, or (h, c) together.
    input : ndarray
        ``||dL/dx||``, x the layer's input at the step (the embedding's row, where X is tokens).
    jacobian : ndarray
        Frobenius norm of dh/ds, h the last state of this layer.
    spectral : ndarray
        Its spectral norm, for the 16 longest sequences; all NaN unless it was asked for.
    """

    state: np.ndarray
    input: np.ndarray
    jacobian: np.ndarray
    spectral: np.ndarray


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """What `gradient_flow` returns.

    Attributes
    ----------
    cell : str
        The estimator's.
    layers : dict of str to LayerFlow
        By name, as in `weights_`: "layer0", "layer0.reverse", "layer1" ... A reverse direction ends at the sequence's
        first step: its states are counted from there, its inputs as the forward direction's.
    """

    cell: str
    layers: dict[str, LayerFlow]

    @property
    def lags(self) -> np.ndarray:
        """The steps before the end, 0 .. K - 1."""
        return np.arange(self.layers["layer0"].state.shape[1])

    def values(self, kind: str = "state", layer: str = "layer0") -> np.ndarray:
        """Return the norms (n, K) of a kind ("state", "input", "jacobian" or "spectral") in a layer."""
        layer = choice("layer", layer, tuple(self.layers))
        norms: np.ndarray = getattr(self.layers[layer], choice("kind", kind, KINDS))
        return norms[~np.isnan(norms).all(axis=1)]

    def mean(self, kind: str = "state", layer: str = "layer0") -> np.ndarray:
        """Return the mean over sequences, (K,)."""
        return _over_sequences(np.nanmean, self.values(kind, layer))

    def quantile(self, q: Any, kind: str = "state", layer: str = "layer0") -> np.ndarray:
        """Return quantiles over sequences, (K,), or (len(q), K) for several."""
        return _over_sequences(
            lambda norms, axis: np.nanquantile(norms, q, axis=axis), self.values(kind, layer)
        )


def _over_sequences(statistic: Callable[..., Any], norms: np.ndarray) -> np.ndarray:
    if not len(norms):
        raise ValueError(
            "kind must be one that was computed, got 'spectral'. Call gradient_flow with spectral=True."
        )
    result: np.ndarray = statistic(norms, axis=0)
    return result


def gradient_flow(
    estimator: NetworkEstimator,
    X: Any,
    y: Any = None,
    *,
    max_lag: int | None = None,
    spectral: bool = False,
) -> GradientFlow:
    """Measure what arrives of the gradient at every step back through time [1]_, exactly, by the way training takes.

    L is of a sequence's last step: the loss against y, or without y the output that the prediction rests on: the
    greatest logit (of a softmax's, what it has above their mean), a regressor's first column. A state is a leaf: its
    gradient counts every way from it to L.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        Fitted.
    X : as in `predict`; for a language model a list of texts
        n sequences.
    y : as in `fit`, optional
        The right answers; for a language model the next token of each text.
    max_lag : int >= 0, optional
        Go back at most so many steps; by default as far as the longest sequence reaches.
    spectral : bool
        Also compute the spectral norm of dh/ds, by power iteration, for the 16 longest sequences.

    Returns
    -------
    GradientFlow
        Norms by layer, sequence and lag, with mean and quantiles over sequences; all sequences end at lag 0.

    Raises
    ------
    NotFittedError
        If the estimator was not fitted.
    ValueError
        If no sequence is longer than `max_lag`, or X or y is not what it was fitted on.

    References
    ----------
    .. [1] Pascanu, R., Mikolov, T. and Bengio, Y. (2013). On the difficulty of training recurrent neural networks.
       ICML, equations 4 and 5.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNRegressor
    >>> from lightrnn.inspection import gradient_flow
    >>> X = np.random.default_rng(0).normal(size=(20, 30, 2))
    >>> net = RNNRegressor("rnn", (8,), max_iter=1, learning_rate="cosine", random_state=0).fit(X, X[:, -1, 0])
    >>> flow = gradient_flow(net, X)
    >>> flow.mean("state").shape
    (30,)
    >>> bool(flow.mean("state")[-1] < flow.mean("state")[0])
    True
    """
    estimator, spectral = as_fitted(estimator), flag("spectral", spectral)
    items = inputs_of(estimator, X)
    longest = max(map(len, items))
    reach = longest - 1 if max_lag is None else integer("max_lag", max_lag, 0)
    if reach >= longest:
        raise ValueError(
            f"max_lag must be less than the longest sequence has steps, {longest}, got {reach}. Lower it."
        )
    answers = None if y is None else answers_of(estimator, items, y)
    estimator._model.network.transpose()
    parts = groups(items)
    longest_ones = set(np.concatenate(parts)[:_SPECTRAL].tolist()) if spectral else set()

    def flow(part: np.ndarray) -> dict[str, LayerFlow]:
        asked = None if answers is None else answers[part]
        return _flow(
            estimator,
            [items[i] for i in part],
            asked,
            [_ROUNDS * (i in longest_ones) for i in part.tolist()],
        )

    done = cpu.threads.run(
        [partial(flow, part) for part in parts], cpu.threads.usable(estimator.n_jobs)
    )
    order = regrouped(parts)

    def joined(name: str, kind: int) -> np.ndarray:
        return _stacked([layers[name][kind] for layers in done], reach + 1)[order]

    layers = {
        name: LayerFlow(*(joined(name, kind) for kind in range(len(KINDS)))) for name in done[0]
    }
    return GradientFlow(estimator.cell, layers)


def _flow(
    estimator: NetworkEstimator, X: list[np.ndarray], answers: np.ndarray | None, rounds: list[int]
) -> dict[str, LayerFlow]:
    """Measure some sequences."""
    from ..nn.trace import Trace

    trace = Trace(estimator._model.network, X)
    asked = (
        output_gradient(estimator, trace, None)
        if answers is None
        else loss_gradient(estimator, trace, answers)
    )
    jacobians = {name: trace.jacobian_norms(run, rounds) for name, run in trace.runs.items()}
    trace.back(asked)
    return {name: _layer_flow(trace, name, *jacobians[name]) for name in trace.runs}


def _layer_flow(trace: Trace, name: str, jacobian: np.ndarray, spectral: np.ndarray) -> LayerFlow:
    number = int(name.partition(".")[0].removeprefix("layer"))
    return LayerFlow(
        trace.state_gradient(trace.runs[name]), trace.input_gradient(number), jacobian, spectral
    )


def _stacked(blocks: list[np.ndarray], columns: int) -> np.ndarray:
    """Put blocks one below the other, `columns` wide: cut, or filled up with NaN."""
    out = np.full((sum(map(len, blocks)), columns), np.nan)
    start = 0
    for block in blocks:
        width = min(columns, block.shape[1])
        out[start : start + len(block), :width] = block[:, :width]
        start += len(block)
    return out

"""Measure how much of the gradient arrives at each step on its way back through time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import cpu
from ..estimators.estimator import NetworkEstimator
from ..utils.checks import choice, flag, integer
from .objective import (
    encode_inputs,
    encode_targets,
    fitted_copy,
    loss_gradient,
    output_gradient,
    patch_of,
    trace_groups,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..nn.trace import Trace

# Rounds of power iteration for the spectral norm at each lag, and how many sequences, the longest
# ones, get it: every round takes products with the Jacobian. With 30 rounds the tests compare the
# norm with an SVD to a relative 0.001.
_POWER_ROUNDS = 30
_SPECTRAL_SEQUENCES = 16


class LayerFlow(NamedTuple):
    """Norms of gradients in one layer and direction, by sequence and lag.

    The entry [i, k] of each array belongs to sequence i, k inputs of the network before its end; it
    is NaN where the sequence has no such input.

    Attributes
    ----------
    state : ndarray of shape (n, K)
        ``||dL/ds||`` with s the state after the input: h, or (h, c) together.
    input : ndarray of shape (n, K)
        ``||dL/dx||`` with x the layer's input: a step, a patch of steps, or a token's embedding.
    jacobian : ndarray of shape (n, K)
        Frobenius norm of dh/ds with h the layer's last state.
    spectral : ndarray of shape (n, K)
        Spectral norm of dh/ds for the 16 longest sequences, NaN for the others; all NaN unless
        `gradient_flow` was called with ``spectral=True``.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNRegressor
    >>> from lightrnn.inspection import gradient_flow
    >>> X = [np.ones((3, 2)), np.zeros((5, 2))]
    >>> net = RNNRegressor("gru", (4,), max_iter=1).fit(X, [0.0, 1.0])
    >>> np.isnan(gradient_flow(net, X).layers["layer0"].state).sum(axis=1)
    array([2, 0])
    """

    state: np.ndarray
    input: np.ndarray
    jacobian: np.ndarray
    spectral: np.ndarray


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """Norms of gradients by layer, sequence and lag, as `gradient_flow` measures them.

    Attributes
    ----------
    cell : str
        The estimator's cell.
    layers : dict of str to LayerFlow
        The norms of each layer, named as in `weights_`: "layer0", "layer0.reverse", "layer1" ...
        A reverse direction ends at the sequence's first step: lags of its states are counted from
        there, lags of its inputs from the sequence's last step, as those of the forward direction.
    patch : int, default=1
        Number of steps that are one input of the network, hence the distance between two lags.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNRegressor
    >>> from lightrnn.inspection import gradient_flow
    >>> X = np.random.default_rng(0).normal(size=(20, 30, 2))
    >>> net = RNNRegressor("gru", (4,), max_iter=1).fit(X, X[:, 0, 0])
    >>> flow = gradient_flow(net, X)
    >>> flow.values("input").shape, flow.mean("input").shape
    ((20, 30), (30,))
    >>> flow.quantile([0.1, 0.9]).shape
    (2, 30)
    """

    cell: str
    layers: dict[str, LayerFlow]
    patch: int = 1

    @property
    def lags(self) -> np.ndarray:
        """Numbers of steps before the end, from 0 to (K - 1) * patch."""
        return self.patch * np.arange(self.layers["layer0"].state.shape[1])

    def values(self, kind: str = "state", layer: str = "layer0") -> np.ndarray:
        """Return the norms of one kind in one layer, of the sequences that have any.

        Parameters
        ----------
        kind : {"state", "input", "jacobian", "spectral"}, default="state"
            Which norms; see `LayerFlow`.
        layer : str, default="layer0"
            Name of the layer, a key of `layers`.

        Returns
        -------
        ndarray of shape (n, K)
            Norms by sequence and lag. Kind "spectral" has rows for the 16 longest sequences only,
            and none unless `gradient_flow` was called with ``spectral=True``.

        Raises
        ------
        ValueError
            If there is no such kind or layer.
        """
        layer = choice("layer", layer, tuple(self.layers))
        kind = choice("kind", kind, LayerFlow._fields)
        norms = getattr(self.layers[layer], kind)
        return norms[~np.isnan(norms).all(axis=1)]

    def mean(self, kind: str = "state", layer: str = "layer0") -> np.ndarray:
        """Return the mean of the norms over sequences.

        Parameters
        ----------
        kind : {"state", "input", "jacobian", "spectral"}, default="state"
            Which norms; see `LayerFlow`.
        layer : str, default="layer0"
            Name of the layer, a key of `layers`.

        Returns
        -------
        ndarray of shape (K,)
            The mean at each lag, over the sequences that are long enough.

        Raises
        ------
        ValueError
            If there is no such kind or layer, or the kind was not computed.
        """
        return np.nanmean(self._measured(kind, layer), axis=0)

    def quantile(
        self,
        q: Any,
        kind: str = "state",
        layer: str = "layer0",
    ) -> np.ndarray:
        """Return quantiles of the norms over sequences.

        Parameters
        ----------
        q : float or array-like of float
            One or several probabilities from 0 to 1.
        kind : {"state", "input", "jacobian", "spectral"}, default="state"
            Which norms; see `LayerFlow`.
        layer : str, default="layer0"
            Name of the layer, a key of `layers`.

        Returns
        -------
        ndarray of shape (K,) or (len(q), K)
            The quantile at each lag, over the sequences that are long enough; one row per
            probability if there are several.

        Raises
        ------
        ValueError
            If there is no such kind or layer, or the kind was not computed, or q is out of range.
        """
        return np.nanquantile(self._measured(kind, layer), q, axis=0)

    def _measured(self, kind: str, layer: str) -> np.ndarray:
        """Return `values`, or raise an error if there are none."""
        norms = self.values(kind, layer)
        if not len(norms):
            raise ValueError(
                "kind must be one that was computed, got 'spectral'. "
                "Call gradient_flow with spectral=True."
            )
        return norms


def gradient_flow(
    estimator: NetworkEstimator,
    X: Any,
    y: Any = None,
    *,
    max_lag: int | None = None,
    spectral: bool = False,
) -> GradientFlow:
    """Measure how much of the gradient arrives at every step back through time [1]_.

    L is a scalar at each sequence's last step: the loss against y, or without y the output that the
    prediction rests on (a classifier's or language model's greatest logit minus the mean of all
    logits, a regressor's first column). Gradients are exact; the kernels of training compute them.
    The gradient of a state sums over all paths from that state to L. It enters at the last step;
    where states are pooled it enters at every step, and none has a long way back.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        A fitted estimator.
    X : as in `predict`; for a language model a list of str
        n sequences.
    y : as in `fit`, optional
        Targets of the sequences; for a language model the next token of each text.
    max_lag : int, optional
        Largest number of steps to go back, in whole patches; None goes back as far as the longest
        sequence reaches.
    spectral : bool, default=False
        Whether to compute spectral norms of dh/ds too, by power iteration, for the 16 longest
        sequences.

    Returns
    -------
    GradientFlow
        Norms by layer, sequence and lag, with their mean and quantiles over sequences. All
        sequences end at lag 0.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If `estimator` is not an estimator of this package, or an argument has the wrong type.
    ValueError
        If no sequence is longer than `max_lag`, or X or y does not match the data of `fit`.

    References
    ----------
    .. [1] Pascanu, R., Mikolov, T. and Bengio, Y. (2013). On the difficulty of training recurrent
       neural networks. ICML, equations 4 and 5.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNRegressor
    >>> from lightrnn.inspection import gradient_flow
    >>> X = np.random.default_rng(0).normal(size=(20, 30, 2))
    >>> net = RNNRegressor("rnn", (8,), max_iter=1, random_state=0)
    >>> flow = gradient_flow(net.fit(X, X[:, -1, 0]), X)
    >>> flow.mean("state").shape
    (30,)
    >>> bool(flow.mean("state")[-1] < flow.mean("state")[0])
    True
    """
    estimator = fitted_copy(estimator)
    spectral = flag("spectral", spectral)
    items = encode_inputs(estimator, X)
    longest = max(map(len, items))
    patch = patch_of(estimator)
    if max_lag is not None:
        max_lag = integer("max_lag", max_lag, 0)
    reach = longest - 1 if max_lag is None else max_lag // patch
    if reach >= longest:
        raise ValueError(
            f"max_lag must be less than the longest sequence has steps, {longest * patch}, got "
            f"{max_lag}. Lower it."
        )
    targets = None if y is None else encode_targets(estimator, items, y)
    # Going back reads the transposed matrices, which all groups share.
    estimator._model.network.transpose()
    groups = trace_groups(items)
    rounds = np.zeros(len(items), np.int64)
    if spectral:
        rounds[np.concatenate(groups)[:_SPECTRAL_SEQUENCES]] = _POWER_ROUNDS

    def measure(group: np.ndarray) -> dict[str, LayerFlow]:
        inputs = [items[i] for i in group]
        given = None if targets is None else targets[group]
        return _measure(estimator, inputs, given, rounds[group].tolist())

    threads = estimator._threads()
    measured = cpu.threads.run([partial(measure, group) for group in groups], threads)
    layers = {}
    for name in measured[0]:
        # One tuple of blocks per kind of norm, a block per group.
        norms = zip(*(flows[name] for flows in measured), strict=True)
        layers[name] = LayerFlow(*(_joined(groups, blocks, reach + 1) for blocks in norms))
    return GradientFlow(estimator.cell, layers, patch)


def _measure(
    estimator: NetworkEstimator,
    X: list[np.ndarray],
    targets: np.ndarray | None,
    rounds: list[int],
) -> dict[str, LayerFlow]:
    """Return the norms of some sequences by layer, in the order of X."""
    from ..nn.trace import Trace

    trace = Trace(estimator._model.network, X)
    if targets is None:
        gradient = output_gradient(estimator, trace, None)
    else:
        gradient = loss_gradient(estimator, trace, targets)
    # Before `back`, which overwrites the saved gates with their gradient.
    jacobians = {name: trace.jacobian_norms(run, rounds) for name, run in trace.layers.items()}
    trace.back(gradient)
    return {name: _layer_flow(trace, name, *jacobians[name]) for name in trace.layers}


def _layer_flow(
    trace: Trace,
    name: str,
    jacobian: np.ndarray,
    spectral: np.ndarray,
) -> LayerFlow:
    """Join the norms of one layer and direction."""
    # Both directions of a level read the same input: "layer1.reverse" belongs to level 1.
    number = int(name.partition(".")[0].removeprefix("layer"))
    states = trace.state_gradient(trace.layers[name])
    return LayerFlow(states, trace.input_gradient(number), jacobian, spectral)


def _joined(
    groups: Sequence[np.ndarray],
    blocks: Sequence[np.ndarray],
    columns: int,
) -> np.ndarray:
    """Put the rows of each group in their places, cut to these columns or filled up with NaN."""
    joined = np.full((sum(map(len, groups)), columns), np.nan)
    for group, block in zip(groups, blocks, strict=True):
        width = min(columns, block.shape[1])
        joined[group, :width] = block[:, :width]
    return joined

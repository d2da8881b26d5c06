"""What the gates of an LSTM or a GRU do over a sequence, and what they do on the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..cells import CELLS
from ..nn.prediction import regrouped
from .objective import as_fitted, groups, inputs_of

if TYPE_CHECKING:
    from ..estimators.estimator import NetworkEstimator
    from ..nn.trace import Trace

_CLOSED, _OPEN = 0.1, 0.9

Activations = dict[str, dict[str, list[np.ndarray]]]


class GateSummary(NamedTuple):
    """A gate of one layer over all steps of some sequences.

    Attributes
    ----------
    mean : ndarray (H,)
        Mean of each unit.
    closed, open : ndarray (H,)
        Share of the steps at which it is below 0.1 and above 0.9: saturated [1]_.
    time_constant : ndarray (H,), or None
        Steps in which what the unit holds falls to 1/e, ``-1 / mean(ln f)``; for the forget gate of an LSTM and the
        update gate of a GRU, which keep, None for others.

    References
    ----------
    .. [1] Karpathy, A., Johnson, J. and Li, F. (2016). Visualizing and understanding recurrent networks. ICLR workshop,
       section 4.2.
    """

    mean: np.ndarray
    closed: np.ndarray
    open: np.ndarray
    time_constant: np.ndarray | None


def gate_activations(estimator: NetworkEstimator, X: Any) -> Activations:
    """Return what each gate let through at each step.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        Fitted, of cell "lstm" or "gru".
    X : as in `predict`; for a language model a list of texts
        Sequences; a text's steps begin with its start, before the first token.

    Returns
    -------
    dict of str to dict of str to list of ndarray (T_i, H)
        By layer ("layer0", "layer0.reverse" ...), gate ("input", "forget" and "output", or "reset" and "update") and
        sequence: numbers from 0, closed, to 1, open. Steps are in the sequence's order for a reverse direction too.

    Raises
    ------
    NotFittedError
        If the estimator was not fitted.
    ValueError
        If its cell has no gates, or X is not what it was fitted on.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNRegressor
    >>> from lightrnn.inspection import gate_activations
    >>> X = [np.ones((3, 2)), np.zeros((5, 2))]
    >>> net = RNNRegressor("gru", (4,), max_iter=1, learning_rate="cosine").fit(X, [0.0, 1.0])
    >>> [rows.shape for rows in gate_activations(net, X)["layer0"]["update"]]
    [(3, 4), (5, 4)]
    """
    from ..nn.trace import Trace

    estimator = as_fitted(estimator)
    items, network = inputs_of(estimator, X), estimator._model.network
    if not CELLS[network.cell].roles:
        raise ValueError(
            f"estimator must have a cell with gates, {_gated()}, got {network.cell!r}. "
            "memory_horizon and gradient_flow take every cell."
        )
    parts = groups(items)
    found, order = (
        [_activations(Trace(network, [items[i] for i in part])) for part in parts],
        regrouped(parts),
    )

    def joined(layer: str, gate: str) -> list[np.ndarray]:
        rows = [rows for part in found for rows in part[layer][gate]]
        return [rows[i] for i in order.tolist()]

    return {layer: {gate: joined(layer, gate) for gate in found[0][layer]} for layer in found[0]}


def _gated() -> str:
    """List the cells that have gates, for a message."""
    return " or ".join(repr(name) for name, cell in CELLS.items() if cell.roles)


def _activations(trace: Trace) -> Activations:
    roles = CELLS[trace.network.cell].roles
    return {
        layer: {gate: trace.values(run, slot) for gate, slot in roles}
        for layer, run in trace.runs.items()
    }


def gate_summary(estimator: NetworkEstimator, X: Any) -> dict[str, dict[str, GateSummary]]:
    """Sum up `gate_activations` over all steps of all sequences.

    Parameters
    ----------
    estimator, X
        As there.

    Returns
    -------
    dict of str to dict of str to GateSummary
        By layer and gate.

    Raises
    ------
    NotFittedError, ValueError
        As there.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNRegressor
    >>> from lightrnn.inspection import gate_summary
    >>> X = np.zeros((4, 10, 2))
    >>> net = RNNRegressor("lstm", (8,), max_iter=1, learning_rate="cosine").fit(X, [0.0, 1.0, 2.0, 3.0])
    >>> constant = gate_summary(net, X)["layer0"]["forget"].time_constant.mean()
    >>> bool(2 < constant < 5)  # a bias of 1 keeps 73 % from step to step
    True
    """
    estimator = as_fitted(estimator)
    keeps = CELLS[estimator.cell].keeps
    return {
        layer: {gate: _summary(np.concatenate(rows), gate == keeps) for gate, rows in gates.items()}
        for layer, gates in gate_activations(estimator, X).items()
    }


def _summary(rows: np.ndarray, keeps: bool) -> GateSummary:
    rows = rows.astype(np.float64)
    constant = None
    if keeps:
        with np.errstate(divide="ignore"):
            constant = 1 / np.abs(np.log(rows).mean(axis=0))  # of a gate that never closes, inf
    return GateSummary(
        rows.mean(axis=0), (rows < _CLOSED).mean(axis=0), (rows > _OPEN).mean(axis=0), constant
    )

"""Read the gates of an LSTM or a GRU: at each step of some sequences, and summed up over steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..cells import CELLS
from ..estimators.estimator import NetworkEstimator
from ..nn.groups import original_order
from .objective import encode_inputs, fitted_copy, patch_of, trace_groups

if TYPE_CHECKING:
    from ..nn.trace import Trace

# Karpathy, Johnson and Li's thresholds of a saturated gate.
_CLOSED = 0.1
_OPEN = 0.9

Activations = dict[str, dict[str, list[np.ndarray]]]  # by layer, gate and sequence, each (T_i, H)


class GateSummary(NamedTuple):
    """Statistics of one gate of one layer over all steps of some sequences.

    Attributes
    ----------
    mean : ndarray of shape (H,)
        Mean of each unit.
    closed : ndarray of shape (H,)
        Share of the steps at which the unit is below 0.1: saturated to the left [1]_.
    open : ndarray of shape (H,)
        Share of the steps at which the unit is above 0.9: saturated to the right [1]_.
    time_constant : ndarray of shape (H,) or None
        Steps after which 1/e is left of what the unit holds: ``-1 / mean(log(f))``, times the
        length of a patch. It is given for the gate that keeps the old state (an LSTM's forget gate,
        a GRU's update gate), otherwise None.

    References
    ----------
    .. [1] Karpathy, A., Johnson, J. and Li, F. (2016). Visualizing and understanding recurrent
       networks. ICLR workshop, section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNRegressor
    >>> from lightrnn.inspection import gate_summary
    >>> X = np.zeros((4, 10, 2))
    >>> net = RNNRegressor("gru", (8,), max_iter=1, random_state=0)
    >>> update = gate_summary(net.fit(X, [0.0, 1.0, 2.0, 3.0]), X)["layer0"]["update"]
    >>> update.mean.round(1)
    array([0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7])
    >>> float(update.closed.max()), float(update.open.max())
    (0.0, 0.0)
    """

    mean: np.ndarray
    closed: np.ndarray
    open: np.ndarray
    time_constant: np.ndarray | None


def gate_activations(estimator: NetworkEstimator, X: Any) -> Activations:
    """Return the activation of each gate at each step, or at each patch that the network reads.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        A fitted estimator with ``cell="lstm"`` or ``cell="gru"``.
    X : as in `predict`; for a language model a list of str
        Sequences. A language model reads the start of a text before its first token, as a step of
        its own.

    Returns
    -------
    dict of str to dict of str to list of ndarray of shape (T_i, H)
        Numbers from 0, closed, to 1, open, by layer ("layer0", "layer0.reverse" ...), gate
        ("input", "forget" and "output" of an LSTM, "reset" and "update" of a GRU) and sequence.
        Steps are in the sequence's order for a reverse direction too. A network that reads patches
        has T_i of them instead of steps.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If `estimator` is not an estimator of this package, or X has the wrong type.
    ValueError
        If the cell has no gates, or X does not match the data of `fit`.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNRegressor
    >>> from lightrnn.inspection import gate_activations
    >>> X = [np.ones((3, 2)), np.zeros((5, 2))]
    >>> net = RNNRegressor("gru", (4,), max_iter=1).fit(X, [0.0, 1.0])
    >>> [steps.shape for steps in gate_activations(net, X)["layer0"]["update"]]
    [(3, 4), (5, 4)]
    """
    from ..nn.trace import Trace

    estimator = fitted_copy(estimator)
    items = encode_inputs(estimator, X)
    network = estimator._model.network
    if not CELLS[network.cell].roles:
        gated = " or ".join(repr(name) for name, cell in CELLS.items() if cell.roles)
        raise ValueError(
            f"estimator must have a cell with gates, {gated}, got {network.cell!r}. "
            "memory_horizon and gradient_flow take every cell."
        )
    groups = trace_groups(items)
    # Only forward: gates are saved by it, and no gradient is needed.
    traced = [_activations(Trace(network, [items[i] for i in group])) for group in groups]
    order = original_order(groups).tolist()

    def joined(layer: str, gate: str) -> list[np.ndarray]:
        steps = [steps for activations in traced for steps in activations[layer][gate]]
        return [steps[i] for i in order]

    return {
        layer: {gate: joined(layer, gate) for gate in gates} for layer, gates in traced[0].items()
    }


def _activations(trace: Trace) -> Activations:
    """Return the activations of the sequences of one trace."""
    roles = CELLS[trace.network.cell].roles
    return {
        layer: {gate: trace.values(run, slot) for gate, slot in roles}
        for layer, run in trace.layers.items()
    }


def gate_summary(estimator: NetworkEstimator, X: Any) -> dict[str, dict[str, GateSummary]]:
    """Summarise `gate_activations` over all steps of all sequences.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        A fitted estimator with ``cell="lstm"`` or ``cell="gru"``.
    X : as in `predict`; for a language model a list of str
        Sequences.

    Returns
    -------
    dict of str to dict of str to GateSummary
        Statistics of each unit by layer and gate, named as by `gate_activations`.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If `estimator` is not an estimator of this package, or X has the wrong type.
    ValueError
        If the cell has no gates, or X does not match the data of `fit`.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNRegressor
    >>> from lightrnn.inspection import gate_summary
    >>> X = np.zeros((4, 10, 2))
    >>> net = RNNRegressor("lstm", (8,), max_iter=1)
    >>> gates = gate_summary(net.fit(X, [0.0, 1.0, 2.0, 3.0]), X)["layer0"]
    >>> bool(2 < gates["forget"].time_constant.mean() < 5)  # a bias of 1 keeps 73 % per step
    True
    """
    estimator = fitted_copy(estimator)
    keeps = CELLS[estimator.cell].keeps  # "forget" or "update"
    return {
        layer: {
            gate: _summary(np.concatenate(steps), patch_of(estimator) if gate == keeps else 0)
            for gate, steps in gates.items()
        }
        for layer, gates in gate_activations(estimator, X).items()
    }


def _summary(steps: np.ndarray, patch: int) -> GateSummary:
    """Return the statistics of a gate (N, H) over N inputs of the network.

    If these are `patch` steps each, its time constant is given; with 0 the gate keeps nothing.
    """
    steps = steps.astype(np.float64)
    time_constant = None
    if patch:
        with np.errstate(divide="ignore"):  # a gate that never closes holds for ever: inf
            time_constant = patch / np.abs(np.log(steps).mean(axis=0))
    return GateSummary(
        mean=steps.mean(axis=0),
        closed=(steps < _CLOSED).mean(axis=0),
        open=(steps > _OPEN).mean(axis=0),
        time_constant=time_constant,
    )

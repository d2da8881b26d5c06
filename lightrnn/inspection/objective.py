"""Encode X and choose the scalar per sequence (loss or one output) that inspections differentiate.

The scalar belongs to a sequence's last step: it is the loss against a given target, or without one
the output that the prediction rests on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from ..base import check_is_fitted
from ..data.corpus import check_context
from ..data.sequences import Sequences
from ..data.targets import RealTargets
from ..estimators.arguments import ARCHITECTURE
from ..estimators.estimator import NetworkEstimator, check_estimator
from ..estimators.regressor import RNNRegressor
from ..estimators.supervised import SupervisedEstimator
from ..nn.adaptive import AdaptiveHead
from ..nn.groups import group_sequences
from ..nn.output_layer import LossTargets
from ..utils.checks import shown

if TYPE_CHECKING:
    from ..nn.trace import Trace

# Arguments of the constructor that say how the network is built; its architecture has them too.
_STRUCTURE = set(ARCHITECTURE) - {"dropout"}
# Steps that are traced at once. A trace keeps states, gates and gradients of every step, so more of
# them take memory, and fewer make the products of matrices small.
_TRACED_STEPS = 2048


def fitted_copy(estimator: Any) -> NetworkEstimator:
    """Return a shallow copy of a fitted estimator, for one inspection.

    The copy keeps its network while another thread goes on fitting the estimator, and its arguments
    are those of this network, whatever `set_params` has changed since.

    Raises
    ------
    TypeError
        If `estimator` is not an estimator of this package.
    NotFittedError
        If it is not fitted.
    """
    check_estimator(estimator)
    check_is_fitted(estimator)
    # Not copy.copy, which goes through __getstate__ and therefore prepares the copy for a file.
    fitted: NetworkEstimator = object.__new__(type(estimator))
    attributes = vars(fitted)
    attributes.update(vars(estimator))
    architecture = fitted._model.architecture
    for name in _STRUCTURE & architecture.keys() & attributes.keys():
        attributes[name] = architecture[name]
    return fitted


def encode_inputs(estimator: NetworkEstimator, X: Any) -> list[np.ndarray]:
    """Return X as a fitted estimator's network reads it.

    Raises
    ------
    ValueError, TypeError
        If X does not match the data that the estimator was fitted on, or if the network overflows.
    """
    items = encode_steps(estimator, read_steps(estimator, X))
    # A gradient of what is not finite means nothing.
    estimator._computed(estimator._model, items, "outputs")
    return items


def encode_steps(estimator: NetworkEstimator, steps: list[np.ndarray]) -> list[np.ndarray]:
    """Return sequences that `read_steps` returned as the network reads them, perhaps in patches."""
    form = estimator._model.form
    if form is None:  # of a language model
        return steps
    lengths = np.array([len(x) for x in steps])
    return form.encoded(Sequences(steps, lengths, form.step_features)).items


def patch_of(estimator: NetworkEstimator) -> int:
    """Return the number of steps that are one input of a fitted estimator's network."""
    form = estimator._model.form
    return 1 if form is None else form.patch


def read_steps(estimator: NetworkEstimator, X: Any) -> list[np.ndarray]:
    """Return the steps of X, numbers or codes; for a language model X holds beginnings of texts.

    Raises
    ------
    ValueError, TypeError
        If X does not match the data that the estimator was fitted on.
    """
    if isinstance(estimator, SupervisedEstimator):
        return list(estimator._read_steps(estimator._model, X).items)
    if isinstance(X, str) or not hasattr(X, "__iter__"):
        raise TypeError(f"X must be a list of texts, got {shown(X)}. Put a text into a list.")
    vocabulary: Any = estimator._model.vocabulary
    codes = [check_context(text, vocabulary, f"X[{i}]") for i, text in enumerate(X)]
    if not codes:
        raise ValueError("X must hold at least one text, got none. An empty text is one: [''].")
    return codes


def encode_targets(
    estimator: NetworkEstimator,
    X: list[np.ndarray],
    y: Any,
) -> np.ndarray:
    """Encode the target at each sequence's last step: (n,) codes, or (n, k) numbers."""
    if isinstance(estimator, SupervisedEstimator):
        lengths = np.array([len(x) for x in X])
        values = estimator._model.targets.read(y, lengths)
        if isinstance(values, list):  # one target per step
            values = np.array([steps[-1] for steps in values])
        return values
    vocabulary: Any = estimator._model.vocabulary
    codes = vocabulary.encode(list(y))
    if len(codes) != len(X):
        raise ValueError(
            f"y must be the next token of each of the {len(X)} texts, got {len(codes)}. "
            "Give one token for each text."
        )
    return codes


def tokens_of(estimator: NetworkEstimator, x: Any) -> list[str] | None:
    """Return the token at each step of a sequence as the network sees it, or None for numbers."""
    vocabulary = estimator._model.vocabulary
    if vocabulary is None:
        return None
    codes = read_steps(estimator, [x])[0]
    return [str(vocabulary.tokens[code]) for code in codes.tolist()]


def trace_groups(X: list[np.ndarray]) -> list[np.ndarray]:
    """Cut sequences, longest first, into groups to trace together; return the indices of each."""
    return group_sequences(np.array([len(x) for x in X]), _TRACED_STEPS)


def loss_gradient(
    estimator: NetworkEstimator,
    trace: Trace,
    targets: np.ndarray,
) -> np.ndarray:
    """Return the gradient of each sequence's loss with respect to what the output layer reads.

    `targets` are in the order of X; the gradient, (B, D), is in the trace's order.
    """
    from ..losses import make_loss

    targets = targets[trace.order]
    if isinstance(trace.network.head, AdaptiveHead):
        return _adaptive_gradient(trace, targets)
    encoder: Any = estimator._model.targets  # None for a language model
    options = estimator._model.loss
    loss = make_loss("softmax") if encoder is None else encoder.loss(**options)
    doutputs = loss(trace.last_outputs(), targets, np.ones(len(targets)))[1]  # (B, k)
    return _gradient_through_head(trace, doutputs)


def output_gradient(
    estimator: NetworkEstimator, trace: Trace, columns: np.ndarray | None
) -> np.ndarray:
    """Return the gradient of one output of each sequence, (B, D) in the trace's order.

    `columns` chooses the outputs in the order of X; None chooses those of `predicted_columns`.
    """
    outputs = trace.last_outputs()  # (B, k)
    if columns is None:
        chosen = predicted_columns(estimator, outputs)
    else:
        chosen = columns[trace.order]
    if isinstance(trace.network.head, AdaptiveHead):
        # Its outputs are log probabilities: the negative of a cross-entropy.
        return -_adaptive_gradient(trace, chosen)
    doutputs = np.zeros_like(outputs)
    doutputs[np.arange(len(doutputs)), chosen] = 1
    # Each of these linear maps is symmetric, so gradients go back through it likewise.
    return _gradient_through_head(trace, comparable_outputs(estimator, doutputs))


def predicted_columns(estimator: NetworkEstimator, outputs: np.ndarray) -> np.ndarray:
    """Return the output that each prediction rests on, (N,), from raw outputs (N, k).

    It is the greatest, but never the unknown token of a language model; a regressor's is the first.
    """
    if isinstance(estimator, RNNRegressor):
        return np.zeros(len(outputs), np.intp)
    first = 0 if isinstance(estimator, SupervisedEstimator) else 1  # column 0 is the unknown token
    return first + outputs[:, first:].argmax(axis=1)


def comparable_outputs(estimator: NetworkEstimator, outputs: np.ndarray) -> np.ndarray:
    """Return raw outputs (N, k) in the units in which inspections show differences between them.

    Those of a regressor are brought to the scale of y. From the logits of a softmax their mean is
    subtracted, which no prediction depends on. Others are returned as they are.
    """
    targets = estimator._model.targets
    if isinstance(targets, RealTargets):
        return outputs * targets.output_scale
    classes = targets is None or (hasattr(targets, "classes_") and not targets.is_multilabel)
    if not classes or isinstance(estimator._model.network.head, AdaptiveHead):
        return outputs
    return outputs - outputs.mean(axis=1, keepdims=True)


def _gradient_through_head(trace: Trace, doutputs: np.ndarray) -> np.ndarray:
    """Return the gradient of what a linear head reads, (B, D), from that of its outputs, (B, k)."""
    arrays = trace.network.arrays()
    W = arrays["head.W"] if "head.W" in arrays else arrays["embedding.W"].T  # (D, k)
    hidden: Any = trace.network.head.layers[:-1]
    h = trace.last_features()
    kept = []
    for layer in hidden:
        sums = h @ arrays[f"{layer.name}.W"] + arrays[f"{layer.name}.b"]
        (h,), saved = layer.cell.forward((sums,), (sums,))
        kept.append(saved)
    dh = doutputs @ W.T
    for layer, saved in zip(reversed(hidden), reversed(kept), strict=True):
        (dsums,), _ = layer.cell.backward((dh,), saved, saved, saved)
        dh = dsums @ arrays[f"{layer.name}.W"].T
    return dh


def _adaptive_gradient(trace: Trace, targets: np.ndarray) -> np.ndarray:
    """Return the gradient (B, D) of the cross-entropy of an adaptive softmax."""
    from ..losses import make_loss

    network = trace.network
    B = len(targets)
    D = network.head.features
    # The head learns as in training; its own weights' gradient goes to a vector that is dropped.
    blocks = network.layout.blocks(cpu.host.aligned(1, network.layout.size, network.dtype)[0])
    parts = {layer.name: layer.parts(blocks) for layer in network.head.layers}
    h = cpu.host.aligned(B, cpu.host.padded(D, network.dtype), network.dtype)
    h[:B, :D] = trace.last_features()
    wanted = LossTargets(targets, np.ones(B), 1.0)
    dh = network.head.learn(trace.workspace, h, 0, wanted, make_loss("softmax"), parts)[1]
    return np.array(dh[:B, :D])

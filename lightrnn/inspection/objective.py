"""What an inspection asks of a fitted estimator: its sequences, and one number said of each, whose gradient is wanted.

The number belongs to a sequence's last step: the loss against a given answer, or without one the output that the
prediction rests on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from ..base import check_is_fitted
from ..data.corpus import check_context
from ..data.dataset import like_fitted
from ..estimators.estimator import NetworkEstimator, check_estimator
from ..estimators.regressor import RNNRegressor
from ..estimators.supervised import RecurrentEstimator
from ..nn.heads import AdaptiveHead
from ..nn.prediction import grouped
from ..utils.checks import shown

if TYPE_CHECKING:
    from ..nn.trace import Trace

_SHAPE = {"cell", "hidden_layer_sizes", "target", "bidirectional", "window", "dtype"}
_ROWS = 2048  # steps that are traced at once


def as_fitted(estimator: Any) -> NetworkEstimator:
    """Return a shallow copy of a fitted estimator, for one inspection.

    It keeps its network while another thread fits the estimator on, and describes this network, whatever arguments of
    the constructor have been set since.

    Raises
    ------
    TypeError
        If it is no estimator of this package.
    NotFittedError
        If it was not fitted.
    """
    check_estimator(estimator)
    check_is_fitted(estimator)
    fitted: NetworkEstimator = object.__new__(type(estimator))
    vars(fitted).update(vars(estimator))
    architecture = fitted._model.architecture
    vars(fitted).update(
        {name: architecture[name] for name in _SHAPE & architecture.keys() & vars(fitted).keys()}
    )
    return fitted


def inputs_of(estimator: NetworkEstimator, X: Any) -> list[np.ndarray]:
    """Check and encode X for a fitted estimator; a language model's are beginnings of texts.

    Raises
    ------
    ValueError, TypeError
        If X is not what it was fitted on.
    """
    if isinstance(estimator, RecurrentEstimator):
        return list(like_fitted(estimator, X).items)
    if isinstance(X, str) or not hasattr(X, "__iter__"):
        raise TypeError(f"X must be a list of texts, got {shown(X)}. Put a text into a list.")
    vocabulary: Any = estimator._model.vocabulary
    codes = [check_context(text, vocabulary, f"X[{i}]") for i, text in enumerate(X)]
    if not codes:
        raise ValueError("X must hold at least one text, got none. An empty text is one: [''].")
    return codes


def tokens_of(estimator: NetworkEstimator, x: Any) -> list[str] | None:
    """Return the token of each step of a sequence as the network saw it, or None for numbers."""
    vocabulary = estimator._model.vocabulary
    if vocabulary is None:
        return None
    return [str(vocabulary.tokens[code]) for code in inputs_of(estimator, [x])[0].tolist()]


def groups(X: list[np.ndarray]) -> list[np.ndarray]:
    """Cut sequences, longest first, into groups that are traced at once; return the indices of each."""
    return grouped(np.array([len(x) for x in X]), _ROWS)


def answers_of(estimator: NetworkEstimator, X: list[np.ndarray], y: Any) -> np.ndarray:
    """Encode the right answer at each sequence's last step, (n,) codes or (n, k) numbers."""
    model = estimator._model
    if isinstance(estimator, RecurrentEstimator):
        rows = model.targets.encode(y, np.array([len(x) for x in X]))
        return np.array([row[-1] for row in rows]) if isinstance(rows, list) else rows
    codes = model.vocabulary.encode(list(y)) if model.vocabulary else np.empty(0, np.int64)
    if len(codes) != len(X):
        raise ValueError(
            f"y must be the next token of each of the {len(X)} texts, got {len(codes)}. Give one a text."
        )
    return codes


def loss_gradient(estimator: NetworkEstimator, trace: Trace, answers: np.ndarray) -> np.ndarray:
    """Return the gradient of each sequence's loss by what the output layer reads, (B, D) in the trace's order."""
    from ..losses import make_loss

    model, answers = estimator._model, answers[trace.order]
    if isinstance(trace.network.head, AdaptiveHead):
        return _adaptive_gradient(trace, answers)
    scale, mean, loss = np.float64(1), np.float64(0), make_loss("softmax")
    if isinstance(estimator, RecurrentEstimator):
        loss = estimator._make_loss(model.targets)
        scale, mean = getattr(model.targets, "scale", scale), getattr(model.targets, "mean", mean)
    draw = loss((trace.last_outputs() - mean) / scale, answers, np.ones(len(answers)))[1]
    return _through_head(trace, draw / scale)


def output_gradient(
    estimator: NetworkEstimator, trace: Trace, columns: np.ndarray | None
) -> np.ndarray:
    """Return the same for an output, see `explained`: of these columns, by sequence of X; by default `predicted`'s."""
    outputs = trace.last_outputs()
    chosen = predicted(estimator, outputs) if columns is None else columns[trace.order]
    if isinstance(
        trace.network.head, AdaptiveHead
    ):  # its outputs are log probabilities, the negative of a loss
        return -_adaptive_gradient(trace, chosen)
    draw = np.zeros_like(outputs)
    draw[np.arange(len(draw)), chosen] = 1
    return _through_head(
        trace, draw - draw.mean(axis=1, keepdims=True) if _chooses(estimator) else draw
    )


def predicted(estimator: NetworkEstimator, outputs: np.ndarray) -> np.ndarray:
    """Return the output that each prediction rests on: the greatest, no unknown token; a regressor's first."""
    if isinstance(estimator, RNNRegressor):
        return np.zeros(len(outputs), np.intp)
    unknown = 0 if isinstance(estimator, RecurrentEstimator) else 1
    return unknown + outputs[:, unknown:].argmax(axis=1)


def explained(estimator: NetworkEstimator, outputs: np.ndarray) -> np.ndarray:
    """Return what of raw outputs (N, k) predictions rest on: where one of k is chosen, what each has above the mean."""
    return outputs - outputs.mean(axis=1, keepdims=True) if _chooses(estimator) else outputs


def _chooses(estimator: NetworkEstimator) -> bool:
    """Whether outputs are logits of a softmax, which does not see what all have in common."""
    adaptive = isinstance(estimator._model.network.head, AdaptiveHead)
    targets = estimator._model.targets
    return not adaptive and (
        targets is None or (hasattr(targets, "classes_") and not targets.is_multilabel)
    )


def _through_head(trace: Trace, draw: np.ndarray) -> np.ndarray:
    """From the gradient of the raw outputs of a linear layer to that of what it reads."""
    arrays = trace.network.arrays()
    W = arrays["head.W"] if "head.W" in arrays else arrays["embedding.W"].T
    gradient: np.ndarray = draw @ W.T
    return gradient


def _adaptive_gradient(trace: Trace, targets: np.ndarray) -> np.ndarray:
    """Return the gradient of the cross-entropy of an adaptive softmax."""
    from ..losses import make_loss

    network, ones = trace.network, np.ones(len(targets))
    blocks = network.layout.blocks(cpu.host.aligned(1, network.layout.size, network.dtype)[0])
    parts = {layer.name: layer.parts(blocks) for layer in network.head.layers}
    h = trace.room.rows("last", len(targets), cpu.host.padded(network.head.features, network.dtype))
    h[: len(targets), : network.head.features] = trace.last_features()
    dh = network.head.learn(trace.room, h, 0, targets, ones, 1.0, make_loss("softmax"), parts)[1]
    return np.array(dh[: len(targets), : network.head.features])

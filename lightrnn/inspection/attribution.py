"""Which steps a prediction rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from ..estimators.regressor import RNNRegressor
from ..nn.prediction import regrouped
from ..utils.checks import choice, integer
from .objective import as_fitted, explained, groups, inputs_of, output_gradient, predicted

if TYPE_CHECKING:
    from ..estimators.estimator import NetworkEstimator

METHODS = ("occlusion", "gradient")
_STEPS = 1 << 16  # of occluded sequences that are predicted together


def attribution(
    estimator: NetworkEstimator, X: Any, label: Any = None, *, method: str = "occlusion"
) -> list[np.ndarray]:
    """Share out an output over the steps of its sequence.

    What is explained is the output at a sequence's last step: a regressor's value, a logit; of a softmax's logits, what
    it has above their mean, for what all have in common changes no prediction.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        Fitted.
    X : as in `predict`; for a language model a list of texts
        n sequences.
    label : optional
        The class, the token, or a regressor's column (an int) to explain, the same for all sequences; by default what
        is predicted for each, resp. column 0.
    method : {"occlusion", "gradient"}
        "occlusion": by how much the output falls if the step is blotted out, by zeros, resp. the unknown token [1]_; it
        takes T + 1 predictions a sequence. "gradient": gradient times input, the output's linear part in each step
        [2]_; one prediction and the way back, but a unit that saturates has no gradient, however much rests on it.

    Returns
    -------
    list of ndarray of float64 (T_i,)
        Of each step; positive if it speaks for the output. A language model's steps begin with the text's start.

    Raises
    ------
    NotFittedError
        If the estimator was not fitted.
    ValueError, TypeError
        If X is not what it was fitted on, or there is no such label.

    References
    ----------
    .. [1] Zeiler, M. and Fergus, R. (2014). Visualizing and understanding convolutional networks. ECCV, section 4.2.
    .. [2] Shrikumar, A., Greenside, P., Shcherbina, A. and Kundaje, A. (2016). Not just a black box: learning important
       features through propagating activation differences. arXiv 1605.01713, section 2.

    Examples
    --------
    >>> from lightrnn import RNNClassifier
    >>> from lightrnn.inspection import attribution
    >>> X, y = ["good day to you", "bad day to you"] * 10, ["glad", "sad"] * 10
    >>> net = RNNClassifier("gru", (8,), tokens="word", max_iter=60, learning_rate="cosine", random_state=0).fit(X, y)
    >>> int(attribution(net, ["good day to you"])[0].argmax())
    0
    """
    estimator, method = as_fitted(estimator), choice("method", method, METHODS)
    items = inputs_of(estimator, X)
    column = _column(estimator, label)
    explain = _occlusions if method == "occlusion" else _gradients
    parts = groups(items)
    shares = [
        share for part in parts for share in explain(estimator, [items[i] for i in part], column)
    ]
    return [shares[i] for i in regrouped(parts).tolist()]


def _column(estimator: NetworkEstimator, label: Any) -> int | None:
    """Return the output that stands for a label; None for the greatest."""
    if isinstance(estimator, RNNRegressor):
        return 0 if label is None else integer("label", label, 0, estimator.n_outputs_ - 1)
    if label is None:
        return None
    known = getattr(estimator, "classes_", estimator.vocabulary_)
    found = [i for i, name in enumerate(np.asarray(known).tolist()) if name == label]
    if not found:
        raise ValueError(
            f"label must be one that was seen in fit, got {label!r}. Look into classes_ or vocabulary_."
        )
    return found[0]


def _gradients(
    estimator: NetworkEstimator, X: list[np.ndarray], column: int | None
) -> list[np.ndarray]:
    """Gradient times input of some sequences."""
    from ..nn.trace import Trace

    network = estimator._model.network
    network.transpose()
    trace = Trace(network, X)
    trace.back(
        output_gradient(estimator, trace, None if column is None else np.full(len(X), column))
    )
    if network.embedding is not None:
        table = network.arrays()["embedding.W"]
        X = [table[codes] for codes in X]
    pairs = zip(X, trace.input_gradients(), strict=True)
    return [np.einsum("tf,tf->t", x, dx, dtype=np.float64) for x, dx in pairs]


def _occlusions(
    estimator: NetworkEstimator, X: list[np.ndarray], column: int | None
) -> list[np.ndarray]:
    return [_occlusion(estimator, x, column) for x in X]


def _occlusion(estimator: NetworkEstimator, x: np.ndarray, column: int | None) -> np.ndarray:
    """Predict a sequence whole, and without each of its steps."""
    network, threads = estimator._model.network, cpu.threads.usable(estimator.n_jobs)
    read: Any = network.final_outputs if network.target == "step" else network.outputs

    def predict(X: list[np.ndarray]) -> np.ndarray:
        return explained(estimator, read(X, threads))

    whole = predict([x])[0]
    chosen = int(predicted(estimator, whole[None])[0]) if column is None else column
    share, together = np.empty(len(x)), max(1, _STEPS // len(x))
    for start in range(0, len(x), together):
        steps = range(start, min(start + together, len(x)))
        share[start : steps.stop] = predict([_without(x, t) for t in steps])[:, chosen]
    result: np.ndarray = whole[chosen] - share
    return result


def _without(x: np.ndarray, step: int) -> np.ndarray:
    x = np.array(x)
    x[step] = 0
    return x

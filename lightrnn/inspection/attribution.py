"""Attribute an output to the steps of its sequence, by occlusion or by gradient times input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.patches import by_step
from ..estimators.regressor import RNNRegressor
from ..nn.groups import original_order
from ..utils.checks import choice, integer
from .objective import (
    comparable_outputs,
    encode_inputs,
    encode_steps,
    fitted_copy,
    output_gradient,
    patch_of,
    predicted_columns,
    read_steps,
    trace_groups,
)

if TYPE_CHECKING:
    from ..estimators.estimator import NetworkEstimator

METHODS = ("occlusion", "gradient")
# Steps of occluded copies that are predicted together: it bounds the memory of one long sequence,
# of which there are as many copies as it has steps.
_OCCLUDED_STEPS = 1 << 16


def attribution(
    estimator: NetworkEstimator,
    X: Any,
    label: Any = None,
    *,
    method: str = "occlusion",
) -> list[np.ndarray]:
    """Attribute an output of the network to the steps of each sequence.

    The output is the one at a sequence's last step: a regressor's value or a logit. Logits of a
    softmax are taken relative to their mean, which changes no prediction.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        A fitted estimator.
    X : as in `predict`; for a language model a list of str
        n sequences.
    label : object, optional
        The class, the token, or an int for a regressor's column, whose output is attributed; it is
        the same for all sequences. None takes what is predicted for each, or column 0.
    method : {"occlusion", "gradient"}, default="occlusion"
        "occlusion" is how much the output falls when the step is replaced by the mean of each
        feature (by zeros if X was not standardised, by NaN with ``missing="mask"``) or by the
        unknown token [1]_; it takes T + 1 predictions per sequence. "gradient" is gradient times
        input, the part of the output that is linear in the step [2]_; it takes one pass forward and
        back, but a saturated unit has no gradient, however much depends on it. With
        ``missing="mask"`` a value counts for all steps that it is carried to with "occlusion"; with
        "gradient" each step has what the network reads there, mark and number of steps included.

    Returns
    -------
    list of ndarray of shape (T_i,) and dtype float64
        One number per step of X, positive if the step raises the output. The first step of a
        language model is the start of the text.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If `estimator` is not an estimator of this package, or an argument has the wrong type.
    ValueError
        If X does not match the data of `fit`, or there is no such label or method.

    References
    ----------
    .. [1] Zeiler, M. and Fergus, R. (2014). Visualizing and understanding convolutional networks.
       ECCV, section 4.2.
    .. [2] Shrikumar, A., Greenside, P., Shcherbina, A. and Kundaje, A. (2016). Not just a black
       box: learning important features through propagating activation differences. arXiv
       1605.01713, section 2.

    Examples
    --------
    >>> from lightrnn import RNNClassifier
    >>> from lightrnn.inspection import attribution
    >>> X = ["good day to you", "bad day to you"] * 10
    >>> y = ["glad", "sad"] * 10
    >>> net = RNNClassifier("gru", (8,), tokens="word", max_iter=60, random_state=0).fit(X, y)
    >>> int(attribution(net, ["good day to you"])[0].argmax())
    0
    """
    estimator = fitted_copy(estimator)
    method = choice("method", method, METHODS)
    items = encode_inputs(estimator, X)
    steps = read_steps(estimator, X)
    column = _column(estimator, label)
    if method == "occlusion":
        return [_occlusion(estimator, x, column) for x in steps]
    groups = trace_groups(items)
    shares = []
    for group in groups:
        shares += _gradients(estimator, [items[i] for i in group], column)
    # Groups hold the longest sequences first; the user's order comes back.
    order = original_order(groups).tolist()
    return [by_step(shares[i], len(x)) for i, x in zip(order, steps, strict=True)]


def _column(estimator: NetworkEstimator, label: Any) -> int | None:
    """Return the column of the outputs for a label; None for the predicted one."""
    if isinstance(estimator, RNNRegressor):
        return 0 if label is None else integer("label", label, 0, estimator.n_outputs_ - 1)
    if label is None:
        return None
    # NumPy's labels become Python's, which compare with what the user passes and print plainly.
    known = np.asarray(getattr(estimator, "classes_", estimator.vocabulary_)).tolist()
    for column, name in enumerate(known):
        if name == label:
            return column
    raise ValueError(
        f"label must be one that was seen in fit, got {label!r}. Look into classes_ or vocabulary_."
    )


def _gradients(
    estimator: NetworkEstimator, X: list[np.ndarray], column: int | None
) -> list[np.ndarray]:
    """Return gradient times input of each step that the network reads of some sequences."""
    from ..nn.trace import Trace

    network = estimator._model.network
    network.transpose()
    trace = Trace(network, X)
    columns = None if column is None else np.full(len(X), column)
    trace.back(output_gradient(estimator, trace, columns))
    if network.embedding is not None:  # the input of a token is its row of the embedding
        table = network.arrays()["embedding.W"]
        inputs: Any = [table[codes] for codes in X]
    else:
        inputs = network.as_inputs(X)
    patch = patch_of(estimator)
    pairs = zip(inputs, trace.input_gradients(), strict=True)  # (T_i, F) each
    return [
        np.einsum(
            "tf,tf->t",
            x.reshape(len(x) * patch, -1),
            dx.reshape(len(x) * patch, -1),
            dtype=np.float64,
        )
        for x, dx in pairs
    ]


def _occlusion(
    estimator: NetworkEstimator,
    x: np.ndarray,
    column: int | None,
) -> np.ndarray:
    """Return the fall of the output of one sequence without each of its steps, (T,)."""
    network = estimator._model.network
    threads = estimator._threads()
    read: Any = network.final_outputs if network.target == "step" else network.outputs

    def predict(X: list[np.ndarray]) -> np.ndarray:
        outputs = read(encode_steps(estimator, X), threads)
        return comparable_outputs(estimator, outputs)  # (N, k)

    T = len(x)
    # What the first layer sees as zero; of tokens, code 0 is the unknown one.
    standardization = estimator._model.standardization
    rest: Any = 0 if standardization is None else standardization.mean
    form = estimator._model.form
    if form is not None and form.fill is not None:
        rest = np.nan  # a missing step is one that the network knows
    whole = predict([x])  # (1, k)
    if column is None:
        column = int(predicted_columns(estimator, whole)[0])
    without = np.empty(T)
    together = max(1, _OCCLUDED_STEPS // T)
    for start in range(0, T, together):
        steps = range(start, min(start + together, T))
        without[start : steps.stop] = predict([_occluded(x, step, rest) for step in steps])[
            :, column
        ]
    return whole[0, column] - without


def _occluded(x: np.ndarray, step: int, rest: Any) -> np.ndarray:
    """Return a copy of a sequence with `rest` in the place of one step."""
    x = np.array(x, np.result_type(x, rest))
    x[step] = rest
    return x

"""Attribute an output of a network to the steps and features of its sequences."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .. import cpu
from ..data.patches import by_step
from ..estimators.estimator import NetworkEstimator
from ..nn.groups import original_order
from ..utils.checks import choice, integer, random_generator
from .attributions import Attribution
from .baselines import read_baselines
from .integrated_gradients import integrated_gradients, reading_vectors, vectors
from .objective import (
    encode_inputs,
    fitted_copy,
    output_gradient,
    patch_of,
    read_steps,
    trace_groups,
)
from .scalar_output import ScalarOutput, scalar_outputs
from .shapley import Coalitions, group_index, shapley

METHODS = ("occlusion", "gradient", "integrated_gradients", "shapley")
# Steps of occluded copies that are predicted together: it bounds the memory of one long sequence,
# of which there are as many copies as it has steps.
_OCCLUDED_STEPS = 1 << 16


def attribution(
    estimator: NetworkEstimator,
    X: Any,
    output: Any = None,
    *,
    method: str = "occlusion",
    baseline: Any = None,
    groups: Any = "step",
    n_permutations: int = 50,
    random_state: Any = 0,
) -> Attribution:
    """Attribute an output of the network to the steps, or steps and features, of each sequence.

    The output is a regressor's value in the units of y, or a logit. Logits of a softmax are taken
    relative to their mean, which changes no prediction.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        A fitted estimator.
    X : as in `predict`; for a language model a list of str
        n sequences.
    output : object, optional
        The class, the token, or an int for a regressor's column, whose output is attributed; it is
        the same for all sequences. None takes what is predicted for each, or column 0. With
        ``target="step"`` it is read at the last step; a pair names another one: ``("a", 3)``, or
        ``(None, -2)`` for what is predicted at the last step but one. A regressor of one column has
        no class to name, so that an int is the step.
    method : {"occlusion", "gradient", "integrated_gradients", "shapley"}, default="occlusion"
        "occlusion" is how much the output falls when a step is replaced by the baseline's [1]_; it
        takes T + 1 predictions per sequence. "gradient" is gradient times input, the part of the
        output that is linear in the step [2]_; it takes one pass forward and back and no baseline,
        but a saturated unit has no gradient, however much depends on it. "integrated_gradients"
        adds up the gradients on the way from the baseline to the sequence [3]_; the shares of all
        steps and features add up to the output minus the baseline's. So do Shapley values, the mean
        gain of the output as a group of values joins others that are there already [4]_ [5]_.
        With ``missing="mask"`` a value counts for all steps that it is carried to with
        "occlusion" and "shapley"; by gradients each step has what the network reads there, mark and
        number of steps included.
    baseline : {"zeros", "mean", "previous"}, array-like or list, optional
        Values that stand for a step without information. "mean" is the mean of each feature,
        "previous" the step before. Numbers fill the shape (T, F) of each sequence; a list has a
        sequence for each of X, which is the only form for tokens. None takes the mean of each
        feature in the fit (zeros if X was not standardised, NaN with ``missing="mask"``) or the
        unknown token.
    groups : {"step", "feature", "step_feature"} or array-like of int, default="step"
        Values of a sequence that come and go together in "shapley"; an array (T, F) has the group
        of each value, counted from 0, for sequences of one length.
    n_permutations : int, default=50
        Number of orders in which groups arrive in "shapley", each with its reverse. Where all
        coalitions are no more than that takes, the values are exact.
    random_state : int, RandomState, Generator or None, default=0
        Source of the orders.

    Returns
    -------
    Attribution
        A list of arrays with the shares of each sequence, positive if they raise the output:
        (T_i, F) by integrated gradients, or (T_i,) for tokens; (T_i,) by occlusion and gradient;
        by "shapley" (T_i,), (F,), (T_i, F) or (G,), with standard errors. The first step of a
        language model is the start of the text. Its methods rank features and lags.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If `estimator` is not an estimator of this package, or an argument has the wrong type.
    ValueError
        If X does not match the data of `fit`, there is no such output, method or group, or
        `baseline` is not of the shape of X.

    References
    ----------
    .. [1] Zeiler, M. and Fergus, R. (2014). Visualizing and understanding convolutional networks.
       ECCV, section 4.2.
    .. [2] Shrikumar, A., Greenside, P., Shcherbina, A. and Kundaje, A. (2016). Not just a black
       box: learning important features through propagating activation differences. arXiv
       1605.01713, section 2.
    .. [3] Sundararajan, M., Taly, A. and Yan, Q. (2017). Axiomatic attribution for deep networks.
       ICML.
    .. [4] Castro, J., Gomez, D. and Tejada, J. (2009). Polynomial calculation of the Shapley value
       based on sampling. Computers and Operations Research 36, 1726-1730.
    .. [5] Mitchell, R., Cooper, J., Frank, E. and Holmes, G. (2022). Sampling permutations for
       Shapley value estimation. Journal of Machine Learning Research 23(43).

    Examples
    --------
    >>> from lightrnn import RNNClassifier
    >>> from lightrnn.inspection import attribution
    >>> X = ["good day to you", "bad day to you"] * 10
    >>> y = ["glad", "sad"] * 10
    >>> net = RNNClassifier("gru", (8,), tokens="word", max_iter=60, random_state=0).fit(X, y)
    >>> int(attribution(net, ["good day to you"])[0].argmax())
    0
    >>> found = attribution(net, ["good day to you"], "sad", method="integrated_gradients")
    >>> gap = found[0].sum() - (found.outputs - found.baseline_outputs)[0]
    >>> bool(abs(gap) < 1e-4)
    True
    """
    estimator = fitted_copy(estimator)
    method = choice("method", method, METHODS)
    n_permutations = integer("n_permutations", n_permutations, 2)
    items = encode_inputs(estimator, X)
    steps = read_steps(estimator, X)
    outputs = scalar_outputs(estimator, items, output)
    baselines = read_baselines(estimator, steps, baseline)
    tasks = list(zip(outputs, steps, baselines, strict=True))
    threads = estimator._threads()
    errors = None
    axes = "step"
    if method == "occlusion":
        shares = [_occlusion(*task, threads) for task in tasks]
    elif method == "gradient":
        shares = _gradients(estimator, items, outputs)
        shares = [by_step(each, len(x)) for each, x in zip(shares, steps, strict=True)]
    elif method == "integrated_gradients":
        network = reading_vectors(estimator)
        runs = [partial(integrated_gradients, estimator, network, *task) for task in tasks]
        shares = cpu.threads.run(runs, threads)
        axes = "step" if estimator._model.vocabulary is not None else "step_feature"
    else:
        rng = random_generator(random_state)
        games = [Coalitions(*task, group_index(task[1], groups, i)) for i, task in enumerate(tasks)]
        # A generator for each sequence, so that threads change nothing.
        draws = zip(games, rng.spawn(len(games)), strict=True)
        played = cpu.threads.run(
            [partial(shapley, game, n_permutations, own) for game, own in draws], threads
        )
        axes = groups if isinstance(groups, str) else "group"
        shares, errors = (_shaped(axes, steps, part) for part in zip(*played, strict=True))
    adds_up = method in ("integrated_gradients", "shapley")
    return Attribution(
        values=shares,
        standard_errors=errors,
        outputs=_read(outputs, steps),
        baseline_outputs=_read(outputs, baselines) if adds_up else None,
        method=method,
        axes=axes,
        feature_names=_feature_names(estimator, steps),
    )


def _shaped(axes: str, steps: list[np.ndarray], parts: Any) -> list[np.ndarray]:
    """Return one number per group in the shape of steps and features, where they are groups."""
    if axes != "step_feature":
        return list(parts)
    return [part.reshape(x.shape) for part, x in zip(parts, steps, strict=True)]


def _read(outputs: list[ScalarOutput], sequences: list[np.ndarray]) -> np.ndarray:
    """Return the output of each sequence, (n,)."""
    return np.array([output.of_steps([x])[0] for output, x in zip(outputs, sequences, strict=True)])


def _feature_names(estimator: NetworkEstimator, steps: list[np.ndarray]) -> tuple[str, ...]:
    """Return the names of a step's features, or their numbers; none for tokens."""
    form = estimator._model.form
    if form is None or estimator._model.vocabulary is not None:
        return ()
    if form.feature_names is None or form.is_table:
        return tuple(map(str, range(steps[0].shape[1])))
    return tuple(map(str, form.feature_names))


def _gradients(
    estimator: NetworkEstimator, items: list[np.ndarray], outputs: list[ScalarOutput]
) -> list[np.ndarray]:
    """Return gradient times input of each step that the network reads, in the order of X."""
    from ..nn.trace import Trace

    network = estimator._model.network
    network.transpose()
    groups = trace_groups(items)
    shares: list[np.ndarray] = []
    for group in groups:
        X = [items[i] for i in group]
        columns = np.array([outputs[i].column for i in group])
        at = None
        if network.target == "step":
            at = np.array([outputs[i].step for i in group])
        trace = Trace(network, X, at)
        trace.back(output_gradient(estimator, trace, columns))
        if network.embedding is not None:  # the input of a token is its row of the embedding
            inputs = vectors(estimator, X)
        else:
            inputs = list(network.as_inputs(X))
        shares += _products(inputs, trace.input_gradients(), patch_of(estimator))
    # Groups hold the longest sequences first; the user's order comes back.
    return [shares[i] for i in original_order(groups).tolist()]


def _products(
    inputs: list[np.ndarray], gradients: list[np.ndarray], patch: int
) -> list[np.ndarray]:
    """Return the product of input and gradient of each step, added up over its features."""
    return [
        np.einsum(
            "tf,tf->t",
            x.reshape(len(x) * patch, -1),
            dx.reshape(len(x) * patch, -1),
            dtype=np.float64,
        )
        for x, dx in zip(inputs, gradients, strict=True)
    ]


def _occlusion(
    output: ScalarOutput, x: np.ndarray, baseline: np.ndarray, threads: int
) -> np.ndarray:
    """Return the fall of the output of one sequence without each of its steps, (T,)."""
    T = len(x)
    without = np.empty(T)
    together = max(1, _OCCLUDED_STEPS // T)
    for start in range(0, T, together):
        steps = range(start, min(start + together, T))
        occluded = [_occluded(x, step, baseline) for step in steps]
        without[start : steps.stop] = output.of_steps(occluded, threads)
    return output.of_steps([x])[0] - without


def _occluded(x: np.ndarray, step: int, baseline: np.ndarray) -> np.ndarray:
    """Return a copy of a sequence with the baseline's values in the place of one step."""
    x = np.array(x, np.result_type(x, baseline))
    x[step] = baseline[step]
    return x

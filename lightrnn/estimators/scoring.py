"""The validation score: the negative loss, the estimator's own score, or that of a scorer."""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import cpu
from ..data.ragged import pool
from ..utils.checks import shown
from .declarations import OWN_SCORES
from .model import build_network

if TYPE_CHECKING:
    from ..data.dataset import HeldOut
    from ..losses import Loss
    from ..training.trainable import TrainableNetwork
    from .estimator import NetworkEstimator
    from .model import Model

Score = Callable[["TrainableNetwork"], float]


def make_score(
    estimator: NetworkEstimator,
    arguments: dict[str, Any],
    model: Model,
    loss: Loss,
    held_out: HeldOut,
) -> Score:
    """Return the function that gives the validation score of a network; greater is better.

    Parameters
    ----------
    estimator : NetworkEstimator
        The estimator that is fitted; it is not changed.
    arguments : dict
        Its checked arguments.
    model : Model
        The model that is trained.
    loss : Loss
        Its loss.
    held_out : HeldOut
        Sequences and targets to score.

    Returns
    -------
    callable
        (network) -> score.
    """
    scoring = arguments["scoring"]
    if scoring not in OWN_SCORES:
        if isinstance(scoring, str):
            scoring = cpu.once.imported("sklearn.metrics").get_scorer(scoring)
        return _Scorer(scoring, estimator, model, held_out)
    threads = cpu.threads.usable(arguments["n_jobs"])
    samples = held_out.samples
    targets = pool(samples.targets)
    weights = pool(samples.weights if scoring == "loss" else held_out.weights)

    def score(network: TrainableNetwork) -> float:
        outputs = pool(network.outputs(samples.items, threads))
        if scoring == "loss":  # weighted as in training
            return -loss(outputs, targets, weights)[0] / float(weights.sum())
        found: float = model.targets.score(outputs, targets, weights)
        return found

    return score


class _Scorer:
    """Calls a scorer with an estimator that predicts with the weights of the moment.

    That is a copy: the user's estimator stays as it was until training has ended.
    """

    def __init__(
        self,
        scorer: Callable[..., Any],
        estimator: NetworkEstimator,
        model: Model,
        held_out: HeldOut,
    ) -> None:
        self._scorer = scorer
        self._estimator = object.__new__(type(estimator))
        vars(self._estimator).update(vars(estimator))
        self._model = replace(model, network=build_network(model.architecture))
        self._data = held_out.given()
        weights = pool(held_out.weights)
        unequal = (weights != weights[0]).any()
        self._weights = {}
        if unequal and _takes_weights(scorer):
            self._weights = {"sample_weight": held_out.weights}

    def __call__(self, network: TrainableNetwork) -> float:
        """Return the score."""
        self._model.network.parameters[:] = network.parameters
        self._estimator._adopt(self._model)
        score = self._scorer(self._estimator, *self._data, **self._weights)
        if not isinstance(score, numbers.Real):
            raise TypeError(
                f"scoring must return a number, got {shown(score)}. Greater is better; use the "
                "negative of an error."
            )
        try:
            return float(score)
        except OverflowError:
            return math.inf


def _takes_weights(scorer: Callable[..., Any]) -> bool:
    """Return whether a scorer has an argument for weights, as scikit-learn's have."""
    try:
        return "sample_weight" in inspect.signature(scorer).parameters
    except (TypeError, ValueError):  # of a function that does not show its arguments
        return False

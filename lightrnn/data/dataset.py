"""From what the user passes to `fit` to what training takes: X, y and weights checked, encoded and split."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .holdout import hold_out
from .ragged import Values
from .sample_weight import check_sample_weight
from .samples import Samples
from .sequences import Sequences, as_sequences, sequences_for
from .tokens import Vocabulary, as_items, encoded, kind_of

if TYPE_CHECKING:
    from ..estimators.model import Targets
    from ..estimators.supervised import RecurrentEstimator


class Data(NamedTuple):
    """A data set, checked and encoded."""

    sequences: Sequences
    targets: Targets
    samples: Samples  # those with a weight
    weights: Values  # theirs without the class weights: what scores are weighted by
    vocabulary: Vocabulary | None  # of tokens


def read(
    estimator: RecurrentEstimator,
    arguments: dict[str, Any],
    data: tuple[Any, Any, Any],
    *,
    fitted: bool,
    targets: Targets | None = None,
    classes: Any = None,
) -> Data:
    """Check and encode X, y and sample_weight; sequences without weight are left out.

    Parameters
    ----------
    estimator : RecurrentEstimator
        Knows the features it was fitted on, if `fitted`, and how to learn targets from y.
    arguments : dict
        The estimator's, checked.
    data : tuple
        X, y, sample_weight.
    targets : Targets, optional
        Those of an earlier call, to be used again.
    classes : array-like, optional
        All labels, where y need not have each.
    """
    X, y, sample_weight = data
    if fitted:
        sequences, vocabulary = (
            like_fitted(estimator, X, arguments["dtype"]),
            estimator._model.vocabulary,
        )
    else:
        sequences, vocabulary = _first_sequences(arguments, X)
    lengths = sequences.lengths
    weights = check_sample_weight(sample_weight, lengths, arguments["target"] == "step")
    if targets is None:
        targets = estimator._learn_targets(arguments, y, lengths, weights, classes)
    encoded = targets.encode(y, lengths)
    samples = Samples(
        sequences.items, lengths, encoded, estimator._weigh(arguments, targets, encoded, weights)
    )
    each = samples.weights
    kept = np.flatnonzero(
        each if isinstance(each, np.ndarray) else [weight.any() for weight in each]
    )
    plain = replace(samples, weights=weights)
    return Data(sequences, targets, samples.take(kept), plain.take(kept).weights, vocabulary)


def _first_sequences(arguments: dict[str, Any], X: Any) -> tuple[Sequences, Vocabulary | None]:
    """Read X for an estimator that is not fitted yet, and learn its vocabulary if it holds tokens."""
    kind = kind_of(X, arguments["tokens"])
    if kind == "number":
        return as_sequences(X, arguments["dtype"]), None
    items = as_items(X, kind)
    vocabulary = Vocabulary.learn(kind, items, arguments["min_count"], arguments["max_vocabulary"])
    return encoded(items, vocabulary), vocabulary


def like_fitted(
    estimator: RecurrentEstimator, X: Any, dtype: Any = None, name: str = "X"
) -> Sequences:
    """Read X for a fitted estimator: numbers of the same features, or tokens of the same kind."""
    model = estimator._model
    if model.vocabulary is None:
        return sequences_for(estimator, X, dtype or model.network.dtype, name=name)
    return encoded(as_items(X, model.vocabulary.kind, name), model.vocabulary)


def read_validation(
    arguments: dict[str, Any], data: Data, X_val: Any, y_val: Any
) -> Samples | None:
    """Check and encode the validation data, if there are any."""
    if X_val is None and y_val is None:
        return None
    if X_val is None or y_val is None:
        missing = "X_val" if X_val is None else "y_val"
        raise ValueError(
            f"{missing} must be given, got None. Pass both X_val and y_val, or neither."
        )
    if data.vocabulary is None:
        sequences = as_sequences(X_val, arguments["dtype"], name="X_val")
    else:
        sequences = encoded(as_items(X_val, data.vocabulary.kind, "X_val"), data.vocabulary)
    wanted = data.sequences.n_features
    if sequences.n_features != wanted:
        raise ValueError(
            f"X_val must have {wanted} features like X, got {sequences.n_features}. Prepare X and X_val alike."
        )
    lengths = sequences.lengths
    weights = check_sample_weight(None, lengths, arguments["target"] == "step")
    return Samples(sequences.items, lengths, data.targets.encode(y_val, lengths, "y_val"), weights)


def split(data: Data, fraction: float, rng: np.random.Generator) -> tuple[Samples, Samples]:
    """Hold out whole sequences for validation, by class where each has one."""
    codes = data.samples.targets
    by_class = isinstance(codes, np.ndarray) and codes.ndim == 1 and codes.dtype.kind == "i"
    training, validation = hold_out(
        len(data.samples.items), fraction, rng, codes if by_class else None
    )
    return data.samples.take(training), replace(data.samples, weights=data.weights).take(validation)

"""From the arguments of `fit` to training data: X, y and weights checked, encoded and split."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..cells import CELLS
from ..utils.indexing import take
from ..utils.standardization import Standardization
from .base_targets import Targets
from .containers import refuse_long_frame, unwrapped
from .form import Form
from .holdout import hold_out
from .moments import standardization_of
from .orientation import warn_of_single_steps, warn_of_swapped_axes
from .patches import patch_length
from .ragged import Values, pool
from .sample_weight import check_absolute, check_sample_weight, class_weights, of_mean_one
from .samples import Samples
from .sequences import Sequences, as_sequences
from .tokens import (
    Vocabulary,
    as_items,
    encoded,
    has_blank,
    kind_of,
    kind_of_texts,
    refuse_numbers,
)

# (y, lengths, weights) -> targets, learned or known, and y encoded by them
TargetsFrom = Callable[[Any, np.ndarray, Values], tuple[Targets, Values]]


class Inputs(NamedTuple):
    """X, checked."""

    steps: Sequences  # numbers, or codes of tokens
    form: Form | None  # of the model that goes on; None before a first fit
    vocabulary: Vocabulary | None  # of tokens; None for numbers
    # Tokens as they are read if these sequences alone teach the vocabulary; None if it is known.
    learned_from: Callable[[np.ndarray], Inputs] | None = None


class Data(NamedTuple):
    """A data set, checked and encoded."""

    form: Form
    vocabulary: Vocabulary | None
    targets: Targets
    standardization: Standardization | None  # of numbers, as far as it is to be
    samples: Samples  # those with a positive weight; class weights are multiplied in
    weights: Values  # their weights without the class weights
    rows: np.ndarray  # the places of the samples in X


class HeldOut(NamedTuple):
    """Data to validate on."""

    samples: Samples  # weighted as in training
    weights: Values  # without the class weights
    X: Any  # as the user gave them
    y: Any
    rows: np.ndarray | None  # the places of the samples in X and y; None: they are all of them

    def given(self) -> tuple[Any, Any]:
        """Return the sequences and targets as `predict` takes and returns them."""
        if self.rows is None:
            return self.X, self.y
        return take(unwrapped(self.X), self.rows), take(self.y, self.rows)


def read_inputs(arguments: dict[str, Any], X: Any) -> Inputs:
    """Read X for an estimator that is not fitted yet, and learn the vocabulary of tokens.

    Parameters
    ----------
    arguments : dict
        The estimator's checked arguments.
    X : object
        Sequences in any form.

    Returns
    -------
    Inputs

    Raises
    ------
    ValueError, TypeError
        If X is not made of sequences of finite numbers or of tokens, or if it has tokens and
        `patch` is more than 1.
    """
    X = unwrapped(X)
    kind = kind_of(X, arguments["tokens"])
    if kind == "number":
        sequences = as_sequences(X, arguments["dtype"], missing=arguments["missing"] == "mask")
        warn_of_swapped_axes(X)
        warn_of_single_steps(X, sequences, arguments["cell"])
        return Inputs(sequences, None, None)
    refuse_for_tokens(arguments["patch"], arguments["missing"])
    items = as_items(X, kind)
    if arguments["tokens"] == "auto":
        refuse_numbers(items, X)
        # Whoever has a target for each word has the words.
        if kind == "char" and arguments["target"] == "sequence":
            kind = kind_of_texts(list(map(has_blank, items)))
            items = as_items(X, kind)  # a blank text has a character, but no word

    def learned_from(rows: np.ndarray) -> Inputs:
        sizes = arguments["min_count"], arguments["max_vocabulary"]
        vocabulary = Vocabulary.learn(kind, take(items, rows), *sizes)
        return Inputs(encoded(items, vocabulary), None, vocabulary, learned_from)

    return learned_from(np.arange(len(items)))


def refuse_for_tokens(patch: int | str, missing: str) -> None:
    """Raise a ValueError for patches or missing values where X holds tokens."""
    if patch not in ("auto", 1):
        raise ValueError(
            f"patch must be 'auto' or 1 for tokens, got {patch}. "
            "Each token is read as its row of the embedding."
        )
    if missing != "error":
        raise ValueError(
            f"missing must be 'error' for tokens, got {missing!r}. "
            "Put a token of its own where one is missing."
        )


def patch_for(arguments: dict[str, Any], lengths: np.ndarray) -> int:
    """Return the number of steps of a patch for training sequences of numbers of these lengths.

    Parameters
    ----------
    arguments : dict
        The estimator's checked arguments.
    lengths : ndarray of int (n,)
        Steps of each sequence, for "auto".

    Returns
    -------
    int
    """
    patch = arguments["patch"]
    if patch != "auto":
        return int(patch)
    # There is an output for every step, or a window counts the inputs that it sees.
    if arguments["target"] == "step" or not CELLS[arguments["cell"]].recurrent:
        return 1
    return patch_length(lengths)


def read(
    arguments: dict[str, Any],
    inputs: Inputs,
    y: Any,
    sample_weight: Any,
    targets_from: TargetsFrom,
    *,
    whole: bool = True,
) -> Data:
    """Check and encode y and sample_weight; leave out sequences without weight.

    Parameters
    ----------
    arguments : dict
        The estimator's checked arguments.
    inputs : Inputs
        X, checked and encoded.
    y, sample_weight : object
        As in `fit`.
    targets_from : callable
        (y, lengths, weights) -> (targets, encoded y).
    whole : bool, default=True
        Whether these are all data, so that only the ratios of weights count.

    Returns
    -------
    Data

    Raises
    ------
    ValueError, TypeError
        If y or sample_weight does not fit X.
    """
    steps = inputs.steps
    lengths = steps.lengths
    names = steps.feature_names
    n = 0
    with suppress(TypeError):  # None, or sparse, which is refused below
        n = len(y)
    of_one_length = bool((lengths == lengths[0]).all())
    if steps.is_table and of_one_length and names is not None and n != len(lengths):
        refuse_long_frame(names, steps.items, n)
    if inputs.vocabulary is not None and inputs.vocabulary.kind == "char":
        if (arguments["target"], arguments["tokens"]) == ("step", "auto"):
            _check_is_of_characters(y, lengths)
    # Before y: the mean and scale of a regressor's targets are weighted.
    weights = check_sample_weight(sample_weight, lengths, arguments["target"] == "step")
    if whole:
        weights = of_mean_one(weights)
    else:
        check_absolute(weights)
    targets, codes = targets_from(y, lengths, weights)
    # (n,), or with targets by step a list of (T_i,)
    class_weight = arguments.get("class_weight")
    weighted = class_weights(codes, weights, class_weight, getattr(targets, "classes_", None))
    if not whole:
        check_absolute(weighted)
    per_sequence = _per_sequence(weighted)
    kept = np.flatnonzero(per_sequence)  # those of which a step has a weight
    if not len(kept):
        raise ValueError(
            "class_weight must leave a positive weight, got 0 for every label of y. Leave out such "
            "parts of the data, or raise the weight of their labels."
        )
    if inputs.learned_from is not None and len(kept) < len(lengths):
        inputs = inputs.learned_from(kept)
        steps = inputs.steps
    form = inputs.form or _learned_form(arguments, inputs, per_sequence)
    sequences = form.encoded(steps)
    samples = Samples(sequences.items, sequences.lengths, codes, weighted).take(kept)
    standardization = None
    if inputs.vocabulary is None and arguments["standardize"]:
        standardization = _standardization_of(form, steps, per_sequence)
        if whole:  # later parts of the data then change nothing
            standardization = replace(standardization, weight=math.inf)
    weights = take(weights, kept)
    return Data(form, inputs.vocabulary, targets, standardization, samples, weights, kept)


def _learned_form(arguments: dict[str, Any], inputs: Inputs, weights: np.ndarray) -> Form:
    """Return the form of sequences of these weights, for a first fit."""
    steps = inputs.steps
    if inputs.vocabulary is not None:
        return Form.of(steps)
    form = Form.of(steps, patch_for(arguments, steps.lengths[weights > 0]))
    if arguments["missing"] == "mask":
        form = replace(form, fill=standardization_of(steps, weights, missing=True).mean)
    return form


def _standardization_of(form: Form, steps: Sequences, weights: np.ndarray) -> Standardization:
    """Return the standardisation of a step's columns: that of values by those that are there."""
    found = standardization_of(form.marked(steps), weights)
    if form.fill is None:
        return found
    observed = standardization_of(steps, weights, missing=True)
    # A part of the data may have no value of a feature at all.
    mean = np.where(observed.weight > 0, observed.mean, form.fill)
    F = len(mean)
    return Standardization(
        np.concatenate([mean, found.mean[F:]]),
        np.concatenate([observed.variance, found.variance[F:]]),
        found.weight,
    )


def _check_is_of_characters(y: Any, lengths: np.ndarray) -> None:
    """Raise a ValueError for targets of words where texts are read as characters by themselves."""
    parts = y if isinstance(y, (list, tuple, np.ndarray)) else ()
    for i, (part, T) in enumerate(zip(parts, lengths.tolist(), strict=False)):
        if hasattr(part, "__len__") and len(part) != T:
            raise ValueError(
                f"y[{i}] must have {T} entries, one for each character of X[{i}], got {len(part)}. "
                "If they are of words, set tokens='word'."
            )


def _per_sequence(weights: Values) -> np.ndarray:
    """Return one weight per sequence: the mean of those of its steps."""
    if isinstance(weights, np.ndarray):
        return weights
    return np.array([part.mean() for part in weights])


def read_validation(
    estimator: str, arguments: dict[str, Any], data: Data, X_val: Any, y_val: Any
) -> HeldOut | None:
    """Check and encode the validation data, if there are any.

    Parameters
    ----------
    estimator : str
        Name of the estimator's class for messages.
    arguments : dict
        Its checked arguments.
    data : Data
        The training data.
    X_val, y_val : object
        As in `fit`.

    Returns
    -------
    HeldOut or None

    Raises
    ------
    ValueError, TypeError
        If only one of the two is given, or if they do not fit X and y.
    """
    if X_val is None and y_val is None:
        return None
    if X_val is None or y_val is None:
        missing = "X_val" if X_val is None else "y_val"
        raise ValueError(
            f"{missing} must be given, got None. Pass both X_val and y_val, or neither."
        )
    vocabulary = data.vocabulary
    if vocabulary is None:
        # X_val is held to the form of X as the X of `predict` will be.
        form = data.form
        sequences = form.encoded(form.read(estimator, X_val, arguments["dtype"], name="X_val"))
    else:
        sequences = encoded(as_items(X_val, vocabulary.kind, "X_val"), vocabulary)
    lengths = sequences.lengths
    weights = check_sample_weight(None, lengths, arguments["target"] == "step")
    # By the targets of y: a validation set may lack a class, and its mean is another.
    codes = data.targets.read(y_val, lengths, "y_val")
    class_weight = arguments.get("class_weight")
    weighted = class_weights(codes, weights, class_weight, getattr(data.targets, "classes_", None))
    if not pool(weighted).any():
        raise ValueError(
            "y_val must hold a label with a positive class_weight, got none. Add some, or leave "
            "X_val and y_val out."
        )
    return HeldOut(Samples(sequences.items, lengths, codes, weighted), weights, X_val, y_val, None)


def split(
    data: Data,
    X: Any,
    y: Any,
    fraction: float,
    rng: np.random.Generator,
) -> tuple[Samples, HeldOut]:
    """Hold out whole sequences for validation, stratified if each has one class."""
    samples = data.samples
    codes = samples.targets
    # Codes of one class per sequence are whole numbers; indicators and real targets are floats.
    by_class = isinstance(codes, np.ndarray) and codes.ndim == 1 and codes.dtype.kind == "i"
    training, validation = hold_out(len(samples.items), fraction, rng, codes if by_class else None)
    weights = take(data.weights, validation)
    held_out = HeldOut(samples.take(validation), weights, X, y, data.rows[validation])
    return samples.take(training), held_out

"""A fitted estimator as plain data: all that another program needs to predict as it does."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..base import check_is_fitted
from ..estimators.estimator import check_estimator
from ..preprocessing import SequenceScaler
from ..utils.archive import Arrays
from ..utils.checks import check_finite_weights
from ..utils.standardization import Standardization

if TYPE_CHECKING:
    from ..data.tokens import Vocabulary


class Summary(NamedTuple):
    """The function that a fitted estimator computes.

    Attributes
    ----------
    estimator : str
        Name of the estimator's class.
    cell : str
        Key of `CELLS`.
    task : {"classes", "labels", "numbers", "language"}
        What the outputs are: one class of several, any of several labels, real numbers, or the
        next token.
    step : bool
        Whether there are outputs for every step; a language model's are those after the last step.
    n_features : int
        Columns of the network's input; for tokens those of the embedding.
    patch : int
        Steps that are one input of the network.
    fill : ndarray of float64 (F,) or None
        Value of each feature before its first one, if NaN stand for missing values: then a feature
        is three columns of a step; see `data/missing.py`.
    n_outputs : int
        Columns of the output.
    layers : tuple of tuple of str
        For each layer the name of each direction: ("layer0", "layer0.reverse").
    units : tuple of int
        Units of each layer, in one direction.
    window : int
        Inputs that the first layer of an ffnn sees; 0 for other cells.
    pooling : {"last", "mean", "max", "attention"}
        Which states the output layer reads, unless `step`; see `nn/pooling.py`.
    head : {"linear", "tied", "adaptive"}
        The output layer; see `nn/heads.py`.
    head_units : tuple of int
        Units of its hidden layers, whose names are "head0" and so on.
    head_activation : {"relu", "tanh", "sigmoid", "gelu"}
        Activation of these.
    weights : dict of str to ndarray
        The arrays of `weights_`, by their names there.
    vocabulary : Vocabulary or None
        The tokens; None if the input are numbers.
    classes : ndarray of shape (k,) or None
        The label of each output, if `task` is "classes".
    mean, scale : ndarray of float64 (k,) or None
        Predicted numbers are ``outputs * scale + mean``, computed in float64; None for other tasks.
    quantiles : tuple of float or None
        What outputs predict of each column of y, if predictions are sorted outputs.
    result : dtype
        The type of predicted numbers.
    standardization : Standardization or None
        What is done to the columns of a step before the first layer reads them.
    """

    estimator: str
    cell: str
    task: str
    step: bool
    n_features: int
    patch: int
    fill: np.ndarray | None
    n_outputs: int
    layers: tuple[tuple[str, ...], ...]
    units: tuple[int, ...]
    window: int
    pooling: str
    head: str
    head_units: tuple[int, ...]
    head_activation: str
    weights: Arrays
    vocabulary: Vocabulary | None
    classes: np.ndarray | None
    mean: np.ndarray | None
    scale: np.ndarray | None
    quantiles: tuple[float, ...] | None
    result: np.dtype
    standardization: Standardization | None

    @property
    def bidirectional(self) -> bool:
        """Whether each layer reads from both ends."""
        return len(self.layers[0]) == 2

    @property
    def step_features(self) -> int:
        """Features of a step."""
        columns = self.n_features // self.patch
        return columns if self.fill is None else len(self.fill)

    @property
    def recurrent(self) -> bool:
        """Whether there are states."""
        return not self.window


def last_step(estimator: Any) -> Any:
    """Return the estimator at the end of a Pipeline; another object as it is."""
    steps = getattr(estimator, "steps", None)
    return steps[-1][1] if isinstance(steps, list) and steps else estimator


def summarize(estimator: Any) -> Summary:
    """Return the summary of a fitted estimator, or of a Pipeline of scalers and an estimator.

    The scalers become a part of the standardisation.

    Raises
    ------
    TypeError
        If `estimator` is no estimator of this package, or a Pipeline with steps of other kinds.
    NotFittedError
        If it was not fitted.
    ValueError
        If a weight is not finite.
    """
    if last_step(estimator) is not estimator:
        *scalers, (_, last) = estimator.steps
        summary = summarize(last)
        for name, scaler in reversed(scalers):
            summary = _behind(summary, name, scaler)
        return summary
    check_estimator(estimator)
    check_is_fitted(estimator)
    model = estimator._model
    weights = model.network.arrays()
    check_finite_weights(weights)
    architecture = model.architecture
    targets = model.targets  # None for a language model
    network = model.network
    task = _task(targets)
    return Summary(
        estimator=type(estimator).__name__,
        cell=network.cell,
        task=task,
        step=targets is not None and network.target == "step",
        n_features=architecture["n_features"],
        patch=1 if model.form is None else model.form.patch,
        fill=None if model.form is None else model.form.fill,
        n_outputs=architecture["n_outputs"],
        layers=tuple(tuple(layer.name for layer in level) for level in network.levels),
        units=tuple(architecture["hidden_layer_sizes"]),
        window=0 if network.recurrent else network.window,
        pooling=architecture.get("pooling", "last"),
        head=architecture.get("head", "linear"),
        head_units=tuple(architecture.get("head_layer_sizes", ())),
        head_activation=architecture.get("head_activation", "relu"),
        weights=weights,
        vocabulary=model.vocabulary,
        classes=targets.classes_ if task == "classes" else None,
        mean=targets.mean if task == "numbers" else None,
        scale=targets.scale if task == "numbers" else None,
        quantiles=getattr(targets, "quantiles", None),
        result=np.dtype(getattr(targets, "result", network.dtype)),
        standardization=model.standardization,
    )


def _behind(summary: Summary, name: str, scaler: Any) -> Summary:
    """Return the summary of an estimator that reads what a scaler returns."""
    if scaler is None or scaler == "passthrough":
        return summary
    if not isinstance(scaler, SequenceScaler):
        raise TypeError(
            f"estimator must be a Pipeline of SequenceScaler and an estimator, got {name!r}, a "
            f"{type(scaler).__name__}. Apply other steps to X before it is given to the file."
        )
    check_is_fitted(scaler)
    mean = scaler.mean_
    scale = scaler.scale_
    F = summary.step_features
    columns = summary.n_features // summary.patch  # the values of features come first
    zeros = np.zeros(columns)
    then = summary.standardization or Standardization(zeros, zeros + 1, 1.0)
    # ((x - m) / s - mean) / scale is (x - (m + s * mean)) / (s * scale).
    both = then.mean.copy()
    variance = then.scale**2
    both[:F] = mean + scale * both[:F]
    variance[:F] *= scale**2
    fill = None if summary.fill is None else mean + scale * summary.fill
    return summary._replace(standardization=Standardization(both, variance, then.weight), fill=fill)


def _task(targets: Any) -> str:
    """Return the task that a model's targets make of its outputs."""
    if targets is None:
        return "language"
    if targets.is_multilabel:
        return "labels"
    return "classes" if hasattr(targets, "classes_") else "numbers"


_POOLED = {
    "last": "",
    "mean": ", its states averaged over all steps",
    "max": ", each state's maximum over all steps",
    "attention": ", its states averaged over all steps by attention",
}


def described(summary: Summary) -> str:
    """Return a sentence on the network, for the first lines of a file."""
    article = "a" if summary.cell == "gru" else "an"
    inputs = "steps" if summary.patch == 1 else f"patches of {summary.patch} steps"
    window = f" over the last {summary.window} {inputs}" if summary.window else ""
    read = f", reads {inputs}" if summary.patch > 1 and not summary.window else ""
    directions = ", read from both ends" if summary.bidirectional else ""
    pooled = _POOLED[summary.pooling]
    head = [f"{units} {summary.head_activation}" for units in summary.head_units]
    sizes = " -> ".join(map(str, [summary.n_features, *summary.units, *head, summary.n_outputs]))
    return (
        f"The network is {article} {summary.cell}{window}{read}{directions}{pooled}, "
        f"from inputs to outputs {sizes}."
    )


def check_cell(summary: Summary, known: Collection[str], output: str) -> None:
    """Refuse a cell that another format does not have.

    Parameters
    ----------
    summary : Summary
        The estimator.
    known : collection of str
        The cells that can be written.
    output : str
        The format, for the message.

    Raises
    ------
    ValueError
        If the estimator's cell is not among them.
    """
    if summary.cell not in known:
        raise ValueError(
            f"estimator must have one of the cells {', '.join(map(repr, known))} to be written as "
            f"{output}, got {summary.cell!r}."
        )

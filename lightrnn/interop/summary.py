"""A fitted estimator as plain data: all that another program needs in order to predict as it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..base import check_is_fitted
from ..estimators.estimator import check_estimator

if TYPE_CHECKING:
    from ..data.tokens import Vocabulary


class Summary(NamedTuple):
    """What a fitted estimator computes.

    Attributes
    ----------
    estimator, cell : str
        Names of its class and of its cell.
    task : {"classes", "labels", "numbers", "language"}
        What the outputs are: one class of several, any of several labels, real numbers, or the next token.
    step : bool
        Whether there are outputs for every step. A language model's are those after the last.
    n_features, n_outputs : int
        Columns of the input, those of the embedding for tokens; columns of the output.
    layers : tuple of tuple of str
        For each layer the name of each direction: ("layer0", "layer0.reverse").
    units : tuple of int
        Of each layer, in one direction.
    window : int
        Steps that the first layer of an ffnn sees; 0 for other cells.
    head : {"linear", "tied", "adaptive"}
        The output layer; see `heads.py`.
    weights : dict of str to ndarray
        By the names of `weights_`.
    vocabulary : Vocabulary or None
        Of tokens.
    classes : ndarray or None
        The label of each output, for "classes".
    result : dtype
        Of predicted numbers.
    """

    estimator: str
    cell: str
    task: str
    step: bool
    n_features: int
    n_outputs: int
    layers: tuple[tuple[str, ...], ...]
    units: tuple[int, ...]
    window: int
    head: str
    weights: dict[str, np.ndarray]
    vocabulary: Vocabulary | None
    classes: np.ndarray | None
    result: np.dtype

    @property
    def bidirectional(self) -> bool:
        """Whether each layer reads from both ends."""
        return len(self.layers[0]) == 2

    @property
    def recurrent(self) -> bool:
        """Whether there are states."""
        return not self.window


def summarize(estimator: Any) -> Summary:
    """Describe a fitted estimator.

    Raises
    ------
    TypeError
        If `estimator` is no estimator of this package, such as a Pipeline around one.
    NotFittedError
        If it was not fitted.
    """
    check_estimator(estimator)
    check_is_fitted(estimator)
    model = estimator._model
    architecture, targets, network = model.architecture, model.targets, model.network
    sizes = tuple(architecture["hidden_layer_sizes"])
    return Summary(
        estimator=type(estimator).__name__,
        cell=network.cell,
        task=_task(targets),
        step=targets is not None and network.target == "step",
        n_features=architecture["n_features"],
        n_outputs=architecture["n_outputs"],
        layers=tuple(tuple(layer.name for layer in level) for level in network.levels),
        units=sizes,
        window=0 if network.recurrent else network.window,
        head=architecture.get("head", "linear"),
        weights=network.arrays(),
        vocabulary=model.vocabulary,
        classes=getattr(targets, "classes_", None) if _task(targets) == "classes" else None,
        result=np.dtype(getattr(targets, "result", network.dtype)),
    )


def _task(targets: Any) -> str:
    """Return what a model's targets make of its outputs."""
    if targets is None:
        return "language"
    if targets.is_multilabel:
        return "labels"
    return "classes" if hasattr(targets, "classes_") else "numbers"

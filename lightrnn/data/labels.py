"""Labels to predict: checked and encoded for the losses, decoded for the user.

`ClassTargets` turns labels into codes, `MultilabelTargets` 0/1 indicators into floats; `class_targets` learns from y
which it is.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..utils.checks import shown
from .arrays import as_numbers, complex_found, is_missing
from .ragged import as_values, check_finite, read
from .targets import Targets, flat_with_warning


def _labels(rows: np.ndarray, name: str) -> np.ndarray:
    """Return rows of labels that can be compared: numbers, text or bytes; no missing or continuous ones."""
    kind = rows.dtype.kind
    if kind == "O":
        rows = _object_labels(rows, name)
    elif kind == "c":
        raise ValueError(complex_found(name))
    elif kind not in "biufUS":
        raise ValueError(
            f"Unknown label type: {name} must be integers or text, got dtype {rows.dtype}. Convert them."
        )
    if rows.dtype.kind == "f":
        check_finite(rows, np.float64, name)
        if (rows != np.floor(rows)).any():
            raise ValueError(
                f"Unknown label type: continuous. {name} must be class labels, got the number "
                f"{rows[rows != np.floor(rows)][0]}. Use RNNRegressor for continuous targets."
            )
    return rows


def _object_labels(rows: np.ndarray, name: str) -> np.ndarray:
    """Return object labels as they are if all are text, as numbers if all are numbers."""
    values = rows.ravel().tolist()
    missing = [i for i, value in enumerate(values) if is_missing(value)]
    if missing:
        raise ValueError(
            f"{name} must have no missing labels, got {values[missing[0]]} in row {missing[0]}. Drop it."
        )
    if all(isinstance(value, str) for value in values):
        return rows
    if all(isinstance(value, (bool, int, float, np.number, np.bool_)) for value in values):
        return (
            as_numbers(rows, name)
            if any(isinstance(v, (float, np.floating)) for v in values)
            else _integers(rows)
        )
    kinds = sorted({type(value).__name__ for value in values})
    raise ValueError(
        f"Unknown label type: {name} must be all integers or all text, got {kinds}. Convert them."
    )


def _integers(rows: np.ndarray) -> np.ndarray:
    """Convert objects that are all whole numbers; ints beyond 64 bits stay objects."""
    return np.array(rows.tolist())


@dataclass(frozen=True, eq=False)
class ClassTargets(Targets):
    """Labels of two classes or more, one code each.

    Attributes
    ----------
    classes_ : ndarray, shape (n_outputs,)
        The labels, sorted; code c stands for `classes_[c]`.
    step : bool
        Whether there is a label for every step.

    Examples
    --------
    >>> targets = ClassTargets(np.array(["no", "yes"]))
    >>> targets.encode(["yes", "no", "yes"], np.array([4, 2, 9]))
    array([1, 0, 1])
    >>> targets.decode(np.array([[0.3, -1.0]]))
    array(['no'], dtype='<U3')
    """

    classes_: np.ndarray
    step: bool = False

    @property
    def n_outputs(self) -> int:
        """The number of classes."""
        return len(self.classes_)

    def _encoded(self, rows: np.ndarray, name: str) -> np.ndarray:
        if rows.ndim != 1:
            raise ValueError(
                f"{name} must be one label a row, got {shown(rows)}. Give a 1-D array of labels."
            )
        labels = _labels(rows, name)
        if _family(labels) != _family(self.classes_):
            raise ValueError(
                f"{name} must hold labels of {self._listed()}, got {_family(labels)}. Convert them."
            )
        codes = np.minimum(np.searchsorted(self.classes_, labels), len(self.classes_) - 1)
        unseen = np.flatnonzero(self.classes_[codes] != labels)
        if len(unseen):
            raise ValueError(
                f"{name} must hold labels of {self._listed()}, got {shown(labels[unseen[0]])} in row {unseen[0]}. "
                "Name every class in the first call, or fit anew."
            )
        return codes

    def decode_row(self, output: np.ndarray) -> Any:
        """Turn one raw output (n_outputs,) into a label."""
        return self.classes_[output.argmax()]

    def _decoded(self, rows: np.ndarray) -> np.ndarray:
        return self.classes_[rows.argmax(axis=-1)]

    def _listed(self) -> str:
        """Return the classes for a message."""
        return f"the classes {shown(self.classes_.tolist())}"


def _family(labels: np.ndarray) -> str:
    """Return what kind of labels can be compared with these."""
    return {
        "U": "text",
        "O": "text" if isinstance(labels.flat[0], str) else "numbers",
        "S": "bytes",
    }.get(labels.dtype.kind, "numbers")


@dataclass(frozen=True, eq=False)
class MultilabelTargets(Targets):
    """Binary indicators: any number of n_outputs labels at once.

    Examples
    --------
    >>> targets = MultilabelTargets(2)
    >>> targets.encode([[1, 0], [1, 1]], np.array([4, 2]))
    array([[1., 0.],
           [1., 1.]], dtype=float32)
    >>> targets.decode(np.array([[0.3, -1.0]]))
    array([[1, 0]])
    """

    n_outputs: int
    step: bool = False
    is_multilabel = True

    @property
    def classes_(self) -> np.ndarray:
        """The labels' numbers, 0 to n_outputs - 1."""
        return np.arange(self.n_outputs)

    def _encoded(self, rows: np.ndarray, name: str) -> np.ndarray:
        numbers = _labels(rows, name)
        if numbers.shape[1:] != (self.n_outputs,) or not _is_indicator(numbers):
            raise ValueError(
                f"Unknown label type: {name} must be 0/1 indicators with {self.n_outputs} columns, got {shown(rows)}. "
                "Give one column a label."
            )
        return numbers.astype(np.float32)

    def _decoded(self, rows: np.ndarray) -> np.ndarray:
        return (rows > 0).astype(np.int64)


def _is_indicator(labels: np.ndarray) -> bool:
    """Whether an array holds nothing but 0 and 1."""
    return labels.dtype.kind in "biuf" and bool(((labels == 0) | (labels == 1)).all())


def class_targets(
    y: Any, lengths: np.ndarray, *, step: bool = False, classes: Any = None, name: str = "y"
) -> ClassTargets | MultilabelTargets:
    """Learn from y what a classifier predicts.

    Parameters
    ----------
    y : array-like
        As in `as_values`: labels (n,), or 0/1 indicators (n, k); with `step` lists of those.
    lengths : ndarray of int64, shape (n,)
        The sequences' lengths.
    step : bool
        Whether there is a label for every step.
    classes : array-like, optional
        All labels, when y need not hold each of them.
    name : str
        What messages call y.

    Raises
    ------
    ValueError
        If y is continuous, of several columns that are no indicators, holds NaN or fewer than two classes, or a label
        outside `classes`.
    TypeError
        If labels mix text and numbers.

    Examples
    --------
    >>> class_targets(["b", "a"], np.array([5, 7])).classes_
    array(['a', 'b'], dtype='<U1')
    """
    rows = flat_with_warning(as_values(y, lengths, step, name), name)
    labels = _labels(rows, name)
    if labels.ndim == 2:
        if not _is_indicator(labels):
            raise ValueError(
                f"Unknown label type: multiclass-multioutput. {name} must be labels (n,) or 0/1 indicators (n, k), got "
                f"{shown(rows)}. Fit one classifier a column instead."
            )
        return MultilabelTargets(labels.shape[1], step)
    if classes is None:
        return ClassTargets(_classes(labels, name), step)
    targets = ClassTargets(
        _classes(_labels(read(classes, "classes").ravel(), "classes"), "classes"), step
    )
    targets._encoded(labels, name)
    return targets


def _classes(labels: np.ndarray, name: str) -> np.ndarray:
    """Return the sorted labels, at least two."""
    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError(
            f"{name} must hold at least two classes, got {len(classes)} class: {shown(classes.tolist())}. "
            "A classifier needs examples of each."
        )
    return classes

"""Labels to predict: checked and encoded for the losses, decoded for the user.

`ClassTargets` turns labels into codes, `MultilabelTargets` 0/1 indicators into floats;
`read_labels` finds out from y which of them it needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from ..exceptions import warn
from ..metrics import accuracy
from ..utils.checks import shown
from .arrays import as_numbers, complex_found, is_missing
from .base_targets import Targets, flat_with_warning
from .ragged import Values, as_values, check_finite, pool, read

if TYPE_CHECKING:
    from ..losses import Loss

_UNKNOWN_TYPE = "Unknown label type"  # the words that scikit-learn's own checks look for


def _labels(values: np.ndarray, name: str) -> np.ndarray:
    """Return labels that can be compared: numbers, text or bytes; none missing or continuous."""
    kind = values.dtype.kind
    if kind == "O":
        values = _object_labels(values, name)
    elif kind == "c":
        raise ValueError(complex_found(name))
    elif kind not in "biufUS":
        raise ValueError(
            f"{_UNKNOWN_TYPE}: {name} must be integers or text, got dtype {values.dtype}. "
            "Convert them."
        )
    # Whole floats are labels, as in scikit-learn; other floats are targets of a regressor.
    if values.dtype.kind == "f":
        check_finite(values, np.float64, name)
        continuous = values != np.floor(values)
        if continuous.any():
            raise ValueError(
                f"{_UNKNOWN_TYPE}: continuous. {name} must be class labels, got the number "
                f"{values[continuous][0]}. Use RNNRegressor for continuous targets."
            )
    return values


def _object_labels(values: np.ndarray, name: str) -> np.ndarray:
    """Return objects as they are if all are text, as numbers if all are numbers."""
    items = values.ravel().tolist()
    for row, item in enumerate(items):
        if is_missing(item):
            raise ValueError(
                f"{name} must have no missing labels, got {item} in row {row}. Drop it."
            )
    if all(isinstance(item, str) for item in items):
        return values
    if all(isinstance(item, (bool, int, float, np.number, np.bool_)) for item in items):
        if any(isinstance(item, (float, np.floating)) for item in items):
            return as_numbers(values, name)
        # Integers of more than 64 bits stay objects.
        return np.array(values.tolist())
    kinds = sorted({type(item).__name__ for item in items})
    raise ValueError(
        f"{_UNKNOWN_TYPE}: {name} must be all integers or all text, got {kinds}. Convert them."
    )


class LabelTargets(Targets):
    """The methods that both kinds of labels share.

    Attributes
    ----------
    classes_ : ndarray, shape (n_outputs,)
        The label that each output stands for.
    """

    classes_: np.ndarray

    def score(self, outputs: np.ndarray, encoded: np.ndarray, weights: np.ndarray) -> float:
        """Return the accuracy for raw outputs."""
        return self.compare(encoded, self._predicted(outputs), weights)

    def compare(self, truth: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> float:
        """Return the accuracy; a multilabel row counts if all its labels are right."""
        right = predicted == truth
        return accuracy(right if right.ndim == 1 else right.all(axis=1), weights)

    def _predicted(self, outputs: np.ndarray) -> np.ndarray:
        """Return encoded predictions for raw outputs (N, k)."""
        raise NotImplementedError


@dataclass(eq=False, repr=False)
class ClassTargets(LabelTargets):
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
    >>> targets.read(["yes", "no", "yes"], np.array([4, 2, 9]))
    array([1, 0, 1])
    >>> targets.decode(np.array([[0.3, -1.0]]))
    array(['no'], dtype='<U3')
    """

    classes_: np.ndarray
    step: bool = False

    @property
    def n_outputs(self) -> int:  # type: ignore[override]
        """The number of classes."""
        return len(self.classes_)

    def loss(self, **arguments: Any) -> Loss:
        """Return the cross-entropy of a softmax."""
        from ..losses import make_loss

        return make_loss("softmax")

    def require_enough(self, encoded: Values, weights: Values) -> None:
        """Raise a ValueError unless two classes or more have a positive weight."""
        weighted = pool(encoded)[pool(weights) > 0]
        if len(np.unique(weighted)) < 2:
            raise ValueError(
                "y must hold at least two classes with a positive weight, got fewer: one class or "
                "none is left. Check sample_weight and class_weight."
            )

    def _encoded(self, labels: np.ndarray, name: str) -> np.ndarray:
        """Return the code of each label."""
        # A label greater than all classes would get a code beyond the last one.
        codes = np.minimum(np.searchsorted(self.classes_, labels), len(self.classes_) - 1)  # (N,)
        unseen = np.flatnonzero(self.classes_[codes] != labels)
        if len(unseen):
            row = unseen[0]
            raise ValueError(
                f"{name} must hold labels of {self._listed()}, got {shown(labels[row])} in row "
                f"{row}. Name every class in the first call, or fit anew."
            )
        return codes

    # Overrides the base for speed: a stream decodes one row per step.
    def decode_row(self, output: np.ndarray) -> Any:
        """Return the label that one raw output (k,) predicts."""
        return self.classes_[output.argmax()]

    def _checked(self, values: np.ndarray, name: str) -> np.ndarray:
        if values.ndim != 1:
            raise ValueError(
                f"{name} must be one label a row, got {shown(values)}. Give a 1-D array of labels."
            )
        labels = _labels(values, name)
        # Comparing text with numbers would find every label unknown, or raise an error of NumPy's.
        if _family(labels) != _family(self.classes_):
            raise ValueError(
                f"{name} must hold labels of {self._listed()}, got {_family(labels)}. Convert them."
            )
        return labels

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Return the most probable labels for raw outputs (N, k)."""
        return self.classes_[self._predicted(outputs)]

    def _predicted(self, outputs: np.ndarray) -> np.ndarray:
        return outputs.argmax(axis=1)

    def _listed(self) -> str:
        """Return the classes for a message."""
        return f"the classes {shown(self.classes_.tolist())}"


def _family(labels: np.ndarray) -> str:
    """Return the kind of labels that can be compared with these."""
    if labels.dtype.kind == "S":
        return "bytes"
    # NumPy's text is a str too.
    return "text" if isinstance(labels.flat[0], str) else "numbers"


@dataclass(eq=False, repr=False)
class MultilabelTargets(LabelTargets):
    """Binary indicators: any number of n_outputs labels at once.

    Attributes
    ----------
    n_outputs : int
        Number of labels.
    step : bool
        Whether there are labels for every step.

    Examples
    --------
    >>> targets = MultilabelTargets(2)
    >>> targets.read([[1, 0], [1, 1]], np.array([4, 2]))
    array([[1., 0.],
           [1., 1.]], dtype=float32)
    >>> targets.decode(np.array([[0.3, -1.0]]))
    array([[1, 0]])
    """

    n_outputs: int
    step: bool = False
    is_multilabel = True

    @property
    def classes_(self) -> np.ndarray:  # type: ignore[override]
        """The numbers of the labels, 0 to n_outputs - 1."""
        return np.arange(self.n_outputs)

    def loss(self, **arguments: Any) -> Loss:
        """Return the cross-entropy of one sigmoid per label."""
        from ..losses import make_loss

        return make_loss("sigmoid")

    def _checked(self, values: np.ndarray, name: str) -> np.ndarray:
        numbers = _labels(values, name)
        if numbers.shape[1:] != (self.n_outputs,) or not _is_indicator(numbers):
            raise ValueError(
                f"{_UNKNOWN_TYPE}: {name} must be 0/1 indicators with {self.n_outputs} columns, "
                f"got {shown(values)}. Give one column a label."
            )
        return numbers

    def _encoded(self, values: np.ndarray, name: str) -> np.ndarray:
        return values.astype(np.float32)

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Return 0/1 indicators for raw outputs (N, k)."""
        return self._predicted(outputs).astype(np.int64)

    def _predicted(self, outputs: np.ndarray) -> np.ndarray:
        # Raw outputs above 0 are probabilities above 1/2.
        return outputs > 0


def _is_indicator(labels: np.ndarray) -> bool:
    """Return whether an array holds nothing but 0 and 1."""
    return labels.dtype.kind in "biuf" and bool(((labels == 0) | (labels == 1)).all())


def read_labels(
    y: Any, lengths: np.ndarray, *, step: bool = False, classes: Any = None, name: str = "y"
) -> tuple[ClassTargets | MultilabelTargets, Values]:
    """Read a classifier's y: learn its classes, and encode it.

    Parameters
    ----------
    y : array-like
        As in `ragged.as_values`: labels (n,), or 0/1 indicators (n, k); with `step` lists of those.
    lengths : ndarray of int64, shape (n,)
        Lengths of the sequences.
    step : bool, default=False
        Whether there is a label for every step.
    classes : array-like, optional
        All labels, where y need not hold each of them.
    name : str, default="y"
        Name of y in messages.

    Returns
    -------
    targets : ClassTargets or MultilabelTargets
    encoded : ndarray or list of ndarray
        Codes of the classes, or indicators.

    Raises
    ------
    ValueError
        If y is continuous, has several columns that are not indicators, holds NaN or fewer than two
        classes, or a label outside `classes`.
    TypeError
        If labels mix text and numbers.

    Examples
    --------
    >>> targets, codes = read_labels(["b", "a"], np.array([5, 7]))
    >>> targets.classes_, codes
    (array(['a', 'b'], dtype='<U1'), array([1, 0]))
    """
    values = flat_with_warning(as_values(y, lengths, step, name), name)
    labels = _labels(values, name)
    if labels.ndim == 2:  # a single column was made flat
        if not _is_indicator(labels):
            raise ValueError(
                f"{_UNKNOWN_TYPE}: multiclass-multioutput. {name} must be labels (n,) or 0/1 "
                f"indicators (n, k), got {shown(labels)}. Fit one classifier a column, or "
                "use target='step' if there is one label per step."
            )
        if not step and labels.shape[1] > 1 and (lengths == labels.shape[1]).all():
            warn(
                UserWarning,
                f"{name} has as many columns as X has steps: with target='sequence' they are "
                f"{labels.shape[1]} labels of the whole sequence. Use target='step' if there is "
                "one label per step.",
            )
        indicators = MultilabelTargets(labels.shape[1], step)
        return indicators, indicators.arranged(indicators._encoded(labels, name), lengths)
    if classes is None:
        targets = ClassTargets(_classes(labels, name), step)
    else:
        listed = read(classes, "classes", "Give a list of all labels.")
        named = _labels(listed.ravel(), "classes")
        targets = ClassTargets(_classes(named, "classes"), step)
        targets._checked(labels, name)  # text or numbers, as the classes are
    return targets, targets.arranged(targets._encoded(labels, name), lengths)


def _classes(labels: np.ndarray, name: str) -> np.ndarray:
    """Return the sorted labels, at least two."""
    with cpu.once.MAKING:  # its first call imports numpy.ma
        classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError(
            f"{name} must hold at least two classes, got {len(classes)} class: "
            f"{shown(classes.tolist())}. A classifier needs examples of each."
        )
    return classes

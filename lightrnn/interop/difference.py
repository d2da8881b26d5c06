"""The outputs of a converted network beside those that its framework gave."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..data.arrays import as_numbers
from ..data.ragged import Values, pool
from ..estimators import RNNRegressor
from ..losses import sigmoid, softmax
from ..utils.checks import shown
from .building import Converted
from .foreign import as_array

# Two float32 libraries differ by some 1e-6 of the largest output; another function by far more.
_TOLERANCE = 1e-4
_SMALLEST = 1e-6


class Difference(NamedTuple):
    """How far a network's outputs are from the expected ones, in the form that is nearest to them.

    Attributes
    ----------
    here, there : ndarray of shape (N, k)
        The converted network's and the framework's outputs, of all sequences or steps.
    lengths : ndarray of int64, shape (n,)
        Steps of each sequence.
    step : bool
        Whether there are outputs for every step.
    tolerance : float
        Differences from which on they disagree.
    """

    here: np.ndarray
    there: np.ndarray
    lengths: np.ndarray
    step: bool
    tolerance: float

    @property
    def by_row(self) -> np.ndarray:
        """The greatest difference of each row."""
        return np.abs(self.here - self.there).max(axis=1)

    @property
    def agrees(self) -> bool:
        """Whether no difference is greater than the tolerance."""
        return bool((self.by_row <= self.tolerance).all())

    def described(self) -> str:
        """Return the greatest difference, and where differences begin, for a message."""
        differences = self.by_row
        row = int(differences.argmax())
        column = int(np.abs(self.here[row] - self.there[row]).argmax())
        wrong = np.flatnonzero(differences > self.tolerance)
        if self.step:
            begin = f"They begin at {self._place(wrong[self._steps[wrong].argmin()])}."
        else:
            shortest = wrong[self.lengths[wrong].argmin()]
            begin = (
                f"They begin with {self._place(shortest)} of {self.lengths[shortest]} steps, the "
                "shortest that differs."
            )
        return (
            f"the difference {differences[row]:.2g} at {self._place(row)}, output {column}: "
            f"{self.here[row, column]:.6g} instead of {self.there[row, column]:.6g}. {begin}"
        )

    @property
    def _steps(self) -> np.ndarray:
        """The step of each row."""
        return np.concatenate([np.arange(T) for T in self.lengths])

    def _place(self, row: int) -> str:
        """Return the sequence of a row, and its step."""
        if not self.step:
            return f"sequence {row}"
        sequence = int(np.searchsorted(np.cumsum(self.lengths), row, side="right"))
        return f"sequence {sequence}, step {self._steps[row]}"


def difference(converted: Converted, check: Any) -> Difference:
    """Return how far a converted network is from what its framework gave.

    Parameters
    ----------
    converted : Converted
        The network.
    check : tuple of (X, outputs)
        Inputs of the framework's network, and its outputs; see `from_torch`.

    Raises
    ------
    ValueError, TypeError
        If they do not fit each other or the network.
    """
    if not isinstance(check, (tuple, list)) or len(check) != 2:
        raise TypeError(
            f"check must be a pair (X, outputs), got {shown(check)}. "
            "Give inputs, and what the framework's model returned for them."
        )
    X, outputs = map(_arrays, check)
    raw, lengths = _raw(converted, X)
    step = isinstance(raw, list)
    here = _in_source_order(converted, pool(raw).astype(np.float64))
    if step and _are_last(outputs, lengths, here.shape[1]):
        here = here[np.cumsum(lengths) - 1]
        step = False
    there = _rows(outputs, lengths, here.shape[1], step)
    if not np.isfinite(there).all():
        raise ValueError(
            "check's outputs must be finite, got NaN or infinity. Give the outputs before a "
            "logarithm, or another X."
        )
    relative = max(_TOLERANCE, 4 * _precision(check[1]))
    found = [
        Difference(ours, theirs, lengths, step, relative * np.abs(theirs).max() + _SMALLEST)
        for ours, theirs in _forms(converted.estimator, here, there)
    ]
    return min(found, key=lambda one: float((one.by_row / one.tolerance).max()))


def _arrays(values: Any) -> Any:
    """Return tensors as arrays, also those in a list."""
    if isinstance(values, (list, tuple)):
        return [_arrays(value) if hasattr(value, "shape") else value for value in values]
    return as_array(values) if hasattr(values, "__array__") else values


def _precision(outputs: Any) -> float:
    """Return the rounding of the outputs' type, of an array or tensor or of a list of them."""
    first = outputs[0] if isinstance(outputs, (list, tuple)) and len(outputs) else outputs
    name = str(getattr(first, "dtype", "")).rpartition(".")[2]  # "torch.float16" is one too
    return {"float16": 2.0**-10, "bfloat16": 2.0**-7}.get(name, 0.0)


def _raw(converted: Converted, X: Any) -> tuple[Values, np.ndarray]:
    """Return the converted network's outputs before any softmax, and the lengths of sequences."""
    estimator = converted.estimator
    model = estimator._fitted()
    if model.vocabulary is None:
        sequences = estimator._read_sequences(model, X)
    else:
        sequences = [_codes(converted, item, i) for i, item in enumerate(X)]
    _, values = estimator._computed(model, sequences, "outputs", "check[0]")
    return values, np.array([len(x) for x in sequences], np.int64)


def _codes(converted: Converted, item: Any, index: int) -> np.ndarray:
    """Return one sequence of tokens, or of rows of the source's embedding, in our codes."""
    vocabulary = converted.estimator._model.vocabulary
    rows = np.asarray(item)
    if converted.padded and rows.dtype.kind in "iu":
        rows = rows[rows != 0]
    if rows.dtype.kind in "OU":
        codes: np.ndarray = vocabulary.encode(item if isinstance(item, str) else rows.tolist())
        return codes
    of_row = {row: code for code, row in enumerate(converted.rows)}
    if rows.ndim != 1 or not len(rows) or not all(row in of_row for row in rows.tolist()):
        raise ValueError(
            f"check[0][{index}] must hold rows of the source's embedding, or tokens of the "
            f"vocabulary, got {shown(item)}. Give what the source's model reads."
        )
    return np.array([of_row[row] for row in rows.tolist()], np.int64)


def _in_source_order(converted: Converted, raw: np.ndarray) -> np.ndarray:
    """Return raw outputs as the source has them."""
    kept = converted.outputs >= 0
    source = np.empty((len(raw), kept.sum()))
    source[:, converted.outputs[kept]] = raw[:, kept]
    return source


def _columns(k: int) -> tuple[int, ...]:
    """Return how many columns the framework's outputs may have; two may be a single logit."""
    return (2, 1) if k == 2 else (k,)


def _are_last(outputs: Any, lengths: np.ndarray, k: int) -> bool:
    """Whether a framework gave outputs at the last step alone, rather than for every step."""
    size = sum(map(np.size, outputs))
    of_steps = [int(lengths.sum()) * columns for columns in _columns(k)]
    return size not in of_steps and size in [len(lengths) * columns for columns in _columns(k)]


def _rows(outputs: Any, lengths: np.ndarray, k: int, step: bool) -> np.ndarray:
    """Return the framework's outputs as one array (N, k), or (N, 1) of a single logit."""
    if step and (isinstance(outputs, list) or np.ndim(outputs) > 2):
        if len(outputs) == len(lengths):  # the shorter sequences may be filled up
            outputs = np.concatenate(
                [np.asarray(one)[:T].reshape(-1) for one, T in zip(outputs, lengths, strict=True)]
            )
    array = as_numbers(np.asarray(outputs), "check's outputs").astype(np.float64)
    N = int(lengths.sum()) if step else len(lengths)
    for columns in _columns(k):
        if array.size == N * columns:
            return array.reshape(N, columns)
    raise ValueError(
        f"check's outputs must be {k} for each of {N} {'steps' if step else 'sequences'}, got "
        f"{shown(outputs)}. Give what the framework's model returned for the X of check."
    )


def _forms(
    estimator: Any, here: np.ndarray, there: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield both outputs in each form that a framework may give: raw, or as probabilities."""
    targets = estimator._model.targets  # None for a language model
    if there.shape[1] < here.shape[1]:  # a single logit z, whose two outputs here are 0 and z
        here = here[:, 1:] - here[:, :1]
        yield here, there
        yield sigmoid(here), there
    elif isinstance(estimator, RNNRegressor):
        yield here, there
    elif targets is not None and targets.is_multilabel:
        yield here, there
        yield sigmoid(here), there
    else:
        # A logarithm of probabilities differs from the raw outputs by a constant for each row.
        yield _centred(here), _centred(there)
        yield softmax(here), there


def _centred(rows: np.ndarray) -> np.ndarray:
    """Return rows less their means."""
    return rows - rows.mean(axis=1, keepdims=True)

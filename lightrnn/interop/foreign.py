"""A trained network of another framework in lightrnn's form, and its weights by the source's names.

`torch` and `keras` take each weight once from a `SourceWeights` and return a `ForeignNetwork`.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..cells import CELLS
from ..nn.state_dict import TORCH_CELLS, Direction
from ..utils.archive import Arrays
from ..utils.checks import shown

Shape = tuple[int | None, ...]

# PyTorch and Keras have the same cells, each with another number of gates. The number is looked up
# among these alone, so that a new cell of ours with three gates is not taken for a GRU.
_BY_GATES = {len(CELLS[name].gates): name for name in TORCH_CELLS}
# "lstm", "lstm2", "lstm_2" and "lstm.2". Nine digits at most: int() is slow on very long numbers.
_NUMBERED = re.compile(r"(.*?)[._]?(\d{1,9})?")
MOST_LISTED = 8  # names in an error message
SAVE_WEIGHTS = "Save the weights by themselves: torch.save(model.state_dict(), path)."
# Remedies for weights that nothing takes, by the number of their axes.
_VECTORS = (
    "Weights of one axis belong to a normalisation (LayerNorm, BatchNorm), which is not computed "
    "here: train the model without it. If they belong to a loss, leave them out."
)
NO_RECURRENT = (
    "Its weights have names that end with weight_ih_l0 and weight_hh_l0, as those of nn.LSTM, "
    "nn.GRU and nn.RNN do, or lie below cell/vars in a file of Keras."
)
ONE_LINEAR = (
    "Linear layers are computed here that follow each other after the recurrent ones, with one "
    "activation between them: the first reads the last states, and each next one what the one "
    "before gives."
)


class UnsupportedError(ValueError):
    """A file is intact but holds something that is not read here; the message is for the user."""


class Affine(NamedTuple):
    """A function of columns: ``x @ W + b``."""

    W: np.ndarray  # (m, n)
    b: np.ndarray  # (n,)

    def then(self, W: np.ndarray, b: np.ndarray) -> Affine:
        """Return this function and another after it as one."""
        return Affine(self.W @ W, self.b @ W + b)


class Level(NamedTuple):
    """One recurrent layer: its cell, and its forward direction or both."""

    cell: str  # a key of `CELLS`
    directions: tuple[Direction, ...]

    @property
    def n_features(self) -> int:
        """Columns of the input."""
        return len(self.directions[0].W_ih)

    @property
    def units(self) -> int:
        """Units of one direction."""
        return len(self.directions[0].W_hh)

    @property
    def width(self) -> int:
        """Columns of the output: the units of all directions."""
        return self.units * len(self.directions)


class ForeignNetwork(NamedTuple):
    """A network of another framework, in our form.

    Attributes
    ----------
    levels : list of Level
        The recurrent layers from first to last.
    W : ndarray of shape (D, k) or None
        The last linear layer's matrix; None where it is the embedding's.
    b : ndarray of shape (k,)
        The last linear layer's bias.
    embedding : ndarray of shape (V, E) or None
        One row per token.
    activation : {"linear", "softmax", "sigmoid"} or None
        The function applied to the outputs, where the source says so.
    target : {"sequence", "step"} or None
        Whether there is one output per sequence or per step, where the source says so.
    attention : ndarray of shape (D,) or None
        The query of attention, where the source pools by it.
    pooling : {"last", "mean", "max"} or None
        Which states the output layer reads, where the source or the user says so.
    folded : tuple of str
        Names of the source's modules that were put into the weights of others.
    padded : bool
        Whether the embedding's first row stands for padding, which the source leaves out.
    hidden : tuple of Affine
        The linear layers between the recurrent ones and the last one.
    head_activation : {"relu", "tanh", "sigmoid", "gelu"} or None
        The function after each of these, where the source or its check says so.
    """

    levels: list[Level]
    W: np.ndarray | None
    b: np.ndarray
    embedding: np.ndarray | None
    activation: str | None = None
    target: str | None = None
    attention: np.ndarray | None = None
    pooling: str | None = None
    padded: bool = False
    folded: tuple[str, ...] = ()
    hidden: tuple[Affine, ...] = ()
    head_activation: str | None = None

    @property
    def cell(self) -> str:
        """The cell of all layers."""
        return self.levels[0].cell

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each layer, in one direction."""
        return tuple(level.units for level in self.levels)

    @property
    def bidirectional(self) -> bool:
        """Whether every layer reads from both ends."""
        return len(self.levels[0].directions) == 2

    @property
    def n_features(self) -> int:
        """Columns of the first layer's input."""
        return self.levels[0].n_features

    def layers(self) -> Arrays:
        """Return the arrays of all layers but the last by our names."""
        arrays: Arrays = {}
        for number, level in enumerate(self.levels):
            names = (f"layer{number}", f"layer{number}.reverse")
            for name, direction in zip(names, level.directions, strict=False):
                arrays |= direction_arrays(level.cell, name, direction)
        if self.attention is not None:
            arrays["attention.w"] = self.attention
        for number, layer in enumerate(self.hidden):
            arrays |= {f"head{number}.W": layer.W, f"head{number}.b": layer.b}
        return arrays


def direction_arrays(cell: str, name: str, direction: Direction) -> Arrays:
    """Return a direction's arrays by our names."""
    arrays = {f"{name}.W_ih": direction.W_ih, f"{name}.W_hh": direction.W_hh}
    if CELLS[cell].two_biases:
        return arrays | {f"{name}.b_ih": direction.b_ih, f"{name}.b_hh": direction.b_hh}
    return arrays | {f"{name}.b": direction.b_ih + direction.b_hh}  # the gates see the sum alone


class SourceWeights:
    """A source's arrays, each taken once by its name.

    An array that is missing, misshapen or left over is an error that names it.

    Parameters
    ----------
    arrays : mapping of str to array-like
        Tensors of torch, or anything else that NumPy reads.
    """

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self.arrays = dict(arrays)
        self.left = dict.fromkeys(self.arrays)  # names that nothing has taken

    def names(self, pattern: str) -> list[re.Match[str]]:
        """Return the full matches of a pattern among the names."""
        return [match for name in self.arrays if (match := re.fullmatch(pattern, name))]

    def __contains__(self, name: str) -> bool:
        """Whether there is an array of this name."""
        return name in self.arrays

    def shape(self, name: str, axes: int) -> tuple[int, ...]:
        """Return the shape of an array that must exist and have this many axes, none empty."""
        if name not in self.arrays:
            raise missing(self.arrays, name)
        shape = tuple(np.shape(self.arrays[name]))
        if len(shape) != axes or 0 in shape:
            raise ValueError(
                f"source[{shown(name)}] must have {axes} axes, none empty, got shape {shape}."
            )
        return shape

    def take(self, name: str, shape: Shape) -> np.ndarray:
        """Return an array of floating-point numbers; None in `shape` allows any length."""
        found = self.shape(name, len(shape))
        pairs = zip(shape, found, strict=True)
        if any(wanted not in (None, length) for wanted, length in pairs):
            wanted = str(shape).replace("None", "any")
            raise ValueError(
                f"source[{shown(name)}] must have shape {wanted}, got {found}. "
                "It does not fit the other layers."
            )
        self.left.pop(name, None)
        return as_floats(self.arrays[name], f"source[{shown(name)}]")

    def take_or_zeros(self, name: str, length: int) -> np.ndarray:
        """Return a bias of this length, or zeros if the layer has none."""
        return self.take(name, (length,)) if name in self else np.zeros(length)

    def finish(self) -> None:
        """Refuse weights that nothing has taken."""
        if self.left:
            axes = {np.ndim(self.arrays[name]) for name in self.left}
            remedies = {
                1: _VECTORS,
                2: f"{ONE_LINEAR} Leave out weights that do not belong to the network.",
            }
            raise ValueError(
                "source must hold nothing but recurrent layers, linear layers and an embedding, "
                f"got also {listed(self.left)}. "
                + remedies.get(max(axes), "lightrnn computes no other layers.")
            )


def as_array(value: Any) -> np.ndarray:
    """Return a tensor or array-like as an array."""
    # A tensor of torch is read through its own methods, so that torch need not be imported.
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if "bfloat16" in str(value.dtype):  # NumPy has no such type
            value = value.float()
    array = np.asarray(value)
    # bfloat16 is also an extension type for NumPy (ml_dtypes), whose kind is not "f".
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def as_floats(value: Any, name: str) -> np.ndarray:
    """Return finite floating-point numbers; biases, which are added to others, as float64."""
    array = as_array(value)
    if array.dtype.kind != "f":
        raise ValueError(
            f"{name} must hold floating-point numbers, got dtype {array.dtype}. "
            "Convert quantised weights back first."
        )
    if not np.isfinite(array).all():
        raise ValueError(
            f"{name} must be finite, got NaN or infinity. "
            "The model has diverged; take an earlier one."
        )
    # A matrix is copied into the network as it is, not into a larger one before.
    return array.astype(np.float64) if array.ndim == 1 else array


def doubles(arrays: Mapping[str, Any], name: str) -> np.ndarray:
    """Return an array that must be there as numbers of 64 bits."""
    if name not in arrays:
        raise missing(arrays, name)
    return np.asarray(as_floats(arrays[name], f"source[{shown(name)}]"), np.float64)


def missing(arrays: Mapping[str, Any], name: str) -> ValueError:
    """Return the error about an array that is not there."""
    return ValueError(
        f"source must hold the weight {shown(name)}, got {listed(arrays)}. "
        "Give all weights, under the names that they have in the model."
    )


def normalization(
    mean: np.ndarray, variance: np.ndarray, epsilon: float, gain: Any = 1.0, shift: Any = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and shift of each column by a BatchNorm that no longer learns."""
    scale = gain / np.sqrt(variance + epsilon)
    return scale, shift - mean * scale


def listed(names: Iterable[str]) -> str:
    """Return names for a message, the first few of many."""
    first = heapq.nsmallest(MOST_LISTED + 1, names)
    listed = [shown(name) for name in first[:MOST_LISTED]]
    return ", ".join([*listed, *["..."] * (len(first) > MOST_LISTED)]) or "nothing"


def cell_of(name: str, units: int, columns: int) -> str:
    """Return the cell whose recurrent matrix `name` has as many columns: G gates of H units."""
    if columns % units or columns // units not in _BY_GATES:
        raise ValueError(
            f"source[{shown(name)}] must be the recurrent matrix of an LSTM (4 gates), a GRU (3) "
            f"or a plain RNN (1), got {columns / units:g} gates of {units} units. "
            "lightrnn has no other cells."
        )
    return _BY_GATES[columns // units]


def one_module(role: str, found: Sequence[str], chosen: str | None) -> str:
    """Return the module that plays a role: the chosen one, or the only one found."""
    if chosen is not None:
        return chosen
    if len(found) != 1:
        remedy = f" {ONE_LINEAR}" if role == "head" and found else ""
        raise ValueError(
            f"source must hold one module that can be the {role}, got {listed(found)}. "
            f"Name it: {role}='...'.{remedy}"
        )
    return found[0]


def in_order(
    found: Iterable[str], chosen: str | Sequence[str] | None, there: Iterable[str] = ()
) -> list[str]:
    """Return the recurrent modules from first to last: as chosen, or by the numbers in their names.

    `there` are all names of the source, for a message.

    Raises
    ------
    TypeError
        If `chosen` is neither a name nor a list of names.
    ValueError
        If none is chosen, and there is none or their names differ in more than the final number.
    """
    if chosen is not None:
        names = [chosen] if isinstance(chosen, str) else list(chosen)
        if not names or not all(isinstance(name, str) for name in names):
            raise TypeError(
                f"recurrent must be a name or a list of names, got {shown(chosen)}. "
                "Name modules as in source."
            )
        return names
    parts = {name: _split_number(name) for name in found}
    if not parts:
        raise ValueError(f"source must hold a recurrent layer, got {listed(there)}. {NO_RECURRENT}")
    bases = {base for base, _ in parts.values()}
    if len(bases) != 1 or len(set(parts.values())) < len(parts):
        raise ValueError(
            "source must hold recurrent layers whose names give their order, "
            f"got {listed(parts)}. Name them from first to last: recurrent=['...', '...']."
        )
    return sorted(parts, key=lambda name: parts[name][1])


def _split_number(name: str) -> tuple[str, int]:
    """Return a name without the number at its end, and the number."""
    match = re.fullmatch(_NUMBERED, name)
    base, number = match.groups() if match else (name, None)
    return base, int(number or 0)  # no number counts as 0: Keras's "lstm" precedes "lstm_1"


def check_alike(levels: Sequence[Level]) -> None:
    """Check that all layers have the same cell and the same number of directions.

    Raises
    ------
    ValueError
        If they differ.
    """
    cells = dict.fromkeys(level.cell for level in levels)
    if len(cells) > 1:
        raise ValueError(
            f"source must have one kind of recurrent layer, got {', '.join(cells)}. "
            "Mixed networks cannot be converted."
        )
    if len({len(level.directions) for level in levels}) > 1:
        raise ValueError(
            "source must have two directions in every layer or in none, got both kinds. "
            "Mixed networks cannot be converted."
        )


def reorder_gates(
    array: np.ndarray,
    stored: Iterable[str],
    wanted: Iterable[str],
) -> np.ndarray:
    """Return a matrix or bias with the gates of its columns in another order.

    Parameters
    ----------
    array : ndarray of shape (..., G*H)
        The gates' columns stand together, gate after gate.
    stored, wanted : iterable of str
        The gates' names in the order of `array` and of the result.
    """
    order = list(stored)
    parts = np.split(array, len(order), axis=-1)
    return np.concatenate([parts[order.index(gate)] for gate in wanted], axis=-1)

"""What every other framework's recurrent network comes to before it is ours: weights taken by name, each once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..cells import CELLS
from ..utils.checks import shown

Shape = tuple[int | None, ...]
_BY_GATES = {len(cell.gates): name for name, cell in CELLS.items() if cell.recurrent}
_NUMBERED = re.compile(r"(.*?)[._]?(\d{1,9})?")


class Direction(NamedTuple):
    """One direction of one layer, in our form: inputs by rows, gates in public order by columns."""

    W_ih: np.ndarray  # (F, G*H)
    W_hh: np.ndarray  # (H, G*H)
    b_ih: np.ndarray  # (G*H,)
    b_hh: np.ndarray  # (G*H,)


class ForeignNetwork(NamedTuple):
    """A network of another framework, in our form.

    Attributes
    ----------
    cell : str
        Key of `CELLS`.
    levels : list of tuple of Direction
        Layers from first to last; one direction or two.
    W, b : ndarray (D, k) or None, ndarray (k,)
        The output layer; no W where it is the embedding's.
    embedding : ndarray (V, E) or None
        A row for each token.
    link : str or None
        What follows the output layer, where the source says so: "linear", "softmax" or "sigmoid".
    target : str or None
        "sequence" or "step", where the source says so.
    """

    cell: str
    levels: list[tuple[Direction, ...]]
    W: np.ndarray | None
    b: np.ndarray
    embedding: np.ndarray | None
    link: str | None = None
    target: str | None = None

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each layer."""
        return tuple(len(level[0].W_hh) for level in self.levels)

    @property
    def bidirectional(self) -> bool:
        """Whether every layer reads from both ends."""
        return len(self.levels[0]) == 2

    @property
    def n_features(self) -> int:
        """Columns of the first layer's input."""
        return len(self.levels[0][0].W_ih)

    def layers(self) -> dict[str, np.ndarray]:
        """Return the recurrent layers' arrays by our names; one bias where the cell needs but one."""
        arrays: dict[str, np.ndarray] = {}
        for number, level in enumerate(self.levels):
            for name, (W_ih, W_hh, b_ih, b_hh) in zip(
                (f"layer{number}", f"layer{number}.reverse"), level, strict=False
            ):
                arrays |= {f"{name}.W_ih": W_ih, f"{name}.W_hh": W_hh}
                if self.cell == "gru":
                    arrays |= {f"{name}.b_ih": b_ih, f"{name}.b_hh": b_hh}
                else:
                    arrays[f"{name}.b"] = b_ih + b_hh
        return arrays


class SourceWeights:
    """A source's arrays, to be taken by name; what is missing, misshapen or left over is an error that names it.

    Parameters
    ----------
    arrays : mapping of str to array-like
        Tensors of torch, or anything else that NumPy reads.
    """

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self.arrays = dict(arrays)
        self._left = dict.fromkeys(self.arrays)

    def names(self, pattern: str) -> list[re.Match[str]]:
        """Return the names that match a pattern as a whole."""
        return [match for name in self.arrays if (match := re.fullmatch(pattern, name))]

    def __contains__(self, name: str) -> bool:
        """Whether there is an array of this name."""
        return name in self.arrays

    def shape(self, name: str, axes: int) -> tuple[int, ...]:
        """Return the shape of an array that must be there and have so many axes, none empty."""
        if name not in self.arrays:
            raise ValueError(
                f"source must hold the weight {name!r}, got {_listed(self.arrays)}. "
                "Give all weights, under the names that they have in the model."
            )
        shape = tuple(np.shape(self.arrays[name]))
        if len(shape) != axes or 0 in shape:
            raise ValueError(
                f"source[{name!r}] must have {axes} axes, none empty, got shape {shape}. Is it the weight?"
            )
        return shape

    def take(self, name: str, shape: Shape) -> np.ndarray:
        """Return an array as float64; None in `shape` stands for any length."""
        found = self.shape(name, len(shape))
        if any(wanted not in (None, got) for wanted, got in zip(shape, found, strict=True)):
            wanted = str(shape).replace("None", "any")
            raise ValueError(
                f"source[{name!r}] must have shape {wanted}, got {found}. It does not fit the layers beside it."
            )
        self._left.pop(name, None)
        return _as_float64(self.arrays[name], f"source[{name!r}]")

    def finish(self) -> None:
        """Refuse weights that nothing has taken."""
        if self._left:
            raise ValueError(
                "source must hold nothing but recurrent layers, one linear layer and an embedding, got also "
                f"{_listed(self._left)}. A network with other layers is not computed here; leave out what is no part "
                "of it."
            )


def _as_float64(value: Any, name: str) -> np.ndarray:
    """Read finite floating-point numbers; a tensor of torch through its own methods, torch unseen."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if "bfloat16" in str(value.dtype) else value
    array = np.asarray(value)
    if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
        raise ValueError(
            f"{name} must hold floating-point numbers, got dtype {array.dtype}. Quantised weights are none."
        )
    with np.errstate(invalid="ignore"):  # a signalling NaN; it is refused below
        array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(
            f"{name} must be finite, got NaN or infinity. The model has diverged; take an earlier one."
        )
    return array


def _listed(names: Iterable[str]) -> str:
    """Return names for a message."""
    listed = sorted(names)
    return (
        f"{', '.join(map(repr, listed[:8]))}{', ...' * (len(listed) > 8)}" if listed else "nothing"
    )


def cell_of(name: str, shape: tuple[int, int]) -> str:
    """Tell the cell by the shape of a recurrent matrix, (H, G*H): G is 4, 3 or 1."""
    H, columns = shape
    if columns % H or columns // H not in _BY_GATES:
        raise ValueError(
            f"source[{name!r}] must be the recurrent matrix of an LSTM (4 gates), a GRU (3) or a plain RNN (1), got "
            f"{columns / H:g} gates of {H} units. Other cells are not computed."
        )
    return _BY_GATES[columns // H]


def one_module(role: str, found: Sequence[str], chosen: str | None) -> str:
    """Return the module that plays a role: the chosen one, or the only one found.

    Raises
    ------
    ValueError
        If none is chosen and there is none or several.
    """
    if chosen is not None:
        return chosen
    if len(found) != 1:
        raise ValueError(
            f"source must hold one module that can be the {role}, got {_listed(found)}. Name it: {role}='...'."
        )
    return found[0]


def in_order(found: Iterable[str], chosen: str | Sequence[str] | None) -> list[str]:
    """Return the recurrent modules from first to last: as chosen, or by the numbers that end their names.

    Raises
    ------
    ValueError
        If none is chosen, and there is none or their names differ in more than a number.
    """
    if chosen is not None:
        names = [chosen] if isinstance(chosen, str) else list(chosen)
        if not names or not all(isinstance(name, str) for name in names):
            raise TypeError(
                f"recurrent must be a name or a list of names, got {shown(chosen)}. Name modules as in source."
            )
        return names
    parts = {name: _number(name) for name in found}
    if len({base for base, _ in parts.values()}) != 1 or len(set(parts.values())) < len(parts):
        raise ValueError(
            f"source must hold recurrent layers whose order can be told, got {_listed(parts)}. "
            "Name them from first to last: recurrent=['...', '...']."
        )
    return sorted(parts, key=lambda name: parts[name][1])


def _number(name: str) -> tuple[str, int]:
    """Split a name from the number at its end; none counts as 0, so that "lstm" precedes "lstm_1"."""
    match = re.fullmatch(_NUMBERED, name)
    base, number = match.groups() if match else (name, None)
    return base, int(number or 0)


def check_alike(levels: list[tuple[Direction, ...]], cells: Sequence[str]) -> str:
    """Return the cell of all layers.

    Raises
    ------
    ValueError
        If they have different cells, or only some of them two directions.
    """
    if len(set(cells)) > 1:
        raise ValueError(
            f"source must have one kind of recurrent layer, got {', '.join(cells)}. Mixtures are refused."
        )
    if len({len(level) for level in levels}) > 1:
        raise ValueError(
            "source must have two directions in every layer or in none, got both kinds. Mixtures are refused."
        )
    return cells[0]

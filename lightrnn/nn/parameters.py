"""Named matrices in one flat vector.

Solvers, clipping, saving and the finite-difference check act on the vector; users see matrices. The
vector holds them in the form that kernels read: each gate's columns are padded with zeros to whole
SIMD registers, and the columns are cut into panels that follow one another (`cpu/matmul.py`). A
zero column gets a zero gradient and stays zero under every solver. Users see, and files hold, the
unpadded matrices with the gates in the cell's public order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class Parameter(NamedTuple):
    """One matrix (rows, gates * units), or where `rows` is None one vector (gates * units,)."""

    name: str
    rows: int | None
    order: tuple[int, ...]  # for each stored gate, its index in the public order
    units: int
    width: int  # units after padding
    cuts: Sequence[int]  # columns, after padding, at which a new panel begins

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the public form."""
        columns = len(self.order) * self.units
        return (columns,) if self.rows is None else (self.rows, columns)

    @property
    def size(self) -> int:
        """Number of stored elements, padding included."""
        return (self.rows or 1) * len(self.order) * self.width

    @property
    def n_free(self) -> int:
        """Number of elements that are learned, padding not counted."""
        return math.prod(self.shape)

    def public(self, block: np.ndarray) -> np.ndarray:
        """Return a copy of a stored block in the public form."""
        rows = self.rows or 1
        panels = np.split(block, [rows * cut for cut in self.cuts])
        # Each panel is (rows, its columns); side by side they are the padded matrix.
        columns = np.concatenate([panel.reshape(rows, -1) for panel in panels], axis=1)
        # (rows, gates, width): the gates as stored, padded
        stored = columns.reshape(rows, len(self.order), self.width)
        # The public gate p is stored at the index at which `order` holds p.
        gates = stored[:, np.argsort(self.order), : self.units]
        return gates.reshape(-1) if self.rows is None else gates.reshape(rows, -1)

    def store(self, block: np.ndarray, array: np.ndarray) -> None:
        """Write an array in the public form into its stored block."""
        rows = self.rows or 1
        G = len(self.order)
        # (rows, gates, units), in the public order
        gates = np.asarray(array).reshape(rows, G, self.units)
        # (rows, gates, width), as stored: zeros stay in the padding
        stored = np.zeros((rows, G, self.width), block.dtype)
        stored[:, :, : self.units] = gates[:, list(self.order)]
        panels = np.split(stored.reshape(rows, -1), self.cuts, axis=1)
        block[:] = np.concatenate([panel.ravel() for panel in panels])


class Layout:
    """The offset of each parameter in the flat vector.

    Parameters
    ----------
    parameters : sequence of Parameter
        The parameters in the order in which they are stored.
    dtype : dtype
        Type of the vectors that `flatten` makes.

    Attributes
    ----------
    offsets : list of int
        The index in the vector at which each parameter begins; at the end the vector's size.
    size : int
        Number of elements of the vector, padding included.
    count : int
        Number of elements that are learned.
    """

    def __init__(self, parameters: Sequence[Parameter], dtype: DTypeLike) -> None:
        self.parameters = tuple(parameters)
        self.dtype = np.dtype(dtype)
        sizes = [parameter.size for parameter in self.parameters]
        self.offsets = np.cumsum([0, *sizes]).tolist()
        self.size = self.offsets[-1]
        self.count = sum(parameter.n_free for parameter in self.parameters)

    def blocks(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """Return flat views of each parameter's elements in a vector, by name."""
        # One offset more than parameters: the last one is the vector's size.
        pairs = zip(self.parameters, self.offsets, strict=False)
        return {
            parameter.name: vector[offset : offset + parameter.size] for parameter, offset in pairs
        }

    def arrays(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """Return copies of the parameters in a vector in the public form, by name."""
        blocks = self.blocks(vector)
        return {
            parameter.name: parameter.public(blocks[parameter.name])
            for parameter in self.parameters
        }

    def flatten(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return a new vector that holds the arrays, given by name in the public form."""
        vector = np.zeros(self.size, self.dtype)
        blocks = self.blocks(vector)
        for parameter in self.parameters:
            parameter.store(blocks[parameter.name], arrays[parameter.name])
        return vector

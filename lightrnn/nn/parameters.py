"""Named matrices in one flat vector.

Solvers, clipping, saving and the finite-difference check act on the vector; users see matrices. In the vector they have
the form that kernels read: each gate's columns are padded with zeros to whole SIMD registers (a zero column gets a zero
gradient and stays zero under every solver), and the columns cut into panels, one after another (`cpu/matmul.py`). What
users see, and what is saved, is unpadded and has the gates in the cell's public order.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Parameter(NamedTuple):
    """One matrix (rows, blocks * units), or with no `rows` one vector (blocks * units,)."""

    name: str
    rows: int | None
    order: tuple[int, ...]  # for each stored block of columns, its place among the public ones
    units: int
    width: int  # units after padding
    cuts: Sequence[int]  # columns, after padding, between the panels

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the public form."""
        columns = len(self.order) * self.units
        return (columns,) if self.rows is None else (self.rows, columns)

    @property
    def size(self) -> int:
        """Elements stored."""
        return (self.rows or 1) * len(self.order) * self.width

    @property
    def n_free(self) -> int:
        """Elements that are parameters."""
        return math.prod(self.shape)

    def public(self, block: np.ndarray) -> np.ndarray:
        """Copy what is stored into the public form."""
        rows = self.rows or 1
        panels = np.split(block, [rows * cut for cut in self.cuts])
        columns = np.concatenate([panel.reshape(rows, -1) for panel in panels], axis=1)
        cube = columns.reshape(rows, len(self.order), self.width)[
            :, np.argsort(self.order), : self.units
        ]
        return cube.reshape(-1) if self.rows is None else cube.reshape(rows, -1)

    def store(self, block: np.ndarray, array: np.ndarray) -> None:
        """Write the public form into its stored place."""
        rows = self.rows or 1
        columns = np.zeros((rows, len(self.order), self.width), block.dtype)
        columns[:, :, : self.units] = np.asarray(array).reshape(rows, len(self.order), self.units)[
            :, list(self.order)
        ]
        panels = np.split(columns.reshape(rows, -1), self.cuts, axis=1)
        block[:] = np.concatenate([panel.ravel() for panel in panels])


class Layout:
    """Where each parameter lies in the vector."""

    def __init__(self, parameters: Sequence[Parameter], dtype: np.typing.DTypeLike) -> None:
        self.parameters, self.dtype = tuple(parameters), np.dtype(dtype)
        self.offsets = np.cumsum([0, *(parameter.size for parameter in self.parameters)]).tolist()
        self.size = self.offsets[-1]
        self.count = sum(parameter.n_free for parameter in self.parameters)

    def blocks(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """Return views of what is stored of each parameter, flat."""
        return {
            parameter.name: vector[offset : offset + parameter.size]
            for parameter, offset in zip(self.parameters, self.offsets, strict=False)
        }

    def arrays(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """Return copies in the public form, by name."""
        blocks = self.blocks(vector)
        return {
            parameter.name: parameter.public(blocks[parameter.name])
            for parameter in self.parameters
        }

    def flatten(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Pack what `arrays` gives, in the public form, into a new vector."""
        vector = np.zeros(self.size, self.dtype)
        blocks = self.blocks(vector)
        for parameter in self.parameters:
            parameter.store(blocks[parameter.name], arrays[parameter.name])
        return vector

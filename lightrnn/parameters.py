"""Named matrices in one flat vector.

Solvers, clipping, saving and the finite-difference check act on the vector; layers and users see matrices. Each gate's
columns are padded with zeros to whole SIMD registers: a zero column gets a zero gradient and stays zero under every
solver. What users see, and what is saved, is unpadded and has the gates in the cell's public order.
"""

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

    @property
    def size(self) -> int:
        """Elements stored."""
        return (self.rows or 1) * len(self.order) * self.width

    @property
    def n_free(self) -> int:
        """Elements that are parameters."""
        return (self.rows or 1) * len(self.order) * self.units

    def public(self, block: np.ndarray) -> np.ndarray:
        """Copy the stored matrix into its public form."""
        cube = block.reshape(-1, len(self.order), self.width)[:, np.argsort(self.order), : self.units]
        return cube.reshape(-1) if self.rows is None else cube.reshape(self.rows, -1)

    def store(self, block: np.ndarray, array: np.ndarray) -> None:
        """Write a public matrix into its stored place."""
        cube = np.asarray(array).reshape(-1, len(self.order), self.units)
        block.reshape(-1, len(self.order), self.width)[:, :, : self.units] = cube[:, list(self.order)]


class Layout:
    """Where each parameter lies in the vector."""

    def __init__(self, parameters: Sequence[Parameter], dtype: np.typing.DTypeLike) -> None:
        self.parameters, self.dtype = tuple(parameters), np.dtype(dtype)
        self.offsets = np.cumsum([0, *(parameter.size for parameter in self.parameters)]).tolist()
        self.size = self.offsets[-1]
        self.count = sum(parameter.n_free for parameter in self.parameters)

    def blocks(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """Return views of the stored matrices, (rows, blocks * width), vectors as one row."""
        return {
            parameter.name: vector[offset : offset + parameter.size].reshape(parameter.rows or 1, -1)
            for parameter, offset in zip(self.parameters, self.offsets, strict=False)
        }

    def arrays(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """Return copies in the public form, by name."""
        blocks = self.blocks(vector)
        return {parameter.name: parameter.public(blocks[parameter.name]) for parameter in self.parameters}

    def flatten(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Pack what `arrays` gives, in the public form, into a new vector."""
        vector = np.zeros(self.size, self.dtype)
        blocks = self.blocks(vector)
        for parameter in self.parameters:
            parameter.store(blocks[parameter.name], arrays[parameter.name])
        return vector

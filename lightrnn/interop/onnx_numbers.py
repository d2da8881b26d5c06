"""Where the numbers of an ONNX graph come from, followed by running the graph on their names.

Each number that an input or a layer gives has a name, an integer. Operators that only rearrange are
run on arrays of names, so that a Linear layer shows by itself which states it reads, whatever
transposes, slices and gathers lie between. Operators that scale or shift change two more arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..cells import HEAD_CELLS
from .foreign import Level, UnsupportedError


@dataclass(frozen=True, eq=False)
class Block:
    """The numbers that one input or layer gives, by rows; their names begin at `first`.

    Attributes
    ----------
    first, width : int
        The name of row r, column c is first + r * width + c.
    made : object
        The input or layer: a `Given`, `Looked`, `Layer`, `Pooled`, `Linear` or `Activated`.
    """

    first: int
    rows: int
    width: int
    made: Any

    @property
    def names(self) -> np.ndarray:
        """All names (rows, width)."""
        count = self.rows * self.width
        return np.arange(self.first, self.first + count).reshape(self.rows, self.width)


@dataclass(frozen=True, eq=False)
class Numbers:
    """An array of named numbers: each is ``scale * named + shift``."""

    names: np.ndarray
    scale: np.ndarray | None = None
    shift: np.ndarray | None = None

    def scaled(self, scale: Any, shift: Any) -> Numbers:
        """Return these numbers times `scale` plus `shift`, which are broadcast to them."""
        old_scale, old_shift = self.affine
        shape = self.names.shape
        scale, shift = (np.broadcast_to(np.asarray(a, np.float64), shape) for a in (scale, shift))
        return Numbers(self.names, old_scale * scale, old_shift * scale + shift)

    @property
    def affine(self) -> tuple[np.ndarray, np.ndarray]:
        """Scale and shift as arrays of the same shape as the names."""
        shape = self.names.shape
        scale = np.ones(shape) if self.scale is None else self.scale
        return scale, np.zeros(shape) if self.shift is None else self.shift

    def rearranged(self, run: Callable[[np.ndarray], Any]) -> list[Numbers]:
        """Return the outputs of an operator that rearranges."""
        names = run(self.names)
        if self.scale is None:
            return [Numbers(part) for part in names]
        parts = zip(names, *map(run, self.affine), strict=True)
        return [Numbers(*part) for part in parts]


class Given(NamedTuple):
    """The graph's input: sequences or tokens."""

    shape: tuple[int, ...]


class Looked(NamedTuple):
    """An embedding of tokens."""

    table: np.ndarray


class Layer(NamedTuple):
    """A recurrent layer; row t * batch + b is the state of sequence b at step t."""

    level: Level
    source: Combination
    steps: int
    batch: int


class Pooled(NamedTuple):
    """A layer's states pooled over all steps, a row for each sequence."""

    layer: Block
    how: str  # "mean" or "max"


class Linear(NamedTuple):
    """A linear layer, which gives what a combination is."""

    of: Combination


class Activated(NamedTuple):
    """A function at the end or between linear layers, of the numbers that it is applied to."""

    name: str
    of: Numbers


class Combination(NamedTuple):
    """Rows of numbers that are a linear function of rows of one block.

    Attributes
    ----------
    block : Block
        No linear layer.
    rows : ndarray of int64 (N, m)
        The row of `block` that each number is read from.
    columns : ndarray of int64 (m,)
        The column of `block` that each number is read from.
    W : ndarray (m, k)
        The matrix by which they are multiplied.
    b : ndarray (k,)
        The bias that is added.
    """

    block: Block
    rows: np.ndarray
    columns: np.ndarray
    W: np.ndarray
    b: np.ndarray

    @property
    def matrix(self) -> np.ndarray:
        """The matrix for all columns of the block."""
        matrix = np.zeros((self.block.width, self.W.shape[1]))
        np.add.at(matrix, self.columns, self.W)
        return matrix

    @property
    def row(self) -> np.ndarray:
        """The row of the block that each row is, (N,)."""
        if (self.rows != self.rows[:, :1]).any():
            raise UnsupportedError("a layer that reads several steps at once")
        return self.rows[:, 0]


def _both_ways(forward: Layer, backward: Layer) -> Level | None:
    """Return a forward and a backward layer that read the same as one level, None for others."""
    one, other = forward.source, backward.source
    alike = one.block is other.block and all(
        np.array_equal(*pair)
        for pair in ((one.rows, other.rows), (one.matrix, other.matrix), (one.b, other.b))
    )
    empty, *reverse = backward.level.directions
    if not alike or len(forward.level.directions) != 1 or not reverse:
        return None
    shapes = [np.shape(part.W_hh) for part in (*forward.level.directions, *reverse)]
    if any(array.any() for array in empty) or shapes[0] != shapes[1]:
        return None
    same = forward.level.cell == backward.level.cell
    return Level(forward.level.cell, (*forward.level.directions, *reverse)) if same else None


class Blocks:
    """All blocks of a graph, and what arrays of their names are."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._next = 0

    def add(self, rows: int, width: int, made: Any) -> Block:
        """Return a new block."""
        block = Block(self._next, rows, width, made)
        self._blocks.append(block)
        self._next += rows * width
        return block

    def block_of(self, names: np.ndarray) -> Block:
        """Return the block of all names."""
        for block in self._blocks:
            if block.first <= names.min() and names.max() < block.first + block.rows * block.width:
                return block
        raise UnsupportedError("a layer that reads the outputs of several others")

    def as_one_layer(self, first: Numbers, second: Numbers) -> list[Numbers]:
        """Return states of a forward and of a backward layer as those of one, or as they are."""
        parts = [first, second]
        try:
            forward, backward = (self.block_of(part.names) for part in parts)
        except UnsupportedError:
            return parts
        if not (isinstance(forward.made, Layer) and isinstance(backward.made, Layer)):
            return parts
        level = _both_ways(forward.made, backward.made)
        if level is None:
            return parts
        block = self.add(forward.rows, level.width, forward.made._replace(level=level))
        row, column = np.divmod(first.names - forward.first, forward.width)
        names = (
            block.first + row * block.width + column,
            block.first + second.names - backward.first,  # whose forward direction is empty
        )
        return [replace(part, names=each) for part, each in zip(parts, names, strict=True)]

    def combination(self, numbers: Numbers) -> Combination:
        """Return the rows of numbers along the last axis as a function of one block's rows."""
        width = numbers.names.shape[-1]
        names = numbers.names.reshape(-1, width)
        block = self.block_of(names)
        rows, columns = np.divmod(names - block.first, block.width)
        scale, shift = (part.reshape(-1, width) for part in numbers.affine)
        if any((part != part[0]).any() for part in (columns, scale, shift)):
            raise UnsupportedError("a layer that reads other features in other steps")
        here = Combination(block, rows, columns[0], np.diag(scale[0]), shift[0])
        if isinstance(block.made, Activated) and block.made.name not in HEAD_CELLS:
            raise UnsupportedError(f"a {block.made.name} before another layer")
        if not isinstance(block.made, Linear):
            return here
        below = block.made.of
        W = below.W[:, here.columns] * scale[0]
        b = below.b[here.columns] * scale[0] + shift[0]
        return below._replace(rows=below.rows[here.row], W=W, b=b)

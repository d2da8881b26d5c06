"""Every kernel, with the types that it is compiled for: what can be compiled ahead."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from ..cells import CELLS, HEAD_CELLS
from ..updates import UPDATES
from . import (
    forecast_step,
    gather,
    jacobian,
    losses,
    matmul,
    orthogonal,
    pooling,
    recurrence,
    sampling,
    series,
    single_step,
    softmax,
    updates,
)
from .calls import SEPARATE
from .jit import signature

# Modules of kernels that do not depend on the cell.
_MODULES = (
    forecast_step,
    gather,
    losses,
    matmul,
    orthogonal,
    pooling,
    sampling,
    series,
    softmax,
    updates,
)


def signatures(cells: Iterable[str], dtype: str) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Yield every kernel that networks of some cells use, with the types of its arguments.

    Parameters
    ----------
    cells : iterable of {"ffnn", "rnn", "gru", "lstm"}
        Kinds of cell.
    dtype : {"float32", "float64"}
        Of the networks.

    Yields
    ------
    kernel, tuple of types
        ``kernel.compile(types)`` compiles it, or loads it from the disk cache.
    """
    of_cells = (kernel for cell in cells for kernel in _of_cell(cell))
    # The hidden layers of a head have kernels of "ffnn", too.
    for kernel in dict.fromkeys(chain(_of_every_network(), of_cells)):
        yield kernel, signature(kernel, dtype)
    for cell in cells:
        if not CELLS[cell].recurrent:  # the windows of its first layer may overlap
            for make in (recurrence.forward, recurrence.backward):
                yield make(cell), signature(make(cell), dtype, overlapping=True)


def _of_every_network() -> Iterator[Any]:
    """Yield the kernels that do not depend on the cell."""
    yield from SEPARATE
    for module in _MODULES:
        yield from (value for value in vars(module).values() if hasattr(value, "py_func"))
    yield from map(updates.update, UPDATES)
    for cell in ("linear", *HEAD_CELLS.values()):
        yield recurrence.forward(cell)
        yield recurrence.backward(cell)
    yield from map(single_step.head_layers, HEAD_CELLS.values())


def _of_cell(cell: str) -> Iterator[Any]:
    """Yield the kernels of one cell."""
    yield recurrence.forward(cell)
    yield recurrence.backward(cell)
    for with_head in (True, False):
        yield single_step.advance(cell, with_head)
    if CELLS[cell].recurrent:
        yield recurrence.forward(cell, True)
        yield jacobian.jacobian(cell)

"""Check that this machine computes right: gradients by central differences, float32 by float64."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..cells import CELLS, HIDDEN_CELLS

if TYPE_CHECKING:
    from ..nn.network import Network

_ROUNDS = 250  # networks of each cell at most; all four cells take some eight seconds
_KINDS = 8  # combinations of target, direction and pooling
# Steps of the central differences, of which the better one counts: the longer step has less
# rounding error, the shorter one is less likely to cross the kink of an ffnn.
_STEPS = (1e-5, 1e-6)
# The greatest errors that rounding explains, relative to the gradient's length.
DIFFERENCE = 1e-7
PRECISION = 2e-4


class Check(NamedTuple):
    """The result for one cell.

    Attributes
    ----------
    cell : str
        Name of the cell.
    difference : float
        Distance of the float64 gradient from central differences, relative to its length.
    precision : float
        Distance of the float32 gradient from the float64 one, relative to its length.
    rounds : int
        Number of networks that were checked.
    """

    cell: str
    difference: float
    precision: float
    rounds: int

    @property
    def passed(self) -> bool:
        """Whether both are small enough; a NaN is not."""
        return self.difference <= DIFFERENCE and self.precision <= PRECISION


def check(seconds: float = 10.0) -> Iterator[Check]:
    """Check every cell, all of them for at most `seconds`, but at least one network of each kind.

    Examples
    --------
    >>> [result.cell for result in check(0) if result.passed]
    ['ffnn', 'rnn', 'gru', 'lstm']
    """
    for cell in HIDDEN_CELLS:
        # These may compile kernels, so they are not timed.
        errors = [_errors(cell, seed) for seed in range(_KINDS)]
        end = time.perf_counter() + seconds / len(HIDDEN_CELLS)
        while len(errors) < _ROUNDS and time.perf_counter() < end:
            errors.append(_errors(cell, len(errors)))
        difference, precision = np.max(errors, axis=0).tolist()
        yield Check(cell, difference, precision, len(errors))


def _errors(cell: str, seed: int) -> tuple[float, float]:
    """Return both errors of one network, whose sizes, lengths and targets the seed draws."""
    from ..losses import make_loss
    from ..nn.batches import Batch
    from ..nn.pooling import POOLINGS

    rng = np.random.default_rng(seed)
    options = {
        "target": ("sequence", "step")[seed % 2],
        "bidirectional": CELLS[cell].recurrent and seed % 4 > 1,
        "window": 3,
        "pooling": "last" if seed % 2 else POOLINGS[seed // 2 % 4],
    }
    F, *sizes = rng.integers(1, 20, 3).tolist()
    double, single = (_network(cell, F, sizes, options, dtype) for dtype in ("float64", "float32"))
    X = [rng.normal(size=(T, F)) for T in rng.integers(1, 9, 6)]
    if seed % 2:
        y: Any = [rng.normal(size=(len(x), 2)) for x in X]
        weights: Any = [np.ones(len(x)) for x in X]
    else:
        y = rng.normal(size=(6, 2))
        weights = np.ones(6)
    batch = Batch.of(X, y, weights)
    loss = make_loss("squared_error")
    for network in (double, single):
        network.loss_and_gradient(batch, loss)
    gradient = double.gradient.copy()  # `_difference` overwrites the network's own
    length = np.linalg.norm(gradient)
    # By name, since the flat vectors of the two precisions are padded differently.
    exact = double.named(gradient)
    rounded = single.named(single.gradient.astype(np.float64))
    precision = np.sqrt(sum(np.sum((exact[name] - rounded[name]) ** 2) for name in exact))
    difference = _difference(double, batch, loss, gradient, rng)
    return float(difference / length), float(precision / length)


def _network(
    cell: str,
    features: int,
    sizes: list[int],
    options: dict[str, Any],
    dtype: str,
) -> Network:
    """Return a network of two outputs; those of both precisions have the same parameters."""
    from ..nn.network import Network

    network = Network(cell, features, sizes, 2, dtype=dtype, **options)
    rng = np.random.default_rng(0)
    drawn = {name: rng.normal(0, 0.3, array.shape) for name, array in network.arrays().items()}
    network.assign(drawn)
    return network


def _difference(
    network: Network,
    batch: Any,
    loss: Any,
    gradient: np.ndarray,
    rng: np.random.Generator,
) -> float:
    """Return how far the slope along a random direction is from central differences."""
    arrays = network.arrays().items()
    drawn = network.flatten({name: rng.normal(size=array.shape) for name, array in arrays})
    direction = drawn / np.linalg.norm(drawn)
    start = network.parameters.copy()

    def loss_at(step: float) -> float:
        network.parameters[:] = start + step * direction
        return network.loss_and_gradient(batch, loss)

    slope = gradient @ direction
    return min(abs((loss_at(step) - loss_at(-step)) / (2 * step) - slope) for step in _STEPS)

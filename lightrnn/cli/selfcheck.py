"""Whether this machine computes what it should: gradients beside central differences, precisions beside each other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..cells import HIDDEN_CELLS

if TYPE_CHECKING:
    from ..nn.network import Network

_ROUNDS = 250  # which take some eight seconds
_KINDS = 4  # targets and directions
_STEPS = (1e-5, 1e-6)  # of the parameters; both would have to cross the same kink of an ffnn
DIFFERENCE, PRECISION = 1e-7, 2e-4  # the most that is right


class Check(NamedTuple):
    """What became of one cell.

    Attributes
    ----------
    cell : str
        Which.
    difference : float
        How far the float64 gradient is from central differences, relative to its length.
    precision : float
        How far the float32 gradient is from the float64 one, relative to its length.
    rounds : int
        Networks that were looked at.
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
    """Check every cell, for so many seconds together at most, but one network of each kind.

    Examples
    --------
    >>> [result.cell for result in check(0) if result.passed]
    ['ffnn', 'rnn', 'gru', 'lstm']
    """
    for cell in HIDDEN_CELLS:
        errors = [
            _errors(cell, seed) for seed in range(_KINDS)
        ]  # which may compile, and do not count
        start = time.perf_counter()
        while len(errors) < _ROUNDS and time.perf_counter() - start < seconds / len(HIDDEN_CELLS):
            errors.append(_errors(cell, len(errors)))
        difference, precision = np.max(errors, axis=0).tolist()
        yield Check(cell, difference, precision, len(errors))


def _errors(cell: str, seed: int) -> tuple[float, float]:
    """Return both errors of one network: layers, directions, ragged lengths and targets drawn by the seed."""
    from ..losses import make_loss

    rng = np.random.default_rng(seed)
    options = {
        "target": ("sequence", "step")[seed % 2],
        "bidirectional": cell != "ffnn" and seed % 4 > 1,
        "window": 3,
    }
    F, *sizes = rng.integers(1, 20, 3).tolist()
    exact, single = (_network(cell, F, sizes, options, dtype) for dtype in ("float64", "float32"))
    X = [rng.normal(size=(T, F)) for T in rng.integers(1, 9, 6)]
    y = [rng.normal(size=(len(x), 2)) for x in X] if seed % 2 else rng.normal(size=(6, 2))
    loss, gradients = make_loss("squared_error"), []
    for network in (exact, single):
        network.loss_and_gradient(_batch(network, X, y), loss)
        gradients.append(network.gradient.astype(np.float64))
    length = np.linalg.norm(gradients[0])
    named = [
        network.named(gradient)
        for network, gradient in zip((exact, single), gradients, strict=True)
    ]
    precision = (
        np.sqrt(sum(np.sum((named[0][name] - named[1][name]) ** 2) for name in named[0])) / length
    )
    difference = _difference(exact, _batch(exact, X, y), loss, gradients[0], rng)
    return float(difference / length), float(precision)


def _network(
    cell: str, features: int, sizes: list[int], options: dict[str, Any], dtype: str
) -> Network:
    from ..nn.network import Network

    network, rng = (
        Network(cell, features, sizes, 2, dtype=dtype, **options),
        np.random.default_rng(0),
    )
    network.assign(
        {name: rng.normal(0, 0.3, array.shape) for name, array in network.arrays().items()}
    )
    return network


def _batch(network: Network, X: list[np.ndarray], y: Any) -> Any:
    from ..nn.batches import Batch

    weights = [np.ones(len(x)) for x in X] if isinstance(y, list) else np.ones(len(X))
    return Batch.of(X, y, weights, None, network)


def _difference(
    network: Network, batch: Any, loss: Any, gradient: np.ndarray, rng: np.random.Generator
) -> float:
    """Compare the gradient along a random direction with central differences of the loss."""
    drawn = network.flatten(
        {name: rng.normal(size=array.shape) for name, array in network.arrays().items()}
    )
    direction, start = drawn / np.linalg.norm(drawn), network.parameters.copy()

    def loss_at(step: float) -> float:
        network.parameters[:] = start + step * direction
        return network.loss_and_gradient(batch, loss)

    slope = gradient @ direction
    return min(abs((loss_at(step) - loss_at(-step)) / (2 * step) - slope) for step in _STEPS)

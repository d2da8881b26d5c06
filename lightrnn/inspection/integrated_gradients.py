"""Integrated gradients, by quadrature that refines itself until the shares add up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.patches import by_step
from ..nn.groups import group_sequences
from .objective import encode_steps, output_gradient, patch_of
from .scalar_output import ScalarOutput

if TYPE_CHECKING:
    from ..estimators.estimator import NetworkEstimator
    from ..nn.network import Network

# Points of the whole path, and of each half of an interval whose shares do not add up: a path
# without kinks needs no second round, and one of a feed-forward net is a line between its kinks.
_POINTS = 16
_REFINED_POINTS = 4
# Largest sum of the gaps of completeness, in raw outputs, and halvings after which a gap is a
# rounding error.
_TOLERANCE = 1e-5
_HALVINGS = 24
# Intervals of one round from which on what is left is taken as it is: the gaps of that many kinks
# are tiny and of both signs.
_INTERVALS = 4096
# Steps that are run at once, and values of gradients that are kept until they are added up.
_RUN_STEPS = 4096
_KEPT_VALUES = 1 << 22


class Path:
    """The straight path from the baseline of a sequence to it, as the first layer sees both.

    Parameters
    ----------
    network : Network
        A network that reads vectors as they are, see `reading_vectors`.
    output : ScalarOutput
        The output whose gradient is integrated.
    start, stop : ndarray (T, C)
        Ends of the path.
    """

    def __init__(
        self, network: Network, output: ScalarOutput, start: np.ndarray, stop: np.ndarray
    ) -> None:
        self._network = network
        self._output = output
        self._start = start.astype(np.float64)
        self._change = stop.astype(np.float64) - self._start
        self.scale = _unit(output)
        self.dtype = network.dtype

    def values(self, points: np.ndarray) -> np.ndarray:
        """Return the output (n,) at points of the path from 0 to 1, in raw units."""
        return self._output.read(self._network, self._inputs(points)) / self.scale

    def shares(self, points: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the weighted sums of gradient times change, (n, T, C) for (n, q) points."""
        from ..nn.trace import Trace

        n, q = points.shape
        T, C = self._change.shape
        sums = np.zeros((n, T, C))
        inputs = self._inputs(points.ravel())
        for group in group_sequences(np.full(n * q, T), _RUN_STEPS):
            at = None if self._output.step is None else np.full(len(group), self._output.step)
            trace = Trace(self._network, [inputs[i] for i in group], at)
            columns = np.full(len(group), self._output.column)
            trace.back(output_gradient(self._output.estimator, trace, columns))
            for i, gradient in zip(group.tolist(), trace.input_gradients(), strict=True):
                sums[i // q] += weights.ravel()[i] / self.scale * gradient
        return sums * self._change

    def _inputs(self, points: np.ndarray) -> list[np.ndarray]:
        """Return the sequence at each point of the path."""
        return [
            (self._start + point * self._change).astype(self._network.dtype) for point in points
        ]


def integrated_gradients(
    estimator: NetworkEstimator,
    network: Network,
    output: ScalarOutput,
    x: np.ndarray,
    baseline: np.ndarray,
) -> np.ndarray:
    """Return the share of each step and feature of one sequence, (T, F), or of each token, (T,).

    Parameters
    ----------
    estimator : NetworkEstimator
        A fitted estimator.
    network : Network
        Its network, as `reading_vectors` returns it.
    output : ScalarOutput
        The output to attribute.
    x, baseline : ndarray (T, F), or codes (T,)
        The sequence and its baseline, as `read_steps` returns sequences.
    """
    stop, start = vectors(estimator, [x, baseline])
    path = Path(network, output, start, stop)
    total = path.scale * _integral(path, stop.shape)
    if estimator._model.vocabulary is not None:
        return total.sum(axis=1)
    # Patches become steps again, and the columns of a feature that may be missing one.
    shares = by_step(total.reshape(len(total) * patch_of(estimator), -1), len(x))
    return shares.reshape(len(x), -1, x.shape[1]).sum(axis=1)


def reading_vectors(estimator: NetworkEstimator) -> Network:
    """Return the network of an estimator without standardisation and look-up of tokens.

    It reads what the first layer of the estimator's network reads.
    """
    from ..nn.network import Network

    network = estimator._model.network
    if network.embedding is None:
        behind = network.detached()
    else:
        # The architecture of Network itself, with vectors in the place of tokens.
        arrays = network.arrays()
        table = arrays.pop("embedding.W")
        architecture = estimator._model.architecture | {"n_tokens": 0}
        if architecture.get("head") == "tied":
            architecture["head"] = "linear"
            arrays["head.W"] = np.ascontiguousarray(table.T)
        behind = Network(**architecture)
        behind.assign(arrays)
    behind.standardization = None
    behind.transpose()
    return behind


def vectors(estimator: NetworkEstimator, steps: list[np.ndarray]) -> list[np.ndarray]:
    """Return sequences as the first layer sees them: standardised numbers, or tokens' vectors."""
    network = estimator._model.network
    if network.embedding is not None:
        table = network.arrays()["embedding.W"]
        return [table[codes] for codes in steps]
    return list(network.as_inputs(encode_steps(estimator, steps)))


def _unit(output: ScalarOutput) -> float:
    """Return the size of a raw output of 1, in the units of y."""
    scale = getattr(output.estimator._model.targets, "scale", None)
    if scale is None:
        return 1.0
    # Several quantiles of one column have one scale.
    return float(np.ravel(scale)[min(output.column, np.size(scale) - 1)]) or 1.0


def _integral(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Return the integral of gradient times change along a path.

    The shares of every interval must add up to the difference of the outputs at its ends. Intervals
    in which they do not are halved, those with the largest gaps first.
    """
    total = np.zeros(shape)
    edges = np.array([[0.0, 1.0]])
    ends: Any = path.values(edges.ravel()).reshape(1, 2)
    # A gap below the rounding errors of the outputs is none.
    rounding = 4 * np.finfo(path.dtype).eps * (1 + np.abs(ends).max())
    together = max(1, _KEPT_VALUES // max(1, total.size))
    allowed = _TOLERANCE
    count = _POINTS
    for halvings in range(_HALVINGS + 1):
        last = halvings == _HALVINGS or len(edges) > _INTERVALS
        waiting = []
        for first in range(0, len(edges), together):
            some = slice(first, first + together)
            parts = _parts(path, edges[some], count)
            gaps = np.abs(parts.sum(axis=(1, 2)) - (ends[some, 1] - ends[some, 0]))
            budget = max(allowed * len(gaps) / len(edges) / 2, 0.0)
            done = _smallest(gaps, budget, rounding) | last
            allowed -= float(gaps[done & (gaps > rounding)].sum())
            total += parts[done].sum(axis=0)
            waiting.append(~done)
        rest = np.concatenate(waiting)
        if not rest.any():
            break
        edges, ends = _halved(path, edges[rest], ends[rest])
        count = _REFINED_POINTS
    return total


def _parts(path: Path, edges: np.ndarray, count: int) -> np.ndarray:
    """Return the integral over each interval by Gauss and Legendre's rule, (n, T, C)."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    half = np.diff(edges, axis=1) / 2  # (n, 1)
    return path.shares(edges[:, :1] + half * (1 + nodes), half * weights)


def _smallest(gaps: np.ndarray, budget: float, rounding: float) -> np.ndarray:
    """Return which gaps are below rounding or, smallest first, have no larger sum than `budget`."""
    order = np.argsort(gaps)
    chosen = np.zeros(len(gaps), bool)
    chosen[order] = np.cumsum(gaps[order]) <= budget
    return chosen | (gaps <= rounding)


def _halved(path: Path, edges: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both halves of each interval, and the outputs at their ends."""
    middle = edges.mean(axis=1)
    value = path.values(middle)
    left = np.stack([edges[:, 0], middle, middle, edges[:, 1]], axis=1)
    outputs = np.stack([ends[:, 0], value, value, ends[:, 1]], axis=1)
    return left.reshape(-1, 2), outputs.reshape(-1, 2)

"""Integrated gradients, by quadrature that refines itself until the shares add up."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.patches import by_step
from ..estimators.estimator import NetworkEstimator
from ..nn.groups import group_sequences
from .objective import encode_steps, output_gradient, patch_of
from .scalar_output import ScalarOutput

if TYPE_CHECKING:
    from ..nn.network import Network

# Points of the whole path, and of each part of an interval whose shares do not add up: a path
# without kinks needs no second round, and one of a feed-forward net is a line between its kinks.
_POINTS = 16
_REFINED_POINTS = 4
# Part of an interval up to which no kink is looked for at its ends.
_NEAREST = 1e-3
# Largest sum of the gaps of completeness, in raw outputs, and splits after which a gap is a
# rounding error.
_TOLERANCE = 1e-5
_SPLITS = 24
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

    def shares(self, points: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the weighted sums of gradient times change, (n, T, C), and slopes at the points.

        A slope is the sum of gradient times change at one of the (n, q) points.
        """
        from ..nn.trace import Trace

        n, q = points.shape
        T, C = self._change.shape
        sums = np.zeros((n, T, C))
        slopes = np.zeros(n * q)
        inputs = self._inputs(points.ravel())
        for group in group_sequences(np.full(n * q, T), _RUN_STEPS):
            at = None if self._output.step is None else np.full(len(group), self._output.step)
            trace = Trace(self._network, [inputs[i] for i in group], at)
            columns = np.full(len(group), self._output.column)
            trace.back(output_gradient(self._output.estimator, trace, columns))
            for i, gradient in zip(group.tolist(), trace.input_gradients(), strict=True):
                share = gradient * self._change / self.scale
                sums[i // q] += weights.ravel()[i] * share
                slopes[i] = share.sum()
        return sums, slopes.reshape(n, q)

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
    in which they do not are split, those with the largest gaps first.
    """
    total = np.zeros(shape)
    edges = np.array([[0.0, 1.0]])
    ends: Any = path.values(edges.ravel()).reshape(1, 2)
    # A gap below the rounding errors of the outputs is none.
    rounding = 4 * np.finfo(path.dtype).eps * (1 + np.abs(ends).max())
    together = max(1, _KEPT_VALUES // max(1, total.size))
    allowed = _TOLERANCE
    count = _POINTS
    for splits in range(_SPLITS + 1):
        last = splits == _SPLITS or len(edges) > _INTERVALS
        waiting = []
        slopes = np.empty((len(edges), 2))
        for first in range(0, len(edges), together):
            some = slice(first, first + together)
            parts, inner = _parts(path, edges[some], count)
            slopes[some] = inner[:, [0, -1]]
            gaps = np.abs(parts.sum(axis=(1, 2)) - (ends[some, 1] - ends[some, 0]))
            budget = max(allowed * len(gaps) / len(edges) / 2, 0.0)
            done = _smallest(gaps, budget, rounding) | last
            allowed -= float(gaps[done & (gaps > rounding)].sum())
            total += parts[done].sum(axis=0)
            waiting.append(~done)
        rest = np.concatenate(waiting)
        if not rest.any():
            break
        edges, ends = _split(path, edges[rest], ends[rest], slopes[rest])
        count = _REFINED_POINTS
    return total


def _parts(path: Path, edges: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each interval's integral (n, T, C) by Gauss and Legendre's rule, and its slopes."""
    nodes, weights = _rule(count)
    half = np.diff(edges, axis=1) / 2  # (n, 1)
    return path.shares(edges[:, :1] + half * (1 + nodes), half * weights)


def _smallest(gaps: np.ndarray, budget: float, rounding: float) -> np.ndarray:
    """Return which gaps are below rounding or, smallest first, have no larger sum than `budget`."""
    order = np.argsort(gaps)
    chosen = np.zeros(len(gaps), bool)
    chosen[order] = np.cumsum(gaps[order]) <= budget
    return chosen | (gaps <= rounding)


@lru_cache
def _rule(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of Gauss and Legendre's rule, which take time to compute."""
    return np.polynomial.legendre.leggauss(count)


def _split(
    path: Path, edges: np.ndarray, ends: np.ndarray, slopes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return both parts of each interval, and the outputs at their ends.

    Parameters
    ----------
    path : Path
        The path.
    edges, ends, slopes : ndarray (n, 2)
        Ends of the intervals, the outputs there, and the slopes of the output next to them.
    """
    width = np.diff(edges, axis=1)[:, 0]
    bend = slopes[:, 0] - slopes[:, 1]
    # Between ReLUs the output is a line: a single kink is where the lines of both ends meet.
    beyond = np.diff(ends, axis=1)[:, 0] - slopes[:, 1] * width
    place = np.divide(beyond, bend * width, out=np.full_like(bend, 0.5), where=bend * width != 0)
    place[(place < _NEAREST) | (place > 1 - _NEAREST)] = 0.5
    cut = edges[:, 0] + place * width
    value = path.values(cut)
    parts = np.stack([edges[:, 0], cut, cut, edges[:, 1]], axis=1)
    outputs = np.stack([ends[:, 0], value, value, ends[:, 1]], axis=1)
    return parts.reshape(-1, 2), outputs.reshape(-1, 2)

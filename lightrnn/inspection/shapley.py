"""Shapley values of steps, features or groups of both, exact for few and sampled for many [1]_.

A group of values that is absent from a coalition has the values of the baseline. Orders in which
all groups arrive are drawn with their reverses, whose errors mostly cancel [2]_. Coalitions
that differ only from some step on share the run up to it.

References
----------
.. [1] Castro, J., Gomez, D. and Tejada, J. (2009). Polynomial calculation of the Shapley value
   based on sampling. Computers and Operations Research 36, 1726-1730.
.. [2] Mitchell, R., Cooper, J., Frank, E. and Holmes, G. (2022). Sampling permutations for Shapley
   value estimation. Journal of Machine Learning Research 23(43).
"""

from __future__ import annotations

from dataclasses import replace
from math import comb
from typing import Any

import numpy as np

from ..utils.checks import shown
from .objective import encode_steps, patch_of
from .scalar_output import ScalarOutput

GROUPS = ("step", "feature", "step_feature")
# Steps of coalitions that are held together, which bounds the memory.
_COALITION_STEPS = 1 << 18
# Steps that are run at once: more of them would leave the cache.
_RUN_STEPS = 1 << 13
# Segments of a sequence in which coalitions share what they have in common. With 8 of them the
# runs cost 9 sixteenths of whole ones; more of them, and shorter ones, cost more calls.
_SEGMENTS = 8


def group_index(x: np.ndarray, groups: Any, index: int) -> np.ndarray:
    """Return the group of each value of a sequence, an array of int in its shape.

    Raises
    ------
    ValueError
        If `groups` names no grouping, or is no array of groups 0, 1 ... in the shape of X.
    """
    T = len(x)
    if isinstance(groups, str) and groups in GROUPS:
        if groups != "step" and x.ndim == 1:
            raise ValueError(
                f"groups must be 'step' for tokens, got {groups!r}. A token has no features."
            )
        if groups == "step":
            return np.broadcast_to(np.arange(T).reshape(-1, *[1] * (x.ndim - 1)), x.shape)
        if groups == "feature":
            return np.broadcast_to(np.arange(x.shape[1]), x.shape)
        return np.arange(x.size).reshape(x.shape)
    given = np.asarray(groups)
    if given.dtype.kind in "iu" and given.size and given.ndim <= x.ndim:
        if given.ndim < x.ndim and len(given) == T != x.shape[-1]:
            given = given[:, None]
        names = np.unique(given)
        try:
            if names[0] == 0 and names[-1] == len(names) - 1:
                return np.broadcast_to(given, x.shape)
        except ValueError:
            pass  # of another shape
    raise ValueError(
        f"groups must be one of {', '.join(map(repr, GROUPS))}, or an array of the shape {x.shape} "
        f"of X[{index}] with the group of each value, 0, 1 and so on, got {shown(groups)}."
        " Number the groups without gaps."
    )


class Coalitions:
    """The output of one sequence for coalitions of its groups.

    Parameters
    ----------
    output : ScalarOutput
        The output to attribute.
    x, baseline : ndarray (T, F), or codes (T,)
        The sequence, and the values of groups that are absent.
    groups : ndarray of int, of the shape of x
        Group of each value.
    """

    def __init__(
        self, output: ScalarOutput, x: np.ndarray, baseline: np.ndarray, groups: np.ndarray
    ) -> None:
        estimator = output.estimator
        self.network = estimator._model.network
        self.output = output
        self.n_groups = int(groups.max()) + 1
        # A state is carried on only where nothing after the step that is read matters to it.
        forward = len(self.network.levels[0]) == 1
        self.reuses = self.network.recurrent and forward and self.network.pooling is None
        stop = len(x)
        if self.reuses and output.step is not None:
            stop = output.step + 1
            self.output = replace(output, step=None)
        self._x = x[:stop]
        self._baseline = np.asarray(baseline[:stop])
        self._groups = np.array(groups[:stop])
        self._patch = patch_of(estimator)
        # What is carried over a missing value depends on the coalition. Without one, the inputs of
        # a coalition are those of the sequence and the baseline, which are then encoded once.
        self._carries = bool(np.isnan(self._x).any() or np.isnan(self._baseline).any())
        if not self._carries:
            steps = [self._x, self._baseline, self._groups]
            # Patches of few steps or of a memory map are no arrays yet.
            self._x, self._baseline, encoded = map(np.asarray, encode_steps(estimator, steps))
            # Marks are the same in both, so that their groups do not matter.
            self._groups = encoded.astype(np.intp).clip(max=self.n_groups - 1)
            self._patch = 1
        T = len(self._x)
        self._first = np.full(self.n_groups, T)  # the first step of each group
        np.minimum.at(self._first, self._groups.reshape(T, -1), np.arange(T)[:, None])
        # A random number of each group; coalitions of the same groups have the same sum.
        rng = np.random.default_rng(0)
        self._numbers = rng.integers(2**64, size=self.n_groups, dtype=np.uint64)

    def value(self, members: np.ndarray) -> np.ndarray:
        """Return the output (n,) of coalitions, rows of `members` (n, groups)."""
        together = max(1, _COALITION_STEPS // len(self._x))
        parts = []
        for start in range(0, len(members), together):
            present = members[start : start + together, self._groups]  # (n, T, F)
            inputs = self._encoded(np.where(present, self._x, self._baseline))
            parts.append(self._run(inputs, ())[0])
        return np.concatenate(parts)

    def arrivals(self, orders: np.ndarray) -> np.ndarray:
        """Return how much the output gains as each group arrives, (n, groups).

        Parameters
        ----------
        orders : ndarray of int (n, groups)
            Orders in which the groups arrive.
        """
        G = self.n_groups
        together = max(1, _COALITION_STEPS // ((G + 1) * len(self._x)))
        gains = np.zeros(orders.shape)
        for start in range(0, len(orders), together):
            some = slice(start, start + together)
            gained = np.diff(self._values(orders[some]), axis=1)
            np.put_along_axis(gains[some], orders[some], gained, axis=1)
        return gains

    def _values(self, orders: np.ndarray) -> np.ndarray:
        """Return the output after 0, 1 ... arrivals in each order, (n, 1 + groups).

        Coalition k of an order has its first k groups. Before some step only those coalitions
        differ whose groups come before it: a segment of the sequence is run once for each of them,
        from the state that the last segment left.
        """
        n, G = orders.shape
        ranks = np.argsort(orders, axis=1)  # of each group
        ends = self._segment_ends() if self.reuses else [len(self._x)]
        row = np.zeros(n * (G + 1), np.intp)  # row of the last segment that each continues
        states: tuple[np.ndarray, ...] = ()
        start = 0
        for end in ends:
            numbers = np.where(self._first < end, self._numbers, np.uint64(0))
            sums = np.zeros((n, G + 1), np.uint64)
            np.cumsum(numbers[orders], axis=1, out=sums[:, 1:])
            _, chosen, same = np.unique(sums, return_index=True, return_inverse=True)
            order, count = divmod(chosen, G + 1)
            inputs = self._inputs(ranks, order, count, start, end)
            before = row[chosen]
            values, states = self._run(inputs, tuple(state[before] for state in states))
            row = same.ravel()
            start = end
        return values[row].reshape(n, G + 1)

    def _segment_ends(self) -> list[int]:
        """Return the ends of segments in steps, all but the last in whole patches."""
        T = len(self._x)
        length = self._patch * max(1, -(-T // (self._patch * _SEGMENTS)))
        return [*range(length, T, length), T]

    def _inputs(
        self, ranks: np.ndarray, order: np.ndarray, count: np.ndarray, start: int, end: int
    ) -> np.ndarray:
        """Return what the network reads of a segment in coalitions, (n, T, F).

        Parameters
        ----------
        ranks : ndarray of int (orders, groups)
            Rank of each group in each order.
        order, count : ndarray of int (n,)
            Order of each coalition, and the number of its groups.
        start, end : int
            Ends of the segment.
        """
        since = 0 if self._carries else start
        rank = ranks[:, self._groups[since:end]]
        present = rank[order] < count.reshape(-1, *[1] * self._x.ndim)
        encoded = self._encoded(np.where(present, self._x[since:end], self._baseline[since:end]))
        return encoded[:, (start - since) // self._patch :]

    def _encoded(self, steps: np.ndarray) -> np.ndarray:
        """Return coalitions (n, T, F) as the network reads them."""
        if not self._carries:
            return steps
        return np.stack(encode_steps(self.output.estimator, list(steps)))

    def _run(
        self, inputs: np.ndarray, states: tuple[np.ndarray, ...]
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """Run over inputs (n, T, F) from states; return the outputs and the next states."""
        from ..nn.batches import Batch

        if not self.reuses:
            return self.output.read(self.network, list(inputs)), ()
        n, T = inputs.shape[:2]
        together = max(1, _RUN_STEPS // T)
        values = []
        carried = []
        for start in range(0, n, together):
            X: Any = inputs[start : start + together]
            before = tuple(state[start : start + together] for state in states)
            batch = Batch(X, np.full(len(X), T), states=before)
            run = self.network.acquire(batch)
            run.forward(kept=False)
            raw = run.final_outputs() if run.step else run.outputs()
            values.append(self.output.of_raw(raw))
            carried.append(run.final_states())
            self.network.release(run)
        joined = zip(*carried, strict=True)
        return np.concatenate(values), tuple(np.concatenate(parts) for parts in joined)


def shapley(
    coalitions: Coalitions, n_permutations: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the Shapley value of each group and its standard error, 0 where it is exact.

    Parameters
    ----------
    coalitions : Coalitions
        The groups of one sequence.
    n_permutations : int
        Number of orders, the reverse ones included.
    rng : Generator
        Source of the orders.
    """
    G = coalitions.n_groups
    pairs = max(2, -(-n_permutations // 2))
    if 2.0**G <= 2 * pairs * G:  # all coalitions are no more than those of the orders
        return _exact(coalitions), np.zeros(G)
    orders = rng.permuted(np.tile(np.arange(G), (pairs, 1)), axis=1)
    gains = coalitions.arrivals(np.concatenate([orders, orders[:, ::-1]]))
    samples = (gains[:pairs] + gains[pairs:]) / 2  # an order and its reverse are one sample
    return samples.mean(axis=0), samples.std(axis=0, ddof=1) / np.sqrt(pairs)


def _exact(coalitions: Coalitions) -> np.ndarray:
    """Return the Shapley values by the outputs of all coalitions."""
    G = coalitions.n_groups
    members = (np.arange(2**G)[:, None] >> np.arange(G)) & 1 == 1  # (2 ** G, G)
    values = coalitions.value(members)
    sizes = members.sum(axis=1)
    found = np.empty(G)
    for group in range(G):
        absent = np.flatnonzero(~members[:, group])
        weights = np.array([1 / (G * comb(G - 1, size)) for size in sizes[absent].tolist()])
        found[group] = weights @ (values[absent + (1 << group)] - values[absent])
    return found

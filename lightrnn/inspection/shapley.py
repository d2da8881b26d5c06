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
from typing import TYPE_CHECKING, Any

import numpy as np

from ..utils.checks import shown
from .objective import encode_steps, patch_of
from .scalar_output import ScalarOutput

if TYPE_CHECKING:
    pass

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
        self._groups = groups[:stop]
        flat = self._groups.reshape(stop, -1)
        self._first = np.full(self.n_groups, stop)  # the first step of each group
        np.minimum.at(self._first, flat, np.arange(stop)[:, None])

    def value(self, members: np.ndarray) -> np.ndarray:
        """Return the output (n,) of coalitions, rows of `members` (n, groups)."""
        together = max(1, _COALITION_STEPS // len(self._x))
        parts = []
        for start in range(0, len(members), together):
            present = members[start : start + together, self._groups]  # (n, T, F)
            steps = list(np.where(present, self._x, self._baseline))
            if self.reuses:
                parts.append(self._run(self._encoded(steps), ())[0])
            else:
                parts.append(self.output.of_steps(steps))
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
            ranks = np.argsort(orders[some], axis=1)  # of each group
            values = self._values(ranks)
            gains[some] = np.take_along_axis(np.diff(values, axis=1), ranks, axis=1)
        return gains

    def _values(self, ranks: np.ndarray) -> np.ndarray:
        """Return the output after 0, 1 ... arrivals in each order, (n, 1 + groups).

        Coalition k of an order has the groups of ranks below k. Before some step only those
        coalitions differ whose groups come before it: a segment of the sequence is run once for
        each of them, from the state that the last segment left.
        """
        n, G = ranks.shape
        ends = self._segment_ends() if self.reuses else [len(self._x)]
        known = np.zeros((n, G + 1), bool)  # which coalitions have a row of their own
        known[:, 0] = True
        row = np.zeros((n, G + 1), np.int64)  # row of the last segment that each continues
        states: tuple[np.ndarray, ...] = ()
        start = 0
        for end in ends:
            order, group = np.nonzero(np.broadcast_to(self._first < end, (n, G)))
            known[order, 1 + ranks[order, group]] = True
            before = row[known]
            owner, count = np.nonzero(known)
            inputs = self._inputs(ranks[owner], count, start, end)
            if not self.reuses:
                values = self.output.read(self.network, inputs)
            else:
                values, states = self._run(inputs, tuple(state[before] for state in states))
            row = (np.cumsum(known.ravel()) - 1).reshape(known.shape)
            start = end
        return values[row]

    def _segment_ends(self) -> list[int]:
        """Return the ends of segments in steps, all but the last in whole patches."""
        T = len(self._x)
        patch = patch_of(self.output.estimator)
        length = patch * max(1, -(-T // (patch * _SEGMENTS)))
        return [*range(length, T, length), T]

    def _inputs(
        self, ranks: np.ndarray, count: np.ndarray, start: int, end: int
    ) -> list[np.ndarray]:
        """Return what the network reads of a segment in coalitions, given by ranks and count."""
        form = self.output.estimator._model.form
        if form is not None and form.fill is not None:
            start, skipped = 0, start  # what is carried over missing values is in the steps before
        else:
            skipped = 0
        present = ranks[:, self._groups[start:end]] < count.reshape(-1, *[1] * self._x.ndim)
        steps = np.where(present, self._x[start:end], self._baseline[start:end])
        encoded = self._encoded(list(steps))
        patches = skipped // patch_of(self.output.estimator)
        return [x[patches:] for x in encoded] if patches else encoded

    def _encoded(self, steps: list[np.ndarray]) -> list[np.ndarray]:
        """Return steps as the network reads them."""
        return encode_steps(self.output.estimator, steps)

    def _run(
        self, inputs: list[np.ndarray], states: tuple[np.ndarray, ...]
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """Run over inputs of one length from states; return the outputs and the next states."""
        from ..nn.batches import Batch

        together = max(1, _RUN_STEPS // len(inputs[0]))
        values = []
        carried = []
        for start in range(0, len(inputs), together):
            some = slice(start, start + together)
            batch = replace(
                Batch.of_inputs(inputs[some]), states=tuple(state[some] for state in states)
            )
            run = self.network.acquire(batch)
            run.forward()
            raw = run.final_outputs() if run.step else run.outputs()
            values.append(self.output.of_raw(raw))
            carried.append(run.final_states())
            self.network.release([run])
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

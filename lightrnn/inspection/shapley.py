"""Shapley values of steps, features or groups of both, exact for few and sampled for many [1]_.

A group of values that is absent from a coalition has the values of the baseline. Orders in which
all groups arrive are drawn with their reverses, whose errors mostly cancel [2]_. A coalition that
differs from the one before only from some step on is run from the state before that step.

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
# Steps of coalitions that are predicted together, which bounds the memory.
_COALITION_STEPS = 1 << 16


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
        self._patch = patch_of(estimator)
        flat = self._groups.reshape(stop, -1)
        self.first = np.full(self.n_groups, stop)  # step of each group
        np.minimum.at(self.first, flat, np.arange(stop)[:, None])

    def value(self, members: np.ndarray) -> np.ndarray:
        """Return the output (n,) of coalitions, rows of `members` (n, groups)."""
        together = max(1, _COALITION_STEPS // len(self._x))
        parts = [members[i : i + together] for i in range(0, len(members), together)]
        return np.concatenate([self._values(part) for part in parts])

    def _values(self, members: np.ndarray) -> np.ndarray:
        inputs = self._inputs(members)
        if self.reuses:
            run = self._run(inputs, ())
            return self._read(run)
        return self.output.read(self.network, inputs)

    def _inputs(self, members: np.ndarray) -> list[np.ndarray]:
        """Return what the network reads of each coalition."""
        dtype = np.result_type(self._x, self._baseline)
        steps = [
            np.where(present[self._groups], self._x, self._baseline).astype(dtype)
            for present in members
        ]
        return encode_steps(self.output.estimator, steps)

    def arrivals(self, orders: np.ndarray) -> np.ndarray:
        """Return how much the output gains as each group arrives, (n, groups).

        Parameters
        ----------
        orders : ndarray of int (n, groups)
            Orders in which the groups arrive.
        """
        n, G = orders.shape
        members = np.zeros((n, G), bool)
        gains = np.zeros((n, G))
        rows = np.arange(n)
        run = _Resumed(self, members) if self.reuses else None
        before = self.value(members) if run is None else run.outputs.copy()
        for group in orders.T:
            members[rows, group] = True
            if run is None:
                after = self.value(members)
            else:
                after = run.changed(self._inputs(members), self.first[group] // self._patch)
            gains[rows, group] = after - before
            before = after
        return gains

    def _run(self, inputs: list[np.ndarray], states: tuple[np.ndarray, ...]) -> Any:
        """Run over sequences from states in their order."""
        from ..nn.batches import Batch

        batch = Batch.of_inputs(inputs)
        run = self.network.acquire(
            replace(batch, states=tuple(state[batch.order] for state in states))
        )
        run.forward()
        return run

    def _read(self, run: Any) -> np.ndarray:
        """Return the output (n,) of a run in the order of its inputs, and end the run."""
        raw = run.final_outputs() if run.step else run.outputs()
        values = np.empty(len(raw))
        values[run.batch.order] = self.output.of_raw(raw)
        self.network.release([run])
        return values


class _Resumed:
    """One coalition for each order, with the states after each input of its sequence."""

    def __init__(self, coalitions: Coalitions, members: np.ndarray) -> None:
        self._coalitions = coalitions
        self._states: list[np.ndarray] = []  # (n, 1 + T, Z * width) of each layer
        inputs = coalitions._inputs(members)
        self._length = len(inputs[0])
        self.outputs = np.zeros(len(inputs))
        self._update(np.arange(len(inputs)), inputs, np.zeros(len(inputs), np.int64))

    def changed(self, inputs: list[np.ndarray], first: np.ndarray) -> np.ndarray:
        """Return the outputs (n,) of sequences that are new from the input `first` (n,) on."""
        rows = np.flatnonzero(first < self._length)  # later groups are never read
        if len(rows):
            self._update(rows, [inputs[i][first[i] :] for i in rows.tolist()], first[rows])
        return self.outputs.copy()

    def _update(self, rows: np.ndarray, inputs: list[np.ndarray], first: np.ndarray) -> None:
        """Run over the ends of some sequences, and keep their states and outputs."""
        states = tuple(state[rows, first] for state in self._states)
        run = self._coalitions._run(inputs, states)
        packing = run.packing
        sizes = np.diff(packing.first[1:])
        step = 1 + np.repeat(np.arange(len(sizes)), sizes)
        order = run.batch.order[packing.members]
        for number, buffers in enumerate(run._levels):
            kept = buffers[0].state[packing.start : packing.stop]
            if len(self._states) == number:
                shape = (len(self.outputs), 1 + self._length, kept.shape[1])
                self._states.append(np.zeros(shape, kept.dtype))
            self._states[number][rows[order], first[order] + step] = kept
        self.outputs[rows] = self._coalitions._read(run)


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

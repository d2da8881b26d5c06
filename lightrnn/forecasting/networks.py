"""The networks of a stream, each with one state for every step of a season."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import cpu
from ..estimators.regressor import RNNRegressor
from ..nn.stepper import Stepper


class Networks:
    """The arrays of `cpu.forecast_step` that are the networks'.

    Parameters
    ----------
    nets : tuple of RNNRegressor
        Networks of one architecture.
    season : int
        Number of steps in a season.

    Attributes
    ----------
    arrays : ndarray (n_nets, N)
        Everything that a step of each touches.
    kept : ndarray (n_nets, season * S)
        The states of each network, a view of them: what later steps depend on.
    """

    def __init__(self, nets: tuple[RNNRegressor, ...], season: int) -> None:
        steppers = [Stepper(net._fitted().network, 1) for net in nets]
        # All have the same layout.
        self._stepper = steppers[0]
        size = self._stepper.vector.size
        self._season = season
        self._size = sum(state.size for state in self._stepper.states)
        end = size + season * self._size
        line = cpu.host.CACHE_LINE // self._stepper.vector.itemsize
        # Each row begins at a cache line.
        columns = -(-end // line) * line
        self.arrays = cpu.host.aligned(len(nets), columns, self._stepper.vector.dtype)
        for array, stepper in zip(self.arrays, steppers, strict=True):
            array[:size] = stepper.vector
        self.kept = self.arrays[:, size:end]
        self._standardizations = [stepper.network.standardization for stepper in steppers]

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and scale of the inputs of each network, (n_nets, F)."""
        F = self._stepper.network.n_features
        found = self._standardizations
        means = [np.zeros(F) if one is None else one.mean for one in found]
        scales = [np.ones(F) if one is None else one.scale for one in found]
        return np.array(means), np.array(scales)

    def plan(self, table: np.ndarray, q: int, w: int, linear: bool) -> np.ndarray:
        """Return what follows the options in the plan of the kernel.

        Parameters
        ----------
        table : ndarray (inputs, 4)
            Where inputs are.
        q, w : int
            Number of quantiles that the networks predict, and of forecasts.
        linear : bool
            Whether there is a linear part.
        """
        stepper = self._stepper
        outputs: Any = stepper.fixed_outputs  # of a matrix, as every regressor's
        states = [(stepper.offset(state), state.size) for state in stepper.states]
        plan = cpu.forecast_step.Plan(
            advance=cpu.calls.address(stepper.kernel, str(stepper.vector.dtype)),
            layers=len(stepper.index),
            columns=stepper.index.shape[1],
            features=stepper.network.n_features,
            inputs=len(table),
            linear=int(linear),
            q=q,
            w=w,
            X=stepper.offset(stepper.inputs),
            outputs=stepper.offset(outputs),
            states=len(states),
            memory=stepper.vector.size,
            kept=self._size,
        )
        return np.concatenate([plan, table.ravel(), stepper.index.ravel(), np.ravel(states)])

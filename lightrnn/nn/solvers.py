"""Solvers: how a gradient moves the flat vector of parameters, in place.

Each solver is a set of moments, vectors like the parameters, and the constants of its rule in
`updates.py`. The decay is decoupled from the gradient for every solver: parameters shrink by
``learning_rate * alpha``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

# Waits for a step to be made; returns the loss and the norm of its gradient.
Outcome = Callable[[], tuple[float, float]]


class Solver:
    """Base of the solvers.

    Parameters
    ----------
    size : int
        Elements of the parameter vector, in whole SIMD registers.
    dtype : dtype
        float32 or float64.
    alpha : float, default=0.0
        Decoupled weight decay, >= 0.

    Attributes
    ----------
    state : dict
        The number of "steps" made, and the moments by name.
    """

    name: str
    moments: tuple[str, ...]

    def __init__(
        self,
        size: int,
        dtype: DTypeLike,
        alpha: float = 0.0,
    ) -> None:
        self._alpha = alpha
        self.state: dict[str, Any] = {"steps": 0}
        for moment in self.moments:
            self.state[moment] = cpu.host.aligned(1, size, dtype)[0]
        self._update = cpu.updates.update(self.name)

    def step(
        self,
        parameters: np.ndarray,
        gradient: np.ndarray,
        learning_rate: float,
        clip_norm: float | None = None,
    ) -> float:
        """Move the parameters.

        Parameters
        ----------
        parameters, gradient : ndarray (size,)
            The parameters are changed, the gradient is not.
        learning_rate : float
            Step size.
        clip_norm : float or None, default=None
            A gradient of a larger Euclidean norm is scaled down to it [1]_.

        Returns
        -------
        float
            The gradient's norm before clipping. If it is not finite, nothing is changed.

        References
        ----------
        .. [1] Pascanu, R., Mikolov, T. and Bengio, Y. (2013). On the difficulty of training
           recurrent neural networks. ICML, algorithm 1.
        """
        norm = math.sqrt(cpu.updates.squared_norm(gradient))
        if not math.isfinite(norm):
            return norm
        scale = 1.0
        if clip_norm is not None and norm > clip_norm:
            scale = clip_norm / norm
        moments = tuple(map(self.state.__getitem__, self.moments))
        self._update(parameters, gradient, moments, scale, self.advance(learning_rate))
        return norm

    def advance(self, learning_rate: float) -> tuple[float, ...]:
        """Count a step and return the constants of its rule."""
        self.state["steps"] += 1
        return self._constants(learning_rate)

    def _constants(self, rate: float) -> tuple[float, ...]:
        """Return the constants of the rule, which may depend on the number of steps made."""
        raise NotImplementedError


class SGD(Solver):
    """Stochastic gradient descent with Nesterov's momentum [1]_.

    References
    ----------
    .. [1] Sutskever, I., Martens, J., Dahl, G. and Hinton, G. (2013). On the importance of
       initialization and momentum in deep learning. ICML, equations 3 and 4.
    """

    name = "sgd"
    moments = ("velocity",)
    momentum = 0.9

    def _constants(self, rate: float) -> tuple[float, ...]:
        return rate, rate * self._alpha, self.momentum


class RMSprop(Solver):
    """Gradient divided by a running root mean square of itself [1]_.

    References
    ----------
    .. [1] Tieleman, T. and Hinton, G. (2012). Lecture 6.5, Neural networks for machine learning.
    """

    name = "rmsprop"
    moments = ("square",)

    def _constants(self, rate: float) -> tuple[float, ...]:
        return (
            rate,
            rate * self._alpha,
            0.9,  # how much of the old mean square stays
            0.1,  # how much of the new square comes in
            1e-7,  # added to the root, so that nothing is divided by 0
        )


class Adam(Solver):
    """Adaptive moments [1]_ with decoupled weight decay [2]_.

    References
    ----------
    .. [1] Kingma, D. and Ba, J. (2015). Adam: a method for stochastic optimization. ICLR,
       algorithm 1.
    .. [2] Loshchilov, I. and Hutter, F. (2019). Decoupled weight decay regularization. ICLR,
       algorithm 2.
    """

    name = "adam"
    moments = ("mean", "square")

    def _constants(self, rate: float) -> tuple[float, ...]:
        steps = self.state["steps"]
        # Moments begin at 0: early means are too small by these factors.
        mean_correction = 1 / (1 - 0.9**steps)
        square_correction = 1 / (1 - 0.999**steps)
        return (
            rate * mean_correction,
            rate * self._alpha,
            0.9,  # how much of the old mean stays
            0.1,
            0.999,  # how much of the old mean square stays
            0.001,
            square_correction,
            1e-8,  # added to the root, so that nothing is divided by 0
        )


SOLVERS: dict[str, type[Solver]] = {"adam": Adam, "sgd": SGD, "rmsprop": RMSprop}


def make_solver(
    name: str,
    n_parameters: int,
    dtype: DTypeLike,
    *,
    momentum: float = 0.9,
    alpha: float = 0.0,
) -> Solver:
    """Make the solver of this name; `momentum` is sgd's alone."""
    solver = SOLVERS[name](n_parameters, dtype, alpha)
    if isinstance(solver, SGD):
        solver.momentum = momentum
    return solver

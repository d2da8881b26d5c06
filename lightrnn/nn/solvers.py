"""Solvers: what turns a gradient into a step, in place, on the flat vector of parameters.

Each is a set of moments (vectors like the parameters) and the constants of its rule in `updates.py`. The decay is
decoupled from the gradient, for every solver: parameters shrink by ``learning_rate * alpha``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import cpu

Outcome = Callable[
    [], tuple[float, float]
]  # waits for a step; returns the loss and the norm of its gradient


class Solver:
    """Base of the solvers.

    Parameters
    ----------
    size : int
        Elements of the parameter vector, in whole SIMD registers.
    dtype : dtype
        float32 or float64.
    alpha : float
        Decoupled weight decay, >= 0.
    """

    name: str
    moments: tuple[str, ...]

    def __init__(self, size: int, dtype: np.typing.DTypeLike, alpha: float = 0.0) -> None:
        self._alpha = alpha
        self.state: dict[str, Any] = {"steps": 0}
        self.state |= {moment: cpu.host.aligned(1, size, dtype)[0] for moment in self.moments}
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
            The former is changed, the latter is not.
        learning_rate : float
            Step size.
        clip_norm : float or None
            A gradient with a larger Euclidean norm is scaled down to it [1]_.

        Returns
        -------
        float
            The gradient's norm before clipping. If it is not finite, nothing is changed.

        References
        ----------
        .. [1] Pascanu, R., Mikolov, T. and Bengio, Y. (2013). On the difficulty of training recurrent neural networks.
           ICML, algorithm 1.
        """
        norm = math.sqrt(cpu.updates.squared_norm(gradient))
        if not math.isfinite(norm):
            return norm
        scale = 1.0 if clip_norm is None or norm <= clip_norm else clip_norm / norm
        moments = tuple(self.state[moment] for moment in self.moments)
        self._update(parameters, gradient, moments, scale, self.advance(learning_rate))
        return norm

    def advance(self, learning_rate: float) -> tuple[float, ...]:
        """Count a step and return the constants of its rule."""
        self.state["steps"] += 1
        return self._constants(learning_rate)

    def _constants(self, rate: float) -> tuple[float, ...]:
        """Numbers of the rule, which may depend on how many steps were made."""
        raise NotImplementedError


class SGD(Solver):
    """Stochastic gradient descent with Nesterov's momentum [1]_.

    References
    ----------
    .. [1] Sutskever, I., Martens, J., Dahl, G. and Hinton, G. (2013). On the importance of initialization and momentum
       in deep learning. ICML, equations 3 and 4.
    """

    name, moments = "sgd", ("velocity",)

    def __init__(
        self, size: int, dtype: np.typing.DTypeLike, alpha: float = 0.0, momentum: float = 0.9
    ) -> None:
        super().__init__(size, dtype, alpha)
        self._momentum = momentum

    def _constants(self, rate: float) -> tuple[float, ...]:
        return rate, rate * self._alpha, self._momentum


class RMSprop(Solver):
    """Gradient divided by a running root mean square of itself [1]_.

    References
    ----------
    .. [1] Tieleman, T. and Hinton, G. (2012). Lecture 6.5, Neural networks for machine learning.
    """

    name, moments = "rmsprop", ("square",)

    def _constants(self, rate: float) -> tuple[float, ...]:
        return rate, rate * self._alpha, 0.9, 0.1, 1e-7


class Adam(Solver):
    """Adaptive moments [1]_ with decoupled weight decay [2]_.

    References
    ----------
    .. [1] Kingma, D. and Ba, J. (2015). Adam: a method for stochastic optimization. ICLR, algorithm 1.
    .. [2] Loshchilov, I. and Hutter, F. (2019). Decoupled weight decay regularization. ICLR, algorithm 2.
    """

    name, moments = "adam", ("mean", "square")

    def _constants(self, rate: float) -> tuple[float, ...]:
        steps = self.state["steps"]
        corrections = 1 / (1 - 0.9**steps), 1 / (1 - 0.999**steps)
        return (
            rate * corrections[0],
            rate * self._alpha,
            0.9,
            0.1,
            0.999,
            0.001,
            corrections[1],
            1e-8,
        )


SOLVERS: dict[str, type[Solver]] = {"adam": Adam, "sgd": SGD, "rmsprop": RMSprop}


def make_solver(
    name: str,
    n_parameters: int,
    dtype: np.typing.DTypeLike,
    *,
    momentum: float = 0.9,
    alpha: float = 0.0,
) -> Solver:
    """Make the solver of this name; `momentum` is sgd's alone."""
    if name == "sgd":
        return SGD(n_parameters, dtype, alpha, momentum)
    return SOLVERS[name](n_parameters, dtype, alpha)

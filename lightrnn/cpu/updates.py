"""The solvers' updates, each one pass over the parameters: they are bound by memory, not arithmetic."""

import math

import numpy as np

from .jit import kernel

_BLOCK = 1024


@kernel
def squared_norm(gradient):
    """Sum of squares: 16 running sums a block in the vector's precision, blocks in float64."""
    total, n = 0.0, len(gradient)
    sums = np.empty(16, gradient.dtype)
    for start in range(0, n, _BLOCK):
        sums[:] = 0
        stop = min(start + _BLOCK, n)
        whole = stop - (stop - start) % 16
        for i in range(start, whole, 16):
            for lane in range(16):
                sums[lane] += gradient[i + lane] * gradient[i + lane]
        for i in range(whole, stop):
            sums[i - whole] += gradient[i] * gradient[i]
        for lane in range(16):
            total += np.float64(sums[lane])
    return total


@kernel
def sgd(parameters, gradient, moments, rate, decay, scale, constants):
    """Nesterov's momentum: ``v = m v - rate g; p += m v - rate g``."""
    (velocity,), (momentum,) = moments, constants
    for i in range(len(parameters)):
        step = rate * (scale * gradient[i])
        velocity[i] = momentum * velocity[i] - step
        parameters[i] = parameters[i] - decay * parameters[i] + (momentum * velocity[i] - step)


@kernel
def rmsprop(parameters, gradient, moments, rate, decay, scale, constants):
    """``s = r s + (1 - r) g^2; p -= rate g / (sqrt(s) + epsilon)``."""
    (square,), (rho, rest, epsilon) = moments, constants
    for i in range(len(parameters)):
        g = scale * gradient[i]
        square[i] = rho * square[i] + rest * g * g
        parameters[i] = parameters[i] - decay * parameters[i] - rate * g / (math.sqrt(square[i]) + epsilon)


@kernel
def adam(parameters, gradient, moments, rate, decay, scale, constants):
    """``m = b1 m + (1 - b1) g; s = b2 s + (1 - b2) g^2; p -= rate c1 m / (sqrt(c2 s) + epsilon)``."""
    (mean, square), (beta1, rest1, correction1, beta2, rest2, correction2, epsilon) = moments, constants
    for i in range(len(parameters)):
        g = scale * gradient[i]
        mean[i] = beta1 * mean[i] + rest1 * g
        square[i] = beta2 * square[i] + rest2 * g * g
        step = rate * correction1 * mean[i] / (math.sqrt(correction2 * square[i]) + epsilon)
        parameters[i] = parameters[i] - decay * parameters[i] - step

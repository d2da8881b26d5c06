"""The softmax and its cross-entropy, row by row: NumPy's dozen calls would cost more than a small network's layers."""

import math

from .jit import kernel


@kernel
def cross_entropy(raw, target, weight, gradient):
    """Sum of weight * -log softmax(raw)[target]; fills `gradient` with its derivative."""
    total = 0.0
    for i in range(len(target)):
        top = raw[i, 0]
        for j in range(1, raw.shape[1]):
            top = max(top, raw[i, j])
        mass = raw[i, 0] - raw[i, 0]
        for j in range(raw.shape[1]):
            gradient[i, j] = math.exp(raw[i, j] - top)
            mass += gradient[i, j]
        for j in range(raw.shape[1]):
            gradient[i, j] *= weight[i] / mass
        gradient[i, target[i]] -= weight[i]
        total += weight[i] * (math.log(mass) - (raw[i, target[i]] - top))
    return total

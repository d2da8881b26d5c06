"""The loss of several quantiles: the only one of so many outputs that NumPy's passes cost time."""

from ..elementwise import like
from ..losses import pinball
from . import simd  # noqa: F401 - it has the primitives that the loss is made of
from .jit import Matrix, Numbers, kernel, register_jitable

_pinball = register_jitable(pinball)


@kernel
def quantile_loss(
    gradient: Matrix,  # (rows, >= k), OUT
    raw: Matrix,  # (rows, >= k), IN
    start: int,  # first row of gradient and raw, IN
    targets: Matrix,  # (N, k), NaN where one is missing, IN
    weights: Numbers,  # (N,), IN
    quantiles: Numbers,  # (k,), IN
):
    """Compute the gradient of some rows' pinball losses, and return their weighted sum.

    A row's loss is the mean over its outputs. Sums are taken in the order of the rows.
    """
    k = len(quantiles)
    # Of each output by itself, so that the loop over outputs is one over registers.
    losses = quantiles - quantiles
    for i in range(len(targets)):
        outputs = raw[start + i]
        slopes = gradient[start + i]
        wanted = targets[i]
        share = weights[i] / like(weights[i], k)
        for j in range(k):
            # What is missing costs nothing.
            target = wanted[j] if wanted[j] == wanted[j] else outputs[j]
            loss, slope = _pinball(outputs[j], target, quantiles[j])
            losses[j] += loss * share
            slopes[j] = slope * share
    total = 0.0
    for j in range(k):
        total += losses[j]
    return total

"""A linear output layer, the softmax of what it gives, its cross-entropy and the way back, some rows at a time.

The outputs of a chunk of rows are computed, turned into their gradient in place, and used up while they are in the
cache: with a large vocabulary all rows' outputs together would take more memory than everything else.
"""

import math

from numba.extending import register_jitable

from ..elementwise import clip, exp, like
from .denormals import flush_denormals, restore_denormals
from .jit import kernel
from .matmul import product, products_t
from .registers import at, highest, lanes, load, maximum, splats, store, total


@register_jitable
def _gradient_row(x, i, k, target, share):
    """Turn row i, k outputs, into share * (softmax - one hot); return the loss, -log softmax[target]."""
    L, K, aim = lanes(x), x.shape[1], x[i, target]
    x[i, k:] = -math.inf
    peak = load(x, i, 0)
    for j in range(L, K, L):
        peak = maximum(peak, load(x, i, j))
    top = highest(peak)
    (level,), sums = splats(x, (top,)), like(peak, 0)
    for j in range(0, K, L):
        power = exp(clip(load(x, i, j) - level, like(peak, -80), like(peak, 0)))
        sums = sums + power
        store(x, i, j, power)
    mass = total(sums)
    (scale,) = splats(x, (share / mass,))
    for j in range(0, K, L):
        store(x, i, j, load(x, i, j) * scale)
    x[i, k:] = 0
    x[i, target] -= share
    return math.log(mass) - (aim - top)


@kernel
def softmax_loss(
    dh, h, start, target, weight, whole, weights, transposed, gradients, scratch, D, k, tied, learn
):
    """Return sum(weight * loss) / whole over rows of h from `start` on; with `learn` set `dh` and `gradients`.

    Parameters
    ----------
    dh, h : ndarray (>= rows, >= D)
        Features and what becomes their gradient.
    target, weight : ndarray (rows,)
        Class codes; float64.
    weights, transposed, gradients, scratch : as in `recurrence.py`
        Of a layer of the cell "linear"; the scratch with room for some rows of outputs as `before`.
    D, k : int
        Features and outputs before padding.
    tied : bool
        Whether the matrix is the transpose of an embedding, to whose gradient it adds.
    """
    control = flush_denormals()
    loss, logits, K = 0.0, scratch.before, len(weights.b_ih)
    for first in range(0, len(target), len(logits)):
        rows = min(len(logits), len(target) - first)
        features, outputs = at(h, start + first, 0), at(logits, 0, 0)
        product(outputs, (weights.b_ih, 0, 0), features, weights.W_ih, rows, D, K)
        for i in range(rows):
            loss += weight[first + i] * _gradient_row(
                logits, i, k, target[first + i], weight[first + i] / whole
            )
        if learn:
            ones, zeros, panel, more = (
                at(scratch.ones, 0, 0),
                scratch.zeros,
                scratch.panel,
                first > 0,
            )
            bias = gradients.b_ih, ones, 1
            if tied:
                products_t((bias,), more, zeros, outputs, panel, rows, K)
                products_t(
                    ((gradients.W_ih, outputs, k),), True, zeros, features, panel, rows, dh.shape[1]
                )
            else:
                products_t(
                    (bias, (gradients.W_ih, features, D)), more, zeros, outputs, panel, rows, K
                )
            inner = k if tied else K
            product(
                at(dh, start + first, 0),
                (zeros, 0, 0),
                outputs,
                transposed.W_ih,
                rows,
                inner,
                dh.shape[1],
            )
    restore_denormals(control)
    return loss / whole

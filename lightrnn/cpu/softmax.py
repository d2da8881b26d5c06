"""A linear output layer, the softmax of its outputs and the cross-entropy, some rows at a time.

The outputs of a chunk of rows are computed, turned into their gradient in place, and used up while
they are in the cache: with a large vocabulary the outputs of all rows together would take more
memory than everything else.
"""

import math
from typing import NamedTuple

from ..elementwise import clip, exp, like
from .denormals import flush_denormals, restore_denormals
from .jit import Doubles, Integers, Matrix, kernel, register_jitable
from .matmul import product, products_t
from .recurrence import LayerWeights, Scratch, Transposed
from .registers import at, highest, lanes, load, maximum, splats, store, total


class Targets(NamedTuple):
    """The targets of N rows, and what each row weighs in the loss."""

    codes: Integers  # (N,) classes
    weights: Doubles  # (N,)
    total: float  # number of the whole batch's targets


class Linear(NamedTuple):
    """The layer whose outputs are the logits."""

    weights: LayerWeights
    features: int  # D, columns of its input before padding
    units: int  # k, outputs before padding


class LinearBackward(NamedTuple):
    """The arrays that the backward pass of the layer reads, and adds to."""

    transposed: Transposed
    gradients: LayerWeights
    tied: bool  # whether W_ih is the transpose of an embedding


@register_jitable
def _gradient_row(x, i, k, target, share):
    """Turn row i, k logits, into share * (softmax - one hot); return -log softmax[target]."""
    L = lanes(x)
    K = x.shape[1]
    aim = x[i, target]
    # The padding takes part in the vectors below: exp turns it into zeros.
    x[i, k:] = -math.inf
    peak = load(x, i, 0)
    for j in range(L, K, L):
        peak = maximum(peak, load(x, i, j))
    top = highest(peak)
    (level,) = splats(x, (top,))
    sums = like(peak, 0)
    for j in range(0, K, L):
        # exp(-80) is negligible, and no denormal of float32 yet; the clip lets NaN pass.
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


@register_jitable
def _add_losses(
    losses,  # float: sum of the rows before
    logits,  # OUT  (>= rows, K): gradient of the loss with respect to the outputs
    features,  # IN   place of the chunk's first row of features
    wanted,  # IN   see `loss`
    chunk,  # IN   (first target of the chunk, rows of the chunk)
    linear,  # IN   Linear
):
    """Return `losses` plus the weighted losses of a chunk of rows."""
    codes, sample_weights, whole = wanted
    first, rows = chunk
    weights = linear.weights
    K = len(weights.b_ih)
    bias = (weights.b_ih, 0, 0)
    product(at(logits, 0, 0), bias, features, weights.W_ih, rows, linear.features, K)
    for i in range(rows):
        weight = sample_weights[first + i]
        losses += weight * _gradient_row(logits, i, linear.units, codes[first + i], weight / whole)
    return losses


@kernel
def loss(
    h: Matrix,  # IN   (>= start + N, >= D): features
    start: int,  # IN   the first row of features
    wanted: Targets,  # IN
    linear: Linear,  # IN
    logits: Matrix,  # OUT  (chunk, K): scratch
):
    """Return the sum of weight * loss over N rows, divided by the total of the batch."""
    control = flush_denormals()
    N = len(wanted[0])
    losses = 0.0
    for first in range(0, N, len(logits)):
        rows = min(len(logits), N - first)
        features = at(h, start + first, 0)
        losses = _add_losses(losses, logits, features, wanted, (first, rows), linear)
    restore_denormals(control)
    return losses / wanted[2]


@kernel
def loss_and_gradient(
    dh: Matrix,  # OUT  (>= start + N, D padded): gradient of the features
    h: Matrix,  # IN   (>= start + N, >= D): features
    start: int,  # IN   the first row of features
    wanted: Targets,  # IN
    linear: Linear,  # IN
    backward: LinearBackward,  # IN, OUT  its gradients are added to
    scratch: Scratch,  # OUT  `before` (chunk, K) is for logits
):
    """Do what `loss` does, set the gradient of the features, and add to those of the layer."""
    control = flush_denormals()
    transposed, gradients, tied = backward
    logits = scratch.before
    panels = scratch.panels
    zeros = scratch.zeros
    N = len(wanted[0])
    K = logits.shape[1]
    losses = 0.0
    for first in range(0, N, len(logits)):
        rows = min(len(logits), N - first)
        features = at(h, start + first, 0)
        losses = _add_losses(losses, logits, features, wanted, (first, rows), linear)
        outputs = at(logits, 0, 0)
        db = (gradients.b_ih, at(scratch.ones, 0, 0), 1)
        if tied:
            # The embedding's gradient (k, D) is outputs.T @ features; the look-up adds to it too.
            dtable = (gradients.W_ih, outputs, linear.units)
            products_t((db,), outputs, panels, rows, K)
            products_t((dtable,), features, panels, rows, dh.shape[1])
        else:
            dW = (gradients.W_ih, features, linear.features)
            products_t((db, dW), outputs, panels, rows, K)
        inner = linear.units if tied else K
        dX = at(dh, start + first, 0)
        product(dX, (zeros, 0, 0), outputs, transposed.W_ih, rows, inner, dh.shape[1])
    restore_denormals(control)
    return losses / wanted[2]

"""A layer of outputs: its run over rows, and loss and gradient of a softmax, some at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import cpu
from .layers import Layer
from .packing import blocks
from .workspace import LayerBuffers, Workspace, make_scratch

if TYPE_CHECKING:
    from ..cpu.recurrence import LayerWeights, Scratch
    from ..cpu.softmax import Linear, Targets

# Outputs that a softmax holds at a time: their rows must be enough to use a matrix that is read,
# and few enough for outputs to stay in the cache until their gradient has been used.
_LOGITS = 1 << 20
_MOST_ROWS = 256
_LEAST_ROWS = 16


class LossTargets(NamedTuple):
    """The targets of N rows of outputs, and what each row weighs in the loss."""

    values: np.ndarray  # (N,) class codes, or (N, k) numbers
    weights: np.ndarray  # (N,) float64
    total: float  # number of the whole batch's targets, of which these rows may be a part

    def part(self, start: int, stop: int) -> LossTargets:
        """Return the rows from `start` up to `stop`."""
        rows = slice(start, stop)
        return LossTargets(self.values[rows], self.weights[rows], self.total)

    def some(self, rows: np.ndarray, first_code: int) -> LossTargets:
        """Return some of the rows, their codes counted from `first_code`."""
        return LossTargets(self.values[rows] - first_code, self.weights[rows], self.total)


def linear(
    layer: Layer,
    workspace: Workspace,
    h: np.ndarray,
    start: int,
    stop: int,
) -> np.ndarray:
    """Return a view of a layer's outputs for some rows of h."""
    buffers = workspace.output_layer(layer)
    buffers.reserve(blocks(start, stop - start))
    buffers.forward(h)
    return buffers.state[start:stop, : layer.units]


def softmax_loss(
    layer: Layer,
    workspace: Workspace,
    h: np.ndarray,
    start: int,
    wanted: LossTargets,
) -> float:
    """Return the cross-entropy of the softmax of a layer's outputs for rows of h."""
    logits = _scratch(layer, workspace.output_layer(layer)).before
    return float(cpu.softmax.loss(h, start, _read(wanted), _as_linear(layer), logits))


def softmax_loss_and_gradient(
    layer: Layer,
    workspace: Workspace,
    h: np.ndarray,
    start: int,
    wanted: LossTargets,
    gradients: LayerWeights,
) -> tuple[float, np.ndarray]:
    """Return the cross-entropy and its gradient with respect to h; add to that of the layer."""
    buffers = workspace.output_layer(layer)
    dh = buffers.dX.at_least(start + len(wanted.values), layer.input_width)
    backward = cpu.softmax.LinearBackward(layer.transposed, gradients, layer.tied)
    run = cpu.jit.machine_code(cpu.softmax.loss_and_gradient, layer.dtype)
    scratch = _scratch(layer, buffers)
    return run(dh, h, start, _read(wanted), _as_linear(layer), backward, scratch), dh


def _as_linear(layer: Layer) -> Linear:
    return cpu.softmax.Linear(layer.weights, layer.features, layer.units)


def _read(wanted: LossTargets) -> Targets:
    """Return the targets as machine code reads them: contiguous arrays of these types."""
    codes = np.ascontiguousarray(wanted.values, np.int64)
    weights = np.ascontiguousarray(wanted.weights, np.float64)
    return cpu.softmax.Targets(codes, weights, wanted.total)


def _scratch(layer: Layer, buffers: LayerBuffers) -> Scratch:
    """Return scratch arrays for the outputs of some rows."""
    if buffers.logits is None:
        rows = min(_MOST_ROWS, max(_LEAST_ROWS, _LOGITS // layer.width))
        buffers.logits = make_scratch(layer, rows, rows)
    return buffers.logits

"""The operators of an ONNX graph that is one chain of layers, run on the names of numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..cells import CELLS
from ..nn.state_dict import Direction
from .foreign import Level, UnsupportedError, normalization, reorder_gates
from .onnx_graph import OPERATORS
from .onnx_numbers import (
    Activated,
    Blocks,
    Combination,
    Given,
    Layer,
    Linear,
    Looked,
    Numbers,
    Pooled,
)

REARRANGING = (
    *("Transpose", "Reshape", "Squeeze", "Unsqueeze", "Slice", "Gather", "GatherND"),
    *("GatherElements", "Split", "Flatten", "Expand", "ReverseSequence"),
)
_SAME = ("Identity", "Cast", "CastLike", "Dropout")
_CELLS = {operator.name: cell for cell, operator in OPERATORS.items()}
_ACTIVATIONS = {"RNN": ["tanh"], "GRU": ["sigmoid", "tanh"], "LSTM": ["sigmoid", "tanh", "tanh"]}
_FUNCTIONS = {
    "Softmax": "softmax",
    "LogSoftmax": "softmax",
    "Sigmoid": "sigmoid",
    "Relu": "relu",
    "Tanh": "tanh",
    "Gelu": "gelu",
    "Erf": "erf",
}
_POOLINGS = {
    "ReduceMean": "mean",
    "ReduceMax": "max",
    "GlobalAveragePool": "mean",
    "GlobalMaxPool": "max",
}


class Operators:
    """Runs one node after another on named numbers and constants.

    Parameters
    ----------
    run : callable
        Runs a node on arrays, ``run(node, inputs)``, and returns its outputs.
    attributes : callable
        Returns a node's attributes by name.
    """

    def __init__(
        self,
        run: Callable[[Any, list[Any]], list[Any]],
        attributes: Callable[[Any], dict[str, Any]],
    ) -> None:
        self.blocks = Blocks()
        self.reads_tokens = False  # whether the input must be rows of an embedding
        self._run = run
        self._attributes = attributes

    def outputs(self, node: Any, inputs: list[Any]) -> list[Any]:
        """Return a node's outputs, each an array or `Numbers`.

        Raises
        ------
        UnsupportedError
            If it is not computed here.
        """
        kind = node.op_type
        named = [value for value in inputs if isinstance(value, Numbers)]
        if kind in ("Shape", "Size") and named:
            return self._run(node, [inputs[0].names])
        if kind in _CELLS:
            return self._layer(node, inputs)
        if not named:
            return self._run(node, inputs)
        if kind in _SAME:
            return [inputs[0], None]
        if kind == "Gather" and named[0] is not inputs[0]:
            return [self._embedded(*inputs)]
        if kind in REARRANGING and len(named) == 1 and named[0] is inputs[0]:
            return named[0].rearranged(lambda array: self._run(node, [array, *inputs[1:]]))
        if kind == "Concat" and len(named) == len(inputs):
            return self._concatenated(node, named)
        if kind == "Less" and named[0] is inputs[0] and not np.any(inputs[1]):
            self.reads_tokens = True  # none is negative
            return [np.zeros(named[0].names.shape, bool)]
        if kind in ("Add", "Sub", "Mul", "Div") and len(named) == 1:
            return [_scaled(kind, *inputs)]
        if kind == "BatchNormalization" and len(named) == 1:
            return [_normalized(self._attributes(node), *inputs[:5])]
        if kind in ("MatMul", "Gemm") and named == inputs[:1]:
            return [self._linear(self._attributes(node), *inputs)]
        if kind in _POOLINGS and len(named) == 1:
            return [self._pooled(node, inputs)]
        if kind in _FUNCTIONS:
            return [self._activated(node, named[0])]
        if kind == "Mul" and len(named) == 2:
            return [self._gelu(*named)]
        raise UnsupportedError(f"the operator {kind!r:.60}")

    def given(self, shape: tuple[int, ...]) -> Numbers:
        """Return the names of the graph's input."""
        block = self.blocks.add(int(np.prod(shape[:2])), int(np.prod(shape[2:])), Given(shape))
        return Numbers(block.names.reshape(shape))

    # -- rearranging and scaling --------------------------------------------------------------

    def _concatenated(self, node: Any, parts: list[Numbers]) -> list[Numbers]:
        """Return arrays of names joined, with their scales."""
        if len(parts) == 2:
            parts = self.blocks.as_one_layer(*parts)
        names = self._run(node, [part.names for part in parts])[0]
        if all(part.scale is None for part in parts):
            return [Numbers(names)]
        affine = zip(*(part.affine for part in parts), strict=True)
        return [Numbers(names, *(self._run(node, list(each))[0] for each in affine))]

    def _embedded(self, table: np.ndarray, tokens: Numbers) -> Numbers:
        """Return the rows of an embedding."""
        given = self.blocks.block_of(tokens.names)
        scale, shift = tokens.affine
        changed = (scale != 1).any() or shift.any()
        if not isinstance(given.made, Given) or np.ndim(table) != 2 or changed:
            raise UnsupportedError("a lookup of other numbers than the input's tokens")
        block = self.blocks.add(given.rows * given.width, table.shape[1], Looked(table))
        return Numbers(block.names[tokens.names - given.first])

    # -- layers -------------------------------------------------------------------------------

    def _linear(
        self, attributes: dict[str, Any], numbers: Numbers, W: np.ndarray, b: Any = None
    ) -> Numbers:
        """Return a linear layer's outputs."""
        W = np.asarray(W, np.float64)
        if attributes.get("transB"):
            W = W.T
        if W.ndim != 2 or attributes.get("transA"):
            raise UnsupportedError("a product with a matrix of other axes")
        below = self.blocks.combination(numbers)
        W = attributes.get("alpha", 1.0) * W
        bias = np.zeros(W.shape[1])
        if b is not None:
            bias = bias + attributes.get("beta", 1.0) * np.asarray(b, np.float64).reshape(-1)
        made = Linear(below._replace(W=below.W @ W, b=below.b @ W + bias))
        block = self.blocks.add(len(below.rows), W.shape[1], made)
        return Numbers(block.names.reshape(*numbers.names.shape[:-1], -1))

    def _activated(self, node: Any, numbers: Numbers) -> Numbers:
        """Return the outputs of a function at the end, or between linear layers."""
        attributes = self._attributes(node)
        axis = attributes.get("axis", -1)
        name = _FUNCTIONS[node.op_type]
        if attributes.get("approximate", b"none") != b"none":
            raise UnsupportedError(f"'Gelu' with approximate={attributes['approximate']!r:.60}")
        block = self.blocks.block_of(numbers.names)
        last = axis in (-1, numbers.names.ndim - 1) and numbers.names.shape[-1] == block.width
        if not isinstance(block.made, Linear) or (name == "softmax" and not last):
            raise UnsupportedError(f"the operator {node.op_type!r} within the network")
        columns = (numbers.names - block.first) % block.width
        width = numbers.names.shape[-1]
        if width != block.width or (columns != np.arange(width)).any():
            width = block.width  # of a single output, for example, whose axis is gone
        made = self.blocks.add(numbers.names.size // width, width, Activated(name, numbers))
        return Numbers(made.names.reshape(numbers.names.shape))

    def _gelu(self, first: Numbers, second: Numbers) -> Numbers:
        """Return the product of x and ``1 + erf(x / sqrt(2))``, each with a factor: two gelus."""
        for x, share in ((first, second), (second, first)):
            block = self.blocks.block_of(share.names)
            factor, shift = share.affine
            if not isinstance(block.made, Activated) or block.made.name != "erf":
                continue
            base = block.made.of.scaled(2**0.5, 0.0)
            pairs = list(zip(x.affine, base.affine, strict=True))
            times = pairs[0][0].flat[0] / pairs[0][1].flat[0]
            if (
                np.array_equal(x.names, base.names)
                and np.array_equal(share.names.reshape(-1), block.names.reshape(-1))
                and np.allclose(factor, shift)
                and all(np.allclose(here, times * there) for here, there in pairs)
            ):
                made = self.blocks.add(block.rows, block.width, Activated("gelu", base))
                return Numbers(made.names.reshape(x.names.shape)).scaled(2 * times * factor, 0.0)
        raise UnsupportedError("a product of two of the network's numbers")

    def _pooled(self, node: Any, inputs: list[Any]) -> Numbers:
        """Return states pooled over all steps."""
        numbers = inputs[0]
        names = numbers.names
        layer = self.blocks.block_of(names)
        attributes = self._attributes(node)
        axes = inputs[1] if len(inputs) > 1 else attributes.get("axes")
        if node.op_type.startswith("Global"):
            axes = range(2, names.ndim)
            attributes = {"keepdims": 1}
        axes = tuple(int(axis) % names.ndim for axis in (() if axes is None else axes))
        if not isinstance(layer.made, Layer) or numbers.scale is not None:
            raise UnsupportedError(f"the operator {node.op_type!r} on other numbers than states")
        kept = np.moveaxis(names, axes, range(len(axes))).reshape(
            -1, *(size for axis, size in enumerate(names.shape) if axis not in axes)
        )
        rows, columns = np.divmod(kept - layer.first, layer.width)
        step, sequence = np.divmod(rows, layer.made.batch)
        alike = all((part == part[:1]).all() for part in (columns, sequence))
        every = np.arange(layer.made.steps).reshape(-1, *[1] * (step.ndim - 1))
        if not alike or len(step) != len(every) or (np.sort(step, axis=0) != every).any():
            raise UnsupportedError(f"the operator {node.op_type!r} over other axes than the steps")
        how = _POOLINGS[node.op_type]
        block = self.blocks.add(layer.made.batch, layer.width, Pooled(layer, how))
        pooled = block.names[sequence[0], columns[0]]
        return Numbers(np.expand_dims(pooled, axes) if attributes.get("keepdims", 1) else pooled)

    def _layer(self, node: Any, inputs: list[Any]) -> list[Any]:
        """Return a recurrent layer's states at all steps, and the final ones."""
        X, W, R, B, _, *starts = [*inputs, *[None] * 8][:8]
        attributes = self._attributes(node)
        backwards = _check_attributes(node.op_type, attributes, starts)
        if not isinstance(X, Numbers) or isinstance(W, Numbers) or R is None:
            raise UnsupportedError("a recurrent layer whose weights are computed")
        first = attributes.get("layout", 0)
        if first:  # the batch is the first axis
            X = Numbers(*(part.swapaxes(0, 1) for part in (X.names, *X.affine)))
        steps, batch, _ = X.names.shape
        below = self.blocks.combination(X)
        # Keras turns the steps round before a layer that reads backwards, and its outputs after it.
        turned = len(W) == 1 and not backwards and not _is_ordered(below, steps, batch)
        if turned:
            X = Numbers(*(part[::-1] for part in (X.names, *X.affine)))
            below = self.blocks.combination(X)
            backwards = True
        if not _is_ordered(below, steps, batch):
            raise UnsupportedError("a recurrent layer that does not read every step in its order")
        cell = _CELLS[node.op_type]
        read = [_direction(cell, W[i], R[i], None if B is None else B[i]) for i in range(len(W))]
        matrix = below.matrix
        for i, (W_ih, W_hh, b_ih, b_hh) in enumerate(read):
            read[i] = Direction(matrix @ W_ih, W_hh, b_ih + below.b @ W_ih, b_hh)
        if backwards:  # a forward direction that stays at zero goes with it
            read.insert(0, Direction(*(np.zeros_like(array) for array in read[0])))
        level = Level(cell, tuple(read))
        block = self.blocks.add(steps * batch, level.width, Layer(level, below, steps, batch))
        states = block.names.reshape(steps, batch, len(read), level.units)
        ends = [states[-1, :, 0], *([states[0, :, 1]] if len(read) == 2 else [])]
        Y = states.transpose(0, 2, 1, 3)  # (steps, directions, batch, H)
        Y_h = np.stack(ends)
        if backwards:
            Y = Y[:, 1:]
            Y_h = Y_h[1:]
        if turned:
            Y = Y[::-1]
        if first:
            Y = Y.transpose(2, 0, 1, 3)
            Y_h = Y_h.swapaxes(0, 1)
        return [Numbers(Y), Numbers(Y_h), None]


def _is_ordered(below: Combination, steps: int, batch: int) -> bool:
    """Whether a layer reads all steps in their order."""
    rows = below.row
    made = below.block.made
    expected = np.arange(steps * batch)
    if isinstance(made, (Layer, Pooled)):
        return isinstance(made, Layer) and np.array_equal(rows, expected)
    # The input's rows are its first two axes, one for sequences and one for steps.
    orders = (expected, expected.reshape(batch, steps).T.reshape(-1))
    return any(np.array_equal(rows, order) for order in orders)


def _check_attributes(kind: str, attributes: dict[str, Any], starts: list[Any]) -> bool:
    """Refuse what is another function; return whether the layer reads backwards alone."""
    direction = attributes.get("direction", b"forward").decode()
    activations = [name.decode().lower() for name in attributes.get("activations", [])]
    usual = _ACTIVATIONS[kind] * (1 + (direction == "bidirectional"))
    refused = {
        "clip": attributes.get("clip") is not None,
        "input_forget": bool(attributes.get("input_forget")),
        "linear_before_reset=0, which applies the reset gate before the product": kind == "GRU"
        and not attributes.get("linear_before_reset"),
        f"activations {activations}": activations not in ([], usual),
        "activation_alpha or activation_beta": bool(
            attributes.get("activation_alpha") or attributes.get("activation_beta")
        ),
        "an initial state": any(
            start is not None and (isinstance(start, Numbers) or np.any(start))
            for start in starts[:2]
        ),
        "peepholes": len(starts) > 2 and starts[2] is not None and np.any(starts[2]),
    }
    for what, found in refused.items():
        if found:
            raise UnsupportedError(f"{kind!r} with {what}")
    return direction == "reverse"


def _direction(cell: str, W: Any, R: Any, B: Any) -> Direction:
    """Return one direction in our form; gates are by rows in ONNX."""
    gates = CELLS[cell].gates
    biases = np.zeros((2, len(W))) if B is None else np.reshape(B, (2, -1))
    arrays = [np.asarray(array, np.float64) for array in (W.T, R.T, *biases)]
    return Direction(*(reorder_gates(array, OPERATORS[cell].gates, gates) for array in arrays))


def _scaled(kind: str, first: Any, second: Any) -> Any:
    """Return the result of a constant and numbers, which zero times numbers is as well."""
    left = isinstance(first, Numbers)
    numbers, constant = (first, second) if left else (second, first)
    constant = np.asarray(constant, np.float64)
    shape = np.broadcast_shapes(numbers.names.shape, constant.shape)
    if shape != numbers.names.shape:
        raise UnsupportedError(f"the operator {kind!r} with a constant of more axes")
    if kind == "Add":
        return numbers.scaled(1.0, constant)
    if kind == "Sub":
        return numbers.scaled(1.0, -constant) if left else numbers.scaled(-1.0, constant)
    if kind == "Div" and not left:
        raise UnsupportedError("a division by the network's numbers")
    if not constant.any():
        return numbers.scaled(0.0, 0.0).affine[1]
    return numbers.scaled(constant if kind == "Mul" else 1.0 / constant, 0.0)


def _normalized(
    attributes: dict[str, Any], numbers: Numbers, gain: Any, shift: Any, mean: Any, variance: Any
) -> Numbers:
    """Return numbers after a BatchNormalization that no longer learns."""
    shape = (-1, *[1] * (numbers.names.ndim - 2))
    gain, shift, mean, variance = (
        np.asarray(part, np.float64).reshape(shape) for part in (gain, shift, mean, variance)
    )
    epsilon = attributes.get("epsilon", 1e-5)
    return numbers.scaled(*normalization(mean, variance, epsilon, gain, shift))

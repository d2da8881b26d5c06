"""The chain of layers that an ONNX graph's output comes from."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .foreign import Affine, ForeignNetwork, Level, UnsupportedError
from .onnx_numbers import (
    Activated,
    Block,
    Combination,
    Given,
    Layer,
    Linear,
    Looked,
    Numbers,
    Pooled,
)
from .onnx_operators import Operators
from .reading import read_as


class _Head(NamedTuple):
    """The last linear layer: what it reads, and its function."""

    of: Combination
    activation: str | None


def chain(operators: Operators, output: Numbers) -> ForeignNetwork:
    """Return the layers that an output comes from."""
    head = _head(operators, output)
    of, *linear = _linear_layers(operators, head.of)
    block, reading = _reading(of)
    levels: list[Level] = []
    while isinstance(block.made, Layer):
        levels.insert(0, block.made.level)
        block = block.made.source.block
    if not isinstance(block.made, (Given, Looked)):
        raise UnsupportedError("a recurrent layer that reads pooled states")
    table = block.made.table if isinstance(block.made, Looked) else None
    if table is None and operators.reads_tokens:
        raise UnsupportedError("the operator 'Less' on numbers of the input")
    target = "step" if reading == "step" else "sequence"
    *hidden, (W, b) = [layer for layer, _ in linear]
    functions = list(dict.fromkeys(name for _, name in linear[:-1]))
    if len(functions) > 1:
        raise UnsupportedError(f"{' and '.join(map(repr, functions))} between linear layers")
    network = ForeignNetwork(levels, W, b, table, head.activation, target, hidden=tuple(hidden))
    network = network._replace(head_activation=functions[0] if functions else None)
    return network if reading == "step" else read_as(network, reading)


def _linear_layers(operators: Operators, of: Combination) -> tuple[Any, ...]:
    """Return what the first of the linear layers reads, then each with the function after it."""
    layers = [(Affine(of.matrix, of.b), "")]
    while isinstance(of.block.made, Activated):
        made = of.block.made
        inner = operators.blocks.combination(made.of)
        layers.insert(0, (Affine(inner.matrix, inner.b), made.name))
        of = inner._replace(rows=inner.rows[of.row])
    return of, *layers


def _head(operators: Operators, output: Numbers) -> _Head:
    """Return the last linear layer; a graph that ends with states has none but the identity."""
    blocks = operators.blocks
    block = blocks.block_of(output.names)
    if isinstance(block.made, Activated):
        if output.scale is not None:
            raise UnsupportedError("probabilities that are scaled")
        if block.made.name not in ("softmax", "sigmoid"):
            raise UnsupportedError(f"an output of {block.made.name!r}")
        return _Head(_head(operators, block.made.of).of, block.made.name)
    if isinstance(block.made, Linear):
        # The outputs' own axis may be gone, as where a single one is squeezed.
        columns = (output.names - block.first) % block.width
        whole = np.array_equal(np.sort(output.names, axis=None), block.names.reshape(-1))
        scale, shift = (np.zeros(block.width) for _ in range(2))
        for part, values in zip((scale, shift), output.affine, strict=True):
            part[columns] = values
            whole = whole and np.array_equal(part[columns], values)
        if not whole:
            raise UnsupportedError("an output that is a part of the last layer's")
        of = block.made.of
        return _Head(of._replace(W=of.W * scale, b=of.b * scale + shift), None)
    if isinstance(block.made, Layer):
        return _Head(_identity(block, block.made, output), None)
    raise UnsupportedError("a graph without a recurrent layer")


def _identity(block: Block, layer: Layer, output: Numbers) -> Combination:
    """Return the states themselves that a graph without a linear layer gives."""
    width = block.width
    steps = np.arange(block.rows).reshape(layer.steps, layer.batch)
    rows = np.repeat(steps.reshape(-1, 1), width, axis=1)
    if output.names.size < block.names.size:  # of the last steps
        ends = [steps[-1], steps[0]][: len(layer.level.directions)]
        rows = np.repeat(np.stack(ends, axis=1), layer.level.units, axis=1)
    if (
        output.scale is not None
        or not np.isin(output.names, block.first + rows * width + np.arange(width)).all()
    ):
        raise UnsupportedError("an output that is a part of the states")
    return Combination(block, rows, np.arange(width), np.eye(width), np.zeros(width))


def _reading(of: Combination) -> tuple[Block, str]:
    """Return the layer that the last linear layer reads, and how: "step", or as `read` says."""
    block = of.block
    if isinstance(block.made, Pooled):
        if np.array_equal(of.row, np.arange(block.rows)):
            return block.made.layer, block.made.how
        raise UnsupportedError("an output for other sequences than the input's")
    if not isinstance(block.made, Layer):
        raise UnsupportedError("a graph without a recurrent layer")
    made = block.made
    step, sequence = np.divmod(of.rows, made.batch)
    if len(of.rows) == block.rows and made.steps > 1:
        if np.array_equal(np.sort(of.row), np.arange(block.rows)):
            return block, "step"
    elif len(of.rows) == made.batch and (sequence == np.arange(made.batch)[:, None]).all():
        forward = of.columns < made.level.units
        last = step == made.steps - 1
        if last[:, forward].all():
            if (step[:, ~forward] == 0).all():
                return block, "final"
            if last.all():
                return block, "last"
    raise UnsupportedError("an output that reads other steps than the last one, or all")

"""How much memory training takes: by these numbers a batch is refused, or run in segments.

They are bytes of what `forward_backward`, `checkpoints` and `directions` fill at the same time, for
sequences of equal lengths.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .workspace import parts_at_once, steps_at_once

if TYPE_CHECKING:
    from .layers import Layer
    from .stack import Stack

SHARE = 0.25  # of the memory, that a batch may take before it is run in segments
_INDEX = 8  # bytes of an index


def parameter_bytes(network: Stack, shards: int) -> int:
    """Return the memory of the parameters and what belongs to them, whatever the batch.

    There are their transposes, moments and temporary copies, and a gradient for each shard.
    """
    return (8 + shards) * network.layout.size * network.dtype.itemsize


def in_segments(network: Stack, batch_size: int, steps: int, available: float) -> bool:
    """Whether such a batch is run in segments, as all of its gates would take much memory."""
    return network.recurrent and batch_bytes(network, batch_size, steps) > available * SHARE


def taken_bytes(
    network: Stack, batch_size: int, steps: int, shards: int, at_once: int, available: float
) -> float:
    """Return the memory of a batch, of which so many shards run at once, in segments if need be."""
    if in_segments(network, batch_size, steps, available * shards / at_once):
        return at_once * segment_bytes(network, batch_size // shards, steps // shards)
    return at_once * batch_bytes(network, batch_size / shards, steps / shards)


def batch_bytes(network: Stack, batch_size: float, steps: float) -> float:
    """Return the memory of a batch that is run in one piece."""
    rows = steps + batch_size
    if not network.recurrent and not network.every_step:
        rows = batch_size  # no other step is computed
    return rows * _row_bytes(network, steps) + _token_bytes(network, steps, 1)


def _row_bytes(network: Stack, steps: float) -> float:
    """Return the bytes of a row, which is a step, of a batch of so many."""
    columns = _ends(network)
    by_token = _by_token(network, steps)
    for number, level in enumerate(network.levels):
        columns += sum(map(_layer_columns, level))
        if number or (network.embedding and not by_token):
            columns += len(level) * level[0].input_width  # gradients of the input
        if len(level) > 1:
            columns += _input_columns(network, number)
        if _by_step(network, number):
            # What a level outputs is not its state itself if it has two directions, or windows.
            copied = len(level) > 1 or not (network.recurrent or number)
            if copied or network.dropout:
                columns += network.padded_widths[number]
            if copied:
                columns += sum(layer.width for layer in level)
    return network.dtype.itemsize * columns + _inputs(network, by_token)


def segment_bytes(network: Stack, batch_size: int, steps: int) -> float:
    """Return the memory of a batch that is run in segments."""
    total = _token_bytes(network, steps, 2)  # segments go back into a second table
    if len(network.levels[0]) == 1:
        row_bytes = _row_bytes(network, steps)
        return total + _segments(network.levels, row_bytes, batch_size, steps)
    columns = 0.0
    by_token = _by_token(network, steps)
    for number, level in enumerate(network.levels):
        # Numbers of the user have no gradient; what they take is among `_inputs`.
        inputs = 2 if number else bool(network.embedding and not by_token)
        for layer in level:
            row = _layer_columns(layer) + inputs * layer.input_width
            row_bytes = row * layer.dtype.itemsize + _inputs(network, by_token)
            total += _segments([(layer,)], row_bytes, batch_size, steps)
        if number:
            columns += network.widths[number - 1]
    # What every step has: outputs of lower levels, and the gradient of one level's input.
    first = 0 if network.embedding and not by_token else 1
    columns += max((level[0].input_width for level in network.levels[first:]), default=0)
    if network.every_step:
        columns += 2 * network.padded_widths[-1] + _ends(network)
    return total + steps * columns * network.dtype.itemsize


def _segments(
    levels: list[tuple[Layer, ...]], row_bytes: float, batch_size: int, steps: int
) -> float:
    """Return the bytes of one segment, and of the states before all of them."""
    T = math.ceil(steps / batch_size)
    k = min(T, steps_at_once(levels, batch_size, T))
    layers = [layer for level in levels for layer in level]
    state = sum(len(layer.cell.states) * layer.width * layer.dtype.itemsize for layer in layers)
    return batch_size * ((k + 1) * row_bytes + T / k * parts_at_once(batch_size) * state)


def _by_token(network: Stack, steps: float) -> bool:
    """Whether the input has one row per token instead of one per step."""
    embedding = network.embedding
    return network.recurrent and embedding is not None and steps >= 2 * embedding.n_tokens


def _token_bytes(network: Stack, steps: float, tables: int) -> float:
    """Return the bytes of the input's rows, if they are tokens: vectors, gradients and products."""
    if network.embedding is None or not _by_token(network, steps):
        return 0.0
    columns = sum(
        2 * layer.input_width + tables * len(layer.cell.gates) * layer.width
        for layer in network.levels[0]
    )
    return float(network.embedding.n_tokens * columns * network.dtype.itemsize)


def _layer_columns(layer: Layer) -> int:
    """Return the numbers that a layer keeps of a row: slots and state."""
    return (len(layer.cell.slots) + len(layer.cell.states)) * layer.width


def _by_step(network: Stack, number: int) -> bool:
    """Whether a level outputs every step."""
    return network.every_step or number < len(network.levels) - 1


def _input_columns(network: Stack, number: int) -> int:
    """Return the columns of a level's input."""
    if number:
        return network.padded_widths[number - 1]
    if network.embedding:
        return network.embedding.width
    # Windows of all steps overlap, and are stored once.
    overlap = not network.recurrent and network.every_step
    return network.n_features if overlap else network.levels[0][0].features


def _ends(network: Stack) -> float:
    """Return the numbers that a row has of pooling, or of the outputs of every step."""
    if network.pooling:
        return network.pooling.width
    if network.target != "step":
        return 0
    layer = network.head.layer
    columns = sum(_layer_columns(each) + each.input_width for each in network.head.hidden)
    # Outputs, and their gradient, are kept of losses other than the softmax's: half of them.
    return columns + layer.input_width + 1.5 * layer.width


def _inputs(network: Stack, by_token: bool) -> float:
    """Return the bytes of a row's input, packed and as it came, and of its indices and target."""
    features = 0 if by_token else _input_columns(network, 0)
    numbers = 2 * features * network.dtype.itemsize
    indices = 2 + 3 * (len(network.levels[0]) > 1 or bool(network.dropout) or bool(network.pooling))
    target = 4 * (network.target == "step")
    return numbers + (indices + target) * _INDEX

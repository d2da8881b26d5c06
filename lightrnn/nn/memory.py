"""How much memory training takes: a batch is refused, or run in segments, by these numbers."""

from __future__ import annotations

from .stack import Stack


def training_bytes(network: Stack, batch_size: int, steps: int, shards: int) -> int:
    """Return the memory that training takes on batches of this size and sum of lengths."""
    # What each row keeps for the backward pass.
    columns = 0
    for layer in network.layers:
        arrays = len(layer.cell.slots) + 2 * len(layer.cell.states) + 3
        columns += layer.features + arrays * layer.width
    if network.pooling:  # the states side by side, and their gradient
        columns += 2 * network.pooling.width
    # The parameters, their transposes, moments and temporary copies; a gradient per shard.
    vectors = 6 + shards
    elements = vectors * network.layout.size + (steps + batch_size) * columns
    return network.dtype.itemsize * elements

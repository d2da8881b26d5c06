"""A batch of zeros, whose program shows how much of the GPU's memory others of its sizes take."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..nn.batches import Batch
from ..nn.stack import Stack


def blank_batch(network: Stack, sequences: int, steps: int) -> Batch:
    """Return so many sequences of zeros with so many steps in all, and a class for each target."""
    lengths = np.full(sequences, steps // sequences)
    lengths[: steps % sequences] += 1
    zero = np.zeros((), np.int64 if network.embedding else network.dtype)
    columns = () if network.embedding else (network.n_features,)
    X = [np.broadcast_to(zero, (T, *columns)) for T in lengths.tolist()]
    targets: Any = np.zeros(sequences, np.int64)
    if network.target == "step":
        targets = [np.zeros(T, np.int64) for T in lengths.tolist()]
    masks = network.dropout_masks(sequences, np.random.default_rng(0))
    batch = Batch(X, lengths, np.arange(sequences), offsets=np.zeros(sequences, np.int64))
    batch.with_targets(targets, targets, masks)
    batch.n_targets = 1  # the loss is divided by it
    return batch

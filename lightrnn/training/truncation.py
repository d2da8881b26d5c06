"""Cut batches in time for truncated back-propagation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..nn.network import Network
from ..nn.batches import Batch


def chunks(batch: Batch, truncate: int | None, network: Network) -> Iterator[Batch]:
    """Cut a batch in time for truncated backpropagation; the state goes from chunk to chunk, the gradient does not.

    With per-step targets each chunk of `truncate` steps is one to learn from, and the network's parameters may change
    between them. With one target a sequence only its last `truncate` steps are, after a run over those before.

    References
    ----------
    Williams, R. J. and Peng, J. (1990). An efficient gradient-based algorithm for on-line training of recurrent network
    trajectories. Neural Computation 2.
    """
    if truncate is None or batch.lengths[0] <= truncate:
        yield batch
    elif network.target == "step":
        for start in range(0, int(batch.lengths[0]), truncate):
            chunk = batch.steps(start, start + truncate)
            if chunk.weight > 0:
                yield chunk
            else:
                network.run(chunk)
            batch = replace(batch, states=network.final_states)
    else:
        network.run(_before_last(batch, truncate))
        yield replace(
            batch,
            X=[x[-truncate:] for x in batch.X],
            lengths=np.minimum(batch.lengths, truncate),
            states=tuple(_zero_padded(state, len(batch.X)) for state in network.final_states),
            offsets=None
            if batch.offsets is None
            else batch.offsets + np.maximum(batch.lengths - truncate, 0),
        )


def _before_last(batch: Batch, k: int) -> Batch:
    """All but the last k steps of the sequences that have more."""
    count = int(np.searchsorted(-batch.lengths, -k))
    return replace(
        batch,
        X=[x[:-k] for x in batch.X[:count]],
        lengths=batch.lengths[:count] - k,
        order=batch.order[:count],
        targets=None,
        weights=None,
        masks=tuple(mask[:count] for mask in batch.masks),
        offsets=None if batch.offsets is None else batch.offsets[:count],
    )


def _zero_padded(rows: np.ndarray, count: int) -> np.ndarray:
    """`rows` followed by zeros up to `count` rows."""
    return np.concatenate([rows, np.zeros((count - len(rows), rows.shape[1]), rows.dtype)])

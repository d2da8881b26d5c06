"""Cut batches in time for truncated backpropagation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..nn.batches import Batch

if TYPE_CHECKING:
    from .trainable import TrainableNetwork


def chunks(
    batch: Batch,
    truncate: int | None,
    network: TrainableNetwork,
) -> Iterator[Batch]:
    """Cut a batch in time: the state is carried from chunk to chunk, the gradient is not [1]_.

    With per-step targets each chunk of `truncate` steps is learned from, and the network's
    parameters may change between two chunks. With one target per sequence its last `truncate` steps
    alone are learned from, after a run over the steps before them.

    Parameters
    ----------
    batch : Batch
        Longest sequence first.
    truncate : int or None
        Steps of a chunk; None does not cut.
    network : TrainableNetwork
        Runs over what is not learned from, and holds the states between two chunks.

    Yields
    ------
    Batch
        Chunks to learn from, each before the next is made.

    References
    ----------
    .. [1] Williams, R. J. and Peng, J. (1990). An efficient gradient-based algorithm for on-line
       training of recurrent network trajectories. Neural Computation 2.
    """
    if truncate is None or batch.lengths[0] <= truncate:
        yield batch
    elif network.target == "step":
        for start in range(0, int(batch.lengths[0]), truncate):
            chunk = batch.steps(start, start + truncate)
            if chunk.n_targets:
                yield chunk
            else:  # nothing to learn, but the states must be carried on
                network.run(chunk)
            batch = replace(batch, states=network.final_states)
    else:
        # The network carries its states to where the last steps begin; the gradient stops there.
        network.run(_before_last(batch, truncate))
        offsets = batch.offsets
        if offsets is not None:
            offsets = offsets + np.maximum(batch.lengths - truncate, 0)
        yield replace(
            batch,
            X=[x[-truncate:] for x in batch.X],
            lengths=np.minimum(batch.lengths, truncate),
            # Sequences of at most `truncate` steps had no row in that run: zeros fill theirs.
            states=tuple(
                np.pad(state, ((0, len(batch.X) - len(state)), (0, 0)))
                for state in network.final_states
            ),
            offsets=offsets,
        )


def _before_last(batch: Batch, k: int) -> Batch:
    """Return all but the last k steps of the sequences that have more."""
    count = int(np.searchsorted(-batch.lengths, -k))  # lengths do not increase
    return replace(
        batch,
        X=[x[:-k] for x in batch.X[:count]],
        lengths=batch.lengths[:count] - k,
        order=None,
        targets=None,
        weights=None,
        masks=tuple(mask[:count] for mask in batch.masks),
        offsets=None if batch.offsets is None else batch.offsets[:count],
    )

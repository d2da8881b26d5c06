"""A long batch forward and back in little memory.

The steps are cut into segments. Only the states in which each segment begins are kept, and on the
way back each segment is run forward again [1]_ [2]_. Products, sums and their order are those of a
run over all steps at once, so the gradient has the same bits.

References
----------
.. [1] Chen, T., Xu, B., Zhang, C. and Guestrin, C. (2016). Training deep nets with sublinear memory
   cost. arXiv:1604.06174.
.. [2] Gruslys, A., Munos, R., Danihelka, I., Lanctot, M. and Graves, A. (2016). Memory-efficient
   backpropagation through time. NIPS.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .batches import Batch
from .forward_backward import ForwardBackward
from .heads import LossTargets
from .segments import Segment
from .workspace import Workspace, steps_at_once

if TYPE_CHECKING:
    from ..losses import Loss
    from .stack import Stack


class CheckpointedRun:
    """A run over a batch that learns segment by segment, for recurrent networks of one direction.

    The arguments are those of `ForwardBackward`.
    """

    def __init__(
        self, network: Stack, batch: Batch, workspace: Workspace, cached: np.ndarray | None = None
    ) -> None:
        self.network = network
        self.batch = batch
        self.workspace = workspace
        self._cached = cached
        T = int(batch.lengths[0])
        self._k = steps_at_once(workspace.levels, len(batch.X), T)
        self._starts = range(0, T, self._k)
        # How many sequences, the first ones, reach each segment, and 0 beyond the last one
        counts = np.searchsorted(-batch.lengths, [-start for start in self._starts])
        self._counts = [*counts.tolist(), 0]
        self._n_steps = int(batch.lengths.sum())
        self._checkpoints: list[tuple[np.ndarray, ...]] = []  # the states before each segment
        self._final_states: list[np.ndarray] = []
        # (B, D padded): for target "sequence" what the head reads
        self._features: np.ndarray | None = None
        # (B, D): of a maximum the segment in which it is first reached
        self._reached = np.zeros(0)
        # Codes of the segments so far, and the gradients of their vectors
        self._dinputs: list[tuple[np.ndarray, np.ndarray]] = []

    def final_states(self) -> list[np.ndarray]:
        """Return what a batch of the next steps begins with, see `Batch.states`."""
        return self._final_states

    def train(self, loss: Loss, gradients: dict[str, Any]) -> float:
        """Return the shard's part of the batch's loss and add to each layer's gradient."""
        run = self._forward()
        value = 0.0
        dfeatures = None
        if self._features is not None:
            batch = self.batch
            wanted = LossTargets(batch.targets, batch.weights, float(batch.n_targets))
            h = self.workspace, self._features, 0
            value, dfeatures = self.network.head.learn(*h, wanted, loss, gradients)
        for number in reversed(range(len(self._starts))):
            if number < len(self._checkpoints):
                run = self._run(number, self._checkpoints[number])
                run.forward()
            if dfeatures is None:
                part, doutput = run.head_back(loss, gradients)
                value += part
            else:
                doutput = self._arriving(number, dfeatures)
            self._inputs_back(run, run.levels_back(doutput, gradients), gradients)
        self._checkpoints.clear()
        return value

    def _run(self, number: int, states: tuple[np.ndarray, ...]) -> ForwardBackward:
        """Return the run over a segment that begins with these states."""
        start = self._starts[number]
        batch = replace(self.batch, states=states).steps(start, start + self._k)
        # The loss is divided by the number of the whole batch's targets.
        batch.n_targets = self.batch.n_targets
        going_on = self._counts[number + 1]
        segment = Segment(len(self.batch.X), self._n_steps, number == 0, going_on)
        return ForwardBackward(self.network, batch, self.workspace, self._cached, segment)

    # -- forward -----------------------------------------------------------------------------------

    def _forward(self) -> ForwardBackward:
        """Run forward, keep the states between segments, and return the last segment's run."""
        states = self.batch.states
        for number in range(len(self._starts)):
            run = self._run(number, states)
            self._checkpoints.append(run.batch.states)
            run.forward(kept=run.segment.ends)
            states = tuple(run.final_states())
            self._keep_ends(number, run, states)
        self._checkpoints.pop()  # the last segment need not be run again
        return run

    def _keep_ends(self, number: int, run: ForwardBackward, states: tuple[np.ndarray, ...]) -> None:
        """Keep what comes of each sequence: some may have no later steps."""
        count = len(run.batch.X)
        if not number:
            self._final_states = [np.array(state) for state in states]
            self._reached = np.zeros(self._final_states[-1].shape, int)
        if self.network.pooling:
            risen = states[-1] != self._final_states[-1][:count]
            self._reached[:count][risen] = number
        for final, state in zip(self._final_states, states, strict=True):
            final[:count] = state
        if self.network.target == "sequence":
            if self._features is None:
                self._features = np.array(run.head_inputs)
            self._features[:count] = run.head_inputs[:count]

    # -- back --------------------------------------------------------------------------------------

    def _arriving(self, number: int, dfeatures: np.ndarray) -> np.ndarray:
        """Return the gradient of what a segment's sequences are read or pooled to."""
        count = self._counts[number]
        dfeatures = dfeatures[:count].copy()  # the backward pass overwrites it
        pooling = self.network.pooling
        if pooling:
            # Its backward pass reads what is pooled of all steps.
            self.workspace.pooling.pooled[:count] = self._final_states[-1][:count]
            if pooling.kind == "max":
                D = dfeatures.shape[1]
                dfeatures[self._reached[:count, :D] != number] = 0
        return dfeatures

    def _inputs_back(self, run: ForwardBackward, dX: np.ndarray, gradients: dict[str, Any]) -> None:
        """Add to an embedding's gradient, in the order of the steps, at the first segment."""
        embedding = self.network.embedding
        if embedding is None:
            return
        if run.row_tokens:
            if run.segment.begins:
                run.embedding_back(dX, gradients)
            return
        # Each step has a row only where they are fewer than twice the tokens.
        packing = run.packing
        self._dinputs.insert(0, (run.codes, dX[packing.start : packing.stop].copy()))
        if run.segment.begins:
            codes, rows = map(np.concatenate, zip(*self._dinputs, strict=True))
            embedding.add_gradient(gradients[embedding.name], codes, rows, 0)

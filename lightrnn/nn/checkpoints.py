"""A long batch forward and back in little memory.

The steps are cut into segments. Only the states in which each segment begins are kept, and on the
way back each segment is run forward again. Of few sequences some more states are kept, so that
parts of a segment can then be run side by side, in less time than one after the other. Products,
sums and their order are those of a run over all steps at once, so the gradient has the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .batches import Batch
from .forward_backward import ForwardBackward
from .output_layer import LossTargets
from .segments import Segment
from .workspace import Workspace, parts_at_once, steps_at_once

if TYPE_CHECKING:
    from ..losses import Loss
    from .stack import Stack


class Chain:
    """Layers of one direction, each segment of steps of which all of them run together.

    Parameters
    ----------
    network : Stack
        The layers to run.
    batch, workspace, cached
        As in `ForwardBackward`.
    above : bool, default=False
        Whether the input is the output of other layers, to which its gradient goes.

    Attributes
    ----------
    final_states : list of ndarray (B, Z * width)
        The states in which the sequences end, see `Batch.states`.
    features : ndarray (B, D padded)
        For target "sequence" what the head reads.
    """

    features: np.ndarray

    def __init__(
        self,
        network: Stack,
        batch: Batch,
        workspace: Workspace,
        cached: np.ndarray | None = None,
        above: bool = False,
    ) -> None:
        self.network = network
        self.batch = batch
        self.workspace = workspace
        self._cached = cached
        T = int(batch.lengths[0])
        self._k = steps_at_once(network.levels, len(batch.X), T)
        self._starts = range(0, T, self._k)
        # How many sequences, the first ones, reach each segment, and 0 beyond the last one
        counts = np.searchsorted(-batch.lengths, [-start for start in self._starts])
        self._counts = [*counts.tolist(), 0]
        self._whole = Segment(len(batch.X), int(batch.lengths.sum()), above=above)
        self._runs: list[ForwardBackward] = []  # over each segment: they hold the states before it
        self.final_states: list[np.ndarray] = []

    def forward(self, kept: bool = True) -> Iterator[ForwardBackward]:
        """Yield the run over each segment after its forward pass; `backward` needs them `kept`."""
        states = self.batch.states
        for number in range(len(self._starts)):
            run = self._run(number, states)
            run.forward(kept=kept and run.segment.ends)
            states = tuple(run.final_states())
            self._keep_ends(run, states)
            if kept:
                self._runs.append(run)
                parts = parts_at_once(len(run.batch.X))
                if parts > 1 and run.segment.going_on == len(run.batch.X):
                    run.keep_parts(parts)
            yield run

    def backward(self) -> Iterator[ForwardBackward]:
        """Yield the run over each segment, the last one first, ready to go back.

        The gradient of the states in which a segment begins is left where the segment before it
        finds it, so each must go back before the next is drawn.
        """
        yield self._runs.pop()  # its gates are still there
        while self._runs:
            run = self._runs.pop()
            run.forward()
            yield run

    def _run(self, number: int, states: tuple[np.ndarray, ...]) -> ForwardBackward:
        """Return the run over a segment that begins with these states."""
        start = self._starts[number]
        batch = replace(self.batch, states=states).steps(start, start + self._k)
        # The loss is divided by the number of the whole batch's targets.
        batch.n_targets = self.batch.n_targets
        segment = self._whole._replace(start=start, going_on=self._counts[number + 1])
        return ForwardBackward(self.network, batch, self.workspace, self._cached, segment)

    def _keep_ends(self, run: ForwardBackward, states: tuple[np.ndarray, ...]) -> None:
        """Keep where each sequence has come to: some have no later steps."""
        count = len(run.batch.X)
        if run.segment.begins:
            self.final_states = [np.array(state) for state in states]
        for final, state in zip(self.final_states, states, strict=True):
            final[:count] = state
        if self.network.target == "sequence":
            if run.segment.begins:
                self.features = np.array(run.head_inputs[:count])
            self.features[:count] = run.head_inputs[:count]


class CheckpointedRun:
    """A run over a batch that learns in segments, for recurrent networks of one direction.

    The arguments are those of `ForwardBackward`.
    """

    def __init__(
        self, network: Stack, batch: Batch, workspace: Workspace, cached: np.ndarray | None = None
    ) -> None:
        self.network = network
        self.batch = batch
        self.workspace = workspace
        self._chain = Chain(network, batch, workspace, cached)
        # (B, columns): of a maximum the step at which the segment begins in which it is reached
        self._reached = np.zeros(0)
        # Codes of the segments so far, and the gradients of their vectors
        self._dinputs: list[tuple[np.ndarray, np.ndarray]] = []

    def final_states(self) -> list[np.ndarray]:
        """Return what a batch of the next steps begins with, see `Batch.states`."""
        return self._chain.final_states

    def train(self, loss: Loss, gradients: dict[str, Any]) -> float:
        """Return the shard's part of the batch's loss and add to each layer's gradient."""
        self._forward()
        value = 0.0
        dfeatures = None
        if self.network.target == "sequence":
            batch = self.batch
            wanted = LossTargets(batch.targets, batch.weights, float(batch.n_targets))
            h = self.workspace, self._chain.features, 0
            value, dfeatures = self.network.head.learn(*h, wanted, loss, gradients)
        for run in self._chain.backward():
            if dfeatures is None:
                part, doutput = run.head_back(loss, gradients)
                value += part
            else:
                doutput = self._arriving(run, dfeatures)
            self._inputs_back(run, run.levels_back(doutput, gradients), gradients)
        return value

    def _forward(self) -> None:
        """Run forward over all segments, and note the one in which each maximum is reached."""
        chain = self._chain
        pooling = self.network.pooling
        before = None
        for run in chain.forward():
            if pooling and pooling.kind == "max":
                pooled = chain.final_states[-1].copy()
                if before is None:
                    self._reached = np.zeros(pooled.shape, int)
                else:
                    self._reached[pooled != before] = run.segment.start
                before = pooled

    def _arriving(self, run: ForwardBackward, dfeatures: np.ndarray) -> np.ndarray:
        """Return the gradient of what a segment's sequences are read or pooled to."""
        count = len(run.batch.X)
        dfeatures = dfeatures[:count].copy()  # the backward pass overwrites it
        pooling = self.network.pooling
        if pooling:
            # Its backward pass reads what is pooled of all steps.
            self.workspace.pooling.pooled[:count] = self._chain.final_states[-1][:count]
            if pooling.kind == "max":
                reached = self._reached[:count, : dfeatures.shape[1]]
                dfeatures[reached != run.segment.start] = 0
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

"""The input of a network's first level: packed sequences, windows of them, or their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from .batches import Batch
from .packing import Steps, Windows
from .segments import WHOLE, Segment
from .stack import Stack
from .workspace import Workspace

if TYPE_CHECKING:
    from .layers import Embedding


class BatchInputs:
    """The first level's input, and the gradient of it for an embedding.

    Parameters
    ----------
    network : Stack
        The layers to run.
    batch : Batch
        The sequences to run over.
    workspace : Workspace
        Arrays to use; nobody else may use them before the results have been read.
    cached : ndarray (1 + n, F), optional
        A row of zeros and the concatenated sequences that `batch.offsets` points into; else
        `batch.X` is read.
    segment : Segment, optional
        Of which steps of another batch this one consists.
    """

    def __init__(
        self,
        network: Stack,
        batch: Batch,
        workspace: Workspace,
        cached: np.ndarray | None = None,
        segment: Segment = WHOLE,
    ) -> None:
        self.network = network
        self.batch = batch
        self.workspace = workspace
        self.segment = segment
        # The sequences are not always those that are cached.
        self.cached = None if batch.offsets is None else cached
        self.step = network.target == "step"
        self.every_step = network.every_step
        self.recurrent = network.recurrent
        self.packing: Any = (
            Steps.of(batch.lengths)
            if self.recurrent
            else Windows.of(batch.lengths, network.window, not self.every_step)
        )
        self._levels = workspace.levels
        self._last_level = len(self._levels) - 1
        # The token of each row for each direction, if X has one row per token.
        self.row_tokens: list[np.ndarray] = []
        # The rows of the features that outputs are made of: all steps, or one row per sequence.
        self._start = self.packing.start if self.step else 0
        self._stop = self.packing.stop if self.step else len(batch.X)

    def _inputs(self) -> list[np.ndarray]:
        """Return the first level's input for each direction."""
        network = self.network
        packing = self.packing
        if not self.recurrent:
            if self.cached is not None:
                return [packing.inputs(self.cached, self.batch.offsets)]
            sequences = self._embedded() if network.embedding else self.batch.X
            steps = np.empty((1 + int(packing.lengths.sum()), network.n_features), network.dtype)
            steps[0] = 0
            network.join(sequences, steps[1:])
            return [packing.inputs(steps)]
        if network.embedding:
            return self._tokens(network.embedding)
        columns = network.n_features
        X = self.workspace.X.at_least(packing.stop, columns)
        if self.cached is None:
            steps = self.workspace.steps.at_least(packing.stop, columns)
            steps = steps[packing.start : packing.stop]
            # Two copies: this first one converts sequences of any dtype and layout.
            network.join(self.batch.X, steps)
            packing.load(steps, X)
        else:
            packing.load(self.cached[1:], X, self.batch.offsets)
        return self._both_ways(0, X)

    def _tokens(self, embedding: Embedding) -> list[np.ndarray]:
        """Return one row per step, or one per token where there are many more steps than tokens."""
        packing = self.packing
        n_tokens = embedding.n_tokens
        directions = len(self._levels[0])
        self.codes = embedding.joined(self.batch.X)[packing.source]
        # From two steps per token on, a product per token costs less than one per step.
        if (self.segment.steps or len(self.codes)) < 2 * n_tokens:
            X = self.workspace.X.at_least(packing.stop, embedding.width)
            embedding.look_up(self.codes, X, packing.start)
            return self._both_ways(0, X)
        self.row_tokens = [self.codes]
        if directions > 1:
            self.row_tokens.append(self.codes[packing.mirrored_rows - packing.start])
        self.codes = np.arange(n_tokens)
        X = self.workspace.X.at_least(n_tokens, embedding.width)
        embedding.look_up(self.codes, X, 0)
        return [X[:n_tokens]] * directions

    def _embedded(self) -> list[np.ndarray]:
        """Return the tokens' vectors, all sequences concatenated."""
        embedding: Any = self.network.embedding
        self.codes = embedding.joined(self.batch.X)
        # (N, width): only `size` columns are inputs, for windows have no padding between steps
        rows = self.workspace.embedded.at_least(len(self.codes), embedding.width)
        embedding.look_up(self.codes, rows, 0)
        return [rows[: len(self.codes), : embedding.size]]

    def _both_ways(self, number: int, X: np.ndarray) -> list[np.ndarray]:
        """Return a level's input for each direction; the second runs back from each end."""
        if len(self._levels[number]) == 1:
            return [X]
        packing = self.packing
        columns = X.shape[1]
        # (rows, columns), of which those of the initial state are not used
        mirrored = self.workspace.reversed_inputs[number].at_least(packing.stop, columns)
        cpu.gather.gather(mirrored, packing.start, 0, X, packing.mirrored_rows, columns)
        return [X, mirrored]

    def embedding_back(self, dX: np.ndarray, gradients: dict[str, Any]) -> None:
        """Add to an embedding's gradient from that of the first level's input."""
        embedding = self.network.embedding
        if embedding is None:
            return
        # With one row per token there are no rows of an initial state.
        start = 0 if self.row_tokens else self.packing.start
        if not self.recurrent:
            dX = self._windows_back(dX, embedding)
            start = 1
        embedding.add_gradient(gradients[embedding.name], self.codes, dX, start)

    def _windows_back(self, dwindows: np.ndarray, embedding: Embedding) -> np.ndarray:
        """Return the gradient of each step from that of the windows; row 0 is that of the zeros."""
        window = self.network.window
        packing = self.packing
        # (1 + N, width)
        dX = self.workspace.dembedded.at_least(len(self.codes) + 1, embedding.width)
        dX[:] = 0
        # Windows of the last steps alone do not overlap; others move on by one step.
        stride = window if packing.last else 1
        cpu.gather.scatter_windows(dX, packing.source, dwindows, stride, window, embedding.size)
        return dX

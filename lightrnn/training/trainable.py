"""The part of a network that training and validation call: `Network` and `CudaNetwork` have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from ..losses import Loss
    from ..nn.batches import Batch
    from ..nn.solvers import Outcome, Solver


class TrainableNetwork(Protocol):
    """A network that learns from batches."""

    @property
    def cell(self) -> str:
        """Kind of cell."""

    @property
    def target(self) -> str:
        """Whether the output reads the final state, "sequence", or that of every step, "step"."""

    @property
    def steps_in_flight(self) -> int:
        """How many steps of the solver to begin before the outcome of the first is awaited."""

    @property
    def recurrent(self) -> bool:
        """Whether there is a state to carry."""

    # -- parameters -------------------------------------------------------------------------------

    @property
    def parameters(self) -> np.ndarray:
        """The flat vector (size,); training changes it in place."""

    @property
    def gradient(self) -> np.ndarray:
        """The gradient (size,) of the last batch."""

    def named(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """Split a vector of the parameters' layout into named arrays."""

    # -- learning ---------------------------------------------------------------------------------

    def learn(
        self,
        batch: Batch,
        loss: Loss,
        solver: Solver,
        rate: float,
        clip_norm: float | None,
        threads: int = 1,
    ) -> Outcome:
        """Begin a step of the solver; return the function that waits for its loss and norm."""

    def loss_and_gradient(self, batch: Batch, loss: Loss, threads: int = 1) -> float:
        """Return the mean loss of a batch and set `gradient`."""

    def cache_sequences(
        self, items: Sequence[np.ndarray], lengths: np.ndarray, batch_size: int
    ) -> None:
        """Keep all sequences where batches are packed from them fastest, if there is memory."""

    def dropout_masks(
        self, batch_size: int, rng: np.random.Generator | None
    ) -> tuple[np.ndarray, ...]:
        """Draw for each level the factors (B, D) of its outputs; none without dropout or `rng`."""

    # -- validation -------------------------------------------------------------------------------

    def outputs(self, X: Sequence[np.ndarray], threads: int = 1) -> Any:
        """Return the raw outputs (n, k), or for target "step" a list of (T_i, k)."""

    def final_outputs(self, X: Sequence[np.ndarray], threads: int = 1) -> np.ndarray:
        """Return the raw outputs (n, k) at each sequence's last step, for target "step"."""

    def score(self, batch: Batch) -> float:
        """Return the mean cross-entropy of a batch and set `final_states`."""

    def detached(self) -> TrainableNetwork:
        """Return a network of the same parameters whose states are its own."""

    # -- states -----------------------------------------------------------------------------------

    def zero_states(self) -> tuple[np.ndarray, ...]:
        """Return the initial state (Z * H,) of each layer and direction."""

    def run(self, batch: Batch) -> None:
        """Set `final_states` to those at the batch's end, without learning."""

    @property
    def final_states(self) -> tuple[np.ndarray, ...]:
        """The states (B, Z * H) in which the last batch's sequences ended, by layer."""


__all__ = ["TrainableNetwork"]

"""A network's parameters under PyTorch's names and in its layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from ..utils.checks import check_finite_weights
from .adaptive import AdaptiveHead

if TYPE_CHECKING:
    from ..utils.standardization import Standardization
    from .stack import Stack

# torch's recurrent layers, by our names; torch keeps their gates in our order (`CELLS`).
TORCH_CELLS = ("rnn", "gru", "lstm")
# The ends of the names of a forward direction's weights and of a backward direction's.
TORCH_SUFFIXES = ("", "_reverse")
# The beginnings of the names of one direction's arrays, in the order of `Direction`.
TORCH_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class Direction(NamedTuple):
    """One direction of one layer: inputs by rows, gates in public order by columns.

    Like PyTorch's, it has two biases, of which one is zero if the cell has but one.
    """

    W_ih: np.ndarray  # (F, G*H)
    W_hh: np.ndarray  # (H, G*H)
    b_ih: np.ndarray  # (G*H,)
    b_hh: np.ndarray  # (G*H,)

    @classmethod
    def of(cls, arrays: dict[str, np.ndarray], layer: str) -> Self:
        """Return the direction of this name among a network's arrays."""
        if f"{layer}.b" in arrays:  # the gates see the sum of both biases, so one may be zero
            b_ih = arrays[f"{layer}.b"]
            b_hh = np.zeros_like(b_ih)
        else:
            b_ih = arrays[f"{layer}.b_ih"]
            b_hh = arrays[f"{layer}.b_hh"]
        return cls(arrays[f"{layer}.W_ih"], arrays[f"{layer}.W_hh"], b_ih, b_hh)

    def of_raw_inputs(self, standardization: Standardization) -> Self:
        """Return weights that take inputs as they are and give what these give standardised ones.

        ``(x - mean) / scale @ W + b`` is ``x @ (W / scale) + (b - mean / scale @ W)``.
        """
        W = self.W_ih / standardization.scale[:, None]
        b = self.b_ih - standardization.mean @ W
        dtype = self.W_ih.dtype
        with np.errstate(over="ignore"):  # which is refused where the weights are written
            return self._replace(W_ih=W.astype(dtype), b_ih=b.astype(dtype))


def torch_arrays(network: Stack) -> dict[str, np.ndarray]:
    """Return a network's parameters by torch's names, in torch's layout.

    Raises
    ------
    ValueError
        If torch has no such layers: those of the ffnn, or an adaptive softmax; or if a weight is
        not finite, by itself or once the standardisation is part of it.
    """
    if network.cell not in TORCH_CELLS:
        raise ValueError(
            f"cell must be 'rnn', 'gru' or 'lstm' for to_torch, got {network.cell!r}. Use weights_."
        )
    # An adaptive softmax is several output layers: the frequent tokens' and each cluster's.
    if isinstance(network.head, AdaptiveHead):
        raise ValueError(
            "output must not be 'adaptive' for to_torch, got 'adaptive'. Use weights_."
        )
    ours = network.arrays()
    check_finite_weights(ours)
    state = {}
    if network.embedding:
        state["embedding.weight"] = ours["embedding.W"]
    # One module of torch has layers of one size; layers of several sizes are a module each.
    stacked = len({level[0].units for level in network.levels}) == 1
    for number, level in enumerate(network.levels):
        module, index = ("rnn", number) if stacked else (f"rnn{number}", 0)
        for layer, suffix in zip(level, TORCH_SUFFIXES, strict=False):
            direction = Direction.of(ours, layer.name)
            if number == 0 and network.standardization is not None:
                direction = direction.of_raw_inputs(network.standardization)
            for name, array in zip(TORCH_NAMES, direction, strict=True):
                # torch keeps matrices (outputs, inputs); a bias is its own transpose.
                state[f"{module}.{name}_l{index}{suffix}"] = array.T
    if "attention.w" in ours:
        state["attention.weight"] = ours["attention.w"][None]  # of a linear layer with one output
    for number, layer in enumerate(network.head.layers):
        # Layers of a sequence alternate with their activations, which have numbers, too.
        module = f"head.{2 * number}" if len(network.head.layers) > 1 else "head"
        # Tied weights: the embedding (V, E) already is a matrix (outputs, inputs), as torch has it.
        matrix = ours["embedding.W"] if layer.tied else ours[f"{layer.name}.W"].T
        state[f"{module}.weight"] = matrix
        state[f"{module}.bias"] = ours[f"{layer.name}.b"]
    check_finite_weights(state, "Bring the features of X nearer to unit scale, and fit once more.")
    return {name: array.copy() for name, array in state.items()}

"""A network's parameters under PyTorch's names and in its layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .stack import Stack

# torch's recurrent layers, by our names; torch keeps their gates in our order (`CELLS`).
TORCH_CELLS = ("rnn", "gru", "lstm")
# The ends of the names of a forward direction's weights and of a backward direction's.
TORCH_SUFFIXES = ("", "_reverse")


def torch_arrays(network: Stack) -> dict[str, np.ndarray]:
    """Return a network's parameters by torch's names, in torch's layout.

    Raises
    ------
    ValueError
        If torch has no such layers: those of the ffnn, or an adaptive softmax.
    """
    if network.cell not in TORCH_CELLS:
        raise ValueError(
            f"cell must be 'rnn', 'gru' or 'lstm' for to_torch, got {network.cell!r}. Use weights_."
        )
    # An adaptive softmax is several output layers: the frequent tokens' and each cluster's.
    if len(network.layers) > sum(map(len, network.levels)) + 1:
        raise ValueError(
            "output must not be 'adaptive' for to_torch, got 'adaptive'. Use weights_."
        )
    ours = network.arrays()
    state = {}
    if network.embedding:
        state["embedding.weight"] = ours["embedding.W"]
    # One module of torch has layers of one size; layers of several sizes are a module each.
    stacked = len({level[0].units for level in network.levels}) == 1
    for number, level in enumerate(network.levels):
        module, index = ("rnn", number) if stacked else (f"rnn{number}", 0)
        for layer, suffix in zip(level, TORCH_SUFFIXES, strict=False):
            for name, array in _direction_arrays(ours, layer.name).items():
                state[f"{module}.{name}_l{index}{suffix}"] = array
    # Tied weights: the embedding (V, E) already is a matrix (outputs, inputs), as torch has it.
    state["head.weight"] = ours["head.W"].T if "head.W" in ours else ours["embedding.W"]
    state["head.bias"] = ours["head.b"]
    return {name: array.copy() for name, array in state.items()}


def _direction_arrays(ours: dict[str, np.ndarray], layer: str) -> dict[str, np.ndarray]:
    """Return one direction's arrays by torch's names without their suffix."""
    if f"{layer}.b" in ours:  # a cell with one bias: torch adds its two, so one may be zero
        b_ih = ours[f"{layer}.b"]
        b_hh = np.zeros_like(b_ih)
    else:
        b_ih = ours[f"{layer}.b_ih"]
        b_hh = ours[f"{layer}.b_hh"]
    return {
        "weight_ih": ours[f"{layer}.W_ih"].T,  # (G*H, F)
        "weight_hh": ours[f"{layer}.W_hh"].T,  # (G*H, H)
        "bias_ih": b_ih,  # (G*H,)
        "bias_hh": b_hh,  # (G*H,)
    }

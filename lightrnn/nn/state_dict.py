"""A network's parameters under PyTorch's names and in its layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .network import Network


_SUFFIXES = ("", "_reverse")


def torch_arrays(network: Network) -> dict[str, np.ndarray]:
    """Return a network's parameters by torch's names, in torch's layout.

    Raises
    ------
    ValueError
        If torch has no such layers: those of the ffnn, or an adaptive softmax.
    """
    if not network.recurrent:
        raise ValueError(
            f"cell must be 'rnn', 'gru' or 'lstm' for to_torch, got {network.cell!r}. Use weights_."
        )
    if len(network.layers) > sum(map(len, network.levels)) + 1:
        raise ValueError(
            "output must not be 'adaptive' for to_torch, got 'adaptive'. Use weights_."
        )
    ours = network.arrays()
    sizes = [level[0].units for level in network.levels]
    state = {"embedding.weight": ours["embedding.W"]} if network.embedding else {}
    for number, level in enumerate(network.levels):
        module, place = ("rnn", number) if len(set(sizes)) == 1 else (f"rnn{number}", 0)
        for layer, suffix in zip(level, _SUFFIXES, strict=False):
            arrays = _direction_arrays(ours, layer.name)
            state |= {f"{module}.{name}_l{place}{suffix}": array for name, array in arrays.items()}
    W = ours["head.W"].T if "head.W" in ours else ours["embedding.W"]
    return {
        name: array.copy()
        for name, array in (state | {"head.weight": W, "head.bias": ours["head.b"]}).items()
    }


def _direction_arrays(ours: dict[str, np.ndarray], layer: str) -> dict[str, np.ndarray]:
    """Return one direction's arrays by torch's names without layer; our only bias is torch's first, the other zeros."""
    b_ih = ours[f"{layer}.b_ih"] if f"{layer}.b_ih" in ours else ours[f"{layer}.b"]
    b_hh = ours[f"{layer}.b_hh"] if f"{layer}.b_hh" in ours else np.zeros_like(b_ih)
    return {
        "weight_ih": ours[f"{layer}.W_ih"].T,
        "weight_hh": ours[f"{layer}.W_hh"].T,
        "bias_ih": b_ih,
        "bias_hh": b_hh,
    }

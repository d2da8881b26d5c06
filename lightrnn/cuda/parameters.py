"""Addresses of a network's parameters on the GPU, of their gradients and of a solver's moments."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..nn.layers import Layer
from ..nn.parameters import Layout
from ..nn.solvers import SOLVERS
from ..nn.stack import Stack
from .memory import ALIGNMENT, Matrix, rounded


class WeightOffsets(NamedTuple):
    """Addresses of a layer's parameters, or of their gradients; -1 for those that it lacks."""

    W_ih: Matrix  # (features, G * H); (k, features) where the head has the embedding's matrix
    b_ih: int  # (G * H,)
    W_hh: Matrix  # (H, G * H)
    b_hh: int  # (G * H,)


class Addresses:
    """Addresses of a network's parameters: the first among the numbers, after the results.

    Parameters
    ----------
    host : Stack
        The network on the CPU.

    Attributes
    ----------
    layout : Layout
        Order of the parameters, without the padding that the CPU needs.
    results : int
        Address of the loss and of the squared norm of the gradient.
    start, gradient, moments, end : int
        Addresses of the parameters, of their gradients and of a solver's moments, and the first
        one after these.
    stride : int
        Elements from one of these vectors to the next.
    """

    def __init__(self, host: Stack) -> None:
        parameters = [p._replace(width=p.units, cuts=()) for p in host.layout.parameters]
        self.layout = Layout(parameters, host.dtype)
        self.stride = rounded(self.layout.size)
        self.results = 0
        self.start = ALIGNMENT
        self.gradient = self.start + self.stride
        self.moments = self.gradient + self.stride
        most = max(len(solver.moments) for solver in SOLVERS.values())
        self.end = self.moments + self.stride * most
        names = (parameter.name for parameter in parameters)
        self._offsets = dict(zip(names, self.layout.offsets, strict=False))
        self._features = host.head.features
        self._weights = {layer.name: self._parts(layer, self.parameter) for layer in host.layers}
        self._gradients = {
            layer.name: self._parts(layer, self.gradient_of) for layer in host.layers
        }

    def parameter(self, name: str) -> int:
        """Return the address of a parameter."""
        return self.start + int(self._offsets[name])

    def gradient_of(self, name: str) -> int:
        """Return the address of a parameter's gradient."""
        return self.gradient + int(self._offsets[name])

    def weights(self, layer: Layer) -> WeightOffsets:
        """Return the addresses of a layer's parameters."""
        return self._weights[layer.name]

    def gradients(self, layer: Layer) -> WeightOffsets:
        """Return the addresses of a layer's gradients."""
        return self._gradients[layer.name]

    def _parts(self, layer: Layer, address: Callable[[str], int]) -> WeightOffsets:
        """Return the addresses of a layer's parameters, or of whatever `address` finds for them."""
        names = [parameter.name for parameter in layer.parameters]
        found = {name.rsplit(".", 1)[1]: address(name) for name in names}
        columns = len(layer.cell.gates) * layer.units
        if layer.tied:
            W_ih = Matrix(address("embedding.W"), self._features)
        else:
            W_ih = Matrix(found.get("W_ih", found.get("W", -1)), columns)
        W_hh = Matrix(found.get("W_hh", -1), columns)
        b_ih = found.get("b_ih", found.get("b", -1))
        return WeightOffsets(W_ih, b_ih, W_hh, found.get("b_hh", -1))

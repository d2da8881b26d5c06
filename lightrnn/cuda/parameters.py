"""Where a network has its parameters on the GPU, their gradients and a solver's moments: the first of all numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ..nn.layers import Layer
from ..nn.parameters import Layout
from ..nn.solvers import SOLVERS
from .matmul import Matrix
from .memory import ALIGNMENT, rounded

if TYPE_CHECKING:
    from ..nn.network import Network


class WeightOffsets(NamedTuple):
    """Where a layer's parameters, or their gradients, are."""

    W_ih: Matrix
    b_ih: int
    W_hh: Matrix
    b_hh: int


class Places:
    """Where a network's parameters are.

    Parameters
    ----------
    host : Network
        Whose parameters they are.

    Attributes
    ----------
    layout : Layout
        Their order, without the host's padding.
    start, gradient, moments, end : int
        Where parameters begin, their gradients, a solver's moments, each as far from the next; and what comes then.
    """

    def __init__(self, host: Network) -> None:
        self.layout = Layout(
            [p._replace(width=p.units, cuts=()) for p in host.layout.parameters], host.dtype
        )
        self.apart = rounded(self.layout.size)
        self.start, self.gradient, self.moments = (ALIGNMENT + i * self.apart for i in range(3))
        self.end = self.moments + self.apart * max(
            len(solver.moments) for solver in SOLVERS.values()
        )
        self._offsets = dict(
            zip((p.name for p in self.layout.parameters), self.layout.offsets, strict=False)
        )
        self._features = host.head.features
        self._weights = {layer.name: self._parts(layer, self.parameter) for layer in host.layers}
        self._gradients = {
            layer.name: self._parts(layer, self.gradient_of) for layer in host.layers
        }

    def parameter(self, name: str) -> int:
        """Return the place of a parameter."""
        return self.start + int(self._offsets[name])

    def gradient_of(self, name: str) -> int:
        """Return the place of a parameter's gradient."""
        return self.gradient + int(self._offsets[name])

    def weights(self, layer: Layer) -> WeightOffsets:
        """Return the places of a layer's parameters."""
        return self._weights[layer.name]

    def gradients(self, layer: Layer) -> WeightOffsets:
        """Return the places of a layer's gradients."""
        return self._gradients[layer.name]

    def _parts(self, layer: Layer, place: Callable[[str], int]) -> WeightOffsets:
        found = {
            parameter.name.rsplit(".", 1)[1]: place(parameter.name)
            for parameter in layer.parameters
        }
        columns = len(layer.cell.gates) * layer.units
        W, width = found.get("W_ih", found.get("W", -1)), columns
        if layer.tied:
            W, width = place("embedding.W"), self._features
        b = found.get("b_ih", found.get("b", -1))
        return WeightOffsets(
            Matrix(W, width), b, Matrix(found.get("W_hh", -1), columns), found.get("b_hh", -1)
        )

"""The linear layers of a foreign network's head: their order, and what stands between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..cells import HEAD_CELLS
from .foreign import Affine, ForeignNetwork


def chain(shapes: Mapping[str, tuple[int, ...]], width: int, last: str | None) -> list[str]:
    """Return linear layers from the first one after the recurrent ones to the output layer.

    Parameters
    ----------
    shapes : mapping of str to tuple (inputs, outputs)
        The layers in the order of the source, which decides among those that fit.
    width : int
        Columns of what the first one reads.
    last : str or None
        The output layer. Without it all layers must be in the chain.

    Returns
    -------
    list of str
        Their names; none if there is no such chain.
    """
    waiting: dict[int, list[str]] = {}  # by their inputs, the first one at the end
    for name in reversed(list(shapes)):
        if name != last:
            waiting.setdefault(shapes[name][0], []).append(name)
    found: list[str] = []
    while waiting.get(width):
        found.append(waiting[width].pop())
        width = shapes[found[-1]][1]
    if last is None:
        return found if len(found) == len(shapes) else []
    return [*found, last] if shapes.get(last, (0,))[0] == width else []


def joined(foreign: ForeignNetwork) -> ForeignNetwork:
    """Return a network whose linear layers, without a function between them, are one."""
    whole = Affine(np.eye(len(foreign.hidden[0].W)), np.zeros(len(foreign.hidden[0].W)))
    W: Any = foreign.W
    for layer in (*foreign.hidden, Affine(W, foreign.b)):
        whole = whole.then(*layer)
    return foreign._replace(W=whole.W, b=whole.b, hidden=())


def variants(foreign: ForeignNetwork, given: str) -> Iterator[ForeignNetwork]:
    """Yield a network with each activation that may stand in its head, the `given` one first."""
    if not foreign.hidden or foreign.head_activation is not None:
        yield foreign
        return
    for name in dict.fromkeys((given, *HEAD_CELLS)):
        yield foreign._replace(head_activation=name)
    yield joined(foreign)

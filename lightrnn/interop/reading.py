"""Which states the output layer of a foreign network reads, as the user says it."""

from __future__ import annotations

import numpy as np

from ..cells import CELLS
from ..nn.state_dict import Direction
from .foreign import ForeignNetwork, Level

READINGS = ("final", "last", "mean", "max")
# A gate with this bias and no other weight is closed: exp(-1000) is 0 in float32 and float64.
_CLOSED = -1000.0


def read_as(foreign: ForeignNetwork, read: str) -> ForeignNetwork:
    """Return a network whose output layer reads the states that `read` names.

    Parameters
    ----------
    foreign : ForeignNetwork
        The network.
    read : {"final", "last", "mean", "max"}
        "final": each direction's final state, as torch's ``h_n`` has them. "last": the outputs at
        the last step, ``output[:, -1]``, where a backward direction has read that step alone.
        "mean", "max": over all steps.

    Raises
    ------
    ValueError
        If a network of another kind reads so.
    """
    if foreign.attention is not None:
        raise ValueError(
            f"read must be None for a source with attention, got {read!r}. "
            "Attention is a mean over all steps with weights of its own."
        )
    if read != "last":
        return foreign._replace(pooling="last" if read == "final" else read)
    if foreign.bidirectional:
        foreign = _forward_at_the_end(foreign)
    return foreign._replace(pooling="last")


def _forward_at_the_end(foreign: ForeignNetwork) -> ForeignNetwork:
    """Return a network whose final states are the outputs of a bidirectional one at the last step.

    There the backward direction has read one step alone, from a state of zeros. So has a forward
    direction that forgets its state at every step, and both are one forward direction of twice the
    units. Below other layers everything stays; an only layer needs no backward direction any more,
    and the last of several gets an empty one.
    """
    *below, (cell, (forward, backward)) = foreign.levels
    if cell == "gru":
        raise ValueError(
            "read must be 'final', 'mean' or 'max' for a bidirectional GRU, got 'last'. Its "
            "backward direction has read the last step alone there: convert it with "
            "target='step', whose prediction at a sequence's last step is that output."
        )
    both = _joined(forward, _forgetting(backward, cell), cell)
    if not below:
        return foreign._replace(levels=[Level(cell, (both,))])
    empty = Direction(*(np.zeros_like(array) for array in both))
    foreign = foreign._replace(levels=[*below, Level(cell, (both, empty))])
    if foreign.hidden:
        first, *others = foreign.hidden
        return foreign._replace(hidden=(first._replace(W=_above_zeros(first.W)), *others))
    return foreign._replace(W=None if foreign.W is None else _above_zeros(foreign.W))


def _above_zeros(W: np.ndarray) -> np.ndarray:
    """Return a matrix that reads as many columns more, but makes nothing of them."""
    return np.vstack([W, np.zeros_like(W)])


def _forgetting(direction: Direction, cell: str) -> Direction:
    """Return a direction that begins at every step from a state of zeros."""
    gates = CELLS[cell].gates
    W_ih, b_ih = (np.array(array, np.float64) for array in (direction.W_ih, direction.b_ih))
    b_hh = np.array(direction.b_hh)
    H = len(direction.W_hh)
    if "f" in gates:
        forget = slice(gates.index("f") * H, (gates.index("f") + 1) * H)
        W_ih[:, forget] = 0.0
        b_hh[forget] = 0.0
        b_ih[forget] = _CLOSED
    return Direction(W_ih, np.zeros_like(direction.W_hh), b_ih, b_hh)


def _joined(first: Direction, second: Direction, cell: str) -> Direction:
    """Return two directions, which do not read each other's states, as one."""
    G = len(CELLS[cell].gates)
    W_ih, W_hh, b_ih, b_hh = (
        tuple(np.reshape(array, (*np.shape(array)[:-1], G, -1)) for array in pair)
        for pair in zip(first, second, strict=True)
    )
    zeros = np.zeros_like(W_hh[0])
    rows = (np.concatenate([W_hh[0], zeros], -1), np.concatenate([zeros, W_hh[1]], -1))
    joined = [np.concatenate(pair, -1) for pair in (W_ih, b_ih, b_hh)]
    joined.insert(1, np.concatenate(rows))
    return Direction(*(array.reshape(*array.shape[:-2], -1) for array in joined))

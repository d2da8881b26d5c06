"""Segments of steps, into which a long batch is cut to be run in little memory."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np


class Segment(NamedTuple):
    """Some steps of a batch, and what a run over them must know of the others.

    Attributes
    ----------
    sequences, steps : int
        Number of sequences of the whole batch, and of all their steps; 0 if this is the whole.
    begins : bool
        Whether these are the first steps.
    going_on : int
        How many sequences, the first ones, have later steps.
    """

    sequences: int = 0
    steps: int = 0
    begins: bool = True
    going_on: int = 0

    @property
    def ends(self) -> bool:
        """Whether these are the last steps."""
        return not self.going_on


WHOLE = Segment()


def spans(first: np.ndarray, start: int, k: int) -> list[tuple[int, int]]:
    """Return where each k steps begin and end, in rows from `start` on; see `Steps` for `first`."""
    cuts = [*first[1:-1:k].tolist(), int(first[-1])]
    return [(begin - start, end - start) for begin, end in pairwise(cuts)]

"""Segments of steps, into which a long batch is cut to be run in little memory [1]_ [2]_.

References
----------
.. [1] Chen, T., Xu, B., Zhang, C. and Guestrin, C. (2016). Training deep nets with sublinear memory
   cost. arXiv:1604.06174.
.. [2] Gruslys, A., Munos, R., Danihelka, I., Lanctot, M. and Graves, A. (2016). Memory-efficient
   backpropagation through time. NIPS.
"""

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
    start : int
        How many steps come before.
    going_on : int
        How many sequences, the first ones, have later steps.
    above : bool
        Whether the input is the output of other layers, to which its gradient goes.
    """

    sequences: int = 0
    steps: int = 0
    start: int = 0
    going_on: int = 0
    above: bool = False

    @property
    def begins(self) -> bool:
        """Whether these are the first steps."""
        return not self.start

    @property
    def ends(self) -> bool:
        """Whether these are the last steps."""
        return not self.going_on


WHOLE = Segment()


def spans(first: np.ndarray, start: int, k: int) -> list[tuple[int, int]]:
    """Return where each k steps begin and end, in rows from `start` on; see `Steps` for `first`."""
    cuts = [*first[1:-1:k].tolist(), int(first[-1])]
    return [(begin - start, end - start) for begin, end in pairwise(cuts)]

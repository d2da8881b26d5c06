"""Draw a token from its probabilities: called once per generated token."""

import math

import numpy as np

from .jit import Numbers, kernel


@kernel
def draw(
    raw: Numbers,  # (V,) raw outputs, IN
    first: int,  # codes below are never drawn, IN
    sharpness: float,  # one over the temperature, IN
    top_k: int,  # at most this many of the likeliest codes are drawn, IN
    top_p: float,  # and no more of them than reach this probability together, IN
    uniform: float,  # a random number in [0, 1), IN
):
    """Return a code from `first` on, drawn by the softmax of the raw outputs."""
    p = np.empty(len(raw) - first)
    top = -math.inf
    for i in range(len(p)):
        top = max(top, raw[first + i])
    total = 0.0
    for i in range(len(p)):
        p[i] = math.exp(sharpness * (raw[first + i] - top))
        total += p[i]
    if top_k < len(p) or top_p < 1.0:
        wanted = top_p * total
        total = 0.0
        order = np.argsort(-p)
        for rank in range(len(p)):
            if rank >= top_k or (rank > 0 and total >= wanted):
                p[order[rank]] = 0.0
            total += p[order[rank]]
    # The last code with a probability is the answer if rounding lets the sum end below the aim.
    aim = uniform * total
    reached = 0.0
    last = 0
    for i in range(len(p)):
        if p[i] > 0.0:
            reached += p[i]
            last = i
            if reached > aim:
                break
    return first + last

"""Drawing a token from its probabilities, which a whole text does once a token."""

import math

import numpy as np

from .jit import kernel


@kernel
def draw(raw, first, sharpness, top_k, top_p, uniform):
    """Return one of the codes from `first` on, by the softmax of their raw outputs.

    Parameters
    ----------
    raw : ndarray (V,)
        Raw outputs.
    first : int
        Codes below are never drawn.
    sharpness : float
        One over the temperature.
    top_k, top_p : int, float
        Only the likeliest codes are drawn: so many, and no more than have this much of the probability together.
    uniform : float in [0, 1)
        Where the randomness comes from.
    """
    p, total = np.empty(len(raw) - first), 0.0
    top = -math.inf
    for i in range(len(p)):
        top = max(top, raw[first + i])
    for i in range(len(p)):
        p[i] = math.exp(sharpness * (raw[first + i] - top))
        total += p[i]
    if top_k < len(p) or top_p < 1.0:
        kept, wanted = 0.0, top_p * total
        order = np.argsort(-p)
        for rank in range(len(p)):
            if rank >= top_k or (rank > 0 and kept >= wanted):
                p[order[rank]] = 0.0
            kept += p[order[rank]]
        total = kept
    aim, reached, last = uniform * total, 0.0, 0
    for i in range(len(p)):
        if p[i] > 0.0:
            reached, last = reached + p[i], i
            if reached > aim:
                break
    return first + last

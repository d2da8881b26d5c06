"""Pooling in ONNX's text: the states of each sequence's own steps become one row.

It goes on from what is pooled of earlier steps; of none the weight is 0.
"""

from __future__ import annotations

from typing import NamedTuple


class PooledNames(NamedTuple):
    """Names of what is pooled of a sequence, and of what the next steps need; see `cpu/pooling.py`.

    They are h (batch, D), and weight and score (batch, 1).
    """

    h: str
    weight: str
    score: str


POOLED = PooledNames("pooled_h", "pooled_weight", "pooled_score")
# The inputs are rows (batch, time, D), of which those beyond a sequence's length mean nothing,
# lengths (batch,), attention's query w (D,), and h0, weight0 and score0 of the steps before.
_TEXT = """
pooling () => ()
    <int64 pooled_zero = {{0}}, int64 pooled_one = {{1}}, float pooled_nothing = {{0}},
     int64[1] pooled_time = {{1}}, int64[1] pooled_last = {{2}}{others}>
{{
    pooled_shape = Shape (rows)
    pooled_T = Gather (pooled_shape, pooled_one)
    pooled_steps = Range (pooled_zero, pooled_T, pooled_one)
    pooled_counts = Unsqueeze (lengths, pooled_time)
    pooled_inside = Less (pooled_steps, pooled_counts)
    pooled_mask = Unsqueeze (pooled_inside, pooled_last)
    pooled_begun = Greater (weight0, pooled_nothing)
{kind}
}}
"""
_MAXIMUM = """
    pooled_own = Where (pooled_mask, rows, pooled_lowest)
    pooled_greatest = ReduceMax <axes = [1], keepdims = 0> (pooled_own)
    pooled_both = Max (pooled_greatest, h0)
    pooled_h = Where (pooled_begun, pooled_both, pooled_greatest)
    pooled_count = Cast <to = 1> (pooled_counts)
    pooled_weight = Add (weight0, pooled_count)
    pooled_score = Identity (score0)
"""
# Zeros: an infinite state of a step beyond the end would become NaN with a weight of 0.
_OWN = """
    pooled_own = Where (pooled_mask, rows, pooled_nothing)
"""
_EQUAL_WEIGHTS = """
    pooled_weights = Cast <to = 1> (pooled_mask)
    pooled_before = Identity (weight0)
    pooled_score = Identity (score0)
"""
_SOFTMAX_WEIGHTS = """
    pooled_query = Unsqueeze (w, pooled_time)
    pooled_scores = MatMul (pooled_own, pooled_query)
    pooled_own_scores = Where (pooled_mask, pooled_scores, pooled_lowest)
    pooled_greatest = ReduceMax <axes = [1], keepdims = 0> (pooled_own_scores)
    pooled_both = Max (pooled_greatest, score0)
    pooled_score = Where (pooled_begun, pooled_both, pooled_greatest)
    pooled_shift = Unsqueeze (pooled_score, pooled_time)
    pooled_relative = Sub (pooled_scores, pooled_shift)
    pooled_powers = Exp (pooled_relative)
    pooled_weights = Where (pooled_mask, pooled_powers, pooled_nothing)
    pooled_change = Sub (score0, pooled_score)
    pooled_power = Exp (pooled_change)
    pooled_less = Mul (weight0, pooled_power)
    pooled_before = Where (pooled_begun, pooled_less, pooled_nothing)
"""
_MEAN = """
    pooled_total = ReduceSum <keepdims = 0> (pooled_weights, pooled_time)
    pooled_products = Mul (pooled_own, pooled_weights)
    pooled_sum = ReduceSum <keepdims = 0> (pooled_products, pooled_time)
    pooled_weight = Add (pooled_total, pooled_before)
    pooled_h_before = Mul (h0, pooled_before)
    pooled_sum_of_all = Add (pooled_sum, pooled_h_before)
    pooled_h = Div (pooled_sum_of_all, pooled_weight)
"""
_LOWEST = ", float pooled_lowest = {-3.4e38}"
# The graph of each pooling; its results are named as `POOLED` says.
POOLINGS = {
    "mean": _TEXT.format(kind=_OWN + _EQUAL_WEIGHTS + _MEAN, others=""),
    "max": _TEXT.format(kind=_MAXIMUM, others=_LOWEST),
    "attention": _TEXT.format(kind=_OWN + _SOFTMAX_WEIGHTS + _MEAN, others=_LOWEST),
}

"""Series as a forecaster's networks read them, and the forecasts that their outputs are.

The steps of series are the rows of a matrix, whose first columns are those of `Step`; further ones
hold other variables. Whole series and streams, which have one new step, call the same kernels: a
forecast is the same to the last bit either way.
"""

import math
from typing import NamedTuple

import numpy as np

from .jit import DoubleRows, Doubles, Integers, Matrix, Singles, Table, kernel, register_jitable


class Step(NamedTuple):
    """The columns of a step."""

    target: int  # the value on the axis of the scale, NaN where it is missing
    filled: int  # the same; where it is missing, the last one
    level: int
    spread: int
    drift: int  # of the level since a season ago, in units of the spread
    growth: int  # of the logarithm of the spread since then
    missing: int  # 1 where the value is missing, else 0
    waiting: int  # log(1 + steps since the last value)
    since: int  # steps since the last value
    first: int  # the first value of the series
    known: int  # number of the values so far
    total: int  # of their distances from the first one, and of their squares:
    squares: int


STEP = Step(*range(len(Step._fields)))
WIDTH = len(STEP)


class Input(NamedTuple):
    """A row of the table of inputs: a cell of the steps, and how it is read."""

    kind: int
    column: int = 0
    offset: int = 0  # rows from the origin
    base: int = 0  # of a `CHANGE`: rows from the origin to what is subtracted


INPUT = Input(*range(len(Input._fields)))
# Kinds of inputs
PLAIN = 0  # as it is
SCALED = 1  # less the level at the origin, in units of the spread there
CHANGE = 2  # the same of two values' difference; 0 where the series has not begun yet
AHEAD = 3  # as it is, but where it is not known as it was at the origin
KNOWN = 4  # 1 where the horizon is known, else 0

SCALES = ("none", "log", "mean", "standard")
_NONE, _LOG, _MEAN, _STANDARD = range(len(SCALES))
# A spread below this part of the level is rounding: the series was constant.
_CONSTANT = 1e-6
# The spread of a constant series, as a part of its level.
_OF_CONSTANT = 1e-3
# Inputs are cut off here, so that an outlier cannot saturate all gates.
_LARGEST = 8.0


@kernel
def scale(
    steps: DoubleRows,  # (N, columns), IN, OUT: values are in the column `target`
    first: int,  # row of the series' first step, whose value is not missing, IN
    start: int,  # first row to compute, IN
    stop: int,  # one more than the last one, IN
    kind: int,  # number of the scale, IN
    season: int,  # IN
    memory: int,  # steps that level and spread are taken of, IN
):
    """Compute what is known of the steps of a series from those before."""
    for t in range(start, stop):
        now = steps[t]
        begins = t == first
        # A row of zeros would do as well where the series begins, but there is none.
        before = steps[t if begins else t - 1]
        value = now[STEP.target]
        present = value == value
        if present and kind == _LOG:
            value = math.log(value)
            now[STEP.target] = value
        if begins:
            now[STEP.first] = value
            now[STEP.known] = now[STEP.total] = now[STEP.squares] = now[STEP.since] = 0.0
        now[STEP.first] = before[STEP.first]
        now[STEP.filled] = value if present else before[STEP.filled]
        now[STEP.since] = 0.0 if present else before[STEP.since] + 1.0
        now[STEP.missing] = 0.0 if present else 1.0
        now[STEP.waiting] = math.log1p(now[STEP.since])
        # Near zero, where the sums lose least to rounding.
        moved = value - now[STEP.first] if present else 0.0
        now[STEP.known] = before[STEP.known] + (1.0 if present else 0.0)
        now[STEP.total] = before[STEP.total] + moved
        now[STEP.squares] = before[STEP.squares] + moved * moved
        _scale(steps, t, t - first, kind, memory)
        now[STEP.drift] = now[STEP.growth] = 0.0
        # The first season has none before it.
        if t - first >= 2 * season - 1:
            earlier = steps[t - season]
            spread = now[STEP.spread]
            now[STEP.drift] = (now[STEP.level] - earlier[STEP.level]) / spread
            now[STEP.growth] = math.log(spread / earlier[STEP.spread])


@register_jitable
def _scale(steps, t, age, kind, memory):
    """Set level and spread of a step from the sums up to it, less those of too long ago."""
    now = steps[t]
    if kind == _NONE:
        now[STEP.level] = 0.0
        now[STEP.spread] = 1.0
        return
    count = now[STEP.known]
    total = now[STEP.total]
    squares = now[STEP.squares]
    if age >= memory:
        old = steps[t - memory]
        count -= old[STEP.known]
        total -= old[STEP.total]
        squares -= old[STEP.squares]
    count = max(count, 1.0)
    mean = total / count
    level = mean + now[STEP.first]
    now[STEP.level] = level
    if kind == _MEAN:
        now[STEP.spread] = abs(level) if level != 0 else 1.0
        return
    deviation = math.sqrt(max(squares / count - mean * mean, 0.0))
    size = 1.0 if kind == _LOG else abs(level)
    constant = size * _OF_CONSTANT if size > 0 else 1.0
    now[STEP.spread] = deviation if deviation > size * _CONSTANT else constant


@kernel
def read(
    inputs: DoubleRows,  # (n, F), OUT
    steps: DoubleRows,  # (N, columns), IN
    origins: Integers,  # (n,) rows of the last known steps, IN
    starts: Integers,  # (n,) first rows of their series, IN
    known: Integers,  # (n,) 0 where variables ahead are hidden, IN
    table: Table,  # (F, fields of `Input`), IN
    present: int,  # the column that is 1 where variables are known, -1 if none are ahead, IN
    horizon: int,  # steps ahead that must be, IN
):
    """Gather the inputs of a network at some origins, with the precision of float32."""
    for i in range(len(origins)):
        o = origins[i]
        to = inputs[i]
        level = steps[o, STEP.level]
        spread = steps[o, STEP.spread]
        ahead = known[i] != 0
        if present >= 0:
            for t in range(o + 1, o + 1 + horizon):
                ahead = ahead and steps[t, present] != 0
        for j in range(len(table)):
            kind = table[j, INPUT.kind]
            column = table[j, INPUT.column]
            t = o + table[j, INPUT.offset]
            if kind == SCALED:
                # Before its start a series has its first value.
                value = (steps[max(t, starts[i]), column] - level) / spread
            elif kind == CHANGE:
                base = steps[o + table[j, INPUT.base], column]
                value = (steps[t, column] - base) / spread if t >= starts[i] else 0.0
            elif kind == KNOWN:
                value = 1.0 if ahead else 0.0
            else:
                value = steps[o if kind == AHEAD and not ahead else t, column]
            to[j] = np.float32(min(max(value, -_LARGEST), _LARGEST))


@kernel
def linear(
    forecasts: Singles,  # (n, horizon), OUT
    inputs: DoubleRows,  # (n, F) at some origins, IN
    matrix: DoubleRows,  # (F + 1, horizon), IN
):
    """``forecasts = [inputs, 1] @ matrix``, summed in this order."""
    F = inputs.shape[1]
    sums = np.empty(matrix.shape[1])
    for i in range(len(inputs)):
        sums[:] = 0.0
        for j in range(F):
            _add(sums, inputs[i, j], matrix[j])
        _add(sums, 1.0, matrix[F])
        to = forecasts[i]
        for k in range(len(to)):
            to[k] = sums[k]


@register_jitable
def _add(sums, factor, row):
    """Add a row times a factor to sums."""
    for k in range(len(row)):
        sums[k] += factor * row[k]


@register_jitable
def _sort(row, start, q):
    """Sort q elements of a row from `start` on; they are few, and mostly in order."""
    for i in range(start + 1, start + q):
        value = row[i]
        j = i
        while j > start and row[j - 1] > value:
            row[j] = row[j - 1]
            j -= 1
        row[j] = value


@kernel
def add_quantiles(
    totals: DoubleRows,  # (n, horizon * q), IN, OUT
    outputs: Matrix,  # (n, horizon * q) of a network, IN
    q: int,  # quantiles of each step, IN
):
    """Add a network's quantiles, in ascending order, to those of others."""
    row = np.empty(outputs.shape[1])
    for i in range(len(outputs)):
        for j in range(len(row)):
            row[j] = outputs[i, j]
        to = totals[i]
        for start in range(0, len(row), q):
            _sort(row, start, q)
            for j in range(start, start + q):
                to[j] += row[j]


@kernel
def calibrate(
    totals: DoubleRows,  # (n, horizon * q), IN, OUT
    n_nets: int,  # networks whose quantiles were added, IN
    share: float,  # of their median, IN
    factor: DoubleRows,  # (horizon, q) of the distance from it, IN
    median: int,  # its number among the q, IN
):
    """Make the mean of networks' quantiles, at their calibrated distance from the median."""
    q = factor.shape[1]
    for i in range(len(totals)):
        row = totals[i]
        for step in range(len(factor)):
            start = step * q
            middle = row[start + median] / n_nets
            moved = middle - (1.0 - share) * middle
            for j in range(q):
                value = row[start + j] / n_nets - (1.0 - share) * middle
                row[start + j] = moved + factor[step, j] * (value - moved)
            _sort(row, start, q)


@kernel
def restore(
    forecasts: DoubleRows,  # (n, horizon * w), OUT
    quantiles: DoubleRows,  # (n, horizon * q), IN
    positions: Doubles,  # (w,) among the q quantiles, with a fraction in between, IN
    steps: DoubleRows,  # (N, columns), IN
    origins: Integers,  # (n,) rows of steps, IN
    linear: Singles,  # (n, horizon) of the linear part, or (0, horizon) if there is none, IN
    kind: int,  # number of the scale, IN
    season: int,  # IN
):
    """Make forecasts in the units of the series, at some positions between the quantiles."""
    w = len(positions)
    horizon = forecasts.shape[1] // w
    q = quantiles.shape[1] // horizon
    for i in range(len(origins)):
        o = origins[i]
        spread = steps[o, STEP.spread]
        to = forecasts[i]
        for step in range(horizon):
            base = steps[o + 1 - season + step % season, STEP.filled]
            for k in range(w):
                at = min(int(positions[k]), max(0, q - 2))
                share = positions[k] - at
                below = quantiles[i, step * q + at]
                above = quantiles[i, step * q + min(at + 1, q - 1)]
                value = below * (1.0 - share) + above * share
                if len(linear):
                    value += linear[i, step]
                value = value * spread + base
                to[step * w + k] = math.exp(value) if kind == _LOG else value

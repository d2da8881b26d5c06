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


class Options(NamedTuple):
    """Numbers that are the same for all series, an array of which kernels are given."""

    kind: int  # number of the scale
    season: int
    memory: int  # steps that level and spread are taken of
    horizon: int
    present: int  # the column that is 1 where variables are known, -1 if none are ahead
    bounded: int = 0  # 1 where no forecast is below 0
    median: int = 0  # its number among the q quantiles
    n_nets: int = 1  # networks of whose quantiles the sum is given


OPTIONS = Options(*range(len(Options._fields)))


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
    options: Integers,  # fields of `Options`, IN
):
    """Compute what is known of the steps of a series from those before."""
    for t in range(start, stop):
        _follow(steps, t, t - first, options)


@register_jitable
def _follow(steps, t, age, options):
    """Compute what is known of a step, `age` steps behind the first one."""
    now = steps[t]
    value = now[STEP.target]
    present = value == value
    if present and options[OPTIONS.kind] == _LOG:
        value = math.log(value)
        now[STEP.target] = value
    if age == 0:
        now[STEP.first] = value
        now[STEP.known] = now[STEP.total] = now[STEP.squares] = now[STEP.since] = 0.0
    before = steps[t - 1] if age else now
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
    _scale(steps, t, age, options)
    now[STEP.drift] = now[STEP.growth] = 0.0
    # The first season has none before it.
    if age >= 2 * options[OPTIONS.season] - 1:
        earlier = steps[t - options[OPTIONS.season]]
        spread = now[STEP.spread]
        now[STEP.drift] = (now[STEP.level] - earlier[STEP.level]) / spread
        now[STEP.growth] = math.log(spread / earlier[STEP.spread])


@register_jitable
def _scale(steps, t, age, options):
    """Set level and spread of a step from the sums up to it, less those of too long ago."""
    now = steps[t]
    if options[OPTIONS.kind] == _NONE:
        now[STEP.level] = 0.0
        now[STEP.spread] = 1.0
        return
    count = now[STEP.known]
    total = now[STEP.total]
    squares = now[STEP.squares]
    if age >= options[OPTIONS.memory]:
        old = steps[t - options[OPTIONS.memory]]
        count -= old[STEP.known]
        total -= old[STEP.total]
        squares -= old[STEP.squares]
    count = max(count, 1.0)
    mean = total / count
    level = mean + now[STEP.first]
    now[STEP.level] = level
    if options[OPTIONS.kind] == _MEAN:
        now[STEP.spread] = abs(level) if level != 0 else 1.0
        return
    deviation = math.sqrt(max(squares / count - mean * mean, 0.0))
    size = 1.0 if options[OPTIONS.kind] == _LOG else abs(level)
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
    options: Integers,  # fields of `Options`, IN
):
    """Gather the inputs of a network at some origins, with the precision of float32."""
    for i in range(len(origins)):
        _read(inputs[i], steps, origins[i], starts[i], known[i] != 0, table, options)


@register_jitable
def _read(inputs, steps, o, start, known, table, options):
    """Gather the inputs at an origin o."""
    level = steps[o, STEP.level]
    spread = steps[o, STEP.spread]
    if options[OPTIONS.present] >= 0:
        for t in range(o + 1, o + 1 + options[OPTIONS.horizon]):
            known = known and steps[t, options[OPTIONS.present]] != 0
    for j in range(len(table)):
        kind = table[j, INPUT.kind]
        column = table[j, INPUT.column]
        t = o + table[j, INPUT.offset]
        if kind == SCALED:
            # Before its start a series has its first value.
            value = (steps[max(t, start), column] - level) / spread
        elif kind == CHANGE:
            base = steps[o + table[j, INPUT.base], column]
            value = (steps[t, column] - base) / spread if t >= start else 0.0
        elif kind == KNOWN:
            value = 1.0 if known else 0.0
        else:
            value = steps[o if kind == AHEAD and not known else t, column]
        inputs[j] = np.float32(min(max(value, -_LARGEST), _LARGEST))


@kernel
def linear(
    forecasts: Singles,  # (n, horizon), OUT
    inputs: DoubleRows,  # (n, F) at some origins, IN
    matrix: DoubleRows,  # (F + 1, horizon), IN
):
    """Compute ``[inputs, 1] @ matrix``, summed in one order."""
    for i in range(len(forecasts)):
        _linear(forecasts[i], inputs[i], matrix)


@register_jitable
def _linear(forecast, x, matrix):
    """Compute the linear forecast of some inputs x."""
    F = len(x)
    horizon = len(forecast)
    sums = matrix[F].copy()
    j = 0
    # Some products at a time, for each sum is read and written then.
    while j + 4 <= F:
        a, b, c, d = x[j], x[j + 1], x[j + 2], x[j + 3]
        A, B, C, D = matrix[j], matrix[j + 1], matrix[j + 2], matrix[j + 3]
        for k in range(horizon):
            sums[k] = (((sums[k] + a * A[k]) + b * B[k]) + c * C[k]) + d * D[k]
        j += 4
    while j < F:
        for k in range(horizon):
            sums[k] += x[j] * matrix[j, k]
        j += 1
    for k in range(horizon):
        forecast[k] = sums[k]


@kernel
def observe(
    inputs: DoubleRows,  # (1, F), OUT
    linear: Singles,  # (1, horizon), OUT; (0, horizon) if there is no linear part
    steps: DoubleRows,  # (N, columns), IN, OUT: the value is in the column `target`
    table: Table,  # (F, fields of `Input`), IN
    matrix: DoubleRows,  # (F + 1, horizon) of the linear part, IN
    options: Integers,  # fields of `Options`, IN
    row: int,  # of the step, IN
    age: int,  # steps since the first one, IN
):
    """Let a series go on by one step, as `scale`, `read` and `linear` do it for all."""
    _follow(steps, row, age, options)
    _read(inputs[0], steps, row, row - age, True, table, options)
    if len(linear):
        _linear(linear[0], inputs[0], matrix)


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
    totals: DoubleRows,  # (n, horizon * q), OUT, or IN and OUT
    outputs: Matrix,  # (n, horizon * q) of a network, IN
    q: int,  # quantiles of each step, IN
    number: int,  # of the network: the first one's take the place of what was there, IN
):
    """Add a network's quantiles, in ascending order, to those of others."""
    row = np.empty(outputs.shape[1])
    for i in range(len(outputs)):
        to = totals[i]
        for j in range(len(row)):
            row[j] = outputs[i, j]
        for start in range(0, len(row), q):
            _sort(row, start, q)
        for j in range(len(row)):
            to[j] = row[j] + (to[j] if number else 0.0)


@kernel
def calibrate(
    totals: DoubleRows,  # (n, horizon * q), IN, OUT
    factor: DoubleRows,  # (2 horizon, q) as `Fitted.kernel_factor` returns it, IN
    options: Integers,  # fields of `Options`, IN
):
    """Make the mean of networks' quantiles, at their calibrated distance from the median."""
    for i in range(len(totals)):
        _calibrate(totals[i], factor, options[OPTIONS.median], options[OPTIONS.n_nets])


@register_jitable
def _calibrate(row, factor, median, n_nets):
    """Make the mean of networks' quantiles of one row."""
    q = factor.shape[1]
    horizon = len(factor) // 2
    for step in range(horizon):
        start = step * q
        middle = row[start + median] / n_nets
        moved = factor[step, median] * middle
        for j in range(q):
            distance = factor[step, j] * (row[start + j] / n_nets - middle)
            row[start + j] = moved + distance + factor[horizon + step, j]
        _sort(row, start, q)


@kernel
def restore(
    forecasts: DoubleRows,  # (n, horizon * w), OUT
    quantiles: DoubleRows,  # (n, horizon * q), IN
    places: Doubles,  # (w,) among the q quantiles, with a fraction in between, IN
    steps: DoubleRows,  # (N, columns), IN
    origins: Integers,  # (n,) rows of steps, IN
    linear: Singles,  # (n, horizon) of the linear part, or (0, horizon) if there is none, IN
    options: Integers,  # fields of `Options`, IN
):
    """Make forecasts in the units of the series, at some places between the quantiles."""
    for i in range(len(origins)):
        part = linear[i : i + 1]
        _restore(forecasts[i], quantiles[i], places, steps, origins[i], part, options)


@register_jitable
def _restore(forecast, quantiles, places, steps, o, linear, options):
    """Make the forecast at an origin o."""
    w = len(places)
    q = len(quantiles) // options[OPTIONS.horizon]
    spread = steps[o, STEP.spread]
    for step in range(options[OPTIONS.horizon]):
        phase = step % options[OPTIONS.season]
        base = steps[o + 1 - options[OPTIONS.season] + phase, STEP.filled]
        for k in range(w):
            at = min(int(places[k]), max(0, q - 2))
            share = places[k] - at
            below = quantiles[step * q + at]
            above = quantiles[step * q + min(at + 1, q - 1)]
            value = below * (1.0 - share) + above * share
            if len(linear):
                value += linear[0, step]
            value = value * spread + base
            if options[OPTIONS.kind] == _LOG:
                value = math.exp(value)
            bounded = options[OPTIONS.bounded] != 0
            forecast[step * w + k] = max(value, 0.0) if bounded else value


@kernel
def forecast(
    totals: DoubleRows,  # (1, horizon * q), IN, OUT: as `calibrate` leaves them
    factor: DoubleRows,  # (2 horizon, q) as in `calibrate`, IN
    places: Doubles,  # (w,) as in `restore`, IN
    steps: DoubleRows,  # (N, columns), IN
    linear: Singles,  # (1, horizon) of the linear part, or (0, horizon) if there is none, IN
    options: Integers,  # fields of `Options`, IN
    row: int,  # of the step, IN
    forecasts: DoubleRows,  # (1, horizon * w), OUT
):
    """Make the forecast at one step, as `calibrate` and `restore` do it for many."""
    _calibrate(totals[0], factor, options[OPTIONS.median], options[OPTIONS.n_nets])
    _restore(forecasts[0], totals[0], places, steps, row, linear, options)

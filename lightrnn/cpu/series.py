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
        follow(steps, t, t - first, options)


@register_jitable
def follow(steps, t, age, options):
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
        read_row(inputs[i], steps, origins[i], starts[i], known[i] != 0, table, options)


@register_jitable
def read_row(inputs, steps, o, start, known, table, options):
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
    sums = np.empty(forecasts.shape[1])
    for i in range(len(forecasts)):
        apply_linear(sums, inputs[i], matrix)
        for k in range(len(sums)):
            forecasts[i, k] = sums[k]


@register_jitable
def apply_linear(sums, x, matrix):
    """Compute the linear forecast of some inputs x, with the precision of float32."""
    F = len(matrix) - 1
    horizon = len(sums)
    for k in range(horizon):
        sums[k] = matrix[F, k]
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
        sums[k] = np.float32(sums[k])


@register_jitable
def _sort(rows):
    """Sort each column of some rows (q, horizon), which are few, by exchanging neighbours."""
    for last in range(1, len(rows)):
        for j in range(last, 0, -1):
            low = rows[j - 1]
            high = rows[j]
            for k in range(len(low)):
                a = low[k]
                b = high[k]
                low[k] = b if b < a else a
                high[k] = a if b < a else b


@kernel
def add_quantiles(
    totals: DoubleRows,  # (n, q * horizon), OUT, or IN and OUT
    outputs: Matrix,  # (n, horizon * q) of a network, IN
    q: int,  # quantiles of each step, IN
    number: int,  # of the network: the first one's take the place of what was there, IN
):
    """Add a network's quantiles, in ascending order, to those of others."""
    shape = q, outputs.shape[1] // q
    rows = np.empty(shape)
    for i in range(len(outputs)):
        add_sorted(totals[i].reshape(shape), outputs[i], rows, number)


@register_jitable
def add_sorted(to, outputs, rows, number):
    """Add a network's quantiles to those (q, horizon) of others; `rows` is for them in between."""
    q, horizon = rows.shape
    for j in range(q):
        for step in range(horizon):
            rows[j, step] = outputs[step * q + j]
    _sort(rows)
    for j in range(q):
        for step in range(horizon):
            to[j, step] = rows[j, step] + (to[j, step] if number else 0.0)


@kernel
def calibrate(
    totals: DoubleRows,  # (n, q * horizon), IN, OUT
    factor: DoubleRows,  # (2 q, horizon) as `Fitted.kernel_factor` returns it, IN
    options: Integers,  # fields of `Options`, IN
):
    """Make the mean of networks' quantiles, at their calibrated distance from the median."""
    q = len(factor) // 2
    middle = np.empty(factor.shape[1])
    for i in range(len(totals)):
        calibrate_rows(totals[i].reshape((q, len(middle))), middle, factor, options)


@register_jitable
def calibrate_rows(rows, middle, factor, options):
    """Make the mean of networks' quantiles (q, horizon); `middle` is for the medians."""
    median = options[OPTIONS.median]
    n_nets = float(options[OPTIONS.n_nets])
    q, horizon = rows.shape
    for step in range(horizon):
        middle[step] = rows[median, step] / n_nets
    for j in range(q):
        for step in range(horizon):
            distance = factor[j, step] * (rows[j, step] / n_nets - middle[step])
            moved = factor[median, step] * middle[step]
            rows[j, step] = moved + distance + factor[q + j, step]
    _sort(rows)


@kernel
def restore(
    forecasts: DoubleRows,  # (n, w * horizon), OUT
    quantiles: DoubleRows,  # (n, q * horizon), IN
    places: Doubles,  # (w,) among the q quantiles, with a fraction in between, IN
    steps: DoubleRows,  # (N, columns), IN
    origins: Integers,  # (n,) rows of steps, IN
    linear: Singles,  # (n, horizon) of the linear part, or (n, 0) if there is none, IN
    options: Integers,  # fields of `Options`, IN
):
    """Make forecasts in the units of the series, at some places between the quantiles."""
    horizon = options[OPTIONS.horizon]
    wanted = len(places), horizon
    learned = quantiles.shape[1] // horizon, horizon
    for i in range(len(origins)):
        forecast = forecasts[i].reshape(wanted)
        rows = quantiles[i].reshape(learned)
        restore_rows(forecast, rows, places, steps, origins[i], linear[i], options)


@register_jitable
def restore_rows(forecast, quantiles, places, steps, o, linear, options):
    """Make the forecast (w, horizon) at an origin o of some quantiles (q, horizon)."""
    season = options[OPTIONS.season]
    spread = steps[o, STEP.spread]
    q, horizon = quantiles.shape
    for k in range(len(places)):
        to = forecast[k]
        low = int(places[k])
        below = quantiles[low]
        above = quantiles[min(low + 1, q - 1)]
        share = places[k] - low
        for step in range(horizon):
            # Rounded, too, it is neither above the upper one nor falls as the share grows.
            between = below[step] + share * (above[step] - below[step])
            to[step] = min(between, above[step])
        for step in range(len(linear)):
            to[step] += linear[step]
        row = o + 1 - season
        for step in range(horizon):
            to[step] = to[step] * spread + steps[row, STEP.filled]
            row = row + 1 if row < o else o + 1 - season
        if options[OPTIONS.kind] == _LOG:
            for step in range(horizon):
                to[step] = math.exp(to[step])
        if options[OPTIONS.bounded]:
            for step in range(horizon):
                to[step] = max(to[step], 0.0)

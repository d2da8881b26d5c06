"""One step of a stream of forecasts in one call: what a series, its networks and a forecast need.

A call costs as much as a network's step, and each array among its arguments a twentieth of that. So
the numbers that stay the same are in one vector, and sizes and offsets in another one, the plan. It
begins with the fields of `series.Options`, those of `Plan` follow, then the tables.
"""

from typing import NamedTuple

import numpy as np

from .calls import call_at
from .jit import DoubleRows, Doubles, Integers, Matrix, kernel, register_jitable
from .series import (
    INPUT,
    OPTIONS,
    STEP,
    WIDTH,
    add_sorted,
    apply_linear,
    calibrate_rows,
    follow,
    read_row,
    restore_rows,
)
from .single_step import TAKEN, matrix, part


class Plan(NamedTuple):
    """The fields of the plan that follow those of `series.Options`."""

    advance: int  # address of the kernel that `single_step.advance` has made
    layers: int  # rows of the networks' index
    columns: int  # of the same
    features: int  # F, inputs of the networks
    inputs: int  # those of the linear part, of which the networks' are the first
    linear: int  # 1 if there is a linear part, else 0
    q: int  # quantiles of a step of the horizon
    w: int  # forecasts of it
    X: int  # offset of the inputs in a network's row
    outputs: int  # and of the outputs
    states: int  # number of the parts that are the state of a network
    memory: int  # offset of the states that are kept, one for each step of a season
    kept: int  # size of one of them


PLAN = Plan(*range(len(OPTIONS), len(OPTIONS) + len(Plan._fields)))
_TABLES = len(OPTIONS) + len(Plan._fields)


class Constants(NamedTuple):
    """Numbers that stay the same from step to step, then the arrays that a step computes."""

    mean: np.ndarray  # (n_nets, F) of the inputs
    scale: np.ndarray  # (n_nets, F)
    matrix: np.ndarray  # (inputs + 1, horizon) of the linear part; (1, 0) if there is none
    factor: np.ndarray  # (2 q, horizon), see `series.calibrate`
    places: np.ndarray  # (w,), see `series.restore`
    inputs: np.ndarray  # (inputs,)
    linear: np.ndarray  # (horizon,), or (0,)
    middle: np.ndarray  # (horizon,)
    sorted: np.ndarray  # (q, horizon) of one network
    totals: np.ndarray  # (q, horizon)
    forecast: np.ndarray  # (w, horizon)


@register_jitable
def _constants(numbers, plan):
    """Return views of the numbers, in the order of `Constants`."""
    horizon = plan[OPTIONS.horizon]
    n_nets = plan[OPTIONS.n_nets]
    F = plan[PLAN.features]
    inputs = plan[PLAN.inputs]
    q = plan[PLAN.q]
    w = plan[PLAN.w]
    linear = horizon * plan[PLAN.linear]
    scale = n_nets * F
    A = 2 * scale
    factor = A + (inputs + 1) * linear
    places = factor + 2 * horizon * q
    x = places + w
    y = x + inputs
    middle = y + linear
    row = middle + horizon
    totals = row + horizon * q
    forecast = totals + horizon * q
    return Constants(
        matrix(numbers, 0, n_nets, F),
        matrix(numbers, scale, n_nets, F),
        matrix(numbers, A, inputs + 1, linear),
        matrix(numbers, factor, 2 * q, horizon),
        part(numbers, places, w),
        part(numbers, x, inputs),
        part(numbers, y, linear),
        part(numbers, middle, horizon),
        matrix(numbers, row, q, horizon),
        matrix(numbers, totals, q, horizon),
        matrix(numbers, forecast, w, horizon),
    )


@kernel
def step(
    nets: Matrix,  # (n_nets, N) of each everything that its step touches, IN, OUT
    steps: DoubleRows,  # (N, columns) as in `series.py`, IN, OUT
    numbers: Doubles,  # `Constants`, the forecast last, IN, OUT
    plan: Integers,  # IN
    row: int,  # of the step, IN
    age: int,  # steps since the first one, IN
    value: float,  # NaN where it is missing, IN
):
    """Take a step of a series and forecast those that follow; return what the networks return."""
    constants = _constants(numbers, plan)
    steps[row, STEP.target] = value
    follow(steps, row, age, plan)
    tables = plan[_TABLES:]
    fields = len(INPUT)
    table = matrix(tables, 0, plan[PLAN.inputs], fields)
    read_row(constants.inputs, steps, row, row - age, True, table, plan)
    if plan[PLAN.linear]:
        apply_linear(constants.linear, constants.inputs, constants.matrix)
    tables = tables[plan[PLAN.inputs] * fields :]
    index = matrix(tables, 0, plan[PLAN.layers], plan[PLAN.columns])
    states = matrix(tables, plan[PLAN.layers] * plan[PLAN.columns], plan[PLAN.states], 2)
    season = plan[OPTIONS.season]
    memory = plan[PLAN.memory] + age % season * plan[PLAN.kept]
    for number in range(len(nets)):
        net = nets[number]
        _remember(net, states, memory, age >= season)
        _standardize(net, constants, number, plan)
        result = call_at(plan[PLAN.advance], net, index)
        if result != TAKEN:
            return result
        outputs = part(net, plan[PLAN.outputs], constants.totals.size)
        add_sorted(constants.totals, outputs, constants.sorted, number)
    # Until a season is whole, the run of each forecast begins with it.
    if age >= season - 1:
        for number in range(len(nets)):
            _keep(nets[number], states, memory)
    calibrate_rows(constants.totals, constants.middle, constants.factor, plan)
    restore_rows(
        constants.forecast, constants.totals, constants.places, steps, row, constants.linear, plan
    )
    return TAKEN


@register_jitable
def _standardize(net, constants, number, plan):
    """Write the inputs of a network."""
    X = plan[PLAN.X]
    mean = constants.mean[number]
    scale = constants.scale[number]
    for j in range(len(mean)):
        net[X + j] = (constants.inputs[j] - mean[j]) / scale[j]


@register_jitable
def _remember(net, states, memory, begun):
    """Set the state of a network to a kept one, or to zero before there is one."""
    for i in range(len(states)):
        start = states[i, 0]
        for j in range(states[i, 1]):
            net[start + j] = net[memory + j] if begun else 0.0
        memory += states[i, 1]


@register_jitable
def _keep(net, states, memory):
    """Keep the state of a network."""
    for i in range(len(states)):
        start = states[i, 0]
        for j in range(states[i, 1]):
            net[memory + j] = net[start + j]
        memory += states[i, 1]


@kernel
def write_covariates(
    steps: DoubleRows,  # (N, columns) as in `series.py`, IN, OUT
    rows: DoubleRows,  # (k, C) of this step and those that follow, NaN where one is missing, IN
    moments: DoubleRows,  # (2, C) mean and scale, IN
    row: int,  # of the step, IN
    age: int,  # steps since the first one, IN
):
    """Write scaled covariates beside steps; what is missing stays as it was."""
    C = rows.shape[1]
    for i in range(len(rows)):
        for j in range(C):
            x = rows[i, j]
            if abs(x) < np.inf:
                value = (x - moments[0, j]) / moments[1, j]
            else:
                value = steps[row + i - 1, WIDTH + j] if i + age > 0 else 0.0
            steps[row + i, WIDTH + j] = value
        steps[row + i, WIDTH + C] = 1.0

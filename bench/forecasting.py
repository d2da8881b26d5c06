"""The forecaster on the airline passengers, on simulated series, and on thousands of them."""

import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np

from lightrnn import RNNForecaster
from lightrnn.datasets import load_air_passengers

from .report import Row, Run, Table, verdict

YEAR = 12
DAY = 24
SEEDS = 5
# Fitted to 2,000 series, 90 % intervals of three steps of so many others.
SIMULATED = 10_000
# One network of 4,000 series of 200 steps, and of half as many, in a process of its own.
MANY = """
import sys, time, numpy as np
from bench.child import peak_megabytes
from lightrnn import RNNForecaster
y = np.exp(np.random.default_rng(0).normal(size=(int(sys.argv[1]), 200)).cumsum(axis=1) / 9)
start = time.process_time()
RNNForecaster(12, 12, max_iter=int(sys.argv[2]), random_state=0, n_jobs=1).fit(y).predict()
print(peak_megabytes(), time.process_time() - start)
"""


def airline(seeds: int) -> float:
    """Return the mean absolute error of the last year, the mean of some seeds."""
    _, y = load_air_passengers()
    forecasts = [
        RNNForecaster(YEAR, YEAR, random_state=seed).fit(y[:-YEAR]).predict()
        for seed in range(seeds)
    ]
    return float(np.abs(np.array(forecasts) - y[-YEAR:]).mean())


def autoregressive(rng: np.random.Generator, n: int, steps: int = 40) -> np.ndarray:
    """Return series, each at a level and of a scale of its own."""
    z = np.zeros((n, steps))
    for step in range(1, steps):
        z[:, step] = 0.7 * z[:, step - 1] + rng.normal(size=n)
    return 5 * rng.normal(size=(n, 1)) + rng.lognormal(size=(n, 1)) * z


def coverage(count: int) -> np.ndarray:
    """Return the part of values within 90 % intervals by step of the horizon, (3,)."""
    rng = np.random.default_rng(0)
    model = RNNForecaster(
        3, quantiles=(0.05, 0.5, 0.95), hidden_layer_sizes=16, max_iter=20, random_state=0
    )
    model.fit(autoregressive(rng, 2000))
    fresh = autoregressive(rng, count)
    found = model.predict(fresh[:, :-3], level=90)
    low, high = found["lightrnn-lo-90"], found["lightrnn-hi-90"]
    inside = (low <= fresh[:, -3:]) & (fresh[:, -3:] <= high)
    covered: np.ndarray = inside.mean(axis=0)
    return covered


def stream_step(turns: int) -> float:
    """Return microseconds of a stream's step, the least of some turns of 200 steps."""
    rng = np.random.default_rng(0)
    y = 50 + 8 * np.sin(2 * np.pi * np.arange(2000) / DAY) + rng.normal(size=2000)
    model = RNNForecaster(
        2 * DAY, DAY, cell="gru", hidden_layer_sizes=64, max_iter=1, random_state=0
    )
    stream = model.fit(y).stream(y)
    values = y[:200].tolist()
    times = []
    for _ in range(turns):
        start = time.perf_counter()
        for value in values:
            stream.step(value)
        times.append((time.perf_counter() - start) / len(values))
    return 1e6 * min(times)


def many(count: int, epochs: int) -> tuple[float, float]:
    """Return megabytes and seconds of CPU of a fit to so many series."""
    command = [sys.executable, "-c", MANY, str(count), str(epochs)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    megabytes, seconds = map(float, run.stdout.split())
    return megabytes, seconds


def _rows(run: Run) -> Iterator[Row]:
    error = airline(1 if run.quick else SEEDS)
    yield "airline, MAE", f"{error:.1f}", *verdict(error, 12.0, at_most=True)
    covered = coverage(SIMULATED // 10 if run.quick else SIMULATED)
    shown = " ".join(f"{part:.3f}" for part in covered)
    reached = "yes" if (np.abs(covered - 0.9) <= 0.02).all() else "NO"
    yield "coverage of 90 %", shown, "0.88 to 0.92", reached
    step = stream_step(10 if run.quick else 100)
    yield "stream step, us", f"{step:.1f}", *verdict(step, 10.0, at_most=True)
    epochs = 1 if run.quick else 10
    many(10, 1)  # for the compiler
    (_, half), (megabytes, seconds) = many(2000, epochs), many(4000, epochs)
    yield "4,000 series, MB", f"{megabytes:.0f}", *verdict(megabytes, 1000.0, at_most=True)
    ratio = seconds / half
    yield "time of twice as many", f"{ratio:.2f}", *verdict(ratio, 2.2, at_most=True)


FORECASTING = Table(
    "forecasting",
    "Forecasts: `RNNForecaster`",
    ("measure", "lightrnn", "bar", "reached"),
    _rows,
    f"The mean absolute error of the last twelve months of the airline passengers by default, the "
    f"mean of {SEEDS} seeds (ridge regression on 24 lags has 11.0, the year before 47.8). 90 % "
    f"intervals of three steps ahead of {SIMULATED:,} simulated series, by step, after a fit to "
    "2,000 others. A step of a stream, GRU 64, horizon 48, in microseconds: the least of 100 "
    "turns. The peak memory of a process that fits one network to 4,000 series of 200 steps "
    "in ten epochs, and how much more CPU time it takes than one of 2,000.",
)

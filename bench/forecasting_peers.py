"""Forecast the hourly series of M4 by lightrnn and by neuralforecast, in turns.

    python -m bench.forecasting_peers --data FOLDER --python PYTHON [--write]

PYTHON is the interpreter of an environment that has neuralforecast, and FOLDER holds the files
Hourly-train.csv.gz and Hourly-test.csv.gz of the competition.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lightrnn import RNNForecaster

from .machine import describe
from .neuralforecast_child import series
from .report import Row, Run, Table, write

HORIZON = 48
SEASON = 24
# MASE and sMAPE of the competition's benchmark, Naive 2.
NAIVE_2 = 2.395, 18.383
SEEDS = (0, 1, 2)


def measures(folder: str, forecasts: np.ndarray) -> tuple[float, float, float]:
    """Return MASE, sMAPE and OWA of forecasts (414, 48)."""
    mase = []
    smape = []
    for y, truth, forecast in zip(
        map(np.array, series(folder, "train")),
        map(np.array, series(folder, "test")),
        forecasts,
        strict=True,
    ):
        error = np.abs(truth - forecast)
        mase.append(error.mean() / np.abs(y[SEASON:] - y[:-SEASON]).mean())
        smape.append(200 * np.mean(error / (np.abs(truth) + np.abs(forecast))))
    found = float(np.mean(mase)), float(np.mean(smape))
    return *found, (found[0] / NAIVE_2[0] + found[1] / NAIVE_2[1]) / 2


def ours(folder: str, seed: int) -> dict[str, Any]:
    """Fit one net and forecast."""
    y = [np.array(values) for values in series(folder, "train")]
    start = time.perf_counter()
    model = RNNForecaster(HORIZON, SEASON, random_state=seed).fit(y)
    fitted = time.perf_counter()
    forecasts = model.predict()
    return {"fit": fitted - start, "predict": time.perf_counter() - fitted, "forecasts": forecasts}


def theirs(python: str, folder: str, model: str) -> dict[str, Any]:
    """Fit one of neuralforecast's models with its defaults, and forecast."""
    script = Path(__file__).with_name("neuralforecast_child.py")
    run = subprocess.run(
        [python, "-P", str(script), model, folder], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def rows(run: Run, folder: str, python: str) -> Iterator[Row]:
    """Yield a row for each fit, lightrnn's before, between and behind the others."""
    # Once for the compiler.
    RNNForecaster(HORIZON, SEASON, max_iter=1).fit(series(folder, "train")[:2]).predict()
    seconds = []
    worst = 0.0
    for seed, model in zip(SEEDS, ("LSTM", "GRU", None), strict=True):
        fits = [(f"lightrnn, seed {seed}", ours(folder, seed))]
        if model:
            fits.append((f"neuralforecast {model}", theirs(python, folder, model)))
        for name, found in fits:
            figures = measures(folder, np.array(found["forecasts"]))
            times = found["fit"], found["predict"]
            verdict: Row = ("", "")
            if name.startswith("lightrnn"):
                seconds.append(times[0])
                worst = max(worst, figures[2])
            else:
                better = figures[2] > worst and times[0] >= 10 * np.median(seconds)
                verdict = (f"{times[0] / np.median(seconds):.1f}", "yes" if better else "NO")
            cells = [f"{figure:.3f}" for figure in figures]
            yield name, *cells, f"{times[0]:.1f}", f"{times[1]:.2f}", *verdict


def main() -> None:
    """Measure, print, and with --write put the table into README.md."""
    parser = argparse.ArgumentParser("python -m bench.forecasting_peers", description=__doc__)
    parser.add_argument("--data", required=True, help="folder of M4's files")
    parser.add_argument("--python", required=True, help="interpreter with neuralforecast")
    parser.add_argument("--write", action="store_true", help="write the table into README.md")
    arguments = parser.parse_args()
    table = Table(
        "forecasting_peers",
        "The 414 hourly series of M4, 48 hours ahead: lightrnn and neuralforecast in turns",
        ("fit", "MASE", "sMAPE", "OWA", "seconds of fit", "of predict", "times ours", "reached"),
        partial(rows, folder=arguments.data, python=arguments.python),
        "One net each. lightrnn: `RNNForecaster(48, 24)`, five "
        "quantiles, with calibrated intervals. neuralforecast: the models' defaults, 1,000 steps, "
        "the median alone. Both use all CPUs. The bar is that lightrnn is more accurate, by OWA, "
        "and ten times faster, which is by fit; imports and compilation are not counted.",
    )
    text, _ = table.measure(Run(quick=False))
    text = f"{text}\nMeasured on: {describe()}"
    print(text)
    if arguments.write:
        write(table.name, text)


if __name__ == "__main__":
    main()

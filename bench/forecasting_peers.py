"""Forecast the hourly series of M4 by lightrnn and by neuralforecast, in turns.

    python -m bench.forecasting_peers --data FOLDER --python PYTHON [--write]

PYTHON is the interpreter of an environment that has neuralforecast, and FOLDER holds the files
Hourly-train.csv.gz and Hourly-test.csv.gz of the competition.
"""

import argparse
import json
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .m4 import errors, load, timed
from .machine import describe
from .report import Row, Run, Table, write

SEEDS = (0, 1, 2)


def theirs(python: str, folder: str, model: str) -> tuple[Any, float, float]:
    """Fit one of neuralforecast's models with its defaults, and forecast: see `timed`."""
    script = Path(__file__).with_name("neuralforecast_child.py")
    run = subprocess.run(
        [python, "-P", str(script), model, folder], capture_output=True, text=True, check=True
    )
    found = json.loads(run.stdout.splitlines()[-1])
    return found["forecasts"], found["fit"], found["predict"]


def rows(run: Run, folder: str, python: str) -> Iterator[Row]:
    """Yield a row for each fit, lightrnn's before, between and behind the others."""
    train, truth = load(folder)
    seconds = []
    worst = 0.0
    for seed, model in zip(SEEDS, ("LSTM", "GRU", None), strict=True):
        fits = [(f"lightrnn, seed {seed}", timed(train, seed))]
        if model:
            fits.append((f"neuralforecast {model}", theirs(python, folder, model)))
        for name, (forecasts, fit, predict) in fits:
            figures = errors(train, truth, np.array(forecasts))
            verdict: Row = ("", "")
            if name.startswith("lightrnn"):
                seconds.append(fit)
                worst = max(worst, figures[2])
            else:
                better = figures[2] > worst and fit >= 10 * np.median(seconds)
                verdict = (f"{fit / np.median(seconds):.1f}", "yes" if better else "NO")
            cells = [f"{figure:.3f}" for figure in figures]
            yield name, *cells, f"{fit:.1f}", f"{predict:.2f}", *verdict


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

"""Fit one of neuralforecast's models to the hourly series of M4; print seconds and forecasts.

    python -P neuralforecast_child.py MODEL FOLDER

It is run by the Python of an environment of its own, in which lightrnn need not be.
"""

import csv
import gzip
import json
import logging
import sys
import time
import warnings
from pathlib import Path


def series(folder: str, part: str) -> list[list[float]]:
    """Return the series of M4's files, "train" or "test"."""
    with gzip.open(Path(folder) / f"Hourly-{part}.csv.gz", "rt") as file:
        _, *rows = csv.reader(file)
    return [[float(cell) for cell in row[1:] if cell] for row in rows]


def main(model: str, folder: str) -> None:
    """Fit the model with its defaults and forecast 48 hours."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    import pandas
    from neuralforecast import NeuralForecast, models

    parts = [
        pandas.DataFrame({"unique_id": number, "ds": range(len(y)), "y": y})
        for number, y in enumerate(series(folder, "train"))
    ]
    frame = pandas.concat(parts)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    forecaster = NeuralForecast([getattr(models, model)(h=48, **quiet)], freq=1)
    start = time.perf_counter()
    forecaster.fit(frame)
    fitted = time.perf_counter()
    found = forecaster.predict().sort_values(["unique_id", "ds"])[model]
    seconds = fitted - start, time.perf_counter() - fitted
    forecasts = found.to_numpy().reshape(-1, 48).round(4).tolist()
    print(json.dumps({"fit": seconds[0], "predict": seconds[1], "forecasts": forecasts}))


if __name__ == "__main__":
    main(*sys.argv[1:])

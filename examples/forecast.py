"""A cycle of sunspots ahead: RNNForecaster, a linear autoregression, and the cycle before.

The sun's activity rises and falls in cycles of nine to fourteen years, so there is no season. This
was seen on the test years, too: with season=11 forecasts were hardly better than the cycle before.
Models are trained on the years to 1920. From each year after that the next eleven are forecast,
which a linear autoregression of nine years does by feeding its forecasts back. The table has the
mean absolute error by years ahead; 220 years are few to learn from, so the linear model is hard to
beat. Of the forecaster's intervals it has the share of years that fell inside. The last cycle is
drawn if matplotlib is installed.
"""

import time
from pathlib import Path

import numpy as np

from lightrnn import RNNForecaster
from lightrnn.datasets import load_sunspots

CYCLE = 11
ORDER = 9
PICTURE = Path(__file__).parent / "pictures" / "forecast.png"


def autoregression(train: np.ndarray, past: np.ndarray) -> np.ndarray:
    """Return forecasts of the next cycle behind each past (n, ORDER), by least squares."""
    windows = np.lib.stride_tricks.sliding_window_view(train, ORDER + 1)
    ones = np.ones((len(windows), 1))
    coefficients = np.linalg.lstsq(np.hstack([ones, windows[:, :-1]]), windows[:, -1])[0]
    for _ in range(CYCLE):
        following = coefficients[0] + past[:, -ORDER:] @ coefficients[1:]
        past = np.column_stack([past, following])
    return past[:, ORDER:]


def draw(model: RNNForecaster, years: np.ndarray, numbers: np.ndarray) -> None:
    """Draw the forecast of the last cycle from the years before it."""
    try:
        from lightrnn.plotting import ForecastDisplay

        display = ForecastDisplay.from_estimator(
            model, numbers[:-CYCLE], truth=numbers[-CYCLE:], n_history=6 * CYCLE
        )
    except ImportError:
        print("Without matplotlib there is no picture: python -m pip install '.[plot]'")
        return
    first = int(years[0])
    display.ax_.xaxis.set_major_formatter(lambda step, _: f"{first + step:.0f}")
    display.ax_.set(xlabel="year", ylabel="sunspot number")
    display.figure_.savefig(PICTURE)
    print(f"\nThe forecast of the last cycle is drawn in {PICTURE.name}.")


def main() -> None:
    """Forecast by each model and print the errors."""
    start = time.perf_counter()
    years, numbers = load_sunspots()
    train = numbers[years <= 1920]
    ends = range(len(train), len(numbers) - CYCLE + 1)
    pasts = [numbers[:end] for end in ends]
    truth = np.array([numbers[end : end + CYCLE] for end in ends])

    model = RNNForecaster(CYCLE, n_nets=3, random_state=0).fit(train)
    found = model.predict(pasts, level=(80, 95))
    forecasts = {
        "the cycle before": np.array([past[-CYCLE:] for past in pasts]),
        f"linear AR({ORDER})": autoregression(train, np.array([past[-ORDER:] for past in pasts])),
        "RNNForecaster": found["lightrnn"],
    }

    print(f"Sunspots from {len(ends)} years on, trained on {len(train)} years to 1920.\n")
    print(f"{'mean absolute error':<20}{'1 year':>10}{'5 years':>10}{'11 years':>10}{'all':>10}")
    errors = {name: np.abs(forecast - truth) for name, forecast in forecasts.items()}
    for name, error in errors.items():
        means = [*(error[:, step - 1].mean() for step in (1, 5, 11)), error.mean()]
        print(f"{name:<20}" + "".join(f"{mean:>10.1f}" for mean in means))
    print()
    for level in (80, 95):
        low, high = (found[f"lightrnn-{end}-{level}"] for end in ("lo", "hi"))
        inside = ((low <= truth) & (truth <= high)).mean()
        print(f"{level} % intervals hold {inside:.0%} of the years.")
    draw(model, years, numbers)

    means = {name: error.mean() for name, error in errors.items()}
    ratio = means["RNNForecaster"] / means[f"linear AR({ORDER})"] - 1
    gain = 1 - means["RNNForecaster"] / means["the cycle before"]
    than = "more" if ratio > 0 else "less"
    print(
        f"\nThe forecaster is off by {gain:.0%} less than the cycle before, and by {abs(ratio):.0%}"
    )
    print(f"{than} than the linear model: one series of 220 steps is little for a network.")
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()

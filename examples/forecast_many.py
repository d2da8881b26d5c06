"""A hundred shops, one network: daily sales with promotions that are known ahead.

Each shop has sales of its own size, a week of its own shape, and promotions on days that are known
in advance. One network learns from all of them. The data are one long DataFrame, a row for each
shop and day, with columns named as in Nixtla's libraries: unique_id, ds, y; all others are
covariates. The last two weeks are forecast, and compared with the week before, repeated. Needs
pandas.
"""

import time

import numpy as np
import pandas as pd

from lightrnn import RNNForecaster

SHOPS = 100
DAYS = 200
HORIZON = 14
WEEK = 7


def sales(rng: np.random.Generator) -> pd.DataFrame:
    """Return the sales of all shops, a row for each shop and day."""
    dates = pd.date_range("2025-01-06", periods=DAYS, freq="D")
    shops = []
    for shop in range(SHOPS):
        week = rng.gamma(8.0, 1 / 8, WEEK)[np.arange(DAYS) % WEEK]
        promotion = rng.random(DAYS) < 0.1
        level = np.exp(rng.normal(4, 1) + np.cumsum(0.02 * rng.normal(size=DAYS)))
        mean = level * week * np.where(promotion, 1.8, 1.0)
        y = mean * rng.lognormal(sigma=0.1, size=DAYS)
        shops.append(
            pd.DataFrame({"unique_id": f"shop {shop}", "ds": dates, "y": y, "promotion": promotion})
        )
    return pd.concat(shops, ignore_index=True)


def mase(forecast: np.ndarray, truth: np.ndarray, past: np.ndarray) -> float:
    """Return the mean error in units of that of the week before, in the past."""
    naive = np.abs(past[:, WEEK:] - past[:, :-WEEK]).mean(axis=1, keepdims=True)
    return float(np.mean(np.abs(forecast - truth) / naive))


def main() -> None:
    """Fit with and without the promotions, and print the errors."""
    start = time.perf_counter()
    frame = sales(np.random.default_rng(0))
    last = frame.ds.max() - pd.Timedelta(days=HORIZON)
    train = frame[frame.ds <= last]
    ahead = frame[frame.ds > last].drop(columns="y")
    table = frame.pivot(index="unique_id", columns="ds", values="y").loc[frame.unique_id.unique()]
    past, truth = table.to_numpy()[:, :-HORIZON], table.to_numpy()[:, -HORIZON:]

    options = {"horizon": HORIZON, "season": WEEK, "max_iter": 40, "random_state": 0}
    without = RNNForecaster(**options).fit(train.drop(columns="promotion"))
    model = RNNForecaster(**options).fit(train)
    found = model.predict(X=ahead, level=80)
    print(found.head(3).to_string(index=False, float_format="{:.1f}".format), "\n")

    forecasts = {
        "the week before": np.tile(past[:, -WEEK:], HORIZON // WEEK),
        "without promotions": without.predict()["lightrnn"].to_numpy().reshape(truth.shape),
        "with promotions": found["lightrnn"].to_numpy().reshape(truth.shape),
    }
    print(f"{SHOPS} shops, {HORIZON} days ahead{'MASE':>12}")
    errors = {name: mase(forecast, truth, past) for name, forecast in forecasts.items()}
    for name, error in errors.items():
        print(f"{name:<27}{error:>12.2f}")
    low, high = (found[f"lightrnn-{end}-80"].to_numpy() for end in ("lo", "hi"))
    inside = ((low <= truth.ravel()) & (truth.ravel() <= high)).mean()
    gain = 1 - errors["with promotions"] / errors["the week before"]
    print(f"\nOne network of all shops, which knows the promotions, is off by {gain:.0%} less than")
    print(f"the week before; its 80 % intervals hold {inside:.0%} of the days.")
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()

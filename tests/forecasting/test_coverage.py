"""The law of intervals: on series that the fit's are exchangeable with, 90 % cover 90 %."""

import numpy as np
import pytest

from lightrnn import RNNForecaster


def series(rng, n, T=40):
    """Return autoregressive series, each at a level and of a scale of its own."""
    z = np.zeros((n, T))
    for step in range(1, T):
        z[:, step] = 0.7 * z[:, step - 1] + rng.normal(size=n)
    return 5 * rng.normal(size=(n, 1)) + rng.lognormal(size=(n, 1)) * z


@pytest.mark.slow
def test_intervals_cover_what_they_say_at_every_step():
    rng = np.random.default_rng(0)
    model = RNNForecaster(
        3, quantiles=(0.05, 0.5, 0.95), hidden_layer_sizes=16, max_iter=20, random_state=0
    )
    model.fit(list(series(rng, 2000)))
    fresh = series(rng, 3400)
    found = model.predict(list(fresh[:, :-3]), level=90)
    truth = fresh[:, -3:]
    inside = (found["lightrnn-lo-90"] <= truth) & (truth <= found["lightrnn-hi-90"])
    assert (0.88 < inside.mean(axis=0)).all() and (inside.mean(axis=0) < 0.92).all()

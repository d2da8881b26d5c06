"""A forecaster learns on the GPU what it learns on the CPU, missing targets included."""

import numpy as np

from lightrnn import RNNForecaster


def test_a_fit_on_the_gpu_is_that_on_the_cpu(gpu):
    y = np.sin(np.arange(16.0)) + 3
    y[9] = np.nan
    options = {"hidden_layer_sizes": 3, "max_iter": 2, "random_state": 0, "dtype": "float64"}
    fits = [RNNForecaster(2, 3, device=d, **options).fit(y) for d in ("cpu", "cuda")]
    assert np.allclose(*[fit.predict(level=80)["lightrnn-hi-80"] for fit in fits], atol=1e-8)
    assert np.allclose(*[fit.nets_[0].loss_curve_ for fit in fits])

"""Train on a dask cluster: `Client()` starts one on this machine, an address names another.

Run: pip install ".[dask]" in a clone, then python examples/dask_fit.py
"""

import dask.array as da
import numpy as np
from distributed import Client

from lightrnn.distributed import DaskRNNClassifier


def main():
    """Fit, predict, and take the estimator home."""
    rng = da.random.default_rng(0)
    X = rng.normal(size=(2000, 30, 2), chunks=(250, 30, 2)).astype("float32")  # 8 partitions
    y = X[:, :, 0].sum(axis=1) > 0
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=":0"):
        model = DaskRNNClassifier("gru", (16,), max_iter=3, batch_size=64, random_state=0)
        model.fit(X, y)
        predicted = model.predict(X)  # lazily, partition by partition
        print(f"accuracy {float((predicted == y).mean()):.3f} on what it learned from")
    local = model.to_local()  # saves, streams and exports as ever
    print(local, local.predict(np.ones((1, 30, 2))))


if __name__ == "__main__":  # workers are processes that import this file
    main()

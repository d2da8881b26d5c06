"""One fit in a process of its own, whose seconds and peak memory are printed as JSON.

    python -m bench.child SIDE CELL (vowels | large | words)
    python -m bench.child SIDE CELL saved FILE

SIDE is lightrnn, torch or numpy. The second form loads a saved estimator and predicts; its torch
side only imports torch.

This module imports only NumPy at first, so that the imports it times find no module already loaded.
"""

import json
import sys
import time
import warnings

import numpy as np


def main(side: str, cell: str, data: str, path: str = "") -> None:
    """Import one side, fit it for an epoch, and print the seconds and the memory that it took."""
    if data == "saved":
        print(json.dumps(load_and_predict(path) if side == "lightrnn" else import_torch()))
        return
    warnings.filterwarnings("ignore", message="Maximum iterations")  # one epoch is intended
    fits = {"numpy": only_numpy, "lightrnn": lightrnn_fit, "torch": torch_fit}
    if data == "words":
        fits |= {"lightrnn": lightrnn_words, "torch": torch_words}
    figures = fits[side](cell, data)
    print(json.dumps(figures | {"peak": peak_megabytes()}))


def lightrnn_fit(cell: str, data: str) -> dict[str, float]:
    """Fit the estimator; return the seconds of the import and of the fit."""
    start = time.perf_counter()
    from lightrnn import RNNClassifier

    imported = time.perf_counter() - start
    X, y, units = load(data)
    start = time.perf_counter()
    model = RNNClassifier(cell, (units,), patch=1, batch_size=32, max_iter=1, random_state=0)
    model.fit(X, y)
    return {"import": imported, "fit": time.perf_counter() - start}


def load_and_predict(path: str) -> dict[str, float]:
    """Load an estimator from its file and predict one sequence."""
    start = time.perf_counter()
    import lightrnn

    model = lightrnn.load(path)
    model.predict([np.zeros((20, model.n_features_in_))])
    return {"fit": time.perf_counter() - start}


def import_torch() -> dict[str, float]:
    """Import torch and do nothing."""
    start = time.perf_counter()
    import torch

    return {"fit": time.perf_counter() - start, "threads": torch.get_num_threads()}


def torch_fit(cell: str, data: str) -> dict[str, float]:
    """Run the loop of PyTorch, which always has an LSTM."""
    start = time.perf_counter()
    from . import pytorch

    imported = time.perf_counter() - start
    X, y, units = load(data)
    start = time.perf_counter()
    pytorch.fit(X, y, units, 1)
    return {"import": imported, "fit": time.perf_counter() - start}


def lightrnn_words(cell: str, data: str) -> dict[str, float]:
    """Fit a language model with a vocabulary of 10,000 words."""
    from .corpora import MODELS
    from .text import Training

    training = Training(*MODELS["words, LSTM 200 x 2"][:5], threads=1)
    for _ in range(20):
        training.step()
    return {}


def torch_words(cell: str, data: str) -> dict[str, float]:
    """Train the same language model with PyTorch."""
    from .corpora import MODELS
    from .pytorch import language_step

    step = language_step(*MODELS["words, LSTM 200 x 2"][:5])
    for _ in range(20):
        step()
    return {}


def only_numpy(cell: str, data: str) -> dict[str, float]:
    """Load the data and do nothing."""
    if data != "words":
        load(data)
    return {}


def load(data: str) -> tuple[list[np.ndarray], np.ndarray, int]:
    """Return sequences, classes, and the number of hidden units to use with them."""
    if data == "vowels":
        from lightrnn.datasets import load_japanese_vowels

        X, y = load_japanese_vowels("train")
        return list(X), np.unique(y, return_inverse=True)[1].astype(np.int64), 64
    rng = np.random.default_rng(0)
    X = rng.standard_normal((640, 100, 128), dtype=np.float32)  # (n, T, F)
    return list(X), rng.integers(0, 9, 640), 256


def peak_megabytes() -> float:
    """Return the peak memory of this process.

    On Linux a child inherits the `ru_maxrss` of its parent, so the high-water mark is read instead.
    """
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # macOS counts bytes, other systems KiB.
        return peak / 2**20 if sys.platform == "darwin" else peak / 1024


if __name__ == "__main__":
    main(*sys.argv[1:])

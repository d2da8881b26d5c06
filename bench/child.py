"""One fit in a process of its own: its seconds and its peak memory, printed as JSON.

    python -m bench.child (lightrnn | torch | numpy) (lstm | gru | rnn | ffnn) (vowels | large | words)
    python -m bench.child (lightrnn | torch) (lstm | gru | rnn | ffnn) saved file

The second loads a saved estimator and predicts, beside the import of torch alone; its seconds are those of the process.

It imports nothing at first but NumPy, so that an import that is timed finds no module loaded by the bench.
"""

import json
import sys
import time
import warnings

import numpy as np


def main(side: str, cell: str, data: str, path: str = "") -> None:
    """Import one side, fit it for an epoch, print what that took."""
    if data == "saved":
        print(json.dumps(load_and_predict(path) if side == "lightrnn" else import_torch()))
        return
    warnings.filterwarnings(
        "ignore", message="Maximum iterations"
    )  # one epoch is what is asked for
    fits = {"lightrnn": lightrnn_words, "torch": torch_words} if data == "words" else {}
    figures = ({"numpy": only_numpy, "lightrnn": lightrnn_fit, "torch": torch_fit} | fits)[side](
        cell, data
    )
    print(json.dumps(figures | {"peak": peak_megabytes()}))


def lightrnn_fit(cell: str, data: str) -> dict[str, float]:
    """Fit the estimator."""
    start = time.perf_counter()
    from lightrnn import RNNClassifier

    imported = time.perf_counter() - start
    X, y, units = load(data)
    start = time.perf_counter()
    RNNClassifier(cell, (units,), max_iter=1, random_state=0).fit(X, y)
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
    """Run the torch loop, which has an LSTM."""
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
    """Run the same torch loop."""
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
    """Return sequences, classes and the units that suit them."""
    if data == "vowels":
        from lightrnn.datasets import load_japanese_vowels

        X, y = load_japanese_vowels("train")
        return list(X), np.unique(y, return_inverse=True)[1].astype(np.int64), 64
    rng = np.random.default_rng(0)
    return (
        list(rng.standard_normal((640, 100, 128), dtype=np.float32)),
        rng.integers(0, 9, 640),
        256,
    )


def peak_megabytes() -> float:
    """Return the most memory this process has held.

    Linux hands a child the `ru_maxrss` of the process that started it, so its own high-water mark is read there.
    """
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 2**20 if sys.platform == "darwin" else peak / 1024


if __name__ == "__main__":
    main(*sys.argv[1:])

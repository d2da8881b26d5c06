"""A network trained by PyTorch, deployed where PyTorch is not installed.

`data/vowels_gru.safetensors` holds the weights of a bidirectional nn.GRU with an nn.Linear, which
recognises nine speakers by their vowels (`data/train_with_torch.py` trained it). `from_torch` turns
the file into a fitted `RNNClassifier`. No layer is declared again, since the weights show which
there are. PyTorch's predictions for the test utterances are stored with the weights, and `check`
compares them: weights do not show all that a network computes. The table shows the largest
difference. The network was trained on standardised frames, so a
`SequenceScaler` prepares X here as it did there; a converted network takes X as it is.

The estimator is like any other: it can be saved in this package's format and trained further, which
here means three more epochs on the training utterances.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import lightrnn
from lightrnn import RNNClassifier
from lightrnn.datasets import load_japanese_vowels
from lightrnn.preprocessing import SequenceScaler

DATA = Path(__file__).resolve().parent / "data"
WEIGHTS = DATA / "vowels_gru.safetensors"


def main() -> None:
    """Convert, predict, compare with PyTorch's predictions, save and load, and train further."""
    X, y = load_japanese_vowels("train")
    X_test, y_test = load_japanese_vowels("test")
    scaler = SequenceScaler().fit(X)
    X = scaler.transform(X)
    X_test = scaler.transform(X_test)

    with np.load(DATA / "vowels_gru.npz") as file:
        expected = file["probabilities"]
    settings = RNNClassifier(learning_rate_init=3e-4, dropout=0.5, random_state=0)
    check = X_test, expected
    model = lightrnn.from_torch(WEIGHTS, settings, classes=range(1, 10), check=check)
    print(f"{WEIGHTS.name}, {WEIGHTS.stat().st_size:,} bytes, is {model}\n")

    start = time.perf_counter()
    probabilities = model.predict_proba(X_test)
    predicted = time.perf_counter() - start
    difference = abs(probabilities - expected).max()

    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "speakers.npz")
        kept = lightrnn.load(Path(folder) / "speakers.npz")
    learned = lightrnn.from_torch(model.to_torch(), settings, classes=model.classes_, read="final")
    for _ in range(3):
        learned.partial_fit(X, y)

    rows = {
        "accuracy on 370 test utterances": f"{model.score(X_test, y_test):.1%}",
        "largest difference from PyTorch": f"{difference:.1e}",
        "ms to predict 370 utterances": f"{1e3 * predicted:.1f}",
        "the same after save and load": str(
            np.array_equal(kept.predict_proba(X_test), probabilities)
        ),
        "accuracy after three more epochs": f"{learned.score(X_test, y_test):.1%}",
        "torch was imported": str("torch" in sys.modules),
    }
    for name, value in rows.items():
        print(f"{name:<38}{value:>10}")
    print(
        "\nThe predictions are PyTorch's up to rounding, and no framework was loaded to make them."
    )
    assert difference < 1e-5


if __name__ == "__main__":
    main()

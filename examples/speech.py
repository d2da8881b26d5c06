"""Who is speaking? Four cells on real speech: accuracy, parameters, seconds.

Nine men say the vowels /ae/, in 7 to 29 frames of 12 numbers each; 270 utterances are for training,
370 others for the test (the official split). The sequences go in as they are, of unequal length.
Each line of the table is one value of `cell`; all else is the same. `ffnn` sees the last 20 frames,
so it has many weights; the recurrent cells read frame by frame and remember.

Seconds are those of `fit` once the cell is compiled. The last column shows the first fit, which
compiles each cell on its first run on a machine; later runs find the machine code in the cache.
"""

import time

import numpy as np

from lightrnn import RNNClassifier
from lightrnn.comparison.baselines import SummaryLinear
from lightrnn.datasets import load_japanese_vowels


def timed_fit(model: RNNClassifier, X: list[np.ndarray], y: np.ndarray) -> float:
    """Fit a model; return the seconds it took."""
    start = time.perf_counter()
    model.fit(X, y)
    return time.perf_counter() - start


def main() -> None:
    """Fit each cell on the training utterances and print its accuracy on the test utterances."""
    X_train, y_train = load_japanese_vowels("train")
    X_test, y_test = load_japanese_vowels("test")

    print(f"{len(X_train)} training utterances, {len(X_test)} test utterances; 1 in 9 is chance.\n")
    print(f"{'cell':<6}{'accuracy':>10}{'parameters':>12}{'fit s':>8}{'compile s':>11}")
    scores = {}
    for cell in ("ffnn", "rnn", "gru", "lstm"):
        model = RNNClassifier(cell, max_iter=1, dropout=0.5, random_state=0)
        first = timed_fit(model, X_train, y_train)
        seconds = timed_fit(model.set_params(max_iter=60), X_train, y_train)
        accuracy = model.score(X_test, y_test)
        print(f"{cell:<6}{accuracy:>10.1%}{model.n_parameters_:>12,}{seconds:>8.2f}{first:>11.2f}")
        scores[cell] = accuracy
    linear = SummaryLinear().fit(X_train, y_train)
    baseline = float(np.mean(linear.predict(X_test) == y_test))
    print(f"{'none':<6}{baseline:>10.1%}{linear.n_parameters_:>12,}")

    best = max(scores, key=lambda cell: scores[cell])
    print("\nThe last line is a linear model on mean, deviation, range and ends of each feature.")
    if baseline >= scores[best]:
        print(
            f"Memory buys nothing here: the best net, {best}, has {scores[best]:.1%}, the linear\n"
            f"model {baseline:.1%}. A vowel of 29 frames is its mean sound, and order adds little."
        )
    else:
        print(f"The best net, {best}, is right for {scores[best] - baseline:.1%} more utterances.")
    print("memory.py has a task that needs a memory.")


if __name__ == "__main__":
    main()

"""Which way does it move? Frames in, as they come from a camera: an array (films, steps, height, width).

Each film shows a shape moving over a wrapping picture. A single frame says nothing about the direction, so a net that
sees one frame (`ffnn` with `window=1`) must guess. Two frames would do but for the noise, which makes it worth looking
longer. The estimators flatten each frame themselves.
"""

import time
from typing import Any

import numpy as np

from lightrnn import RNNClassifier
from lightrnn.datasets import make_frames

NOISE = 0.5


def show(film: np.ndarray) -> None:
    """Print the first frames of a film side by side."""
    for rows in zip(*film, strict=True):
        print(
            "   ".join(
                "".join(" .:-=+*#"[int(min(max(pixel, 0), 1) * 7)] * 2 for pixel in row)
                for row in rows
            )
        )


def main() -> None:
    """Train each cell on short films and print how often it names the direction of new ones."""
    X_train, y_train = make_frames(4000, noise=NOISE, random_state=0)
    X_test, y_test = make_frames(1000, noise=NOISE, random_state=1)
    n_films, n_frames, height, width = X_train.shape
    print(
        f"{n_films} films of {n_frames} frames, {height} x {width} pixels. One that goes {y_train[0]}:\n"
    )
    show(X_train[0, :4])

    print(f"\n{'net':<16}{'sees':>12}{'accuracy':>10}{'parameters':>12}{'fit s':>8}")
    nets: dict[str, tuple[str, dict[str, Any]]] = {
        "ffnn, window 1": ("1 frame", {"cell": "ffnn", "window": 1}),
        "ffnn, window 2": ("2 frames", {"cell": "ffnn", "window": 2}),
        "ffnn, window 12": ("12 frames", {"cell": "ffnn", "window": 12}),
        "rnn": ("all", {"cell": "rnn"}),
        "gru": ("all", {"cell": "gru"}),
        "lstm": ("all", {"cell": "lstm"}),
    }
    for name, (sees, arguments) in nets.items():
        start = time.perf_counter()
        net = RNNClassifier(max_iter=20, learning_rate="cosine", random_state=0, **arguments).fit(
            X_train, y_train
        )
        seconds = time.perf_counter() - start
        print(
            f"{name:<16}{sees:>12}{net.score(X_test, y_test):>10.1%}{net.n_parameters_:>12,}{seconds:>8.1f}"
        )


if __name__ == "__main__":
    main()

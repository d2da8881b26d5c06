"""Which way does it move? Frames as a camera gives them: an array (films, steps, height, width).

Each film shows a shape moving over a picture whose edges are joined. A single frame has no
direction, so a net that sees one frame (`ffnn` with `window=1`) must guess. Two frames would do but
for the noise, so more of them help. The estimators flatten each frame themselves.
"""

import time
from typing import Any

import numpy as np

from lightrnn import RNNClassifier
from lightrnn.datasets import make_frames

NOISE = 0.5
SHADES = " .:-=+*#"  # from 0 to 1


def show(film: np.ndarray) -> None:
    """Print the first frames of a film side by side."""
    for rows in zip(*film, strict=True):  # one row of every frame
        shades = (np.clip(rows, 0, 1) * 7).astype(int)
        print("   ".join("".join(2 * SHADES[shade] for shade in row) for row in shades))


def main() -> None:
    """Train each cell on short films and print its accuracy on new ones."""
    X_train, y_train = make_frames(4000, noise=NOISE, random_state=0)
    X_test, y_test = make_frames(1000, noise=NOISE, random_state=1)
    n_films, n_frames, height, width = X_train.shape
    print(f"{n_films} films of {n_frames} frames, {height} x {width} pixels.")
    print(f"The first moves {y_train[0]}:\n")
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
    scores = {}
    for name, (sees, arguments) in nets.items():
        start = time.perf_counter()
        net = RNNClassifier(max_iter=20, random_state=0, **arguments)
        net.fit(X_train, y_train)
        seconds = time.perf_counter() - start
        accuracy = net.score(X_test, y_test)
        print(f"{name:<16}{sees:>12}{accuracy:>10.1%}{net.n_parameters_:>12,}{seconds:>8.1f}")
        scores[name] = accuracy
    counts = np.unique(y_test, return_counts=True)[1]
    best = max(scores, key=lambda name: scores[name])
    print(
        f"\nOne frame is worth {scores['ffnn, window 1']:.1%}, the commonest direction "
        f"{counts.max() / len(y_test):.1%}; {best} has the most, {scores[best]:.1%}."
    )
    if best.startswith("ffnn"):
        print("A memory buys nothing where a window holds the whole film.")


if __name__ == "__main__":
    main()

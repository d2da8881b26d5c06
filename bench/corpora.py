"""What the language models of both sides are measured on; imports neither side."""

import numpy as np

# name: vocabulary, embedding, layers, streams, steps, bar
MODELS: dict[str, tuple[int, int, tuple[int, ...], int, int, float]] = {
    "characters, LSTM 256": (82, 64, (256,), 32, 64, 1.5),
    "words, LSTM 200 x 2": (10_000, 200, (200, 200), 20, 35, 1.3),
}


def zipf(V: int, n: int) -> np.ndarray:
    """Return codes as frequent as words are: Zipf's law."""
    p = 1 / np.arange(1, V - 1)
    return 2 + np.random.default_rng(0).choice(V - 2, n, p=p / p.sum())

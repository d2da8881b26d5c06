"""The language models that both sides train, and their text; imports neither side."""

import numpy as np

# By name: vocabulary, embedding, layers, streams, steps, and the bars for the ratio to torch on one
# thread and on two.
MODELS: dict[str, tuple[int, int, tuple[int, ...], int, int, tuple[float, float]]] = {
    "characters, LSTM 256": (82, 64, (256,), 32, 64, (1.5, 1.6)),
    "words, LSTM 200 x 2": (10_000, 200, (200, 200), 20, 35, (1.3, 1.3)),
}


def zipf(V: int, n: int) -> np.ndarray:
    """Return n codes of a vocabulary of V, with the frequencies of Zipf's law."""
    # Codes 0 and 1, the unknown token and the end of a text, do not occur.
    p = 1 / np.arange(1, V - 1)
    return 2 + np.random.default_rng(0).choice(V - 2, n, p=p / p.sum())

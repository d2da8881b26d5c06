"""Four nets read a sentence: which of them still knows its first word at its end.

"Starving, Alice drives to the nearest store ... to buy" ends with "food", "Thirsty, ..." with
"water". One of eight words is right, and it follows from the first word alone. The more words stand
between, the longer a memory has to hold.

All nets have 32 units and learn from the same sentences with the same options. `ffnn` sees the last
5 words. The gates of `gru` and `lstm` start at the length of the sentences
(`forget_bias="chrono"`, the default where most sequences have more than 50 steps).
"""

import time

import numpy as np

from lightrnn import RNNClassifier
from lightrnn.datasets import make_long_context_sentences

CELLS = ("ffnn", "rnn", "gru", "lstm")
DISTANCES = (10, 30, 60)
CHANCE = 1 / 8
KNOWS = 0.95
GUESSES = 0.25  # twice as good as chance


def taught(record):
    """End training when there is nothing left to learn."""
    return record.loss < 0.005


def accuracy(cell: str, distance: int) -> float:
    """Train a net on sentences of up to this distance; return its accuracy at this distance."""
    X, y = make_long_context_sentences((8, distance), 2000, random_state=0)
    net = RNNClassifier(
        cell,
        32,
        window=5,
        tokens="word",
        embedding_size=16,
        dropout=0,
        token_dropout=0,
        forget_bias="chrono",
        max_iter=10,
        callbacks=taught,
        random_state=0,
    )
    return net.fit(X, y).score(*make_long_context_sentences(distance, 500, random_state=1))


def counted(distance: int) -> float:
    """Return the accuracy of naive Bayes on which words occur, whatever their order."""
    X, y = make_long_context_sentences((8, distance), 2000, random_state=0)
    X_test, y_test = make_long_context_sentences(distance, 500, random_state=1)
    words = sorted({word for x in X for word in x.split()})
    here, there = (
        np.array([[word in set(x.split()) for word in words] for x in some]) for some in (X, X_test)
    )
    classes = np.unique(y)
    share = np.array([(1 + here[y == c].sum(axis=0)) / (2 + np.sum(y == c)) for c in classes])
    score = there @ np.log(share).T + ~there @ np.log(1 - share).T
    return float(np.mean(classes[score.argmax(axis=1)] == y_test))


def described(scores: np.ndarray) -> str:
    """Return in words how far a net remembers."""
    if (scores < GUESSES).all():
        return "guesses at every distance"
    if (scores > KNOWS).all():
        return "holds the word to the end"
    known = [d for d, score in zip(DISTANCES, scores, strict=True) if score > GUESSES]
    return f"falls from {scores[0]:.0%} to {scores[-1]:.0%}, and guesses beyond {known[-1]} words"


def main() -> None:
    """Print the accuracy of each net by distance, and what the table says."""
    start = time.perf_counter()
    sentence, word = (some[0] for some in make_long_context_sentences(10, 1, random_state=2))
    print(f"{sentence} ... {word}\n")
    print(
        "How often the last word is right, with 10, 30 or 60 words between it and the first;\n"
        f"{CHANCE:.1%} is chance."
    )
    print("The first fit of each cell compiles it for some seconds; later runs need not.\n")
    print(f"{'':<18}" + "".join(f"{distance:>8}" for distance in DISTANCES))
    found = {}
    for cell in CELLS:
        found[cell] = np.array([accuracy(cell, distance) for distance in DISTANCES])
        print(f"{cell:<18}" + "".join(f"{score:>8.1%}" for score in found[cell]), flush=True)
    counts = [counted(distance) for distance in DISTANCES]
    print(f"{'words, no order':<18}" + "".join(f"{score:>8.1%}" for score in counts))

    print()
    for cell, scores in found.items():
        print(f"{cell} {described(scores)}.")
    holders = [cell for cell, scores in found.items() if (scores > KNOWS).all()]
    print(f"So {' and '.join(holders) or 'none of them'} can use a cue {DISTANCES[-1]} words back.")
    if min(counts) > KNOWS:
        print("(A word counter answers this toy, too; per_step.py needs order.)")
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()

"""The whole of `fit` on JapaneseVowels, which is what a user waits for."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from lightrnn import RNNClassifier
from lightrnn.datasets import load_japanese_vowels

from . import peers
from .report import Row, Run, Table, shown, times_faster, verdict
from .timing import alternate, median, ratio

UNITS = 64
EPOCHS = 30
BAR = 4.0  # times as fast as torch
SIDES = ("padded per batch", "padded before")


def make_classifier(threads: int | None = None, epochs: int = EPOCHS) -> RNNClassifier:
    """Return the estimator to measure, which does not stop before the last epoch."""
    return RNNClassifier(
        "lstm",
        (UNITS,),
        batch_size=32,
        max_iter=epochs,
        n_iter_no_change=epochs,
        n_jobs=threads,
        random_state=0,
    )


def load(subset: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the sequences, (T, 12) each, and the classes 0 to 8."""
    X, y = load_japanese_vowels(subset)
    return list(X), np.unique(y, return_inverse=True)[1].astype(np.int64)


def sides(X: list[np.ndarray], y: np.ndarray, threads: int) -> dict[str, Callable[[], Any]]:
    """Return a whole training for each side."""
    calls: dict[str, Callable[[], Any]] = {"lightrnn": lambda: make_classifier(threads).fit(X, y)}
    if peers.HAS_TORCH:
        from . import pytorch

        calls[SIDES[0]] = partial(pytorch.fit, X, y, UNITS, EPOCHS)
        calls[SIDES[1]] = partial(pytorch.fit, X, y, UNITS, EPOCHS, pytorch.padded(X))
    return calls


def _accuracies(calls: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Train each side once more and return its accuracy on the test set."""
    X, y = load("test")
    accuracy = {"lightrnn": calls["lightrnn"]().score(X, y)}
    if peers.HAS_TORCH:
        from . import pytorch

        accuracy["torch"] = pytorch.accuracy(calls[SIDES[0]](), X, y)
    return accuracy


def _rows(run: Run) -> Iterator[Row]:
    X, y = load("train")
    for threads in run.threads:
        with peers.limited(threads):
            calls = sides(X, y, threads)
            times = alternate(calls, quick=run.quick)
            accuracy = _accuracies(calls)
        for name in SIDES:
            faster = ratio(times, name)
            yield (
                name,
                str(threads),
                shown(median(times, "lightrnn"), "{:.3f}"),
                shown(median(times, name), "{:.3f}"),
                times_faster(faster),
                " / ".join(f"{100 * value:.1f}" for value in accuracy.values()),
                *verdict(faster, BAR),
            )


VOWELS = Table(
    "vowels",
    f"`RNNClassifier.fit` on JapaneseVowels, LSTM {UNITS}, {EPOCHS} epochs, batch size 32, s",
    (
        "torch's data",
        "threads",
        "lightrnn",
        "torch",
        "torch / lightrnn",
        "accuracy %",
        "bar",
        "reached",
    ),
    _rows,
    "270 utterances of 7 to 26 steps, 12 features. The accuracies (lightrnn / torch) on the 370 "
    "test utterances show that both sides learn. The torch loop pads each minibatch to its "
    "longest sequence (pad_sequence), or takes slices of a tensor that was padded before the "
    "clock started; both read the state at each sequence's own end.",
)

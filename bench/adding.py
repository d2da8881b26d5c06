"""The adding problem of Hochreiter and Schmidhuber (1997): how many sequences each cell needs.

Each call of `partial_fit` trains a net on a thousand fresh sequences, until its error on 1,000 test
sequences is below 0.001. No sequence is used twice.
"""

import math
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lightrnn import RNNRegressor
from lightrnn.datasets import make_adding_problem

from .report import Row, Run, Table, verdict

SEEDS = (1, 2, 3)
SOLVED = 1e-3  # mean squared error; a constant answer has 0.167
CHUNK = 1000
TEST = 1000
TEST_SEED = 10**6  # further from the seeds of training than any of them reaches
HOCHREITER = 74_000  # sequences that the LSTM of 1997 needed at T = 100
BARS = {100: 10_000, 500: 15_000, 1000: 20_000}  # sequences, with every seed
HOPELESS = 0.1  # an error hardly below that of a constant answer
LENGTHS = (10, 20, 50, 100, 500, 1000)
CELLS = ("rnn", "gru", "lstm")
GATED = ("gru", "lstm")


class Trial(NamedTuple):
    """The outcome of training one net with one seed."""

    sequences: int
    error: float
    seconds: float

    def __str__(self) -> str:
        if np.isinf(self.error):
            return f"(diverged at {self.sequences:,})"
        return f"{self.sequences:,}" if self.error < SOLVED else f"({self.error:.3f})"


def train(cell: str, T: int, most: int, seed: int) -> Trial:
    """Train until the problem is solved or `most` sequences have been used."""
    X_test, y_test = make_adding_problem(TEST, T, random_state=TEST_SEED)
    model = RNNRegressor(
        cell,
        (32,),
        patch=1,
        batch_size=8,
        learning_rate="constant",
        random_state=seed,
    )
    start = time.perf_counter()
    error = np.inf
    shown = 0
    while shown < most and error >= SOLVED:
        # No two chunks of any seed share their random state.
        X, y = make_adding_problem(CHUNK, T, random_state=TEST_SEED * seed + shown + 1)
        shown += CHUNK
        try:
            model.partial_fit(X, y)
        except ValueError:  # the loss or a parameter has overflowed
            return Trial(shown, np.inf, time.perf_counter() - start)
        error = float(np.mean((model.predict(X_test) - y_test) ** 2))
    return Trial(shown, error, time.perf_counter() - start)


def _rows(run: Run) -> Iterator[Row]:
    """Try every length, but leave out a cell once it has failed with every seed."""
    failed: set[str] = set()
    for T in LENGTHS[:1] if run.quick else LENGTHS:
        for cell in CELLS:
            if cell in failed:
                yield str(T), cell, *("not tried",) * len(SEEDS), *[""] * 4
                continue
            most = 2 * CHUNK if run.quick else HOCHREITER
            trials = [train(cell, T, most, seed) for seed in SEEDS]
            if all(trial.error > HOPELESS for trial in trials):
                failed.add(cell)
            yield str(T), cell, *map(str, trials), *_summary(T, cell, trials)


def _summary(T: int, cell: str, trials: list[Trial]) -> Row:
    """Return the seconds of the slowest trial and of all, and the verdict if there is a bar."""
    seconds = [trial.seconds for trial in trials]
    needed = max(trial.sequences if trial.error < SOLVED else math.inf for trial in trials)
    bar = BARS.get(T) if cell in GATED else None
    verdicts = verdict(needed, bar, "{:,}", at_most=True)
    return f"{max(seconds):.1f}", f"{sum(seconds):.1f}", *verdicts


ADDING = Table(
    "adding",
    "The adding problem: training sequences until solved, by length and cell; the error in "
    "brackets where it was not",
    ("T", "cell", *(f"seed {seed}" for seed in SEEDS), "slowest, s", "all, s", "bar", "reached"),
    _rows,
    f"Solved: the mean squared error on {TEST:,} test sequences, measured after every {CHUNK:,} "
    f"training sequences, is below {SOLVED:g}; the constant answer 1 has 0.167. Every training "
    "sequence is fresh and used once. 32 units, minibatches of 8, Adam, the default learning rate. "
    f"At most {HOCHREITER:,} sequences, which are as many as the LSTM of 1997 took at T = 100; it "
    "took 209,000 at T = 500 and 853,000 at T = 1,000, with 93 weights and without Adam. Over "
    "more than 50 steps the gates of gru and lstm start at the length of the sequences "
    "(forget_bias='auto'). A cell whose error is above "
    f"{HOPELESS:g} for every seed is not tried at greater lengths.",
)

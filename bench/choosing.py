"""Choose a configuration by cross-validation on a training set, then score it on the test set.

The candidates come in groups, of which each has a row in the table: the best candidate of each
group is fitted to the whole training set with new seeds and scored on the test set. The result is
the group that won the cross-validation; the other rows are there for comparison.

The likelihood of the held-out sequences decides, because it uses more of each answer than the
accuracy.
"""

import itertools
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lightrnn import RNNClassifier

from .report import markdown, verdict, write

Arguments = dict[str, Any]
Data = tuple[Sequence[np.ndarray], np.ndarray]
COLUMNS = (
    "best candidate",
    "parameters",
    "cross-validation",
    "test",
    "lowest",
    "highest",
    "bar",
    "reached",
)


class Choice(NamedTuple):
    """A configuration to choose.

    Attributes
    ----------
    name, title, note : str
        Of the table; the name is that of the markers in README.md.
    group : str
        Argument that the groups differ by.
    candidates : mapping of str to list of dict
        Arguments of each candidate, by group.
    load : callable
        "train" or "test" -> its sequences and labels.
    folds : int
        Number of parts of the training set of which each is held out once.
    search_seeds, test_seeds : sequence of int
        Seeds of each fit in the cross-validation and on the whole training set.
    bar : float
        Percent of the test sequences that the chosen configuration must classify correctly.
    """

    name: str
    title: str
    note: str
    group: str
    candidates: Mapping[str, list[Arguments]]
    load: Callable[[str], Data]
    folds: int
    search_seeds: Sequence[int]
    test_seeds: Sequence[int]
    bar: float


class Score(NamedTuple):
    """How well held-out sequences are classified."""

    likelihood: float  # mean of its logarithm
    accuracy: float


def combinations(grid: Mapping[str, Sequence[Any]]) -> list[Arguments]:
    """Return every combination of the values of a grid."""
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def blocks(y: np.ndarray, folds: int) -> np.ndarray:
    """Return the fold of each sequence: consecutive blocks of equal size for each class."""
    fold = np.empty(len(y), dtype=np.int64)
    for label in np.unique(y):
        (where,) = np.nonzero(y == label)
        fold[where] = np.arange(len(where)) * folds // len(where)
    return fold


def evaluate(arguments: Arguments, seed: int, train: Data, held_out: Data) -> tuple[Score, int]:
    """Fit to `train`; return the score on `held_out` and the number of parameters."""
    model = RNNClassifier(**arguments, random_state=seed).fit(*train)
    probabilities = model.predict_proba(held_out[0])
    codes = np.searchsorted(model.classes_, held_out[1])
    right = probabilities.argmax(axis=1) == codes
    # The limit keeps one probability that underflows from making the mean infinite.
    likelihood = np.log(np.maximum(probabilities[np.arange(len(codes)), codes], 1e-12))
    return Score(float(likelihood.mean()), float(right.mean())), model.n_parameters_


def cross_validate(arguments: Arguments, data: Data, choice: Choice) -> Score:
    """Return the mean score over folds and seeds."""
    X, y = data
    fold = blocks(y, choice.folds)
    scores = []
    for k, seed in itertools.product(range(choice.folds), choice.search_seeds):
        inside = np.flatnonzero(fold != k)
        outside = np.flatnonzero(fold == k)
        train, held_out = (([X[i] for i in part], y[part]) for part in (inside, outside))
        scores.append(evaluate(arguments, seed, train, held_out)[0])
    return Score(*np.mean(scores, axis=0).tolist())


def search(choice: Choice, data: Data) -> dict[str, tuple[Score, Arguments]]:
    """Cross-validate and print every candidate; return the best of each group with its score."""
    best = {}
    for group, candidates in choice.candidates.items():
        scored = []
        for arguments in candidates:
            score = cross_validate(arguments, data, choice)
            scored.append((score, arguments))
            print(
                f"{group:<10} {describe(arguments):<60}"
                f"log likelihood {score.likelihood:.4f}, accuracy {score.accuracy:.2%}",
                flush=True,
            )
        best[group] = max(scored, key=lambda result: result[0])
    return best


def describe(arguments: Arguments) -> str:
    """Return a short description of a candidate."""
    ways = "both directions" if arguments["bidirectional"] else "one direction"
    named = (f"{key} {arguments[key]}" for key in _SHOWN if key in arguments)
    return ", ".join([f"{arguments['hidden_layer_sizes'][0]} units", ways, *named])


_SHOWN = ("dropout", "patch", "learning_rate_init")


def main(choice: Choice) -> None:
    """Search on the training set, then print the table of the test set."""
    start = time.perf_counter()
    train = choice.load("train")
    best = search(choice, train)
    winner = max(best, key=lambda group: best[group][0])
    chosen = describe(best[winner][1])
    print(f"\nChosen by cross-validation: {winner}, {chosen}. Now the test set.\n")

    test = choice.load("test")
    rows = []
    for group, (score, arguments) in best.items():
        tested = [evaluate(arguments, seed, train, test) for seed in choice.test_seeds]
        accuracies = [result.accuracy for result, _ in tested]
        mean = float(np.mean(accuracies))
        shown = (score.accuracy, mean, min(accuracies), max(accuracies))
        verdicts = verdict(100 * mean, choice.bar if group == winner else None, "{:g} %")
        parameters = f"{tested[0][1]:,}"
        percents = (f"{figure:.2%}" for figure in shown)
        rows.append((group, describe(arguments), parameters, *percents, *verdicts))
    table = markdown((choice.group, *COLUMNS), rows)
    text = f"**{choice.title}**\n\n{table}\n\n{choice.note}\n"
    print(f"{text}\n{time.perf_counter() - start:.0f} s")
    if "--write" in sys.argv:
        write(choice.name, text)

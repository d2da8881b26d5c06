"""``python -m lightrnn warmup``: compile what an install needs, so that no user waits for it.

The kernels are compiled by using them: small networks of every cell learn, predict and take single
steps, in every way that gives a kernel other types to compile for. What was compiled goes to the
cache on disk, see `cpu/cache.py`.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..cells import HIDDEN_CELLS
from ..estimators import RNNClassifier, RNNRegressor
from ..estimators.language import RNNLanguageModel
from ..inspection import gradient_flow
from ..utils import checks

_DTYPES = ("float32", "float64")
_BRIEF: dict[str, Any] = {
    "max_iter": 1,
    "learning_rate": "cosine",
    "random_state": 0,
    "n_jobs": 1,
    "dropout": 0.1,
}
_SIZES = ((2,), (2, 2), (2, 2, 2))  # one for each kind of output layer, and each solver

Call = Callable[[], Any]


def uses(cell: str, dtype: str) -> Iterator[tuple[str, Call]]:
    """Yield calls, each with its name, that need every kernel of a cell and a dtype between them."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(T, 2)) for T in (3, 1, 5, 2)]
    texts = ["to be or not to be", "be", "or to be", "not to be or not to be"]
    options = _BRIEF | {"dtype": dtype}
    for target, bidirectional in (
        ("sequence", False),
        ("step", False),
        ("sequence", True),
        ("step", True),
    ):
        if bidirectional and cell == "ffnn":
            continue
        shape: dict[str, Any] = {"target": target, "bidirectional": bidirectional}
        y = [x[:, 0] for x in X] if target == "step" else [0.5, 1.0, 0.0, 2.0]
        name = f"{target}s{', both ways' if bidirectional else ''}"
        yield name, partial(_regressor, RNNRegressor(cell, (2, 2), **shape, **options), X, y)
        labels = (
            [[t % 2 for t in range(len(text))] for text in texts]
            if target == "step"
            else list("abab")
        )
        yield (
            f"{name} of tokens",
            partial(_classifier, RNNClassifier(cell, (2, 2), **shape, **options), texts, labels),
        )
    for sizes, solver in zip(_SIZES, ("adam", "sgd", "rmsprop"), strict=True):
        output: dict[str, Any] = {
            "tie_weights": len(sizes) == 1,
            "output": "softmax" if len(sizes) < 3 else "adaptive",
        }
        model = RNNLanguageModel(cell, sizes, embedding_size=2, solver=solver, **output, **options)
        yield f"language model of {len(sizes)} layers", partial(_language_model, model, texts)


def _regressor(model: RNNRegressor, X: Any, y: Any) -> None:
    model.fit(X, y)
    model.predict(X)
    model.transform(X)
    if model.cell != "ffnn" and not model.bidirectional:
        gradient_flow(model, X)


def _classifier(model: RNNClassifier, texts: list[str], labels: Any) -> None:
    """Texts of many steps for each token too: then the input's share is computed once a token."""
    model.fit(texts, labels)
    model.predict(texts)
    longer = [text * 20 for text in texts]
    model.fit(longer, labels if isinstance(labels[0], str) else [steps * 20 for steps in labels])
    model.predict_proba(longer)


def _language_model(model: RNNLanguageModel, texts: list[str]) -> None:
    model.fit(texts)
    model.score(texts)
    model.predict_next("to")
    model.generate("to", 3, random_state=0)


class Use(NamedTuple):
    """What was done, how many kernels it compiled, how many were in the cache, and its seconds."""

    name: str
    compiled: int
    found: int
    seconds: float


def warm_up(
    cells: tuple[str, ...] = HIDDEN_CELLS, dtypes: tuple[str, ...] = _DTYPES
) -> Iterator[Use]:
    """Compile every kernel of some cells and precisions that is not in the cache.

    Parameters
    ----------
    cells : tuple of {"ffnn", "rnn", "gru", "lstm"}
        Cells.
    dtypes : tuple of {"float32", "float64"}
        Precisions.

    Yields
    ------
    Use
        As it is done.
    """
    from ..cpu.cache import KernelCache

    for dtype in dtypes:
        for cell in cells:
            for name, use in uses(cell, dtype):
                before, start = len(KernelCache.log), time.perf_counter()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # an epoch does not converge
                    use()
                new = KernelCache.log[before:]
                compiled = sum(entry.compiled for entry in new)
                seconds = time.perf_counter() - start
                yield Use(f"{cell} {dtype}, {name}", compiled, len(new) - compiled, seconds)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--cells",
        type=_names("cells", HIDDEN_CELLS),
        default=HIDDEN_CELLS,
        help=f"of {', '.join(HIDDEN_CELLS)}",
    )
    parser.add_argument(
        "--dtypes", type=_names("dtypes", _DTYPES), default=_DTYPES, help=f"of {', '.join(_DTYPES)}"
    )


def _names(name: str, options: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """Return a reader of names with commas between."""

    def read(text: str) -> tuple[str, ...]:
        try:
            return tuple(checks.choice(name, part, options) for part in text.split(","))
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


def run(arguments: argparse.Namespace) -> int:
    """Compile, say what and where; 1 if there is no place to keep it."""
    from ..cpu import cache

    start = time.perf_counter()
    for use in warm_up(arguments.cells, arguments.dtypes):
        print(
            f"{use.name}: {use.compiled} compiled, {use.found} found, {use.seconds:.1f} s",
            flush=True,
        )
    log = cache.KernelCache.log
    places = {entry.directory for entry in log if entry.compiled}
    print(
        f"{len(log)} kernels, {sum(entry.compiled for entry in log)} compiled, {time.perf_counter() - start:.0f} s"
    )
    for place in places - {None}:
        print(f"kept in {place}")
    if None in places:
        print(
            "There is no place for machine code. Set NUMBA_CACHE_DIR to one that can be written to.",
            file=sys.stderr,
        )
    return int(None in places)

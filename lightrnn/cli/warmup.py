"""``python -m lightrnn warmup``: compile the kernels ahead of their first use.

The kernels are compiled by using them: small networks of every cell learn, predict and take single
steps, in every way that makes a kernel compile for other types. The machine code is kept in the
cache on disk, see `cpu/cache.py`.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ..cells import CELLS, HIDDEN_CELLS
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
# Layers of the language models: one model for each kind of output layer, and each solver.
_SIZES = ((2,), (2, 2), (2, 2, 2))
_TEXTS = ["to be or not to be", "be", "or to be", "not to be or not to be"]

Call = Callable[[], Any]


def uses(cell: str, dtype: str) -> Iterator[tuple[str, Call]]:
    """Yield names and calls that together use every kernel of a cell and a dtype."""
    options = _BRIEF | {"dtype": dtype}
    # A feed-forward net has no other direction.
    directions = (False, True) if CELLS[cell].recurrent else (False,)
    for bidirectional, target in product(directions, ("sequence", "step")):
        shape: dict[str, Any] = {"target": target, "bidirectional": bidirectional}
        name = f"{target}s{', both ways' if bidirectional else ''}"
        regressor = RNNRegressor(cell, (2, 2), **shape, **options)
        yield name, partial(_regressor, regressor)
        classifier = RNNClassifier(cell, (2, 2), **shape, **options)
        yield f"{name} of tokens", partial(_classifier, classifier)
    for sizes, solver in zip(_SIZES, ("adam", "sgd", "rmsprop"), strict=True):
        # One model each with tied weights, a plain output layer and an adaptive softmax.
        output: dict[str, Any] = {
            "tie_weights": len(sizes) == 1,
            "output": "softmax" if len(sizes) < 3 else "adaptive",
        }
        model = RNNLanguageModel(cell, sizes, embedding_size=2, solver=solver, **output, **options)
        yield f"language model of {len(sizes)} layers", partial(_language_model, model)


def _regressor(model: RNNRegressor) -> None:
    """Fit and use a regressor on sequences of numbers."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(T, 2)) for T in (3, 1, 5, 2)]
    y = [x[:, 0] for x in X] if model.target == "step" else [0.5, 1.0, 0.0, 2.0]
    model.fit(X, y)
    model.predict(X)
    model.transform(X)
    if CELLS[model.cell].recurrent and not model.bidirectional:
        gradient_flow(model, X)


def _classifier(model: RNNClassifier) -> None:
    """Fit and use a classifier on texts, short and long.

    With many steps per token, the input's products are computed once per token, by other kernels.
    """
    for texts in (_TEXTS, [text * 20 for text in _TEXTS]):
        if model.target == "step":
            labels: list[Any] = [[t % 2 for t in range(len(text))] for text in texts]
        else:
            labels = list("abab")
        model.fit(texts, labels)
        model.predict_proba(texts)


def _language_model(model: RNNLanguageModel) -> None:
    """Fit a language model, score texts and continue one."""
    model.fit(_TEXTS)
    model.score(_TEXTS)
    model.predict_next("to")
    model.generate("to", 3, random_state=0)


class Use(NamedTuple):
    """A call of `uses`, and the kernels that it loaded."""

    name: str
    compiled: int  # kernels
    found: int  # kernels that were in the cache
    seconds: float


def warm_up(
    cells: tuple[str, ...] = HIDDEN_CELLS, dtypes: tuple[str, ...] = _DTYPES
) -> Iterator[Use]:
    """Compile every kernel of some cells and precisions that is not in the cache.

    Parameters
    ----------
    cells : tuple of {"ffnn", "rnn", "gru", "lstm"}, default=("ffnn", "rnn", "gru", "lstm")
        The cells.
    dtypes : tuple of {"float32", "float64"}, default=("float32", "float64")
        The precisions.

    Yields
    ------
    Use
        One for each call, when it has returned.
    """
    from ..cpu.cache import KernelCache

    for dtype in dtypes:
        for cell in cells:
            for name, use in uses(cell, dtype):
                before = len(KernelCache.log)
                start = time.perf_counter()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # that one epoch does not converge
                    use()
                seconds = time.perf_counter() - start
                new = KernelCache.log[before:]
                compiled = sum(entry.compiled for entry in new)
                yield Use(f"{cell} {dtype}, {name}", compiled, len(new) - compiled, seconds)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``python -m lightrnn warmup``."""
    for name, options in (("cells", HIDDEN_CELLS), ("dtypes", _DTYPES)):
        parser.add_argument(
            f"--{name}",
            type=partial(_names, name, options),
            default=options,
            help=f"{name} to compile for, separated by commas (default: {','.join(options)})",
        )


def _names(name: str, options: tuple[str, ...], text: str) -> tuple[str, ...]:
    """Read names separated by commas."""
    try:
        return tuple(checks.choice(name, part, options) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run(arguments: argparse.Namespace) -> int:
    """Compile, and print what was compiled; return 1 if it cannot be kept, else 0."""
    from ..cpu import cache

    start = time.perf_counter()
    for use in warm_up(arguments.cells, arguments.dtypes):
        counts = f"{use.compiled} compiled, {use.found} found"
        print(f"{use.name}: {counts}, {use.seconds:.1f} s", flush=True)
    seconds = time.perf_counter() - start
    log = cache.KernelCache.log
    compiled = [entry for entry in log if entry.compiled]
    print(f"{len(log)} kernels, {len(compiled)} compiled, {seconds:.0f} s")
    directories = {entry.directory for entry in compiled}
    for directory in directories - {None}:
        print(f"kept in {directory}")
    if None in directories:
        print(
            "There is no directory for machine code that can be written to. "
            "Set NUMBA_CACHE_DIR to one.",
            file=sys.stderr,
        )
    return int(None in directories)

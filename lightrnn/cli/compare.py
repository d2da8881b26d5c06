"""``python -m lightrnn compare``: cross-validate every cell and two baselines on one's own data."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
import warnings
import zipfile
from typing import Any, BinaryIO

import numpy as np

from ..comparison import compare
from ..comparison.report import report
from ..utils.archive import Arrays
from ..utils.checks import shown
from ..utils.files import StrPath, open_regular

# np.savez pickles an array of objects, which is not read; each line writes the same data without.
_AS_ARRAY = {
    "X": "Write np.savez(path, X=np.concatenate(X), y=y, lengths=[len(x) for x in X]).",
    "y": "Write y=y.astype(str) for classes, y=y.astype(float) for numbers.",
    "lengths": "Write lengths=[len(x) for x in X].",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``python -m lightrnn compare``."""
    parser.add_argument(
        "data",
        help="an .npz file with X (n, T, F) or (n, T) and y (n,); or with X (N, F), all sequences "
        "concatenated, y (n,) and lengths (n,). Floats in y are regressed on, anything else is "
        "classified: write y.astype(float) for counts",
    )
    parser.add_argument(
        "--units", type=int, default=64, help="units of the hidden layer (default: 64)"
    )
    parser.add_argument("--epochs", type=int, default=50, help="epochs of each fit (default: 50)")
    parser.add_argument(
        "--folds", type=int, default=5, help="folds of the cross-validation (default: 5)"
    )
    parser.add_argument(
        "--windows",
        type=int,
        nargs="+",
        help="windows of the feed-forward nets in steps (default: a tenth, a third and all of the "
        "median length)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the folds and weights (default: 0)"
    )
    parser.add_argument(
        "--html", metavar="FILE", help="write a page with the table, pictures and advice, too"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the comparison on the data of a file; return the exit status."""
    windows = tuple(arguments.windows) if arguments.windows else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a fit has not converged, fold after fold
        X, y = _read(arguments.data)
        try:
            found = compare(
                X,
                y,
                hidden_layer_sizes=(arguments.units,),
                max_iter=arguments.epochs,
                folds=arguments.folds,
                windows=windows,
                random_state=arguments.seed,
                progress=_show_progress,
            )
        finally:
            _show_progress("")
        # Before the page, whose file may turn out not to be writable after minutes of fits.
        print(found, flush=True)
        if arguments.html:
            report(found).write(arguments.html)
    return 0


def _show_progress(line: str) -> None:
    """Print a line to stderr; in a terminal it replaces the one before."""
    # Not to stdout, which may be redirected and shall hold the table alone.
    if sys.stderr.isatty():
        # Blanks cover the rest of a longer line; the cursor stays at the start.
        print(f"\r{line:<60}\r", end="", file=sys.stderr, flush=True)
    elif line:
        print(line, file=sys.stderr, flush=True)


def _read(path: StrPath) -> tuple[Any, np.ndarray]:
    """Return X, cut into sequences if there are lengths, and y of an .npz file."""
    with open_regular(path) as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(
                f"data must be an .npz file, got {os.fspath(path)!r}. "
                "Write one with np.savez('data.npz', X=X, y=y)."
            )
        file.seek(0)
        found = _arrays(file)
    X = found["X"]
    lengths = found.get("lengths")
    if lengths is None or not X.ndim:
        return X, found["y"]
    are_counts = lengths.ndim == 1 and lengths.dtype.kind in "iu" and len(lengths)
    # The sum of larger ones could overflow.
    if not are_counts or not 1 <= lengths.min() <= lengths.max() <= len(X) == lengths.sum():
        raise ValueError(
            f"lengths must be positive integers that sum up to X's {len(X)} rows, "
            f"got {shown(lengths)}. Give the number of rows of each sequence."
        )
    return np.split(X, np.cumsum(lengths)[:-1]), found["y"]


def _arrays(file: BinaryIO) -> Arrays:
    """Return X, y, and lengths if there are any, of an open .npz file."""
    found: Arrays = {}
    name = "list of arrays"
    try:
        with np.load(file, allow_pickle=False) as data:  # a pickle could run any code
            names = data.files
            for name in filter(names.__contains__, _AS_ARRAY):
                found[name] = data[name]
                if not isinstance(found[name], np.ndarray):
                    raise TypeError("it is no array")
    # zipfile, its decompressors and NumPy raise errors of a dozen kinds for a damaged file.
    except Exception as error:
        if str(error).startswith("Object arrays"):
            raise ValueError(
                f"{name} must be an array of numbers or text, got one of objects. {_AS_ARRAY[name]}"
            ) from error
        reason = textwrap.shorten(str(error) or type(error).__name__, 80).rstrip(".")
        raise ValueError(
            f"data must be an undamaged .npz file, got one whose {name} cannot be read: {reason}. "
            "Write it once more with np.savez."
        ) from error
    if not {"X", "y"} <= found.keys():
        raise ValueError(
            f"data must hold X and y, got {shown(sorted(names))}. "
            "Write it with np.savez(path, X=X, y=y)."
        )
    return found

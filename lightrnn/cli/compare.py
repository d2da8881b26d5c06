"""``python -m lightrnn compare``: cross-validate every cell and two baselines on one's own data."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
import zipfile
from typing import Any

import numpy as np

from ..comparison import compare
from ..utils.checks import shown

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


def run(arguments: argparse.Namespace) -> int:
    """Print the comparison on the data of a file; return the exit status."""
    windows = tuple(arguments.windows) if arguments.windows else None
    try:
        X, y = _read(arguments.data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a fit has not converged, fold after fold
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
    except (OSError, ValueError, TypeError) as error:
        _show_progress("")
        print(f"python -m lightrnn compare: {error}", file=sys.stderr)
        return 1
    _show_progress("")
    print(found)
    return 0


def _show_progress(line: str) -> None:
    """Print a line to stderr; in a terminal it replaces the one before."""
    # Not to stdout, which may be redirected and shall hold the table alone.
    if sys.stderr.isatty():
        # Blanks cover the rest of a longer line; the cursor stays at the start.
        print(f"\r{line:<60}\r", end="", file=sys.stderr, flush=True)
    elif line:
        print(line, file=sys.stderr, flush=True)


def _read(path: str | os.PathLike[str]) -> tuple[Any, np.ndarray]:
    """Return X, cut into sequences if there are lengths, and y of an .npz file."""
    with open(path, "rb") as file:
        X, y, lengths = _arrays(file, path)
    if lengths is None:
        return X, y
    are_counts = lengths.ndim == 1 and lengths.dtype.kind in "iu" and lengths.min() >= 1
    if not are_counts or lengths.sum() != len(X):
        raise ValueError(
            f"lengths must be positive integers that sum up to X's {len(X)} rows, "
            f"got {shown(lengths)}. Give the number of rows of each sequence."
        )
    return np.split(X, np.cumsum(lengths)[:-1]), y


def _arrays(file: Any, path: str | os.PathLike[str]) -> tuple[Any, Any, Any]:
    """Return X, y and lengths of an open .npz file; None if it has no lengths."""
    if not zipfile.is_zipfile(file):
        raise ValueError(
            f"data must be an .npz file, got {os.fspath(path)!r}. "
            "Write one with np.savez('data.npz', X=X, y=y)."
        )
    file.seek(0)
    try:
        data = np.load(file, allow_pickle=False)  # a pickle could run any code
    except (EOFError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"data must be an .npz file, got {os.fspath(path)!r}: {error}. Write it with np.savez."
        ) from error
    if not {"X", "y"} <= set(data):
        raise ValueError(
            f"data must hold X and y, got {sorted(data)}. Write it with np.savez(path, X=X, y=y)."
        )
    return _member(data, "X"), _member(data, "y"), _member(data, "lengths")


def _member(data: Any, name: str) -> np.ndarray | None:
    """Return an array of an .npz file, None if the file has none of this name."""
    try:
        return data.get(name)
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise ValueError(
            f"{name} must be an array of numbers or text, got one of objects. {_AS_ARRAY[name]}"
        ) from error

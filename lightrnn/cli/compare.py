"""``python -m lightrnn compare``: every cell and two baselines on the user's own data."""

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

# -- the command line -------------------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what ``python -m lightrnn compare`` takes."""
    parser.add_argument(
        "data",
        help="an .npz with y (n,) and X (n, T, F) or (n, T), or X (N, F), all sequences one below the other, and "
        "lengths (n,); float y are numbers to regress on, all else labels",
    )
    parser.add_argument("--units", type=int, default=64, help="units of the hidden layer (64)")
    parser.add_argument("--epochs", type=int, default=50, help="epochs of each fit (50)")
    parser.add_argument("--folds", type=int, default=5, help="parts of the cross-validation (5)")
    parser.add_argument(
        "--windows", type=int, nargs="+", help="of the feed-forward nets (by the sequences' length)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of folds and weights (0)")


def run(arguments: argparse.Namespace) -> int:
    """Compare on the data of a file and print the table; return the exit status."""
    try:
        X, y = _read(arguments.data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = compare(
                X,
                y,
                hidden_layer_sizes=(arguments.units,),
                max_iter=arguments.epochs,
                folds=arguments.folds,
                windows=tuple(arguments.windows) if arguments.windows else None,
                random_state=arguments.seed,
                progress=_tell,
            )
    except (OSError, ValueError, TypeError) as error:
        _tell("")
        print(f"python -m lightrnn compare: {error}", file=sys.stderr)
        return 1
    _tell("")
    print(found)
    return 0


def _tell(line: str) -> None:
    """Show what is being fitted, on one line of a terminal."""
    if sys.stderr.isatty():
        print(f"\r{line:<60}\r", end="", file=sys.stderr, flush=True)
    elif line:
        print(line, file=sys.stderr, flush=True)


def _read(path: str | os.PathLike[str]) -> tuple[Any, np.ndarray]:
    """Read X and y from an .npz."""
    with open(path, "rb") as file:
        X, y, lengths = _arrays(file, path)
    if lengths is None:
        return X, y
    if (
        lengths.ndim != 1
        or lengths.dtype.kind not in "iu"
        or lengths.min() < 1
        or lengths.sum() != len(X)
    ):
        raise ValueError(
            f"lengths must be positive integers that sum up to X's {len(X)} rows, got {shown(lengths)}. Count."
        )
    return np.split(X, np.cumsum(lengths)[:-1]), y


def _arrays(file: Any, path: str | os.PathLike[str]) -> tuple[Any, Any, Any]:
    """Return X, y and, where there are any, lengths."""
    try:
        data = np.load(file, allow_pickle=False)
    except (EOFError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"data must be an .npz file, got {os.fspath(path)!r}: {error}. Write it by np.savez."
        ) from error
    if not isinstance(data, np.lib.npyio.NpzFile):
        raise ValueError(
            f"data must be an .npz file, got one array in {os.fspath(path)!r}. Write X and y by np.savez."
        )
    missing = {"X", "y"} - set(data)
    if missing:
        raise ValueError(
            f"data must hold X and y, got {sorted(data)}. Write it by np.savez(path, X=X, y=y)."
        )
    return data["X"], data["y"], data.get("lengths")

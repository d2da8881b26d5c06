"""Warnings of X whose axes look as if steps and features were swapped."""

from typing import Any

from ..exceptions import warn
from .sequences import Sequences

# An array (n, T, F) looks swapped with at most this many steps, of so many times more features.
_FEW_STEPS = 3
_MANY_FEATURES = 20
_MANY_OF_ONE_STEP = 10  # features of sequences of one step, over which no recurrent cell carries
_ONE_STEP = "cell='ffnn' is for steps by themselves."


def warn_of_swapped_axes(X: Any) -> None:
    """Warn of an array that looks as other libraries have it, (n, F, T), when a fit begins.

    Few steps of far more features are legal, so that it is a warning, and seldom meant.
    """
    if _looks_swapped(X):
        T, F = X.shape[1:]
        plain = "list(X) is read without this warning." if T > 1 else _ONE_STEP
        warn(
            UserWarning,
            f"X is read as (n, T, F): {T} steps of {F} features. If its axes are (n, F, T), give "
            f"X.swapaxes(1, 2); {plain}",
        )


def warn_of_single_steps(X: Any, sequences: Sequences, cell: str) -> None:
    """Warn of sequences that all have one step of many features, read by a recurrent cell."""
    F = sequences.n_features
    single = F >= _MANY_OF_ONE_STEP and (sequences.lengths == 1).all()
    if single and cell != "ffnn" and not _looks_swapped(X):
        warn(
            UserWarning,
            f"X is read as sequences of one step of {F} features, over which a recurrent cell "
            f"({cell!r}) carries nothing. If their axes are (F, T), give [x.T for x in X]; "
            f"{_ONE_STEP}",
        )


def _looks_swapped(X: Any) -> bool:
    """Whether X is an array of few steps of far more features."""
    if getattr(X, "ndim", 0) != 3:
        return False
    T, F = X.shape[1:]
    return bool(T <= _FEW_STEPS and F >= _MANY_FEATURES * T)

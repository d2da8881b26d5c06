"""Every constructor argument's range, checked when `fit` is called, and the rules between arguments.

`checked` reads an estimator's arguments and returns them as plain Python values; nothing after it checks them again.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..cells import HIDDEN_CELLS
from ..devices import check_device
from ..utils import checks
from ..utils.checks import shown

_MOST_THREADS = 1024
_Check = Callable[[str, Any], Any]


def _choice(*options: str) -> _Check:
    return partial(checks.choice, options=options)


def _integer(low: int) -> _Check:
    return partial(checks.integer, low=low)


def _optional(check: _Check) -> _Check:
    """Let None pass."""
    return lambda name, value: None if value is None else check(name, value)


def _hidden_layer_sizes(name: str, value: Any) -> tuple[int, ...]:
    """Return the layers' units; one layer may be given as a plain integer."""
    if isinstance(value, numbers.Integral):
        value = (value,)
    if isinstance(value, str | bytes | dict | set) or not hasattr(value, "__iter__"):
        raise TypeError(
            f"{name} must be a tuple of integers, got {shown(value)}. Write (64,) for one layer of 64 units."
        )
    sizes = tuple(checks.integer(f"{name}[{index}]", size, 1) for index, size in enumerate(value))
    if not sizes:
        raise ValueError(
            f"{name} must have at least one layer, got {shown(value)}. Write (64,) for one layer of 64 units."
        )
    return sizes


def _n_jobs(name: str, value: Any) -> int | None:
    if value is not None and checks.integer(name, value, -_MOST_THREADS, _MOST_THREADS) == 0:
        raise ValueError(
            f"{name} must be None or an integer other than 0, got 0. Use 1 for one thread, -1 for all CPUs."
        )
    return value if value is None else int(value)


def _random_state(name: str, value: Any) -> Any:
    """Return the argument itself: a generator is drawn from it only once everything else is known to be right."""
    if isinstance(value, numbers.Integral) or not hasattr(value, "bytes"):
        checks.random_generator(value)
    return value


def _verbose(name: str, value: Any) -> int:
    return checks.integer(name, int(value) if isinstance(value, bool) else value, 0)


def _callbacks(name: str, value: Any) -> tuple[Callable[..., Any], ...]:
    callbacks = (value,) if callable(value) else value
    if callbacks is None:
        return ()
    if not isinstance(callbacks, Sequence) or not all(callable(item) for item in callbacks):
        raise TypeError(
            f"{name} must be None, a function or a list of functions, got {shown(value)}. Each takes one record."
        )
    return tuple(callbacks)


def _class_weight(name: str, value: Any) -> Any:
    if value is None or isinstance(value, dict):
        return value
    return checks.choice(name, value, ("balanced", None))


_CHECKS: dict[str, _Check] = {
    "cell": _choice(*HIDDEN_CELLS),
    "hidden_layer_sizes": _hidden_layer_sizes,
    "target": _choice("sequence", "step"),
    "bidirectional": checks.flag,
    "window": _integer(1),
    "tokens": _choice("auto", "char", "word", "category", "number"),
    "tie_weights": checks.flag,
    "output": _choice("auto", "softmax", "adaptive"),
    "embedding_size": _integer(1),
    "min_count": _integer(1),
    "max_vocabulary": _optional(_integer(1)),
    "dropout": partial(checks.real, low=0, high=1, high_open=True),
    "loss": _choice("squared_error", "absolute_error", "huber", "quantile"),
    "quantile": partial(checks.real, low=0, high=1, low_open=True, high_open=True),
    "delta": partial(checks.real, low=0, low_open=True),
    "solver": _choice("adam", "sgd", "rmsprop", "lbfgs"),
    "learning_rate": _choice("constant", "cosine", "adaptive"),
    "learning_rate_init": partial(checks.real, low=0, low_open=True),
    "momentum": partial(checks.real, low=0, high=1, high_open=True),
    "alpha": partial(checks.real, low=0),
    "batch_size": _integer(1),
    "max_iter": _integer(1),
    "truncate": _optional(_integer(1)),
    "clip_norm": _optional(partial(checks.real, low=0, low_open=True)),
    "shuffle": checks.flag,
    "tol": partial(checks.real, low=0),
    "n_iter_no_change": _integer(1),
    "early_stopping": checks.flag,
    "validation_fraction": partial(checks.real, low=0, high=1, low_open=True, high_open=True),
    "class_weight": _class_weight,
    "warm_start": checks.flag,
    "device": check_device,
    "dtype": _choice("float32", "float64"),
    "n_jobs": _n_jobs,
    "random_state": _random_state,
    "verbose": _verbose,
    "callbacks": _callbacks,
}


def checked(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return an estimator's arguments as plain values.

    Parameters
    ----------
    arguments : dict
        The constructor's arguments by name.

    Raises
    ------
    TypeError
        If one is of the wrong kind.
    ValueError
        If one is out of its range, or two exclude each other.

    Examples
    --------
    >>> checked({"hidden_layer_sizes": 8, "dropout": 0})
    {'hidden_layer_sizes': (8,), 'dropout': 0.0}
    """
    plain = {name: _CHECKS[name](name, value) for name, value in arguments.items()}
    _check_together(**plain)
    return plain


def _check_together(
    cell: str = "",
    bidirectional: bool = False,
    truncate: int | None = None,
    solver: str = "",
    dropout: float = 0.0,
    **others: Any,
) -> None:
    """Refuse the pairs of arguments that mean nothing together."""
    if bidirectional and cell == "ffnn":
        raise ValueError(
            "bidirectional must be False with cell='ffnn', got True. A window looks back only; use a recurrent cell."
        )
    if truncate is not None and cell == "ffnn":
        raise ValueError(
            f"truncate must be None with cell='ffnn', got {truncate}. There is no state to carry; set window instead."
        )
    if truncate is not None and bidirectional:
        raise ValueError(
            f"truncate must be None with bidirectional=True, got {truncate}. The backward direction needs the whole."
        )
    if solver == "lbfgs" and dropout:
        raise ValueError(
            f"dropout must be 0 with solver='lbfgs', got {dropout}. Use solver='adam' for training with dropout."
        )
    if solver == "lbfgs" and truncate is not None:
        raise ValueError(
            f"truncate must be None with solver='lbfgs', got {truncate}. A line search needs the whole gradient."
        )

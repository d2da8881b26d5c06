"""Checks of single arguments: each returns a plain Python value or raises an error with a remedy.

Every message reads "<argument> must be <requirement>, got <value>." followed by one sentence of
remedy. A value of the wrong kind is a `TypeError`, a value of the right kind outside its range a
`ValueError`. Estimators, preprocessing and datasets share these functions; nothing below them
checks an argument again.
"""

import difflib
import math
import numbers
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_BOOLS = (bool, np.bool_)


class _Short(reprlib.Repr):
    """A repr of one short line, in which arrays and DataFrames are described by their shape."""

    def repr1(self, x: Any, level: int) -> str:
        """Return the repr of a value inside `level` containers less than the most."""
        if isinstance(x, np.generic):
            x = x.item()  # 0.5 rather than np.float64(0.5)
        if hasattr(x, "shape") and not isinstance(x, type):
            return _described(x)
        return super().repr1(x, level)

    def repr_list(self, x: list[Any], level: int) -> str:
        """Return the repr of a list; of several arrays the first one is shown."""
        if len(x) > 1 and hasattr(x[0], "shape") and not isinstance(x[0], np.generic | type):
            return f"a list of {len(x)}, the first {_described(x[0])}"
        return super().repr_list(x, level)


_short = _Short()
_short.maxlevel = 2
_short.maxstring = 60
_short.maxother = 60
_LONGEST = 200  # characters of a description


def _described(array: Any) -> str:
    """Return type and shape of an array or DataFrame."""
    if isinstance(array, np.ndarray):
        return f"an array of shape {array.shape} and dtype {array.dtype}"
    return f"a {type(array).__name__} of shape {tuple(array.shape)}"


def shown(value: object) -> str:
    """Return a short description of a value for an error message.

    Arrays are described by shape and dtype, anything else by a shortened repr.

    Examples
    --------
    >>> shown("gru"), shown(range(3))
    ("'gru'", 'range(0, 3)')
    >>> import numpy as np
    >>> shown(np.zeros((2, 3)))
    'an array of shape (2, 3) and dtype float64'
    >>> shown([np.zeros((2, 3))] * 60)
    'a list of 60, the first an array of shape (2, 3) and dtype float64'
    """
    try:
        text = " ".join(_short.repr(value).split())
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    except ValueError:  # Python refuses to print integers of several thousand digits
        return f"a {type(value).__name__} too long to print"


def integer(
    name: str,
    value: object,
    low: int | None = None,
    high: int | None = None,
) -> int:
    """Return `value` as an int if it is one and lies in [low, high].

    Parameters
    ----------
    name : str
        Name of the argument in the message.
    value : object
        An int or NumPy integer; bool, float and text are refused.
    low, high : int or None, default=None
        The least and the greatest value; None means no limit.

    Raises
    ------
    TypeError
        If `value` is no integer.
    ValueError
        If it is outside the range.

    Examples
    --------
    >>> integer("window", 20, 1)
    20
    >>> integer("window", 0, 1)
    Traceback (most recent call last):
        ...
    ValueError: window must be an integer of at least 1, got 0. Choose a number in this range.
    """
    bounds = "an integer" if low is None else f"an integer of at least {low}"
    bounds = bounds if high is None else f"an integer from {low} to {high}"
    # bool is an int to Python; True as a number is most often a slip.
    if isinstance(value, _BOOLS) or not isinstance(value, numbers.Integral):
        raise TypeError(
            f"{name} must be {bounds}, got {shown(value)}. "
            "Give a whole number, without a decimal point or quotes."
        )
    number = int(value)
    if (low is not None and number < low) or (high is not None and number > high):
        raise ValueError(
            f"{name} must be {bounds}, got {shown(value)}. Choose a number in this range."
        )
    return number


def real(
    name: str,
    value: object,
    low: float | None = None,
    high: float | None = None,
    *,
    low_open: bool = False,
    high_open: bool = False,
) -> float:
    """Return `value` as a float if it is a finite real number between `low` and `high`.

    Parameters
    ----------
    name : str
        Name of the argument in the message.
    value : object
        A float, an int or a NumPy number; bool and text are refused.
    low, high : float or None, default=None
        Ends of the range; None means no limit.
    low_open, high_open : bool, default=False
        Whether the end itself is excluded.

    Raises
    ------
    TypeError
        If `value` is no real number.
    ValueError
        If it is NaN, infinite or outside the range.

    Examples
    --------
    >>> real("dropout", 0.5, 0, 1, high_open=True)
    0.5
    >>> real("dropout", 1.5, 0, 1, high_open=True)
    Traceback (most recent call last):
        ...
    ValueError: dropout must be a number in [0, 1), got 1.5. Choose a number in this range.
    """
    left = "(-inf" if low is None else f"{'(' if low_open else '['}{low}"
    right = "inf)" if high is None else f"{high}{')' if high_open else ']'}"
    wanted = f"{name} must be a number in {left}, {right}"
    if isinstance(value, _BOOLS) or not isinstance(value, numbers.Real):
        raise TypeError(
            f"{wanted}, got {shown(value)}. Give a plain number, not text, a bool or an array."
        )
    number = _as_float(value)
    below = low is not None and (number <= low if low_open else number < low)
    above = high is not None and (number >= high if high_open else number > high)
    if below or above or not math.isfinite(number):
        raise ValueError(f"{wanted}, got {shown(value)}. Choose a number in this range.")
    return number


def _as_float(value: numbers.Real) -> float:
    """Convert to float; an int beyond float64's range counts as infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def choice(
    name: str,
    value: object,
    options: Sequence[Any],
    remedy: str = "Give one of these names.",
) -> Any:
    """Return the one of `options`, which are names or None, that equals `value`.

    So the member of an enum becomes plain text. An error ends with the name that is meant most
    probably, or else with `remedy`.

    Raises
    ------
    TypeError
        If `value` is of another kind than every option.
    ValueError
        If it is none of them.

    Examples
    --------
    >>> choice("cell", "gru", ("ffnn", "rnn", "gru", "lstm"))
    'gru'
    >>> choice("cell", "lsmt", ("ffnn", "rnn", "gru", "lstm"))
    Traceback (most recent call last):
        ...
    ValueError: cell must be one of 'ffnn', 'rnn', 'gru', 'lstm', got 'lsmt'. Did you mean 'lstm'?
    """
    known = value is None or isinstance(value, str)
    if known and value in options:
        return options[options.index(value)]
    listed = ", ".join(map(repr, options))
    message = f"{name} must be one of {listed}, got {shown(value)}."
    if isinstance(value, str):
        names = {option.casefold(): option for option in options if option}
        close = difflib.get_close_matches(value.casefold(), names, n=1)
        if close:
            remedy = f"Did you mean {names[close[0]]!r}?"
    raise (ValueError if known else TypeError)(f"{message} {remedy}")


def flag(name: str, value: object) -> bool:
    """Return `value` as a bool if it is True or False, of Python or NumPy.

    Raises
    ------
    TypeError
        If `value` is anything else, 0 and 1 included.

    Examples
    --------
    >>> flag("shuffle", True)
    True
    """
    if not isinstance(value, _BOOLS):
        raise TypeError(
            f"{name} must be True or False, got {shown(value)}. Write it without quotes."
        )
    return bool(value)


def check_finite_weights(
    arrays: Mapping[str, np.ndarray],
    remedy: str = "Fit it once more.",
) -> None:
    """Raise a ValueError if a weight to be written is infinite or NaN; the message names its array.

    Examples
    --------
    >>> check_finite_weights({"head.b": np.zeros(2)})
    """
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(
                f"estimator must have finite weights, got NaN or infinity in {name}. {remedy}"
            )


def random_generator(random_state: object) -> np.random.Generator:
    """Return a NumPy Generator for scikit-learn's `random_state`.

    Parameters
    ----------
    random_state : None, int, numpy.random.RandomState or numpy.random.Generator
        None takes fresh entropy, an int of at least 0 is a seed, a RandomState is drawn from for a
        seed (so that it moves on), a Generator is used as it is.

    Returns
    -------
    numpy.random.Generator

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If it is a negative int.

    Examples
    --------
    >>> random_generator(7).integers(1000) == random_generator(7).integers(1000)
    np.True_
    """
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        seed = random_state.randint(0, 2**32, size=4, dtype=np.uint64)  # 128 bits
        return np.random.default_rng(seed)
    if random_state is None:
        return np.random.default_rng()
    if isinstance(random_state, numbers.Integral) and not isinstance(random_state, _BOOLS):
        return np.random.default_rng(integer("random_state", random_state, 0))
    raise TypeError(
        "random_state must be None, an integer of at least 0, a RandomState or a Generator, got "
        f"{shown(random_state)}. Give an integer to get the same result every time."
    )

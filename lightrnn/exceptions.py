"""Exceptions and warnings, which are scikit-learn's own as well as soon as scikit-learn is loaded."""

import functools
import sys
import warnings
from typing import Any, TypeVar, cast

E = TypeVar("E", bound=Exception)


class NotFittedError(ValueError, AttributeError):
    """A method was called that needs `fit` first."""


class ConvergenceWarning(UserWarning):
    """Training ended before it converged, or goes badly."""


class DataConversionWarning(UserWarning):
    """Data was taken in another form than it was given."""


def resolve(own: type[E]) -> type[E]:
    """Return `own`, joined with scikit-learn's class of the same name if scikit-learn is loaded.

    Examples
    --------
    >>> issubclass(resolve(NotFittedError), NotFittedError)
    True
    """
    theirs = getattr(sys.modules.get("sklearn.exceptions"), own.__name__, None)
    return own if theirs is None else cast(type[E], _joined(cast(Any, own), theirs))


@functools.cache
def _joined(own: type, theirs: type) -> type:
    """Make the one class that is both; pickled as a call of `_rebuild`, for workers that may lack scikit-learn."""
    body = {"__module__": own.__module__, "__doc__": own.__doc__}
    joined: Any = type(own.__name__, (own, theirs), body)
    joined.__reduce__ = lambda self: (_rebuild, (own, self.args))
    return joined


def _rebuild(own: type[Exception], args: tuple[Any, ...]) -> Exception:
    """Unpickle an exception of a joined class."""
    return resolve(own)(*args)


def warn(category: type[Warning], message: str) -> None:
    """Warn with `category` as scikit-learn knows it, at the line outside this package that led here."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and f"{frame.f_globals.get('__package__')}.".startswith(
        f"{__package__}."
    ):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, resolve(category), stacklevel=level)

"""Exceptions and warnings, each joined with scikit-learn's class once scikit-learn is loaded."""

import functools
import sys
import warnings
from typing import Any, TypeVar, cast

__all__ = ["ConvergenceWarning", "DataConversionWarning", "NotFittedError"]

E = TypeVar("E", bound=Exception)


class NotFittedError(ValueError, AttributeError):
    """Raised when a method is called that needs `fit` first.

    If scikit-learn is loaded, the exception is also a `sklearn.exceptions.NotFittedError`.

    Examples
    --------
    >>> from lightrnn import RNNClassifier
    >>> from lightrnn.exceptions import NotFittedError
    >>> try:
    ...     RNNClassifier().predict([[[0.5]]])
    ... except NotFittedError as error:
    ...     print(str(error).partition(".")[0])
    This RNNClassifier instance is not fitted yet
    """


class ConvergenceWarning(UserWarning):
    """Warns that training ended before it converged, or that it goes badly.

    If scikit-learn is loaded, the warning is also a `sklearn.exceptions.ConvergenceWarning`, so
    that a filter on either class catches it.

    Examples
    --------
    Turn the warning into an error, or silence it where a few epochs are enough:

    >>> import warnings
    >>> from lightrnn.exceptions import ConvergenceWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", ConvergenceWarning)
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", ConvergenceWarning)
    """


class DataConversionWarning(UserWarning):
    """Warns that data was converted to another form than it was given in.

    It is given for a y of shape (n, 1), which is read as (n,). If scikit-learn is loaded, the
    warning is also a `sklearn.exceptions.DataConversionWarning`.

    Examples
    --------
    >>> import warnings
    >>> from lightrnn.exceptions import DataConversionWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", DataConversionWarning)
    """


def resolve(own: type[E]) -> type[E]:
    """Return `own`, joined with scikit-learn's class of the same name if scikit-learn is loaded.

    Examples
    --------
    >>> issubclass(resolve(NotFittedError), NotFittedError)
    True
    """
    theirs = getattr(sys.modules.get("sklearn.exceptions"), own.__name__, None)
    return own if theirs is None else _joined(cast(Any, own), theirs)


@functools.cache  # so that `except` and `pickle` meet one class
def _joined(own: type, theirs: type) -> Any:
    """Return a subclass of both classes.

    It is pickled as a call of `_rebuild`, so that a worker without scikit-learn can read it.
    """
    body = {
        "__module__": own.__module__,
        "__doc__": own.__doc__,
        "__reduce__": lambda self: (_rebuild, (own, self.args)),
    }
    return type(own.__name__, (own, theirs), body)


def _rebuild(own: type[Exception], args: tuple[Any, ...]) -> Exception:
    """Return an exception of a joined class that was pickled."""
    return resolve(own)(*args)


def warn(category: type[Warning], message: str) -> None:
    """Give a warning that points at the line outside this package that led here.

    `category` is one of this module's classes, or any other warning.
    """
    frame = sys._getframe(1)
    level = 2
    while frame.f_back is not None and _is_ours(frame.f_globals):
        frame = frame.f_back
        level += 1
    warnings.warn(message, resolve(category), stacklevel=level)


def _is_ours(module: dict[str, Any]) -> bool:
    """Whether the globals are those of a module of this package."""
    return f"{module.get('__package__')}.".startswith(f"{__package__}.")

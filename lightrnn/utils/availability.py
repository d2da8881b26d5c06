"""Methods that an object has only where its arguments allow them."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class UnavailableError(AttributeError, ValueError):
    """A method does not exist with the arguments that an object has, which `hasattr` sees."""


class _Available:
    """A method in a class, and the check of an object that has it."""

    def __init__(self, check: Callable[[Any], None], method: Callable[..., Any]) -> None:
        self._check = check
        self._method = method

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        """Return the method, of an object after the check."""
        if owner is None:
            return self._method
        self._check(owner)
        return MethodType(self._method, owner)


def available_if(check: Callable[[Any], None]) -> Callable[[F], F]:
    """Return a decorator of a method that an object lacks if a check of it raises.

    Parameters
    ----------
    check : callable
        Takes the object, and raises `UnavailableError` if it has no such method.

    Examples
    --------
    >>> def check(box):
    ...     if box.locked:
    ...         raise UnavailableError("locked must be False to look inside, got True.")
    >>> class Box:
    ...     locked = True
    ...     @available_if(check)
    ...     def content(self):
    ...         return "gold"
    >>> hasattr(Box(), "content"), hasattr(Box, "content")
    (False, True)
    """

    def decorate(method: F) -> F:
        return _Available(check, method)  # type: ignore[return-value]

    return decorate

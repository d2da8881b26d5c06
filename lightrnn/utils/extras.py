"""Import packages that not every installation has."""

import importlib
from typing import Any


def import_extra(module: str, purpose: str, extra: str) -> Any:
    """Return a module of a package that an extra of lightrnn installs.

    Parameters
    ----------
    module : str
        Name of the module.
    purpose : str
        Use of the package, for the error's message, such as "to draw".
    extra : str
        Name of the extra.

    Raises
    ------
    ImportError
        If the package is not installed.

    Examples
    --------
    >>> import_extra("no_such_package", "to draw", "plot")
    Traceback (most recent call last):
        ...
    ImportError: no_such_package must be installed to draw, got none. \
Run: python -m pip install 'lightrnn[plot]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{module.partition('.')[0]} must be installed {purpose}, got none. "
            f"Run: python -m pip install 'lightrnn[{extra}]'"
        ) from error

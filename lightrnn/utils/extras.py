"""Import packages that not every installation has."""

import importlib
from typing import Any


def import_extra(module: str, purpose: str) -> Any:
    """Return a module of a package that has the module's name and may be missing.

    Parameters
    ----------
    module : str
        Name of the module.
    purpose : str
        Use of the package, for the error's message, such as "to draw".

    Raises
    ------
    ImportError
        If the package is not installed.

    Examples
    --------
    >>> import_extra("no_such_package", "to draw")
    Traceback (most recent call last):
        ...
    ImportError: no_such_package must be installed to draw, got none. \
Run: python -m pip install no_such_package
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"{package} must be installed {purpose}, got none. Run: python -m pip install {package}"
        ) from error

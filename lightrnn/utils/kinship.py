"""Estimators are scikit-learn's too, without importing it: they inherit from it once it is loaded.

Tools such as those of sktime and aeon ask whether an object is an instance of scikit-learn's
classes. Nothing is taken from these but the kinship, since they come last among the bases.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import Any

_BASE = "sklearn.base"
_WAITING: list[tuple[type, tuple[str, ...]]] = []  # until scikit-learn is loaded


def inherit_from_sklearn(kind: type, *names: str) -> None:
    """Make a class a subclass of classes of scikit-learn, now or as soon as that is loaded.

    Parameters
    ----------
    kind : type
        The class.
    *names : str
        Classes of ``sklearn.base`` in their order there: mixins before BaseEstimator.
    """
    if _BASE in sys.modules:
        _inherit(kind, names)
    else:
        _WAITING.append((kind, names))
        if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
            sys.meta_path.insert(0, _Finder())


def _inherit(kind: type, names: tuple[str, ...]) -> None:
    """Append classes of scikit-learn to the bases of a class."""
    theirs = [getattr(sys.modules[_BASE], name) for name in names]
    kind.__bases__ = (*kind.__bases__, *(base for base in theirs if base not in kind.__bases__))


class _Finder(MetaPathFinder):
    """Lets others find scikit-learn, and follows its import."""

    def __init__(self) -> None:
        self._searching = False

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return what the other finders return for scikit-learn, None for all else."""
        if name != _BASE or self._searching:
            return None
        self._searching = True
        try:
            spec = find_spec(name)
        finally:
            self._searching = False
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                load(module)
                while _WAITING:
                    _inherit(*_WAITING.pop(0))
                sys.meta_path.remove(self)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

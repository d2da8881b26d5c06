"""Estimators in notebooks, shown by scikit-learn where it is loaded."""

from __future__ import annotations

import html
import sys
from collections.abc import Iterable
from typing import Any

_STYLE = "text-align: left; padding: 0 1em 0 0"


def table(title: str, rows: Iterable[tuple[str, str]]) -> str:
    """Return a table of names and values below a title in HTML, with everything in it escaped.

    Examples
    --------
    >>> "<code>&#x27;lstm&#x27;</code>" in table("RNNClassifier", [("cell", "'lstm'")])
    True
    """
    lines = [
        f'<tr><th style="{_STYLE}">{html.escape(name)}</th>'
        f'<td style="{_STYLE}"><code>{html.escape(value)}</code></td></tr>'
        for name, value in rows
    ]
    heading = f'<tr><th style="{_STYLE}" colspan="2">{html.escape(title)}</th></tr>'
    return f"<table>{heading}{''.join(lines)}</table>"


class NotebookMixin:
    """Mixin that shows an estimator in notebooks as scikit-learn's are shown."""

    def _repr_html_(self: Any) -> str:
        """Return scikit-learn's diagram if it is loaded, else a table of the arguments."""
        sklearn = sys.modules.get("sklearn.utils")
        if sklearn is not None:
            diagram: str = sklearn.estimator_html_repr(self)
            return diagram
        fitted = "fitted" if self.__sklearn_is_fitted__() else "not fitted"
        arguments = ((name, repr(getattr(self, name, None))) for name in self._defaults())
        return table(f"{type(self).__name__}, {fitted}", arguments)

    def _repr_mimebundle_(self: Any, **kwargs: Any) -> dict[str, str]:
        """Return the forms of display; scikit-learn's ``display="text"`` leaves HTML out."""
        bundle = {"text/plain": repr(self)}
        sklearn = sys.modules.get("sklearn")
        if sklearn is None or sklearn.get_config()["display"] == "diagram":
            bundle["text/html"] = self._repr_html_()
        return bundle

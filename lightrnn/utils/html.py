"""A small table in HTML, which notebooks show in place of a repr."""

from __future__ import annotations

import html
from collections.abc import Iterable

_STYLE = "text-align: left; padding: 0 1em 0 0"


def table(title: str, rows: Iterable[tuple[str, str]]) -> str:
    """Return a table of names and values below a title, with everything in it escaped.

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

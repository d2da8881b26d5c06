"""A page of text, tables and SVG pictures in one HTML file, light and dark, that loads nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from ..utils.files import replacing

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1b1b; --soft: #595959; --line: #d0d0d0;
  --c0: #0064a0; --c1: #b34700; --c2: #007a5a; --c3: #a0457a; --c4: #8a6100; --c5: #3f3f9e; }
@media (prefers-color-scheme: dark) { :root { --paper: #161616; --ink: #ececec; --soft: #b3b3b3;
  --line: #4a4a4a; --c0: #6cb8f0; --c1: #ff9a57; --c2: #4fd1a5; --c3: #eb9cc8; --c4: #e6b84c;
  --c5: #a9a9ff; } }
body { background: var(--paper); color: var(--ink); font: 17px/1.55 system-ui, sans-serif;
  max-width: 46rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: break-word; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
figure { margin: 1.5rem 0; } figcaption { color: var(--soft); font-size: .88rem; }
svg { width: 100%; height: auto; display: block; overflow: visible; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; white-space: nowrap; }
th.text, td.text { text-align: left; }
@media (max-width: 38rem) { svg.chart text { font-size: 14px; } }
"""
# Sizes of a chart in SVG's units, and of the margins for its labels.
_WIDTH = 640
_HEIGHT = 300
_LEFT = 76
_BOTTOM = 44
_TOP = 12
_RIGHT = 120  # for the names of curves
_DASHES = ("", "7 4", "2 3", "9 3 2 3", "5 2", "1 2")
_CELL = 16  # size of a cell of a heat map


class Page:
    """A page that grows from the top down.

    Parameters
    ----------
    title : str
        Title and first heading.

    Examples
    --------
    >>> page = Page("Two nets")
    >>> page.text("The table has one line.")
    >>> page.table(("net", "score"), [("lstm", "0.98")], "Scores.")
    >>> page.html().count("<table>")
    1
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._parts = [f"<h1>{escape(title)}</h1>"]

    def heading(self, text: str) -> None:
        """Add a heading."""
        self._parts.append(f"<h2>{escape(text)}</h2>")

    def text(self, *paragraphs: str) -> None:
        """Add paragraphs."""
        self._parts += [f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs]

    def table(
        self, header: Sequence[str], rows: Sequence[Sequence[str]], caption: str = ""
    ) -> None:
        """Add a table."""
        columns = zip(*rows, strict=True)
        kinds = ["number" if any(map(_is_number, column)) else "text" for column in columns]

        top = _cells("th", kinds, header)
        body = "".join(f"<tr>{_cells('td', kinds, row)}</tr>" for row in rows)
        body = body.replace(" ± ", "&nbsp;±&nbsp;")
        # The caption stays outside of what scrolls on a narrow screen.
        self._parts.append(
            f'<figure><figcaption>{escape(caption)}</figcaption><div class="scroll"><table>'
            f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div></figure>"
        )

    def figure(self, svg: str, caption: str) -> None:
        """Add a picture that one of the functions below has drawn."""
        self._parts.append(f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>")

    def html(self) -> str:
        """Return the whole file."""
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self._title)}</title><style>{_STYLE}</style></head>\n<body>\n"
            + "\n".join(self._parts)
            + "\n</body></html>\n"
        )

    def write(self, path: Any) -> None:
        """Write the file."""
        with replacing(path) as file:
            file.write(self.html().encode())


def line_chart(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    labels: tuple[str, str],
    alt: str,
    *,
    log: str = "",
    marks: bool = False,
) -> str:
    """Draw curves, each named at its end, and return the SVG.

    Parameters
    ----------
    curves : dict of str to pair of sequences
        The x and y of each curve.
    labels : pair of str
        Names of the axes.
    alt : str
        Text that says what the picture shows.
    log : {"", "x", "y", "xy"}, default=""
        Which axes are logarithmic; values that are not positive are then left out.
    marks : bool, default=False
        Whether points are marked; they then keep off the axes.
    """
    known = {name: _finite(*curve, log) for name, curve in curves.items()}
    known = {name: points for name, points in known.items() if len(points)}
    joined = np.concatenate(list(known.values()))
    margin = 0.06 if marks else 0.0
    axes = [_Axis(joined[:, i], name in log, margin) for i, name in enumerate("xy")]
    parts = [_frame(axes, labels)]
    ends: list[float] = []
    for number, (name, points) in enumerate(known.items()):
        x = _LEFT + axes[0].place(points[:, 0]) * (_WIDTH - _LEFT - _RIGHT)
        y = _HEIGHT - _BOTTOM - axes[1].place(points[:, 1]) * (_HEIGHT - _BOTTOM - _TOP)
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        colour = f"var(--c{number % 6})"
        parts.append(
            f'<polyline points="{path}" fill="none" style="stroke: {colour}" stroke-width="2" '
            f'stroke-dasharray="{_DASHES[number % 6]}"/>'
        )
        if marks:
            parts += [
                f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" style="fill: {colour}"/>'
                for a, b in zip(x, y, strict=True)
            ]
        height = _free(float(y[-1]) + 4, ends)
        parts.append(_text(x[-1] + 6, height, name, style=f"fill: {colour}"))
    return _svg(_WIDTH, _HEIGHT, alt, parts, "chart")


def heat_map(values: np.ndarray, rows: Sequence[str], columns: Sequence[str], alt: str) -> str:
    """Draw values from 0 to 1, the darker the larger, each with one digit; return the SVG."""
    left = 8 + 7 * max(map(len, rows))
    upright = max(map(len, columns)) <= 3  # names that fit above their columns
    top = _CELL if upright else 8 + 7 * max(map(len, columns))
    size = 2 * _CELL
    parts = []
    anchor, angle = ("middle", 0) if upright else ("start", -90)
    for j, name in enumerate(columns):
        parts.append(_text(left + (j + 0.6) * size, top - 4, name, anchor, angle))
    for i, (name, line) in enumerate(zip(rows, values.tolist(), strict=True)):
        y = top + i * _CELL
        parts.append(_text(0, y + 12, name))
        for j, value in enumerate(line):
            x = left + j * size
            parts.append(
                f'<rect x="{x}" y="{y}" width="{size}" height="{_CELL}" '
                f'style="fill: var(--c0); fill-opacity: {0.55 * value:.2f}"/>'
            )
            parts.append(_text(x + 7, y + 12, f"{value:.2f}", style="font-size: 10px"))
    return _svg(left + size * len(columns), top + _CELL * len(rows) + 4, alt, parts)


def _cells(tag: str, kinds: Sequence[str], cells: Sequence[str]) -> str:
    """Return the cells of a line of a table, each of the kind of its column."""
    scope = ' scope="col"' if tag == "th" else ""
    known = zip(kinds, cells, strict=True)
    return "".join(f'<{tag}{scope} class="{kind}">{escape(cell)}</{tag}>' for kind, cell in known)


def _is_number(cell: str) -> bool:
    """Return whether a cell begins as a number does."""
    return cell[:1] in set("+-0123456789")


class _Axis:
    """The range of an axis and its ticks."""

    def __init__(self, values: np.ndarray, log: bool, margin: float) -> None:
        self._log = log
        self._values = np.unique(values)
        scaled = np.log10(values) if log else values
        span = float(scaled.max() - scaled.min()) or 1.0
        self._low = float(scaled.min()) - margin * span
        self._span = (1 + 2 * margin) * span

    def place(self, values: Any) -> Any:
        """Return where values stand between the ends of the axis, from 0 to 1."""
        scaled = np.log10(values) if self._log else np.asarray(values)
        return (scaled - self._low) / self._span

    def ticks(self) -> list[float]:
        """Return a few round numbers within the range, or on a log scale a few whole values."""
        if self._log and len(self._values) <= 6 and not (self._values % 1).any():
            return list(self._values.tolist())
        low = self._low
        high = low + self._span
        if self._log and self._span <= 2:
            rounded = [float(f"{10**power:.1g}") for power in np.linspace(low, high, 5)]
            return [tick for tick in dict.fromkeys(rounded) if 0 <= self.place(tick) <= 1]
        unit = 10.0 ** math.floor(math.log10(self._span / 4))
        unit *= next(factor for factor in (1, 2, 5, 10) if self._span / (factor * unit) <= 6)
        if self._log:
            unit = max(unit, 1.0)
        ticks = [unit * k for k in range(math.ceil(low / unit), math.floor(high / unit) + 1)]
        return [10.0**tick for tick in ticks] if self._log else ticks


def _finite(x: Sequence[float], y: Sequence[float], log: str) -> np.ndarray:
    """Return the points of a curve that can be drawn, (n, 2)."""
    points = np.column_stack([np.asarray(x, float), np.asarray(y, float)])
    drawn = np.isfinite(points).all(axis=1)
    for column, axis in enumerate("xy"):
        if axis in log:
            drawn &= points[:, column] > 0
    return points[drawn]


def _frame(axes: Sequence[_Axis], labels: tuple[str, str]) -> str:
    """Return axes, ticks and labels."""
    floor = _HEIGHT - _BOTTOM
    wide = _WIDTH - _LEFT - _RIGHT
    parts = [
        f'<path d="M{_LEFT} {_TOP}V{floor}H{_WIDTH - _RIGHT}" fill="none" '
        'style="stroke: var(--soft)"/>'
    ]
    for tick in axes[0].ticks():
        x = _LEFT + float(axes[0].place(tick)) * wide
        parts.append(_text(x, floor + 16, f"{tick:g}", "middle"))
    for tick in axes[1].ticks():
        y = floor - float(axes[1].place(tick)) * (floor - _TOP)
        parts.append(f'<path d="M{_LEFT} {y:.1f}h{wide}" style="stroke: var(--line)"/>')
        parts.append(_text(_LEFT - 6, y + 4, f"{tick:g}", "end"))
    parts.append(_text(_LEFT + wide / 2, _HEIGHT - 8, labels[0], "middle"))
    parts.append(_text(14, (_TOP + floor) / 2, labels[1], "middle", -90))
    return "".join(parts)


def _text(
    x: float, y: float, text: str, anchor: str = "start", angle: int = 0, *, style: str = ""
) -> str:
    """Return a line of text that begins, ends or has its middle at a place."""
    return (
        f'<text transform="translate({x:.1f} {y:.1f}) rotate({angle})" text-anchor="{anchor}" '
        f'style="{style}">{escape(text)}</text>'
    )


def _free(height: float, taken: list[float]) -> float:
    """Return the nearest height at which a name covers none of those before."""
    for shift in range(0, _HEIGHT, 3):
        for place in (height - shift, height + shift):
            if all(abs(place - other) >= 13 for other in taken) and 10 <= place <= _HEIGHT - 4:
                taken.append(place)
                return place
    return height


def _svg(width: float, height: float, alt: str, parts: Sequence[str], kind: str = "") -> str:
    """Return a picture with its text for those who do not see it; `kind` is its class."""
    style = f"max-width: {1.15 * width:.0f}px"  # a small picture need not fill the page
    return (
        f'<svg class="{kind}" viewBox="0 0 {width:.0f} {height:.0f}" style="{style}" role="img" '
        f'aria-label="{escape(alt)}"><title>{escape(alt)}</title>{"".join(parts)}</svg>'
    )

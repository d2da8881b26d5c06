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
  --c0: #0064a0; --c1: #b34700; --c2: #007a5a; --c3: #a0457a; --c4: #8a6100; --c5: #3f3f9e;
  --for: 230,97,0; --against: 93,58,155; }
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
.words span { display: inline-block; text-align: center; padding: .1rem .3rem; margin: .15rem .1rem;
  border-radius: .2rem; } .words small { display: block; color: var(--ink); font-size: .72rem; }
th.text, td.text { text-align: left; }
pre { overflow-x: auto; border-left: 3px solid var(--line); padding-left: .8rem; }
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

    def code(self, text: str) -> None:
        """Add lines in a font of one width."""
        self._parts.append(f"<pre>{escape(text)}</pre>")

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

    def words(self, tokens: Sequence[str], shares: np.ndarray, caption: str) -> None:
        """Add a text in which each word has its share as colour and as number."""
        limit = float(np.abs(shares).max()) or 1.0
        spans = []
        for token, share in zip(tokens, shares.tolist(), strict=True):
            name = "for" if share >= 0 else "against"
            strength = 0.55 * abs(share) / limit
            spans.append(
                f'<span style="background: rgba(var(--{name}), {strength:.2f})">{escape(token)}'
                f"<small>{share:+.2f}</small></span>"
            )
        self._parts.append(
            f'<figure class="words">{" ".join(spans)}'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
        )

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
        parts.append(
            f'<text x="{x[-1] + 6:.1f}" y="{height:.1f}" style="fill: {colour}">'
            f"{escape(name)}</text>"
        )
    return _svg(_WIDTH, _HEIGHT, alt, parts, "chart")


def heat_map(values: np.ndarray, rows: Sequence[str], columns: Sequence[str], alt: str) -> str:
    """Draw values from 0 to 1, the darker the larger, each with one digit; return the SVG."""
    left = 8 + 7 * max(map(len, rows))
    upright = max(map(len, columns)) <= 3  # names that fit above their columns
    top = _CELL if upright else 8 + 7 * max(map(len, columns))
    size = 2 * _CELL
    parts = []
    for number, name in enumerate(columns):
        x = left + (number + 0.6) * size
        anchor, angle = ("middle", 0) if upright else ("start", -90)
        parts.append(
            f'<text transform="translate({x:.0f} {top - 4}) rotate({angle})" '
            f'text-anchor="{anchor}">'
            f"{escape(name)}</text>"
        )
    for i, (name, line) in enumerate(zip(rows, values.tolist(), strict=True)):
        y = top + i * _CELL
        parts.append(f'<text x="0" y="{y + 12}">{escape(name)}</text>')
        for j, value in enumerate(line):
            x = left + j * size
            parts.append(
                f'<rect x="{x}" y="{y}" width="{size}" height="{_CELL}" '
                f'style="fill: var(--c0); fill-opacity: {0.55 * value:.2f}"/>'
                f'<text x="{x + 7}" y="{y + 12}" style="font-size: 10px">{value:.2f}</text>'
            )
    return _svg(left + size * len(columns), top + _CELL * len(rows) + 4, alt, parts)


def unrolled(words: Sequence[str], alt: str) -> str:
    """Draw a recurrent network over the words that it reads, and return the SVG."""
    step = (_WIDTH - 40) / len(words)
    parts = []
    for i, word in enumerate(words):
        x = 20 + (i + 0.5) * step
        parts.append(
            f'<rect x="{x - 28:.0f}" y="60" width="56" height="34" rx="6" fill="none" '
            'style="stroke: var(--c0)" stroke-width="2"/>'
            f'<text x="{x:.0f}" y="82" text-anchor="middle">state</text>'
            f'<text x="{x:.0f}" y="140" text-anchor="middle">{escape(word)}</text>'
            + _arrow(x, 124, x, 98)
        )
        if i + 1 < len(words):
            parts.append(_arrow(x + 30, 77, x + step - 32, 77))
        else:
            parts.append(
                f'<text x="{x:.0f}" y="24" text-anchor="middle">next word</text>'
                + _arrow(x, 58, x, 32)
            )
    return _svg(_WIDTH, 152, alt, parts)


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
        if self._log and self._span > 2:
            every = math.ceil(self._span / 6)
            powers = range(math.ceil(self._low), math.floor(self._low + self._span) + 1, every)
            return [10.0**power for power in powers]
        low = 10**self._low if self._log else self._low
        high = 10 ** (self._low + self._span) if self._log else self._low + self._span
        if self._log:
            rounded = [float(f"{tick:.1g}") for tick in np.geomspace(low, high, 5)]
            return [tick for tick in dict.fromkeys(rounded) if low <= tick <= high]
        unit = 10.0 ** math.floor(math.log10((high - low) / 4))
        unit *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (factor * unit) <= 6)
        return [unit * k for k in range(math.ceil(low / unit), math.floor(high / unit) + 1)]


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
        parts.append(f'<text x="{x:.0f}" y="{floor + 16}" text-anchor="middle">{tick:g}</text>')
    for tick in axes[1].ticks():
        y = floor - float(axes[1].place(tick)) * (floor - _TOP)
        parts.append(
            f'<path d="M{_LEFT} {y:.1f}h{wide}" style="stroke: var(--line)"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    middle = (_TOP + floor) / 2
    parts.append(
        f'<text x="{_LEFT + wide / 2:.0f}" y="{_HEIGHT - 8}" text-anchor="middle">'
        f"{escape(labels[0])}</text>"
        f'<text transform="translate(14 {middle:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(labels[1])}</text>"
    )
    return "".join(parts)


def _free(height: float, taken: list[float]) -> float:
    """Return the nearest height at which a name covers none of those before."""
    for shift in range(0, _HEIGHT, 3):
        for place in (height - shift, height + shift):
            if all(abs(place - other) >= 13 for other in taken) and 10 <= place <= _HEIGHT - 4:
                taken.append(place)
                return place
    return height


def _arrow(x0: float, y0: float, x1: float, y1: float) -> str:
    """Return a line with a head at its end."""
    angle = math.degrees(math.atan2(y1 - y0, x1 - x0))
    return (
        f'<path d="M{x0:.0f} {y0:.0f}L{x1:.0f} {y1:.0f}" style="stroke: var(--soft)"/>'
        f'<path d="M0 0l-7 -4v8z" style="fill: var(--soft)" '
        f'transform="translate({x1:.0f} {y1:.0f}) rotate({angle:.0f})"/>'
    )


def _svg(width: float, height: float, alt: str, parts: Sequence[str], kind: str = "") -> str:
    """Return a picture with its text for those who do not see it; `kind` is its class."""
    style = f"max-width: {1.15 * width:.0f}px"  # a small picture need not fill the page
    return (
        f'<svg class="{kind}" viewBox="0 0 {width:.0f} {height:.0f}" style="{style}" role="img" '
        f'aria-label="{escape(alt)}"><title>{escape(alt)}</title>{"".join(parts)}</svg>'
    )

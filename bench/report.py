"""What a table is, how it is printed, and how it lands in README.md."""

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .peers import CPUS

README = Path(__file__).parent / "README.md"
FRONT_PAGE = README.parent.parent / "README.md"  # shows some of the tables too

Row = tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """What the command line asked for."""

    quick: bool

    @property
    def threads(self) -> tuple[int, ...]:
        """How many threads to measure with."""
        return (1,) if self.quick or CPUS == 1 else (1, 2)

    def progress(self, text: str) -> None:
        """Say what is being measured, where it does not get into the tables."""
        print(f"  {text}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Table:
    """A table to be measured.

    Attributes
    ----------
    name : str
        For `--only` and the markers in README.md.
    title, note : str
        What it shows, what to know when reading it.
    columns : tuple of str
        Heads; the last two are "bar" and "reached" where there is something to reach.
    rows : callable
        Measures, row by row.
    """

    name: str
    title: str
    columns: Row
    rows: Callable[[Run], Iterator[Row]]
    note: str

    def measure(self, run: Run) -> tuple[str, list[Row]]:
        """Return the table as Markdown, and its rows."""
        rows = []
        for row in self.rows(run):
            run.progress(f"{self.name}: {' '.join(cell for cell in row if cell)}")
            rows.append(row)
        return f"**{self.title}**\n\n{markdown(self.columns, rows)}\n\n{self.note}\n", rows


def verdict(figure: float, bar: float | None, template: str = "{:g}", at_most: bool = False) -> Row:
    """Return the cells "bar" and "reached"."""
    if bar is None or math.isnan(figure):
        return "", ""
    return template.format(bar), "yes" if (figure <= bar if at_most else figure >= bar) else "NO"


def shown(figure: float, template: str) -> str:
    """Return a figure as text, nothing for NaN."""
    return "" if math.isnan(figure) else template.format(figure)


def times_faster(ratio: float) -> str:
    """Return a ratio as text."""
    return shown(ratio, "{:.2f}")


def milliseconds(seconds: float) -> str:
    """Return seconds as text in ms."""
    return shown(seconds * 1e3, "{:.3g}")


def write(name: str, text: str) -> None:
    """Put a text between the markers of this name, wherever they stand."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    for page in (README, FRONT_PAGE):
        before, found, rest = page.read_text().partition(begin)
        if found:
            page.write_text(before + begin + text + end + rest.split(end)[1])


def markdown(columns: Row, rows: list[Row]) -> str:
    """Return a table whose columns are also aligned as plain text: first column to the left, others to the right."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    lines = [
        _line(columns, widths),
        "|" + "|".join("-" * (w + 1) + "-:"[i > 0] for i, w in enumerate(widths)) + "|",
    ]
    return "\n".join(lines + [_line(row, widths) for row in rows])


def _line(cells: Row, widths: list[int]) -> str:
    texts = [
        f"{cell:>{width}}" if i else f"{cell:<{width}}"
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(texts)} |"

"""Tables: how they are measured, printed, and written into README.md."""

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .peers import CPUS

README = Path(__file__).parent / "README.md"

Row = tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """The options of the command line that matter to a table."""

    quick: bool
    data: str | None = None  # a folder of data that does not ship with the package

    @property
    def threads(self) -> tuple[int, ...]:
        """Return the numbers of threads to measure with."""
        return (1,) if self.quick or CPUS == 1 else (1, 2)

    def progress(self, text: str) -> None:
        """Print progress to stderr, where it does not get into the tables."""
        print(f"  {text}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Table:
    """A table to be measured.

    Attributes
    ----------
    name : str
        Its name in `--only` and in the markers in README.md.
    title : str
        The line above it.
    columns : tuple of str
        Heads of the columns; the last two are "bar" and "reached" if there is a bar.
    rows : callable
        Generator that measures and yields one row after the other.
    note : str
        How the figures were measured, and what they do not show.
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
    """Return the cells "bar" and "reached", which are empty without a bar or a figure."""
    if bar is None or math.isnan(figure):
        return "", ""
    reached = figure <= bar if at_most else figure >= bar
    return template.format(bar), "yes" if reached else "NO"


def shown(figure: float, template: str) -> str:
    """Return a figure as text; an empty one for NaN."""
    return "" if math.isnan(figure) else template.format(figure)


def times_faster(ratio: float) -> str:
    """Return a ratio as text."""
    return shown(ratio, "{:.2f}")


def milliseconds(seconds: float) -> str:
    """Return seconds as text in milliseconds."""
    return shown(seconds * 1e3, "{:.3g}")


def write(name: str, text: str) -> None:
    """Put a text between the markers of this name in the page, if it has them."""
    begin = f"<!-- {name}: begin -->\n"
    end = f"<!-- {name}: end -->"
    before, found, rest = README.read_text().partition(begin)
    if found:
        README.write_text(before + begin + text + end + rest.split(end)[1])


def markdown(columns: Row, rows: list[Row]) -> str:
    """Return a Markdown table that is aligned as plain text, too: the first column to the left."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    first, *others = ("-" * (width + 1) for width in widths)
    rule = "|".join([f"{first}-", *(f"{dashes}:" for dashes in others)])
    lines = [_line(columns, widths), f"|{rule}|", *(_line(row, widths) for row in rows)]
    return "\n".join(lines)


def _line(cells: Row, widths: list[int]) -> str:
    texts = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
    texts[0] = cells[0].ljust(widths[0])
    return f"| {' | '.join(texts)} |"

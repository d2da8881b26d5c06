"""Tables and counts for a terminal."""

from collections.abc import Sequence


def as_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table with aligned columns, the first to the left and the others to the right.

    Examples
    --------
    >>> print(as_table(("net", "score"), [("lstm", "0.98"), ("ffnn", "0.5")]))
    net   score
    lstm   0.98
    ffnn    0.5
    """
    table = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for first, *rest in table:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())  # the last cells may be empty
    return "\n".join(lines)


def counted(n: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is 1.

    Examples
    --------
    >>> counted(1, "step"), counted(20, "step")
    ('1 step', '20 steps')
    """
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"

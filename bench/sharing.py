"""One line about this machine: its processor, the versions, and how lightrnn compares here."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from . import mlp, peers, steps, uses
from .machine import describe
from .timing import alternate, median, ratio

Calls = dict[str, Callable[[], Any]]


def _cases() -> Iterator[tuple[str, Callable[[], Calls]]]:
    """Yield short comparisons on one thread by name."""
    shape = steps.SHAPES[2]
    for cell in steps.GATES:
        yield f"{cell} {shape}", partial(steps.sides, cell, shape, 1)
    tiny = steps.Shape(8, 20, 4, 16)
    yield f"lstm {tiny}", partial(steps.sides, "lstm", tiny, 1)
    both = next(iter(uses.USES))
    yield f"lstm, {both}", lambda: uses.sides(uses.USES[both])
    n, F, batch = mlp.CASES[1]
    yield f"ffnn, fit of n{n} F{F} B{batch}", lambda: mlp.sides(*mlp.make_data(n, F, 0), batch, 1)


def line(quick: bool) -> str:
    """Measure, and return the line: milliseconds, and how many times longer the peer takes."""
    figures = []
    for name, make in _cases():
        with peers.limited(1):
            times = alternate(make(), most=7 if quick else 41)
        ours, *others = times
        text = f"{name}: {1e3 * median(times, ours):.3g} ms"
        text += "".join(f", {other} / lightrnn {ratio(times, other):.2f}" for other in others)
        figures.append(text)
    return " | ".join([describe(0).strip(), "one thread", *figures])

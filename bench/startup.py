"""Time to start and peak memory of a new process; each fit runs in a child process."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from . import peers
from .report import Row, Run, Table, verdict
from .timing import in_child

CELLS = ("lstm", "gru", "rnn", "ffnn")
BARS = {"import": 0.15, "warm": 1.2, "saved": 0.8}  # seconds
COLD = {"lstm": 5.0, "gru": 5.0, "rnn": 5.0, "ffnn": 4.0}

DATA = {
    "vowels": "JapaneseVowels, LSTM 64",
    "large": "640 x T100 F128, LSTM 256",
    "words": "10,000 words, LSTM 200 x 2",
}

Figures = dict[str, float]


def _startup_rows(run: Run) -> Iterator[Row]:
    """Start a cold process for each cell, then warm ones in turns with torch."""
    imports: list[float] = []
    for cell in CELLS[:1] if run.quick else CELLS:
        with tempfile.TemporaryDirectory() as cache:
            cold = in_child("lightrnn", cell, "vowels", cache=cache)
            turns = [_turn(cell, cache) for _ in range(2 if run.quick else 7)]
        ours = [figures for figures, _ in turns]
        theirs = [figures for _, figures in turns if figures]
        imports += [figures["import"] for figures in ours]
        yield _first_fit("first fit, cache cold", cell, [cold], COLD[cell])
        yield _first_fit("first fit, cache warm", cell, ours, BARS["warm"])
        if theirs:
            yield _first_fit("torch, the same epoch", cell, theirs, None)
    for cell in CELLS[:1] if run.quick else CELLS:
        yield from _saved(run, cell)
    seconds = float(np.median(imports))
    yield (
        "import, over NumPy's",
        "",
        f"{seconds:.3f}",
        "",
        *verdict(seconds, BARS["import"], at_most=True),
    )


def _saved(run: Run, cell: str) -> Iterator[Row]:
    """Load a saved estimator and predict, in turns with the import of torch alone."""
    from lightrnn import RNNClassifier
    from lightrnn.datasets import load_japanese_vowels

    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory) / "model.npz")
        model = RNNClassifier(cell, max_iter=1)
        model.fit(*load_japanese_vowels("train")).save(path)
        in_child("lightrnn", cell, "saved", path, cache=directory)  # fills the cache
        sides = ("lightrnn", "torch") if peers.HAS_TORCH else ("lightrnn",)
        rounds = [
            [in_child(side, cell, "saved", path, cache=directory) for side in sides]
            for _ in range(2 if run.quick else 7)
        ]
    ours, *theirs = zip(*rounds, strict=True)
    total = float(np.median([figures["total"] for figures in ours]))
    yield (
        "load and predict, cache warm",
        cell,
        *_medians(ours),
        *verdict(total, BARS["saved"], at_most=True),
    )
    if theirs:
        torch_total = float(np.median([figures["total"] for figures in theirs[0]]))
        yield (
            "import torch alone",
            cell,
            *_medians(theirs[0]),
            *verdict(total, torch_total, "{:.2f}", at_most=True),
        )


def _medians(children: Sequence[Figures]) -> tuple[str, str]:
    """Return the median seconds of the measured call and of the whole process, as text."""
    seconds = float(np.median([figures["fit"] for figures in children]))
    total = float(np.median([figures["total"] for figures in children]))
    return f"{seconds:.3f}", f"{total:.2f}"


def _turn(cell: str, cache: str) -> tuple[Figures, Figures]:
    # The bench's torch loop has an LSTM, so the other cells have no torch side.
    theirs = in_child("torch", cell, "vowels") if peers.HAS_TORCH and cell == "lstm" else {}
    return in_child("lightrnn", cell, "vowels", cache=cache), theirs


def _first_fit(what: str, cell: str, children: list[Figures], bar: float | None) -> Row:
    return (
        what,
        cell,
        *_medians(children),
        *verdict(float(_medians(children)[0]), bar, at_most=True),
    )


def _memory_rows(run: Run) -> Iterator[Row]:
    """Measure each side on the same data; the lowest of some runs is what a run needs."""
    sides = ("numpy", "lightrnn", "torch") if peers.HAS_TORCH else ("numpy", "lightrnn")
    for data, title in DATA.items():
        in_child("lightrnn", "lstm", data)  # fills the cache
        rounds = [
            [in_child(side, "lstm", data)["peak"] for side in sides]
            for _ in range(1 if run.quick else 3)
        ]
        numpy, *fits = np.min(rounds, axis=0)
        ours, theirs = fits if len(fits) == 2 else (fits[0], np.nan)
        torch = ("", "") if np.isnan(theirs) else (f"{theirs:.0f}", f"{theirs / ours:.2f}")
        yield title, f"{numpy:.0f}", f"{ours:.0f}", *torch


STARTUP = Table(
    "startup",
    "A new process: seconds of the import and of the first `fit`",
    ("process", "cell", "seconds", "whole process", "bar", "reached"),
    _startup_rows,
    "The fit is one epoch of JapaneseVowels with 64 units. The cold process compiles every kernel "
    "that it needs: it finds no machine code, neither in the package nor below the home directory "
    "or among the temporary files; the warm ones (medians) find what it has kept. The bar of a "
    "fit is for the call of `fit` alone; the whole process lasts from its start to its end, with "
    "Python, imports and the reading of data. Sources are compiled to byte code before, and files "
    "are in the page cache. 'Load and predict' is `lightrnn.load` and `predict` of one sequence. "
    "It has two bars for its whole process: a limit, and, in the row 'import torch alone', the "
    "whole process of `import torch`, which takes turns with it. Not "
    "shown: a second cell in the same process, which compiles faster.",
)
MEMORY = Table(
    "memory",
    "Peak memory of a process that fits once, MB",
    ("data and model", "NumPy and the data", "lightrnn", "torch", "torch / lightrnn"),
    _memory_rows,
    "Resident memory, libraries included; one epoch in minibatches of 32 (for the words, 20 steps "
    "of 20 streams of 35 words); kernels are in the cache. For a vocabulary of 10,000 words, "
    "parameters, gradients and moments take 17 MB each, and outputs 4 MB, because they are "
    "computed for 104 rows at a time.",
)

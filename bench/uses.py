"""Time networks of users, more than one layer in float32, and an epoch as the data grow."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from lightrnn import RNNClassifier
from lightrnn.losses import make_loss
from lightrnn.nn.batches import Batch
from lightrnn.nn.network import Network
from lightrnn.nn.solvers import make_solver
from lightrnn.training import Epoch

from . import peers, text
from .report import Row, Run, Table, verdict
from .timing import alternate, compared

OUTPUTS = 9
VOCABULARY = 10_000


class Use(NamedTuple):
    """A network and the sizes of a minibatch: batch, steps, features, units."""

    shape: tuple[int, int, int, int]
    layers: int = 1
    both: bool = False
    double: bool = False
    every: bool = False  # whether each step has a target
    bar: float | None = None


USES = {
    "2 layers, both ways, B32 T100 F16 H64": Use((32, 100, 16, 64), layers=2, both=True, bar=1.9),
    "float64, B32 T100 F32 H64": Use((32, 100, 32, 64), double=True),
    "T = 4,000, B8 F1 H32": Use((8, 4000, 1, 32)),
    "T = 4,000 in patches of 40, B8 F1 H32": Use((8, 100, 40, 32)),
    "a target for each step, B32 T100 F32 H64": Use((32, 100, 32, 64), every=True),
}


def sides(use: Use) -> dict[str, Callable[[], Any]]:
    """Return a training step for each side, on the same minibatch."""
    B, T, F, H = use.shape
    dtype = "float64" if use.double else "float32"
    rng = np.random.default_rng(0)
    X = rng.standard_normal((B, T, F)).astype(dtype)
    y = rng.integers(0, OUTPUTS, (B, T) if use.every else B)
    options = {"bidirectional": use.both, "target": "step" if use.every else "sequence"}
    network = Network("lstm", F, (H,) * use.layers, OUTPUTS, dtype=dtype, **options)
    network.initialize(rng)
    solver = make_solver("adam", network.layout.size, dtype)
    weights = np.ones(y.shape)
    given = (list(y), list(weights)) if use.every else (y, weights)
    step = partial(_step, network, solver, lambda: Batch.of(list(X), *given))
    calls: dict[str, Callable[[], Any]] = {"lightrnn": step}
    if peers.HAS_TORCH:
        import torch

        from .pytorch import StackTraining

        other = StackTraining((F, H, OUTPUTS), use.layers, use.both, use.double, use.every)
        calls["torch"] = partial(other.step, torch.from_numpy(X), torch.from_numpy(y))
    return calls


def _step(network: Network, solver: Any, batch: Callable[[], Batch]) -> None:
    network.learn(batch(), make_loss("softmax"), solver, 1e-3, 1.0)()


def adaptive_sides() -> dict[str, Callable[[], Any]]:
    """Return a training step of a language model with an adaptive softmax for each side."""
    sizes = (VOCABULARY, 200, (200,), 20, 35)
    training = text.Training(*sizes, 1, head="adaptive")
    calls: dict[str, Callable[[], Any]] = {"lightrnn": training.step}
    if peers.HAS_TORCH:
        from .pytorch import language_step

        calls["torch"] = language_step(*sizes, adaptive=True)
    return calls


def fit_sides() -> dict[str, Callable[[], Any]]:
    """Return a whole training of a plain RNN for each side, with small minibatches."""
    n, T, F, H = 160, 100, 16, 64
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, T, F)).astype(np.float32)
    y = rng.integers(0, OUTPUTS, n)
    common = {"batch_size": 4, "max_iter": 5, "n_iter_no_change": 5, "n_jobs": 1, "patch": 1}
    model = RNNClassifier("rnn", (H,), random_state=0, **common)
    calls: dict[str, Callable[[], Any]] = {"lightrnn": lambda: model.fit(X, y)}
    if peers.HAS_TORCH:
        import torch

        from .pytorch import Training

        training = Training("rnn", F, H, OUTPUTS)
        inputs = torch.from_numpy(X)
        targets = torch.from_numpy(y)

        def fit() -> None:
            for _ in range(5):
                for chosen in torch.randperm(n).split(4):
                    training.step(inputs[chosen], targets[chosen])

        calls["torch"] = fit
    return calls


def _use_rows(run: Run) -> Iterator[Row]:
    cases: dict[str, tuple[Callable[[], Any], float | None]] = {
        name: (partial(sides, use), use.bar) for name, use in USES.items()
    }
    cases[f"adaptive softmax of {VOCABULARY:,} words, B20 T35 H200"] = (adaptive_sides, None)
    cases["a whole fit of an RNN, 5 epochs of 40 batches, B4 T100 F16 H64"] = (fit_sides, 15.0)
    for name, (make, bar) in cases.items():
        with peers.limited(1):
            times = alternate(make(), quick=run.quick)
        yield name, *compared(times, bar)


# -- growth ----------------------------------------------------------------------------------------

BATCH = 32
EPOCHS = 6  # of each fit, after the first one, which may compile
LARGEST = {"T": 1.05, "n": 1.05, "H": 2.05}  # exponents
# n, T and H, of which one grows
GROWTH = {
    "T": [(128, T, 64) for T in (50, 200, 800)],
    "n": [(n, 50, 64) for n in (128, 512, 2048)],
    "H": [(128, 20, H) for H in (64, 128, 256, 512)],
}


def epoch_seconds(cell: str, size: tuple[int, int, int], epochs: int) -> float:
    """Fit to random sequences of 8 features; return the median CPU time of an epoch."""
    n, T, H = size
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, T, 8)).astype(np.float32)
    clock: list[float] = []

    def note(record: Epoch) -> None:
        clock.append(time.process_time())

    RNNClassifier(
        cell,
        (H,),
        patch=1,
        batch_size=BATCH,
        max_iter=1 + epochs,
        n_iter_no_change=1 + epochs,
        callbacks=note,
        n_jobs=1,
        random_state=0,
    ).fit(X, rng.integers(0, 2, n))
    return float(np.median(np.diff(clock)))


def _growth_rows(run: Run) -> Iterator[Row]:
    rounds = 1 if run.quick else 3
    for cell in ("lstm", "gru", "rnn"):
        for name, sizes in GROWTH.items():
            # All sizes take turns, so that other work on the machine slows all of them alike.
            # OpenBLAS, which makes the initial weights, has one thread: a second one would look
            # for work for 100 ms afterwards, which counts as CPU time.
            with peers.limited(1):
                times = np.array(
                    [[epoch_seconds(cell, s, EPOCHS) for s in sizes] for _ in range(rounds)]
                )
            values = [size["nTH".index(name)] for size in sizes]
            exponents = np.median(np.diff(np.log(times)) / np.diff(np.log(values)), axis=0)
            yield (
                cell,
                f"{name} = {', '.join(map(str, values))}",
                " ".join(f"{1e3 * seconds:.3g}" for seconds in np.median(times, axis=0)),
                " ".join(f"{exponent:.2f}" for exponent in exponents),
                *verdict(float(exponents.max()), LARGEST[name], at_most=True),
            )


USES_TABLE = Table(
    "uses",
    "Training step of an LSTM as users run it, and a whole fit, ms, one thread",
    ("network and minibatch", "lightrnn", "torch", "torch / lightrnn", "bar", "reached"),
    _use_rows,
    "With loss, clipping and Adam, as in the table of training steps; float32 where it does not "
    "say float64. A patch is read as one step of 40 features, by torch too. torch's adaptive "
    "softmax has the same cutoffs and divisors, and a bias in its head; lightrnn carries the "
    "state from chunk to chunk. The RNN of the last row is trained by `RNNClassifier.fit` and by "
    "torch's loop over a tensor that is ready.",
)
GROWTH_TABLE = Table(
    "growth",
    "How the time of an epoch grows: exponents of T, n and H, one thread",
    ("cell", "what grows", "CPU ms an epoch", "exponent from each to the next", "bar", "reached"),
    _growth_rows,
    f"`RNNClassifier.fit` with batches of {BATCH} and 8 features; n 128 and H 64 where T grows, "
    "T 50 and H 64 where n grows, T 20 where H grows. An exponent of 1 means twice the "
    "time for twice as much.",
)

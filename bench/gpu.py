"""One GPU, compared with cuDNN: a layer, sequences of unequal length, and an epoch of `fit`."""

import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from lightrnn import RNNClassifier, cuda
from lightrnn.losses import make_loss
from lightrnn.nn.batches import Batch
from lightrnn.nn.network import Network
from lightrnn.nn.solvers import make_solver

from . import peers
from .report import Row, Run, Table, milliseconds, shown, times_faster, verdict
from .timing import Times, alternate, median, ratio

CELLS = ("lstm", "gru")
UNITS = (32, 64, 128, 256, 512, 1024)
BATCHES = (1, 16, 64, 128)
STEPS = (128, 1024)
FEATURES = 64
OUTPUTS = 9
# Microseconds per step by units and largest batch, estimated for an H200 from the bytes to move and
# the operations to compute. Nobody has measured them.
FLOORS = {
    64: {128: 0.3},
    128: {128: 0.5},
    256: {16: 0.5, 128: 1.5},
    512: {1: 1.3, 128: 6.5},
    1024: {1: 1.3, 16: 4.5},
}
RAGGED = 0.5  # the bar, as a share of torch's time with packed sequences
SEQUENCES = 100_000
CPU_SEQUENCES = 5_000
FIT = 20.0  # the bar: this many times as fast as the CPU

Calls = dict[str, Callable[[], Any]]


def bar(cell: str, H: int, B: int) -> float | None:
    """Return the bar as a share of torch's time, if there is one."""
    if cell == "gru" or (H <= 128 and B <= 64):
        return 1.0
    return 1.5 if H >= 256 else None


def floor(H: int, B: int) -> str:
    """Return the estimated floor for up to B sequences, as text."""
    fitting = [value for most, value in FLOORS.get(H, {}).items() if most >= B]
    return shown(fitting[0], "{:g}") if fitting else ""


class Ours:
    """A network on the GPU, and minibatches whose sequences are there already."""

    def __init__(
        self, cell: str, F: int, H: int, batches: list[tuple[list[np.ndarray], np.ndarray]]
    ) -> None:
        self.network = Network(cell, F, (H,), OUTPUTS)
        self.network.initialize(np.random.default_rng(0))
        self.on_gpu = cuda.network.CudaNetwork(self.network, 0)
        self.loss = make_loss("softmax")
        self.solver = make_solver("adam", self.network.layout.size, "float32")
        items = [x for X, _ in batches for x in X]
        lengths = np.array([len(x) for x in items])
        self.on_gpu.cache_sequences(items, lengths, len(batches[0][0]))
        starts = np.cumsum(lengths) - lengths  # of each sequence in the GPU's copy of all
        made = []
        first = 0
        for X, y in batches:
            batch = Batch.of(X, y, np.ones(len(X)))
            batch.offsets = starts[first : first + len(X)][batch.order]
            made.append(batch)
            first += len(X)
        self.turn = itertools.cycle(made)

    def forward(self) -> Any:
        """Run the layer and wait for it."""
        self.on_gpu.run(next(self.turn))
        return self.on_gpu.final_states

    def train(self) -> Any:
        """Take a training step and wait for the loss."""
        return self.on_gpu.learn(next(self.turn), self.loss, self.solver, 1e-3, 1.0)()


def _torch_has_gpu() -> bool:
    if not peers.HAS_TORCH:
        return False
    import torch

    return torch.cuda.is_available()


def torch_calls(
    cell: str, F: int, H: int, batches: list[Any], pack: bool = False
) -> dict[str, Calls]:
    """Return torch's forward pass and training step, with and without TF32, if torch has a GPU."""
    if not _torch_has_gpu():
        return {"forward": {}, "train": {}}
    import torch

    from . import pytorch

    training = pytorch.Training(cell, F, H, OUTPUTS)
    training.net.cuda()
    padded = ((*pytorch.padded(X), torch.from_numpy(y)) for X, y in batches)
    ready = [tuple(tensor.cuda() for tensor in tensors) for tensors in padded]
    turn = itertools.cycle(ready)

    def call(train: bool, tf32: bool) -> None:
        # cuDNN and cuBLAS look at these flags in every call.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
        X, last, y = next(turn)
        if pack:
            X = pytorch.packed(X, last.cpu())  # lengths must be on the host
            last = None
        if train:
            training.step(X, y, last)
        else:
            with torch.no_grad():
                training.net.recurrent(X)
        torch.cuda.synchronize()  # launches return before the GPU is done

    sides = {"torch": False} | ({} if pack else {"tf32": True})
    return {
        kind: {name: partial(call, kind == "train", tf32) for name, tf32 in sides.items()}
        for kind in ("forward", "train")
    }


def draw(B: int, lengths: Any, F: int, count: int = 1) -> list[Any]:
    """Return `count` minibatches of B sequences, whose lengths ``lengths(rng)`` draws."""
    rng = np.random.default_rng(0)
    batches = []
    for _ in range(count):
        drawn = np.broadcast_to(lengths(rng), B)
        X = [rng.standard_normal((int(T), F)).astype(np.float32) for T in drawn]
        batches.append((X, rng.integers(0, OUTPUTS, B)))
    return batches


def _passes(
    run: Run, cell: str, H: int, batches: list[Any], *, pack: bool, least: int
) -> Iterator[tuple[str, Times, float]]:
    """Yield the forward pass and the training step: the name, all seconds, our share of torch's."""
    ours = Ours(cell, FEATURES, H, batches)
    theirs = torch_calls(cell, FEATURES, H, batches, pack)
    for kind, call in (("forward", ours.forward), ("train", ours.train)):
        sides = {"lightrnn": call} | theirs[kind]
        times = alternate(sides, quick=run.quick, most=21, least=least)
        yield kind, times, 1 / ratio(times, "torch")
    ours.on_gpu.close()


def _step_rows(run: Run) -> Iterator[Row]:
    shapes = itertools.product(CELLS, UNITS, BATCHES, STEPS)
    for cell, H, B, T in shapes:
        if run.quick and (B, T) != (16, 128):
            continue
        batches = draw(B, lambda rng, T=T: T, FEATURES)
        for kind, times, share in _passes(run, cell, H, batches, pack=False, least=5):
            yield (
                cell,
                f"H{H} B{B} T{T}",
                kind,
                milliseconds(median(times, "lightrnn")),
                shown(1e6 * median(times, "lightrnn") / T, "{:.2f}"),
                floor(H, B),
                milliseconds(median(times, "torch")),
                milliseconds(median(times, "tf32")),
                times_faster(share),
                *verdict(share, bar(cell, H, B), at_most=True),
            )


def _ragged_rows(run: Run) -> Iterator[Row]:
    for cell, (B, H) in itertools.product(CELLS, ((32, 64), (64, 128), (64, 512))):
        batches = draw(B, lambda rng, B=B: rng.integers(10, 201, B), FEATURES, 20)
        for kind, times, share in _passes(run, cell, H, batches, pack=True, least=11):
            yield (
                cell,
                f"H{H} B{B}",
                kind,
                milliseconds(median(times, "lightrnn")),
                milliseconds(median(times, "torch")),
                times_faster(share),
                *verdict(share, RAGGED, at_most=True),
            )


def _fit_seconds(device: str, X: np.ndarray, y: np.ndarray) -> float:
    """Return the seconds of an epoch without compilation: a first, small fit compiles."""
    options = {
        "hidden_layer_sizes": (128,),
        "patch": 1,
        "max_iter": 1,
        "random_state": 0,
    }
    for count in (256, len(X)):  # only the second fit counts
        start = time.perf_counter()
        RNNClassifier("lstm", device=device, **options).fit(X[:count], y[:count])
    return time.perf_counter() - start


def _torch_fit_seconds(X: np.ndarray, y: np.ndarray) -> float:
    """Return the seconds of an epoch of torch's usual loop, all data on the GPU; NaN without it."""
    if not _torch_has_gpu():
        return float("nan")
    import torch

    from . import pytorch

    training = pytorch.Training("lstm", X.shape[2], 128, OUTPUTS, 3e-3)
    training.net.cuda()
    inputs = torch.from_numpy(X).cuda()
    targets = torch.from_numpy(y).cuda()
    for count in (256, len(X)):  # only the second epoch counts
        start = time.perf_counter()
        for chosen in torch.randperm(count, device="cuda").split(32):
            training.step(inputs[chosen], targets[chosen])
    return time.perf_counter() - start


def _fit_rows(run: Run) -> Iterator[Row]:
    rng = np.random.default_rng(0)
    n = 2_000 if run.quick else SEQUENCES
    X = rng.standard_normal((n, 100, 32), dtype=np.float32)
    y = rng.integers(0, OUTPUTS, n)
    gpu = _fit_seconds("cuda", X, y)
    theirs = _torch_fit_seconds(X, y)
    few = min(n, CPU_SEQUENCES)
    # All sequences would take the CPU minutes, and its seconds grow in proportion to their number.
    cpu = _fit_seconds("cpu", X[:few], y[:few]) * n / few
    faster = cpu / gpu
    figures = (shown(seconds, "{:.1f}") for seconds in (gpu, theirs, cpu))
    yield f"{n:,} x T100 F32 H128", *figures, f"{faster:.1f}", *verdict(faster, FIT)


GPU_STEPS = Table(
    "gpu-steps",
    "One layer on the GPU, float32, ms: the forward pass, and a training step with loss, clipping "
    "and Adam",
    (
        "cell",
        "shape",
        "pass",
        "lightrnn",
        "us per step",
        "floor",
        "torch",
        "TF32",
        "ours / torch",
        "bar",
        "reached",
    ),
    _step_rows,
    f"F {FEATURES}; the sequences have the same length and are on the GPU before the clock starts; "
    "each call ends when the host has its result. torch: cuDNN without TF32, and with it; the "
    "ratio is to the former. The floor is an estimate for an H200.",
)
GPU_RAGGED = Table(
    "gpu-ragged",
    "One layer on the GPU, sequences of 10 to 200 steps, and torch with PackedSequence, ms",
    ("cell", "shape", "pass", "lightrnn", "torch", "ours / torch", "bar", "reached"),
    _ragged_rows,
    "Twenty minibatches take turns; packing is part of the step on both sides.",
)
GPU_FIT = Table(
    "gpu-fit",
    "An epoch of `fit` on the GPU, seconds",
    ("data", "lightrnn", "torch's loop", "lightrnn, CPU", "CPU / GPU", "bar", "reached"),
    _fit_rows,
    f"Minibatches of 32. The CPU's seconds are measured on {CPU_SEQUENCES:,} sequences and scaled "
    "up in proportion.",
)

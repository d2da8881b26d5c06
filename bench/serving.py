"""Serving: a step of a stream, a batch, and an exported script, with onnxruntime and torch."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lightrnn import RNNClassifier, export_numpy

from . import peers
from .report import Row, Run, Table, verdict
from .timing import alternate, median, ratio

F = 16  # of the stream and the script
H = 64
BATCH = 64
T = 100
BATCH_F = 32
BATCH_H = 128
GATES = (0, 3, 1, 2)  # the LSTM's gates i, f, g, o in ONNX's order: i, o, f, g
MOST_US = 6.0  # the bars for a step and for the script
SCRIPT_SECONDS = 0.3
# How many times as fast as these a step must be.
BARS = {"onnxruntime": 1.5, "torch": 10.0}


def _session(model: Any, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Its threads would otherwise spin while the other sides have their turns.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def small_model() -> tuple[RNNClassifier, np.ndarray]:
    """Return a fitted LSTM, and the sequences that it has learned."""
    X = np.random.default_rng(0).standard_normal((8, 20, F)).astype(np.float32)
    model = RNNClassifier("lstm", (H,), patch=1, max_iter=1, random_state=0)
    return model.fit(X, [0, 1] * 4), X


def bare_lstm(weights: dict[str, np.ndarray]) -> bytes:
    """Return a model of ONNX's LSTM operator alone, with the weights of lightrnn."""
    from onnx import TensorProto, helper, numpy_helper

    def stacked(array: np.ndarray) -> np.ndarray:
        """Return the array as ONNX has it: (1, 4H, ...), its gates in ONNX's order."""
        gates = array.reshape(-1, 4, H)[:, GATES].reshape(-1, 4 * H)
        return np.ascontiguousarray(gates.T)[None]

    input_bias = stacked(weights["layer0.b"][None])[:, :, 0]
    bias = np.concatenate([input_bias, np.zeros_like(input_bias)], axis=1)  # (1, 8H)
    arrays = {"W": stacked(weights["layer0.W_ih"]), "R": stacked(weights["layer0.W_hh"]), "B": bias}
    node = helper.make_node(
        "LSTM", ["X", "W", "R", "B", "", "h0", "c0"], ["", "hn", "cn"], hidden_size=H
    )

    def info(name: str, shape: list[Any]) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    before = [info(name, [1, "B", H]) for name in ("h0", "c0")]
    after = [info(name, [1, "B", H]) for name in ("hn", "cn")]
    initializers = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    inputs = [info("X", ["T", "B", F]), *before]
    graph = helper.make_graph([node], "bare", inputs, after, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    serialized: bytes = model.SerializeToString()
    return serialized


def step_sides() -> dict[str, Callable[[], Any]]:
    """Return one step of each side: the whole call of lightrnn, the bare layer of the others."""
    model, X = small_model()
    stream = model.stream()
    x = X[0, 0]
    sides: dict[str, Callable[[], Any]] = {"lightrnn": lambda: stream.step(x)}
    if peers.HAS_ONNX:
        session = _session(bare_lstm(model.weights_), 1)
        feeds = {
            "X": x[None, None],
            "h0": np.zeros((1, 1, H), np.float32),
            "c0": np.zeros((1, 1, H), np.float32),
        }

        def onnx_step() -> None:
            feeds["h0"], feeds["c0"] = session.run(None, feeds)

        sides["onnxruntime"] = onnx_step
    if peers.HAS_TORCH:
        import torch

        layer = torch.nn.LSTM(F, H).eval()
        state = [None]
        tensor = torch.from_numpy(x)[None, None]

        def torch_step() -> None:
            with torch.no_grad():
                state[0] = layer(tensor, state[0])[1]

        sides["torch"] = torch_step
    return sides


def _repeated(call: Callable[[], Any], times: int = 1000) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            call()

    return run


def _step_rows(run: Run) -> Iterator[Row]:
    calls = {name: _repeated(call) for name, call in step_sides().items()}
    with peers.limited(1):
        times = alternate(calls, quick=run.quick)
    ours = 1e3 * median(times, "lightrnn")  # a turn has 1,000 steps: ms per turn are us per step
    yield "lightrnn, the whole call", f"{ours:.1f}", "", *verdict(ours, MOST_US, at_most=True)
    for name in list(times)[1:]:
        faster = ratio(times, name)
        yield (
            f"{name}, the bare layer",
            f"{1e3 * median(times, name):.1f}",
            f"{faster:.1f}",
            *verdict(faster, BARS[name]),
        )


def _batch_rows(run: Run) -> Iterator[Row]:
    if not peers.HAS_ONNX:
        return
    from lightrnn import to_onnx

    rng = np.random.default_rng(0)
    X = rng.standard_normal((BATCH, T, BATCH_F)).astype(np.float32)
    model = RNNClassifier("lstm", (BATCH_H,), patch=1, max_iter=1, random_state=0).fit(
        X, np.arange(BATCH) % 9
    )
    for threads in run.threads:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.onnx")
            to_onnx(model, path)
            session = _session(path, threads)
        size = session.get_inputs()[2].shape[1]  # of the state, all layers' h and c joined
        feeds = {
            "X": X,
            "seq_lens": np.full(BATCH, T),
            "state": np.zeros((BATCH, size), np.float32),
        }
        model.set_params(n_jobs=threads)
        sides = {
            "lightrnn": lambda: model.predict_proba(X),
            "onnxruntime": lambda s=session, f=feeds: s.run(None, f),
        }
        times = alternate(sides, quick=run.quick, most=101)
        faster = ratio(times, "onnxruntime")
        figures = (f"{1e3 * median(times, name):.2f}" for name in sides)
        yield str(threads), *figures, f"{faster:.2f}", *verdict(faster, 1.0)


def _script_rows(run: Run) -> Iterator[Row]:
    model, X = small_model()
    with tempfile.TemporaryDirectory() as folder:
        np.save(os.path.join(folder, "X.npy"), X)
        export_numpy(model, os.path.join(folder, "model.py"))
        seconds = [_run(Path(folder)) for _ in range(2 if run.quick else 11)]
    middle = float(np.median(seconds))
    bar = verdict(middle, SCRIPT_SECONDS, at_most=True)
    yield "NumPy-only script, start to end", f"{middle:.3f}", *bar


def _run(folder: Path) -> float:
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "model.py", "X.npy"], cwd=folder, check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - start


STREAM = Table(
    "stream",
    f"One step of a stream, LSTM F{F} H{H}, microseconds",
    ("side", "us", "/ lightrnn", "bar", "reached"),
    _step_rows,
    "Each turn takes 1,000 steps on one thread. lightrnn: `stream.step(x)`, with input checks, "
    "output layer and label. onnxruntime: only ONNX's LSTM operator, whose state is fed back. "
    "torch: only nn.LSTM under no_grad.",
)
BATCHES = Table(
    "batches",
    f"`predict_proba` of a batch ({BATCH}, {T}, {BATCH_F}), LSTM {BATCH_H}, ms",
    ("threads", "lightrnn", "onnxruntime", "onnxruntime / lightrnn", "bar", "reached"),
    _batch_rows,
    "The whole of `predict_proba`, compared with an onnxruntime session that runs the file which "
    "`to_onnx` wrote, softmax included.",
)
SCRIPT = Table(
    "script",
    "The script that `export_numpy` writes, run as a process",
    ("process", "seconds", "bar", "reached"),
    _script_rows,
    f"LSTM {H}; the script reads 8 sequences of 20 steps from a .npy file. The time includes "
    "Python's start and NumPy's import; median of 11 runs.",
)

"""Serving: a stream's step and a batch's prediction beside onnxruntime and torch; the exported script's start."""

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

F, H = 16, 64
BATCH, T, BATCH_F, BATCH_H = 64, 100, 32, 128
GATES = {"lstm": (0, 3, 1, 2)}  # ours as ONNX orders them: i, o, f, c
MOST_US, SCRIPT_SECONDS = 6.0, 0.3
BARS = {"onnxruntime": 1.5, "torch": 10.0}


def _session(model: Any, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry(
        "session.force_spinning_stop", "1"
    )  # its threads would spin through our turns
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def bare_lstm(weights: dict[str, np.ndarray]) -> bytes:
    """Return ONNX's LSTM operator with our weights and nothing around it."""
    from onnx import TensorProto, helper, numpy_helper

    def stacked(array: np.ndarray) -> np.ndarray:
        """One direction, gates in ONNX's order, transposed."""
        gates = array.reshape(-1, 4, H)[:, GATES["lstm"]].reshape(-1, 4 * H)
        return np.ascontiguousarray(gates.T)[None]

    bias = np.concatenate(
        [stacked(weights["layer0.b"][None])[:, :, 0], np.zeros((1, 4 * H), np.float32)], axis=1
    )
    arrays = {"W": stacked(weights["layer0.W_ih"]), "R": stacked(weights["layer0.W_hh"]), "B": bias}
    node = helper.make_node(
        "LSTM", ["X", "W", "R", "B", "", "h0", "c0"], ["", "hn", "cn"], hidden_size=H
    )

    def info(name: str, shape: list[Any]) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    states = [[info(f"{s}{end}", [1, "B", H]) for s in "hc"] for end in "0n"]
    initializers = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(
        [node], "bare", [info("X", ["T", "B", F]), *states[0]], states[1], initializers
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    serialized: bytes = model.SerializeToString()
    return serialized


def step_sides() -> dict[str, Callable[[], Any]]:
    """Return one step of each: the whole call for us, the bare layer for the others."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((8, 20, F)).astype(np.float32)
    model = RNNClassifier("lstm", (H,), max_iter=1, random_state=0).fit(X, [0, 1] * 4)
    stream, x = model.stream(), X[0, 0]
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

        layer, state = torch.nn.LSTM(F, H).eval(), [None]
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
    with peers.limited(1):
        times = alternate(
            {name: _repeated(call) for name, call in step_sides().items()}, quick=run.quick
        )
    ours = 1e3 * median(times, "lightrnn")
    yield "lightrnn, all included", f"{ours:.1f}", "", *verdict(ours, MOST_US, at_most=True)
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
    model = RNNClassifier("lstm", (BATCH_H,), max_iter=1, random_state=0).fit(
        X, np.arange(BATCH) % 9
    )
    for threads in run.threads:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.onnx")
            to_onnx(model, path)
            session = _session(path, threads)
        size = session.get_inputs()[2].shape[1]
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
    rng = np.random.default_rng(0)
    X = rng.standard_normal((8, 20, F)).astype(np.float32)
    model = RNNClassifier("lstm", (H,), max_iter=1, random_state=0).fit(X, [0, 1] * 4)
    with tempfile.TemporaryDirectory() as folder:
        np.save(os.path.join(folder, "X.npy"), X)
        export_numpy(model, os.path.join(folder, "model.py"))
        seconds = [_run(Path(folder)) for _ in range(2 if run.quick else 11)]
    yield (
        "NumPy-only script, start to end",
        f"{np.median(seconds):.3f}",
        *verdict(float(np.median(seconds)), SCRIPT_SECONDS, at_most=True),
    )


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
    "A thousand steps a turn, one thread. lightrnn: `stream.step(x)`, checks of the input, output layer and label "
    "included. onnxruntime: ONNX's LSTM operator alone, its state fed back. torch: nn.LSTM alone under no_grad.",
)
BATCHES = Table(
    "batches",
    f"Probabilities of a batch ({BATCH}, {T}, {BATCH_F}), LSTM {BATCH_H}, ms",
    ("threads", "lightrnn", "onnxruntime", "onnxruntime / lightrnn", "bar", "reached"),
    _batch_rows,
    "The whole of `predict_proba` beside a session that runs what `to_onnx` wrote, softmax included.",
)
SCRIPT = Table(
    "script",
    "What `export_numpy` wrote, as a process",
    ("what", "seconds", "bar", "reached"),
    _script_rows,
    f"LSTM {H}, 8 sequences of 20 steps from a .npy; Python's start and NumPy's import included, the median of 11.",
)

"""`to_onnx`: a fitted estimator as an ONNX model."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from .summary import Summary, summarize

_OPSET, _IR = 17, 8  # what onnxruntime 1.12 and its contemporaries read
_MOST_BYTES = 2**31 - 2**20  # a protobuf message has to be smaller than 2 GiB
_OPERATORS = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}
_STATES = {"rnn": ("h",), "gru": ("h",), "lstm": ("h", "c")}
# Where the gates of ONNX's order, z, r, n and i, o, f, g, stand in ours.
_GATES = {"rnn": (0,), "gru": (1, 0, 2), "lstm": (0, 3, 1, 2)}


def to_onnx(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted estimator as an ONNX model, which onnxruntime and others run without Python.

    The model computes in float32, on any number of sequences of any lengths. Its inputs:

    - ``X`` (batch, time, F) float32, for tokens (batch, time) int64: sequences, the shorter ones filled up at the end
      with anything finite, or any code. A token's code is its place in the vocabulary, 0 if it is not there; what a
      language model reads begins with code 1.
    - ``seq_lens`` (batch,) int64: how many steps each sequence has.
    - ``state`` (batch, S) float32, not for the ffnn: the state to start from, zeros at first. Layer after layer it
      holds h, then for the lstm c; if bidirectional, of each forward's and then backward's.

    And its outputs:

    - ``probabilities`` (batch, n_outputs), with ``target="step"`` (batch, time, n_outputs), as `predict_proba` gives
      them, a language model's for the next token; of a regressor ``predictions``, without the last axis if it has a
      single output. What stands beyond a sequence's length means nothing.
    - ``next_state`` (batch, S), where there is a state: that in which each sequence ends. Given back as ``state``, it
      lets the next call go on where this one ended, unless the network reads from both ends.

    The model's metadata hold the ``vocabulary``, a list in which a token's code is its place, what ``tokens`` are
    ("char", "word" or "category"), and the ``classes`` in the order of the probabilities, all as JSON.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        Fitted.
    path : str or path-like
        The file, used as it is: no suffix is added.

    Raises
    ------
    NotFittedError
        If the estimator was not fitted.
    TypeError
        If `estimator` is no estimator of lightrnn.
    ValueError
        If its weights take 2 GiB or more, which one ONNX file cannot hold.
    ImportError
        If the package onnx is not installed.

    Notes
    -----
    In onnxruntime, from sequences filled up to one array X (batch, time, F) and their lengths::

        session = onnxruntime.InferenceSession("model.onnx")
        state = np.zeros((len(X), session.get_inputs()[2].shape[1]), np.float32)
        probabilities, state = session.run(None, {"X": X, "seq_lens": lengths, "state": state})
    """
    summary = summarize(estimator)
    size = 4 * sum(array.size for array in summary.weights.values())
    if size > _MOST_BYTES:
        raise ValueError(
            "estimator must have weights of less than 2 GiB, which is what an ONNX file can hold, got "
            f"{size / 2**30:.1f} GiB. Use save, or a smaller network."
        )
    model = _Writer(summary).model()
    Path(path).write_bytes(model.SerializeToString())


def _import_onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            "onnx must be installed to write a model for it, got none. Run: python -m pip install 'lightrnn[onnx]'"
        ) from error
    return onnx


class _Writer:
    """Builds the graph: each method adds nodes and returns the name of what they compute.

    Parameters
    ----------
    summary : Summary
        The estimator.
    """

    def __init__(self, summary: Summary) -> None:
        self.onnx, self.summary = _import_onnx(), summary
        self.nodes: list[Any] = []
        self.arrays: dict[str, np.ndarray] = {}
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def model(self) -> Any:
        """Return the whole model, checked."""
        helper, summary = self.onnx.helper, self.summary
        self._finish(self._head(self._features(self._begin())))
        initializers = [
            self.onnx.numpy_helper.from_array(array, name) for name, array in self.arrays.items()
        ]
        graph = helper.make_graph(
            self.nodes, summary.estimator, self.inputs, self.outputs, initializers
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR,
            producer_name="lightrnn",
        )
        helper.set_model_props(model, self._metadata())
        self.onnx.checker.check_model(model, full_check=True)
        return model

    def _metadata(self) -> dict[str, str]:
        """Return what the numbers stand for."""
        summary, found = self.summary, {"estimator": self.summary.estimator}
        if summary.vocabulary is not None:
            found |= {
                "tokens": summary.vocabulary.kind,
                "vocabulary": _json(summary.vocabulary.tokens),
            }
        return found if summary.classes is None else found | {"classes": _json(summary.classes)}

    # -- pieces -------------------------------------------------------------------------------------------------------

    def _add(
        self, operator: str, *inputs: str, out: str | tuple[str, ...] = "", **attributes: Any
    ) -> str:
        """Add a node and return the name of its first output."""
        names = [out] if isinstance(out, str) else list(out)
        names[0] = names[0] or f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), names, **attributes))
        return names[0]

    def _constant(self, name: str, values: Any) -> str:
        """Add an array: numbers as float32, integers as int64."""
        array = np.asarray(values)
        self.arrays[name] = np.ascontiguousarray(
            array, np.float32 if array.dtype.kind == "f" else np.int64
        )
        return name

    def _weight(self, name: str) -> str:
        return self._constant(name, self.summary.weights[name])

    def _declare(self, name: str, shape: tuple[Any, ...], kind: str = "FLOAT") -> Any:
        """Describe an input or output."""
        return self.onnx.helper.make_tensor_value_info(
            name, getattr(self.onnx.TensorProto, kind), list(shape)
        )

    def _linear(self, rows: str, name: str, W: str | None = None) -> str:
        """Multiply by the weights of this name and add its bias."""
        return self._add(
            "Add",
            self._add("MatMul", rows, W or self._weight(f"{name}.W")),
            self._weight(f"{name}.b"),
        )

    # -- inputs -------------------------------------------------------------------------------------------------------

    def _begin(self) -> str:
        """Declare X and seq_lens; return the sequences as numbers (batch, time, F)."""
        tokens, F = self.summary.vocabulary is not None, self.summary.n_features
        shape = ("batch", "time") if tokens else ("batch", "time", F)
        self.inputs.append(self._declare("X", shape, "INT64" if tokens else "FLOAT"))
        self.inputs.append(self._declare("seq_lens", ("batch",), "INT64"))
        return self._add("Gather", self._weight("embedding.W"), "X") if tokens else "X"

    # -- layers -------------------------------------------------------------------------------------------------------

    def _features(self, X: str) -> str:
        """Return what the output layer reads: (batch, time, D), or (batch, D)."""
        return self._recurrent(X) if self.summary.recurrent else self._windows(X)

    def _windows(self, X: str) -> str:
        """Run a feed-forward net; its first layer, which sees a window, is a convolution over time."""
        summary, (name, *others) = self.summary, (level[0] for level in self.summary.layers)
        W = summary.weights[f"{name}.W"].reshape(summary.window, summary.n_features, -1)
        channels = self._add("Transpose", X, perm=(0, 2, 1))
        W_name = self._constant(f"{name}.W", W.transpose(2, 1, 0))
        windows = self._add(
            "Conv", channels, W_name, self._weight(f"{name}.b"), pads=(summary.window - 1, 0)
        )
        rows = self._add("Transpose", self._add("Relu", windows), perm=(0, 2, 1))
        if not summary.step:
            last = self._add("Sub", "seq_lens", self._constant("one", [1]))
            index = self._add("Unsqueeze", last, self._constant("second_axis", [1]))
            rows = self._add("GatherND", rows, index, batch_dims=1)
        for name in others:
            rows = self._add("Relu", self._linear(rows, name))
        return rows

    def _recurrent(self, X: str) -> str:
        """Run the recurrent layers, which in ONNX have time as the first axis."""
        summary = self.summary
        states, ends = X, []
        self._add("Cast", "seq_lens", out="seq_lens32", to=self.onnx.TensorProto.INT32)
        for number, start in enumerate(self._starts()):
            rows = (
                self._joined(states, (0, 2, 1, 3))
                if number
                else self._add("Transpose", X, perm=(1, 0, 2))
            )
            states, *end = self._layer(number, rows, start)
            ends += [self._joined(state, (1, 0, 2)) for state in end]
        self._add("Concat", *ends, out="next_state", axis=-1)
        return (
            self._joined(states, (2, 0, 1, 3))
            if summary.step
            else ends[-len(_STATES[summary.cell])]
        )

    def _joined(self, states: str, axes: tuple[int, ...]) -> str:
        """Transpose states to (..., directions, H), and make the last two axes one."""
        shape = self._constant(f"shape{len(axes)}", [*[0] * (len(axes) - 2), -1])
        return self._add("Reshape", self._add("Transpose", states, perm=axes), shape)

    def _starts(self) -> list[list[str]]:
        """Declare the state; return its part for each layer, h and c, in ONNX's form (directions, batch, H)."""
        summary, kinds = self.summary, _STATES[self.summary.cell]
        D = len(summary.layers[0])
        parts = [
            (f"layer{number}.{kind}0", H)
            for number, H in enumerate(summary.units)
            for kind in kinds
        ]
        names, sizes = tuple(name for name, _ in parts), [D * H for _, H in parts]
        self.inputs.append(self._declare("state", ("batch", sum(sizes))))
        self.outputs.append(self._declare("next_state", ("batch", sum(sizes))))
        self._add("Split", "state", self._constant("state.sizes", sizes), out=names, axis=-1)
        found = []
        for name, H in parts:
            cube = self._add("Reshape", name, self._constant(f"{name}.shape", [0, D, H]))
            found.append(self._add("Transpose", cube, perm=(1, 0, 2)))
        return [found[i : i + len(kinds)] for i in range(0, len(found), len(kinds))]

    def _layer(self, number: int, rows: str, start: list[str]) -> tuple[str, ...]:
        """Run one layer over rows (time, batch, F); return its states (time, directions, batch, H), then the last."""
        summary, H, directions = (
            self.summary,
            self.summary.units[number],
            self.summary.layers[number],
        )
        weights = (
            self._constant(f"layer{number}.{part}", a)
            for part, a in self._matrices(directions).items()
        )
        names = (
            f"layer{number}.states",
            *(f"layer{number}.{state}n" for state in _STATES[summary.cell]),
        )
        attributes: dict[str, Any] = {
            "hidden_size": H,
            "direction": ("forward", "bidirectional")[len(directions) - 1],
        }
        if summary.cell == "gru":
            attributes["linear_before_reset"] = 1
        self._add(
            _OPERATORS[summary.cell], rows, *weights, "seq_lens32", *start, out=names, **attributes
        )
        return names

    def _matrices(self, directions: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Return a layer's weights in ONNX's form: a row a gate, directions stacked, two biases side by side."""
        found: dict[str, list[np.ndarray]] = {"W": [], "R": [], "B": []}
        for name in directions:
            own = (
                array
                for key, array in self.summary.weights.items()
                if key.rpartition(".")[0] == name
            )
            W_ih, W_hh, b, *b_hh = map(self._gates, own)
            found["W"].append(W_ih.T)
            found["R"].append(W_hh.T)
            found["B"].append(np.concatenate([b, *(b_hh or [np.zeros_like(b)])]))
        return {part: np.stack(arrays) for part, arrays in found.items()}

    def _gates(self, array: np.ndarray) -> np.ndarray:
        """Return a matrix or a bias with its gates in ONNX's order."""
        order = _GATES[self.summary.cell]
        parts = np.split(array, len(order), axis=-1)
        return np.concatenate([parts[gate] for gate in order], axis=-1)

    # -- outputs ------------------------------------------------------------------------------------------------------

    def _head(self, features: str) -> str:
        """Return what the output layer gives: raw outputs, or for an adaptive softmax log probabilities."""
        if self.summary.head == "adaptive":
            return self._adaptive(features)
        tied = self.summary.head == "tied"
        return self._linear(
            features, "head", self._add("Transpose", "embedding.W", perm=(1, 0)) if tied else None
        )

    def _adaptive(self, features: str) -> str:
        """Return the log probabilities of frequent tokens, and of rare ones by cluster."""
        raw, weights = self._linear(features, "head"), self.summary.weights
        n_clusters = sum(name.endswith(".down.W") for name in weights)
        sizes = self._constant(
            "head.sizes", [len(weights["head.b"]) - n_clusters, *[1] * n_clusters]
        )
        clusters = tuple(f"tail{i}.log" for i in range(n_clusters))
        self._add(
            "Split",
            self._add("LogSoftmax", raw, axis=-1),
            sizes,
            out=("head.log", *clusters),
            axis=-1,
        )
        parts = ["head.log"]
        for i, cluster in enumerate(clusters):
            within = self._linear(self._linear(features, f"tail{i}.down"), f"tail{i}")
            parts.append(self._add("Add", self._add("LogSoftmax", within, axis=-1), cluster))
        return self._add("Concat", *parts, axis=-1)

    def _finish(self, raw: str) -> None:
        """Turn raw outputs into what `predict_proba` or `predict` returns."""
        task, k = self.summary.task, self.summary.n_outputs
        shape: tuple[Any, ...] = ("batch", "time") if self.summary.step else ("batch",)
        name = "predictions" if task == "numbers" else "probabilities"
        if task == "numbers" and k == 1:
            self._add("Squeeze", raw, self._constant("last_axis", [-1]), out=name)
        else:
            shape, operator = (
                (*shape, k),
                _LINKS[task] if self.summary.head != "adaptive" else "Exp",
            )
            self._add(operator, raw, out=name)
        self.outputs.insert(0, self._declare(name, shape))


_LINKS = {"classes": "Softmax", "labels": "Sigmoid", "numbers": "Identity", "language": "Softmax"}


def _json(values: np.ndarray) -> str:
    """Write labels or tokens as a list; bytes as text."""
    return json.dumps(values.tolist(), default=lambda value: value.decode("latin-1"))

"""The graph of an ONNX model: a fitted estimator's layers and outputs in ONNX's operators."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np

from .._version import __version__
from ..nn.state_dict import Direction
from ..utils.archive import Arrays
from ..utils.checks import check_finite_weights
from .foreign import reorder_gates
from .onnx_inputs import CARRIED, InputBuilder
from .onnx_pooling import POOLED, POOLINGS, PooledNames

_OPSET = 17  # with the format's version 8 the newest that onnxruntime 1.12 (2022) reads
_IR_VERSION = 8


class _Operator(NamedTuple):
    """ONNX's operator for a recurrent cell."""

    name: str
    gates: str  # in ONNX's order, by our names
    attributes: dict[str, int]


OPERATORS = {
    "rnn": _Operator("RNN", "h", {}),
    # Our gru applies the reset gate after the product with the state, not to the state.
    "gru": _Operator("GRU", "zrn", {"linear_before_reset": 1}),
    "lstm": _Operator("LSTM", "iofg", {}),
}
# The operator that turns raw outputs into a task's predictions.
_OUTPUTS = {"classes": "Softmax", "labels": "Sigmoid", "language": "Softmax"}

_DOCUMENTATION = (
    "{} of lightrnn. The batch has at least one sequence. Metadata: the vocabulary in the order of "
    "the codes, and the classes in that of the probabilities."
)
_ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid"}


class ModelBuilder(InputBuilder):
    """Builds the graph: each method adds nodes and returns the name of their result.

    Parameters
    ----------
    summary : Summary
        The estimator.
    """

    def model(self) -> Any:
        """Return the whole model, checked."""
        self._declare_sequences()
        if self.summary.recurrent:
            self.starts = self._initial_states()
        X = self._read_sequences()
        features = self._recurrent(X) if self.summary.recurrent else self._windows(X)
        self._finish(self._head(features))
        check_finite_weights(self.arrays, "ONNX has float32 here: fit with dtype='float32'.")
        helper = self.onnx.helper
        to_tensor = self.onnx.numpy_helper.from_array
        graph = helper.make_graph(
            self.nodes,
            self.summary.estimator,
            self.inputs,
            self.outputs,
            [to_tensor(array, name) for name, array in self.arrays.items()],
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
            producer_name="lightrnn",
            producer_version=__version__,
            doc_string=_DOCUMENTATION.format(self.summary.estimator),
        )
        helper.set_model_props(model, self._metadata())
        self.onnx.checker.check_model(model, full_check=True)
        return model

    def _metadata(self) -> dict[str, str]:
        """Return the meaning of codes and outputs."""
        summary = self.summary
        found = {"estimator": summary.estimator}
        if summary.vocabulary is not None:
            found["tokens"] = summary.vocabulary.kind
            found["vocabulary"] = _json(summary.vocabulary.tokens)
        if summary.classes is not None:
            found["classes"] = _json(summary.classes)
        return found

    # -- layers -----------------------------------------------------------------------------------

    def _windows(self, X: str) -> str:
        """Add a feed-forward net, whose first layer is a convolution of its window over time."""
        summary = self.summary
        name, *others = (level[0] for level in summary.layers)
        W = summary.weights[f"{name}.W"].reshape(summary.window, summary.n_features, -1)
        channels = self._add("Transpose", X, perm=(0, 2, 1))  # (batch, F, time)
        W_name = self._constant(f"{name}.W", W.transpose(2, 1, 0))  # (H, F, window)
        b_name = self._weight(f"{name}.b")
        pads = (summary.window - 1, 0)  # zeros before the first step
        windows = self._add("Conv", channels, W_name, b_name, pads=pads)
        rows = self._add("Transpose", self._add("Relu", windows), perm=(0, 2, 1))
        if not summary.step and summary.pooling == "last":
            rows = self._last_steps(rows)
        for name in others:
            rows = self._add("Relu", self._linear(rows, name))
        if not self._pools:
            return rows
        nothing = self._constant("pooling.nothing", np.zeros((1, 1)))
        return self._pooled(rows, PooledNames(nothing, nothing, nothing)).h

    @property
    def _pools(self) -> bool:
        """Whether states are pooled."""
        return not self.summary.step and self.summary.pooling != "last"

    def _pooled(self, rows: str, before: PooledNames) -> PooledNames:
        """Pool the last layer's states (batch, time, D), and what is pooled of earlier steps."""
        w = self._weight("attention.w") if self.summary.pooling == "attention" else ""
        h, weight, score = before
        self._add_text(
            POOLINGS[self.summary.pooling],
            rows=rows,
            lengths=self.lengths,
            w=w,
            h0=h,
            weight0=weight,
            score0=score,
        )
        return POOLED

    def _recurrent(self, X: str) -> str:
        """Add the recurrent layers, which in ONNX have time as the first axis."""
        # The recurrent operators take lengths of 32 bits alone.
        self._add("Cast", self.lengths, out="seq_lens32", to=self.onnx.TensorProto.INT32)
        states = ""
        ends: list[str] = []
        *initial, before = self.starts
        starts = iter(initial)
        for number in range(len(self.summary.layers)):
            if number == 0:
                rows = self._add("Transpose", X, perm=(1, 0, 2))
            else:
                rows = self._join_directions(states, (0, 2, 1, 3))  # (time, batch, D)
            start = [next(starts) for _ in self.cell.states]
            states, *last = self._layer(number, rows, start)
            ends += [self._join_directions(state, (1, 0, 2)) for state in last]  # (batch, D)
        features = ends[-len(self.cell.states)]  # the last layer's h
        if self.summary.step or self._pools:
            features = self._join_directions(states, (2, 0, 1, 3))  # (batch, time, D)
        if self._pools:
            pooled = self._pooled(features, before)
            features = pooled.h
            ends += pooled
        self._add("Concat", *ends, *self.ends, out="next_state", axis=-1)
        return features

    def _join_directions(self, states: str, axes: tuple[int, ...]) -> str:
        """Transpose states to (..., directions, H), and make the last two axes one."""
        shape = [0] * (len(axes) - 2) + [-1]  # 0 keeps an axis as it is
        shape_name = self._constant(f"shape{len(axes)}", shape)
        return self._add("Reshape", self._add("Transpose", states, perm=axes), shape_name)

    def _initial_states(self) -> list[Any]:
        """Declare the state; return its parts, layer by layer, each (directions, batch, H).

        The last part is what is pooled of earlier steps.
        """
        directions = len(self.summary.layers[0])
        parts = {
            f"layer{number}.{kind}0": H
            for number, H in enumerate(self.summary.units)
            for kind in self.cell.states  # h, and the lstm's c
        }
        sizes = [directions * H for H in parts.values()]
        pooled = PooledNames("pooling.h", "pooling.weight", "pooling.score")
        names = tuple(parts)
        if self._pools:
            names += pooled
            sizes += [directions * self.summary.units[-1], 1, 1]
        if self.summary.fill is not None:
            names += CARRIED
            sizes += [self.summary.step_features] * len(CARRIED)
        self.inputs.append(self._declare("state", ("batch", sum(sizes))))
        self.outputs.append(self._declare("next_state", ("batch", sum(sizes))))
        sizes_name = self._constant("state.sizes", sizes)
        self._add("Split", "state", sizes_name, out=names, axis=-1)
        states: list[Any] = []
        for name, H in parts.items():
            shape_name = self._constant(f"{name}.shape", [0, directions, H])
            cube = self._add("Reshape", name, shape_name)  # (batch, directions, H)
            states.append(self._add("Transpose", cube, perm=(1, 0, 2)))
        return [*states, pooled]

    def _layer(
        self,
        number: int,
        rows: str,
        start: list[str],
    ) -> tuple[str, ...]:
        """Add one layer; return its states (time, directions, batch, H), and the last ones.

        The rows are (time, batch, F); the last states (directions, batch, H).
        """
        operator = OPERATORS[self.summary.cell]
        directions = self.summary.layers[number]
        weights = [
            self._constant(f"layer{number}.{part}", array)
            for part, array in self._matrices(directions).items()
        ]
        ends = (f"layer{number}.{state}n" for state in self.cell.states)
        names = (f"layer{number}.states", *ends)
        self._add(
            operator.name,
            rows,
            *weights,
            "seq_lens32",
            *start,
            out=names,
            hidden_size=self.summary.units[number],
            direction="forward" if len(directions) == 1 else "bidirectional",
            **operator.attributes,
        )
        return names

    def _matrices(self, directions: tuple[str, ...]) -> Arrays:
        """Return a layer's weights in ONNX's form: gates by rows, directions stacked.

        W is (directions, G*H, F), R (directions, G*H, H), and B (directions, 2*G*H), the input's
        bias and the state's one after the other.
        """
        gates = OPERATORS[self.summary.cell].gates
        ordered = [
            [
                reorder_gates(array, self.cell.gates, gates)
                for array in Direction.of(self.summary.weights, name)
            ]
            for name in directions
        ]
        W, R, b_ih, b_hh = map(np.stack, zip(*ordered, strict=True))
        return {
            "W": W.transpose(0, 2, 1),
            "R": R.transpose(0, 2, 1),
            "B": np.concatenate([b_ih, b_hh], axis=-1),
        }

    # -- outputs ----------------------------------------------------------------------------------

    def _head(self, features: str) -> str:
        """Return the raw outputs, or for an adaptive softmax log probabilities."""
        if self.summary.head == "adaptive":
            return self._adaptive(features)
        if self.summary.head == "linear":
            for number in range(len(self.summary.head_units)):
                features = self._activated(self._linear(features, f"head{number}"))
            return self._linear(features, "head")
        W = self._add("Transpose", "embedding.W", perm=(1, 0))
        return self._add("Add", self._add("MatMul", features, W), self._weight("head.b"))

    def _activated(self, sums: str) -> str:
        """Return what the activation of the head's hidden layers makes of sums."""
        if self.summary.head_activation != "gelu":
            return self._add(_ACTIVATIONS[self.summary.head_activation], sums)
        # a (1 + erf(a / sqrt(2))) / 2: this version of ONNX has no operator for it
        scaled = self._add("Mul", sums, self._constant("gelu.scale", 0.5**0.5))
        share = self._add("Add", self._add("Erf", scaled), self._constant("gelu.one", 1.0))
        half = self._add("Mul", sums, self._constant("gelu.half", 0.5))
        return self._add("Mul", half, share)

    def _adaptive(self, features: str) -> str:
        """Return the log probabilities of the frequent tokens, then of the rare ones by cluster."""
        raw = self._linear(features, "head")
        weights = self.summary.weights
        n_clusters = sum(name.endswith(".down.W") for name in weights)
        n_frequent = len(weights["head.b"]) - n_clusters
        sizes_name = self._constant("head.sizes", [n_frequent, *[1] * n_clusters])
        clusters = [f"tail{i}.log" for i in range(n_clusters)]
        first = self._add("LogSoftmax", raw, axis=-1)
        parts = [self._add("Split", first, sizes_name, out=("head.log", *clusters), axis=-1)]
        for i, cluster in enumerate(clusters):
            within = self._linear(self._linear(features, f"tail{i}.down"), f"tail{i}")
            parts.append(self._add("Add", self._add("LogSoftmax", within, axis=-1), cluster))
        return self._add("Concat", *parts, axis=-1)

    def _finish(self, raw: str) -> None:
        """Turn raw outputs into the result of `predict_proba` or `predict`, and declare it."""
        task = self.summary.task
        k = self.summary.n_outputs
        shape: tuple[Any, ...] = ("batch", "time") if self.summary.step else ("batch",)
        if task == "numbers":
            shape = shape + self._columns()
            kind = {"float32": "FLOAT", "float64": "DOUBLE"}[self.summary.result.name]
            self._numbers(raw, getattr(self.onnx.TensorProto, kind))
            self.outputs.insert(0, self._declare("predictions", shape, kind))
        else:
            operator = "Exp" if self.summary.head == "adaptive" else _OUTPUTS[task]
            self._add(operator, raw, out="probabilities")
            self.outputs.insert(0, self._declare("probabilities", (*shape, k)))

    def _columns(self) -> tuple[int, ...]:
        """Return the shape of a prediction of numbers."""
        k = self.summary.n_outputs
        q = len(self.summary.quantiles or ())
        if q:
            return (q,) if q == k else (k // q, q)
        return (k,) if k > 1 else ()

    def _numbers(self, raw: str, result: int) -> None:
        """Bring standardised outputs to the units of y, in float64 as `predict` does."""
        outputs = self._add("Cast", raw, to=self.onnx.TensorProto.DOUBLE)
        columns = self._columns()
        units: Any = (self.summary.scale, self.summary.mean)
        if len(columns) == 2:
            # 0 stands for the axis as it is.
            axes = [0, 0, *columns] if self.summary.step else [0, *columns]
            outputs = self._add("Reshape", outputs, self._constant("column_shape", axes))
            units = [part[:, None] for part in units]
        if self.summary.quantiles:
            count = self._constant("n_quantiles", [len(self.summary.quantiles)])
            outputs = self._add("TopK", outputs, count, out=("quantiles", "order"), largest=0)
        elif not columns:
            outputs = self._add("Squeeze", outputs, self._constant("last_axis", [-1]))
        scale = self._constant("y_scale", units[0], np.float64)
        mean = self._constant("y_mean", units[1], np.float64)
        numbers = self._add("Add", self._add("Mul", outputs, scale), mean)
        self._add("Cast", numbers, out="predictions", to=result)


def _json(values: np.ndarray) -> str:
    """Return labels or tokens as a list in JSON; bytes become text."""
    return json.dumps(values.tolist(), default=lambda value: value.decode("latin-1"))

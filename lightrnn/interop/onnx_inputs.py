"""The inputs of an ONNX model: sequences as the first layer reads them, and pieces of graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..cells import CELLS
from ..utils.archive import Arrays
from ..utils.extras import import_extra
from .summary import Summary

CARRIED = ("last_value0", "elapsed0")  # parts of the state where values may be missing
# What the inputs and outputs of a model are, for its readers.
_TEXTS = {
    "X": "Sequences, the shorter ones filled up at the end; of tokens their codes.",
    "seq_lens": "The number of steps of each sequence, at least 1.",
    "state": "The state before the first step: zeros, or the next_state of an earlier call.",
    "next_state": "The state after the last step of each sequence.",
    "probabilities": "Of the classes, or of the next token.",
    "predictions": "As predict returns them.",
}


# Makes each step of X into its columns: a value or the last one, a mark, and the steps since then.
# The last value, less that before the first one, and the number go on from those of earlier steps.
# 1 is the type of float.
_MARKED = """
marked () => ()
    <int64[1] marked_one = {{1}}, int64[1] marked_time = {{1}},
     int64[3] marked_sizes = {{{F}, {F}, {F}}}>
{{
    marked_start = Add (last0, first_value)
    marked_value, marked_elapsed, marked_columns = Scan <
        num_scan_inputs = 1, scan_input_axes = [1], scan_output_axes = [1],
        body = missing_values
            (float[batch, {F}] last, float[batch, {F}] since, float[batch, {F}] x)
            => (float[batch, {F}] next_last, float[batch, {F}] next_since,
                float[batch, {columns}] columns)
            <float[1] step = {{1}}, float[1] none = {{0}}>
        {{
            missing = IsNaN (x)
            next_last = Where (missing, last, x)
            longer = Add (since, step)
            next_since = Where (missing, longer, none)
            there = Not (missing)
            mark = Cast <to = 1> (there)
            columns = Concat <axis = -1> (next_last, mark, next_since)
        }}> (marked_start, since0, X)
    marked_ends = Sub (seq_lens, marked_one)
    marked_index = Unsqueeze (marked_ends, marked_time)
    marked_last = GatherND <batch_dims = 1> (marked_columns, marked_index)
    marked_last_value, marked_mark, end_elapsed = Split <axis = -1> (marked_last, marked_sizes)
    end_value = Sub (marked_last_value, first_value)
    marked_shifted = Sub (marked_columns, columns_mean)
    marked = Div (marked_shifted, columns_scale)
}}
"""
# Makes patches of sequences X (batch, time, F); behind the end of one its last step is there.
_PATCHES = """
patches () => ()
    <int64 patch = {{{patch}}}, int64 patch_rest = {{{rest}}}, int64 patch_zero = {{0}},
     int64 patch_stride = {{1}}, int64[1] patch_one = {{1}}, int64[1] patch_time = {{1}},
     int64[1] patch_feature = {{2}}, int64[3] patch_shape = {{0, -1, {features}}}>
{{
    patch_whole_lengths = Add (seq_lens, patch_rest)
    patch_lengths = Div (patch_whole_lengths, patch)
    patch_sizes = Shape (X)
    patch_longest = Gather (patch_sizes, patch_stride)
    patch_whole_longest = Add (patch_longest, patch_rest)
    patch_count = Div (patch_whole_longest, patch)
    patch_stop = Mul (patch_count, patch)
    patch_steps = Range (patch_zero, patch_stop, patch_stride)
    patch_ends = Sub (seq_lens, patch_one)
    patch_last = Unsqueeze (patch_ends, patch_time)
    patch_there = Min (patch_steps, patch_last)
    patch_index = Unsqueeze (patch_there, patch_feature)
    patch_rows = GatherND <batch_dims = 1> (X, patch_index)
    patches = Reshape (patch_rows, patch_shape)
}}
"""


class InputBuilder:
    """Builds the beginning of a graph: each method adds nodes and returns the name of their result.

    Parameters
    ----------
    summary : Summary
        The estimator.
    """

    def __init__(self, summary: Summary) -> None:
        self.onnx = import_extra("onnx", "to write a model for it")
        self.summary = summary
        self.cell = CELLS[summary.cell]
        self.nodes: list[Any] = []
        self.arrays: Arrays = {}
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.lengths = "seq_lens"  # of the first layer's inputs
        self.starts: list[Any] = []  # the initial states, and what is pooled
        self.ends: list[str] = []  # what is carried besides the states, where sequences end

    # -- pieces -----------------------------------------------------------------------------------

    def _add(
        self,
        operator: str,
        *inputs: str,
        out: str | tuple[str, ...] = "",
        **attributes: Any,
    ) -> str:
        """Add a node and return the name of its first output."""
        names = [out] if isinstance(out, str) else list(out)
        names[0] = names[0] or f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), names, **attributes))
        return names[0]

    def _add_text(self, text: str, **names: str) -> None:
        """Add the nodes and constants of a graph in ONNX's text, whose inputs have these names."""
        graph = self.onnx.parser.parse_graph(text)
        for node in graph.node:
            node.input[:] = [names.get(name, name) for name in node.input]
            self.nodes.append(node)
        for array in graph.initializer:
            self.arrays[array.name] = self.onnx.numpy_helper.to_array(array)

    def _constant(self, name: str, values: Any, real: npt.DTypeLike = np.float32) -> str:
        """Add an array, real numbers as `real` and integers as int64; return its name."""
        array = np.asarray(values)
        dtype = real if array.dtype.kind == "f" else np.int64
        with np.errstate(over="ignore"):  # which `model` refuses
            self.arrays[name] = np.asarray(array, dtype, order="C")
        return name

    def _weight(self, name: str) -> str:
        """Add an array of the estimator's weights; return its name."""
        return self._constant(name, self.summary.weights[name])

    def _declare(
        self,
        name: str,
        shape: tuple[Any, ...],
        kind: str = "FLOAT",
    ) -> Any:
        """Return the description of an input or output."""
        element = getattr(self.onnx.TensorProto, kind)
        text = _TEXTS.get(name, "")
        return self.onnx.helper.make_tensor_value_info(name, element, list(shape), text)

    def _linear(self, rows: str, name: str) -> str:
        """Multiply by the weights of this name and add their bias."""
        product = self._add("MatMul", rows, self._weight(f"{name}.W"))
        return self._add("Add", product, self._weight(f"{name}.b"))

    # -- inputs -----------------------------------------------------------------------------------

    def _declare_sequences(self) -> None:
        """Declare X and seq_lens."""
        tokens = self.summary.vocabulary is not None
        shape = ("batch", "time") if tokens else ("batch", "time", self.summary.step_features)
        self.inputs.append(self._declare("X", shape, "INT64" if tokens else "FLOAT"))
        self.inputs.append(self._declare("seq_lens", ("batch",), "INT64"))

    def _read_sequences(self) -> str:
        """Return the sequences as the first layer reads them, (batch, time, F)."""
        if self.summary.vocabulary is not None:
            return self._add("Gather", self._weight("embedding.W"), "X")
        X = "X" if self.summary.standardization is None else self._standardized("X")
        X = X if self.summary.fill is None else self._marked(X, self.summary.fill)
        return X if self.summary.patch == 1 else self._in_patches(X)

    def _standardized(self, X: str) -> str:
        """Return the standardised sequences, computed in float64 as `predict` does."""
        standardization: Any = self.summary.standardization
        F = self.summary.step_features  # what stands beside missing values is standardised later
        mean = self._constant("X_mean", standardization.mean[:F], np.float64)
        scale = self._constant("X_scale", standardization.scale[:F], np.float64)
        numbers = self._add("Cast", X, to=self.onnx.TensorProto.DOUBLE)
        standardized = self._add("Div", self._add("Sub", numbers, mean), scale)
        return self._add("Cast", standardized, to=self.onnx.TensorProto.FLOAT)

    def _marked(self, X: str, fill: np.ndarray) -> str:
        """Return the columns that stand for values and missing ones; see `data/missing.py`.

        What is carried is part of the state: the last value, less that before the first one so that
        zeros begin anew, and the number of steps since.
        """
        F = len(fill)
        standardization = self.summary.standardization
        mean = np.zeros(3 * F) if standardization is None else standardization.mean.copy()
        scale = np.ones(3 * F) if standardization is None else standardization.scale.copy()
        self._constant("first_value", (fill - mean[:F]) / scale[:F])
        mean[:F] = 0.0  # values are standardised already
        scale[:F] = 1.0
        last, elapsed = CARRIED
        if not self.starts:
            axis = self._constant("second_axis", [1])
            counts = self._add("Cast", "seq_lens", to=self.onnx.TensorProto.FLOAT)
            counts = self._add("Unsqueeze", counts, axis)
            zeros = self._constant("no_value", np.zeros((1, F)))
            last = elapsed = self._add("Mul", counts, zeros)  # (batch, F)
        self._constant("columns_mean", mean)
        self._constant("columns_scale", scale)
        self._add_text(_MARKED.format(F=F, columns=3 * F), X=X, last0=last, since0=elapsed)
        self.ends = ["end_value", "end_elapsed"]
        return "marked"

    def _in_patches(self, X: str) -> str:
        """Return the sequences in patches, whose lengths become those of the layers' inputs."""
        patch = self.summary.patch
        text = _PATCHES.format(patch=patch, rest=patch - 1, features=self.summary.n_features)
        self._add_text(text, X=X)
        self.lengths = "patch_lengths"
        return "patches"

    def _last_steps(self, rows: str) -> str:
        """Return the last step of each sequence, (batch, H), from all steps."""
        last = self._add("Sub", self.lengths, self._constant("one", [1]))
        index = self._add("Unsqueeze", last, self._constant("second_axis", [1]))
        return self._add("GatherND", rows, index, batch_dims=1)

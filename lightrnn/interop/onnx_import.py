"""`from_onnx`: an ONNX graph that is one chain of layers, as a fitted estimator."""

from __future__ import annotations

import json
import os
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from ..estimators import RNNClassifier, RNNRegressor
from ..utils.checks import flag, shown
from ..utils.extras import import_extra
from .adapt import UserLabels
from .building import check_estimator, enough_memory
from .checking import compared, convert
from .foreign import ForeignNetwork, Level, UnsupportedError
from .formats import other_format
from .onnx_numbers import (
    Activated,
    Block,
    Combination,
    Given,
    Layer,
    Linear,
    Looked,
    Numbers,
    Pooled,
)
from .onnx_operators import Operators
from .onnx_saved import description, read_back
from .reading import read_as

# Lengths for axes without one. They differ, so that a layer that mixes up two axes is found.
_LENGTHS = (3, 5, 2, 7)


def from_onnx(
    source: Any,
    estimator: Any = None,
    *,
    classes: Any = None,
    vocabulary: Any = None,
    multilabel: bool = False,
    check: tuple[Any, Any] | None = None,
) -> Any:
    """Turn an ONNX model of a recurrent network into a fitted estimator.

    Files of `to_onnx` come back as the estimator that they were made of, to equal bits. Other
    graphs are those of one chain: perhaps an embedding (Gather), LSTM, GRU
    (``linear_before_reset=1``) or RNN layers in any directions, a mean or maximum over all steps,
    linear layers (Gemm, or MatMul and Add), and a Softmax, LogSoftmax or Sigmoid; constants that
    scale or shift, as a BatchNormalization does, are put into the weights. Whatever only rearranges
    may stand between. That is what ``torch.onnx`` writes of nn.LSTM, nn.GRU and nn.RNN. The graph
    shows which states a layer reads, so nothing has to be said about it.

    Parameters
    ----------
    source : str, path-like or onnx.ModelProto
        The model.
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel, optional
        Gives the result's arguments, as in `from_torch`. By default a classifier if the graph ends
        with a Softmax, LogSoftmax or Sigmoid, else a regressor; for a file of `to_onnx` the class
        that it was made of.
    classes : array-like of shape (k,), optional
        As in `from_torch`; a file of `to_onnx` knows them.
    vocabulary : sequence of str or int of length V, optional
        As in `from_torch`; a file of `to_onnx` knows it.
    multilabel : bool, default=False
        As in `from_torch`; a graph with several outputs that ends with a Sigmoid is multilabel
        anyway.
    check : tuple of (X, outputs), optional
        As in `from_torch`: inputs, and what a runtime returned for them.

    Returns
    -------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        As in `from_torch`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If the package onnx is not installed.
    TypeError
        If the source or the estimator is of another kind.
    ValueError
        If the graph has what is not computed here, such as another activation, peepholes, ``clip``
        or a GRU that applies its reset gate before the product; if the file is none of ONNX; if an
        argument does not fit; or if the outputs are not those of `check`.

    See Also
    --------
    to_onnx : The other way.

    Examples
    --------
    >>> from lightrnn import RNNClassifier, from_onnx
    >>> check = X, session.run(None, {"x": X})[0]  # doctest: +SKIP
    >>> from_onnx("model.onnx", classes=["no", "yes"], check=check)  # doctest: +SKIP
    RNNClassifier(hidden_layer_sizes=(5,), bidirectional=False)
    """
    if estimator is not None:
        check_estimator(estimator)
    labels = UserLabels(classes, vocabulary, flag("multilabel", multilabel))
    onnx = import_extra("onnx", "to read a model of it", "onnx")
    with enough_memory():
        model = _model(onnx, source)
        metadata = description(model)
        if metadata is not None:
            return _ours(onnx, model, metadata, estimator, labels, check)
        try:
            foreign = _Graph(onnx, model).network()
        except UnsupportedError as error:
            raise ValueError(
                f"source must be one chain of layers that are computed here, got {error}. They are "
                "an embedding, LSTM, GRU and RNN layers with their default activations, a pooling, "
                "linear layers and a softmax or sigmoid."
            ) from None
        if estimator is None:
            estimator = RNNRegressor() if foreign.activation is None else RNNClassifier()
        return convert(estimator, foreign, labels, None, check)


def _ours(
    onnx: Any, model: Any, metadata: dict[str, str], estimator: Any, labels: UserLabels, check: Any
) -> Any:
    """Return the estimator that `to_onnx` wrote."""
    if labels.classes is not None or labels.vocabulary is not None or labels.multilabel:
        raise ValueError(
            "classes, vocabulary and multilabel must be left out for a file of to_onnx, got one of "
            "them. The file has them."
        )
    try:
        converted = read_back(onnx, model, metadata, estimator)
    except (KeyError, TypeError, AttributeError, IndexError, json.JSONDecodeError) as error:
        raise ValueError(
            f"source must be a whole file of to_onnx, got {error!r:.100} in it. It is damaged."
        ) from error
    return converted.estimator if check is None else compared(converted, check)


def _model(onnx: Any, source: Any) -> Any:
    """Return a model, with its functions put into the graph."""
    model: Any = source
    if isinstance(source, (str, os.PathLike)):
        model = _loaded(onnx, source)
    elif not isinstance(source, onnx.ModelProto):
        raise TypeError(f"source must be a path or an onnx.ModelProto, got {shown(source)}.")
    if not model.graph.node:
        raise ValueError(
            f"source must be an ONNX model with a graph, got {shown(source)} with none. "
            "It is damaged or of another format."
        )
    return onnx.inliner.inline_local_functions(model) if model.functions else model


def _loaded(onnx: Any, path: str | os.PathLike[str]) -> Any:
    """Return the model in a file."""
    damage: Any = import_module("google.protobuf.message").DecodeError  # onnx is built on it
    try:
        return onnx.load(path)
    except damage as error:
        found = other_format(path, ("an ONNX model",))
        if found is not None:
            raise ValueError(
                f"source must be an ONNX file, got {os.fspath(path)!r}, {found}"
            ) from None
        raise ValueError(
            f"source must be an ONNX file, got {os.fspath(path)!r}: {error}. "
            "It is damaged or of another format."
        ) from error


class _Graph:
    """Runs a graph on the names of its numbers, see `onnx_numbers`, and reads the chain of layers.

    Parameters
    ----------
    onnx : module
        The package.
    model : ModelProto
        The model.
    """

    def __init__(self, onnx: Any, model: Any) -> None:
        self._onnx = onnx
        self._graph = model.graph
        self._opsets = {entry.domain: entry.version for entry in model.opset_import}
        self._operators = Operators(self._run_node, self._attributes)
        to_array = onnx.numpy_helper.to_array
        self._values: dict[str, Any] = {
            array.name: to_array(array) for array in model.graph.initializer
        }
        self._lengths: dict[str, int] = {}  # of axes by their names

    def network(self) -> ForeignNetwork:
        """Return the network that the first output comes from."""
        self._give_inputs()
        for node in self._graph.node:
            inputs = [self._values[name] if name else None for name in node.input]
            try:
                outputs = self._operators.outputs(node, inputs)
            except UnsupportedError as error:
                name = node.name or (node.output[0] if node.output else "")
                raise UnsupportedError(f"{error} at the node {name!r:.80}") from None
            except (ValueError, TypeError, IndexError, RuntimeError, KeyError) as error:
                raise UnsupportedError(
                    f"the operator {node.op_type!r:.60} that cannot be followed: {error!s:.200}"
                ) from error
            for name, value in zip(node.output, outputs, strict=False):
                self._values[name] = value
        found = [self._values.get(value.name) for value in self._graph.output]
        named = [value for value in found if isinstance(value, Numbers)]
        if not named:
            raise UnsupportedError("no output that depends on the input")
        return _chain(self._operators, named[0])

    # -- running ------------------------------------------------------------------------------

    def _run_node(self, node: Any, inputs: list[Any]) -> list[Any]:
        """Return what a node gives for arrays."""
        from onnx.reference import ReferenceEvaluator

        names = [name for name in node.input if name]
        feeds = dict(zip(names, [value for value in inputs if value is not None], strict=False))
        return list(ReferenceEvaluator(node, opsets=self._opsets).run(None, feeds))

    def _attributes(self, node: Any) -> dict[str, Any]:
        """Return a node's attributes."""
        value = self._onnx.helper.get_attribute_value
        return {attribute.name: value(attribute) for attribute in node.attribute}

    def _give_inputs(self) -> None:
        """Give names to the first input's numbers; others are lengths, or states of zeros."""
        kinds = self._onnx.TensorProto
        whole = (kinds.INT32, kinds.INT64)
        inputs = [value for value in self._graph.input if value.name not in self._values]
        sequences = next(iter(inputs), None)
        if sequences is None or len(sequences.type.tensor_type.shape.dim) < 2:
            raise UnsupportedError("a first input that is no sequences")
        shapes = {value.name: self._shape(value) for value in inputs}
        for value in inputs[1:]:
            shape = shapes[value.name]
            if value.type.tensor_type.elem_type in whole and len(shape) == 1:
                self._values[value.name] = np.full(shape, self._steps(shapes, shape[0]))
            else:
                self._values[value.name] = np.zeros(shape, np.float32)
        self._values[sequences.name] = self._operators.given(shapes[sequences.name])

    def _steps(self, shapes: dict[str, tuple[int, ...]], batch: int) -> int:
        """Return the number of steps of sequences in a batch of this size."""
        first, second = next(iter(shapes.values()))[:2]
        return second if first == batch else first

    def _shape(self, value: Any) -> tuple[int, ...]:
        """Return an input's shape, with lengths for the axes that have none."""
        shape = []
        for number, axis in enumerate(value.type.tensor_type.shape.dim):
            size = axis.dim_value
            if not size:
                name = axis.dim_param or f"{value.name} {number}"
                count = len(self._lengths)
                size = self._lengths.setdefault(name, _LENGTHS[count % len(_LENGTHS)])
            shape.append(size)
        return tuple(shape)


# -- the chain ----------------------------------------------------------------------------------


class _Head(NamedTuple):
    """The last linear layer: what it reads, and its function."""

    of: Combination
    activation: str | None


def _chain(operators: Operators, output: Numbers) -> ForeignNetwork:
    """Return the layers that an output comes from."""
    head = _head(operators, output)
    block, reading = _reading(head.of)
    levels: list[Level] = []
    while isinstance(block.made, Layer):
        levels.insert(0, block.made.level)
        block = block.made.source.block
    if not isinstance(block.made, (Given, Looked)):
        raise UnsupportedError("a recurrent layer that reads pooled states")
    table = block.made.table if isinstance(block.made, Looked) else None
    target = "step" if reading == "step" else "sequence"
    network = ForeignNetwork(levels, head.of.matrix, head.of.b, table, head.activation, target)
    return network if reading == "step" else read_as(network, reading)


def _head(operators: Operators, output: Numbers) -> _Head:
    """Return the last linear layer; a graph that ends with states has none but the identity."""
    blocks = operators.blocks
    block = blocks.block_of(output.names)
    if isinstance(block.made, Activated):
        if output.scale is not None:
            raise UnsupportedError("probabilities that are scaled")
        return _Head(_head(operators, block.made.of).of, block.made.name)
    if isinstance(block.made, Linear):
        # The outputs' own axis may be gone, as where a single one is squeezed.
        columns = (output.names - block.first) % block.width
        whole = np.array_equal(np.sort(output.names, axis=None), block.names.reshape(-1))
        scale, shift = (np.zeros(block.width) for _ in range(2))
        for part, values in zip((scale, shift), output.affine, strict=True):
            part[columns] = values
            whole = whole and np.array_equal(part[columns], values)
        if not whole:
            raise UnsupportedError("an output that is a part of the last layer's")
        of = block.made.of
        return _Head(of._replace(W=of.W * scale, b=of.b * scale + shift), None)
    if isinstance(block.made, Layer):
        return _Head(_identity(block, block.made, output), None)
    raise UnsupportedError("a graph without a recurrent layer")


def _identity(block: Block, layer: Layer, output: Numbers) -> Combination:
    """Return the states themselves that a graph without a linear layer gives."""
    width = block.width
    steps = np.arange(block.rows).reshape(layer.steps, layer.batch)
    rows = np.repeat(steps.reshape(-1, 1), width, axis=1)
    if output.names.size < block.names.size:  # of the last steps
        ends = [steps[-1], steps[0]][: len(layer.level.directions)]
        rows = np.repeat(np.stack(ends, axis=1), layer.level.units, axis=1)
    if (
        output.scale is not None
        or not np.isin(output.names, block.first + rows * width + np.arange(width)).all()
    ):
        raise UnsupportedError("an output that is a part of the states")
    return Combination(block, rows, np.arange(width), np.eye(width), np.zeros(width))


def _reading(of: Combination) -> tuple[Block, str]:
    """Return the layer that the last linear layer reads, and how: "step", or as `read` says."""
    block = of.block
    if isinstance(block.made, Pooled):
        if np.array_equal(of.row, np.arange(block.rows)):
            return block.made.layer, block.made.how
        raise UnsupportedError("an output for other sequences than the input's")
    if not isinstance(block.made, Layer):
        raise UnsupportedError("a graph without a recurrent layer")
    made = block.made
    step, sequence = np.divmod(of.rows, made.batch)
    if len(of.rows) == block.rows and made.steps > 1:
        if np.array_equal(np.sort(of.row), np.arange(block.rows)):
            return block, "step"
    elif len(of.rows) == made.batch and (sequence == np.arange(made.batch)[:, None]).all():
        forward = of.columns < made.level.units
        last = step == made.steps - 1
        if last[:, forward].all():
            if (step[:, ~forward] == 0).all():
                return block, "final"
            if last.all():
                return block, "last"
    raise UnsupportedError("an output that reads other steps than the last one, or all")

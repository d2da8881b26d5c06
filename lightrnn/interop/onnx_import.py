"""`from_onnx`: an ONNX graph that is one chain of layers, as a fitted estimator."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import numpy as np

from ..estimators import RNNClassifier, RNNRegressor
from ..estimators.estimator import check_estimator
from ..utils.checks import flag, shown
from ..utils.extras import import_extra
from ..utils.files import is_path, open_regular, path_text
from .adapt import UserLabels
from .building import GIVEN, enough_memory
from .checking import compared, convert
from .foreign import ForeignNetwork, UnsupportedError
from .formats import unreadable
from .onnx_chain import chain
from .onnx_loops import Candidate, captured, follow
from .onnx_numbers import Numbers
from .onnx_operators import Operators
from .onnx_saved import description, read_back

# Lengths for axes without one. They differ, so that a layer that mixes up two axes is found.
_LENGTHS = (3, 5, 2, 7)
_RECURRENT = ("LSTM", "GRU", "RNN", "Loop")


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
    linear layers (Gemm, or MatMul and Add) with one of Relu, Tanh, Sigmoid and Gelu between them,
    and a Softmax, LogSoftmax or Sigmoid; constants that
    scale or shift, as a BatchNormalization does, are put into the weights. Whatever only rearranges
    may stand between. That is what ``torch.onnx`` writes of nn.LSTM, nn.GRU and nn.RNN, and tf2onnx
    of Keras's layers on TensorFlow, some as a Loop over the steps. The graph shows which states a
    layer reads, so nothing has to be said about it.

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
        check_estimator(estimator, GIVEN)
    labels = UserLabels(classes, vocabulary, flag("multilabel", multilabel))
    onnx = import_extra("onnx", "to read a model of it")
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
                "linear layers with one of Relu, Tanh, Sigmoid or Gelu between them, and a softmax "
                "or sigmoid."
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
    if is_path(source):
        model = _loaded(onnx, path_text(source, "source"))
    elif not isinstance(source, onnx.ModelProto):
        raise TypeError(f"source must be a path or an onnx.ModelProto, got {shown(source)}.")
    if not model.graph.node:
        raise ValueError(
            f"source must be an ONNX model with a graph, got {shown(source)} with none. "
            "It is damaged or of another format."
        )
    return onnx.inliner.inline_local_functions(model) if model.functions else model


def _loaded(onnx: Any, path: str) -> Any:
    """Return the model in a file."""
    open_regular(path).close()  # a device may never end
    damage: Any = import_module("google.protobuf.message").DecodeError  # onnx is built on it
    try:
        return onnx.load(path)
    except damage as error:
        raise unreadable(path, "an ONNX file", ("an ONNX model",), error) from error


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
        if not any(node.op_type in _RECURRENT for node in self._graph.node):
            raise UnsupportedError(
                "a graph without LSTM, GRU, RNN or Loop, perhaps with the steps written out one "
                "after the other (of Keras give the model itself to from_keras)"
            )
        for node in self._graph.node:
            inputs = [self._values[name] if name else None for name in node.input]
            try:
                if node.op_type == "Loop":
                    outputs = self._followed(node)
                else:
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
        return chain(self._operators, named[0])

    # -- running ------------------------------------------------------------------------------

    def _run_node(self, node: Any, inputs: list[Any]) -> list[Any]:
        """Return what a node gives for arrays."""
        from onnx.reference import ReferenceEvaluator

        names = [name for name in node.input if name]
        feeds = dict(zip(names, [value for value in inputs if value is not None], strict=False))
        return list(ReferenceEvaluator(node, opsets=self._opsets).run(None, feeds))

    def _followed(self, node: Any) -> list[Any]:
        """Return what a loop gives that is a recurrent layer."""
        body = self._attributes(node)["body"]
        names = dict.fromkeys([*filter(None, node.input), *captured(body)])
        values = {name: self._values[name] for name in names}
        arrays = [self._onnx.numpy_helper.to_array(array) for array in body.initializer]

        def run(feeds: dict[str, Any]) -> list[Any]:
            return self._run_with(node, feeds)

        def run_layer(candidate: Candidate, X: Any) -> list[Any]:
            made = self._onnx.helper.make_node(
                candidate.operator, ["X", "W", "R", "B"], ["Y", "Y_h"], **candidate.attributes
            )
            inputs = [X, candidate.W, candidate.R, candidate.B]
            named = isinstance(X, Numbers)
            return self._operators.outputs(made, inputs) if named else self._run_node(made, inputs)

        return follow(values, arrays, run, run_layer)

    def _run_with(self, node: Any, feeds: dict[str, Any]) -> list[Any]:
        """Return what a node gives that reads more than its inputs: its body reads the rest."""
        from onnx.reference import ReferenceEvaluator

        helper = self._onnx.helper
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), None)
            for name, array in feeds.items()
        ]
        outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
        graph = helper.make_graph([node], "loop", inputs, outputs)
        opsets = [helper.make_opsetid(*entry) for entry in self._opsets.items()]
        model = helper.make_model(graph, opset_imports=opsets)
        return list(ReferenceEvaluator(model).run(None, feeds))

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

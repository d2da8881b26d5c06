"""Files of `to_onnx`, read back: the graph's weights, and what it computes from its metadata.

The metadata "network" say in JSON which of this package's networks a graph is. Its numbers are
those of the graph, except for the few that the graph has in another form: standardisation and the
values before the first ones, in float64.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ..cells import CELLS
from ..data.form import Form
from ..data.labels import ClassTargets, MultilabelTargets
from ..data.targets import RealTargets
from ..data.tokens import Vocabulary
from ..estimators import RNNClassifier, RNNRegressor
from ..estimators.language import RNNLanguageModel
from ..nn.state_dict import Direction
from ..utils.archive import Arrays
from ..utils.standardization import Standardization
from .building import Converted, adopt
from .foreign import direction_arrays, reorder_gates
from .onnx_graph import OPERATORS
from .summary import Summary

_KEY = "network"
_CLASSES = {kind.__name__: kind for kind in (RNNClassifier, RNNRegressor, RNNLanguageModel)}
# Fields of a summary that are arguments of an estimator, or that targets need, as they are.
_FIELDS = (
    *("cell", "task", "step", "n_features", "patch", "n_outputs", "units", "window", "pooling"),
    *("head", "head_units", "head_activation", "quantiles"),
)


# -- writing --------------------------------------------------------------------------------------


def add_description(onnx_model: Any, summary: Summary, model: Any) -> None:
    """Add to an ONNX model which network it is.

    Parameters
    ----------
    onnx_model : ModelProto
        The model of `summary`.
    summary : Summary
        The estimator, or a pipeline of scalers and an estimator.
    model : Model
        The estimator's own model.
    """
    vocabulary = summary.vocabulary
    form = model.form
    names = None if form is None else form.feature_names
    described = {name: getattr(summary, name) for name in _FIELDS} | {
        "bidirectional": summary.bidirectional,
        "result": summary.result.name,
        "weights": list(summary.weights),
        "fill": _listed(summary.fill),
        "standardization": None,
        "form": None if form is None else [form.n_features_in, form.is_table],
        "feature_names": None if names is None else names.tolist(),
        "classes_dtype": None if summary.classes is None else summary.classes.dtype.str,
    }
    if summary.standardization is not None:
        standardization = vars(summary.standardization)
        described["standardization"] = {
            name: _listed(standardization[name]) for name in ("mean", "variance", "weight")
        }
    if vocabulary is not None:
        described["tokens"] = [vocabulary.n_special, vocabulary.marks_apart, vocabulary.padding]
    entry = onnx_model.metadata_props.add()
    entry.key = _KEY
    entry.value = json.dumps(described)


def _listed(values: Any) -> Any:
    """Return numbers as JSON has them, each to its last bit."""
    return None if values is None else np.asarray(values, np.float64).tolist()


# -- reading --------------------------------------------------------------------------------------


def description(onnx_model: Any) -> dict[str, str] | None:
    """Return the metadata of a file of `to_onnx`; None of another model."""
    found = {entry.key: entry.value for entry in onnx_model.metadata_props}
    return found if onnx_model.producer_name == "lightrnn" and _KEY in found else None


def read_back(onnx: Any, onnx_model: Any, metadata: dict[str, str], estimator: Any) -> Converted:
    """Return the estimator that `to_onnx` wrote.

    Parameters
    ----------
    onnx : module
        The package.
    onnx_model : ModelProto
        The model.
    metadata : dict of str to str
        As `description` returns them.
    estimator : RNNClassifier, RNNRegressor, RNNLanguageModel or None
        Gives the result's other arguments.

    Raises
    ------
    ValueError
        If the estimator is of another class, or the model is damaged.
    """
    kind = _CLASSES[metadata["estimator"]]
    if estimator is not None and not isinstance(estimator, kind):
        raise ValueError(
            f"estimator must be an {kind.__name__}, which the source was made of, got "
            f"{type(estimator).__name__}."
        )
    told = json.loads(metadata[_KEY])
    to_array = onnx.numpy_helper.to_array
    values = {array.name: to_array(array) for array in onnx_model.graph.initializer}
    vocabulary = _vocabulary(metadata, told)
    result = kind(**_arguments(kind() if estimator is None else estimator, told, vocabulary))
    form = None
    if told["form"] is not None:
        names = told["feature_names"]
        fill = told["fill"]
        n_features_in, is_table = told["form"]
        form = Form(
            n_features_in,
            is_table,
            feature_names=None if names is None else np.array(names, object),
            patch=told["patch"],
            fill=None if fill is None else np.array(fill),
        )
    standardization = told["standardization"] and Standardization.of(**told["standardization"])
    targets = _targets(metadata, told, values, result)
    adopt(result, form, _arrays(told, values), targets, vocabulary, standardization)
    count = len(vocabulary or ())
    return Converted(result, list(range(count)), np.arange(told["n_outputs"]), padded=False)


def _vocabulary(metadata: dict[str, str], told: dict[str, Any]) -> Vocabulary | None:
    """Return the vocabulary."""
    if "vocabulary" not in metadata:
        return None
    tokens = np.array(json.loads(metadata["vocabulary"]), dtype=object)
    return Vocabulary(metadata["tokens"], tokens, *told["tokens"])


def _arguments(
    estimator: Any, told: dict[str, Any], vocabulary: Vocabulary | None
) -> dict[str, Any]:
    """Return an estimator's arguments, with those that the network has."""
    arguments: dict[str, Any] = estimator.get_params(deep=False)
    found = {
        "cell": told["cell"],
        "hidden_layer_sizes": tuple(told["units"]),
        "window": told["window"] or arguments["window"],
        "tokens": "number" if vocabulary is None else vocabulary.kind,
    }
    if vocabulary is not None:
        found["embedding_size"] = told["n_features"]
    if isinstance(estimator, RNNLanguageModel):
        adaptive = told["head"] == "adaptive"
        found["output"] = "adaptive" if adaptive else "softmax"
        found["tie_weights"] = told["head"] == "tied"
    else:
        found["target"] = "step" if told["step"] else "sequence"
        found["pooling"] = told["pooling"]
        found["head_layer_sizes"] = tuple(told.get("head_units", ()))  # older files have none
        found["head_activation"] = told.get("head_activation", "relu")
        found["bidirectional"] = told["bidirectional"]
        found["patch"] = told["patch"]
        found["missing"] = "error" if told["fill"] is None else "mask"
    if told["quantiles"]:
        found["loss"] = "quantile"
        found["quantile"] = tuple(told["quantiles"])
    return arguments | found


def _targets(metadata: dict[str, str], told: dict[str, Any], values: Arrays, estimator: Any) -> Any:
    """Return what the outputs stand for."""
    if told["task"] == "language":
        return None
    if told["task"] == "labels":
        return MultilabelTargets(told["n_outputs"], told["step"])
    if told["task"] == "classes":
        labels = json.loads(metadata["classes"])
        dtype = np.dtype(told["classes_dtype"])
        if dtype.kind == "S":
            labels = [label.encode("latin-1") for label in labels]
        return ClassTargets(np.array(labels, dtype), told["step"])
    quantiles = told["quantiles"]
    return RealTargets(
        values["y_mean"].ravel(),
        values["y_scale"].ravel(),
        told["step"],
        estimator.dtype,
        told["result"],
        quantiles=None if quantiles is None else tuple(quantiles),
    )


def _arrays(told: dict[str, Any], values: Arrays) -> Arrays:
    """Return the network's arrays by our names."""
    arrays = {name: values[name] for name in told["weights"] if name in values}
    if told["cell"] == "ffnn":
        windows = values["layer0.W"]  # (H, F, window), of a convolution
        return arrays | {"layer0.W": windows.transpose(2, 1, 0).reshape(-1, len(windows))}
    gates = CELLS[told["cell"]].gates
    stored = OPERATORS[told["cell"]].gates
    for number in range(len(told["units"])):
        W, R, B = (values[f"layer{number}.{part}"] for part in "WRB")
        for i, suffix in enumerate(("", ".reverse")[: len(W)]):
            parts = (W[i].T, R[i].T, *np.split(B[i], 2))
            direction = Direction(*(reorder_gates(part, stored, gates) for part in parts))
            arrays |= direction_arrays(told["cell"], f"layer{number}{suffix}", direction)
    return arrays

"""The configuration of a Keras model: its layers, and whether lightrnn computes each of them."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from .foreign import MOST_LISTED, UnsupportedError

# The order of the gates in Keras's SimpleRNN, GRU and LSTM, by our names (Keras's c is our g, and a
# GRU's h our n).
KERAS_GATES = {"rnn": "h", "gru": "zrn", "lstm": "ifgo"}
_RECURRENT = ("SimpleRNN", "GRU", "LSTM")
# One letter for what a layer does, so that a regular expression can check their order.
_ROLES = {
    "Embedding": "E",
    "Bidirectional": "R",
    "Dense": "D",
    "Activation": "A",
    "Softmax": "A",
    "GlobalAveragePooling1D": "P",
    "GlobalMaxPooling1D": "P",
} | dict.fromkeys(_RECURRENT, "R")
_CHAIN = re.compile("E?R+P?DA?")
_POOLINGS = {"GlobalAveragePooling1D": "mean", "GlobalMaxPooling1D": "max"}
# Layers that leave the prediction of a whole sequence without padding as it is.
_IGNORED = (
    "InputLayer",
    "Masking",
    "Identity",
    "Dropout",
    "SpatialDropout1D",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "ActivityRegularization",
)
_MASKS = ("NotEqual", "Any")  # the forms that Masking and mask_zero take in a functional model
# The settings of a recurrent layer without which it is another function.
_REQUIRED = {
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
    "reset_after": True,
    "return_state": False,
}
_OUTPUT_ACTIVATIONS = ("linear", "softmax", "sigmoid")


class Description(NamedTuple):
    """The part of a configuration that the shapes of weights do not determine."""

    activation: str  # of the output layer: "linear", "softmax" or "sigmoid"
    target: str  # "sequence" or "step"
    pooling: str = "last"  # how the states of a sequence are read: "last", "mean" or "max"
    padded: bool = False  # whether token 0 is padding: an Embedding with mask_zero
    masked: bool = False  # whether steps of one value are left out: a Masking layer


def describe(model: dict[str, Any]) -> Description:
    """Check a model's layers and return their description.

    Parameters
    ----------
    model : dict
        The ``config.json`` of a ``.keras`` file.

    Raises
    ------
    UnsupportedError
        If a layer, one of its settings, or the order of the layers is not computed here.
    KeyError, TypeError, ValueError
        If the configuration is damaged.
    """
    if model["class_name"] not in ("Sequential", "Functional"):
        raise UnsupportedError(f"a model of the class {model['class_name']!r:.60}")
    layers = [layer for layer in model["config"]["layers"] if layer["class_name"] not in _MASKS]
    if model["class_name"] == "Functional":
        _check_chain(layers)
    masked = any(layer["class_name"] == "Masking" for layer in layers)
    layers = [layer for layer in map(_in_every_step, layers) if not _has_no_effect(layer)]
    for layer in layers:
        if layer["class_name"] not in _ROLES:
            raise UnsupportedError(f"the layer {_shown(layer)}")
    roles = "".join(_ROLES[layer["class_name"]] for layer in layers)
    if not _CHAIN.fullmatch(roles):
        listed = ", ".join(map(_shown, layers[:MOST_LISTED]))
        raise UnsupportedError(f"the layers {listed}, in this order")
    head = roles.index("D")
    pooling = "last"
    target = _target([layer for layer in layers[:head] if _ROLES[layer["class_name"]] == "R"])
    if "P" in roles:
        pooling = _pooling(layers[roles.index("P")], target)
        target = "sequence"
    padded = roles[0] == "E" and bool(layers[0]["config"].get("mask_zero"))
    return Description(_output_activation(layers[head:]), target, pooling, padded, masked)


def _in_every_step(layer: dict[str, Any]) -> dict[str, Any]:
    """Return the layer that a TimeDistributed puts into every step, or a layer as it is."""
    if layer["class_name"] != "TimeDistributed":
        return layer
    inner: dict[str, Any] = layer["config"]["layer"]
    if _ROLES.get(inner["class_name"]) not in ("D", "A") and inner["class_name"] not in _IGNORED:
        raise UnsupportedError(f"{_shown(layer)} around {_shown(inner)}")
    return inner


def _has_no_effect(layer: dict[str, Any]) -> bool:
    """Whether predictions are the same without a layer."""
    linear = layer["class_name"] == "Activation" and layer["config"]["activation"] == "linear"
    return linear or layer["class_name"] in _IGNORED


def _shown(layer: dict[str, Any]) -> str:
    """Return a layer's name and class for a message."""
    return f"{layer['config']['name']!r:.60} of class {layer['class_name']!r:.60}"


def _check_chain(layers: list[dict[str, Any]]) -> None:
    """Refuse a functional model unless each layer follows the one before it and no other."""
    inputs = [_shown(layer) for layer in layers if layer["class_name"] == "InputLayer"]
    if len(inputs) > 1:
        raise UnsupportedError(f"a functional model with the inputs {' and '.join(inputs)}")
    previous = None
    for layer in layers:
        nodes = layer["inbound_nodes"]
        source = _source(nodes[0]) if nodes else None
        if source != previous or len(nodes) > 1:
            raise UnsupportedError(f"{_shown(layer)}, which does not follow {previous!r:.60} alone")
        previous = layer["config"]["name"]


def _source(node: Any) -> Any:
    """Return the name of the one layer whose first output a node reads, None for another node."""
    if isinstance(node, dict):  # Keras 3
        tensors = [tensor["config"]["keras_history"] for tensor in node["args"]]
        (name, _, output), *others = tensors
    else:  # Keras 2.13 to 2.15
        (name, _, output, _), *others = node
    return None if others or output else name


def _target(layers: list[dict[str, Any]]) -> str:
    """Check the recurrent layers; return "step" or "sequence", which the last one's outputs are."""
    settings = [_check_directions(layer) for layer in layers]
    for layer, inner in zip(layers[:-1], settings[:-1], strict=True):
        if not inner["return_sequences"]:
            raise UnsupportedError(f"{_shown(layer)} before another, with return_sequences=False")
    return "step" if settings[-1]["return_sequences"] else "sequence"


def _pooling(layer: dict[str, Any], target: str) -> str:
    """Return how a layer pools the states of all steps."""
    settings = layer["config"]
    plain = settings.get("data_format", "channels_last") == "channels_last"
    if target != "step" or settings.get("keepdims") or not plain:
        raise UnsupportedError(f"{_shown(layer)} over another axis than the steps of one sequence")
    return _POOLINGS[layer["class_name"]]


def _check_directions(layer: dict[str, Any]) -> dict[str, Any]:
    """Check a recurrent layer, or both of a Bidirectional; return the forward one's settings."""
    if layer["class_name"] != "Bidirectional":
        return _check_settings(layer, backwards=False)
    outer = layer["config"]
    if outer["merge_mode"] != "concat":
        raise UnsupportedError(f"{_shown(layer)} with merge_mode={outer['merge_mode']!r}")
    if outer["layer"]["class_name"] not in _RECURRENT:
        raise UnsupportedError(f"{_shown(layer)} around {_shown(outer['layer'])}")
    if outer.get("backward_layer"):  # by default a copy of the forward one
        _check_settings(outer["backward_layer"], backwards=True)
    return _check_settings(outer["layer"], backwards=False)


def _check_settings(layer: dict[str, Any], *, backwards: bool) -> dict[str, Any]:
    """Check the settings of one recurrent layer and return them."""
    settings: dict[str, Any] = layer["config"]
    for name, wanted in (_REQUIRED | {"go_backwards": backwards}).items():
        if settings.get(name, wanted) != wanted:  # an LSTM has no reset_after, for example
            raise UnsupportedError(f"{_shown(layer)} with {name}={settings[name]!r:.60}")
    return settings


def _output_activation(layers: list[dict[str, Any]]) -> str:
    """Return the activation of the output layer, its own or that of a layer after it."""
    head, *others = layers
    activations = [head["config"]["activation"]]
    for layer in others:
        if layer["class_name"] == "Softmax" and layer["config"].get("axis", -1) != -1:
            raise UnsupportedError(f"{_shown(layer)} with axis={layer['config']['axis']!r:.60}")
        activations.append(layer["config"].get("activation", "softmax"))
    *before, last = activations
    if last not in _OUTPUT_ACTIVATIONS or set(before) - {"linear"}:
        listed = " and ".join(f"{activation!r:.60}" for activation in activations)
        raise UnsupportedError(f"{_shown(head)} with the activation {listed}")
    return str(last)

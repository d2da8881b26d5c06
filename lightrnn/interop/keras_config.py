"""What a Keras model's configuration says: the layers, one after another, and whether each is computed here."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from .torch_pickle import RefusedError

_RECURRENT = ("LSTM", "GRU", "SimpleRNN")
_ROLES = {
    "Embedding": "E",
    "Dense": "D",
    "TimeDistributed": "D",
    "Activation": "A",
    "Bidirectional": "R",
} | dict.fromkeys(_RECURRENT, "R")
_IDLE = (
    "InputLayer",
    "Masking",
    "Dropout",
    "SpatialDropout1D",
)  # without effect on a whole sequence's prediction
_MASKS = ("NotEqual", "Any")  # how Masking and mask_zero appear in a functional model
_WANTED = {
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
    "reset_after": True,
    "stateful": False,
    "return_state": False,
}
_LINKS = ("linear", "softmax", "sigmoid")


class Described(NamedTuple):
    """What a configuration says beyond shapes."""

    link: str  # what follows the output layer: "linear", "softmax" or "sigmoid"
    target: str  # "sequence" or "step"


def describe(model: dict[str, Any]) -> Described:
    """Check a model's layers and return what they say.

    Parameters
    ----------
    model : dict
        The ``config.json`` of a ``.keras`` file.

    Raises
    ------
    RefusedError
        If a layer, one of its settings, or the way in which they are joined is not computed here.
    KeyError, TypeError, ValueError
        If the configuration is damaged.
    """
    if model["class_name"] not in ("Sequential", "Functional"):
        raise RefusedError(f"a model of the class {model['class_name']!r:.60}")
    layers = [layer for layer in model["config"]["layers"] if layer["class_name"] not in _MASKS]
    if model["class_name"] == "Functional":
        _check_chain(layers)
    layers = [layer for layer in layers if layer["class_name"] not in _IDLE]
    unknown = [layer for layer in layers if layer["class_name"] not in _ROLES]
    if unknown:
        raise RefusedError(f"the layer {_shown(unknown[0])}")
    roles = "".join(_ROLES[layer["class_name"]] for layer in layers)
    if not re.fullmatch("E?R+DA?", roles):
        raise RefusedError(f"the layers {', '.join(map(_shown, layers))}, in this order")
    target = _target([layer for layer in layers if _ROLES[layer["class_name"]] == "R"])
    return Described(_link(layers[roles.index("D") :]), target)


def _shown(layer: dict[str, Any]) -> str:
    """Name a layer and its class for a message."""
    return f"{layer['config']['name']!r:.60} of class {layer['class_name']!r:.60}"


def _check_chain(layers: list[dict[str, Any]]) -> None:
    """Refuse a functional model whose layers do not each follow the one before."""
    previous = None
    for layer in layers:
        nodes = layer["inbound_nodes"]
        source = nodes[0]["args"][0]["config"]["keras_history"][0] if nodes else None
        if source != previous or len(nodes) > 1:
            raise RefusedError(f"{_shown(layer)}, which does not follow {previous!r} alone")
        previous = layer["config"]["name"]


def _target(layers: list[dict[str, Any]]) -> str:
    """Check the recurrent layers; return what the last of them hands on: its final state, or one a step."""
    inner = [_check_directions(layer) for layer in layers]
    for layer, settings in zip(layers[:-1], inner[:-1], strict=True):
        if not settings["return_sequences"]:
            raise RefusedError(f"{_shown(layer)} before another, with return_sequences=False")
    return "step" if inner[-1]["return_sequences"] else "sequence"


def _check_directions(layer: dict[str, Any]) -> dict[str, Any]:
    """Check a recurrent layer, or both of a Bidirectional; return the settings of the only or forward one."""
    if layer["class_name"] != "Bidirectional":
        return _check_settings(layer, backwards=False)
    outer = layer["config"]
    if outer["merge_mode"] != "concat":
        raise RefusedError(f"{_shown(layer)} with merge_mode={outer['merge_mode']!r}")
    if outer["layer"]["class_name"] not in _RECURRENT:
        raise RefusedError(f"{_shown(layer)} around {_shown(outer['layer'])}")
    if outer.get("backward_layer"):
        _check_settings(outer["backward_layer"], backwards=True)
    return _check_settings(outer["layer"], backwards=False)


def _check_settings(layer: dict[str, Any], *, backwards: bool) -> dict[str, Any]:
    """Check the settings of one recurrent layer and return them."""
    settings: dict[str, Any] = layer["config"]
    for name, wanted in (_WANTED | {"go_backwards": backwards}).items():
        if settings.get(name, wanted) != wanted:
            raise RefusedError(f"{_shown(layer)} with {name}={settings[name]!r:.60}")
    return settings


def _link(layers: list[dict[str, Any]]) -> str:
    """Return what follows the output layer's sums: its own activation, or that of a layer behind it."""
    dense = layers[0]["config"]
    if layers[0]["class_name"] == "TimeDistributed":
        if dense["layer"]["class_name"] != "Dense":
            raise RefusedError(f"{_shown(layers[0])} around {_shown(dense['layer'])}")
        dense = dense["layer"]["config"]
    links = [dense["activation"], *(layer["config"]["activation"] for layer in layers[1:])]
    if links[-1] not in _LINKS or set(links[:-1]) - {"linear"}:
        raise RefusedError(
            f"{_shown(layers[0])} with the activation {' and '.join(map(repr, links))}"
        )
    return str(links[-1])

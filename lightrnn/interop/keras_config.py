"""The configuration of a Keras model: its layers, and whether lightrnn computes each of them."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..cells import HEAD_CELLS
from .foreign import MOST_LISTED, UnsupportedError
from .keras_chain import (
    MASKS,
    MODELS,
    RECURRENT,
    ROLES,
    Config,
    Fold,
    Place,
    flattened,
    shown_layer,
)

# The order of the gates in Keras's SimpleRNN, GRU and LSTM, by our names (Keras's c is our g, and a
# GRU's h our n).
KERAS_GATES = {"rnn": "h", "gru": "zrn", "lstm": "ifgo"}
_CHAIN = re.compile("E?[ND]*R(N*R)*N*P?N*(DN*A?N*)*DN*A?")
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
# The settings of a recurrent layer without which it is another function.
_REQUIRED = {
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
    "reset_after": True,
    "return_state": False,
}
_OUTPUT_ACTIVATIONS = ("linear", "softmax", "sigmoid")


class Description(NamedTuple):
    """All that the shapes of weights do not say: functions, and where the arrays of layers are.

    Attributes
    ----------
    activation : {"linear", "softmax", "sigmoid"}
        The function at the end.
    head_activation : str or None
        That between several Dense layers, "linear" for none.
    target : {"sequence", "step"}
        Whether there is one output per sequence or per step.
    pooling : {"last", "mean", "max"}
        How the states of a sequence are read.
    padded : bool
        Whether token 0 is padding: an Embedding with mask_zero.
    masked : bool
        Whether steps of one value are left out: a Masking layer.
    recurrent : list of str
        Paths of the recurrent layers.
    head : str
        Path of the last Dense layer.
    embedding : str or None
        Path of the Embedding.
    folds : list of Fold
        Each layer that another one takes in, from last to first.
    """

    activation: str
    head_activation: str | None
    target: str
    pooling: str
    padded: bool
    masked: bool
    recurrent: list[str]
    head: str
    embedding: str | None
    folds: list[Fold]


def describe(model: Config) -> Description:
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
    places, roles = _chain(model)
    recurrent = [place for place in places if place.role == "R"]
    head = [place.layer for place in places[roles.rindex("R") + 1 :] if place.role in "DA"]
    target = _target([place.layer for place in recurrent])
    pooling = "last"
    folds = _folds(places, roles, step=target == "step")
    if "P" in roles:
        pooling = _pooling(places[roles.index("P")].layer, target)
        target = "sequence"
    between, last = _activations(head)
    embedding = places[0] if roles[0] == "E" else None
    return Description(
        activation=last,
        head_activation=between,
        target=target,
        pooling=pooling,
        padded=embedding is not None and bool(embedding.settings.get("mask_zero")),
        masked=any(place.kind == "Masking" for place in flattened(model)),
        recurrent=[place.path for place in recurrent],
        head=places[roles.rindex("D")].path,
        embedding=embedding and embedding.path,
        folds=folds,
    )


def _folds(places: list[Place], roles: str, *, step: bool) -> list[Fold]:
    """Return the layers that others take in; `step` is whether the last states are those of steps.

    Raises
    ------
    UnsupportedError
        If a layer cannot be put into the one that reads it.
    """
    last = roles.rindex("R")
    into_read: list[Fold] = []
    into_reader: list[Fold] = []
    for i, place in enumerate(places):
        if place.role == "N" or (place.role == "D" and i < last):
            _check_axis(place, 3 if i < last or (step and "P" not in roles[:i]) else 2)
            read = places[len(roles[:i].rstrip("N")) - 1]
            if i > last and read.kind == "Dense" and read.settings["activation"] == "linear":
                into_read.append(Fold(place, read.path, reads=True))
                continue
            if i > roles.rindex("D"):
                raise UnsupportedError(f"{shown_layer(place.layer)} at the end")
            # Into a recurrent layer go those just before it and, later, those before them.
            following = roles.index("R" if i < last else "D", i)
            if "P" in roles[i:following] and "Max" in places[roles.index("P")].kind:
                raise UnsupportedError(f"{shown_layer(place.layer)} before a maximum")
            into_reader.append(Fold(place, places[following].path))
    return into_read + into_reader[::-1]


def _chain(model: Config) -> tuple[list[Place], str]:
    """Return the layers that change a prediction, and a letter for each one's role."""
    if model["class_name"] not in MODELS:
        raise UnsupportedError(f"a model of the class {model['class_name']!r:.60}")
    found = (place for place in flattened(model) if place.kind not in MASKS)
    places = [place._replace(layer=_in_every_step(place.layer)) for place in found]
    places = [place for place in places if not _has_no_effect(place.layer)]
    for place in places:
        if not place.role:
            raise UnsupportedError(f"the layer {shown_layer(place.layer)}")
    roles = "".join(place.role for place in places)
    if not _CHAIN.fullmatch(roles):
        listed = ", ".join(shown_layer(place.layer) for place in places[:MOST_LISTED])
        raise UnsupportedError(f"the layers {listed}, in this order")
    for place in places[: roles.rindex("R")]:
        activation = place.settings.get("activation", "linear")
        if place.role == "D" and activation != "linear":
            raise UnsupportedError(
                f"{shown_layer(place.layer)} with the activation {activation!r:.60}"
            )
    return places, roles


def _check_axis(place: Place, axes: int) -> None:
    """Refuse a normalisation of another axis than the last of so many."""
    axis = place.settings.get("axis", -1)
    given = axis if isinstance(axis, list) else [axis]
    if place.kind != "Dense" and not set(given) <= {-1, axes - 1, None}:
        raise UnsupportedError(f"{shown_layer(place.layer)} with axis={axis!r:.60}")


def _in_every_step(layer: Config) -> Config:
    """Return the layer that a TimeDistributed puts into every step, or a layer as it is."""
    if layer["class_name"] != "TimeDistributed":
        return layer
    inner: Config = layer["config"]["layer"]
    if ROLES.get(inner["class_name"]) not in ("D", "A") and inner["class_name"] not in _IGNORED:
        raise UnsupportedError(f"{shown_layer(layer)} around {shown_layer(inner)}")
    return inner


def _has_no_effect(layer: Config) -> bool:
    """Whether predictions are the same without a layer."""
    linear = layer["class_name"] == "Activation" and layer["config"]["activation"] == "linear"
    return linear or layer["class_name"] in _IGNORED


def _target(layers: list[Config]) -> str:
    """Check the recurrent layers; return "step" or "sequence", which the last one's outputs are."""
    settings = [_check_directions(layer) for layer in layers]
    for layer, inner in zip(layers[:-1], settings[:-1], strict=True):
        if not inner["return_sequences"]:
            raise UnsupportedError(
                f"{shown_layer(layer)} before another, with return_sequences=False"
            )
    return "step" if settings[-1]["return_sequences"] else "sequence"


def _pooling(layer: Config, target: str) -> str:
    """Return how a layer pools the states of all steps."""
    settings = layer["config"]
    plain = settings.get("data_format", "channels_last") == "channels_last"
    if target != "step" or settings.get("keepdims") or not plain:
        raise UnsupportedError(
            f"{shown_layer(layer)} over another axis than the steps of one sequence"
        )
    return _POOLINGS[layer["class_name"]]


def _check_directions(layer: Config) -> Config:
    """Check a recurrent layer, or both of a Bidirectional; return the forward one's settings."""
    if layer["class_name"] != "Bidirectional":
        return _check_settings(layer, backwards=False)
    outer = layer["config"]
    if outer["merge_mode"] != "concat":
        raise UnsupportedError(f"{shown_layer(layer)} with merge_mode={outer['merge_mode']!r}")
    if outer["layer"]["class_name"] not in RECURRENT:
        raise UnsupportedError(f"{shown_layer(layer)} around {shown_layer(outer['layer'])}")
    if outer.get("backward_layer"):  # by default a copy of the forward one
        _check_settings(outer["backward_layer"], backwards=True)
    return _check_settings(outer["layer"], backwards=False)


def _check_settings(layer: Config, *, backwards: bool) -> Config:
    """Check the settings of one recurrent layer and return them."""
    settings: Config = layer["config"]
    for name, wanted in (_REQUIRED | {"go_backwards": backwards}).items():
        # An LSTM has no reset_after, and a GRU of the first versions of Keras 2 resets before.
        missing = False if name == "reset_after" and layer["class_name"] == "GRU" else wanted
        found = settings.get(name, missing)
        if found != wanted:
            raise UnsupportedError(f"{shown_layer(layer)} with {name}={found!r:.60}")
    return settings


def _activations(layers: list[Config]) -> tuple[str | None, str]:
    """Return the activation between Dense layers, None for a single one, and that at the end.

    Each is a Dense layer's own, or that of a layer after it.
    """
    heads: list[Config] = []
    found: list[list[str]] = []
    for layer in layers:
        if layer["class_name"] == "Dense":
            heads.append(layer)
            found.append([])
        found[-1].append(_function(layer))
    for head, names in zip(heads, found, strict=True):
        known = _OUTPUT_ACTIVATIONS if head is heads[-1] else ("linear", *HEAD_CELLS)
        *before, last = names
        if last not in known or set(before) - {"linear"}:
            listed = " and ".join(f"{name!r:.60}" for name in names)
            raise UnsupportedError(f"{shown_layer(head)} with the activation {listed}")
    *between, end = (names[-1] for names in found)
    if len(set(between)) > 1:
        listed = " and ".join(map(repr, dict.fromkeys(between)))
        raise UnsupportedError(f"the activations {listed} between Dense layers")
    return (between[0] if between else None), end


def _function(layer: Config) -> str:
    """Return the name of a layer's function."""
    settings = layer["config"]
    if layer["class_name"] == "Softmax":
        if settings.get("axis", -1) != -1:
            raise UnsupportedError(f"{shown_layer(layer)} with axis={settings['axis']!r:.60}")
        return "softmax"
    if layer["class_name"] == "ReLU":
        usual = {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}
        for name, value in usual.items():
            if settings.get(name) not in (value, None):
                raise UnsupportedError(f"{shown_layer(layer)} with {name}={settings[name]!r:.60}")
        return "relu"
    return str(settings["activation"])

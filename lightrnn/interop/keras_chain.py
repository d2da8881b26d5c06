"""The chain of a Keras model's layers, where their arrays are, and which are put into others.

A BatchNormalization that no longer learns, a Normalization and a linear Dense before the recurrent
layers are affine functions of columns; the layer that reads these takes them in.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from .foreign import Affine, UnsupportedError, doubles, normalization

MODELS = ("Sequential", "Functional", "Model")  # the last two are one, in Keras 3 and 2
SIDES = ("forward_layer", "backward_layer")  # the folders of a Bidirectional layer's two copies
MASKS = ("NotEqual", "Any")  # the forms that Masking and mask_zero take in a functional model
_SMALLEST_DEVIATION = 1e-7  # Keras's, of a Normalization


Config = dict[str, Any]  # of a model or a layer, as Keras writes it
RECURRENT = ("SimpleRNN", "GRU", "LSTM")
# One letter for what a layer does, so that a regular expression can check their order.
ROLES = {
    "Embedding": "E",
    "Bidirectional": "R",
    "Dense": "D",
    "Activation": "A",
    "Softmax": "A",
    "ReLU": "A",
    "GlobalAveragePooling1D": "P",
    "GlobalMaxPooling1D": "P",
    "BatchNormalization": "N",
    "Normalization": "N",
    "Rescaling": "N",
} | dict.fromkeys(RECURRENT, "R")


class Place(NamedTuple):
    """A layer's configuration, and the folder of its arrays in a file of Keras 3."""

    layer: Config
    path: str

    @property
    def kind(self) -> str:
        """The layer's class."""
        return str(self.layer["class_name"])

    @property
    def role(self) -> str:
        """A letter for what the layer does, "" for one that is not computed here."""
        return ROLES.get(self.kind, "")

    @property
    def settings(self) -> Config:
        """The layer's settings."""
        return self.layer["config"]


class Fold(NamedTuple):
    """A layer that another one takes in: the one that reads it, or the one that it reads."""

    place: Place
    path: str  # of the other layer
    reads: bool = False  # whether the layer reads the other one


def flattened(model: Config, path: str = "layers") -> Iterator[Place]:
    """Yield the layers of a model, those of models within it in their place.

    Raises
    ------
    UnsupportedError
        If a layer of a functional model does not follow the one before it alone.
    """
    if model["class_name"] != "Sequential":
        _check_chain([layer for layer in layers_of(model) if layer["class_name"] not in MASKS])
        _check_outputs(model)
    counts: Counter[str] = Counter()
    for layer in layers_of(model):
        name = _snake_case(layer["class_name"])
        number = counts[name]
        counts[name] += 1
        here = f"{path}/{name}_{number}" if number else f"{path}/{name}"
        if layer["class_name"] in MODELS:
            yield from flattened(layer, f"{here}/layers")
        elif layer["class_name"] == "TimeDistributed" and "layer" in layer["config"]:
            yield Place(layer, f"{here}/layer")
        else:
            yield Place(layer, here)


def named(model: Config) -> Iterator[tuple[Place, str]]:
    """Yield the layers as `flattened` does, each with the name of the model's own that has it."""
    places = iter(list(flattened(model)))
    for layer in layers_of(model):
        count = 1
        if layer["class_name"] in MODELS:
            count = sum(1 for _ in flattened(layer))
        for _ in range(count):
            yield next(places), layer["config"]["name"]


def layers_of(model: Config) -> list[Config]:
    """Return the layers of a model; before Keras 2.2.3 a Sequential one was a list of them."""
    config = model["config"]
    return config if isinstance(config, list) else config["layers"]


def _snake_case(name: str) -> str:
    """Return the name that Keras's files have for a class."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def shown_layer(layer: Config) -> str:
    """Return a layer's name and class for a message."""
    return f"{layer['config']['name']!r:.60} of class {layer['class_name']!r:.60}"


def _check_chain(layers: list[Config]) -> None:
    """Refuse a functional model unless each layer follows the one before it and no other."""
    inputs = [shown_layer(layer) for layer in layers if layer["class_name"] == "InputLayer"]
    if len(inputs) > 1:
        raise UnsupportedError(f"a functional model with the inputs {' and '.join(inputs)}")
    previous = None
    for layer in layers:
        nodes = layer["inbound_nodes"]
        source = _source(nodes[0]) if nodes else None
        if source != previous or len(nodes) > 1:
            raise UnsupportedError(
                f"{shown_layer(layer)}, which does not follow {previous!r:.60} alone"
            )
        previous = layer["config"]["name"]


def _check_outputs(model: Config) -> None:
    """Refuse a functional model with other outputs than its last layer's."""
    outputs = model["config"]["output_layers"]
    names = [outputs[0]] if isinstance(outputs[0], str) else [name for name, *_ in outputs]
    if names != [layers_of(model)[-1]["config"]["name"]]:
        listed = " and ".join(f"{name!r:.60}" for name in names)
        raise UnsupportedError(f"a functional model with the outputs of {listed}")


def _source(node: Any) -> Any:
    """Return the name of the one layer whose first output a node reads, None for another node."""
    if isinstance(node, dict):  # Keras 3
        if not all(isinstance(tensor, dict) for tensor in node["args"]):
            return None  # a list of tensors, as Add and Concatenate have it
        tensors = [tensor["config"]["keras_history"] for tensor in node["args"]]
        (name, _, output), *others = tensors
    else:  # Keras 2.13 to 2.15
        (name, _, output, _), *others = node
    return None if others or output else name


# -- arrays of layers -----------------------------------------------------------------------------


def array_names(place: Place) -> tuple[list[str], list[str]]:
    """Return the names of a layer's arrays in Keras's order: those that are trained, and others."""
    settings = place.settings
    learned, frozen = _counts(place.layer)
    folders = [f"{place.path}/vars"]
    if place.kind == "Bidirectional":
        inner = settings["layer"]["config"]
        learned = 2 + bool(inner.get("use_bias", True))
        folders = [f"{place.path}/{side}/cell/vars" for side in SIDES]
    elif "recurrent_activation" in settings or place.kind == "SimpleRNN":
        folders = [f"{place.path}/cell/vars"]
    names = [f"{folder}/{i}" for folder in folders for i in range(learned + frozen)]
    if not settings.get("trainable", True):
        return [], names
    cut = len(names) - frozen
    return names[:cut], names[cut:]


def _counts(layer: Config) -> tuple[int, int]:
    """Return the numbers of a layer's arrays that are trained, and of the others."""
    settings = layer["config"]
    biased = bool(settings.get("use_bias", True))
    match layer["class_name"]:
        case name if name in RECURRENT:
            return 2 + biased, 0
        case "Dense":
            return 1 + biased, 0
        case "Embedding":
            return 1, 0
        case "TimeDistributed":
            return _counts(settings["layer"])
        case "BatchNormalization":
            return bool(settings["scale"]) + bool(settings["center"]), 2
        case "Normalization":
            return 0, 0 if settings.get("mean") is not None else 3
    return 0, 0


# -- what is taken in -----------------------------------------------------------------------------


def fold(arrays: Mapping[str, Any], folds: list[Fold]) -> dict[str, Any]:
    """Return arrays of the same network, in which layers are put into others.

    Raises
    ------
    ValueError
        If an array is missing, or does not fit the layer that reads it.
    """
    found = dict(arrays)
    for place, other, reads in folds:
        names = [name for part in array_names(place) for name in part]
        own = [doubles(found, name) for name in names[: 2 if place.kind == "Normalization" else 4]]
        for name in names:
            del found[name]
        cells = [f"{other}/{side}/cell/vars" for side in SIDES] + [f"{other}/cell/vars"]
        for folder in [folder for folder in cells if f"{folder}/0" in found]:
            shift = _into(found, f"{folder}/0", place, own)
            if len(shift) == 3 * len(found[f"{folder}/1"]):  # a GRU's biases: of input and state
                shift = np.stack([shift, np.zeros_like(shift)])
            found[f"{folder}/2"] = found.get(f"{folder}/2", 0.0) + shift
        matrix, bias = f"{other}/vars/0", f"{other}/vars/1"
        if matrix in found and reads:
            W = doubles(found, matrix)
            one = _affine(place, own, W.shape[1])
            found[matrix] = W @ one.W
            found[bias] = found.get(bias, np.zeros(W.shape[1])) @ one.W + one.b
        elif matrix in found:
            shift = _into(found, matrix, place, own)
            found[bias] = found.get(bias, 0.0) + shift
    return found


def _into(arrays: dict[str, Any], name: str, place: Place, own: list[np.ndarray]) -> np.ndarray:
    """Put a layer with these arrays into a matrix; return what is added to its products."""
    W = doubles(arrays, name)
    one = _affine(place, own, len(W))
    if one.W.shape[1] != len(W):
        raise ValueError(
            f"source[{name!r:.80}] must have shape ({one.W.shape[1]}, any), got {W.shape}. "
            f"It reads {shown_layer(place.layer)}."
        )
    arrays[name] = one.W @ W
    return one.b @ W


def _affine(place: Place, own: list[np.ndarray], width: int) -> Affine:
    """Return the function of so many columns that a layer with these arrays is."""
    settings = place.settings
    if place.kind == "BatchNormalization":
        *learned, mean, variance = own
        gain = learned[0] if settings["scale"] else 1.0
        beta = learned[-1] if settings["center"] else 0.0
        scale, shift = normalization(mean, variance, settings["epsilon"], gain, beta)
    elif place.kind == "Rescaling":
        scale, shift = (
            np.broadcast_to(np.asarray(settings[name], np.float64), (width,))
            for name in ("scale", "offset")
        )
    elif place.kind == "Normalization":
        given = (settings["mean"], settings["variance"]) if settings.get("mean") else own[:2]
        mean, variance = (
            np.broadcast_to(np.asarray(part, np.float64).reshape(-1), (width,)) for part in given
        )
        scale = 1 / np.maximum(np.sqrt(variance), _SMALLEST_DEVIATION)
        shift = -mean * scale
        if settings.get("invert"):
            scale, shift = 1 / scale, mean
    else:
        W, *b = own
        return Affine(W, b[0] if b else np.zeros(W.shape[1]))
    return Affine(np.diag(scale), shift)

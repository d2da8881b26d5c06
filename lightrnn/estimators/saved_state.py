"""Checks of a saved estimator, before anything of it is built.

Kernels trust their arguments. A file whose sizes do not fit together would let them read beyond an
array, and one with the sizes of a huge network would take all memory. So everything is compared
with the arrays that are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.corpus import BOUNDARY
from ..data.form import Form
from ..data.labels import ClassTargets
from ..data.targets import RealTargets
from ..data.tokens import KINDS, Vocabulary
from ..devices import check_device
from ..training.history import STOP_REASONS, History
from ..utils import archive, checks
from ..utils.archive import DAMAGE
from ..utils.checks import shown
from ..utils.standardization import Standardization
from .arguments import (
    ARCHITECTURE,
    SMALLEST_ADAPTIVE,
    SupervisedArguments,
    TrainingArguments,
)
from .declarations import checked, declared
from .model import Model, build_network, loss_arguments, targets_from_tree
from .rules import check_together

if TYPE_CHECKING:
    from ..nn.network import Network

# Attributes that are saved besides the arguments; all others follow from the model.
SAVED = frozenset({"_model", "_metadata_request", "_sklearn_output_config"})
# The sizes of a network, with the least that each may be.
_SIZES = {"n_features": 1, "n_outputs": 1, "n_tokens": 0}
# What a language model does without, and what files of earlier versions do not say.
_NONE = {"pooling": "last", "head_layer_sizes": (), "head_activation": "relu"}
_DOUBLE = np.dtype(np.float64)
_TARGETS = {"classifier": ("ClassTargets", "MultilabelTargets"), "regressor": ("RealTargets",)}


class _AllArguments(TrainingArguments, SupervisedArguments):
    """Those of every network: the language model fixes `target`, which it does not declare."""


def checked_state(kind: Any, content: Any) -> dict[str, Any]:
    """Return the checked state of a saved estimator.

    Arguments that the package has got since the file was written have their defaults.

    Parameters
    ----------
    kind : class
        The estimator's class.
    content : object
        Content of the archive.

    Returns
    -------
    dict
        Attributes, for `__setstate__`.

    Raises
    ------
    ValueError, TypeError, KeyError, AttributeError, ArithmeticError
        If anything is missing, of another kind than it must be, or does not fit the rest.
    """
    _same("content", set(content), {"estimator", "state"})
    _same("estimator", content["estimator"], kind.__name__)
    state = dict(content["state"])
    arguments = kind._defaults()
    # Attributes are set on the object, so nothing but known names may pass.
    model = dict(state.pop("_model"))
    if "form" not in model:
        model = _of_earlier_version(model, state)
        state = {key: value for key, value in state.items() if not _is_result(key)}
    if model["form"] is not None:  # files of before have no patches and no missing values
        model["form"] = {"patch": 1, "fill": None} | model["form"]
    unknown = [key for key in state if key not in arguments.keys() | SAVED]
    if unknown:
        raise ValueError(f"{kind.__name__} has no argument {shown(unknown[0])} in this version")
    _check_fields("_model", model, Model)
    model["architecture"] = model["architecture"] | _NONE | model["architecture"]  # in its order
    check_device("device", model["device"])
    network = _network(model["architecture"], len(model["network"]))
    _check_arrays("network", model["network"], network)
    _check_training(model, network)
    _check_data(kind._kind, model)
    _same("loss", set(model["loss"]), set(loss_arguments(arguments)))
    checked(kind, model["loss"])
    fixed = _fixed_arguments(kind, model)
    for argument, value in fixed.items():
        if argument in state and not _agrees(kind, argument, state[argument], value):
            raise ValueError(
                f"{argument} must be that of the network, {shown(value)}, "
                f"got {shown(state[argument])}"
            )
    # The training of a file without it goes on as it was.
    before = {"token_dropout": 0.0} if "token_dropout" in arguments else {}
    return arguments | before | fixed | state | {"_model": model}


def check_loadable(kind: Any, content: Any) -> None:
    """Raise a ValueError if `load` would refuse a file with this content, of an estimator."""
    try:
        checked_state(kind, content)
    except DAMAGE as error:
        raise ValueError(
            "save must be called of an estimator that load would accept, got one that does not fit "
            f"together: {str(error).rstrip('.')}. Fit it once more."
        ) from error


def _of_earlier_version(model: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """Return the model of a file in which the form of X stands among the attributes.

    Its words end at combining marks.
    """
    form = None
    if model["targets"] is not None:
        form = {
            "n_features_in": state["n_features_in_"],
            "is_table": state["_is_table"],
            "feature_names": state.get("feature_names_in_"),
        }
    vocabulary = model["vocabulary"] and {"marks_apart": True} | model["vocabulary"]
    # Still earlier, a model had no device.
    added = {"form": form, "vocabulary": vocabulary, "loss": loss_arguments(state)}
    return {"device": "cpu", "standardization": None} | model | added


def _is_result(name: Any) -> bool:
    """Return whether earlier versions wrote an attribute that follows from the model."""
    return str(name) in ("_is_table", "_n_features_out") or (
        str(name).endswith("_") and not str(name).startswith("_")
    )


def fitted_arguments(kind: Any, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the constructor's arguments that a file has to hold with another value.

    Those of the network as they were in the fit, if they were changed since, and the plain values
    of those that a file cannot hold, such as a range of sizes.

    Parameters
    ----------
    kind : class
        Class of the estimator.
    state : mapping
        Its attributes, with the model as a tree.

    Returns
    -------
    dict
        Their values by name.
    """
    fixed = _fixed_arguments(kind, state["_model"])
    given = {name: state[name] for name in declared(kind) if name in state}
    foreign = {name: value for name, value in given.items() if not archive.can_hold(value)}
    return checked(kind, foreign) | {
        name: value for name, value in fixed.items() if not _agrees(kind, name, state[name], value)
    }


def _fixed_arguments(kind: Any, model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the constructor's arguments that a model determines."""
    architecture = model["architecture"]
    vocabulary = model["vocabulary"]
    values = {
        **architecture,
        "tokens": vocabulary["kind"] if vocabulary else "number",
        "tie_weights": architecture.get("head") == "tied",
        **model["loss"],
    }
    if model["form"]:
        values["patch"] = model["form"]["patch"]
        values["missing"] = Form(**model["form"]).missing
    if vocabulary:
        values["embedding_size"] = architecture["n_features"]
    if architecture["n_outputs"] >= SMALLEST_ADAPTIVE:
        values["output"] = "adaptive" if architecture.get("head") == "adaptive" else "softmax"
    return {name: values[name] for name in declared(kind) if name in values}


def _agrees(kind: Any, name: str, given: Any, value: Any) -> bool:
    """Return whether an argument as it was given means the value that a model has."""
    try:
        # Before each item is checked, of which a file may have millions.
        if isinstance(value, tuple) and isinstance(given, Sized) and len(given) != len(value):
            return False
        (plain,) = checked(kind, {name: given}).values()
    except (TypeError, ValueError):
        return False
    return plain in (value, "auto")  # which means what was found


def _same(where: str, found: Any, wanted: Any) -> None:
    """Raise a ValueError unless two values have the same type and are equal."""
    if type(found) is not type(wanted) or found != wanted:
        raise ValueError(f"{where} must be {shown(wanted)}, got {shown(found)}")


def _check_fields(where: str, found: Mapping[str, Any], kind: Any) -> None:
    """Raise a ValueError unless a dict has the fields of a dataclass."""
    _same(where, set(found), {field.name for field in fields(kind)})


def _network(architecture: dict[str, Any], most: int) -> Network:
    """Check the arguments of a network of at most `most` layers; return it without parameters."""
    given = {"head": "linear"} | architecture
    bidirectional = given.get("bidirectional", False)
    _same("architecture", given.keys() | {"bidirectional"}, {*_SIZES, *ARCHITECTURE, "head"})
    for name in ("hidden_layer_sizes", "head_layer_sizes"):
        # Each layer has arrays of its own: more layers than arrays would only take time.
        if type(given[name]) is not tuple or len(given[name]) > most:
            raise ValueError(f"{name} must be those of the saved layers, got {shown(given[name])}")
    plain: dict[str, Any] = {
        name: checks.integer(name, given[name], low) for name, low in _SIZES.items()
    }
    shared = {name: given[name] for name in ARCHITECTURE if name in given}
    plain |= checked(_AllArguments, shared)
    check_together(**plain)
    # Compared with the given values, types included: a float 3.0 or True is refused.
    plain["head"] = checks.choice("head", given["head"], ("linear", "tied", "adaptive"))
    _same("architecture", given, plain)
    if given["head"] != "linear":
        _same("head_layer_sizes", given["head_layer_sizes"], ())
    if given["head"] == "tied":
        found = given["n_features"], given["n_outputs"]
        wanted = given["hidden_layer_sizes"][-1] * (1 + bidirectional), given["n_tokens"]
        _same("n_features, n_outputs", found, wanted)
    if given["head"] == "adaptive":
        checks.integer("n_outputs", given["n_outputs"], SMALLEST_ADAPTIVE)
    return build_network(architecture)  # makes no arrays of the sizes that the file claims


def _check_arrays(where: str, arrays: Any, network: Network) -> None:
    """Compare named arrays, parameters or moments, with what the network has."""
    wanted = {parameter.name: parameter.shape for parameter in network.layout.parameters}
    _same(where, list(dict.keys(arrays)), list(wanted))
    for name, shape in wanted.items():
        # The moments of a solver may have overflowed.
        finite = where == "network"
        _check_array(f"{where}/{name}", arrays[name], shape, network.dtype, finite=finite)


def _check_array(
    where: str, array: Any, shape: tuple[int, ...], dtype: Any = _DOUBLE, *, finite: bool = True
) -> None:
    """Check one array; it may come from a machine of the other byte order."""
    is_array = isinstance(array, np.ndarray)
    if not is_array or array.shape != shape or array.dtype.newbyteorder("=") != dtype:
        raise ValueError(
            f"{where} must be an array of shape {shape} and dtype {dtype}, got {shown(array)}"
        )
    if finite and dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{where} must be finite, got infinity or NaN")


def _check_names(where: str, names: Any, count: int) -> None:
    """Check an array of tokens or labels that are objects."""
    _check_array(where, names, (count,), np.dtype(object))
    # NumPy's text is a str; a bool may stand beside integers of more than 64 bits.
    if not all(isinstance(name, str | int) for name in names.tolist()):
        raise TypeError(f"{where} must be text or integers")


def _check_training(model: dict[str, Any], network: Network) -> None:
    """Check what only further training uses."""
    from ..nn.solvers import SOLVERS

    checks.choice("solver", model["solver"], (*SOLVERS, "lbfgs"))
    if model["moments"] is not None:
        moments = dict(model["moments"])
        checks.integer("moments/steps", moments.pop("steps"), 0)
        _same("moments", set(moments), set(SOLVERS[model["solver"]].moments))
        for name, arrays in moments.items():
            _check_arrays(f"moments/{name}", arrays, network)
    history = History(**model["history"])
    for name in ("stale", "cuts", "dropped"):
        checks.integer(f"history/{name}", getattr(history, name), 0)
    checks.choice("history/stop_reason", history.stop_reason, (*STOP_REASONS, None))
    if history.best_epoch is not None:
        checks.integer("history/best_epoch", history.best_epoch, 0, history.epochs)
    _same("history", (type(history.losses), type(history.scores)), (list, list))
    numbers = [*history.losses, *history.scores, history.best]
    if not all(isinstance(value, float) for value in numbers):
        raise TypeError("history must hold numbers")
    if not isinstance(model["rng"], np.random.Generator):
        raise TypeError(f"rng must be a generator, got {shown(model['rng'])}")


def _check_data(kind: str, model: dict[str, Any]) -> None:
    """Check what converts between the user's data and the network."""
    architecture = model["architecture"]
    tree = model["vocabulary"]
    tokens = architecture["n_tokens"]
    _same("vocabulary", tree is not None, tokens > 0)
    if tree is not None:
        vocabulary = Vocabulary(**tree)
        checks.choice("vocabulary/kind", vocabulary.kind, KINDS)
        _check_names("vocabulary/tokens", vocabulary.tokens, tokens)
        _check_names("vocabulary/padding", np.array([vocabulary.padding or ""], object), 1)
        checks.integer("vocabulary/n_special", vocabulary.n_special, 1, tokens)
        checks.flag("vocabulary/marks_apart", vocabulary.marks_apart)
    if kind in _TARGETS:
        checks.choice("targets/kind", model["targets"]["kind"], _TARGETS[kind])
        targets = targets_from_tree(model["targets"])
        _check_targets(targets, architecture)
        targets.loss(**model["loss"])  # refuses other quantiles than those of the targets
        _check_form(model["form"], architecture)
        _check_standardization(model["standardization"], model["form"], architecture)
    else:
        _same("targets", model["targets"], None)
        _same("form", model["form"], None)
        _same("standardization", model["standardization"], None)
        # A vocabulary has at least two tokens besides the unknown one and the boundary.
        found = architecture["n_outputs"], architecture["target"]
        _same("n_outputs, target", found, (max(tokens, BOUNDARY + 3), "step"))


def _check_targets(targets: Any, architecture: dict[str, Any]) -> None:
    """Check what converts raw outputs into predictions."""
    outputs = architecture["n_outputs"]
    _same("targets/step", targets.step, architecture["target"] == "step")
    if isinstance(targets, ClassTargets):
        classes = targets.classes_
        # Of whatever dtype and byte order they were given in.
        dtype = getattr(classes, "dtype", np.dtype(object)).newbyteorder("=")
        if dtype.hasobject:
            _check_names("targets/classes_", classes, max(outputs, 2))
        else:
            _check_array("targets/classes_", classes, (max(outputs, 2),), dtype)
    elif isinstance(targets, RealTargets):
        _same("targets/n_outputs", targets.n_outputs, outputs)
        columns = outputs // len(targets.quantiles or (0.5,))
        for name in ("mean", "scale"):
            _check_array(f"targets/{name}", getattr(targets, name), (columns,))
        positive = np.ones(1)  # weights and scales
        if targets.sample is not None:
            _check_array("targets/sample", targets.sample, (len(targets.sample), 2 + columns))
            positive = targets.sample[:, 1]
        if targets.folded is not None:
            _check_array("targets/folded", targets.folded, (2, columns))
            positive = np.append(positive, targets.folded[1])
        if (targets.scale < 0).any() or (positive <= 0).any():
            raise ValueError("targets must hold positive weights and scales")
        checks.integer("targets/seen", targets.seen, 0)
        checks.flag("targets/robust", targets.robust)
        for name in ("dtype", "result"):
            checks.choice(f"targets/{name}", getattr(targets, name), ("float32", "float64"))
    else:
        _same("targets/n_outputs", targets.n_outputs, outputs)


def _check_form(form: dict[str, Any], architecture: dict[str, Any]) -> None:
    """Check the names and the number of features of X."""
    _check_fields("form", form, Form)
    known = Form(**form)
    n_features_in = checks.integer("form/n_features_in", form["n_features_in"], 1)
    checks.flag("form/is_table", form["is_table"])
    patch = checks.integer("form/patch", form["patch"], 1)
    if architecture["n_tokens"] or architecture["target"] == "step":
        _same("form/patch", patch, 1)
    if form["fill"] is not None:
        _same("n_tokens", architecture["n_tokens"], 0)
        _check_array("form/fill", form["fill"], (known.step_features,))
    if not architecture["n_tokens"]:
        _same("n_features", architecture["n_features"], known.input_features)
    if form["feature_names"] is not None:
        _check_names("form/feature_names", form["feature_names"], n_features_in)


def _check_standardization(
    standardization: dict[str, Any] | None, form: dict[str, Any], architecture: dict[str, Any]
) -> None:
    """Check the mean and the variance of each feature of X."""
    if standardization is None:
        return
    _same("n_tokens", architecture["n_tokens"], 0)
    _check_fields("standardization", standardization, Standardization)
    shape = (Form(**form).step_columns,)
    for name in ("mean", "variance"):
        _check_array(f"standardization/{name}", standardization[name], shape)
    weight = standardization["weight"]  # infinite after a whole fit
    if not isinstance(weight, float) or not weight > 0:
        raise ValueError(f"standardization/weight must be a positive float, got {shown(weight)}")

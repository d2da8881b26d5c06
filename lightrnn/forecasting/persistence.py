"""A fitted forecaster as a tree of plain values, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from ..estimators.declarations import checked
from ..estimators.regressor import RNNRegressor
from ..estimators.saved_state import checked_state
from ..utils import checks
from ..utils.checks import shown
from .arguments import ForecastArguments
from .covariates import Covariates
from .dates import Calendar
from .fitted import Fitted
from .forms import ArrayForm, FrameForm
from .series import Panel
from .windows import Encoding

_FORMS: dict[str, Any] = {form.__name__: form for form in (ArrayForm, FrameForm)}


def as_tree(fitted: Fitted) -> dict[str, Any]:
    """Return what was learned as plain values."""
    encoding = _shallow(fitted.encoding)
    form = {"kind_": type(fitted.panel.form).__name__} | _shallow(fitted.panel.form)
    if isinstance(fitted.panel.form, FrameForm):
        form["calendar"] = _shallow(fitted.panel.form.calendar)
    return fitted._asdict() | {
        "nets": [net._content() for net in fitted.nets],
        "encoding": encoding | {"covariates": _shallow(fitted.encoding.covariates)},
        "panel": _shallow(fitted.panel) | {"form": form},
    }


def from_tree(tree: Mapping[str, Any]) -> Fitted:
    """Return what was learned from a checked tree of a file.

    Raises
    ------
    ValueError, TypeError, KeyError, AttributeError, ArithmeticError
        If anything is missing, of another kind than it must be, or does not fit the rest.
    """
    covariates = Covariates(**tree["encoding"]["covariates"])
    encoding = Encoding(**dict(tree["encoding"]) | {"covariates": covariates})
    form = dict(tree["panel"]["form"])
    kind = _FORMS[form.pop("kind_")]
    if kind is FrameForm:
        form["calendar"] = Calendar(**form["calendar"])
    panel = Panel(**dict(tree["panel"]) | {"form": kind(**form)})
    nets = tuple(map(_net, tree["nets"]))
    fitted = Fitted(**dict(tree) | {"nets": nets, "encoding": encoding, "panel": panel})
    _check(fitted)
    return fitted


def _net(content: Any) -> RNNRegressor:
    """Return the regressor of a file."""
    kind, state = checked_state({RNNRegressor.__name__: RNNRegressor}, content)
    net: RNNRegressor = kind.__new__(kind)
    net.__setstate__(state)
    return net


def _check(fitted: Fitted) -> None:
    """Compare the parts of a file with each other."""
    encoding = fitted.encoding
    given = {"horizon": encoding.horizon, "season": encoding.season, "scale": encoding.scale}
    checked(ForecastArguments, given | {"quantiles": fitted.quantiles})
    checks.integer("longer", encoding.longer, 0)
    checks.flag("bounded", encoding.bounded)
    shape = encoding.horizon, len(fitted.quantiles)
    checks.real("share", fitted.share, 0, 1)
    _check_array("width", fitted.width, shape[:1])
    _check_array("factor", fitted.factor, shape)
    if fitted.linear is not None:
        _check_array("linear", fitted.linear, (len(encoding.linear_table()) + 1, encoding.horizon))
    for net in fitted.nets:
        found = net._fitted().network.n_features, net.n_outputs_
        if found != (encoding.n_features, shape[0] * shape[1]):
            raise ValueError(f"nets must have the inputs and outputs of the encoding, got {found}")
    if not fitted.nets or not fitted.panel.values:
        raise ValueError("nets and series must be there")
    for series in fitted.panel.values:
        _check_array("values", series, (len(series),), finite=False)
    for X, series in fitted.panel.pairs() if fitted.panel.covariates else ():
        _check_array("covariates", X, (len(X), encoding.covariates.n_columns), finite=False)
        checks.integer("covariates", len(X), len(series), len(series) + encoding.horizon)


def _check_array(name: str, array: Any, shape: tuple[int, ...], *, finite: bool = True) -> None:
    """Check one array of a file."""
    is_array = isinstance(array, np.ndarray) and array.dtype == np.float64
    if not is_array or array.shape != shape or (finite and not np.isfinite(array).all()):
        raise ValueError(f"{name} must be finite float64 of shape {shape}, got {shown(array)}")


def _shallow(instance: Any) -> dict[str, Any]:
    """Return the fields of a dataclass by name, as they are."""
    return {field.name: getattr(instance, field.name) for field in fields(instance)}


__all__ = ["as_tree", "from_tree"]

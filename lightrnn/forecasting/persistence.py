"""A fitted forecaster as a tree of plain values, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..estimators.declarations import checked
from ..estimators.model import shallow
from ..estimators.regressor import RNNRegressor
from ..estimators.saved_state import checked_state
from ..utils import checks
from ..utils.checks import shown
from .arguments import ForecastArguments
from .covariates import CYCLES, Covariates
from .dates import Calendar
from .fitted import Fitted
from .forms import ArrayForm, FrameForm
from .series import Panel
from .windows import Encoding

# Steps before a series: memory holds the dates of as many.
_LATEST = 10**8
_FORMS: dict[str, Any] = {form.__name__: form for form in (ArrayForm, FrameForm)}


def as_tree(fitted: Fitted) -> dict[str, Any]:
    """Return what was learned as plain values."""
    encoding = shallow(fitted.encoding)
    form = {"kind_": type(fitted.panel.form).__name__} | shallow(fitted.panel.form)
    if isinstance(fitted.panel.form, FrameForm):
        form["calendar"] = shallow(fitted.panel.form.calendar)
    return fitted._asdict() | {
        "nets": [net._content() for net in fitted.nets],
        "encoding": encoding | {"covariates": shallow(fitted.encoding.covariates)},
        "panel": shallow(fitted.panel) | {"form": form},
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
    state = checked_state(RNNRegressor, content)
    net: RNNRegressor = RNNRegressor.__new__(RNNRegressor)
    net.__setstate__(state)
    return net


def _check(fitted: Fitted) -> None:
    """Compare the parts of a file with each other."""
    encoding = fitted.encoding
    given = {"horizon": encoding.horizon, "season": encoding.season, "scale": encoding.scale}
    checked(ForecastArguments, given | {"quantiles": fitted.quantiles})
    checks.flag("bounded", encoding.bounded)
    checks.real("share", fitted.share, 0, 1)
    _check_covariates(encoding.covariates)
    _check_panel(fitted.panel, encoding)
    # Before tables are made of them.
    longest = int(fitted.panel.lengths.max())
    checks.integer("season", encoding.season, 1, longest)
    checks.integer("longer", encoding.longer, 0, longest)
    checks.integer("depth", encoding.depth, 1, 2)
    shape = encoding.horizon, len(fitted.quantiles)
    _check_array("width", fitted.width, shape[:1])
    _check_array("factor", fitted.factor, shape)
    if fitted.linear is not None:
        _check_array("linear", fitted.linear, (len(encoding.linear_table()) + 1, encoding.horizon))
    for net in fitted.nets:
        found = net._fitted().network.n_features, net.n_outputs_
        if found != (encoding.n_features, shape[0] * shape[1]):
            raise ValueError(f"nets must have the inputs and outputs of the encoding, got {found}")
    if not fitted.nets:
        raise ValueError("nets must be there")


def _check_covariates(covariates: Covariates) -> None:
    """Check what is known of the other variables."""
    numbers = dict.fromkeys(("mean", "scale"), checks.real)
    kinds: dict[str, Any] = numbers | dict.fromkeys(("static", "past"), checks.flag)
    for name, check in kinds.items():
        parts = getattr(covariates, name)
        _check_length(name, parts, covariates.n_columns, tuple)
        for part in parts:
            check(name, part)
    if covariates.names is not None:
        _check_length("names", covariates.names, covariates.n_columns, tuple)
    if not all(scale > 0 for scale in covariates.scale):
        raise ValueError("scale must be positive")
    checks.choice("ahead", covariates.ahead, ("never", "sometimes", "always"))
    for cycle in covariates.cycles:
        checks.choice("cycles", cycle, tuple(CYCLES))


def _check_panel(panel: Panel, encoding: Encoding) -> None:
    """Check series, their covariates, and the form in which they came."""
    _check_length("values", panel.values, max(1, len(panel.values)), list)
    for series in panel.values:
        _check_array("values", series, (len(series),), finite=False)
        if np.isinf(series).any() or not np.isfinite(series).any():
            raise ValueError("values must be finite or NaN, and not all of them NaN")
    C = encoding.covariates.n_columns
    if (panel.covariates is None) != (C == 0):
        raise ValueError("covariates must be there if the encoding has some")
    for X, series in panel.pairs() if C else ():
        _check_array("covariates", X, (len(X), C), finite=False)
        checks.integer("covariates", len(X), len(series), len(series) + encoding.horizon)
    if isinstance(panel.form, ArrayForm):
        checks.flag("single", panel.form.single)
        _check_positions("skipped", panel.form.skipped, len(panel.values), tuple)
        if encoding.covariates.cycles:
            raise ValueError("cycles must be of dates, but the series have none")
    else:
        _check_frame(panel.form, panel.lengths.tolist())


def _check_frame(form: FrameForm, lengths: list[int]) -> None:
    """Check the form of series that came in a frame."""
    checks.choice("kind", form.kind, ("series", "wide", "long"))
    checks.flag("polars", form.polars)
    _check_length("ids", form.ids, len(lengths), list)
    _check_positions("starts", form.starts, len(lengths), list)
    if form.lengths != lengths:
        raise ValueError(f"lengths must be those of the values, got {shown(form.lengths)}")
    calendar = form.calendar
    checks.integer("first", calendar.first, -(2**63), 2**63 - 1)
    if isinstance(calendar.frequency, str):
        checks.choice("unit", calendar.unit, ("s", "ms", "us", "ns"))
    else:
        checks.integer("frequency", calendar.frequency, 1)
    texts = {"periods": calendar.periods, "zone": calendar.zone}
    for name, text in texts.items():
        if text is not None and (not isinstance(text, str) or name in _absent(calendar)):
            raise ValueError(f"{name} must fit the frequency, got {shown(text)}")


def _absent(calendar: Calendar) -> str:
    """Return which field of a calendar has no meaning: dates are no periods, others no times."""
    return "periods" if isinstance(calendar.frequency, str) else "zone"


def _check_length(name: str, parts: Any, length: int, kind: Any) -> None:
    """Check that a tuple or a list has a number of items."""
    if not isinstance(parts, kind) or len(parts) != length:
        raise ValueError(f"{name} must be a {kind.__name__} of {length} items, got {shown(parts)}")


def _check_positions(name: str, positions: Any, count: int, kind: Any) -> None:
    """Check the positions of series."""
    _check_length(name, positions, count, kind)
    for position in positions:
        checks.integer(name, position, 0, _LATEST)


def _check_array(name: str, array: Any, shape: tuple[int, ...], *, finite: bool = True) -> None:
    """Check one array of a file."""
    is_array = isinstance(array, np.ndarray) and array.dtype == np.float64
    if not is_array or array.shape != shape or (finite and not np.isfinite(array).all()):
        raise ValueError(f"{name} must be finite float64 of shape {shape}, got {shown(array)}")

"""Describe what a forecaster has chosen, and give the sequences that its networks read."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from ..estimators.estimator import Arguments
from ..forecasting.arguments import check_forecaster
from ..forecasting.columns import levels_of
from ..forecasting.windows import Encoding, Windows
from ..utils.tables import as_table, counted
from .parameter_table import parameter_table

if TYPE_CHECKING:
    from ..estimators.regressor import RNNRegressor
    from ..forecasting.covariates import Covariates
    from ..forecasting.fitted import Fitted
    from ..forecasting.forecaster import RNNForecaster

_CYCLES = {"day": "time of day", "week": "day of the week", "year": "time of year"}
_CHOSEN = ", chosen by the windows that were held out"
_AHEAD = {
    "never": "known of the past",
    "sometimes": "known of the past, ahead where given",
    "always": "known ahead",
}
# Names of covariates that are listed; of more only the number is given.
_LISTED = 5
# Characters in a line of a terminal.
_WIDTH = 80


def network_inputs(forecaster: RNNForecaster, y: Any = None, X: Any = None) -> list[np.ndarray]:
    """Return the sequences that a forecaster's networks read, to inspect or to export these.

    A step of such a sequence is a season of the series: its values, scaled by what is known there,
    with the covariates and the calendar.

    Parameters
    ----------
    forecaster : RNNForecaster
        A fitted forecaster.
    y : as in `RNNForecaster.predict`, default=None
        Series; None takes those of the fit.
    X : as in `RNNForecaster.predict`, default=None
        Covariates.

    Returns
    -------
    list of n ndarrays (T_i, n_features), float32
        A sequence for each series, which ends with the last step.

    Raises
    ------
    NotFittedError
        If the forecaster is not fitted.
    TypeError
        If it is no `RNNForecaster`, or y or X holds anything but numbers.
    ValueError
        If y or X is invalid.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNForecaster
    >>> from lightrnn.inspection import gate_activations, network_inputs
    >>> y = np.arange(60) % 7.0
    >>> model = RNNForecaster(2, 7, hidden_layer_sizes=8, max_iter=2, random_state=0).fit(y)
    >>> sequences = network_inputs(model)
    >>> sequences[0].shape
    (8, 9)
    >>> list(gate_activations(model.nets_[0], sequences)["layer0"])
    ['reset', 'update']
    """
    check_forecaster(forecaster)
    fitted = forecaster._fitted()
    windows = Windows(forecaster._panel(fitted, y, X), fitted.encoding)
    runs = [windows.run(index, origin) for index, origin in enumerate(windows.last.tolist())]
    return fitted._inputs(windows, runs, True)


def wrapped(text: str, indent: str = "") -> str:
    """Return a text in lines of 80 characters, the second and later ones indented."""
    return textwrap.fill(text, _WIDTH, subsequent_indent=indent, break_long_words=False)


def choices_of(fitted: Fitted, arguments: Arguments) -> str:
    """Return lines of what a forecaster was given and what it has chosen.

    Parameters
    ----------
    fitted : Fitted
        What was learned.
    arguments : dict of str to object
        The forecaster's arguments.
    """
    encoding = fitted.encoding
    rows = {
        "series": _series(fitted),
        "step of the network": f"a season of {counted(encoding.season, 'step')}",
        "longer period": _longer(encoding, linear=fitted.linear is not None),
        "scale": f"{encoding.scale}{_CHOSEN if arguments['scale'] == 'auto' else ''}",
        "calendar": _calendar(encoding.covariates.cycles),
        "covariates": _covariates(encoding.covariates) or "none",
        "missing values": "marked for the network" if encoding.marks else "none in the fit",
        "linear part": "none" if fitted.linear is None else "ridge regression",
        "network's part": _part(fitted.share, linear=fitted.linear is not None),
        "intervals": _intervals(fitted),
    }
    width = max(map(len, rows)) + 2
    indented = (wrapped(f"{name:<{width}}{text}", " " * width) for name, text in rows.items())
    return "\n".join(indented)


def parameters_of(net: RNNRegressor) -> str:
    """Return a table of the parameters of a forecaster's network."""
    table = parameter_table(net)
    rows = [
        (part.name, part.formula, f"{part.parameters:,}") for part in (*table.parts, table.total)
    ]
    return as_table(("layer", "parameters, by hand", "parameters"), rows)


def _longer(encoding: Encoding, *, linear: bool) -> str:
    """Return how far back the longer period is read."""
    if not encoding.longer:
        return "none"
    more = linear and encoding.depth > 1
    return f"{encoding.longer} steps" + (", and in the linear part the one before" if more else "")


def _calendar(cycles: tuple[str, ...]) -> str:
    """Return the cycles of dates that are read."""
    if not cycles:
        return "none"
    return ", ".join(_CYCLES[name] for name in cycles) + _CHOSEN


def _series(fitted: Fitted) -> str:
    """Return the number of series, their lengths and the share of missing values."""
    values = fitted.panel.values
    lengths = fitted.panel.lengths
    shortest, longest = int(lengths.min()), int(lengths.max())
    steps = f"{longest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"
    missing = sum(int(np.isnan(series).sum()) for series in values) / int(lengths.sum())
    text = f"{len(values):,} of {steps} steps"
    return f"{text}, {missing:.1%} of the values missing" if missing else text


def _covariates(covariates: Covariates) -> str:
    """Return the covariates by what is known of them."""
    names = covariates.names or tuple(map(str, range(covariates.n_columns)))
    kinds: dict[str, list[str]] = {}
    for name, static in zip(names, covariates.static, strict=True):
        kind = "constant" if static else _AHEAD[covariates.ahead]
        kinds.setdefault(kind, []).append(name)
    return "; ".join(f"{_listed(found)} ({kind})" for kind, found in kinds.items())


def _listed(names: list[str]) -> str:
    """Return names, or their number if they are many."""
    return ", ".join(names) if len(names) <= _LISTED else counted(len(names), "column")


def _part(share: float, *, linear: bool) -> str:
    """Return how much of the network's median is added to the forecast without it."""
    base = "linear forecast" if linear else "season before"
    if not share:
        return f"none: the {base} is better without it"
    return f"{share:.0%} of its correction of the {base}"


def _intervals(fitted: Fitted) -> str:
    """Return the factors by which intervals were calibrated, least and largest of all steps."""
    if (fitted.factor == 1).all():
        return "not calibrated: too few windows were held out"
    quantiles = np.array(fitted.quantiles)
    parts = []
    for level in levels_of(fitted.quantiles):
        ends = np.isclose(np.abs(quantiles - 0.5), level / 200)
        factor = fitted.factor[:, ends]
        parts.append(f"{level:g} % times {factor.min():.2f} to {factor.max():.2f}")
    return ", ".join(parts) or "no level has both ends among the quantiles"

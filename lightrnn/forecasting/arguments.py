"""The constructor arguments of the forecaster."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from itertools import pairwise
from typing import Any

from ..estimators.declarations import (
    COUNT,
    FRACTION,
    POSITIVE_FRACTION,
    Domain,
    argument,
    declared,
    one_of,
    optional,
    or_auto,
)
from ..estimators.regressor import RNNRegressor
from ..utils.checks import shown
from .scaling import SCALES

_OF_REGRESSORS = declared(RNNRegressor)


def of_regressors(name: str, default: Any = None) -> Any:
    """Declare an argument as `RNNRegressor` has it, with another default if one is given."""
    metadata = dict(_OF_REGRESSORS[name])
    if default is not None:
        metadata["default"] = default
    return field(default=metadata["default"], metadata=metadata)


def _quantiles(name: str, value: Any) -> tuple[float, ...]:
    """Return quantiles in ascending order, the median among them."""
    remedy = "Write (0.1, 0.5, 0.9)."
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise TypeError(f"{name} must be a tuple of numbers, got {shown(value)}. {remedy}")
    found = tuple(POSITIVE_FRACTION.check(f"{name}[{i}]", item) for i, item in enumerate(value))
    if 0.5 not in found or any(low >= high for low, high in pairwise(found)):
        raise ValueError(
            f"{name} must ascend and have 0.5 among them, got {shown(value)}. {remedy}"
        )
    return found


_QUANTILES = Domain("tuple of float in (0, 1)", _quantiles)


@dataclass(init=False, repr=False, eq=False)
class ForecastArguments:
    """The arguments of `RNNForecaster`, which hands those of the network and its training on."""

    horizon: int = argument(
        1,
        COUNT,
        "Number of steps to forecast, all at once: those that sktime's ``fh`` from 1 on has.",
    )
    season: int = argument(
        1,
        COUNT,
        """Number of steps in a period: 24 for hours that repeat by the day, 12 for months. The
        network reads a period as one step of its own; forecasts are differences from the period
        before.""",
    )
    _: KW_ONLY
    cell: str = of_regressors("cell")
    hidden_layer_sizes: tuple[int, ...] = of_regressors("hidden_layer_sizes", (128,))
    window: int = of_regressors("window", 7)
    forget_bias: str | float = of_regressors("forget_bias")
    dropout: float | str = argument(
        "auto",
        or_auto(FRACTION),
        """Share of the outputs of each hidden layer that is set to zero in training, with one
        mask for all steps of a run [4]_. "auto" means 0.2 for fewer than a hundred series, which a
        network would learn by heart, else 0.""",
    )
    scale: str | None = argument(
        "auto",
        optional(one_of("auto", *SCALES)),
        """How values are scaled, by what is known at each step. "standard": by mean and deviation
        of the last 14 seasons, at least. "log": the same of logarithms, for positive values whose
        ups and downs grow with them. "mean": by the mean alone. None: not at all. "auto": as a
        linear forecast of the windows that are held out is best, but "standard" unless another is
        better by a twentieth.""",
    )
    quantiles: tuple[float, ...] = argument(
        (0.025, 0.1, 0.5, 0.9, 0.975),
        _QUANTILES,
        """Quantiles that the network learns at each step of the horizon; the median, 0.5, is the
        forecast. Intervals of any level in between are interpolated.""",
    )
    n_nets: int = argument(
        1,
        COUNT,
        """Number of networks whose forecasts are averaged, trained with the seeds `random_state`,
        ``random_state + 1`` and so on, in parallel where there are threads.""",
    )
    solver: str = argument("adam", one_of("adam", "sgd", "rmsprop"), "Optimiser.")
    learning_rate: str = of_regressors("learning_rate", "cosine")
    learning_rate_init: float = of_regressors("learning_rate_init", 5e-3)
    momentum: float = of_regressors("momentum")
    alpha: float = of_regressors("alpha")
    batch_size: int = argument(16, COUNT, "Number of runs over series in a minibatch.")
    max_iter: int = argument(
        100,
        COUNT,
        """Largest number of epochs. In an epoch each series is read once, from a random step of its
        first season on; few series are read several times. If forecasts of the windows that are
        held out become worse, training is repeated with as many epochs as made them best.""",
    )
    clip_norm: float | None = of_regressors("clip_norm")
    device: str = of_regressors("device")
    dtype: str = argument("float32", one_of("float32", "float64"), "Precision of the network.")
    n_jobs: int | None = of_regressors("n_jobs")
    random_state: Any = of_regressors("random_state")
    verbose: int = of_regressors("verbose")
    callbacks: Any = of_regressors("callbacks")


def check_forecaster(estimator: Any) -> None:
    """Raise a TypeError unless the object is an `RNNForecaster`."""
    if not isinstance(estimator, ForecastArguments):
        raise TypeError(
            f"estimator must be an RNNForecaster, got {shown(estimator)}. "
            "Take the fitted forecaster out of what holds it."
        )


# Those that an `RNNRegressor` is made with.
PASSED_ON = tuple(
    name
    for name in declared(ForecastArguments)
    if name in _OF_REGRESSORS and name not in ("random_state",)
)

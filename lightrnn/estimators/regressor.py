"""`RNNRegressor`: numbers for sequences or for their steps."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np

from .. import cpu
from ..data.dataset import HeldOut, TargetsFrom
from ..data.ragged import Values, pool
from ..data.samples import Samples
from ..data.targets import RealTargets, read_numbers, several_quantiles
from ..utils import checks
from ..utils.availability import available_if
from .declarations import FLAG, POSITIVE, POSITIVE_FRACTION, Domain, argument, one_of
from .documentation import documented
from .estimator import Arguments
from .model import Model
from .outputs import check_outputs
from .supervised import SupervisedEstimator, check_takes_parts

# Why predictions may overflow where the network's outputs do not.
_UNITS = "they overflow in the units of y. Rescale X and y, or fit to y in float64."


def _quantile(name: str, value: Any) -> float | tuple[float, ...]:
    """Return one quantile, or several as a tuple."""
    if isinstance(value, str | dict | set) or not hasattr(value, "__iter__"):
        quantile: float = POSITIVE_FRACTION.check(name, value)
        return quantile
    quantiles = tuple(POSITIVE_FRACTION.check(f"{name}[{i}]", item) for i, item in enumerate(value))
    if not quantiles or any(low >= high for low, high in pairwise(quantiles)):
        raise ValueError(
            f"{name} must be one number or several in ascending order, got {checks.shown(value)}. "
            "Write (0.1, 0.5, 0.9)."
        )
    return quantiles


_MEDIAN = 0.5
_QUANTILE = Domain("float in (0, 1), or tuple of float", _quantile)


def _delta(name: str, value: Any) -> float:
    """Return the number unless it is so small that its gradients vanish beside a solver's eps."""
    delta: float = POSITIVE.check(name, value)
    if delta < _SMALLEST_DELTA:
        raise ValueError(
            f"{name} must be at least {_SMALLEST_DELTA:g}, got {delta:g}. So small a delta is the "
            "absolute error: use loss='absolute_error'."
        )
    return delta


_SMALLEST_DELTA = 1e-6
_DELTA = Domain("float >= 1e-6", _delta)


@documented
@dataclass(kw_only=True, repr=False, eq=False)
class RNNRegressor(SupervisedEstimator):
    """Predict numbers from sequences, or from every step of them, with a recurrent network.

    X is as for `RNNClassifier`: a list of sequences of any lengths, an array (n, T, F), or a table
    (n, T). y is (n,) or (n, k), or with ``target="step"`` a list of (T_i,) or (T_i, k). The network
    computes in standardised y, in which losses are too; ``y_scale_ * output + y_mean_``, computed
    in float64, is the prediction.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {data_attributes}
    y_mean_, y_scale_ : ndarray of float64 (k,)
        Weighted mean and standard deviation of each column of y, which the network's own outputs
        are in units of, as `weights_` and `to_torch` have them. The scale of a constant is 0. With
        a loss other than "squared_error" they are the median and 1.4826 times the median absolute
        deviation, which outliers do not move.
    {attributes}

    References
    ----------
    {references}
    {supervised_references}
    .. [12] Romano, Y., Patterson, E. and Candes, E. (2019). Conformalized quantile regression.
       NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(length, 1)) for length in rng.integers(3, 9, 50)]
    >>> y = [x.sum() for x in X]
    >>> model = RNNRegressor("rnn", (8,), random_state=0)
    >>> bool(model.fit(X, y).score(X, y) > 0.9)
    True
    """

    loss: str = argument(
        "squared_error",
        one_of("squared_error", "absolute_error", "huber", "quantile"),
        "Loss of the standardised targets.",
    )
    quantile: float | tuple[float, ...] = argument(
        _MEDIAN,
        _QUANTILE,
        """Quantile to predict with ``loss="quantile"``, or several, as in ``(0.1, 0.5, 0.9)``:
        predictions are then (n, q), of a y of several columns (n, k, q), in ascending order.""",
    )
    calibrate: bool = argument(
        False,
        FLAG,
        """Whether to shift predicted quantiles so that held-out y is below them as often as it
        should be: sequences of `X_val`, or `validation_fraction` of X, which are not trained on.
        Fresh data of the same kind then are below them as often, on average [12]_.""",
    )
    # An outlier's gradient is delta, that of any other row its error. With a delta of 1 a network
    # whose errors are a tenth of y's scale follows outliers and learns them by heart.
    delta: float = argument(
        0.05,
        _DELTA,
        """Error at which the Huber loss turns from quadratic to linear, in units of `y_scale_`. It
        must not be much larger than the errors that remain, or outliers count most. No gradient is
        larger: with "sgd" raise `learning_rate_init` as delta is lowered.""",
    )
    # Noise is learned by heart in more epochs: with 100 of them two of the five tasks of `python -m
    # bench --only regression` were above ridge regression, with 20 at the same step size all five.
    max_iter: int = argument(20)
    dtype: str = argument(
        "float32",
        description="Precision of the network and of the states that `transform` returns.",
    )

    _kind = "regressor"

    @property
    def y_mean_(self) -> np.ndarray:
        """Mean of each column of y, (k,)."""
        return np.array(self._fitted().targets.mean)

    @property
    def y_scale_(self) -> np.ndarray:
        """Scale of each column of y, (k,)."""
        return np.array(self._fitted().targets.scale)

    @available_if(check_takes_parts)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch on a part of the data, from where the last call left off.

        `y_mean_` and `y_scale_` follow the y of all calls, of which 1000 numbers drawn at random
        are kept. After a `fit` they stay those of the fit.

        Parameters
        ----------
        X, y : as in `fit`
            Sequences and targets.
        sample_weight : as in `fit`, default=None
            Weights, which are not divided by their mean: a weight of 2 doubles a gradient.

        Returns
        -------
        self : estimator
            The fitted estimator.

        Raises
        ------
        ValueError
            As `fit`, and with ``early_stopping=True``, ``calibrate=True`` or ``solver="lbfgs"``.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNRegressor
        >>> X = [np.ones((3, 2)), np.zeros((5, 2))]
        >>> model = RNNRegressor("rnn", (4,), random_state=0)
        >>> model.partial_fit(X, [1.0, 2.0]).partial_fit(X, [1.0, 2.0]).n_iter_
        2
        """
        return self._partial_fit(X, y, sample_weight)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R^2, averaged over outputs, over all steps with ``target="step"``.

        Of several quantiles it is the negative of their mean pinball loss, in units of y.

        Parameters
        ----------
        X, y : as in `fit`
            Sequences and true targets.
        sample_weight : as in `fit`, default=None
            Weights.

        Returns
        -------
        score : float
            Coefficient of determination, at most 1; of several quantiles a number of at most 0.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        ValueError, TypeError
            If X, y or a weight does not have the form that it had in `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNRegressor
        >>> X = [np.full((3, 1), value) for value in (0.0, 1.0, 2.0, 3.0)]
        >>> y = [0.0, 1.0, 2.0, 3.0]
        >>> model = RNNRegressor("rnn", (8,), random_state=0)
        >>> bool(model.fit(X, y).score(X, y) > 0.9)
        True
        """
        return self._scored(X, y, sample_weight)

    def _checked(self) -> Arguments:
        arguments = super()._checked()
        if arguments["calibrate"] and arguments["loss"] != "quantile":
            raise ValueError(
                f"calibrate must be False with loss={arguments['loss']!r}, got True. "
                "Only quantiles are calibrated: use loss='quantile'."
            )
        quantile = arguments["quantile"]
        if quantile != _MEDIAN and arguments["loss"] != "quantile":
            raise ValueError(
                f"quantile must be {_MEDIAN} with loss={arguments['loss']!r}, got {quantile}. "
                "That loss has no quantiles: use loss='quantile'."
            )
        return arguments

    def _targets_from(
        self, arguments: Arguments, classes: Any = None, *, partial: bool = False
    ) -> TargetsFrom:
        step = arguments["target"] == "step"
        dtype = arguments["dtype"]
        loss = arguments["loss"]
        return lambda y, lengths, weights: read_numbers(
            y,
            lengths,
            step=step,
            weights=weights,
            dtype=dtype,
            robust=loss != "squared_error",
            quantiles=several_quantiles(loss, arguments["quantile"]),
            partial=partial,
        )

    def _fit_model(
        self,
        arguments: Arguments,
        model: Model,
        samples: Samples,
        held_out: HeldOut | None,
        epochs: int,
    ) -> None:
        calibrated = held_out if arguments["calibrate"] else None
        if calibrated is not None:
            model.targets.require_calibration(arguments["quantile"], calibrated.weights)
        super()._fit_model(arguments, model, samples, held_out, epochs)
        if calibrated is not None:
            data = calibrated.samples
            outputs = model.network.outputs(data.items, cpu.threads.usable(arguments["n_jobs"]))
            shift = model.targets.calibration(
                arguments["quantile"], pool(outputs), pool(data.targets), pool(calibrated.weights)
            )
            model.network.rescale_outputs(np.ones_like(shift), shift)

    def _decoded(self, model: Model, rows: np.ndarray, form: Values) -> np.ndarray:
        predicted = super()._decoded(model, rows, form)
        check_outputs(predicted, form, lambda index: _UNITS, what="predictions")
        return predicted

    def _stream_methods(self, model: Model) -> dict[str, tuple[Any, Any]]:
        methods = super()._stream_methods(model)
        of_many, of_one = methods["predict"]
        targets = model.targets
        single = targets.n_outputs == 1 and targets.quantiles is None
        of_one = _decode_number(targets) if single else _refusing(of_one)
        return methods | {"predict": (_refusing(of_many), of_one)}


def _refusing(decode: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], Any]:
    """Return a function that decodes the outputs of one step, and refuses what overflows."""

    def predict(outputs: np.ndarray) -> Any:
        predicted = decode(outputs)
        if not np.isfinite(predicted).all():
            raise ValueError(f"x must give finite predictions, got {predicted}: {_UNITS}")
        return predicted

    return predict


def _decode_number(targets: RealTargets) -> Callable[[np.ndarray], Any]:
    """Return `_refusing(targets.decode_row)` for a single output, which it does in plain floats.

    It makes a step of a stream take half of the time.
    """
    scale = targets.scale.item()
    mean = targets.mean.item()
    dtype = np.dtype(targets.result)
    limit = float(np.finfo(dtype).max)

    def predict(output: np.ndarray) -> Any:
        number = output.item() * scale + mean
        if not abs(number) <= limit:
            raise ValueError(f"x must give finite predictions, got {number:g}: {_UNITS}")
        return dtype.type(number)

    return predict

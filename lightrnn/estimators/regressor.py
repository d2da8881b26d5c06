"""`RNNRegressor`: numbers for sequences or for their steps."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np

from ..data.dataset import TargetsFrom
from ..data.ragged import Values
from ..data.targets import RealTargets, read_numbers
from ..metrics import r_squared
from ..utils import checks
from .declarations import POSITIVE_FRACTION, Domain, argument, one_of
from .documentation import documented
from .estimator import Arguments
from .model import Model
from .outputs import check_outputs
from .supervised import SupervisedEstimator

# Why predictions may overflow where the network's outputs do not.
_UNITS = "they overflow in the units of y. Rescale X and y, or fit to y in float64."
# Gradients of a smaller delta are lost beside what solvers add to their divisor.
_DELTA = Domain("float >= 1e-6", partial(checks.real, low=1e-6))


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

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(length, 1)) for length in rng.integers(3, 9, 50)]
    >>> y = [x.sum() for x in X]
    >>> model = RNNRegressor("rnn", (8,), learning_rate="cosine", random_state=0)
    >>> bool(model.fit(X, y).score(X, y) > 0.9)
    True
    """

    loss: str = argument(
        "squared_error",
        one_of("squared_error", "absolute_error", "huber", "quantile"),
        "Loss of the standardised targets.",
    )
    quantile: float = argument(
        0.5, POSITIVE_FRACTION, """Quantile to predict with ``loss="quantile"``."""
    )
    delta: float = argument(
        1.0,
        _DELTA,
        """Error at which the Huber loss turns from quadratic to linear, in units of
        `y_scale_`.""",
    )
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
            As `fit`, and with ``early_stopping=True`` or ``solver="lbfgs"``.

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

        Parameters
        ----------
        X, y : as in `fit`
            Sequences and true targets.
        sample_weight : as in `fit`, default=None
            Weights.

        Returns
        -------
        score : float
            Coefficient of determination, at most 1.

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
        >>> model = RNNRegressor("rnn", (8,), learning_rate="cosine", random_state=0)
        >>> bool(model.fit(X, y).score(X, y) > 0.9)
        True
        """
        predicted, truth, weights = self._compared(X, y, sample_weight)
        return r_squared(truth, predicted, weights)

    def _targets_from(
        self, arguments: Arguments, classes: Any = None, *, partial: bool = False
    ) -> TargetsFrom:
        step = arguments["target"] == "step"
        dtype = arguments["dtype"]
        robust = arguments["loss"] != "squared_error"
        return lambda y, lengths, weights: read_numbers(
            y, lengths, step=step, weights=weights, dtype=dtype, robust=robust, partial=partial
        )

    def _decoded(self, model: Model, rows: np.ndarray, form: Values) -> np.ndarray:
        predicted = super()._decoded(model, rows, form)
        check_outputs(predicted, form, lambda index: _UNITS, what="predictions")
        return predicted

    def _stream_methods(self, model: Model) -> dict[str, tuple[Any, Any]]:
        methods = super()._stream_methods(model)
        of_many, of_one = methods["predict"]
        targets = model.targets
        of_one = _decode_number(targets) if targets.n_outputs == 1 else _refusing(of_one)
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

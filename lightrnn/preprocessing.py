"""Prepare data for a network: scale features, cut series into windows, read other layouts.

The first two take and return the forms that the estimators read, so a `SequenceScaler` can precede
them in a Pipeline.
"""

import copy
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from .base import BaseEstimator, TransformerMixin, check_input_features, check_is_fitted
from .data.arrays import as_array, result_dtype
from .data.containers import unwrapped
from .data.form import Form
from .data.layouts import as_sequences
from .data.moments import standardization_of
from .data.sequences import Sequences, as_series
from .data.sequences import as_sequences as read_sequences
from .utils import checks
from .utils.indexing import object_array
from .utils.kinship import inherit_from_sklearn
from .utils.standardization import Standardization

__all__ = ["SequenceScaler", "as_sequences", "make_windows"]

_Function = Callable[[NDArray[Any]], NDArray[Any]]  # maps steps (..., F) to as many steps

# Numbers that are transformed at a time: half a megabyte, which stays in cache.
_BLOCK = 1 << 16


class SequenceScaler(TransformerMixin, BaseEstimator):
    """Standardise each feature by its mean and deviation over all steps of all sequences.

    It is scikit-learn's StandardScaler for sequences. It takes every form of X that the estimators
    take and returns the same form and shape: a list of sequences of different lengths, an array
    ``(n, T, F)``, frames (each pixel is a feature), a table (a single feature, so that all columns
    have one mean and one deviation). NaN that end the rows of an array or a table are no steps, and
    stay. float32 stays float32, other numbers become float64. A feature
    that never changes is only centred. Mean and variance stay accurate when the mean is large
    compared with the deviation.

    Attributes
    ----------
    mean_ : array (F,), float64
        Mean of each feature over all steps seen in `fit`.
    var_ : array (F,), float64
        Variance of each feature, the mean squared deviation from `mean_`.
    scale_ : array (F,), float64
        Divisor of each feature: the square root of `var_`, or 1 for a constant feature.
    n_steps_seen_ : int
        Number of steps that `mean_` and `var_` are computed from.
    n_features_in_ : int
        F; for a table its width T.
    feature_names_in_ : array of str
        Column names; set only if X had them.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn.preprocessing import SequenceScaler
    >>> X = [np.array([[1.0, 10.0], [3.0, 30.0]]), np.array([[2.0, 20.0]])]
    >>> scaler = SequenceScaler().fit(X)
    >>> scaler.mean_, scaler.n_steps_seen_
    (array([ 2., 20.]), 3)
    >>> [sequence.shape for sequence in scaler.transform(X)]
    [(2, 2), (1, 2)]
    """

    _form: Form
    n_features_in_: int
    n_steps_seen_: int
    mean_: NDArray[np.float64]
    var_: NDArray[np.float64]
    scale_: NDArray[np.float64]

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the mean and the deviation of each feature.

        Parameters
        ----------
        X : list of n arrays (T_i, F), array (n, T, F), or another form of sequences
            Finite numbers.
        y : object, default=None
            Ignored; accepted so that the scaler can stand in a Pipeline.

        Returns
        -------
        SequenceScaler
            The scaler itself.

        Raises
        ------
        TypeError, ValueError
            If X is no such data, or so large that its variance overflows float64.
        """
        sequences = read_sequences(X, np.float64)
        self._keep(standardization_of(sequences), Form.of(sequences))
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Learn from more data, as if all of it had been given to `fit` at once.

        Parameters
        ----------
        X : list of n arrays (T_i, F), array (n, T, F), or another form of sequences
            Finite numbers, with the features of the first call.
        y : object, default=None
            Ignored.

        Returns
        -------
        SequenceScaler
            The scaler itself.

        Raises
        ------
        TypeError, ValueError
            As for `fit`, and if the features are not those of the first call.
        """
        if not self.__sklearn_is_fitted__():
            return self.fit(X)
        seen = Standardization(self.mean_, self.var_, self.n_steps_seen_)
        self._keep(seen.merged(standardization_of(self._read(X))), self._form)
        return self

    def transform(self, X: Any) -> Any:
        """Subtract the means and divide by the deviations.

        Parameters
        ----------
        X : list of n arrays (T_i, F), array (n, T, F), or another form of sequences
            Finite numbers, with the features that `fit` saw.

        Returns
        -------
        list of n arrays (T_i, F), array (n, T, F), or another form of sequences
            New arrays in the form and shape of X, float32 if X is, else float64. DataFrames become
            arrays.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError, ValueError
            If X is no such data or its features are not those of `fit`.
        """
        check_is_fitted(self)
        X = unwrapped(X)
        fitted = copy.copy(self)  # one fit, whatever another thread does meanwhile
        sequences = fitted._read(X)
        scaled = _mapped(lambda steps: (steps - fitted.mean_) / fitted.scale_, sequences, X)
        return self._contained(scaled, X)

    def inverse_transform(self, X: Any) -> Any:
        """Undo `transform`.

        Parameters
        ----------
        X : list of n arrays (T_i, F), array (n, T, F), or another form of sequences
            Standardised features.

        Returns
        -------
        list of n arrays (T_i, F), array (n, T, F), or another form of sequences
            New arrays in the form and shape of X, on the scale of the data that `fit` saw.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError, ValueError
            If X is no such data or its features differ in number from those of `fit`.
        """
        check_is_fitted(self)
        X = unwrapped(X)
        # `transform` returns arrays without names: no warning that they are missing.
        fitted = copy.copy(self)
        sequences = fitted._read(X, named=False)
        return _mapped(lambda steps: steps * fitted.scale_ + fitted.mean_, sequences, X)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the features, which `transform` does not change.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names to use if `fit` saw none; otherwise they must be the names of `fit`.

        Returns
        -------
        array (n_features_in_,) of str, dtype object
            The names; x0, x1, ... if there are none.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If `input_features` differ from the names of `fit`, or in number.
        """
        check_is_fitted(self)
        check_input_features(self, input_features)
        if input_features is None:
            numbered = [f"x{i}" for i in range(self.n_features_in_)]
            input_features = getattr(self, "feature_names_in_", numbered)
        return np.array(input_features, dtype=object)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags, with the dtypes that `transform` preserves."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _read(self, X: Any, *, named: bool = True) -> Sequences:
        """Read X, which must have the form that `fit` saw."""
        return self._form.read(type(self).__name__, X, np.float64, named=named)

    def _keep(self, standardization: Standardization, form: Form) -> None:
        """Set the fitted attributes from the form of X and the moments of all steps seen."""
        self._replace_results(
            _form=form,
            **form.attributes(),
            n_steps_seen_=int(standardization.weight),
            mean_=standardization.mean,
            var_=standardization.variance,
            scale_=standardization.scale,
        )


inherit_from_sklearn(SequenceScaler, "TransformerMixin", "BaseEstimator")


def _mapped(function: _Function, sequences: Sequences, X: Any) -> Any:
    """Return the results of a function of steps (..., F) in the form of X."""
    form = X if isinstance(X, (list, tuple)) else as_array(X, "X", "")
    if sequences.is_table or (isinstance(form, np.ndarray) and form.ndim > 1):
        return _mapped_array(function, sequences).reshape(np.shape(form))
    results = [
        function(item).astype(result_dtype(item), copy=False).reshape(as_array(x, "X", "").shape)
        for item, x in zip(sequences.items, form, strict=True)
    ]
    if not isinstance(form, np.ndarray):
        return tuple(results) if isinstance(form, tuple) else results
    return object_array(results)


def _mapped_array(function: _Function, sequences: Sequences) -> NDArray[Any]:
    """Return the results for an array's sequences, as an array (n, T, F) filled up with NaN."""
    items = sequences.items
    T = sequences.width
    F = sequences.n_features
    results = np.full((len(items), T, F), np.nan, dtype=result_dtype(items[0]))
    size = max(1, _BLOCK // (T * F))  # sequences at a time
    for start in range(0, len(items), size):
        part = items[start : start + size]
        inside = np.arange(T) < sequences.lengths[start : start + size, None]
        results[start : start + size][inside] = function(np.concatenate(part))
    return results


def make_windows(
    series: ArrayLike, length: int, horizon: int = 1
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Cut a series into overlapping windows and the steps that follow each: X and y of a forecast.

    Window i holds steps i to ``i + length - 1``; its target is the `horizon` steps after it. There
    are ``n = T - length - horizon + 1`` windows, oldest first. Since they overlap, split them by
    time, not at random.

    Parameters
    ----------
    series : array-like (T,) or (T, F)
        Numbers, oldest step first.
    length : int
        Number of steps in a window, at least 1.
    horizon : int, default=1
        Number of steps to forecast, at least 1.

    Returns
    -------
    X : array (n, length, F)
        The windows, with F = 1 for a series of one axis. A read-only view of the series, which
        takes no memory; copy it before you write to it.
    y : array (n,) or (n, horizon * F)
        The steps that follow each window, the features of a step side by side: the y of an
        `RNNRegressor`.

    Raises
    ------
    TypeError, ValueError
        If `series` has other axes or holds no numbers, is shorter than ``length + horizon``, or
        `length` or `horizon` is no integer of at least 1.

    Examples
    --------
    >>> from lightrnn.preprocessing import make_windows
    >>> X, y = make_windows([0, 1, 2, 3, 4, 5], length=3)
    >>> X[..., 0].tolist(), y.tolist()
    ([[0, 1, 2], [1, 2, 3], [2, 3, 4]], [3, 4, 5])
    >>> X, y = make_windows([0, 1, 2, 3, 4, 5], length=3, horizon=2)
    >>> X[..., 0].tolist(), y.tolist()
    ([[0, 1, 2], [1, 2, 3]], [[3, 4], [4, 5]])
    """
    length = checks.integer("length", length, 1)
    horizon = checks.integer("horizon", horizon, 1)
    steps = as_series(series)
    if len(steps) < length + horizon:
        raise ValueError(
            f"series must have at least length + horizon = {length + horizon} steps, "
            f"got {len(steps)}. Give a longer series or choose shorter windows."
        )
    # NumPy puts the axis of the window last: (n, F, length) and (n, F, horizon).
    X = sliding_window_view(steps[:-horizon], length, axis=0).swapaxes(1, 2)
    following = sliding_window_view(steps[length:], horizon, axis=0).swapaxes(1, 2)
    y = following.reshape(len(X), -1).copy()
    return X, y[:, 0] if y.shape[1] == 1 else y

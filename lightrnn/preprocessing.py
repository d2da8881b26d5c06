"""What data often needs before a network: features on one scale, and a long series cut into windows.

Both take and give the forms that the estimators read, so a `SequenceScaler` stands before them in a Pipeline.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from .base import BaseEstimator, TransformerMixin, check_input_features, check_is_fitted
from .data.sequences import Sequences, as_sequences, remember_features, sequences_for
from .utils import checks

# Numbers held as float64 at a time: half a megabyte, which stays in cache, whatever the data's size.
_BLOCK = 1 << 16


class SequenceScaler(TransformerMixin, BaseEstimator):
    """Standardise each feature by its mean and deviation over all steps of all sequences.

    scikit-learn's StandardScaler for sequences: it takes every form of X that the estimators take and gives it back in
    the same form and shape: a list of sequences of different lengths, an array ``(n, T, F)``, frames (each pixel a
    feature), a table (a single feature, so one mean and one deviation for all columns). float32 stays float32, other
    numbers become float64. A feature that never changes is only centred.

    Attributes
    ----------
    mean_ : array (F,), float64
        Mean of each feature over all steps seen.
    var_ : array (F,), float64
        Variance of each feature, the mean squared deviation from `mean_`.
    scale_ : array (F,), float64
        What features are divided by: the square root of `var_`, or 1 where a feature is constant.
    n_steps_seen_ : int
        Steps that `mean_` and `var_` are taken over.
    n_features_in_ : int
        F; for a table its width T.
    feature_names_in_ : array of str
        Column names, where X had them.

    References
    ----------
    T. F. Chan, G. H. Golub and R. J. LeVeque (1983). "Algorithms for Computing the Sample Variance: Analysis and
    Recommendations". The American Statistician 37(3), 242-247. Equations 1.7 (the two passes over a block) and 2.1 (the
    merging of blocks).

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

    mean_: NDArray[np.float64]
    var_: NDArray[np.float64]
    scale_: NDArray[np.float64]
    n_steps_seen_: int
    n_features_in_: int

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the features' means and deviations from X alone.

        Parameters
        ----------
        X : list of n arrays (T_i, F), array (n, T, F), or another form of sequences
            Finite numbers.
        y : ignored
            Taken so that the scaler fits in a Pipeline.

        Returns
        -------
        SequenceScaler
            The scaler itself.

        Raises
        ------
        TypeError, ValueError
            If X is no such data, or so large that its variance is not a finite float64.
        """
        sequences = as_sequences(X, np.float64)
        self._keep(*_moments_of(sequences))
        remember_features(self, sequences)
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Learn from X on top of what was learned before, as if all had been given to `fit` at once.

        Parameters
        ----------
        X, y
            As in `fit`; X with the features of the first call.

        Returns
        -------
        SequenceScaler
            The scaler itself.

        Raises
        ------
        TypeError, ValueError
            As `fit`, and if the features are not those of the first call.
        """
        if not self.__sklearn_is_fitted__():
            return self.fit(X)
        sequences = sequences_for(self, X, np.float64)
        seen = self.n_steps_seen_, self.mean_, self.var_ * self.n_steps_seen_
        self._keep(*_merged(seen, _moments_of(sequences)))
        return self

    def transform(self, X: Any) -> Any:
        """Subtract the means and divide by the deviations.

        Parameters
        ----------
        X : list of n arrays (T_i, F), array (n, T, F), or another form of sequences
            With the features that `fit` saw.

        Returns
        -------
        list of n arrays (T_i, F), array (n, T, F), or another form of sequences
            New arrays in X's form and shape, float32 where X is, else float64. DataFrames become arrays.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError, ValueError
            If X is no such data or its features are not those of `fit`.
        """
        check_is_fitted(self)
        sequences = sequences_for(self, X, np.float64)
        return self._contained(
            _mapped(lambda steps: (steps - self.mean_) / self.scale_, sequences, X), X
        )

    def inverse_transform(self, X: Any) -> Any:
        """Undo `transform`.

        Parameters
        ----------
        X : list of n arrays (T_i, F), array (n, T, F), or another form of sequences
            Standardised features.

        Returns
        -------
        list of n arrays (T_i, F), array (n, T, F), or another form of sequences
            New arrays in X's form and shape, on the scale of the data that was fitted.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError, ValueError
            If X is no such data or its features differ in number from those of `fit`.
        """
        check_is_fitted(self)
        # transform gives arrays without names: that they are missing here is no news.
        names = getattr(self, "feature_names_in_", None)
        sequences = sequences_for(
            self, replace(as_sequences(X, np.float64), feature_names=names), np.float64
        )
        return _mapped(lambda steps: steps * self.scale_ + self.mean_, sequences, X)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the features, which are those that went in.

        Parameters
        ----------
        input_features : array-like of str, optional
            Names to use where `fit` saw none; else they must be the names of `fit`.

        Returns
        -------
        array (n_features_in_,) of str, dtype object
            The names; x0, x1, ... where there are none.

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
            input_features = getattr(
                self, "feature_names_in_", [f"x{i}" for i in range(self.n_features_in_)]
            )
        return np.array(input_features, dtype=object)

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that float32 stays float32."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _keep(self, count: int, mean: NDArray[np.float64], squares: NDArray[np.float64]) -> None:
        """Set the fitted attributes from the moments of all steps seen."""
        if not np.isfinite(squares).all():
            feature = int(np.flatnonzero(~np.isfinite(squares))[0])
            raise ValueError(
                f"X must have a variance that float64 can hold, got an overflow in feature {feature}. "
                "Divide the feature by its largest value first."
            )
        self.n_steps_seen_, self.mean_, self.var_ = count, mean, squares / count
        deviation = np.sqrt(self.var_)
        self.scale_ = np.where(deviation > 0, deviation, 1.0)


_Moments = tuple[int, NDArray[np.float64], NDArray[np.float64]]


def _moments_of(sequences: Sequences) -> _Moments:
    """Return the number of steps, their mean and their sum of squared deviations, each feature alone."""
    F = sequences.n_features
    total: _Moments = (0, np.zeros(F), np.zeros(F))
    with np.errstate(over="ignore", invalid="ignore"):
        for steps in _blocks(sequences):
            mean = steps.mean(axis=0)
            steps -= mean
            # What rounding left in the mean. Less its square, too, a constant's squares are exactly 0.
            rest = steps.mean(axis=0)
            squares = np.einsum("nf,nf->f", steps, steps) - len(steps) * rest**2
            total = _merged(total, (len(steps), mean + rest, squares))
    return total


def _merged(a: _Moments, b: _Moments) -> _Moments:
    """Return the moments of two sets of steps together."""
    (n_a, mean_a, squares_a), (n_b, mean_b, squares_b) = a, b
    n = n_a + n_b
    with np.errstate(over="ignore", invalid="ignore"):
        apart = mean_b - mean_a
        return n, mean_a + apart * (n_b / n), squares_a + squares_b + apart**2 * (n_a / n * n_b)


def _blocks(sequences: Sequences) -> Iterator[NDArray[np.float64]]:
    """Yield all steps as float64 copies (N, F) of bounded size, so that a memory map is never read whole."""
    most = max(1, _BLOCK // sequences.n_features)
    parts: list[NDArray[Any]] = []
    held = 0
    for item in sequences.items:
        for start in range(0, len(item), most):
            parts.append(item[start : start + most])
            held += len(parts[-1])
            if held >= most:
                yield np.concatenate(parts, dtype=np.float64)
                parts, held = [], 0
    if parts:
        yield np.concatenate(parts, dtype=np.float64)


def _mapped(function: Callable[[NDArray[Any]], NDArray[Any]], sequences: Sequences, X: Any) -> Any:
    """Apply a function of steps (..., F) to all steps and return the results in the form of X."""
    form = X if isinstance(X, (list, tuple)) else np.asarray(X)
    if sequences.is_table or (isinstance(form, np.ndarray) and form.ndim > 1):
        return _mapped_array(function, sequences).reshape(np.shape(form))
    results = [
        function(item).astype(_float_like(item), copy=False).reshape(np.shape(x))
        for item, x in zip(sequences.items, form, strict=True)
    ]
    if not isinstance(form, np.ndarray):
        return tuple(results) if isinstance(form, tuple) else results
    array = np.empty(len(results), dtype=object)
    array[:] = results
    return array


def _mapped_array(
    function: Callable[[NDArray[Any]], NDArray[Any]], sequences: Sequences
) -> NDArray[Any]:
    """Apply a function to sequences of one length, many at a time, and return an array (n, T, F)."""
    items, T = sequences.items, int(sequences.lengths[0])
    out = np.empty((len(items), T, sequences.n_features), dtype=_float_like(items[0]))
    some = max(1, _BLOCK // (T * sequences.n_features))
    for start in range(0, len(items), some):
        out[start : start + some] = function(np.stack(items[start : start + some]))
    return out


def _float_like(item: NDArray[Any]) -> type[np.floating[Any]]:
    """Return the precision of results: float32 for data of no more than that, else float64."""
    return np.float32 if item.dtype in (np.float16, np.float32) else np.float64


def make_windows(
    series: ArrayLike, length: int, horizon: int = 1
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Cut a series into windows and what follows each: a forecast's X and y.

    Window i holds steps i to ``i + length - 1``; its target is the `horizon` steps after it. The windows overlap, and
    there are ``n = T - length - horizon + 1`` of them, oldest first: split them by time, not at random.

    Parameters
    ----------
    series : array-like (T,) or (T, F)
        Numbers, oldest step first.
    length : int
        Steps in a window, at least 1.
    horizon : int, default=1
        Steps to forecast, at least 1.

    Returns
    -------
    X : array (n, length, F)
        The windows, F = 1 for a series of one axis. A read-only view of the series, so it takes no memory; copy it
        before you write to it.
    y : array (n,) or (n, horizon * F)
        What follows, step by step with a step's features side by side: the y of an `RNNRegressor`.

    Raises
    ------
    TypeError, ValueError
        If `series` has other axes or holds no numbers, is shorter than ``length + horizon``, or `length` or `horizon`
        is no integer of at least 1.

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
    steps = _series(series)
    if len(steps) < length + horizon:
        raise ValueError(
            f"series must have at least length + horizon = {length + horizon} steps, got {len(steps)}. "
            "Give a longer series or ask for shorter windows."
        )
    X = sliding_window_view(steps[:-horizon], length, axis=0).swapaxes(1, 2)
    y = (
        sliding_window_view(steps[length:], horizon, axis=0)
        .swapaxes(1, 2)
        .reshape(len(X), -1)
        .copy()
    )
    return X, y[:, 0] if y.shape[1] == 1 else y


def _series(series: ArrayLike) -> NDArray[Any]:
    """Return a series as an array (T, F) of numbers."""
    steps = np.asarray(series)
    if steps.ndim not in (1, 2):
        raise ValueError(
            f"series must be (T,) or (T, F), got shape {steps.shape}. Flatten each step's axes into F features first."
        )
    if steps.dtype.kind not in "fiub":
        raise TypeError(
            f"series must hold real numbers, got dtype {steps.dtype}. Convert it to floats first."
        )
    return steps.reshape(len(steps), -1)

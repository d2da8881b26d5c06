"""`DaskPredictions`, the part of the estimators on dask that uses a fitted network."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from ..data.ragged import Values, pool
from ..estimators.model import Model
from ..estimators.supervised import SupervisedEstimator
from .collections import (
    Blocks,
    blocks_of,
    computed,
    concatenated,
    is_block,
    is_collection,
    mapped,
)
from .estimator import DaskEstimator
from .long_frames import LongFrame
from .partitions import split_pairs

if TYPE_CHECKING:

    class _Local(DaskEstimator, SupervisedEstimator):
        """Both bases, of which only the first is one: see `estimator.py`."""
else:
    _Local = DaskEstimator


class DaskPredictions(_Local):
    """Predictions of partitions, which are computed lazily, and their scores."""

    sequence_: Any

    def predict(self, X: Any) -> Any:
        """Return the prediction for each sequence or step; of partitions lazily.

        Parameters
        ----------
        X : as in `fit`, or in memory
            Sequences.

        Returns
        -------
        predictions : dask.array, dask.bag, dask.dataframe, list of Delayed, or as the local class
            A dask.array for a dask.array, and a Series or DataFrame of dask for one of those, if
            there is one target per sequence. A bag for a bag. For a long DataFrame a Series or
            DataFrame of dask, whose index has the names of the sequences; which sequences it has,
            and where, is looked up at once. For a list of partitions one Delayed for each, with a
            Series or DataFrame if they are long DataFrames. For X in memory, what the local class
            returns.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        """
        return self._mapped("predict", X)

    def transform(self, X: Any) -> Any:
        """Return the state of the last hidden layer; of partitions lazily, as `predict`.

        Parameters
        ----------
        X : as in `fit`, or in memory
            Sequences.

        Returns
        -------
        states : dask.array (n, D), dask.bag, list of Delayed, or as the local class returns them
            As `predict`.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        """
        return self._mapped("transform", X)

    def _mapped(self, method: str, X: Any) -> Any:
        """Return the result of a method of the local class, lazily if X is in partitions."""
        if is_block(X):
            return self._mapped(method, [X])[0]
        function = getattr(self.to_local(), method)
        if not is_collection(X):
            return function(X)
        columns = vars(self)["classes_"] if "proba" in method else None
        source = self._long(X)
        if source:
            results = mapped(function, source.blocks, None)
            return source.labelled(results, columns, function([self._one_step()]))
        # Steps of sequences of an array may be fewer than it has: their results stay apart.
        by_step = self._fitted().targets.step
        sample = None if by_step or isinstance(X, (list, tuple)) else function(self._sample(X))
        return mapped(function, X, sample, columns)

    def _long(self, X: Any) -> LongFrame | None:
        """Return X as the long DataFrames that it consists of if that of `fit` did, or None."""
        if self.sequence_ is None or not (hasattr(X, "columns") or isinstance(X, (list, tuple))):
            return None
        return LongFrame(self.client_, X, self.sequence_)

    def _sample(self, X: Any) -> Any:
        """Return a sequence in the form that those of a collection have."""
        model = self._fitted()
        if model.vocabulary is not None:
            return [self._one_step()] if model.vocabulary.kind == "category" else ["a"]
        if hasattr(X, "chunks") and X.ndim > 1:
            return np.zeros((1, *(1 if np.isnan(size) else size for size in X.shape[1:])))
        form: Any = model.form
        return self._one_step() if form.is_table else [self._one_step()]

    def _one_step(self) -> Any:
        """Return a sequence of one step."""
        vocabulary = self._fitted().vocabulary
        if vocabulary is not None:
            return vocabulary.tokens[-1:].tolist()
        step = np.zeros((1, vars(self)["n_features_in_"]))
        names = vars(self).get("feature_names_in_")
        return step if names is None else cpu.once.imported("pandas").DataFrame(step, columns=names)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the score of the local class, over all partitions.

        Parameters
        ----------
        X, y : as in `fit`
            Sequences and true targets, or pairs of them.
        sample_weight : as in `fit`, default=None
            Weights.

        Returns
        -------
        float
            The accuracy of a classifier, R^2 of a regressor.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        """
        if y is None and is_collection(X):
            delayed = cpu.once.imported("dask").delayed
            halves = delayed(split_pairs, pure=False, traverse=False, nout=2)
            X, y = zip(*(halves(block) for block in blocks_of(X, "X")), strict=True)
        local: Any = super()  # the classifier's or the regressor's
        return float(local.score(X, y, sample_weight))

    def _scored(self, X: Any, y: Any, sample_weight: Any) -> float:
        """Return the score of predictions, pooled over steps."""
        y, sample_weight = self._gathered(y, "y"), self._gathered(sample_weight, "sample_weight")
        if is_collection(X):
            source = self._long(X) or Blocks(blocks_of(X, "X"))
            step = self._fitted().targets.step
            X = source.blocks
            y = source.arranged(y, "y", step)
            sample_weight = source.arranged(sample_weight, "sample_weight", step)
        return super()._scored(X, y, sample_weight)

    def _outputs(self, model: Model, X: Any, what: str = "outputs") -> tuple[np.ndarray, Values]:
        if not is_collection(X):
            return super()._outputs(model, X, what)
        function = partial(_values, self.to_local(), what)
        parts = computed(self.client_, mapped(function, X, None), "X") or []
        values = concatenated([part for part in parts if len(part)], "X")
        return pool(values), values


def _values(estimator: Any, what: str, X: Any) -> Any:
    """Return the raw outputs, or states, of one partition."""
    return estimator._outputs(estimator._fitted(), X, what)[1]

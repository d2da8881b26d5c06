"""`DaskSupervisedEstimator`, the part that the estimators on dask add to the local ones."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..data.dataset import Data, Inputs
from ..data.orientation import warn_of_swapped_axes
from ..data.ragged import Values, pool
from ..estimators.continuing import refuse_other_form
from ..estimators.estimator import Arguments
from ..estimators.model import Model
from ..estimators.supervised import SupervisedEstimator
from .collections import blocks_of, check_counts, computed, concatenated, is_collection, mapped
from .estimator import DaskEstimator
from .network import DistributedNetwork
from .replicas import Replicas
from .sequences import PartitionedSequences, joined

if TYPE_CHECKING:

    class _Local(DaskEstimator, SupervisedEstimator):
        """Both bases, of which only the first is one: see `estimator.py`."""
else:
    _Local = DaskEstimator


class DaskSupervisedEstimator(_Local):
    """Base class that stands before a local class, whose arguments and results it shares."""

    # -- fitting ----------------------------------------------------------------------------------

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Train on the partitions of a dask collection, where they are.

        Parameters
        ----------
        X : dask.array (n, T, F) or (n, T), dask.dataframe, dask.bag, list of Delayed or Future
            Sequences of numbers, in partitions. An array is cut along its first axis; each row of
            a DataFrame is a sequence, as in a table, and so is each item of a bag. Each item of a
            list is a partition in any form that the local class takes.
        y : dask.array (n,) or (n, k), another collection, or array-like
            Targets, in the partitions of X or in memory. They are gathered on the client.
        sample_weight : as y, default=None
            Weights; only their ratios over all partitions count. None: equal weights.
        X_val, y_val : in memory, default=None
            Validation data, as the local class takes them.

        Returns
        -------
        self : estimator
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            As the `fit` of the local class, and if the partitions do not fit together.
        RuntimeError
            If the cluster has no worker, if a worker has other versions or another processor, or if
            workers are lost and none takes their place. The estimator is then as it was.

        Warns
        -----
        UserWarning
            If a worker holds no partition.

        Examples
        --------
        >>> import dask.array as da  # doctest: +SKIP
        >>> from distributed import Client  # doctest: +SKIP
        >>> client = Client()  # doctest: +SKIP
        >>> X = da.random.normal(size=(1000, 50, 3), chunks=(250, 50, 3))  # doctest: +SKIP
        >>> model = DaskRNNClassifier(max_iter=2).fit(X, X.sum((1, 2)) > 0)  # doctest: +SKIP
        """
        arguments = self._checked()
        _check_validation(arguments, X_val)
        before = vars(self).get("_model") if arguments["warm_start"] else None
        with Replicas(self.client_, blocks_of(X, "X"), arguments["n_jobs"]) as replicas:
            data = self._read(arguments, before, replicas, (X, y, sample_weight))
            return super().fit(*data, X_val, y_val)

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        arguments = self._checked()
        before = vars(self).get("_model")
        with Replicas(self.client_, blocks_of(X, "X"), arguments["n_jobs"]) as replicas:
            data = self._read(arguments, before, replicas, (X, y, sample_weight))
            return super()._partial_fit(*data, classes)

    def _checked(self) -> Arguments:
        arguments = super()._checked()
        if arguments["tokens"] not in ("auto", "number"):
            raise ValueError(
                f"tokens must be 'auto' or 'number' on dask, got {arguments['tokens']!r}. Encode "
                "tokens as numbers, or fit the local class."
            )
        return arguments

    def _read(
        self,
        arguments: Arguments,
        before: Model | None,
        replicas: Replicas,
        given: tuple[Any, Any, Any],
    ) -> tuple[PartitionedSequences, Any, Any]:
        """Read X where it is, and gather y and sample_weight."""
        X, y, sample_weight = given
        warn_of_swapped_axes(X)
        missing = arguments["missing"] == "mask"
        form = before and before.form
        kind = type(self).__name__
        summaries = replicas.establish("read", kind, arguments["dtype"], missing, form)
        sequences = joined(replicas, summaries)
        counts = sequences.counts
        weights = self._gathered(sample_weight, "sample_weight", counts)
        return sequences, self._gathered(y, "y", counts), weights

    def _gathered(self, values: Any, name: str, counts: np.ndarray | None = None) -> Any:
        """Return what partitions hold beside X, checked against their numbers of sequences."""
        parts = computed(self.client_, values, name)
        if parts is None:
            return values
        if counts is not None:
            check_counts(parts, counts, name)
        return concatenated([part for part in parts if len(part)] or parts, name)

    def _read_inputs(self, arguments: Arguments, X: Any, before: Model | None) -> Inputs:
        if before is None:
            return super()._read_inputs(arguments, X, before)
        refuse_other_form(before.form, arguments)
        return Inputs(X, before.form, before.vocabulary)  # the replicas read X by this form

    def _model_for(
        self, arguments: Arguments, data: Data, before: Model | None, *, warm: bool
    ) -> Model:
        model = super()._model_for(arguments, data, before, warm=warm)
        span: Any = data.samples.items[0]
        replicas = span.replicas
        replicas.prepare(model, arguments["batch_size"])
        # A chunk begins with the states in which the one before it ended.
        carries = bool(arguments["truncate"]) and arguments["target"] == "step"
        model.network = DistributedNetwork.of(model.network, replicas, carries)
        return model

    # -- using what was fitted --------------------------------------------------------------------

    def predict(self, X: Any) -> Any:
        """Return the prediction for each sequence or step; of partitions lazily.

        Parameters
        ----------
        X : as in `fit`, or in memory
            Sequences.

        Returns
        -------
        predictions : dask.array, list of Delayed, or as the local class returns them
            A dask.array for a dask.array with one target per sequence. For other partitions, one
            Delayed for each. For X in memory, what the local class returns.

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
        states : dask.array (n, D), list of Delayed, or as the local class returns them
            As `predict`.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        """
        return self._mapped("transform", X)

    def _mapped(self, method: str, X: Any) -> Any:
        """Return the result of a method of the local class, lazily if X is in partitions."""
        function = getattr(self.to_local(), method)
        if not is_collection(X):
            return function(X)
        # Steps of sequences of an array may be fewer than it has: their results stay apart.
        if hasattr(X, "chunks") and not self._fitted().targets.step:
            sample = function(np.zeros((1, *X.shape[1:])))
            return mapped(function, X, sample.shape[1:], sample.dtype)
        return mapped(function, X, (), None)

    def _compared(
        self, X: Any, y: Any, sample_weight: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return predictions, checked y and weights, all pooled over steps."""
        others = self._gathered(y, "y"), self._gathered(sample_weight, "sample_weight")
        return super()._compared(X, *others)

    def _outputs(self, model: Model, X: Any, what: str = "outputs") -> tuple[np.ndarray, Values]:
        if not is_collection(X):
            return super()._outputs(model, X, what)
        function = partial(_values, self.to_local(), what)
        parts = computed(self.client_, mapped(function, X, (), None), "X")
        values = concatenated(parts or [], "X")
        return pool(values), values


def _check_validation(arguments: Arguments, X_val: Any) -> None:
    """Raise a ValueError for validation that would need X on the client."""
    if is_collection(X_val):
        raise TypeError(
            "X_val must be in memory, got partitions. Compute a part of them, or hold some of X "
            "out: early_stopping=True."
        )
    own = arguments["scoring"] in ("loss", "score")
    if arguments["early_stopping"] and X_val is None and not own:
        raise ValueError(
            "scoring must be 'loss' or 'score' for sequences that are held out in partitions, got "
            f"{arguments['scoring']!r}. Or pass X_val and y_val, in memory."
        )


def _values(estimator: Any, what: str, X: Any) -> Any:
    """Return the raw outputs, or states, of one partition."""
    return estimator._outputs(estimator._fitted(), X, what)[1]

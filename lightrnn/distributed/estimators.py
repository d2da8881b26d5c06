"""`DaskRNNClassifier` and `DaskRNNRegressor`: the estimators, fitted to partitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from ..estimators.classifier import RNNClassifier
from ..estimators.documentation import documented
from ..estimators.regressor import RNNRegressor
from .supervised import DaskSupervisedEstimator


@documented
@dataclass(kw_only=True, repr=False, eq=False)
class DaskRNNClassifier(DaskSupervisedEstimator, RNNClassifier):
    """Classify sequences with a recurrent network that is trained on a dask cluster.

    It is `RNNClassifier`, with the same arguments and results, for X in partitions: see `fit`.
    The minibatches are those of a local fit of all data. Each worker computes the gradient of the
    sequences that it holds; gradients are added in the order of a fixed tree over the partitions.
    So the result depends on the partitions, the seed and the arguments, bit for bit, and never on
    the number of workers. That costs one message to each worker and back for every step, each of
    the size of the parameters.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    client_ : distributed.Client
        The client that `fit` uses.
    classes_ : ndarray
        The labels, sorted; for multilabel y the numbers of its columns.
    {data_attributes}
    {attributes}

    References
    ----------
    {references}
    {supervised_references}

    Examples
    --------
    >>> from lightrnn.distributed import DaskRNNClassifier
    >>> DaskRNNClassifier(cell="lstm", max_iter=20)
    DaskRNNClassifier(cell='lstm', max_iter=20)
    """

    _kind = "classifier"
    _local = RNNClassifier

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        classes: Any = None,
        sample_weight: Any = None,
        *,
        sequence: Any = None,
    ) -> Self:
        """Train for one epoch on some partitions, from where the last call left off.

        Parameters
        ----------
        X : as in `fit`
            Partitions.
        y, sample_weight, sequence : as in `fit`, default=None
            Targets, weights, which are not divided by their mean, and the column of sequences.
        classes : array-like, default=None
            Every label there is, for the first call; None: those of its y.

        Returns
        -------
        self : DaskRNNClassifier
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError, RuntimeError
            As `fit`, and as `RNNClassifier.partial_fit`.
        """
        return super().partial_fit(self._source(X, sequence), y, classes, sample_weight)

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class; of partitions lazily, as `predict`.

        Parameters
        ----------
        X : as in `fit`, or in memory
            Sequences.

        Returns
        -------
        probabilities : dask.array (n, n_outputs_), list of Delayed, or as the local class does
            Columns in the order of `classes_`.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        """
        return self._mapped("predict_proba", X)

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of the probability of each class; of partitions lazily.

        Parameters
        ----------
        X : as in `fit`, or in memory
            Sequences.

        Returns
        -------
        log_probabilities : as `predict_proba` returns them
            Logarithms.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        """
        return self._mapped("predict_log_proba", X)


@documented
@dataclass(kw_only=True, repr=False, eq=False)
class DaskRNNRegressor(DaskSupervisedEstimator, RNNRegressor):
    """Predict numbers with a recurrent network that is trained on a dask cluster.

    It is `RNNRegressor`, with the same arguments and results, for X in partitions: see `fit`.
    The result depends on the partitions, the seed and the arguments, bit for bit, and never on the
    number of workers, as `DaskRNNClassifier` describes.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    client_ : distributed.Client
        The client that `fit` uses.
    {data_attributes}
    {attributes}

    References
    ----------
    {references}
    {supervised_references}
    .. [12] Romano, Y., Patterson, E. and Candes, E. (2019). Conformalized quantile regression.
       NeurIPS.

    Examples
    --------
    >>> from lightrnn.distributed import DaskRNNRegressor
    >>> DaskRNNRegressor(loss="huber")
    DaskRNNRegressor(loss='huber')
    """

    _kind = "regressor"
    _local = RNNRegressor

    def partial_fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, sequence: Any = None
    ) -> Self:
        """Train for one epoch on some partitions, from where the last call left off.

        Parameters
        ----------
        X : as in `fit`
            Partitions.
        y, sample_weight, sequence : as in `fit`, default=None
            Targets, weights, which are not divided by their mean, and the column of sequences.

        Returns
        -------
        self : DaskRNNRegressor
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError, RuntimeError
            As `fit`, and as `RNNRegressor.partial_fit`.
        """
        return super().partial_fit(self._source(X, sequence), y, sample_weight)

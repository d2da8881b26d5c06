"""`DaskSupervisedEstimator`, the part that the estimators on dask add to the local ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .. import cpu
from ..data.dataset import Data, Inputs, refuse_for_tokens
from ..data.orientation import warn_of_single_steps, warn_of_swapped_axes
from ..data.ragged import Values, pool
from ..data.tokens import Vocabulary, kind_of_texts
from ..estimators.continuing import refuse_other_form
from ..estimators.declarations import Domain, argument
from ..estimators.estimator import Arguments
from ..estimators.model import Model
from ..estimators.supervised import SupervisedEstimator
from .collections import (
    Blocks,
    blocks_of,
    check_counts,
    computed,
    concatenated,
    is_collection,
    mapped,
)
from .estimator import DaskEstimator
from .long_frames import LongFrame
from .network import DistributedNetwork
from .partitions import Reading, Summary, split_pairs
from .replicas import Replicas
from .sequences import common_kind, joined, merged_counts, of_tokens

if TYPE_CHECKING:

    class _Local(DaskEstimator, SupervisedEstimator):
        """Both bases, of which only the first is one: see `estimator.py`."""
else:
    _Local = DaskEstimator


@dataclass(kw_only=True, repr=False, eq=False)
class DaskSupervisedEstimator(_Local):
    """Base class that stands before a local class, whose arguments and results it shares."""

    sequence: Any = argument(
        None,
        Domain("str or None", lambda name, value: value),
        """Column of a long dask.dataframe, or of each DataFrame of a list of partitions, or name of
        the index, that names the sequence of each row; a row is a step. None: each row of a
        DataFrame is a sequence.""",
    )

    # -- fitting ----------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        *,
        sequence: Any = None,
    ) -> Self:
        """Train on the partitions of a dask collection, where they are.

        Parameters
        ----------
        X : dask.array (n, T, F) or (n, T), dask.dataframe, dask.bag, list of Delayed or Future
            Sequences of numbers or of tokens, in partitions. An array is cut along its first axis.
            Each row of a DataFrame is a sequence, as in a table; or it is a step, see `sequence`,
            which may be given for a list of DataFrames, too.
            Each item of a bag is a sequence, or a pair (sequence, target). Each item of a list is a
            partition in any form that the local class takes, a list of pairs, or a tuple of
            sequences and their targets.
        y : dask.array (n,) or (n, k), another collection, or array-like, default=None
            Targets, in the partitions of X or in memory. They are gathered on the client. None: X
            has pairs. For a long DataFrame there is one for each row, or for each sequence: a
            Series whose index has the names of the sequences, or others in the order in which the
            names first occur.
        sample_weight : as y, default=None
            Weights; only their ratios over all partitions count. None: equal weights.
        X_val, y_val : in memory, default=None
            Validation data, as the local class takes them.
        sequence : str, default=None
            Column of X that names the sequence of each row, sorted by time within each sequence.
            None: the constructor's `sequence`.

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
        warn_of_swapped_axes(X)
        source = self._source(X, self.sequence if sequence is None else sequence)
        with self._replicas(arguments, before, source, y is None) as replicas:
            data = self._read(arguments, before, replicas, source, (y, sample_weight))
            if data[0].vocabulary is None:
                warn_of_single_steps(X, data[0].steps, arguments["cell"])
            super().fit(*data, X_val, y_val)
        self.sequence_ = source.column
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        arguments = self._checked()
        before = vars(self).get("_model")
        source = self._source(X, self.sequence)
        with self._replicas(arguments, before, source, y is None) as replicas:
            data = self._read(arguments, before, replicas, source, (y, sample_weight))
            super()._partial_fit(*data, classes)
        self.sequence_ = source.column
        return self

    def _source(self, X: Any, sequence: Any) -> Blocks | LongFrame:
        """Return X in partitions of sequences."""
        if sequence is None:
            return Blocks(blocks_of(X, "X"))
        return LongFrame(self.client_, X, sequence)

    def _replicas(
        self, arguments: Arguments, before: Model | None, source: Blocks | LongFrame, pairs: bool
    ) -> Replicas:
        """Return the replicas that read a source, a context."""
        tokens = arguments["tokens"]
        if before is not None:
            tokens = "number" if before.vocabulary is None else before.vocabulary.kind
        reading = Reading(
            type(self).__name__,
            arguments["dtype"],
            arguments["missing"] == "mask",
            tokens,
            None if before is None else before.form,
            pairs,
        )
        return Replicas(self.client_, source.blocks, reading, arguments["n_jobs"])

    def _read(
        self,
        arguments: Arguments,
        before: Model | None,
        replicas: Replicas,
        source: Blocks | LongFrame,
        given: tuple[Any, Any],
    ) -> tuple[Inputs, Any, Any]:
        """Read X where it is, and gather y and sample_weight."""
        summaries = replicas.summaries()
        inputs = _inputs(arguments, before, replicas, summaries)
        y, sample_weight = given
        if y is None:
            y = concatenated([summaries[number].targets for number in sorted(summaries)], "y")
        sequences: Any = inputs.steps
        counts = None if isinstance(source, LongFrame) else sequences.counts
        step = arguments["target"] == "step"
        y = source.arranged(self._gathered(y, "y", counts), "y", step)
        if inputs.steps.is_table and inputs.steps.feature_names is not None:
            _refuse_long_table(len(inputs.steps), len(y))
        return (
            inputs,
            y,
            source.arranged(
                self._gathered(sample_weight, "sample_weight", counts), "sample_weight", step
            ),
        )

    def _gathered(self, values: Any, name: str, counts: np.ndarray | None = None) -> Any:
        """Return what partitions hold beside X, checked against their numbers of sequences."""
        parts = computed(self.client_, values, name)
        if parts is None:
            return values
        if counts is not None:
            check_counts(parts, counts, name)
        return concatenated([part for part in parts if len(part)] or parts, name)

    def _read_inputs(self, arguments: Arguments, X: Any, before: Model | None) -> Inputs:
        inputs: Inputs = X  # which replicas have read
        return inputs

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
            A dask.array for a dask.array with one target per sequence. For a long DataFrame a
            Series or DataFrame of dask, whose index has the names of the sequences; for a list of
            such frames, a list of Delayed with a Series or DataFrame each. For other partitions,
            one Delayed for each. For X in memory, what the local class returns.

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
        source = self._seen(X)
        if isinstance(source, LongFrame):
            columns = vars(self)["classes_"] if "proba" in method else None
            results = mapped(function, source.blocks, (), None)
            return source.labelled(results, columns, function([self._one_step()]))
        # Steps of sequences of an array may be fewer than it has: their results stay apart.
        if hasattr(X, "chunks") and not self._fitted().targets.step:
            sample = function(np.zeros((1, *X.shape[1:])))
            return mapped(function, X, sample.shape[1:], sample.dtype)
        return mapped(function, X, (), None)

    def _seen(self, X: Any) -> Blocks | LongFrame:
        """Return X in partitions of sequences, as in `fit`."""
        is_long = hasattr(X, "columns") or isinstance(X, (list, tuple))
        return self._source(X, self.sequence_ if is_long else None)

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
            source = self._seen(X)
            step = self._fitted().targets.step
            X = source.blocks
            y = source.arranged(y, "y", step)
            sample_weight = source.arranged(sample_weight, "sample_weight", step)
        return super()._scored(X, y, sample_weight)

    def _outputs(self, model: Model, X: Any, what: str = "outputs") -> tuple[np.ndarray, Values]:
        if not is_collection(X):
            return super()._outputs(model, X, what)
        function = partial(_values, self.to_local(), what)
        parts = computed(self.client_, mapped(function, X, (), None), "X") or []
        values = concatenated([part for part in parts if len(part)], "X")
        return pool(values), values


def _inputs(
    arguments: Arguments, before: Model | None, replicas: Replicas, summaries: dict[int, Summary]
) -> Inputs:
    """Return the sequences of all partitions, and learn the vocabulary of tokens."""
    kind = common_kind(summaries, "X")
    form = vocabulary = None
    if before is not None:
        refuse_other_form(before.form, arguments)
        form, vocabulary = before.form, before.vocabulary
    if kind == "number":
        return Inputs(joined(replicas, summaries), form, None)
    refuse_for_tokens(arguments["patch"], arguments["missing"])
    if kind == "char" and arguments["tokens"] == "auto" and arguments["target"] == "sequence":
        if vocabulary is None:
            kind = kind_of_texts([b for part in summaries.values() for b in part.spaced])
    found = replicas.establish("count", kind, vocabulary, False)
    if vocabulary is None:
        sizes = arguments["min_count"], arguments["max_vocabulary"]
        vocabulary = Vocabulary.of_counts(kind, merged_counts(found), *sizes)
    replicas.establish("encode", vocabulary, ())
    return Inputs(of_tokens(replicas, found), form, vocabulary)


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


def _refuse_long_table(n: int, n_targets: int) -> None:
    """Raise a ValueError if a DataFrame of n rows, each read as a sequence, has other targets."""
    if n != n_targets:
        raise ValueError(
            f"X has {n} sequences but y has {n_targets}: each row of a DataFrame is one. If a "
            "column names the sequence of each row, give sequence=<its name>."
        )


def _values(estimator: Any, what: str, X: Any) -> Any:
    """Return the raw outputs, or states, of one partition."""
    return estimator._outputs(estimator._fitted(), X, what)[1]

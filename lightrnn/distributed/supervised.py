"""`DaskSupervisedEstimator`, the part that the estimators on dask add to the local ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..data.dataset import Data, Inputs, refuse_for_tokens
from ..data.orientation import warn_of_single_steps, warn_of_swapped_axes
from ..data.tokens import Vocabulary, kind_of_texts
from ..estimators.continuing import refuse_other_form
from ..estimators.declarations import Domain, argument
from ..estimators.estimator import Arguments
from ..estimators.model import Model
from .collections import Blocks, blocks_of, concatenated, gathered, is_block, is_collection, joined
from .long_frames import LongFrame
from .network import DistributedNetwork
from .partitions import Reading, Summary, split_pairs
from .predictions import DaskPredictions
from .replicas import Replicas
from .sequences import common_kind, merged, of_numbers, of_tokens


@dataclass(kw_only=True, repr=False, eq=False)
class DaskSupervisedEstimator(DaskPredictions):
    """Base class that stands before a local class, whose arguments and results it shares."""

    sequence: Any = argument(
        None,
        Domain("column label or None", lambda name, value: value),
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
        X_val, y_val : as X and y, or in memory, default=None
            Validation data. Partitions are gathered on the client.
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
        _check_held_out(arguments, X_val)
        before = vars(self).get("_model") if arguments["warm_start"] else None
        X = [X] if is_block(X) else X
        warn_of_swapped_axes(X)
        source = self._source(X, sequence)
        with self._replicas(arguments, before, source, y is None) as replicas:
            data = self._read(arguments, before, replicas, source, (y, sample_weight))
            if data[0].vocabulary is None:
                warn_of_single_steps(X, data[0].steps, arguments["cell"])
            super().fit(*data, *self._validation(X_val, y_val, sequence))
        self.sequence_ = source.column
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        arguments = self._checked()
        before = vars(self).get("_model")
        source: Blocks | LongFrame = X  # in partitions of sequences
        with self._replicas(arguments, before, source, y is None) as replicas:
            data = self._read(arguments, before, replicas, source, (y, sample_weight))
            super()._partial_fit(*data, classes)
        self.sequence_ = source.column
        return self

    def _validation(self, X: Any, y: Any, sequence: Any) -> tuple[Any, Any]:
        """Return validation data in memory."""
        if not is_collection(X):
            return X, self._gathered(y, "y_val")
        source = self._source(X, sequence)
        parts = [part for part in gathered(self.client_, source.blocks) if len(part)]
        if y is None:
            pairs = [split_pairs(part) for part in parts]
            parts = [x for x, _ in pairs]
            y = concatenated([targets for _, targets in pairs], "y_val")
        by_step = self._checked()["target"] == "step"
        y = source.arranged(self._gathered(y, "y_val"), "y_val", by_step)
        return joined(parts, "X_val"), y

    def _source(self, X: Any, sequence: Any) -> Blocks | LongFrame:
        """Return X in partitions of sequences; their column is by default the constructor's."""
        sequence = self.sequence if sequence is None else sequence
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

    def _read_inputs(self, arguments: Arguments, X: Any, before: Model | None) -> Inputs:
        inputs: Inputs = X  # which replicas have read
        return inputs

    def _model_for(
        self, arguments: Arguments, data: Data, before: Model | None, *, warm: bool
    ) -> Model:
        model = super()._model_for(arguments, data, before, warm=warm)
        span: Any = data.samples.items[0]
        replicas = span.replicas
        if data.vocabulary is not None:
            replicas.establish("encode", data.vocabulary, ())
        replicas.prepare(model, arguments["batch_size"])
        # A chunk begins with the states in which the one before it ended.
        carries = bool(arguments["truncate"]) and arguments["target"] == "step"
        model.network = DistributedNetwork.of(model.network, replicas, carries)
        return model


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
        return Inputs(of_numbers(replicas, summaries), form, None)
    refuse_for_tokens(arguments["patch"], arguments["missing"])
    if kind == "char" and arguments["tokens"] == "auto" and arguments["target"] == "sequence":
        if vocabulary is None:
            kind = kind_of_texts([b for part in summaries.values() for b in part.spaced])
    found = replicas.establish("count", kind, vocabulary, False)
    sequences = of_tokens(replicas, found)
    if vocabulary is not None:
        return Inputs(sequences, form, vocabulary)
    sizes = arguments["min_count"], arguments["max_vocabulary"]

    def inputs(counts: Iterable[Counter[Any]]) -> Inputs:
        learned = Vocabulary.of_counts(kind, merged(counts), *sizes)
        return Inputs(sequences, None, learned, learned_from)

    def learned_from(rows: np.ndarray) -> Inputs:
        kept = sequences.by_partition(np.isin(np.arange(len(sequences)), rows))
        return inputs(replicas.call("token_counts", kept, kind).values())

    return inputs(part.counts for part in found.values())


def _check_held_out(arguments: Arguments, X_val: Any) -> None:
    """Raise a ValueError for a score that would need held-out sequences of X on the client."""
    own = arguments["scoring"] in ("loss", "score")
    if arguments["early_stopping"] and X_val is None and not own:
        raise ValueError(
            "scoring must be 'loss' or 'score' for sequences that are held out in partitions, got "
            f"{arguments['scoring']!r}. Or pass X_val and y_val."
        )


def _refuse_long_table(n: int, n_targets: int) -> None:
    """Raise a ValueError if a DataFrame of n rows, each read as a sequence, has other targets."""
    if n != n_targets:
        raise ValueError(
            f"X has {n} sequences but y has {n_targets}: each row of a DataFrame is one. If a "
            "column names the sequence of each row, give sequence=<its name>."
        )

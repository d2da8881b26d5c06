"""`DaskRNNLanguageModel`: the next token, learned from texts in partitions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from ..data.corpus import BOUNDARY, END, Corpus
from ..data.tokens import Vocabulary
from ..estimators.documentation import documented
from ..estimators.estimator import Arguments
from ..estimators.generation import text_batches
from ..estimators.language import RNNLanguageModel
from ..estimators.model import Model
from ..losses import Loss
from ..training.prior import RELEVANT, Prior, entropy
from ..training.texts import Cursor, TextBatches
from .collections import blocks_of
from .estimator import DaskEstimator
from .network import DistributedNetwork
from .partitions import Reading
from .replicas import Replicas
from .sequences import common_kind, merged, spans_of


@dataclass(frozen=True, eq=False)
class PartitionedCorpus(Corpus):
    """Encoded texts that partitions hold.

    Attributes
    ----------
    replicas : Replicas
        They hold the partitions.
    counts : ndarray of int (V,)
        How often each code occurs.
    """

    replicas: Replicas
    counts: np.ndarray


class PartitionedTexts(TextBatches):
    """Texts that are read where they are."""

    counts: np.ndarray  # how often each code occurs

    def prior(self, loss: Loss) -> Prior:
        """Return the frequencies of the tokens as a prediction."""
        counts = self.counts.astype(np.float64)
        counts[self.boundary] += len(self.texts)
        mean = entropy(counts)
        return Prior(mean, RELEVANT * mean, "the frequencies of the tokens")

    def _piece(self, cursor: Cursor) -> tuple[Any, Any, np.ndarray]:
        start = cursor.at
        stop = min(start + self.truncate, cursor.stop)
        first = max(0, start - max(0, self.window - 1))
        sample_weight = np.ones(stop - first)
        sample_weight[: start - first] = 0  # steps that were learned from, and fill windows now
        text: Any = cursor.codes
        # A text of N tokens has N + 1 steps.
        steps = replace(text, start=first, stop=stop)
        return steps, steps, sample_weight


def _partitioned_batches(
    architecture: dict[str, Any], corpus: Corpus, batch_size: int, truncate: int, **order: Any
) -> TextBatches:
    """Return the minibatches of a corpus, in partitions or not, for a network."""
    batches = text_batches(architecture, corpus, batch_size, truncate, **order)
    if not isinstance(corpus, PartitionedCorpus):
        return batches
    sizes = batches.boundary, batch_size, truncate, batches.window
    texts = PartitionedTexts(corpus.texts, *sizes, **order)
    texts.counts = corpus.counts
    return texts


@documented
@dataclass(kw_only=True, repr=False, eq=False)
class DaskRNNLanguageModel(DaskEstimator, RNNLanguageModel):
    """Learn which token comes next [8]_, on a dask cluster.

    It is `RNNLanguageModel`, with the same arguments and results, for texts in partitions: see
    `fit`. The result depends on the partitions, the seed and the arguments, bit for bit, and never
    on the number of workers, as `DaskRNNClassifier` describes.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    client_ : distributed.Client
        The client that `fit` uses.
    tokens_ : {"char", "word", "category"}
        Meaning of a token, as `tokens` says or "auto" found out.
    vocabulary_ : ndarray of object (V,)
        Token of each output, as in `RNNLanguageModel`.
    {attributes}

    References
    ----------
    {references}
    {language_references}

    Examples
    --------
    >>> from lightrnn.distributed import DaskRNNLanguageModel
    >>> DaskRNNLanguageModel(tokens="word")
    DaskRNNLanguageModel(tokens='word')
    """

    _local = RNNLanguageModel
    _text_batches = staticmethod(_partitioned_batches)

    def fit(self, texts: Any, y: Any = None, *, texts_val: Any = None) -> Self:
        """Train on texts where they are.

        Parameters
        ----------
        texts : dask.bag of str or of token lists, or list of Delayed or Future
            Texts in partitions; blank ones, such as empty lines, are left out. Each item of a list
            is a list of texts.
        y : None, default=None
            Ignored.
        texts_val : as texts, or in memory, default=None
            Validation texts. Partitions are gathered on the client.

        Returns
        -------
        self : DaskRNNLanguageModel
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError, RuntimeError
            As `DaskRNNClassifier.fit`. The estimator is then as it was before the call.
        """
        with self._replicas(texts) as replicas:
            return super().fit(replicas, texts_val=self._gathered(texts_val, "texts_val"))

    def partial_fit(self, texts: Any, y: Any = None) -> Self:
        """Train for one epoch on texts where they are, from where the last call left off.

        Parameters
        ----------
        texts : as in `fit`
            Texts in partitions.
        y : None, default=None
            Ignored.

        Returns
        -------
        self : DaskRNNLanguageModel
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError, RuntimeError
            As `fit`, and with ``early_stopping=True``.
        """
        with self._replicas(texts) as replicas:
            return super().partial_fit(replicas)

    def _replicas(self, texts: Any) -> Replicas:
        """Return the replicas that read texts, a context."""
        arguments = self._checked()
        reading = Reading(type(self).__name__, tokens=arguments["tokens"], texts=True)
        return Replicas(self.client_, blocks_of(texts, "texts"), reading, arguments["n_jobs"])

    def _read(self, arguments: Arguments, texts: Any, before: Model | None) -> Corpus:
        """Count the tokens of all partitions, and let them encode their texts."""
        replicas: Replicas = texts
        known = None if before is None else before.vocabulary
        kind = common_kind(replicas.summaries(), "texts") if known is None else known.kind
        found = replicas.establish("count", kind, known, True)
        counts = merged(part.counts for part in found.values())
        if not counts:
            raise ValueError("texts must hold at least one text, got blank ones alone. Pass text.")
        vocabulary = known
        if vocabulary is None:
            sizes = arguments["min_count"], arguments["max_vocabulary"]
            vocabulary = Vocabulary.of_counts(kind, counts, *sizes, (END,))
        replicas.establish("encode", vocabulary, (BOUNDARY,))
        codes = np.zeros(len(vocabulary), np.int64)
        for token, count in counts.items():
            codes[vocabulary.codes.get(token, 0)] += count
        return PartitionedCorpus(
            vocabulary,
            spans_of(replicas, found, [part.lengths for part in found.values()]),
            sum(part.n_characters for part in found.values()),
            replicas=replicas,
            counts=codes,
        )

    def _model_for(
        self, arguments: Arguments, corpus: Corpus, before: Model | None, *, warm: bool
    ) -> Model:
        model = super()._model_for(arguments, corpus, before, warm=warm)
        replicas: Replicas = corpus.replicas  # type: ignore[attr-defined]
        replicas.prepare(model, arguments["batch_size"])
        model.network = DistributedNetwork.of(model.network, replicas, model.network.recurrent)
        return model

    def _mean_loss(self, texts: Any) -> tuple[float, Corpus]:
        return super()._mean_loss(self._gathered(texts, "texts"))

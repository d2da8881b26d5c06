"""The tokens and outputs of a foreign network in our order: vocabulary, targets, output layer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..data.base_targets import Targets
from ..data.corpus import END
from ..data.labels import ClassTargets, MultilabelTargets, read_labels
from ..data.targets import RealTargets
from ..data.tokens import UNKNOWN, Vocabulary
from ..utils.checks import shown
from .foreign import ForeignNetwork

_NEVER = 50.0  # exp(-50) is 2e-22


class UserLabels(NamedTuple):
    """The arguments that name a network's outputs and tokens, which its weights do not."""

    classes: Any
    vocabulary: Any
    multilabel: bool


class ConvertedHead(NamedTuple):
    """The output layer in our form."""

    targets: Targets | None  # None for a language model
    W: np.ndarray | None  # (D, k); None where it is the embedding's
    b: np.ndarray  # (k,)
    outputs: np.ndarray  # (k,): the source's output that each one is, -1 for none


# -- tokens ---------------------------------------------------------------------------------------


def read_vocabulary(
    foreign: ForeignNetwork,
    given: Any,
    tokens_argument: str,
    *,
    language: bool,
) -> tuple[Vocabulary | None, list[int]]:
    """Return the vocabulary, and for each of its codes the embedding's row, -1 for none.

    Parameters
    ----------
    foreign : ForeignNetwork
        The network; without an embedding there is no vocabulary.
    given : sequence of str or int, or None
        The user's argument `vocabulary`: the token of each row.
    tokens_argument : str
        The estimator's argument `tokens`.
    language : bool
        Whether it is for a language model, whose vocabulary has a token for the end of a text.

    Raises
    ------
    ValueError
        If tokens do not fit the rows or the argument.
    """
    if foreign.embedding is None:
        if given is not None or language or tokens_argument not in ("auto", "number"):
            raise ValueError(
                "source must have an embedding for a vocabulary or tokens, got none. "
                "The network reads numbers: leave both out."
            )
        return None, []
    tokens = _tokens(given, len(foreign.embedding), language)
    special = [UNKNOWN, END] if language else [UNKNOWN]
    # Special tokens have the first codes here, whatever their rows in the source.
    padding = tokens[0] if foreign.padded and tokens[0] not in special else None
    left_out = special if padding is None else [*special, padding]
    plain_rows = [row for row, token in enumerate(tokens) if token not in left_out]
    plain = [tokens[row] for row in plain_rows]
    special_rows = [tokens.index(token) if token in tokens else -1 for token in special]
    kind = _kind(tokens_argument, plain)
    listed = np.array(special + plain, dtype=object)
    vocabulary = Vocabulary(kind, listed, len(special), padding=padding)
    return vocabulary, special_rows + plain_rows


def _tokens(given: Any, count: int, language: bool) -> list[Any]:
    """Return the token of each row as plain values, after a check that there is one for each."""
    if given is None and not language:
        return list(range(count))
    tokens = np.asarray(given, dtype=object).tolist()
    if not isinstance(tokens, list) or len(tokens) != count or len(set(tokens)) != count:
        raise ValueError(
            f"vocabulary must list a different token for each of the embedding's {count} rows, "
            f"got {shown(given)}. Give them in the order of the rows."
        )
    return [token.item() if isinstance(token, np.generic) else token for token in tokens]


def _kind(tokens_argument: str, plain: list[Any]) -> str:
    """Return what a token is: as the argument `tokens` says, or as the vocabulary shows."""
    text = bool(plain) and all(isinstance(token, str) for token in plain)
    characters = text and all(len(token) == 1 for token in plain)
    # `type`, since True is an int too
    integers = bool(plain) and all(type(token) is int and token >= 0 for token in plain)
    fits = {
        "char": characters,
        "word": text,
        "category": text or integers,
        "auto": text or integers,
        "number": False,
    }
    if not fits[tokens_argument]:
        raise ValueError(
            f"vocabulary must hold tokens of the kind that the argument tokens={tokens_argument!r} "
            f"says, all str or all integers from 0 on, got {shown(plain)}. "
            "Use tokens='category' for one token per step."
        )
    if tokens_argument != "auto":
        return tokens_argument
    return "char" if characters else "category"


# -- outputs --------------------------------------------------------------------------------------


def classifier_head(
    foreign: ForeignNetwork,
    labels: UserLabels,
    step: bool,
) -> ConvertedHead:
    """Return the output layer of a classifier, its classes sorted.

    Raises
    ------
    ValueError
        If the arguments do not fit the outputs, or the activation of a Keras model.
    """
    W = _matrix(foreign)
    b = foreign.b
    k = len(b)
    multilabel = labels.multilabel or (foreign.activation == "sigmoid" and k > 1)
    if (multilabel or k == 1) and foreign.activation == "softmax":
        raise ValueError(
            "source must end with a sigmoid for one output or multilabel=True, got a softmax."
        )
    if multilabel:
        if labels.classes is not None or k == 1:
            raise ValueError(
                f"multilabel must be False with classes or a single output, got True and {k} "
                "outputs. The labels of a multilabel classifier are numbered."
            )
        return ConvertedHead(MultilabelTargets(k, step), W, b, np.arange(k))
    if k == 1:  # softmax([0, z]) is sigmoid(z)
        W = np.hstack([0 * W, W])
        b = np.append(0.0, b)
    classes, outputs = _classes(labels.classes, len(b))
    return ConvertedHead(ClassTargets(classes, step), W[:, outputs], b[outputs], outputs)


def _classes(given: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes sorted, and for each of them its output."""
    if given is None:
        return np.arange(count), np.arange(count)
    if np.ndim(given) != 1 or len(given) != count:
        raise ValueError(
            f"classes must name each of the {count} outputs, got {shown(given)}. "
            "Give one label per output."
        )
    lengths = np.ones(count, np.int64)  # the labels are read as those of `count` sequences
    targets, codes = read_labels(given, lengths, name="classes")
    if len(targets.classes_) != count:
        raise ValueError(
            f"classes must all be different, got {shown(given)}. Give one label per output."
        )
    return targets.classes_, np.argsort(codes)


def regressor_head(
    foreign: ForeignNetwork,
    labels: UserLabels,
    step: bool,
    dtype: str,
    quantiles: tuple[float, ...] | None = None,
) -> ConvertedHead:
    """Return the output layer of a regressor, whose targets are not standardised.

    Raises
    ------
    ValueError
        If there are classes, if outputs are not whole columns of several quantiles, or a Keras
        model has an activation at its end.
    """
    _refuse_labels(labels, "RNNRegressor")
    if foreign.activation not in (None, "linear"):
        raise ValueError(
            "source must end without an activation for RNNRegressor, "
            f"got {foreign.activation}. A regressor's outputs are linear."
        )
    b = foreign.b
    q = len(quantiles or (0.5,))
    columns = len(b) // q
    if columns * q != len(b):
        raise ValueError(
            f"quantile must name each of the source's {len(b)} outputs of a column, got "
            f"{quantiles}. Give as many quantiles."
        )
    targets = RealTargets(
        np.zeros(columns), np.ones(columns), step, dtype, dtype, quantiles=quantiles
    )
    return ConvertedHead(targets, foreign.W, b, np.arange(len(b)))


def language_head(
    foreign: ForeignNetwork,
    labels: UserLabels,
    rows: list[int],
    *,
    tied: bool,
) -> ConvertedHead:
    """Return the output layer of a language model, one output per token in the vocabulary's order.

    Raises
    ------
    ValueError
        If there is not one output per token, or weights are to be tied although the source has two
        matrices.
    """
    _refuse_labels(labels, "RNNLanguageModel")
    table: Any = foreign.embedding
    sigmoid = foreign.activation == "sigmoid"
    if sigmoid or len(foreign.b) != len(table):
        given = f"{len(foreign.b)} outputs{' with a sigmoid' if sigmoid else ''}"
        raise ValueError(
            f"source must end with a softmax over the embedding's {len(table)} tokens to be an "
            f"RNNLanguageModel, got {given}. Use RNNClassifier."
        )
    outputs = np.array(rows)
    # Row -1 is that of a token which the source does not have, and so never predicts.
    b = np.append(foreign.b, foreign.b.min() - _NEVER)[rows]
    if not tied:
        W = _matrix(foreign)
        return ConvertedHead(None, np.pad(W, ((0, 0), (0, 1)))[:, rows], b, outputs)
    if foreign.W is not None and not np.array_equal(foreign.W, table.T):
        raise ValueError(
            "tie_weights must be False where the output layer's matrix is not the embedding's, "
            "got True. The source has two matrices."
        )
    return ConvertedHead(None, None, b, outputs)


def _matrix(foreign: ForeignNetwork) -> np.ndarray:
    """Return the output layer's matrix, which is there unless weights are tied."""
    assert foreign.W is not None
    return foreign.W


def _refuse_labels(labels: UserLabels, name: str) -> None:
    """Refuse the arguments that only a classifier has."""
    if labels.classes is not None or labels.multilabel:
        raise ValueError(
            f"classes and multilabel must be left out for {name}, got one of them. "
            "Use RNNClassifier."
        )

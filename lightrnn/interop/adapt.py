"""What a foreign network's tokens and outputs stand for: its embedding's rows and its output layer in our order."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..data.corpus import END
from ..data.labels import ClassTargets, MultilabelTargets, class_targets
from ..data.targets import RealTargets, Targets
from ..data.tokens import UNKNOWN, Vocabulary
from ..utils.checks import shown
from .foreign import ForeignNetwork


class Meaning(NamedTuple):
    """What outputs and tokens stand for, as the user says."""

    classes: Any
    vocabulary: Any
    multilabel: bool


class ConvertedHead(NamedTuple):
    """The output layer in its final form, and what it means; no W where it is the embedding's."""

    targets: Targets | None
    W: np.ndarray | None
    b: np.ndarray


# -- tokens -----------------------------------------------------------------------------------------------------------


def read_vocabulary(
    found: ForeignNetwork, given: Any, tokens_argument: str, *, language: bool
) -> tuple[Vocabulary | None, list[int]]:
    """Return the vocabulary, and for each of its codes the source's row, -1 for none.

    Parameters
    ----------
    found : ForeignNetwork
        The network; without an embedding there is no vocabulary.
    given : sequence of str or int, or None
        The token of each row, as the user says.
    tokens_argument : str
        The estimator's argument `tokens`.
    language : bool
        Whether it is for a language model, whose vocabulary has a token for a text's end.

    Raises
    ------
    ValueError
        If tokens do not fit the rows or the argument.
    """
    if found.embedding is None:
        if given is not None or language or tokens_argument not in ("auto", "number"):
            raise ValueError(
                "source must have an embedding for a vocabulary or tokens, got none. It takes numbers: leave both out."
            )
        return None, []
    tokens = _tokens(given, len(found.embedding), language)
    special = [UNKNOWN, END] if language else [UNKNOWN]
    if language and not set(special) <= set(tokens):
        raise ValueError(
            f"vocabulary must hold {UNKNOWN!r} and {END!r} for a language model, got {shown(tokens)}. Write them in "
            "the place of the tokens that stand for unknown ones and for a text's end."
        )
    plain = [row for row, token in enumerate(tokens) if token not in special]
    kind = _kind(tokens_argument, [tokens[row] for row in plain])
    rows = [tokens.index(token) if token in tokens else -1 for token in special] + plain
    array = np.empty(len(rows), dtype=object)
    array[:] = special + [tokens[row] for row in plain]
    return Vocabulary(kind, array, len(special)), rows


def _tokens(given: Any, count: int, language: bool) -> list[Any]:
    """Check that a vocabulary has one token for each row; return plain values."""
    if given is None and not language:
        return list(range(count))
    tokens = np.asarray(given, dtype=object).tolist()
    if not isinstance(tokens, list) or len(tokens) != count or len(set(tokens)) != count:
        raise ValueError(
            f"vocabulary must list a different token for each of the embedding's {count} rows, got {shown(given)}. "
            "Give them in the order of the rows."
        )
    return [token.item() if isinstance(token, np.generic) else token for token in tokens]


def _kind(tokens: str, plain: list[Any]) -> str:
    """Return what a token is: what the argument `tokens` says, or what the vocabulary looks like."""
    text = bool(plain) and all(isinstance(token, str) for token in plain)
    short = text and all(len(token) == 1 for token in plain)
    whole = bool(plain) and all(type(token) is int and token >= 0 for token in plain)
    fits = {
        "char": short,
        "word": text,
        "category": text or whole,
        "auto": text or whole,
        "number": False,
    }
    if not fits[tokens]:
        raise ValueError(
            f"vocabulary must hold tokens of the kind that the argument tokens={tokens!r} says, all str or all "
            f"integers from 0 on, got {shown(plain)}. Use tokens='category' for one token a step."
        )
    return tokens if tokens != "auto" else "char" if short else "category"


# -- outputs ----------------------------------------------------------------------------------------------------------


def classifier_head(
    found: ForeignNetwork, meaning: Meaning, step: bool, dtype: str
) -> ConvertedHead:
    """Return the output layer of a classifier, its classes sorted; a single logit becomes two outputs.

    Raises
    ------
    ValueError
        If what the user says does not fit the outputs, or the activation of a Keras model.
    """
    W, b = _matrix(found), found.b
    multilabel = meaning.multilabel or (found.link == "sigmoid" and len(b) > 1)
    if (multilabel or len(b) == 1) and found.link == "softmax":
        raise ValueError(
            "source must end with a sigmoid for one output or multilabel=True, got a softmax. Check both."
        )
    if multilabel:
        if meaning.classes is not None or len(b) == 1:
            raise ValueError(
                f"multilabel must be False with classes or a single output, got True and {len(b)} outputs. "
                "Labels of a multilabel classifier are numbered."
            )
        return ConvertedHead(MultilabelTargets(len(b), step), W, b)
    if len(b) == 1:
        W, b = np.hstack([0 * W, W]), np.append(0.0, b)
    classes, codes = _classes(meaning.classes, len(b))
    return ConvertedHead(ClassTargets(classes, step), W[:, codes], b[codes])


def _classes(given: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes sorted, and for each of them its output."""
    if given is None:
        return np.arange(count), np.arange(count)
    if np.ndim(given) != 1 or len(given) != count:
        raise ValueError(
            f"classes must name each of the {count} outputs, got {shown(given)}. Give one label an output."
        )
    lengths = np.ones(count, np.int64)
    targets: Any = class_targets(given, lengths, name="classes")
    if len(targets.classes_) != count:
        raise ValueError(
            f"classes must all be different, got {shown(given)}. Give one label an output."
        )
    return targets.classes_, np.argsort(targets.encode(given, lengths))


def regressor_head(
    found: ForeignNetwork, meaning: Meaning, step: bool, dtype: str
) -> ConvertedHead:
    """Return the output layer of a regressor, whose targets are not standardised.

    Raises
    ------
    ValueError
        If there are classes, or a Keras model has an activation at its end.
    """
    _refuse_labels(meaning, "RNNRegressor")
    if found.link not in (None, "linear"):
        raise ValueError(
            f"source must end without an activation for RNNRegressor, got {found.link}. It is linear."
        )
    k = len(found.b)
    return ConvertedHead(RealTargets(np.zeros(k), np.ones(k), step, dtype, dtype), found.W, found.b)


def language_head(
    found: ForeignNetwork, meaning: Meaning, rows: list[int], *, tied: bool
) -> ConvertedHead:
    """Return the output layer of a language model, an output for each token in the vocabulary's order.

    Raises
    ------
    ValueError
        If there is not an output for every token, or it shall share the embedding's matrix and does not.
    """
    _refuse_labels(meaning, "RNNLanguageModel")
    table: Any = found.embedding
    if found.link == "sigmoid" or len(found.b) != len(table):
        raise ValueError(
            f"source must end with a softmax over the embedding's {len(table)} tokens to be an RNNLanguageModel, got "
            f"{len(found.b)} outputs{' with a sigmoid' * (found.link == 'sigmoid')}. Use RNNClassifier."
        )
    if not tied:
        return ConvertedHead(None, _matrix(found)[:, rows], found.b[rows])
    if found.W is not None and not np.array_equal(found.W, table.T):
        raise ValueError(
            "tie_weights must be False where the output layer's matrix is not the embedding's, got True. The source "
            "has two matrices."
        )
    return ConvertedHead(None, None, found.b[rows])


def _matrix(found: ForeignNetwork) -> np.ndarray:
    """Return the output layer's matrix, which is there unless weights are tied."""
    assert found.W is not None
    return found.W


def _refuse_labels(meaning: Meaning, name: str) -> None:
    """Refuse what only a classifier has."""
    if meaning.classes is not None or meaning.multilabel:
        raise ValueError(
            f"classes and multilabel must be left out for {name}, got one of them. Use RNNClassifier."
        )

"""Texts to model: checked, their vocabulary learned, and encoded; corpora that do not fit in memory on disk."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..utils.checks import shown
from .tokens import Item, Vocabulary, as_items, kind_of, split

END = "<end>"
BOUNDARY = 1  # code of the start and the end of a text
_BLOCK = 1 << 20


@dataclass(frozen=True, eq=False)
class Corpus:
    """Encoded texts.

    Attributes
    ----------
    vocabulary : Vocabulary
        What the codes mean; code 1 is the boundary of a text.
    texts : sequence of ndarray of int (N_i,)
        Codes, in the smallest type that holds them, or of a file.
    n_characters : int
        Characters of all texts; 0 for categories.
    """

    vocabulary: Vocabulary
    texts: Sequence[np.ndarray]
    n_characters: int


def read_corpus(
    texts: Any,
    tokens: str = "auto",
    min_count: int = 1,
    max_vocabulary: int | None = None,
    vocabulary: Vocabulary | None = None,
    name: str = "texts",
) -> Corpus:
    """Check texts, learn their vocabulary unless it is given, and encode them.

    Parameters
    ----------
    texts : str, list of str or of token lists, or iterable of either
        One long text, or many. What is neither a list nor an array is read once, one text at a time, and its codes are
        kept in a temporary file.
    tokens, min_count, max_vocabulary : str, int, int or None
        See `lightrnn.RNNLanguageModel`.
    vocabulary : Vocabulary, optional
        That of an earlier call.
    name : str
        What messages call the texts.

    Raises
    ------
    TypeError, ValueError
        If there is no text or no token, or they are of different kinds.

    Examples
    --------
    >>> corpus = read_corpus("abba")
    >>> corpus.vocabulary.tokens.tolist(), corpus.texts[0].tolist()
    (['<unknown>', '<end>', 'a', 'b'], [2, 3, 3, 2])
    """
    if isinstance(texts, str):
        texts = [texts]
    if (
        not isinstance(texts, (list, tuple, bytes))
        and not hasattr(texts, "__array__")
        and hasattr(texts, "__iter__")
    ):
        return _spooled(iter(texts), tokens, min_count, max_vocabulary, vocabulary, name)
    kind = _kind(texts, tokens, vocabulary)
    items = as_items(texts, kind, name)
    if vocabulary is None:
        vocabulary = _of_two(Vocabulary.learn(kind, items, min_count, max_vocabulary, (END,)), name)
    dtype = np.min_scalar_type(len(vocabulary) - 1)
    codes = [vocabulary.encode(item).astype(dtype) for item in items]
    return Corpus(vocabulary, codes, sum(map(_characters, items)))


def _of_two(vocabulary: Vocabulary, name: str) -> Vocabulary:
    """Refuse a vocabulary that leaves nothing to predict."""
    if len(vocabulary) < BOUNDARY + 3:
        raise ValueError(
            f"{name} must hold at least two different tokens, got 1: {vocabulary.tokens[-1]!r}. Give more text, or "
            "lower min_count."
        )
    return vocabulary


def _kind(texts: Any, tokens: str, vocabulary: Vocabulary | None) -> str:
    """Return what a token is; a language model takes no numbers, so integers are categories."""
    kind = kind_of(texts, tokens) if vocabulary is None else vocabulary.kind
    return "category" if kind == "number" else kind


def _characters(item: Item) -> int:
    return len(item) if isinstance(item, str) else 0


def _spooled(
    texts: Iterator[Any],
    tokens: str,
    min_count: int,
    max_vocabulary: int | None,
    vocabulary: Vocabulary | None,
    name: str,
) -> Corpus:
    """Read an iterator once: numbers go to a file as they come, and become codes when all are known."""
    first = next(texts, None)
    if first is None:
        raise ValueError(
            f"{name} must hold at least one text, got an iterator without any. Was it used up before?"
        )
    kind = _kind([first], tokens, vocabulary)
    counts: Counter[Any] = Counter()
    numbers: dict[Any, int] = {}
    lengths, characters = [], 0
    with tempfile.TemporaryFile() as file:
        for i, text in enumerate(_after(first, texts)):
            (item,) = _checked(text, kind, name, i)
            found = split(item, kind)
            counts.update(found)
            codes = np.fromiter(
                (numbers.setdefault(token, len(numbers)) for token in found), np.uint32, len(found)
            )
            file.write(codes.tobytes())
            lengths.append(len(codes))
            characters += _characters(item)
        file.flush()
        everything = np.memmap(file, np.uint32, "r+")
    if vocabulary is None:
        vocabulary = _of_two(
            Vocabulary.of_counts(kind, counts, min_count, max_vocabulary, (END,)), name
        )
    table = np.array([vocabulary.codes.get(token, 0) for token in numbers], np.uint32)
    for start in range(0, len(everything), _BLOCK):
        everything[start : start + _BLOCK] = table[everything[start : start + _BLOCK]]
    return Corpus(vocabulary, np.split(everything, np.cumsum(lengths)[:-1]), characters)


def _after(first: Any, rest: Iterable[Any]) -> Iterator[Any]:
    """Put back what was looked at."""
    yield first
    yield from rest


def _checked(text: Any, kind: str, name: str, number: int) -> list[Item]:
    """Check one text of an iterator, by its number."""
    try:
        return as_items([text], kind, name)
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace(f"{name}[0]", f"{name}[{number}]")) from None


def check_context(context: Any, vocabulary: Vocabulary, name: str = "context") -> np.ndarray:
    """Encode what precedes a token: the boundary, then a text or a list of tokens, which may be empty."""
    empty = isinstance(context, (str, list, tuple, np.ndarray)) and len(context) == 0
    if not empty and vocabulary.kind == "category" and isinstance(context, str):
        raise TypeError(
            f"{name} must be a list of tokens, got {shown(context)}. Put a single one into a list."
        )
    item = [] if empty else as_items([context], vocabulary.kind, name)[0]
    return np.concatenate([[BOUNDARY], vocabulary.encode(item)])


def joiner(kind: str) -> Callable[[list[Any]], Any]:
    """Return what puts tokens together to a text: characters side by side, words with blanks, categories as a list."""
    ways: dict[str, Callable[[list[Any]], Any]] = {
        "char": "".join,
        "word": _sentence,
        "category": list,
    }
    return ways[kind]


def _sentence(tokens: list[str]) -> str:
    """Put blanks between words, none before a closing mark or after an opening one."""
    text, glue = "", ""
    for token in tokens:
        text += (glue if token not in ".,;:!?)]}%\u2019'" else "") + token
        glue = "" if token in "([{" else " "
    return text

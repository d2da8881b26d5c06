"""Read the texts of a language model: check them, learn their vocabulary and encode them.

A list of texts is held in memory; an iterator is read once and its codes are kept in a temporary
file, so that a corpus may be larger than memory.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from ..utils.checks import shown
from .tokens import Item, Vocabulary, as_items, is_blank, kind_of, split

END = "<end>"
BOUNDARY = 1  # code of END, which marks the start of a text as well as its end
_BLOCK = 1 << 20  # codes of a file that are translated at a time: 4 MB of memory
# Marks that follow a word, or precede one, without a blank.
_CLOSING = ".,;:!?)]}%\u2019'"
_OPENING = "([{"
_FILES = (".txt", ".text", ".csv", ".tsv", ".md", ".json", ".jsonl", ".html", ".xml", ".gz", ".zip")


@dataclass(frozen=True, eq=False)
class Corpus:
    """Encoded texts.

    Attributes
    ----------
    vocabulary : Vocabulary
        Tokens of the codes; code 1 is the boundary of a text.
    texts : sequence of ndarray of int (N_i,)
        Codes, in the smallest type that holds them, or uint32 in a file.
    n_characters : int
        Number of characters in all texts; 0 for categories.
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
        One long text, or many; blank ones, such as empty lines of a file, are left out. An iterable
        that is neither a list nor an array is read once, one text at a time, and its codes are kept
        in a temporary file.
    tokens : str, default="auto"
        Kind of the tokens; see `lightrnn.RNNLanguageModel`.
    min_count : int, default=1
        Tokens that occur less often are left out of the vocabulary.
    max_vocabulary : int or None, default=None
        Maximum number of tokens in the vocabulary.
    vocabulary : Vocabulary or None, default=None
        Vocabulary of an earlier call; None learns one.
    name : str, default="texts"
        Name of the texts in messages.

    Returns
    -------
    Corpus

    Raises
    ------
    TypeError, ValueError
        If there is no text or no token, the texts are of different kinds, or the name of a file, a
        mapping or a set stands for them.

    Examples
    --------
    >>> corpus = read_corpus("abba")
    >>> corpus.vocabulary.tokens.tolist(), corpus.texts[0].tolist()
    (['<unknown>', '<end>', 'a', 'b'], [2, 3, 3, 2])
    """
    _refuse_what_names_texts(texts, name)
    if isinstance(texts, str):
        texts = [texts]
    in_memory = isinstance(texts, (list, tuple, bytes)) or hasattr(texts, "__array__")
    if not in_memory and hasattr(texts, "__iter__"):
        return _spooled(iter(texts), tokens, min_count, max_vocabulary, vocabulary, name)
    kind = _kind(texts, tokens, vocabulary)
    items = as_items(texts, kind, name, skip_blank=True)
    if vocabulary is None:
        vocabulary = Vocabulary.learn(kind, items, min_count, max_vocabulary, (END,))
        _require_two_tokens(vocabulary, name)
    # One byte per token for the characters of most languages.
    dtype = np.min_scalar_type(len(vocabulary) - 1)
    codes = [vocabulary.encode(item).astype(dtype) for item in items]
    return Corpus(vocabulary, codes, sum(map(_characters, items)))


def _refuse_what_names_texts(texts: Any, name: str) -> None:
    """Raise an error for the name of a file, a mapping or a set, which would be read as texts."""
    if isinstance(texts, Mapping):
        raise TypeError(
            f"{name} must hold text, got a {type(texts).__name__}, whose keys would be read. "
            f"Give its values: list({name}.values())."
        )
    if isinstance(texts, (set, frozenset)):
        raise TypeError(
            f"{name} must be in an order, so that a random_state gives the same result every "
            f"time, got a {type(texts).__name__}. Sort it: sorted({name})."
        )
    listed = texts if isinstance(texts, (list, tuple)) and texts else [texts]
    if all(map(_is_path, listed)):
        raise ValueError(
            f"{name} must hold text, got the name of a file: {shown(listed[0])}. Give its lines: "
            f"open({os.fspath(listed[0])!r}, encoding='utf-8'); or the whole text: .read() of that."
        )


def _is_path(text: Any) -> bool:
    """Whether a text is the name of a file: it exists, or ends as names of files of text do."""
    if isinstance(text, os.PathLike):
        return True
    if not isinstance(text, str) or len(text.split()) != 1:
        return False
    return text.lower().endswith(_FILES) or os.path.isfile(text)


def _require_two_tokens(vocabulary: Vocabulary, name: str) -> None:
    """Refuse a vocabulary of one token, which leaves nothing to predict."""
    if len(vocabulary) < BOUNDARY + 3:
        raise ValueError(
            f"{name} must hold at least two different tokens, got 1: {vocabulary.tokens[-1]!r}. "
            "Give more text, or lower min_count."
        )


def _kind(texts: Any, tokens: str, vocabulary: Vocabulary | None) -> str:
    """Return the kind of the tokens; integers are categories, since no number can be predicted."""
    kind = kind_of(texts, tokens) if vocabulary is None else vocabulary.kind
    return "category" if kind == "number" else kind


def _characters(item: Item) -> int:
    """Return the number of characters of a text, 0 for categories."""
    return len(item) if isinstance(item, str) else 0


def _spooled(
    texts: Iterator[Any],
    tokens: str,
    min_count: int,
    max_vocabulary: int | None,
    vocabulary: Vocabulary | None,
    name: str,
) -> Corpus:
    """Read an iterator once, keeping its codes in a file.

    The vocabulary orders tokens by frequency and so is known only after the last text. Until then
    each token is numbered as it first occurs; these numbers are replaced by the codes at the end.
    """
    first = next(texts, None)
    if first is None:
        raise ValueError(
            f"{name} must hold at least one text, got an iterator without any. "
            "Was it used up before?"
        )
    kind = _kind([first], tokens, vocabulary)
    split_item = partial(split, kind=kind) if vocabulary is None else vocabulary.split
    counts: Counter[Any] = Counter()
    numbers: dict[Any, int] = {}
    lengths = []
    n_characters = 0
    with tempfile.TemporaryFile() as file:
        for i, text in enumerate(chain([first], texts)):
            if is_blank(text, kind):
                continue
            (item,) = as_items([text], kind, name, first=i)
            found = split_item(item)
            counts.update(found)
            numbered = (numbers.setdefault(token, len(numbers)) for token in found)
            file.write(np.fromiter(numbered, np.uint32, len(found)).tobytes())
            lengths.append(len(found))
            n_characters += _characters(item)
        if not lengths:
            as_items([first], kind, name)  # which names it
        file.flush()
        # The map stays valid when the file is closed; the space on disk is freed with the map.
        codes = np.memmap(file, np.uint32, "r+")
    if vocabulary is None:
        vocabulary = Vocabulary.of_counts(kind, counts, min_count, max_vocabulary, (END,))
        _require_two_tokens(vocabulary, name)
    # The code of the token with each number; rare tokens have none, and become 0.
    table = np.array([vocabulary.codes.get(token, 0) for token in numbers], np.uint32)
    for start in range(0, len(codes), _BLOCK):
        block = codes[start : start + _BLOCK]
        block[:] = table[block]
    return Corpus(vocabulary, np.split(codes, np.cumsum(lengths)[:-1]), n_characters)


def check_context(
    context: Any,
    vocabulary: Vocabulary,
    name: str = "context",
) -> np.ndarray:
    """Encode the boundary and the text or token list after it, which may be empty."""
    # An empty context is allowed, though an empty text is not.
    item: Item = []
    if not isinstance(context, (str, list, tuple, np.ndarray)) or len(context):
        if vocabulary.kind == "category" and isinstance(context, str):
            raise TypeError(
                f"{name} must be a list of tokens, got {shown(context)}. "
                "Put a single one into a list."
            )
        (item,) = as_items([context], vocabulary.kind, name)
    return np.concatenate([[BOUNDARY], vocabulary.encode(item)])


def joiner(kind: str) -> Callable[[list[Any]], Any]:
    """Return the function that joins tokens to a text; it leaves categories in a list."""
    if kind == "category":
        return list
    return _sentence if kind == "word" else "".join


def _sentence(tokens: list[str]) -> str:
    """Join words with blanks, none before a closing mark or after an opening one."""
    text = ""
    blank = ""
    for token in tokens:
        text += token if token in _CLOSING else blank + token
        blank = "" if token in _OPENING else " "
    return text

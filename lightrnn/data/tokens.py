"""Tokens: text and categories as codes, one a step, and the vocabulary that says which code stands for what.

A plain `str` is a sequence of characters ("char") or of words and punctuation ("word"); a list of `str` or of integers
is a sequence of categories, one a step ("category"). `kind_of` tells which of these X is, `Vocabulary.learn` orders the
tokens, `encoded` turns X into codes. Code 0 stands for every token that the vocabulary does not have.
"""

import numbers
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from ..utils.checks import shown
from .sequences import Sequences

UNKNOWN = "<unknown>"
KINDS = ("char", "word", "category")
_WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")
Item = str | list[Any]


def words(text: str) -> list[str]:
    """Split a text into words and punctuation marks; white space only separates.

    Examples
    --------
    >>> words("Don't panic, Alice!")
    ["Don't", 'panic', ',', 'Alice', '!']
    """
    return _WORD.findall(text)


def kind_of(X: Any, tokens: str) -> str:
    """Return "number", "char", "word" or "category": what the argument `tokens` says, or what X looks like for "auto".

    Examples
    --------
    >>> kind_of(["a text"], "auto"), kind_of([["red", "blue"]], "auto"), kind_of([[1, 2]], "auto")
    ('char', 'category', 'number')
    """
    if tokens != "auto":
        return tokens
    first = _first(X)
    if isinstance(X, str) or isinstance(first, str):
        return "char"
    return "category" if isinstance(_first(first), str) else "number"


def _first(values: Any) -> Any:
    """Return the first item of a container, or None."""
    if isinstance(values, str):
        return None
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    if isinstance(values, np.ndarray):
        return values[0] if values.ndim and len(values) and values.dtype.kind in "UTO" else None
    return values[0] if isinstance(values, (list, tuple)) and values else None


def as_items(X: Any, kind: str, name: str = "X") -> list[Item]:
    """Check tokens and return one text, or list of categories, a sequence.

    Raises
    ------
    TypeError
        If X is no list or array of such, or mixes text and integers.
    ValueError
        If it is empty or a sequence has no token.
    """
    if isinstance(X, (str, bytes)) or not (isinstance(X, (list, tuple)) or hasattr(X, "__array__")):
        raise TypeError(
            f"{name} must be a list of sequences of tokens, got {shown(X)}. Put a single one into a list: [{name}]."
        )
    if not isinstance(X, (list, tuple)):
        X = np.asarray(X.to_numpy() if hasattr(X, "to_numpy") else X, dtype=object).tolist()
    if not isinstance(X, (list, tuple)) or not len(X):
        raise ValueError(f"{name} must hold at least one sequence, got {shown(X)}. Pass some data.")
    check = _categories if kind == "category" else _text
    items = [check(item, kind, f"{name}[{i}]") for i, item in enumerate(X)]
    families = {type(item[0]) for item in items}
    if len(families) > 1:
        raise TypeError(f"{name} must hold text or integers alone, got both. Convert one of them.")
    return items


def _text(item: Any, kind: str, where: str) -> str:
    """Check one text."""
    if not isinstance(item, str):
        raise TypeError(
            f"{where} must be text with tokens={kind!r}, got {shown(item)}. Join its tokens, or use another."
        )
    if not item or (kind == "word" and _WORD.search(item) is None):
        raise ValueError(
            f"{where} must have at least one {kind}, got {shown(item)}. Leave empty sequences out."
        )
    return str(item)


def _categories(item: Any, kind: str, where: str) -> list[Any]:
    """Check one sequence of categories; return them as plain str or int."""
    array = item if isinstance(item, np.ndarray) else None
    if hasattr(item, "to_numpy"):
        array = item.to_numpy()
    if array is not None:
        item = array.tolist() if array.ndim == 1 else None
    if not isinstance(item, (list, tuple)):
        raise TypeError(
            f"{where} must be a list of str or integers, one a step, got {shown(item)}. Give one a sequence."
        )
    if not item:
        raise ValueError(f"{where} must have at least one step, got 0. Leave empty sequences out.")
    if all(isinstance(token, str) for token in item):
        return [str(token) for token in item]
    for t, token in enumerate(item):
        if isinstance(token, (bool, np.bool_)) or not isinstance(token, numbers.Integral):
            raise TypeError(
                f"{where} must hold categories, all str or all integers, got {shown(token)} at step {t}. "
                "Use tokens='number' for numbers."
            )
        if token < 0:
            raise ValueError(
                f"{where} must hold integers of at least 0, got {token} at step {t}. Number the categories from 0 on."
            )
    return [int(token) for token in item]


def split(item: Item, kind: str) -> Sequence[Any]:
    """Return the tokens of one item: a text's characters, its words, or the categories as they are."""
    return words(item) if kind == "word" and isinstance(item, str) else item


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Which code stands for which token.

    Attributes
    ----------
    kind : {"char", "word", "category"}
        What a token is.
    tokens : ndarray of object (V,)
        The token of each code; that of code 0 is "<unknown>".
    n_special : int
        So many codes, the first ones, stand for no token of the data.

    Examples
    --------
    >>> vocabulary = Vocabulary.learn("word", ["to be or not to be"])
    >>> vocabulary.tokens.tolist()
    ['<unknown>', 'be', 'to', 'not', 'or']
    >>> vocabulary.encode("to see").tolist()
    [2, 0]
    """

    kind: str
    tokens: np.ndarray
    n_special: int = 1

    @classmethod
    def learn(
        cls,
        kind: str,
        items: Iterable[Item],
        min_count: int = 1,
        max_vocabulary: int | None = None,
        special: Sequence[str] = (),
    ) -> Self:
        """Learn from items: the most frequent token first, equally frequent ones in their own order.

        Parameters
        ----------
        kind : str
            What a token is.
        items : iterable of str or list
            What `as_items` returned.
        min_count : int
            Rarer tokens are left out.
        max_vocabulary : int or None
            At most so many tokens, the most frequent ones.
        special : sequence of str
            Names for codes from 1 on that no token of the data has.
        """
        counts: Counter[Any] = Counter()
        for item in items:
            counts.update(split(item, kind))
        return cls.of_counts(kind, counts, min_count, max_vocabulary, special)

    @classmethod
    def of_counts(
        cls,
        kind: str,
        counts: Counter[Any],
        min_count: int,
        max_vocabulary: int | None,
        special: Sequence[str] = (),
    ) -> Self:
        """Learn from how often each token occurs; see `learn`."""
        kept = sorted(
            (token for token, count in counts.items() if count >= min_count),
            key=lambda t: (-counts[t], t),
        )
        if not kept:
            raise ValueError(
                f"min_count must leave at least one token, got {min_count} where the most frequent occurs "
                f"{max(counts.values(), default=0)} times. Lower it."
            )
        tokens = [UNKNOWN, *special, *kept[:max_vocabulary]]
        array = np.empty(len(tokens), dtype=object)
        array[:] = tokens
        return cls(kind, array, 1 + len(special))

    def __len__(self) -> int:
        """Return the number of codes."""
        return len(self.tokens)

    @cached_property
    def codes(self) -> dict[Any, int]:
        """The code of each token of the data."""
        return {
            token: code for code, token in enumerate(self.tokens.tolist()) if code >= self.n_special
        }

    def encode(self, item: Item) -> np.ndarray:
        """Return the codes of one item, int64 (T,); 0 for what is not in the vocabulary."""
        tokens = split(item, self.kind)
        return np.fromiter(map(self.codes.get, tokens, _zeros()), np.int64, len(tokens))


def _zeros() -> Iterable[int]:
    """Yield zeros without end: what `dict.get` returns for an unknown token."""
    while True:
        yield 0


def encoded(items: Iterable[Item], vocabulary: Vocabulary) -> Sequences:
    """Encode what `as_items` returned: sequences of codes (T_i,)."""
    codes = [vocabulary.encode(item) for item in items]
    return Sequences(codes, np.array([len(c) for c in codes], np.int64), 1)

"""Tokens and their codes: text or categories, and the vocabulary that maps them to integers.

A plain `str` is a sequence of characters ("char") or of words and punctuation ("word"); a list of
`str` or of integers is a sequence of categories, one per step ("category"). `kind_of` decides which
of these X is, `Vocabulary.learn` orders the tokens, `encoded` turns X into codes. Code 0 stands for
every token that is not in the vocabulary.
"""

import numbers
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, repeat
from typing import Any, Self

import numpy as np

from ..utils.checks import shown
from .sequences import Sequences

UNKNOWN = "<unknown>"
KINDS = ("char", "word", "category")
# A word keeps its apostrophes, straight or curly ("don't"); any other mark is a token of its own.
_WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")
Item = str | list[Any]  # one sequence: a text, or a list of categories


def words(text: str) -> list[str]:
    """Split a text into words and punctuation marks; white space separates and is dropped.

    Examples
    --------
    >>> words("Don't panic, Alice!")
    ["Don't", 'panic', ',', 'Alice', '!']
    """
    return _WORD.findall(text)


def kind_of(X: Any, tokens: str) -> str:
    """Return `tokens`, or for "auto" the kind that X looks like: "number", "char" or "category".

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
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    if isinstance(values, np.ndarray):
        # Only an array of text or objects may hold tokens that are not numbers.
        return values[0] if values.ndim and len(values) and values.dtype.kind in "UTO" else None
    return values[0] if isinstance(values, (list, tuple)) and values else None


def as_items(X: Any, kind: str, name: str = "X", first: int = 0) -> list[Item]:
    """Return X as a list with one text, or one list of categories, per sequence.

    Messages number the sequences from `first` on.

    Raises
    ------
    TypeError
        If X is no list or array of texts or lists, or mixes text and integers.
    ValueError
        If it is empty or a sequence has no token.
    """
    if not isinstance(X, (list, tuple)):
        if isinstance(X, (str, bytes)) or not hasattr(X, "__array__"):
            raise TypeError(
                f"{name} must be a list of sequences of tokens, got {shown(X)}. "
                f"Put a single one into a list: [{name}]."
            )
        # An array or DataFrame: each row is a sequence.
        X = np.asarray(X, dtype=object).tolist()
    if not isinstance(X, (list, tuple)) or not X:
        raise ValueError(f"{name} must hold at least one sequence, got {shown(X)}. Pass some data.")
    check = _categories if kind == "category" else _text
    items = [check(item, kind, f"{name}[{i}]") for i, item in enumerate(X, first)]
    # A vocabulary is sorted, which takes tokens of one type.
    if len({type(item[0]) for item in items}) > 1:
        raise TypeError(f"{name} must hold text or integers alone, got both. Convert one of them.")
    return items


def _text(item: Any, kind: str, where: str) -> str:
    """Return one text of X as a plain str."""
    if not isinstance(item, str):
        raise TypeError(
            f"{where} must be text with tokens={kind!r}, got {shown(item)}. "
            "Join its tokens to one str, or use tokens='category'."
        )
    if not item or (kind == "word" and _WORD.search(item) is None):
        raise ValueError(
            f"{where} must have at least one {kind}, got {shown(item)}. Leave empty sequences out."
        )
    return str(item)


def _categories(item: Any, kind: str, where: str) -> list[Any]:
    """Return one sequence of categories as a list of plain str or int."""
    tokens = item.to_numpy() if hasattr(item, "to_numpy") else item
    if isinstance(tokens, np.ndarray) and tokens.ndim == 1:
        tokens = tokens.tolist()
    if not isinstance(tokens, (list, tuple)):
        raise TypeError(
            f"{where} must be a list of str or integers, one per step, got {shown(item)}. "
            "Give one list per sequence."
        )
    if not tokens:
        raise ValueError(f"{where} must have at least one step, got 0. Leave empty sequences out.")
    if all(isinstance(token, str) for token in tokens):
        return [str(token) for token in tokens]  # plain str, also of NumPy's str_
    for t, token in enumerate(tokens):
        # bool is an int to Python, but hardly meant as a category.
        if isinstance(token, (bool, np.bool_)) or not isinstance(token, numbers.Integral):
            raise TypeError(
                f"{where} must hold categories, all str or all integers, "
                f"got {shown(token)} at step {t}. Use tokens='number' for numbers."
            )
        if token < 0:
            raise ValueError(
                f"{where} must hold integers of at least 0, got {token} at step {t}. "
                "Number the categories from 0 on."
            )
    return [int(token) for token in tokens]


def split(item: Item, kind: str) -> Sequence[Any]:
    """Return the tokens of one item: the characters or words of a text, or its categories."""
    return words(item) if kind == "word" and isinstance(item, str) else item


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """A mapping between tokens and codes.

    Attributes
    ----------
    kind : {"char", "word", "category"}
        Kind of the tokens.
    tokens : ndarray of object (V,)
        Token of each code; code 0 is "<unknown>".
    n_special : int
        Number of codes, the first ones, that stand for no token of the data.

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
        """Learn from items: frequent tokens first, equally frequent ones sorted.

        Parameters
        ----------
        kind : str
            Kind of the tokens.
        items : iterable of str or list
            As `as_items` returns them.
        min_count : int, default=1
            Tokens that occur less often are left out.
        max_vocabulary : int or None, default=None
            Maximum number of tokens; the most frequent ones are kept.
        special : sequence of str, default=()
            Names for the codes from 1 on, which stand for no token of the data.
        """
        counts = Counter(chain.from_iterable(split(item, kind) for item in items))
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
        """Learn from the number of times that each token occurs; see `learn`."""
        frequent = [token for token, count in counts.items() if count >= min_count]
        if not frequent:
            raise ValueError(
                f"min_count must leave at least one token, got {min_count} where the most frequent "
                f"occurs {max(counts.values(), default=0)} times. Lower it."
            )
        # The token itself breaks ties, so that the codes do not depend on the order of the data.
        frequent.sort(key=lambda token: (-counts[token], token))
        tokens = [UNKNOWN, *special, *frequent[:max_vocabulary]]
        return cls(kind, np.array(tokens, dtype=object), 1 + len(special))

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
        """Return the codes of one item, int64 (T,); 0 for tokens that are not in the vocabulary."""
        tokens = split(item, self.kind)
        # map and fromiter keep the loop over a long text in C.
        return np.fromiter(map(self.codes.get, tokens, repeat(0)), np.int64, len(tokens))


def encoded(items: Iterable[Item], vocabulary: Vocabulary) -> Sequences:
    """Encode the items that `as_items` returned, as sequences of codes (T_i,)."""
    codes = [vocabulary.encode(item) for item in items]
    return Sequences(codes, np.array([len(item) for item in codes], np.int64), n_features=1)

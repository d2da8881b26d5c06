"""Tokens and their codes: text or categories, and the vocabulary that maps them to integers.

A plain `str` is a sequence of characters ("char") or of words and punctuation ("word"); a list of
`str` or of integers is a sequence of categories, one per step ("category"). `kind_of` decides which
of these X is, `Vocabulary.learn` orders the tokens, `encoded` turns X into codes. Code 0 stands for
every token that is not in the vocabulary.
"""

import numbers
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain, repeat
from typing import Any, Self

import numpy as np

from ..utils.checks import shown
from .arrays import as_array, is_missing
from .containers import unwrapped
from .sequences import Sequences

UNKNOWN = "<unknown>"
KINDS = ("char", "word", "category")
# A word keeps its apostrophes, straight or curly ("don't"); any other mark is a token of its own.
_PLAIN_WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")
_BLANK_INSIDE = re.compile(r"\S\s+\S")
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_NUMBERS = re.compile(rf"\s*{_NUMBER}(?:[\s,;]+{_NUMBER})*\s*")
_NEARLY_ALL = 0.9  # of the tokens; the rest may be headings and marks of missing values
Item = str | list[Any]  # one sequence: a text, or a list of categories


def words(text: str) -> list[str]:
    """Split a text into words and punctuation marks; white space separates and is dropped.

    Letters and the marks that combine with them are put into the composed form, NFC. Marks that
    have none, as in Hindi or Thai, and joiners stay within their word or symbol.

    Examples
    --------
    >>> words("Don't panic, Alice!")
    ["Don't", 'panic', ',', 'Alice', '!']
    """
    if text.isascii():
        return _PLAIN_WORD.findall(text)
    return _marked_word().findall(unicodedata.normalize("NFC", text))


@cache
def _marked_word() -> re.Pattern[str]:
    """Return the pattern of a word or symbol with its marks: Unicode's category M."""
    # All marks are in these two ranges.
    codes = chain(range(0x300, 0x20000), range(0xE0100, 0xE01F0))
    marks = "".join(c for c in map(chr, codes) if unicodedata.category(c)[0] == "M")
    joiners = "\u200c\u200d"  # within words of Persian and Hindi, the second one within emoji too
    word = rf"[\w{joiners}{marks}]+"
    symbol = rf"[^\s\w{joiners}{marks}][{marks}]*"
    # An opening bracket takes no mark, so that words that are joined to a text split alike.
    return re.compile(rf"{word}(?:['\u2019]{word})*|[(\[{{]|{symbol}(?:\u200d{symbol})*")


# -- what X is ------------------------------------------------------------------------------------


def kind_of(X: Any, tokens: str) -> str:
    """Return `tokens`, or for "auto" the kind that X looks like: "number", "char" or "category".

    A single text makes it tokens, so that the check of each item can name those that are none.

    Examples
    --------
    >>> kind_of(["a text"], "auto"), kind_of([["red", "blue"]], "auto"), kind_of([[1, 2]], "auto")
    ('char', 'category', 'number')
    """
    if tokens != "auto":
        return tokens
    items = [X] if isinstance(X, str) else list(_unpacked(X))
    if _has_text(items):
        return "char"
    return "category" if any(map(_has_text, map(_unpacked, items))) else "number"


def _has_text(values: Iterable[Any]) -> bool:
    """Whether there is a str among values; their types, which are few, are compared first."""
    return any(issubclass(kind, str) for kind in set(map(type, values)))


def _unpacked(values: Any) -> Iterable[Any]:
    """Return the items of a container that may hold text, nothing for others.

    The rows of an array with a single column are its entries: one text each.
    """
    if isinstance(values, (list, tuple)):
        return values
    # Arrays first: a DataFrame is asked for by an attribute that they lack, which takes longer.
    if not isinstance(values, np.ndarray):
        values = as_array(values, "X", "") if hasattr(values, "to_numpy") else np.empty(0)
    return _single_column(values) if values.ndim and values.dtype.kind in "UTO" else ()


def _single_column(array: np.ndarray) -> np.ndarray:
    """Return an array (n, 1) as (n,), any other as it is."""
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def has_blank(item: Item) -> bool:
    """Whether a text has a blank between other characters."""
    return _BLANK_INSIDE.search(str(item)) is not None


def kind_of_texts(spaced: Sequence[bool]) -> str:
    """Return "word" if at least half of the texts have a blank inside, else "char"."""
    return "word" if 2 * sum(spaced) >= len(spaced) else "char"


def refuse_numbers(items: list[Item], X: Any, name: str = "X") -> None:
    """Raise a TypeError for tokens that nearly all read as numbers.

    Texts of digits alone may be words of a code, character by character, and pass.

    Parameters
    ----------
    items : list of str or of list
        Tokens, as `as_items` returns them.
    X : object
        What they were read from.
    name : str, default="X"
        Name of X in messages.
    """
    texts = [item for item in items if isinstance(item, str)]
    if texts and all(map(str.isdigit, texts)):
        return
    tokens = texts or [t for t in set(chain.from_iterable(items)) if isinstance(t, str)]
    found = [token for token in tokens if _NUMBERS.fullmatch(token)]
    if found and len(found) >= _NEARLY_ALL * len(tokens):
        raise TypeError(
            f"{name} must hold numbers, or text that does not read as numbers, "
            f"got {shown(found[0])} and others as text. "
            f"Convert it: {name} = {_converted(texts, X, name)}; "
            "or set `tokens` if it is no number."
        )


def _converted(texts: list[str], X: Any, name: str) -> str:
    """Return the line of code that makes numbers of texts, or of lists of str if there are none."""
    is_column = getattr(X, "ndim", 1) == 2
    if not texts:
        return f"{name}.astype(float)" if is_column else f"[np.array(x, float) for x in {name}]"
    separator = next((mark for mark in ",;" if mark in "".join(texts)), "")
    split_off = f"x.split({separator!r})" if separator else "x.split()"
    if is_column:
        name += ".iloc[:, 0]" if hasattr(X, "iloc") else "[:, 0]"
    return f"[np.array({split_off}, float) for x in {name}]"


def as_items(
    X: Any, kind: str, name: str = "X", first: int = 0, *, skip_blank: bool = False
) -> list[Item]:
    """Return X as a list with one text, or one list of categories, per sequence.

    Messages number the sequences from `first` on. With `skip_blank` texts without any token are
    left out, unless there are no others.

    Raises
    ------
    TypeError
        If X is no list or array of texts or lists, or mixes text and integers.
    ValueError
        If it is empty or a sequence has no token.
    """
    if not isinstance(X, (list, tuple)):
        if isinstance(X, (str, bytes)) or not hasattr(X, "__array__"):
            remedy = f"Put a single one into a list: [{name}]."
            if isinstance(X, bytes):
                remedy = f"Decode it: [{name}.decode('utf-8')]."
            raise TypeError(
                f"{name} must be a list of sequences of tokens, got {shown(X)}. {remedy}"
            )
        # An array or DataFrame: each row is a sequence, unless its index has them.
        X = unwrapped(X, name)
    if not isinstance(X, (list, tuple)):
        array = as_array(X, name, "").astype(object)
        X = (array if kind == "category" else _single_column(array)).tolist()
    if not isinstance(X, (list, tuple)) or not X:
        raise ValueError(f"{name} must hold at least one sequence, got {shown(X)}. Pass some data.")
    numbered = list(enumerate(X, first))
    if skip_blank:
        numbered = [pair for pair in numbered if not is_blank(pair[1], kind)] or numbered
    check = _categories if kind == "category" else _text
    items = [check(item, kind, f"{name}[{i}]") for i, item in numbered]
    # A vocabulary is sorted, which takes tokens of one type.
    if len({type(item[0]) for item in items}) > 1:
        raise TypeError(f"{name} must hold text or integers alone, got both. Convert one of them.")
    return items


def is_blank(item: Any, kind: str) -> bool:
    """Whether an item is a text without any token."""
    return isinstance(item, str) and not (item.strip() if kind == "word" else item)


def _text(item: Any, kind: str, where: str) -> str:
    """Return one text of X as a plain str."""
    if not isinstance(item, str):
        remedy = "Join its tokens to one str, or use tokens='category'."
        if is_missing(item):
            remedy = "Leave missing texts out, or fill them in."
        elif isinstance(item, bytes):
            remedy = "Decode it; a file is read as text by open(path, encoding='utf-8')."
        raise TypeError(f"{where} must be text with tokens={kind!r}, got {shown(item)}. {remedy}")
    if is_blank(item, kind):
        raise ValueError(
            f"{where} must have at least one {kind}, got {shown(item)}. Leave empty sequences out."
        )
    return str(item)


def _categories(item: Any, kind: str, where: str) -> list[Any]:
    """Return one sequence of categories as a list of plain str or int."""
    tokens = as_array(item, where, "") if hasattr(item, "__array__") else item
    if isinstance(tokens, np.ndarray) and tokens.ndim == 1:
        tokens = tokens.tolist()
    if not isinstance(tokens, (list, tuple)):
        remedy = "Decode it." if isinstance(item, bytes) else "Give one list per sequence."
        raise TypeError(
            f"{where} must be a list of str or integers, one per step, got {shown(item)}. {remedy}"
        )
    if not tokens:
        raise ValueError(f"{where} must have at least one step, got 0. Leave empty sequences out.")
    if all(isinstance(token, str) for token in tokens):
        return [str(token) for token in tokens]  # plain str, also of NumPy's str_
    missing = [t for t, token in enumerate(tokens) if is_missing(token)]
    remedy = "Leave missing ones out." if missing else "Use tokens='number' for numbers."
    for t in missing or range(len(tokens)):
        token = tokens[t]
        # bool is an int to Python, but hardly meant as a category.
        if isinstance(token, (bool, np.bool_)) or not isinstance(token, numbers.Integral):
            raise TypeError(
                f"{where} must hold categories, all str or all integers, "
                f"got {shown(token)} at step {t}. {remedy}"
            )
        if token < 0:
            raise ValueError(
                f"{where} must hold integers of at least 0, got {token} at step {t}. "
                "Number the categories from 0 on."
            )
    return [int(token) for token in tokens]


def split(item: Item, kind: str) -> Sequence[Any]:
    """Return the tokens of one item as keys of a dict: its characters, words or categories.

    Integers are keys by their digits. Whoever chooses them can choose equal hashes, with which a
    dict takes a time that grows with the square of their number; he cannot for text and bytes.
    """
    if kind == "word" and isinstance(item, str):
        return words(item)
    if isinstance(item, list) and item and not isinstance(item[0], str):
        return [b"%x" % token for token in item]
    return item


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
    marks_apart : bool, default=False
        Whether words end where a combining mark begins, as those of files of earlier versions do.
    padding : str, int or None, default=None
        Token that fills up sequences where the network was trained, and is refused here.

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
    marks_apart: bool = False
    padding: str | int | None = None

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
        frequent = [
            (-count, int(token, 16) if isinstance(token, bytes) else token)
            for token, count in counts.items()
            if count >= min_count
        ]
        if not frequent:
            raise ValueError(
                f"min_count must leave at least one token, got {min_count} where the most frequent "
                f"occurs {max(counts.values(), default=0)} times. Lower it."
            )
        # The token itself breaks ties, so that the codes do not depend on the order of the data.
        frequent.sort()
        tokens = [UNKNOWN, *special, *(token for _, token in frequent[:max_vocabulary])]
        return cls(kind, np.array(tokens, dtype=object), 1 + len(special))

    def __len__(self) -> int:
        """Return the number of codes."""
        return len(self.tokens)

    @cached_property
    def codes(self) -> dict[Any, int]:
        """The code of each token of the data."""
        tokens = self.tokens.tolist()
        if self.kind == "word" and not self.marks_apart:
            # As `words` returns them, also of a vocabulary that was made elsewhere.
            tokens = [unicodedata.normalize("NFC", token) for token in tokens]
        if self.kind == "category":
            tokens = [split([token], self.kind)[0] for token in tokens]
        return {token: code for code, token in enumerate(tokens) if code >= self.n_special}

    def split(self, item: Item) -> Sequence[Any]:
        """Return the tokens of one item, as they were learned: the keys of `codes`."""
        if self.marks_apart and self.kind == "word" and isinstance(item, str):
            return _PLAIN_WORD.findall(item)
        return split(item, self.kind)

    def encode(self, item: Item) -> np.ndarray:
        """Return the codes of one item, int64 (T,); 0 for tokens that are not in the vocabulary.

        Raises
        ------
        ValueError
            If the item holds padding.
        """
        tokens = self.split(item)
        if self.padding is not None:
            self._refuse_padding(tokens)
        # map and fromiter keep the loop over a long text in C.
        return np.fromiter(map(self.codes.get, tokens, repeat(0)), np.int64, len(tokens))

    def _refuse_padding(self, tokens: Sequence[Any]) -> None:
        """Raise a ValueError if there is padding among tokens, the keys of `codes`."""
        tokens = list(tokens)  # of a str, `in` would find padding of several characters
        key = split([self.padding], "category")[0]
        if key in tokens:
            raise ValueError(
                f"X must hold no padding, got {self.padding!r} at step {tokens.index(key)}. "
                "Leave it out: sequences have their own lengths."
            )


def encoded(items: Iterable[Item], vocabulary: Vocabulary) -> Sequences:
    """Encode the items that `as_items` returned, as sequences of codes (T_i,)."""
    codes = [vocabulary.encode(item) for item in items]
    return Sequences(codes, np.array([len(item) for item in codes], np.int64), n_features=1)

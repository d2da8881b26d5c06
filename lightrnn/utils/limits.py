"""Limits of what a file may hold, so that a small one takes neither much memory nor much time."""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

# Number of lists and dicts that a header may have, and bytes of the file for each further one: of
# nothing but "[]," JSON makes objects of 30 times its size.
_FREE_BRACKETS = 10_000
_BYTES_PER_BRACKET = 16
# Number of items that an array without content may have: rows of no columns, or empty texts. They
# take no bytes in the file, but do once they are listed.
_MOST_EMPTY = 1000
# Number of keys of a dict that may have one hash. An attacker's integers can all have the same, and
# the time to make the dict is then the square of their number; the hashes of text are random.
_MOST_COLLISIONS = 64


def check_content(shape: Iterable[int], size: int) -> None:
    """Check that an array of so many bytes or objects has few items if it has no content."""
    if not size and math.prod(length or 1 for length in shape) > _MOST_EMPTY:
        raise ValueError(f"an array without content must have {_MOST_EMPTY} items or fewer")


def check_brackets(text: bytes, size: int) -> None:
    """Check that a header has no more lists and dicts than a file of this size can need."""
    brackets = text.count(b"[") + text.count(b"{")
    if brackets > _FREE_BRACKETS + size // _BYTES_PER_BRACKET:
        raise ValueError(f"content must have less than {brackets} lists and dicts")


def check_hashes(keys: Iterable[Any]) -> None:
    """Raise a ValueError if a dict of these keys would take the square of their number to make."""
    hashes = Counter(map(hash, keys))
    if max(hashes.values(), default=0) > _MOST_COLLISIONS:
        raise ValueError("many keys of one hash")

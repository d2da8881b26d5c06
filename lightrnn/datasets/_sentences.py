"""English sentences whose last word depends on their first alone, so that a model needs memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..utils import checks

# The first word of a sentence, and the last word that it determines.
CUES = {
    "Starving": "food",
    "Thirsty": "water",
    "Freezing": "coats",
    "Ill": "medicine",
    "Bored": "books",
    "Muddy": "soap",
    "Lovesick": "flowers",
    "Sleepless": "pillows",
}
ENDING = "to buy"

# Words that fill a clause.
LISTS = {
    "NAMES": (
        "Alice Bob Carol David Erin Frank Grace Henry Irene Jack Karen Louis Maria Nora Oscar Paula"
    ).split(),
    "MOTIONS": "drives walks runs cycles hurries wanders marches strolls".split(),
    "PLACES": "store market mall kiosk bazaar shop arcade outlet".split(),
    "THINGS": (
        "bridge church fountain garden harbour library museum park school station statue tower"
    ).split(),
    "ADJECTIVES": (
        "old new quiet noisy empty crowded famous little wide narrow red green grey sunny"
    ).split(),
    "ACTIONS": "paints cleans watches passes photographs admires ignores repairs".split(),
    "DAYS": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(),
    "MANNERS": "slowly quickly alone again today calmly happily early together silently".split(),
}
# Clauses between cue and ending. A word in capitals is drawn from the list of that name.
CLAUSES = [
    clause.split()
    for clause in (
        "MANNERS",
        "every DAYS",
        "with NAMES",
        "in the rain",
        "past the THINGS",
        "near the ADJECTIVES THINGS",
        "along the ADJECTIVES THINGS",
        "while NAMES ACTIONS the THINGS",
        "and NAMES MOTIONS past the THINGS",
        "after a long talk with NAMES",
        "where NAMES ACTIONS the ADJECTIVES THINGS",
        "because the ADJECTIVES PLACES is closed on DAYS",
        "although NAMES says that the THINGS is ADJECTIVES",
    )
]
OPENING = "NAMES MOTIONS to the nearest PLACES".split()
_FIXED = len(OPENING) + len(ENDING.split())  # words that every sentence has: the least distance


def make_long_context_sentences(
    distance: int | tuple[int, int] = 20, n_samples: int = 1000, *, random_state: Any = None
) -> tuple[list[str], NDArray[np.str_]]:
    """Make sentences without their last word, which depends on the first word and on no other.

    "Starving, Alice drives to the nearest store to buy" wants "food"; thirsty, freezing, ill,
    bored, muddy, lovesick and sleepless people want something else. Between the first word and the
    last stand `distance` words of clauses drawn at random. None of these words is a cue, and names,
    places and verbs are drawn independently of it. A model that does not remember the first word is
    therefore right once in eight times.

    Parameters
    ----------
    distance : int or tuple (least, most), default=20
        Number of words between the cue and the missing word, at least 8, punctuation not counted.
        With two numbers it is drawn for each sentence, uniformly from the least to the most.
    n_samples : int, default=1000
        Number of sentences, at least 1.
    random_state : None, int, RandomState or Generator, default=None
        Source of randomness; an int makes the call repeatable.

    Returns
    -------
    X : list of n_samples str
        The sentences without their last word. With ``tokens="word"`` each has at least two tokens
        more than its distance: the cue, a comma, the words between, and commas before some clauses.
    y : array (n_samples,) of str
        The last words: "food", "water", "coats", "medicine", "books", "soap", "flowers" or
        "pillows".

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> from lightrnn.datasets import make_long_context_sentences
    >>> X, y = make_long_context_sentences(distance=12, n_samples=2, random_state=0)
    >>> for sentence, word in zip(X, y):
    ...     print(sentence, "...", word)
    Lovesick, Carol runs to the nearest bazaar with Oscar again quickly to buy ... flowers
    Muddy, Nora runs to the nearest kiosk with Maria with David to buy ... soap
    """
    least, most = _range(distance)
    n_samples = checks.integer("n_samples", n_samples, 1)
    rng = checks.random_generator(random_state)
    draw = _drawer(rng)
    n_words = rng.integers(least, most + 1, n_samples) - _FIXED
    cues = rng.integers(0, len(CUES), n_samples)
    names = list(CUES)
    sentences = [
        f"{names[cue]}, {_filled(OPENING, draw)}{_middle(n, draw)} {ENDING}"
        for cue, n in zip(cues.tolist(), n_words.tolist(), strict=True)
    ]
    return sentences, np.array(list(CUES.values()))[cues]


def _range(distance: Any) -> tuple[int, int]:
    """Return the least and the most of a distance, checked."""
    # A single distance is a range of one.
    if not isinstance(distance, (tuple, list)):
        least = checks.integer("distance", distance, _FIXED)
        return least, least
    if len(distance) != 2:
        raise ValueError(
            f"distance must be one integer or two, got {checks.shown(distance)}. "
            "Give the least and the most."
        )
    least = checks.integer("distance[0]", distance[0], _FIXED)
    return least, checks.integer("distance[1]", distance[1], least)


def _drawer(rng: np.random.Generator) -> Callable[[list[Any]], Any]:
    """Return a function that draws one item of a list.

    It takes random numbers from a supply of 4096, since one call of NumPy for each word would be
    slow.
    """
    pool: list[float] = []

    def draw(options: list[Any]) -> Any:
        if not pool:
            pool.extend(rng.random(4096).tolist())
        return options[int(pool.pop() * len(options))]  # a random number is below 1

    return draw


def _filled(clause: list[str], draw: Callable[[list[str]], str]) -> str:
    """Return a clause with its words in capitals replaced by words of their lists."""
    return " ".join(draw(LISTS[word]) if word in LISTS else word for word in clause)


def _middle(n_words: int, draw: Callable[[list[Any]], Any]) -> str:
    """Return clauses of `n_words` words in all, each after a blank or a comma."""
    text = ""
    while n_words:
        # There is always one that fits, since one clause is a single word.
        clause = draw([clause for clause in CLAUSES if len(clause) <= n_words])
        text += ", " if len(clause) > 4 else " "
        text += _filled(clause, draw)
        n_words -= len(clause)
    return text

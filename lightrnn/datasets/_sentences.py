"""English sentences whose last word follows from one early word: the argument for memory, as data."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..utils import checks

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

NAMES = "Alice Bob Carol David Erin Frank Grace Henry Irene Jack Karen Louis Maria Nora Oscar Paula".split()
MOTIONS = "drives walks runs cycles hurries wanders marches strolls".split()
PLACES = "store market mall kiosk bazaar shop arcade outlet".split()
THINGS = (
    "bridge church fountain garden harbour library museum park school station statue tower".split()
)
ADJECTIVES = (
    "old new quiet noisy empty crowded famous little wide narrow red green grey sunny".split()
)
ACTIONS = "paints cleans watches passes photographs admires ignores repairs".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MANNERS = "slowly quickly alone again today calmly happily early together silently".split()
# What may stand between cue and ending; a word in capitals is drawn from the list of that name.
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
_FIXED = len(OPENING) + len(ENDING.split())
LISTS = {
    "NAMES": NAMES,
    "MOTIONS": MOTIONS,
    "PLACES": PLACES,
    "THINGS": THINGS,
    "ADJECTIVES": ADJECTIVES,
    "ACTIONS": ACTIONS,
    "DAYS": DAYS,
    "MANNERS": MANNERS,
}


def make_long_context_sentences(
    distance: int | tuple[int, int] = 20, n_samples: int = 1000, *, random_state: Any = None
) -> tuple[list[str], NDArray[np.str_]]:
    """Make sentences that lack their last word, which the first word tells and no other does.

    "Starving, Alice drives to the nearest store to buy" wants "food"; thirsty, freezing, ill,
    bored, muddy, lovesick and sleepless people want something else. Between the first word and the
    last stand `distance` words of clauses drawn at random; none of their words is ever a cue, and
    names, places and verbs are drawn without regard to it. So whoever does not remember the first
    word is right once in eight times.

    Parameters
    ----------
    distance : int or tuple (least, most), default=20
        Words between the cue and the missing word, at least 8, punctuation not counted; two numbers
        draw it anew for each sentence, every distance from the least to the most being equally
        likely.
    n_samples : int, default=1000
        Sentences, at least 1.
    random_state : None, int, RandomState or Generator, default=None
        Where the randomness comes from; an int makes the call repeatable.

    Returns
    -------
    X : list of n_samples str
        The sentences without their last word. Read by `tokens="word"` each has ``distance + 2``
        tokens or some more: the cue, a comma, the words between, and a comma before some clauses.
    y : array (n_samples,) of str
        The last words: "food", "water", "coats", "medicine", "books", "soap", "flowers" or
        "pillows".

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of its range.

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
    free = rng.integers(least, most + 1, n_samples) - _FIXED
    cues = rng.integers(0, len(CUES), n_samples)
    names, wanted = list(CUES), np.array(list(CUES.values()))
    sentences = [
        f"{names[cue]}, {_filled(OPENING, draw)}{_middle(words, draw)} {ENDING}"
        for cue, words in zip(cues.tolist(), free.tolist(), strict=True)
    ]
    return sentences, wanted[cues]


def _range(distance: Any) -> tuple[int, int]:
    """Check a distance, or the least and the most of some."""
    if not isinstance(distance, (tuple, list)):
        return (checks.integer("distance", distance, _FIXED),) * 2
    if len(distance) != 2:
        raise ValueError(
            f"distance must be one integer or two, got {checks.shown(distance)}. Give the least and the most."
        )
    least = checks.integer("distance[0]", distance[0], _FIXED)
    return least, checks.integer("distance[1]", distance[1], least)


def _drawer(rng: np.random.Generator) -> Callable[[int], int]:
    """Return a function that draws a number below n; numbers are made many at a time."""
    pool: list[float] = []

    def draw(n: int) -> int:
        if not pool:
            pool.extend(rng.random(4096).tolist())
        return int(pool.pop() * n)

    return draw


def _filled(clause: list[str], draw: Callable[[int], int]) -> str:
    """Draw the words that a clause leaves open."""
    return " ".join(
        LISTS[word][draw(len(LISTS[word]))] if word in LISTS else word for word in clause
    )


def _middle(free: int, draw: Callable[[int], int]) -> str:
    """Return clauses of so many words in all, each after a blank or a comma."""
    text = ""
    while free:
        fitting = [clause for clause in CLAUSES if len(clause) <= free]
        clause = fitting[draw(len(fitting))]
        text += (", " if len(clause) > 4 else " ") + _filled(clause, draw)
        free -= len(clause)
    return text

"""Synthetic problems: each asks for one ability, so that a table of cells says which cell has it.

The adding problem, copying and temporal order ask for memory over a distance that the caller
chooses; moving frames ask for the order of what was seen. The first and the third are those of
Hochreiter and Schmidhuber (1997), "Long Short-Term Memory", Neural Computation 9(8), 1735-1780,
where the long memory of the LSTM was first shown.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..utils import checks

ORDER_SYMBOLS = "EBabcdXY"
# Where the marks may begin, in percent of n_steps: positions 10-20 and 50-60 of 100, or 10-20, 33-43 and 66-76.
ORDER_STARTS = {2: (10, 50), 3: (10, 33, 66)}

SHAPES = np.array(
    [
        [[1, 1, 1], [1, 0, 1], [1, 1, 1]],
        [[0, 1, 0], [1, 1, 1], [0, 1, 0]],
        [[1, 0, 1], [0, 1, 0], [1, 0, 1]],
    ],
    dtype=np.float32,
)
DIRECTIONS = {"down": (1, 0), "left": (0, -1), "right": (0, 1), "up": (-1, 0)}


def make_adding_problem(
    n_samples: int = 1000, n_steps: int = 100, *, marks: str = "halves", random_state: Any = None
) -> tuple[list[NDArray[np.float32]], NDArray[np.float64]]:
    """Make the adding problem: sum the two values that were marked, long ago, among many that were not.

    A step is a random value and a mark, 1 at two steps and 0 elsewhere; the sum of the marked
    values is asked for at the end. Always answering 1 has a mean squared error of 1/6; below 0.001
    the problem counts as solved.

    It is experiment 4 (section 5.4) of Hochreiter and Schmidhuber (1997) with values in [0, 1] for
    their [-1, 1], which doubles their target, and without the marks of -1 at both ends, since the
    estimators know where a sequence begins and ends. They solved it after 74,000 sequences at
    ``n_steps=100``, with marks where "early" puts them.

    Parameters
    ----------
    n_samples : int, default=1000
        Sequences, at least 1.
    n_steps : int, default=100
        The shortest length, at least 4. Lengths are drawn uniformly from `n_steps` to ``n_steps +
        n_steps // 10``.
    marks : {"halves", "early"}, default="halves"
        Where the marks are. "halves": one in each half, as in Arjovsky et al. (2016) and most
        papers since. "early", as in 1997: one among the first ten steps, one more in the first
        half, so both values must be held for at least ``n_steps / 2`` steps. That is harder to
        begin with, for no sequence asks for less.
    random_state : None, int, RandomState or Generator, default=None
        Where the randomness comes from; an int makes the call repeatable.

    Returns
    -------
    X : list of n_samples arrays (T_i, 2), float32
        Values, uniform in [0, 1), and marks.
    y : array (n_samples,), float64
        The sums of the marked values, in [0, 2).

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of its range.

    References
    ----------
    M. Arjovsky, A. Shah and Y. Bengio (2016). "Unitary Evolution Recurrent Neural Networks". ICML,
    PMLR 48, 1120-1128.

    Examples
    --------
    >>> from lightrnn.datasets import make_adding_problem
    >>> X, y = make_adding_problem(n_samples=3, n_steps=50, random_state=0)
    >>> [sequence.shape[1] for sequence in X], y.shape
    ([2, 2, 2], (3,))
    >>> values, marked = X[0].T
    >>> bool(abs(values @ marked - y[0]) < 1e-6)
    True
    """
    n_samples = checks.integer("n_samples", n_samples, 1)
    n_steps = checks.integer("n_steps", n_steps, 4)
    checks.choice("marks", marks, ("halves", "early"))
    rng = checks.random_generator(random_state)
    lengths = _lengths(n_samples, n_steps, rng)
    ends = np.cumsum(lengths)
    steps = np.zeros((ends[-1], 2), dtype=np.float32)
    steps[:, 0] = rng.random(ends[-1], dtype=np.float32)
    rows = (
        ends
        - lengths
        + (_halves(lengths, rng) if marks == "halves" else _early(n_samples, n_steps // 2, rng))
    )
    steps[rows, 1] = 1
    return np.split(steps, ends[:-1]), steps[rows, 0].sum(axis=0, dtype=np.float64)


def _halves(lengths: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw one step of each half."""
    return np.stack([rng.integers(0, lengths // 2), rng.integers(lengths // 2, lengths)])


def _early(n_samples: int, half: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw one of the first ten steps and another of the first half."""
    first = rng.integers(0, min(10, half), n_samples)
    second = rng.integers(0, half - 1, n_samples)
    return np.stack([first, second + (second >= first)])


def make_copy_memory(
    n_samples: int = 1000,
    n_steps: int = 100,
    *,
    n_items: int = 10,
    n_symbols: int = 8,
    random_state: Any = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Make the copying problem: repeat a list of symbols after a wait, in order, one a step.

    A sequence shows `n_items` random symbols, then ``n_steps - 1`` blanks, a signal, and blanks;
    from the signal's next step on the symbols are to be named, before it the blank. T is ``n_steps
    + 2 * n_items``. Whoever forgets the symbols has a mean cross-entropy of ``n_items *
    log(n_symbols) / T`` at best. For ``target="step"``. After section 4.1 of Arjovsky et al.
    (2016), who follow the long time lag problems of Hochreiter and Schmidhuber (1997, section 5).

    Parameters
    ----------
    n_samples : int, default=1000
        Sequences, at least 1.
    n_steps : int, default=100
        Steps from the last symbol shown to the signal, the signal's own included; at least 1.
    n_items : int, default=10
        Symbols to remember, at least 1.
    n_symbols : int, default=8
        Different symbols, at least 2.
    random_state : None, int, RandomState or Generator, default=None
        Where the randomness comes from; an int makes the call repeatable.

    Returns
    -------
    X : array (n_samples, T, n_symbols + 2), float32
        One-hot steps: the symbols, the blank (index `n_symbols`), the signal (the last index).
    y : array (n_samples, T), int64
        The answer of each step: the blank, `n_symbols`, until the last `n_items` steps name the
        symbols, 0 to ``n_symbols - 1``.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of its range.

    References
    ----------
    M. Arjovsky, A. Shah and Y. Bengio (2016). "Unitary Evolution Recurrent Neural Networks". ICML,
    PMLR 48, 1120-1128.

    Examples
    --------
    >>> from lightrnn.datasets import make_copy_memory
    >>> X, y = make_copy_memory(n_samples=2, n_steps=4, n_items=3, n_symbols=5, random_state=0)
    >>> X.shape, y.shape
    ((2, 10, 7), (2, 10))
    >>> X[0].argmax(axis=1).tolist()
    [4, 3, 2, 5, 5, 5, 6, 5, 5, 5]
    >>> y[0].tolist()
    [5, 5, 5, 5, 5, 5, 5, 4, 3, 2]
    """
    n_samples = checks.integer("n_samples", n_samples, 1)
    n_steps = checks.integer("n_steps", n_steps, 1)
    n_items = checks.integer("n_items", n_items, 1)
    n_symbols = checks.integer("n_symbols", n_symbols, 2)
    items = checks.random_generator(random_state).integers(0, n_symbols, (n_samples, n_items))
    shown = np.full((n_samples, n_steps + 2 * n_items), n_symbols)
    y = shown.copy()
    shown[:, :n_items] = y[:, -n_items:] = items
    shown[:, n_items + n_steps - 1] = n_symbols + 1
    return _one_hot(shown, n_symbols + 2), y


def make_temporal_order(
    n_samples: int = 1000, n_steps: int = 100, *, n_marks: int = 2, random_state: Any = None
) -> tuple[list[NDArray[np.float32]], NDArray[np.str_]]:
    """Make the temporal order problem: tell in which order X and Y came, among many steps that mean nothing.

    A sequence starts with E, ends with B, and is made of random letters a, b, c, d but for two or
    three steps far apart, each X or Y, whose order is the class. Experiments 6a (two) and 6b
    (three; both in section 5.6) of Hochreiter and Schmidhuber (1997), whose lengths, 100 to 110,
    are the default; they solved 6a after 31,390 sequences.

    Parameters
    ----------
    n_samples : int, default=1000
        Sequences, at least 1.
    n_steps : int, default=100
        The shortest length, at least 10. Lengths are drawn uniformly from `n_steps` to ``n_steps +
        n_steps // 10``.
    n_marks : {2, 3}, default=2
        Steps that are X or Y. They lie, in percent of `n_steps`, at 10-20 and 50-60, or at 10-20,
        33-43 and 66-76.
    random_state : None, int, RandomState or Generator, default=None
        Where the randomness comes from; an int makes the call repeatable.

    Returns
    -------
    X : list of n_samples arrays (T_i, 8), float32
        One-hot letters, in the order E, B, a, b, c, d, X, Y.
    y : array (n_samples,) of str
        What was marked, in order: "XX", "XY", "YX" or "YY", and with three marks "XXX" to "YYY".

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of its range.

    Examples
    --------
    >>> from lightrnn.datasets import make_temporal_order
    >>> X, y = make_temporal_order(n_samples=2, n_steps=20, random_state=0)
    >>> for sequence, order in zip(X, y):
    ...     print("".join("EBabcdXY"[letter] for letter in sequence.argmax(axis=1)), order)
    EbbYaaadcdcYdccccdbdcB YY
    EdcaYcdaadaXabbbbaaaB YX
    """
    n_samples = checks.integer("n_samples", n_samples, 1)
    n_steps = checks.integer("n_steps", n_steps, 10)
    n_marks = checks.integer("n_marks", n_marks, 2, 3)
    rng = checks.random_generator(random_state)
    ends = np.cumsum(_lengths(n_samples, n_steps, rng))
    starts = np.concatenate([[0], ends[:-1]])
    letters = rng.integers(2, 6, ends[-1])
    letters[starts] = 0
    letters[ends - 1] = 1
    marks = rng.integers(0, 2, (n_samples, n_marks))
    for mark, percent in zip(marks.T, ORDER_STARTS[n_marks], strict=True):
        low = n_steps * percent // 100
        letters[starts + rng.integers(low, low + n_steps // 10 + 1, n_samples)] = 6 + mark
    y = np.array(["".join(ORDER_SYMBOLS[6 + mark] for mark in row) for row in marks])
    return np.split(_one_hot(letters, len(ORDER_SYMBOLS)), ends[:-1]), y


def make_frames(
    n_samples: int = 1000,
    n_steps: int = 12,
    *,
    size: int = 8,
    noise: float = 0.1,
    random_state: Any = None,
) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    """Make short films of a moving shape: tell which way it goes.

    A film shows a square, a plus or a cross of 3 x 3 pixels that moves by one pixel a frame, down,
    left, right or up, and comes back at the opposite edge. Shape and starting place are random, so
    at every frame each place is as likely whatever the direction: a single frame says nothing about
    it, nor do all of them in the wrong order; two in a row do.

    Parameters
    ----------
    n_samples : int, default=1000
        Films, at least 1.
    n_steps : int, default=12
        Frames of a film, at least 2.
    size : int, default=8
        Height and width of a frame in pixels, at least 4.
    noise : float, default=0.1
        Standard deviation of the Gaussian noise added to each pixel, at least 0; a shape's pixels
        are 1 on a ground of 0.
    random_state : None, int, RandomState or Generator, default=None
        Where the randomness comes from; an int makes the call repeatable.

    Returns
    -------
    X : array (n_samples, n_steps, size, size), float32
        The films: frame by frame, row by row.
    y : array (n_samples,) of str
        "down", "left", "right" or "up".

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of its range.

    Examples
    --------
    >>> from lightrnn.datasets import make_frames
    >>> X, y = make_frames(n_samples=1, n_steps=2, size=5, noise=0, random_state=0)
    >>> str(y[0])
    'right'
    >>> for rows in zip(*X[0]):
    ...     print("  ".join("".join("-#"[int(pixel)] for pixel in row) for row in rows))
    -----  -----
    -----  -----
    -#-#-  --#-#
    --#--  ---#-
    -#-#-  --#-#
    """
    n_samples = checks.integer("n_samples", n_samples, 1)
    n_steps = checks.integer("n_steps", n_steps, 2)
    size = checks.integer("size", size, 4)
    noise = checks.real("noise", noise, 0)
    rng = checks.random_generator(random_state)
    shapes, ways = (
        rng.integers(0, len(SHAPES), n_samples),
        rng.integers(0, len(DIRECTIONS), n_samples),
    )
    X = _films(shapes, ways, rng.integers(0, size, (n_samples, 2)), n_steps, size)
    if noise:
        X += np.float32(noise) * rng.standard_normal(X.shape, dtype=np.float32)
    return X, np.array(list(DIRECTIONS))[ways]


def _films(
    shapes: NDArray[np.int64],
    ways: NDArray[np.int64],
    corners: NDArray[np.int64],
    n_steps: int,
    size: int,
) -> NDArray[np.float32]:
    """Draw each shape at its corner, then one pixel further a frame; frames wrap around, so no edge tells the way."""
    moves = np.array(list(DIRECTIONS.values()))[ways]
    places = corners[:, None] + moves[:, None] * np.arange(n_steps)[:, None]
    rows, columns = np.moveaxis((places[..., None] + np.arange(3)) % size, 2, 0)
    films = np.arange(len(shapes))[:, None, None, None]
    frames = np.arange(n_steps)[:, None, None]
    X = np.zeros((len(shapes), n_steps, size, size), dtype=np.float32)
    X[films, frames, rows[..., :, None], columns[..., None, :]] = SHAPES[shapes][:, None]
    return X


def _lengths(n_samples: int, n_steps: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw lengths from n_steps to a tenth above it, as Hochreiter and Schmidhuber do."""
    return rng.integers(n_steps, n_steps + n_steps // 10 + 1, n_samples)


def _one_hot(codes: NDArray[np.int64], n_symbols: int) -> NDArray[np.float32]:
    """Turn codes into rows that are 1 at the code and 0 elsewhere."""
    rows: NDArray[np.float32] = np.eye(n_symbols, dtype=np.float32)[codes]
    return rows

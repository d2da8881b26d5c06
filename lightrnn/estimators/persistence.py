"""`load`: read an estimator from the file that its `save` wrote."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from ..utils import checks
from ..utils.files import StrPath
from .classifier import RNNClassifier
from .language import RNNLanguageModel
from .regressor import RNNRegressor


def _read(kind: Any, content: Any) -> Any:
    """Return the estimator of a file's content."""
    # Most programs load nothing, and `import lightrnn` is faster without it.
    from .saved_state import checked_state

    estimator = kind.__new__(kind)
    estimator.__setstate__(checked_state(kind, content))
    return estimator


# Functions that make an estimator of a file's content, by the name of its class. Packages above
# this one add their own.
READERS: dict[str, Callable[[Any], Any]] = {
    kind.__name__: partial(_read, kind) for kind in (RNNClassifier, RNNLanguageModel, RNNRegressor)
}


def load(path: StrPath, *, warm: bool = False) -> Any:
    """Read a fitted estimator from a file.

    Nothing in the file is executed: it holds arrays and JSON, no pickle.

    Parameters
    ----------
    path : str or path-like
        File that ``estimator.save(path)`` wrote, on whatever machine.
    warm : bool, default=False
        Whether to load the machine code of predictions too, see `RNNClassifier.warm`: before a
        fork, or so that the first prediction is as fast as the others.

    Returns
    -------
    estimator : RNNClassifier, RNNRegressor, RNNLanguageModel or RNNForecaster
        It predicts, and continues with `partial_fit`, exactly as the saved one would.

    Raises
    ------
    OSError
        If there is no such file, or if it may not be read.
    ValueError
        If the file was not written by `save`, is damaged, was written by a later version of the
        format, or if its parts do not fit together. Sizes are checked before memory is allocated.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from lightrnn import RNNRegressor, load
    >>> X = [np.ones((3, 2)), np.zeros((5, 2))]
    >>> model = RNNRegressor("rnn", (4,), max_iter=2, random_state=0)
    >>> path = os.path.join(tempfile.mkdtemp(), "model.npz")
    >>> model.fit(X, [1.0, 2.0]).save(path)
    >>> bool((load(path).predict(X) == model.predict(X)).all())
    True
    """
    from ..utils import archive

    content = archive.read(path)
    try:
        name = checks.choice("estimator", content["estimator"], tuple(READERS))
        estimator = READERS[name](content)
    except archive.DAMAGE as error:
        raise ValueError(
            f"path must be a file written by save, got {os.fspath(path)!r}. Its content is "
            f"incomplete or does not fit together: {str(error).rstrip('.')}."
        ) from error
    return estimator.warm() if checks.flag("warm", warm) else estimator

"""`load`: an estimator back from the file that its `save` wrote."""

import os
from typing import Any

from ..utils import archive
from .classifier import RNNClassifier
from .language import RNNLanguageModel
from .regressor import RNNRegressor
from .saved_state import checked_state

_ESTIMATORS = {
    estimator.__name__: estimator for estimator in (RNNClassifier, RNNLanguageModel, RNNRegressor)
}


def load(path: str | os.PathLike[str]) -> Any:
    """Read a fitted estimator from a file.

    Nothing in the file is executed: it holds arrays and JSON, no pickle.

    Parameters
    ----------
    path : str or path-like
        What ``estimator.save(path)`` wrote, on whatever machine.

    Returns
    -------
    RNNClassifier, RNNRegressor or RNNLanguageModel
        It predicts, and goes on with `partial_fit`, exactly as the saved one would have done.

    Raises
    ------
    OSError
        If there is no such file, or it may not be read.
    ValueError
        If the file was not written by `save`, is damaged, was written by a later version of the format, or its parts do
        not fit together. Sizes are checked before room is made for what they tell.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from lightrnn import RNNRegressor, load
    >>> X, y = [np.ones((3, 2)), np.zeros((5, 2))], [1.0, 2.0]
    >>> model = RNNRegressor("rnn", (4,), max_iter=2, learning_rate="cosine", random_state=0).fit(X, y)
    >>> path = os.path.join(tempfile.mkdtemp(), "model.npz")
    >>> model.save(path)
    >>> bool((load(path).predict(X) == model.predict(X)).all())
    True
    """
    content = archive.read(path)
    try:
        kind, state = checked_state(_ESTIMATORS, content)
        estimator = kind.__new__(kind)
        estimator.__setstate__(state)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(
            f"path must be a file written by save, got {os.fspath(path)!r}. Its content is incomplete or does not fit "
            f"together: {str(error).rstrip('.')}."
        ) from error
    return estimator

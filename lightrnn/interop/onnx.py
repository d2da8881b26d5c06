"""`to_onnx`: a fitted estimator as an ONNX model."""

from __future__ import annotations

from typing import Any

from ..utils.files import StrPath, replacing
from .onnx_graph import OPERATORS, ModelBuilder
from .onnx_saved import add_description
from .summary import check_cell, last_step, summarize

_MOST_BYTES = 2**31 - 2**20  # a protobuf message has to be smaller than 2 GiB


def to_onnx(estimator: Any, path: StrPath) -> None:
    """Write a fitted estimator as an ONNX model, which onnxruntime and others run without Python.

    The network computes in float32, on one sequence or more of any lengths (onnxruntime fails on an
    empty batch). Its inputs:

    - ``X`` (batch, time, F) float32, for tokens (batch, time) int64: the sequences, the shorter
      ones filled up at the end with any finite numbers or any codes. A token's code is its place in
      the vocabulary, 0 if it is not there; the input of a language model begins with code 1.
    - ``seq_lens`` (batch,) int64: the number of steps of each sequence. The graph makes the patches
      of an estimator whose ``patch_`` is more than 1. With ``missing="mask"`` NaN are missing
      values in it, too.
    - ``state`` (batch, S) float32, except for the ffnn: the initial state, zeros at first. Layer
      after layer it holds h, then for the lstm c; if bidirectional, of each forward's and then
      backward's. With ``pooling`` the pooled state (D), the total weight of its steps and
      attention's greatest score follow. With ``missing="mask"`` the last value of each feature, and
      the number of steps since, come last.

    And its outputs:

    - ``probabilities`` (batch, n_outputs), with ``target="step"`` (batch, time, n_outputs), as
      `predict_proba` returns them; a language model's are those of the next token. A regressor has
      ``predictions`` instead, of the dtype that `predict` returns, without the last axis if it has
      a single output; several quantiles of each of several columns have an axis each. Outputs
      beyond a sequence's length mean nothing.
    - ``next_state`` (batch, S), where there is a state: the state after each sequence. Passed as
      ``state``, it lets the next call go on where this one ended, unless the network is
      bidirectional; where it reads patches, after whole ones.

    The model's metadata hold, as JSON, the ``vocabulary`` in the order of the codes and the
    ``classes`` in the order of the probabilities, and the kind of the ``tokens``: "char", "word" or
    "category". For `from_onnx` they hold the ``network`` too.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        The fitted estimator, or a Pipeline of `SequenceScaler` and an estimator, whose scaler goes
        into the graph.
    path : str or path-like
        The file to write, used as it is: no suffix is added.

    Raises
    ------
    NotFittedError
        If the estimator was not fitted.
    TypeError
        If `estimator` is not an estimator of lightrnn.
    ValueError
        If its weights take 2 GiB or more, which is too much for one ONNX file, or one of them is
        not finite in float32.
    OSError
        If the file cannot be written. An older file of the same name is then as it was.
    ImportError
        If the package onnx is not installed.

    See Also
    --------
    from_onnx : The other way.
    export_numpy : Write a Python file that needs NumPy alone.

    Examples
    --------
    Writing a model needs the package onnx:

    >>> import numpy as np
    >>> from lightrnn import RNNClassifier, to_onnx
    >>> rng = np.random.default_rng(0)
    >>> X, y = [rng.normal(size=(T, 3)).astype(np.float32) for T in (5, 2, 4)], [0, 1, 0]
    >>> estimator = RNNClassifier("gru", (4,), random_state=0).fit(X, y)
    >>> to_onnx(estimator, "model.onnx")  # doctest: +SKIP

    Running it needs onnxruntime. The sequences are filled up to one array:

    >>> lengths = np.array([len(x) for x in X])
    >>> filled = np.zeros((len(X), lengths.max(), 3), np.float32)
    >>> for row, x in zip(filled, X):
    ...     row[: len(x)] = x
    >>> session = onnxruntime.InferenceSession("model.onnx")  # doctest: +SKIP
    >>> state = np.zeros((len(X), session.get_inputs()[2].shape[1]), np.float32)  # doctest: +SKIP
    >>> feeds = {"X": filled, "seq_lens": lengths, "state": state}  # doctest: +SKIP
    >>> probabilities, state = session.run(None, feeds)  # doctest: +SKIP
    """
    summary = summarize(estimator)
    check_cell(summary, ("ffnn", *OPERATORS), "an ONNX model")
    size = 4 * sum(array.size for array in summary.weights.values())  # in float32
    if size > _MOST_BYTES:
        raise ValueError(
            "estimator must have weights of less than 2 GiB, which is what an ONNX file can hold, "
            f"got {size / 2**30:.1f} GiB. Use save, or a smaller network."
        )
    model = ModelBuilder(summary).model()
    add_description(model, summary, last_step(estimator)._model)
    with replacing(path) as file:
        file.write(model.SerializeToString())

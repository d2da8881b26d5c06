"""`export_c`: a fitted estimator as a C99 file and its header."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..losses import softmax
from ..utils.checks import choice, flag, shown
from ..utils.files import StrPath, path_text, replacing
from .c_header import effect, header
from .c_program import Program
from .c_text import quantized
from .summary import Summary, check_cell, last_step, summarize

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# Random sequences on which the effect of 8 bits is measured, and their steps.
_SEQUENCES = 32
_STEPS = 50


class ExportedC(NamedTuple):
    """Sizes of what `export_c` wrote.

    Attributes
    ----------
    flash_bytes : int
        Bytes of the constants; those of the code, one to three kilobytes, come on top.
    state_bytes : int
        Bytes of the state of one stream.
    stack_bytes : int
        Bytes of local arrays during a step.
    multiply_adds : int
        Products that are added in a step, or if the network reads patches, in a patch.
    error : float
        The greatest change of an output by ``quantize=True``, on random sequences: of a
        probability, or of a number in deviations of y. Without it 0.
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        The estimator that predicts as the C code does: with ``quantize=True`` a copy, whose score
        on test data shows what is lost.
    """

    flash_bytes: int
    state_bytes: int
    stack_bytes: int
    multiply_adds: int
    error: float
    estimator: Any


def export_c(
    estimator: Any,
    path: StrPath,
    *,
    dtype: str = "float32",
    quantize: bool = False,
    name: str | None = None,
) -> ExportedC:
    """Write a fitted estimator as a C99 file and its header, for microcontrollers and programs.

    The code needs nothing but <math.h>, allocates nothing and has no global state but constants. A
    stream keeps its memory in a ``model_state``: ``model_reset`` begins it, and ``model_step``
    reads one step and answers for all steps so far. ``model_predict`` reads a whole sequence. The
    header says how large and how costly all of it is, and what inputs and outputs mean. The code
    compiles as C++, too. Its outputs are the probabilities of `predict_proba`, or what `predict` of
    a regressor returns.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        The fitted estimator, which may not be bidirectional; or a Pipeline of `SequenceScaler` and
        such an estimator, whose scaler goes into the file.
    path : str or path-like
        The file to write, such as "model.c"; its header "model.h" is written beside it.
    dtype : {"float32", "float64"}, default="float32"
        Whether the code computes in float or in double. Features and targets whose mean is more
        than a thousand times their deviation are passed as double in any case, since a float would
        lose their digits.
    quantize : bool, default=False
        Whether the matrices are stored in 8 bits, in a quarter of the memory: each row is made of
        integers from -127 to 127 and a scale. The change of the outputs is printed.
    name : str or None, default=None
        The beginning of all public names in C; None takes the name of the file.

    Returns
    -------
    exported : ExportedC
        Bytes of flash, state and stack, multiply-adds of a step, and the effect of 8 bits.

    Raises
    ------
    NotFittedError
        If the estimator was not fitted.
    TypeError
        If `estimator` is not an estimator of lightrnn, or `quantize` not a bool.
    ValueError
        If the estimator is bidirectional, if `path` does not end in ".c" or its name is not one of
        C, or if a weight is not finite in `dtype`.
    OSError
        If a file cannot be written. Older files of the same names are then as they were.

    See Also
    --------
    export_numpy : Write a Python file that needs NumPy alone.
    to_onnx : Write an ONNX model, which runs without Python.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from lightrnn import RNNClassifier, export_c
    >>> X, y = [np.ones((3, 2)), np.zeros((5, 2))], ["up", "down"]
    >>> estimator = RNNClassifier("gru", (4,), random_state=0).fit(X, y)
    >>> path = os.path.join(tempfile.mkdtemp(), "model.c")
    >>> exported = export_c(estimator, path)
    >>> exported.flash_bytes, exported.state_bytes, exported.multiply_adds
    (416, 16, 80)
    """
    summary = summarize(estimator)
    check_cell(summary, ("ffnn", "rnn", "gru", "lstm"), "a C file")
    if summary.bidirectional:
        raise ValueError(
            "estimator must have bidirectional=False for a C file, got True. The backward "
            "direction begins at the end, which a stream has not reached; fit with "
            "bidirectional=False."
        )
    dtype = choice("dtype", dtype, ("float32", "float64"))
    quantize = flag("quantize", quantize)
    file = Path(path_text(path))
    name = _checked_name(file, name)
    program = Program(summary, name, np.dtype(dtype), quantize)
    rounded = estimator
    error = 0.0
    if quantize:
        rounded = _quantized(estimator, np.dtype(dtype))
        error = _difference(last_step(estimator), last_step(rounded))
    form = last_step(estimator)._model.form
    names = None if form is None or form.is_table else form.feature_names
    beside = file.with_suffix(".h")
    code = program.code(beside.name)
    with replacing(file) as source:
        source.write(code.encode())
        source.flush()
        # Both are complete before the first of them takes its place.
        with replacing(beside) as declarations:
            declarations.write(header(program, names, error if quantize else None).encode())
    if quantize:
        print(f"{file.name} has matrices in 8 bits. {effect(summary, error)}")
    return ExportedC(
        program.flash,
        program.state_bytes,
        program.scratch_bytes,
        program.multiply_adds,
        error,
        rounded,
    )


def _checked_name(file: Path, name: object) -> str:
    """Return the beginning of public names."""
    if file.suffix != ".c" or file.stem == "math":  # math.h is another file's name
        raise ValueError(f"path must name a C file, got {str(file)!r}. End it in .c: 'model.c'.")
    if name is None and not _NAME.fullmatch(file.stem):
        raise ValueError(
            f"path must be a name in C and .c, got {str(file)!r}. Use letters, digits and "
            "underscores, or give the name that functions begin with as `name`."
        )
    found = file.stem if name is None else name
    if not isinstance(found, str) or not _NAME.fullmatch(found):
        raise ValueError(
            f"name must be a name in C, got {shown(found)}. Use letters, digits and underscores."
        )
    return found


def _quantized(estimator: Any, dtype: np.dtype) -> Any:
    """Return a copy of the estimator whose matrices are those of 8 bits."""
    rounded = copy.deepcopy(estimator)
    network = last_step(rounded)._model.network
    arrays = network.arrays()
    for name, array in arrays.items():
        if array.ndim == 2:
            scale, integers = quantized(array.astype(dtype))
            arrays[name] = scale[:, None] * integers
    network.assign(arrays)
    return rounded


def _difference(estimator: Any, rounded: Any) -> float:
    """Return the greatest difference of outputs on random sequences like those of fit."""
    summary = summarize(estimator)
    X = _random_sequences(summary)
    found = []
    for each in (estimator, rounded):
        rows, _ = each._computed(each._model, X, "outputs")
        found.append(_link(each._model, rows, summary))
    return float(abs(found[0] - found[1]).max())


def _link(model: Any, rows: np.ndarray, summary: Summary) -> np.ndarray:
    """Return probabilities for raw outputs (N, k), and numbers as they are."""
    if summary.task == "numbers":
        return rows
    if summary.task == "language":
        return softmax(rows)
    return model.targets.loss().link(rows)


def _random_sequences(summary: Summary) -> list[np.ndarray]:
    """Return random sequences as the network reads them."""
    rng = np.random.default_rng(0)
    if summary.vocabulary is not None:
        V = len(summary.vocabulary.tokens)
        return list(rng.integers(min(1, V - 1), V, (_SEQUENCES, _STEPS)))
    x = rng.standard_normal((_SEQUENCES, _STEPS, summary.n_features))
    standardization = summary.standardization
    if standardization is not None:
        inputs = standardization.tiled(summary.patch)
        x = inputs.mean + inputs.scale * x
    return list(x)

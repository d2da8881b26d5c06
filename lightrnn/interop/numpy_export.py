"""`export_numpy`: a fitted estimator as a Python file that needs NumPy and nothing else.

The file's code is not kept in strings: it is that of `numpy_layers.py` and `numpy_model.py`, two
modules that are written for all models at once and copied here for one. Of an outer `if` on
constants only the branch of the model is copied, a constant gets the model's value, and unused code
is left out.
"""

from __future__ import annotations

import ast
import base64
import errno
import hashlib
import inspect
import io
import json
import keyword
import os
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..utils.checks import flag
from ..utils.files import StrPath, path_text, replacing
from .summary import Summary, check_cell, described, summarize

# The cells for which `numpy_layers.py` has code.
_CELLS = ("ffnn", "rnn", "gru", "lstm")
# The functions of a file that its users call, by the model's task.
_PUBLIC = {
    "classes": ("predict", "predict_proba"),
    "labels": ("predict", "predict_proba"),
    "numbers": ("predict",),
    "language": ("predict_proba", "predict_next"),
}
# Modules that a script in the same folder would hide from NumPy.
_TAKEN = sys.stdlib_module_names | {"numpy"}
_MAIN = "__main__"  # stands for the `if` at the end of a file, which every file has
_WIDTH = 100  # columns of the written file, as in the two modules


def export_numpy(
    estimator: Any,
    path: StrPath,
    *,
    inline: bool = False,
) -> None:
    """Write a fitted estimator as a Python file that predicts with NumPy alone.

    The file is made to be read: it has one function per layer and one per stage of the network, and
    only the code that this model needs. It runs on Python 3.9 or later, also as a script on a
    ``.npy`` of sequences: ``python model.py X.npy``. Its predictions equal the estimator's up to
    rounding. It computes one sequence at a time, so many sequences take longer.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        The fitted estimator, or a Pipeline of `SequenceScaler` and an estimator, whose scaler goes
        into the file. The file has its `predict` and `predict_proba`; for a language model
        `predict_proba` and `predict_next`.
    path : str or path-like
        The file to write, such as "model.py". It can be imported, so its name consists of letters,
        digits and "_".
    inline : bool, default=False
        Whether to put the weights into the file itself, as base64. Otherwise they are written to a
        second file with the same name and the suffix ".weights.npz"; the first one refuses any
        other weights than those it was written with.

    Raises
    ------
    NotFittedError
        If the estimator was not fitted.
    TypeError
        If `estimator` is not an estimator of lightrnn, or `inline` not a bool.
    ValueError
        If `path` is not the name of a Python module, or too long a name for that of the weights, if
        labels are integers of more than 64 bits, or if a weight is not finite.
    OSError
        If a file cannot be written. Older files of the same names are then as they were.

    See Also
    --------
    to_onnx : Write an ONNX model, which runs without Python.

    Examples
    --------
    >>> import os, runpy, tempfile
    >>> import numpy as np
    >>> from lightrnn import RNNClassifier, export_numpy
    >>> X, y = [np.ones((3, 2)), np.zeros((5, 2))], ["up", "down"]
    >>> estimator = RNNClassifier("gru", (4,), random_state=0).fit(X, y)
    >>> path = os.path.join(tempfile.mkdtemp(), "model.py")
    >>> export_numpy(estimator, path)
    >>> model = runpy.run_path(path)  # or `import model`, in the file's folder
    >>> model["predict"](X).tolist()
    ['up', 'down']
    """
    summary = summarize(estimator)
    check_cell(summary, _CELLS, "a Python file")
    inline = flag("inline", inline)
    file = Path(path_text(path))
    name = file.stem
    if file.suffix != ".py" or not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(
            f"path must name a Python module, got {os.fspath(path)!r}. "
            "Use letters, digits and underscores, and end it in .py: 'model.py'."
        )
    if name in _TAKEN:
        raise ValueError(
            f"path must name a module of its own, got {os.fspath(path)!r}, which would stand in "
            "for Python's or NumPy's. Choose another name: 'model.py'."
        )
    beside = file.with_suffix(".weights.npz")
    # A name that is too long in itself is an error of its own, when it is written.
    if not inline and _is_too_long(beside) and not _is_too_long(file):
        raise ValueError(
            "path must be a name to which .weights.npz can be added in place of .py, got one of "
            f"{len(file.name)} characters. Choose a shorter one, or inline=True."
        )
    buffer = io.BytesIO()
    save = np.savez_compressed if inline else np.savez
    save(buffer, **_arrays(summary))
    weights = buffer.getvalue()
    text = _program(summary, file.name, weights, inline)
    with replacing(file) as program:
        program.write(text.encode())
        if not inline:
            # Both are complete before the first of them takes its place.
            program.flush()
            with replacing(beside) as arrays:
                arrays.write(weights)


def _is_too_long(path: Path) -> bool:
    """Return whether the file system has no names of this length."""
    try:
        path.lstat()
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    return False


def _arrays(summary: Summary) -> dict[str, Any]:
    """Return what the file reads: the weights, the labels or units of y, and the vocabulary."""
    arrays: dict[str, Any] = dict(summary.weights)
    classes = summary.classes
    if classes is not None:
        arrays["classes"] = _without_objects(classes) if classes.dtype.hasobject else classes
    if summary.mean is not None:
        arrays |= {"y_mean": summary.mean, "y_scale": summary.scale}
    if summary.standardization is not None:
        arrays["X_mean"] = summary.standardization.mean
        arrays["X_scale"] = summary.standardization.scale
    if summary.fill is not None:
        arrays["X_fill"] = summary.fill
    if summary.vocabulary is not None:
        # As JSON, since NumPy's arrays of text drop zero characters at the end of a token.
        listed = json.dumps(summary.vocabulary.tokens.tolist())
        arrays["vocabulary"] = np.frombuffer(listed.encode(), np.uint8)
    return arrays


def _without_objects(labels: np.ndarray) -> np.ndarray:
    """Return labels that are objects as an array of text or integers, which needs no pickle."""
    plain = np.array(labels.tolist())
    if plain.dtype.hasobject:
        raise ValueError(
            "estimator must have text or integers of 64 bits as labels, "
            f"got {labels.tolist()[-1]}. Fit it on others."
        )
    return plain


# -- the program ----------------------------------------------------------------------------------


class _Statement(NamedTuple):
    """A statement of the two modules and the text that it becomes."""

    node: ast.stmt
    text: str

    @property
    def kind(self) -> str:
        """The part of the file that it belongs to; long values and actions come last."""
        if isinstance(self.node, ast.Import | ast.ImportFrom):
            return "import"
        if isinstance(self.node, ast.FunctionDef):
            return "function"
        constant = isinstance(self.node, ast.Assign) and isinstance(self.node.value, ast.Constant)
        return "value" if constant and "\n" not in self.text else "action"

    @property
    def defines(self) -> set[str]:
        """The names that it defines."""
        if isinstance(self.node, ast.FunctionDef):
            return {self.node.name}
        if isinstance(self.node, ast.Import | ast.ImportFrom):
            return {alias.asname or alias.name for alias in self.node.names}
        if isinstance(self.node, ast.If):  # it is left for when the file runs
            return {_MAIN}
        return _names(self.node, ast.Store)

    @property
    def reads(self) -> set[str]:
        """The names that it uses."""
        return _names(self.node, ast.Load)


def _names(node: ast.AST, context: type[ast.expr_context]) -> set[str]:
    """Return the names that are stored or loaded within a node."""
    names = (inner for inner in ast.walk(node) if isinstance(inner, ast.Name))
    return {name.id for name in names if isinstance(name.ctx, context)}


def _program(summary: Summary, name: str, weights: bytes, inline: bool) -> str:
    """Return the text of the file, with the weights in it or a digest of their file."""
    # They are imported here because this is the only use of them: their code is not run.
    from . import numpy_layers, numpy_model

    constants = _constants(summary, weights, inline)
    statements: list[_Statement] = []
    for template in (numpy_layers, numpy_model):
        statements += _selected(inspect.getsource(template), constants)
    texts: dict[str, list[str]] = {"import": [], "value": [], "function": [], "action": []}
    for statement in _needed(statements, _PUBLIC[summary.task]):
        texts[statement.kind].append(statement.text)
    imports = sorted(set(texts["import"]), key=_import_order)
    numpy = imports.index("import numpy as np")
    opening = [
        f'"""{_description(summary, name, inline)}"""',
        "\n".join(imports[:numpy]),
        "\n".join(imports[numpy:]),
        "\n".join(texts["value"]),
    ]
    blocks = ["\n\n".join(filter(None, opening)), *texts["function"], "\n\n".join(texts["action"])]
    return "\n\n\n".join(blocks) + "\n"


def _import_order(text: str) -> tuple[bool, bool, str]:
    """Return a key that sorts imports as linters do: NumPy last, ``from`` after ``import``."""
    return "numpy" in text, text.startswith("from"), text


def _constants(summary: Summary, weights: bytes, inline: bool) -> dict[str, Any]:
    """Return the model's values of the two modules' constants."""
    vocabulary = summary.vocabulary
    return {
        "CELL": summary.cell,
        "BIDIRECTIONAL": summary.bidirectional,
        "POOLING": summary.pooling,
        "HEAD": summary.head,
        "HEAD_DEPTH": len(summary.head_units),
        "ACTIVATION": summary.head_activation,
        "STORE": "text" if inline else "file",
        "DEPTH": len(summary.layers),
        "BASE64": base64.b64encode(weights).decode() if inline else "",
        "SHA256": hashlib.sha256(weights).hexdigest(),
        "TASK": summary.task,
        "STEP": summary.step,
        "TOKENS": vocabulary.kind if vocabulary else "number",
        "MARKS_APART": vocabulary is not None and vocabulary.marks_apart,
        "FEATURES": summary.step_features,
        "PATCH": summary.patch,
        "MISSING": summary.fill is not None,
        "STANDARDIZED": summary.standardization is not None,
        "OUTPUTS": summary.n_outputs,
        "QUANTILES": len(summary.quantiles or ()),
        "SPECIAL": vocabulary.n_special if vocabulary else 0,
        "RESULT": summary.result.name,
    }


def _selected(source: str, constants: dict[str, Any]) -> Iterator[_Statement]:
    """Yield a module's statements, of each `if` on constants those of the branch taken."""
    lines = source.splitlines()

    def walk(nodes: Iterable[ast.stmt]) -> Iterator[_Statement]:
        for node in nodes:
            if isinstance(node, ast.If) and _names(node.test, ast.Load) <= constants.keys():
                test = compile(ast.Expression(node.test), "<template>", "eval")
                yield from walk(node.body if eval(test, dict(constants)) else node.orelse)
            elif not (isinstance(node, ast.ImportFrom) and node.level):  # one module, not two
                text = textwrap.dedent("\n".join(lines[node.lineno - 1 : node.end_lineno]))
                yield _Statement(node, _with_value(node, text, constants))

    return walk(ast.parse(source).body[1:])  # without the docstring


def _with_value(node: ast.stmt, text: str, constants: dict[str, Any]) -> str:
    """Return the text of a statement; a constant is assigned the model's value."""
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
        return text
    name = node.targets[0].id
    if name not in constants:
        return text
    value = constants[name]
    if name == "BASE64":
        value = "\n".join(value[start : start + _WIDTH] for start in range(0, len(value), _WIDTH))
        return f'{name} = """\n{value}\n"""'
    literal = json.dumps(value) if isinstance(value, str) else value
    return f"{name} = {literal}{text[node.value.end_col_offset :]}"  # its comment stays


def _needed(statements: list[_Statement], public: Iterable[str]) -> list[_Statement]:
    """Return the statements that are public or run, and those that they use, in order."""
    wanted = {_MAIN, *public}
    size = 0
    while len(wanted) > size:  # until nothing new is wanted
        size = len(wanted)
        for statement in statements:
            if statement.defines & wanted:
                wanted |= statement.reads
    return [statement for statement in statements if statement.defines & wanted]


# -- its first lines ------------------------------------------------------------------------------

_USAGE = (
    "Run as a script, this file reads sequences from a .npy, along its first axis, or from a .npz, "
    "one array per sequence. It prints its predictions, one line per sequence, or saves them:"
)
_RESULTS = {
    "classes": "`predict` returns labels, `predict_proba` the probability of each of "
    "WEIGHTS['classes'].",
    "labels": "`predict` returns 0 or 1 for each label, `predict_proba` each label's probability.",
    "numbers": "`predict` returns numbers, in the units of the data.",
    "language": "`predict_proba` returns the next token's probabilities, `predict_next` the "
    "likeliest tokens.",
}


def _description(summary: Summary, name: str, inline: bool) -> str:
    """Return the file's docstring: what it is, what it takes and how to use it."""
    beside = f"in {Path(name).stem}.weights.npz, in the same folder"
    place = "at the end of this file" if inline else beside
    paragraphs = [
        f"An {summary.estimator} that was trained with lightrnn, in NumPy alone.",
        f"{described(summary)} Its weights are {place}, by their names in lightrnn.",
        f"{_sequences(summary)} {_RESULTS[summary.task]} {_USAGE}",
    ]
    filled = [textwrap.fill(text, _WIDTH, break_long_words=False) for text in paragraphs]
    files = "X.npy [predictions.npy]"
    if summary.step:
        files = "X.npy [predictions.npz]"
    if summary.task == "language":
        files = "contexts.npy [probabilities.npy]"
    return "\n\n".join([*filled, f"    python {name} {files}\n"])


def _sequences(summary: Summary) -> str:
    """Return a sentence on the form of the sequences."""
    name = "`contexts`" if summary.task == "language" else "X"
    if summary.vocabulary is not None:
        forms = {
            "char": "texts, each of whose characters is a step",
            "word": "texts, each of whose words and punctuation marks is a step",
            "category": "lists of categories, one per step",
        }
        return f"{name} is a list of {forms[summary.vocabulary.kind]}."
    F = summary.step_features
    shape = f"(T, {F}), or (T,)," if F == 1 else f"(T, {F})"
    return (
        f"{name} is a list of arrays {shape} of any lengths T, one row per step, "
        f"or an array (n, T, {F})."
        + (" NaN are missing values." if summary.fill is not None else "")
    )

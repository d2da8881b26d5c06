"""`export_numpy`: a fitted estimator as a Python file that needs NumPy and nothing else.

The file's code is not kept in strings: it is that of `numpy_layers.py` and `numpy_model.py`, which are written for
all models at once, evaluated as far as the model is known. An outer `if` on constants gives way to the branch taken, a
constant gets the model's value, and what nothing reads is left out.
"""

from __future__ import annotations

import ast
import base64
import inspect
import io
import json
import os
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..utils.checks import flag
from .summary import Summary, summarize

_PUBLIC = {
    "classes": ("predict", "predict_proba"),
    "labels": ("predict", "predict_proba"),
    "numbers": ("predict",),
    "language": ("predict_proba", "predict_next"),
}
_WIDTH = 116


def export_numpy(estimator: Any, path: str | os.PathLike[str], *, inline: bool = False) -> None:
    """Write a fitted estimator as a Python file that predicts with NumPy alone.

    The file is made to be read: one function for a layer, one step of the network after the other, and only what this
    model needs. It runs on Python 3.9 or later, also as a script on a ``.npy`` of sequences: ``python model.py X.npy``.
    Its predictions are the estimator's up to rounding, one sequence at a time, so many of them take longer.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        Fitted. The file has its `predict` and `predict_proba`; for a language model `predict_proba` and `predict_next`.
    path : str or path-like
        The file to write, such as "model.py". It can be imported, so its name consists of letters, digits and "_".
    inline : bool
        Put the weights into the file itself, as base64. Otherwise they stand beside it: "model.weights.npz".

    Raises
    ------
    NotFittedError
        If the estimator was not fitted.
    TypeError
        If `estimator` is no estimator of lightrnn.
    ValueError
        If `path` is not the name of a Python module, or labels are integers of more than 64 bits.

    Examples
    --------
    >>> import os, runpy, tempfile
    >>> import numpy as np
    >>> from lightrnn import RNNClassifier, export_numpy
    >>> X, y = [np.ones((3, 2)), np.zeros((5, 2))], ["up", "down"]
    >>> estimator = RNNClassifier("gru", (4,), learning_rate="cosine", random_state=0).fit(X, y)
    >>> path = os.path.join(tempfile.mkdtemp(), "model.py")
    >>> export_numpy(estimator, path)
    >>> runpy.run_path(path)["predict"](X).tolist()
    ['up', 'down']
    """
    summary = summarize(estimator)
    inline = flag("inline", inline)
    file = Path(path)
    if file.suffix != ".py" or not file.stem.isidentifier():
        raise ValueError(
            f"path must name a Python module, got {os.fspath(path)!r}. Use letters, digits and underscores, and end it "
            "in .py: 'model.py'."
        )
    buffer = io.BytesIO()
    (np.savez_compressed if inline else np.savez)(buffer, **_arrays(summary))
    text = _program(summary, file.name, buffer.getvalue() if inline else None)
    if not inline:
        file.with_suffix(".weights.npz").write_bytes(buffer.getvalue())
    file.write_text(text, encoding="utf-8")


def _arrays(summary: Summary) -> dict[str, Any]:
    """Return what the file reads: weights, labels, and the vocabulary as JSON, since NumPy's text loses final zeros."""
    arrays: dict[str, Any] = dict(summary.weights)
    if summary.classes is not None:
        arrays["classes"] = (
            _plain(summary.classes) if summary.classes.dtype.hasobject else summary.classes
        )
    if summary.vocabulary is not None:
        arrays["vocabulary"] = np.frombuffer(
            json.dumps(summary.vocabulary.tokens.tolist()).encode(), np.uint8
        )
    return arrays


def _plain(labels: np.ndarray) -> np.ndarray:
    """Return labels that are objects as NumPy's own text."""
    plain = np.array(labels.tolist())
    if plain.dtype.hasobject:
        raise ValueError(
            f"estimator must have text or integers of 64 bits as labels, got {labels.tolist()[-1]}. Fit it on others."
        )
    return plain


# -- the program ------------------------------------------------------------------------------------------------------


class _Statement(NamedTuple):
    """A statement of a template and the text it becomes."""

    node: ast.stmt
    text: str

    @property
    def kind(self) -> str:
        """Where in the file it goes: what is long or does something comes last."""
        if isinstance(self.node, ast.Import | ast.ImportFrom):
            return "import"
        if isinstance(self.node, ast.FunctionDef):
            return "function"
        short = isinstance(self.node, ast.Assign) and isinstance(self.node.value, ast.Constant)
        return "value" if short and "\n" not in self.text else "action"

    @property
    def defines(self) -> set[str]:
        """Names that it gives a meaning."""
        if isinstance(self.node, ast.FunctionDef):
            return {self.node.name}
        if isinstance(self.node, ast.Import | ast.ImportFrom):
            return {alias.asname or alias.name for alias in self.node.names}
        return {node.id for node in _names(self.node) if isinstance(node.ctx, ast.Store)}

    @property
    def reads(self) -> set[str]:
        """Names whose meaning it needs."""
        return {node.id for node in _names(self.node) if isinstance(node.ctx, ast.Load)}


def _names(node: ast.AST) -> Iterator[ast.Name]:
    return (inner for inner in ast.walk(node) if isinstance(inner, ast.Name))


def _program(summary: Summary, name: str, weights: bytes | None) -> str:
    """Compose the file."""
    from . import numpy_layers, numpy_model

    constants = _constants(summary, weights)
    statements = [
        statement
        for template in (numpy_layers, numpy_model)
        for statement in _chosen(inspect.getsource(template), constants)
    ]
    kept = _needed(statements, _PUBLIC[summary.task])
    texts = {
        kind: [s.text for s in kept if s.kind == kind]
        for kind in ("import", "value", "function", "action")
    }
    imports = sorted(set(texts["import"]), key=_import_order)
    numpy = imports.index("import numpy as np")
    blocks = [
        "\n".join(lines) for lines in (imports[:numpy], imports[numpy:], texts["value"]) if lines
    ]
    opening = "\n\n".join([f'"""{_description(summary, name, weights is not None)}"""', *blocks])
    return "\n\n\n".join([opening, *texts["function"], "\n\n".join(texts["action"])]) + "\n"


def _import_order(text: str) -> tuple[bool, bool, str]:
    """Sort as linters do: NumPy last, ``from`` after ``import``."""
    return "numpy" in text, text.startswith("from"), text


def _constants(summary: Summary, weights: bytes | None) -> dict[str, Any]:
    """Return the templates' constants for a model."""
    vocabulary = summary.vocabulary
    return {
        "CELL": summary.cell,
        "BIDIRECTIONAL": summary.bidirectional,
        "HEAD": summary.head,
        "STORE": "file" if weights is None else "text",
        "DEPTH": len(summary.layers),
        "WINDOW": summary.window,
        "BASE64": base64.b64encode(weights or b"").decode(),
        "TASK": summary.task,
        "STEP": summary.step,
        "TOKENS": vocabulary.kind if vocabulary else "number",
        "FEATURES": summary.n_features,
        "OUTPUTS": summary.n_outputs,
        "SPECIAL": vocabulary.n_special if vocabulary else 0,
        "RESULT": summary.result.name,
    }


def _chosen(source: str, constants: dict[str, Any]) -> Iterator[_Statement]:
    """Yield a template's statements, those of the branches taken, with the constants' values."""
    lines = source.splitlines()

    def walk(nodes: Iterable[ast.stmt]) -> Iterator[_Statement]:
        for node in nodes:
            if (
                isinstance(node, ast.If)
                and {inner.id for inner in _names(node.test)} <= constants.keys()
            ):
                test = compile(ast.Expression(node.test), "<template>", "eval")
                yield from walk(node.body if eval(test, dict(constants)) else node.orelse)
            elif not (isinstance(node, ast.ImportFrom) and node.level):
                text = textwrap.dedent("\n".join(lines[node.lineno - 1 : node.end_lineno]))
                yield _Statement(node, _valued(node, text, constants))

    return walk(ast.parse(source).body[1:])


def _valued(node: ast.stmt, text: str, constants: dict[str, Any]) -> str:
    """Return the text of a statement; that of a constant with the model's value."""
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
        return text
    name, end = node.targets[0].id, node.value.end_col_offset
    if name not in constants:
        return text
    value = constants[name]
    if name == "BASE64":
        value = "\n".join(value[start : start + _WIDTH] for start in range(0, len(value), _WIDTH))
        return f'{name} = """\n{value}\n"""'
    return f"{name} = {json.dumps(value) if isinstance(value, str) else value}{text[end:]}"


def _needed(statements: list[_Statement], public: Iterable[str]) -> list[_Statement]:
    """Return the statements that are run or public, and those that they need, in order."""
    wanted = set(public)
    wanted.update(*(s.reads for s in statements if isinstance(s.node, ast.If)))
    size = 0
    while len(wanted) > size:
        size = len(wanted)
        wanted.update(*(s.reads for s in statements if s.defines & wanted))
    return [s for s in statements if s.defines & wanted or isinstance(s.node, ast.If)]


# -- its first lines --------------------------------------------------------------------------------------------------


def _description(summary: Summary, name: str, inline: bool) -> str:
    """Say what the file is, what it takes and how to use it."""
    place = (
        "at the end of this file"
        if inline
        else f"in {Path(name).stem}.weights.npz beside this file"
    )
    files = (
        "contexts.npy [probabilities.npy]"
        if summary.task == "language"
        else "X.npy [predictions.npy]"
    )
    if summary.step:
        files = "X.npy [predictions.npz]"
    paragraphs = [
        f"An {summary.estimator} that was trained with lightrnn, in NumPy alone.",
        f"{_network(summary)} Its weights are {place}, by their names in lightrnn.",
        f"{_form(summary)} {_RESULTS[summary.task]} {_FILES}",
    ]
    filled = "\n\n".join(
        textwrap.fill(paragraph, _WIDTH, break_long_words=False) for paragraph in paragraphs
    )
    return f"{filled}\n\n    python {name} {files}\n"


_FILES = (
    "Run as a script, this file reads a .npy whose first axis is the sequences', or a .npz with one array a sequence, "
    "and prints what it predicts, one line a sequence, or saves it:"
)
_RESULTS = {
    "classes": "`predict` returns labels, `predict_proba` the probability of each of WEIGHTS['classes'].",
    "labels": "`predict` returns 0 or 1 for each label, `predict_proba` each one's probability.",
    "numbers": "`predict` returns numbers, in the units of the data.",
    "language": "`predict_proba` returns the next token's probabilities, `predict_next` the likeliest tokens.",
}


def _network(summary: Summary) -> str:
    """Describe the network."""
    cell = ("a " if summary.cell == "gru" else "an ") + summary.cell
    window = f" over the last {summary.window} steps" if summary.window else ""
    ways = ", read from both ends" if summary.bidirectional else ""
    sizes = " -> ".join(map(str, [summary.n_features, *summary.units, summary.n_outputs]))
    return f"The network is {cell}{window}{ways}, from inputs to outputs {sizes}."


def _form(summary: Summary) -> str:
    """Say what the sequences are."""
    what = "`contexts` is a list of" if summary.task == "language" else "X is a list of"
    if summary.vocabulary is not None:
        return {
            "char": f"{what} texts, each of whose characters is a step.",
            "word": f"{what} texts; every word and punctuation mark is a step.",
            "category": f"{what} lists of categories, one a step.",
        }[summary.vocabulary.kind]
    F = summary.n_features
    either = f"(T, {F}), or (T,)," if F == 1 else f"(T, {F})"
    return f"{what} arrays {either} of any lengths T, one row a step, or an array (n, T, {F})."

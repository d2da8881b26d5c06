"""Recurrent networks with the interface of scikit-learn, compiled by Numba.

``RNNClassifier().fit(X, y)`` takes sequences of unequal length as they are;
``cell="ffnn" | "rnn" | "gru" | "lstm"`` is one argument of the same estimator. Importing compiles
nothing and loads neither numba nor scipy; the first fit of a cell compiles it for some seconds.

Classify sequences, label their steps, predict numbers, write text, forecast series:

>>> import numpy as np
>>> from lightrnn import RNNClassifier
>>> X = [np.full((length, 2), length % 2.0) for length in range(4, 24)]
>>> model = RNNClassifier("gru", (8,), max_iter=5, random_state=0).fit(X, [len(x) % 2 for x in X])
>>> model.predict(X[:2]).shape
(2,)

- ``RNNClassifier``, ``RNNRegressor``: one target per sequence, or per step; numbers, text, video.
- ``RNNForecaster``: the next steps of one series or thousands, with intervals.
- ``RNNLanguageModel``: the next character or word.
- ``load`` reads what ``save`` wrote; ``from_torch``, ``from_keras``, ``from_onnx``, ``to_onnx``,
  ``export_numpy`` and ``export_c`` bring models in and out.
- ``lightrnn.inspection`` measures what a net remembers and which feature mattered at which step,
  ``lightrnn.plotting`` draws it, ``lightrnn.datasets`` has data to try.
- ``python -m lightrnn compare data.npz --html report.html`` says which net suits your data.

``help(lightrnn.RNNClassifier)`` explains the arguments, ``lightrnn.inspection.describe(model)``
what was fitted. The README has tables of what to write for what; ``examples/README.md`` has tasks,
questions and all names.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .estimators import RNNClassifier, RNNLanguageModel, RNNRegressor, load
from .forecasting import RNNForecaster

if TYPE_CHECKING:
    from .interop.c_export import export_c
    from .interop.convert import from_keras, from_torch
    from .interop.numpy_export import export_numpy
    from .interop.onnx import to_onnx
    from .interop.onnx_import import from_onnx

__all__ = [
    "RNNClassifier",
    "RNNForecaster",
    "RNNLanguageModel",
    "RNNRegressor",
    "__version__",
    "export_c",
    "export_numpy",
    "from_keras",
    "from_onnx",
    "from_torch",
    "load",
    "to_onnx",
]

# Public names that are imported when they are first used: most programs need none of them, and
# without the files of `interop` `import lightrnn` takes an eighth less time (31 instead of 35 ms).
_MODULES = (
    "datasets",
    "exceptions",
    "inspection",
    "metrics",
    "plotting",
    "preprocessing",
    "training",
)
_CONVERTERS = {
    "export_c": "c_export",
    "export_numpy": "numpy_export",
    "from_keras": "convert",
    "from_onnx": "onnx_import",
    "from_torch": "convert",
    "to_onnx": "onnx",
}

# A pickle names a class by its module: the public one stays, wherever the code moves.
for _estimator in (RNNClassifier, RNNForecaster, RNNLanguageModel, RNNRegressor):
    _estimator.__module__ = __name__


def __getattr__(name: str) -> Any:
    """Import a public module, or a function of `interop`, when it is first named."""
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _CONVERTERS:
        return getattr(import_module(f"{__name__}.interop.{_CONVERTERS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted([*__all__, *_MODULES])

"""lightrnn: recurrent networks for people who live in scikit-learn and plain scripts.

``RNNClassifier().fit(X, y)`` takes sequences of unequal length as they are; ``cell="ffnn" | "rnn" | "gru" | "lstm"`` is
one argument of the same estimator. Importing compiles nothing.
"""

from ._onnx import to_onnx
from ._version import __version__
from .conversion import from_keras, from_torch
from .estimators import RNNClassifier, RNNRegressor
from .export import export_numpy
from .language import RNNLanguageModel
from .persistence import load

__all__ = [
    "RNNClassifier",
    "RNNLanguageModel",
    "RNNRegressor",
    "__version__",
    "export_numpy",
    "from_keras",
    "from_torch",
    "load",
    "to_onnx",
]

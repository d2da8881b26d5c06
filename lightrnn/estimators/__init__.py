"""The estimators: recurrent networks with scikit-learn's interface."""

from .classifier import RNNClassifier
from .language import RNNLanguageModel
from .persistence import load
from .regressor import RNNRegressor

__all__ = ["RNNClassifier", "RNNLanguageModel", "RNNRegressor", "load"]

"""The estimators: recurrent networks with scikit-learn's interface."""

from ._classifier import RNNClassifier
from ._regressor import RNNRegressor

__all__ = ["RNNClassifier", "RNNRegressor"]

"""Two baselines without a network, which any network should beat."""

from __future__ import annotations

import numpy as np

from ..losses import cross_entropy
from ..utils.scales import usable_scale

# Ridge per sample: large enough that features without variation leave the system regular, small
# beside the standardised features.
_PENALTY = 1e-3


class Naive:
    """A constant or the last value, whichever is the usual guess.

    For classes it predicts the most frequent one; for numbers the last value of each sequence if
    there is one feature, otherwise the mean of the targets.
    """

    def fit(self, X: list[np.ndarray], y: np.ndarray) -> Naive:
        """Choose the prediction, and the constant if it is one."""
        self.n_parameters_ = 1
        if y.dtype.kind != "f":
            self.name = "majority"
            classes, counts = np.unique(y, return_counts=True)
            self.constant = classes[counts.argmax()]
        elif X[0].shape[1] > 1:
            self.name = "mean"
            self.constant = y.mean()
        else:
            self.name = "last value"
            self.n_parameters_ = 0
        return self

    def predict(self, X: list[np.ndarray]) -> np.ndarray:
        """Return one prediction per sequence."""
        if self.name == "last value":
            return np.array([x[-1, 0] for x in X], np.float64)
        return np.full(len(X), self.constant)


class SummaryLinear:
    """A linear model with a small ridge on six summaries of each feature.

    The summaries are mean, standard deviation, minimum, maximum, first and last value.
    """

    name = "summary + linear"

    def fit(self, X: list[np.ndarray], y: np.ndarray) -> SummaryLinear:
        """Minimise the squared error, or the cross-entropy of classes."""
        features = np.array([_summary(x) for x in X])  # (n, 6 * F)
        self.mean = features.mean(axis=0)
        self.scale = usable_scale(features.std(axis=0), abs(features).max(axis=0))
        Z = self._design(features)
        self.classes = None if y.dtype.kind == "f" else np.unique(y)
        if self.classes is None:
            ridge = _PENALTY * len(y) * np.eye(Z.shape[1])
            self.W = np.linalg.solve(Z.T @ Z + ridge, Z.T @ y)
        else:
            self.W = _logistic(Z, np.searchsorted(self.classes, y), len(self.classes))
        self.n_parameters_ = self.W.size
        return self

    def predict(self, X: list[np.ndarray]) -> np.ndarray:
        """Return numbers, or the most probable classes."""
        raw = self._design(np.array([_summary(x) for x in X])) @ self.W
        return raw if self.classes is None else self.classes[raw.argmax(axis=1)]

    def _design(self, features: np.ndarray) -> np.ndarray:
        """Return the standardised features and a column of ones for the intercept."""
        return np.column_stack([(features - self.mean) / self.scale, np.ones(len(features))])


def _summary(x: np.ndarray) -> np.ndarray:
    """Return the summaries of a sequence (T, F), shape (6 * F,)."""
    x = np.asarray(x, np.float64)
    return np.concatenate(
        [x.mean(axis=0), x.std(axis=0), x.min(axis=0), x.max(axis=0), x[0], x[-1]]
    )


def _logistic(Z: np.ndarray, codes: np.ndarray, k: int) -> np.ndarray:
    """Return the weights of a softmax regression over k classes, fitted by L-BFGS."""
    from scipy.optimize import minimize

    weights = np.full(len(Z), 1 / len(Z))  # so that the loss is a mean

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        W = flat.reshape(-1, k)
        loss, gradient = cross_entropy(Z @ W, codes, weights)
        dW = Z.T @ gradient + _PENALTY * W
        return loss + _PENALTY / 2 * flat @ flat, dW.ravel()

    found = minimize(objective, np.zeros(Z.shape[1] * k), jac=True, method="L-BFGS-B")
    return np.reshape(found.x, (-1, k))

"""The shap package explains our estimators on tables, where it is installed."""

import numpy as np
import pytest
from helpers.fitted import QUICK

from lightrnn import RNNClassifier, RNNRegressor


def test_shap_explains_a_table():
    shap = pytest.importorskip("shap", reason="another package explains the predictions")
    X = np.random.default_rng(0).normal(size=(30, 6))
    for model, output in (
        (RNNRegressor("gru", (4,), **QUICK).fit(X, X[:, 2]), "predict"),
        (RNNClassifier("gru", (4,), **QUICK).fit(X, X[:, 2] > 0), "predict_proba"),
    ):
        predict = getattr(model, output)
        found = shap.Explainer(predict, X[:4])(X[:2], silent=True)
        sums = found.values.sum(axis=1) + found.base_values
        np.testing.assert_allclose(sums, predict(X[:2]), atol=1e-5)

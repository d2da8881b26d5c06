"""The estimators are classifiers and regressors to the pipelines of sktime and aeon."""

import numpy as np
import pytest

from lightrnn import RNNClassifier, RNNRegressor
from lightrnn.preprocessing import as_sequences

pytestmark = pytest.mark.filterwarnings("ignore")
X = np.random.default_rng(0).normal(size=(8, 1, 12))
CASES = [(RNNClassifier, np.array(["a", "b"] * 4)), (RNNRegressor, np.arange(8.0))]
BRIEF = {"hidden_layer_sizes": 3, "max_iter": 1, "random_state": 0}


@pytest.mark.parametrize(("kind", "y"), CASES)
def test_sktime(kind, y):
    pytest.importorskip("sktime")
    from sktime.pipeline import make_pipeline
    from sktime.transformations.series.exponent import ExponentTransformer

    transformer = ExponentTransformer()
    for pipeline in (transformer * kind(**BRIEF), make_pipeline(transformer, kind(**BRIEF))):
        found = pipeline.fit(X, y).predict(X)
        assert found.shape == (8,) and pipeline.get_tag("object_type") == kind._kind


@pytest.mark.parametrize(("kind", "y"), CASES)
def test_aeon(kind, y):
    pytest.importorskip("aeon")
    from aeon.pipeline import make_pipeline
    from aeon.transformations.collection import Normalizer
    from sklearn.preprocessing import FunctionTransformer

    steps = FunctionTransformer(as_sequences, kw_args={"form": "aeon"})
    pipeline = make_pipeline(Normalizer(), steps, kind(**BRIEF)).fit(X, y)
    assert pipeline.predict(X).shape == (8,) and pipeline.steps_[-1][1].n_features_in_ == 1

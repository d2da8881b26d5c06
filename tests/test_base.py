"""scikit-learn's contract, with and without scikit-learn, kept by a linear readout."""

import copy
import linecache
import pickle
import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from lightrnn import RNNClassifier, exceptions
from lightrnn.base import BaseEstimator, TransformerMixin, check_is_fitted
from lightrnn.data import feature_names
from lightrnn.data.form import Form
from lightrnn.data.labels import read_labels
from lightrnn.data.sample_weight import check_sample_weight
from lightrnn.data.sequences import as_sequences
from lightrnn.data.targets import read_numbers


class Nested(BaseEstimator):
    """An estimator with an estimator as argument."""

    def __init__(self, inner=None, size=3, *, name="a", values=(1, 2)):
        self.inner, self.size, self.name, self.values = inner, size, name, values


class Readout(TransformerMixin, BaseEstimator):
    """Least squares on a sequence's mean, or on a table's columns: a smallest estimator."""

    n_iter_ = 1

    def __init__(self, alpha=1e-6):
        self.alpha = alpha

    def fit(self, X, y, sample_weight=None):
        sequences = as_sequences(X, np.float64)
        weights = check_sample_weight(sample_weight, sequences.lengths, step=False)
        targets, Y = self._learn(y, sequences.lengths, weights)
        self._form = Form.of(sequences)
        self._replace_results(**self._form.attributes())
        self.targets_ = targets
        self._n_features_out = self.n_features_in_ + 1
        Z, w = self._states(sequences), np.sqrt(weights)[:, None]
        Y = np.eye(targets.n_outputs)[Y] if Y.ndim == 1 else Y
        self.W_ = np.linalg.solve(
            Z.T @ (Z * w**2) + self.alpha * np.eye(Z.shape[1]), Z.T @ (Y * w**2)
        )
        return self

    def _states(self, sequences):
        summaries = [
            item.ravel() if sequences.is_table else item.mean(axis=0) for item in sequences.items
        ]
        return np.column_stack([np.ones(len(summaries)), *np.array(summaries, dtype=np.float64).T])

    def _outputs(self, X):
        check_is_fitted(self)
        return self._states(self._form.read(type(self).__name__, X, np.float64)) @ self.W_

    def transform(self, X):
        check_is_fitted(self)
        return self._contained(self._states(self._form.read(type(self).__name__, X, np.float64)), X)


class ReadoutClassifier(Readout):
    """Classify by the greatest output."""

    _kind = "classifier"

    def _learn(self, y, lengths, weights):
        targets, codes = read_labels(y, lengths)
        targets.require_enough(codes, weights)
        return targets, codes

    @property
    def classes_(self):
        return self.targets_.classes_

    def predict(self, X):
        outputs = self._outputs(X)
        return self.targets_.decode(outputs - 0.5 * self.targets_.is_multilabel)

    def score(self, X, y, sample_weight=None):
        right = np.asarray(y) == self.predict(X)
        return float(np.average(right, weights=sample_weight))


class ReadoutRegressor(Readout):
    """Predict the output."""

    _kind = "regressor"

    def _learn(self, y, lengths, weights):
        return read_numbers(y, lengths, weights=weights, dtype=np.float64)

    def predict(self, X):
        outputs = self._outputs(X)
        return self.targets_.decode(outputs * self.targets_.scale + self.targets_.mean)

    def score(self, X, y, sample_weight=None):
        y = np.asarray(y, dtype=np.float64)
        return float(1 - ((y - self.predict(X)) ** 2).sum() / ((y - y.mean()) ** 2).sum())


X = np.random.default_rng(0).normal(size=(30, 4))
Y = (X[:, 0] > 0).astype(int)


def test_parameters_come_from_the_signature():
    inner = Nested(size=7)
    outer = Nested(inner)
    assert list(outer.get_params(deep=False)) == ["inner", "size", "name", "values"]
    assert outer.get_params()["inner__size"] == 7 and outer.get_params()["inner"] is inner
    assert outer.set_params(inner__size=9, name="b") is outer
    assert (inner.size, outer.size, outer.name) == (9, 3, "b")
    outer.set_params(inner=Nested(size=1), inner__name="c")
    assert (outer.inner.size, outer.inner.name, inner.name) == (1, "c", "a")
    assert Nested(Nested).get_params()["inner"] is Nested


def test_an_unknown_parameter_is_named_and_nothing_is_set():
    nested = Nested()
    with pytest.raises(
        ValueError,
        match=r"Invalid parameter 'sizes' for estimator Nested\(\). Valid parameters are: \['in",
    ):
        nested.set_params(size=5, sizes=4)
    assert nested.size == 3


def test_repr_shows_what_differs_from_the_default():
    assert repr(Nested()) == "Nested()"
    assert (
        repr(Nested(Nested(), name="b", values=np.arange(2)))
        == "Nested(inner=Nested(), name='b', values=array([0, 1]))"
    )
    assert repr(Nested(size=float("nan"))) == "Nested(size=nan)"


def test_a_method_before_fit_is_an_error():
    for error in (exceptions.NotFittedError, ValueError, AttributeError):
        with pytest.raises(
            error, match=r"This ReadoutClassifier instance is not fitted yet. Call 'fit'"
        ):
            ReadoutClassifier().predict(X)
    assert ReadoutClassifier().fit(X, Y).predict(X).shape == (30,)


def test_output_names_are_numbered():
    fitted = ReadoutClassifier().fit(X, Y)
    assert fitted.get_feature_names_out().tolist() == [f"readoutclassifier{i}" for i in range(5)]
    assert len(fitted.get_feature_names_out(["a", "b", "c", "d"])) == 5
    with pytest.raises(
        ValueError, match="input_features should have length equal to number of features"
    ):
        fitted.get_feature_names_out(["a"])
    with pytest.raises(exceptions.NotFittedError):
        ReadoutClassifier().get_feature_names_out()


def test_output_may_be_a_frame():
    pandas = pytest.importorskip("pandas", reason="pandas is optional")
    frame = pandas.DataFrame(X, columns=list("abcd"), index=range(5, 35))
    fitted = ReadoutClassifier().fit(frame, Y).set_output(transform="pandas")
    result = fitted.transform(frame)
    assert list(result.columns) == list(fitted.get_feature_names_out()) and list(
        result.index
    ) == list(range(5, 35))
    assert fitted._contained([X], X) == [X]
    assert isinstance(fitted.set_output(transform=None).transform(frame), pandas.DataFrame)
    assert isinstance(fitted.set_output(transform="default").transform(frame), np.ndarray)
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        fitted.get_feature_names_out(list("abce"))
    with pytest.raises(
        ValueError, match="transform must be one of 'default', 'pandas', 'polars', got 'arrow'"
    ):
        fitted.set_output(transform="arrow")


def test_output_in_polars():
    polars = pytest.importorskip("polars", reason="makes DataFrames")
    fitted = ReadoutClassifier().fit(X, Y)
    states = fitted.transform(X)
    frame = fitted.set_output(transform="polars").transform(X)
    assert isinstance(frame, polars.DataFrame) and np.array_equal(frame.to_numpy(), states)
    assert frame.columns == list(fitted.get_feature_names_out())


class Columns:
    """Stand-in for the DataFrame of polars, which not every environment has."""

    def __init__(self, data, schema, orient):
        self.data = data
        self.schema = schema
        self.orient = orient


def test_polars_is_given_rows_and_names(monkeypatch):
    fitted = ReadoutClassifier().fit(X, Y)
    array = fitted.transform(X)
    fitted.set_output(transform="polars")
    monkeypatch.setitem(sys.modules, "polars", SimpleNamespace(DataFrame=Columns))
    frame = fitted.transform(X)
    assert np.array_equal(frame.data, array) and frame.orient == "row"
    assert frame.schema == list(fitted.get_feature_names_out())
    monkeypatch.setitem(sys.modules, "polars", None)  # as if it were not installed
    with pytest.raises(ImportError, match=r"'polars' requires polars to be installed. Run: python"):
        fitted.transform(X)


@pytest.mark.parametrize(
    "names", [["d", "c", "b", "a"], ["a", "b", "c", "x"], ["a", "b", "c"], list("abcdefghijk")]
)
def test_other_names_than_in_fit_are_spelled_out(names):
    fitted = np.array(["a", "b", "c", "d"], dtype=object)
    with pytest.raises(
        ValueError, match=r"^The feature names should match those that were passed during fit"
    ) as caught:
        feature_names.check_feature_names("Nested", fitted, np.array(names, dtype=object))
    text = str(caught.value)
    assert ("must be in the same order" in text) == (sorted(names) == list("abcd"))
    assert ("unseen at fit time:\n- " in text) == (not set(names) <= set("abcd"))
    assert ("yet now missing:\n- d\n" in text) == ("d" not in names)
    assert ("- ...\n" in text) == (len(names) > 9)


def test_metadata_is_requested_method_by_method():
    classifier = ReadoutClassifier().set_fit_request(sample_weight=True)
    assert classifier._metadata_request == {"fit": {"sample_weight": True}}
    classifier.set_score_request(sample_weight="w").set_fit_request(sample_weight="$UNCHANGED$")
    assert classifier._metadata_request == {
        "fit": {"sample_weight": True},
        "score": {"sample_weight": "w"},
    }
    assert not hasattr(classifier, "set_predict_request")
    with pytest.raises(
        TypeError,
        match=r"set_fit_request must be given some of \['sample_weight'\], got \['weights'\]",
    ):
        classifier.set_fit_request(weights=True)
    assert copy.deepcopy(classifier)._metadata_request is not classifier._metadata_request


def test_without_scikit_learn_nothing_of_it_is_imported():
    code = """
import sys
sys.modules["sklearn"] = sys.modules["pandas"] = None  # importing them fails
import numpy as np
from lightrnn import base, exceptions
from lightrnn.data import labels, sequences
class E(base.BaseEstimator):
    def __init__(self, a=1): self.a = a
try:
    base.check_is_fitted(E(a=2))
except exceptions.NotFittedError as error:
    assert type(error) is exceptions.NotFittedError
X = sequences.as_sequences([[1, 2], [3]])
labels.read_labels(["a", "b"], X.lengths)
loaded = [name for name in ("numba", "scipy", "llvmlite", "matplotlib") if name in sys.modules]
assert not loaded, loaded
print(E(a=2), repr(E().set_params(a=1)))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.stdout == "E(a=2) E()\n", result.stderr


@pytest.mark.parametrize("name", ["NotFittedError", "ConvergenceWarning", "DataConversionWarning"])
def test_exceptions_are_ours_and_scikit_learns(name):
    theirs = pytest.importorskip("sklearn.exceptions", reason="scikit-learn is optional")
    joined = exceptions.resolve(getattr(exceptions, name))
    assert issubclass(joined, getattr(theirs, name)) and issubclass(
        joined, getattr(exceptions, name)
    )
    assert joined is exceptions.resolve(getattr(exceptions, name)) and joined.__name__ == name
    error = pickle.loads(pickle.dumps(joined("text")))
    assert type(error) is joined and str(error) == "text"


def test_a_warning_points_at_the_caller():
    def warns():
        exceptions.warn(exceptions.ConvergenceWarning, "text")

    with pytest.warns(exceptions.ConvergenceWarning, match="text") as caught:
        warns()
    assert (
        linecache.getline(caught[0].filename, caught[0].lineno)
        .strip()
        .startswith("exceptions.warn(")
    )


@pytest.mark.parametrize(
    "estimator", [ReadoutClassifier(), ReadoutRegressor()], ids=lambda e: type(e).__name__
)
def test_scikit_learns_suite_passes(estimator, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    estimator_checks = pytest.importorskip(
        "sklearn.utils.estimator_checks", reason="scikit-learn is optional"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = estimator_checks.check_estimator(estimator, on_fail=None, on_skip=None)
    failed = {
        r["check_name"]: r["exception"] for r in results if r["status"] not in ("passed", "skipped")
    }
    assert not failed
    assert sum(r["status"] == "passed" for r in results) > 45
    estimator_checks.check_dataframe_column_names_consistency("Readout", estimator)


def test_scikit_learns_tools_take_the_estimator():
    sklearn = pytest.importorskip("sklearn", reason="scikit-learn is optional")
    from sklearn.base import clone, is_classifier
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline

    assert is_classifier(ReadoutClassifier())
    ragged = [row[:, None][: 2 + i % 3].repeat(2, axis=1) for i, row in enumerate(X)]
    assert cross_val_score(ReadoutClassifier(), ragged, Y, cv=3).mean() > 0.5
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = clone(
            ReadoutClassifier()
            .set_fit_request(sample_weight=True)
            .set_score_request(sample_weight=False)
        )
        assert classifier._metadata_request["fit"] == {"sample_weight": True}
        search = GridSearchCV(classifier, {"alpha": [1e-6, 1.0]}, cv=3).fit(
            X, Y, sample_weight=np.ones(30)
        )
        assert search.best_score_ > 0.5
        with pytest.raises(Exception, match="sample_weight"):
            GridSearchCV(ReadoutClassifier(), {"alpha": [1.0]}, cv=3).fit(
                X, Y, sample_weight=np.ones(30)
            )
    pipeline = make_pipeline(ReadoutClassifier()).set_output(transform="default")
    assert "ReadoutClassifier" in pipeline._repr_html_()
    with sklearn.config_context(transform_output="pandas"):
        pytest.importorskip("pandas", reason="pandas is optional")
        assert ReadoutClassifier().fit(X, Y).transform(X).columns[0] == "readoutclassifier0"


# -- notebooks ------------------------------------------------------------------------------------


def test_notebooks_show_a_diagram_or_a_table(monkeypatch):
    model = RNNClassifier(cell="lstm", tokens="<b>")
    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    bundle = model._repr_mimebundle_()
    assert bundle["text/plain"] == repr(model) and bundle["text/html"] == model._repr_html_()
    assert "RNNClassifier, not fitted" in bundle["text/html"]
    assert "&lt;b&gt;" in bundle["text/html"] and "<b>" not in bundle["text/html"]

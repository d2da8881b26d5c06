"""scikit-learn's contract, with and without scikit-learn."""

import copy
import linecache
import pickle
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from lightrnn import RNNClassifier, exceptions
from lightrnn.base import BaseEstimator
from lightrnn.data import feature_names


class Nested(BaseEstimator):
    """An estimator with an estimator as argument."""

    def __init__(self, inner=None, size=3, *, name="a", values=(1, 2)):
        self.inner, self.size, self.name, self.values = inner, size, name, values


X = np.random.default_rng(0).normal(size=(30, 4))
Y = (X[:, 0] > 0).astype(int)
QUICK = {"hidden_layer_sizes": (5,), "bidirectional": False, "max_iter": 1, "random_state": 0}


def fitted(X=X):
    return RNNClassifier("rnn", **QUICK).fit(X, Y)


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
            error, match=r"This RNNClassifier instance is not fitted yet. Call 'fit'"
        ):
            RNNClassifier().predict(X)


def test_output_names_are_numbered():
    model = fitted()
    assert model.get_feature_names_out().tolist() == [f"rnnclassifier{i}" for i in range(5)]
    assert len(model.get_feature_names_out(["a", "b", "c", "d"])) == 5
    with pytest.raises(
        ValueError, match="input_features should have length equal to number of features"
    ):
        model.get_feature_names_out(["a"])
    with pytest.raises(exceptions.NotFittedError):
        RNNClassifier().get_feature_names_out()


def test_output_may_be_a_frame():
    pandas = pytest.importorskip("pandas", reason="pandas is optional")
    frame = pandas.DataFrame(X, columns=list("abcd"), index=range(5, 35))
    model = fitted(frame).set_output(transform="pandas")
    result = model.transform(frame)
    assert list(result.columns) == list(model.get_feature_names_out())
    assert list(result.index) == list(range(5, 35))
    assert model._contained([X], X) == [X]
    assert isinstance(model.set_output(transform=None).transform(frame), pandas.DataFrame)
    assert isinstance(model.set_output(transform="default").transform(frame), np.ndarray)
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        model.get_feature_names_out(list("abce"))
    with pytest.raises(
        ValueError, match="transform must be one of 'default', 'pandas', 'polars', got 'arrow'"
    ):
        model.set_output(transform="arrow")


def test_output_in_polars():
    polars = pytest.importorskip("polars", reason="makes DataFrames")
    model = fitted()
    states = model.transform(X)
    frame = model.set_output(transform="polars").transform(X)
    assert isinstance(frame, polars.DataFrame) and np.array_equal(frame.to_numpy(), states)
    assert frame.columns == list(model.get_feature_names_out())


class Columns:
    """Stand-in for the DataFrame of polars, which not every environment has."""

    def __init__(self, data, schema, orient):
        self.data = data
        self.schema = schema
        self.orient = orient


def test_polars_is_given_rows_and_names(monkeypatch):
    model = fitted()
    array = model.transform(X)
    model.set_output(transform="polars")
    monkeypatch.setitem(sys.modules, "polars", SimpleNamespace(DataFrame=Columns))
    frame = model.transform(X)
    assert np.array_equal(frame.data, array) and frame.orient == "row"
    assert frame.schema == list(model.get_feature_names_out())
    monkeypatch.setitem(sys.modules, "polars", None)  # as if it were not installed
    with pytest.raises(ImportError, match=r"'polars' requires polars to be installed. Run: python"):
        model.transform(X)


@pytest.mark.parametrize(
    "names", [["d", "c", "b", "a"], ["a", "b", "c", "x"], ["a", "b", "c"], list("abcdefghijk")]
)
def test_other_names_than_in_fit_are_spelled_out(names):
    known = np.array(["a", "b", "c", "d"], dtype=object)
    with pytest.raises(
        ValueError, match=r"^The feature names should match those that were passed during fit"
    ) as caught:
        feature_names.check_feature_names("Nested", known, np.array(names, dtype=object))
    text = str(caught.value)
    assert ("must be in the same order" in text) == (sorted(names) == list("abcd"))
    assert ("unseen at fit time:\n- " in text) == (not set(names) <= set("abcd"))
    assert ("yet now missing:\n- d\n" in text) == ("d" not in names)
    assert ("- ...\n" in text) == (len(names) > 9)


def test_metadata_is_requested_method_by_method():
    classifier = RNNClassifier().set_fit_request(sample_weight=True)
    assert classifier._metadata_request == {"fit": {"sample_weight": True}}
    classifier.set_score_request(sample_weight="w").set_fit_request(sample_weight="$UNCHANGED$")
    assert classifier._metadata_request == {
        "fit": {"sample_weight": True},
        "score": {"sample_weight": "w"},
    }
    assert not hasattr(classifier, "set_predict_request")
    with pytest.raises(
        TypeError,
        match=r"set_fit_request must be given some of \['sample_weight', .*\], got \['weights'\]",
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


def test_scikit_learns_configuration_decides_on_the_output():
    sklearn = pytest.importorskip("sklearn", reason="scikit-learn is optional")
    pytest.importorskip("pandas", reason="pandas is optional")
    with sklearn.config_context(transform_output="pandas"):
        assert fitted().transform(X).columns[0] == "rnnclassifier0"


def test_scikit_learns_check_of_column_names_passes():
    checks = pytest.importorskip("sklearn.utils.estimator_checks", reason="runs its check")
    model = RNNClassifier("rnn", **QUICK)
    checks.check_dataframe_column_names_consistency("RNNClassifier", model)


# -- notebooks ------------------------------------------------------------------------------------


def test_notebooks_show_a_diagram_or_a_table(monkeypatch):
    model = RNNClassifier(cell="lstm", tokens="<b>")
    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    bundle = model._repr_mimebundle_()
    assert bundle["text/plain"] == repr(model) and bundle["text/html"] == model._repr_html_()
    assert "RNNClassifier, not fitted" in bundle["text/html"]
    assert "&lt;b&gt;" in bundle["text/html"] and "<b>" not in bundle["text/html"]

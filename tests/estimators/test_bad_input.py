"""Bad X, y and weights are refused, and the estimator stays as it was before the call."""

import warnings

import numpy as np
import pytest
from helpers.refusal import QUICK, STEPS, X, Y, refuses, sequences, state
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lightrnn import RNNClassifier, RNNRegressor


@pytest.fixture(params=[RNNClassifier, RNNRegressor])
def estimator(request):
    return request.param(**QUICK)


# -- X ---------------------------------------------------------------------------------------------


def with_value(value, where):
    data = [x.copy() for x in X]
    data[where[0]][where[1:]] = value
    return data


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(estimator, value):
    bad = with_value(value, (3, 2, 1))
    refuses(estimator, "fit", bad, Y, match=r"X\[3\] must be finite, got .* at step 2, feature 1")
    fitted = estimator.fit(X, Y)
    for method in ("predict", "transform"):
        with pytest.raises(ValueError, match=r"X\[3\] must be finite"):
            getattr(fitted, method)(bad)


def test_missing_values_have_a_remedy(estimator):
    refuses(estimator, "fit", with_value(np.nan, (0, 0, 0)), Y, match="missing")


def test_value_too_large_for_float32(estimator):
    bad = with_value(1e300, (1, 0, 0))
    refuses(estimator, "fit", bad, Y, match=r"X\[1\] must be finite, .* float32: .*dtype='float64'")


@pytest.mark.parametrize(
    ("bad", "error", "match"),
    [
        ([], ValueError, "at least one sequence"),
        (np.zeros((0, 3, 2)), ValueError, "at least one sequence"),
        ([*X[:5], np.zeros((0, 2))], ValueError, r"X\[5\] must have at least one step, got 0"),
        ([*X[:5], np.zeros((4, 3))], ValueError, r"X\[5\] must have 2 features like X\[0\], got 3"),
        (np.zeros((6, 3, 0)), ValueError, r"0 feature\(s\)"),
        ([x + 1j for x in X], ValueError, "Complex data not supported"),
        (np.zeros((6, 3, 2), complex), ValueError, "Complex data not supported"),
        ([x.astype(str) for x in X], TypeError, r"X\[0\] must hold numbers, got text"),
        ("text", TypeError, "text"),
        (None, TypeError, "X must be"),
        (3.0, (TypeError, ValueError), "X must be"),
        ([[[1, 2], [3]], *X[1:]], ValueError, r"X\[0\] must be rectangular"),
        (np.zeros(6), ValueError, "Reshape your data"),
        ([{"a": 1}] * 6, TypeError, r"X\[0\] must"),
        ([None] * 6, (TypeError, ValueError), r"X\[0\] must"),
    ],
    ids=str,
)
def test_x_of_another_kind(estimator, bad, error, match):
    refuses(estimator, "fit", bad, Y, error=error, match=match)


def test_sparse_x(estimator):
    sparse = pytest.importorskip("scipy.sparse").csr_array(np.eye(6))
    refuses(estimator, "fit", sparse, Y, error=TypeError, match="[Ss]parse")
    refuses(estimator, "fit", X, sparse, error=TypeError, match="Sparse data was passed for y")


def test_other_features_than_in_fit(estimator):
    fitted = estimator.fit(X, Y)
    before = state(fitted)
    for method in ("predict", "transform"):
        with pytest.raises(
            ValueError, match=r"X has 3 features, but RNN.* is expecting 2 features as input"
        ):
            getattr(fitted, method)(sequences(F=3))
    with pytest.raises(ValueError, match="is expecting 2 features"):
        fitted.partial_fit(sequences(F=3), Y)
    assert state(fitted) == before


# -- y and weights ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        (Y[:5], "X has 6 sequences but y has 5"),
        (None, "requires y to be passed, but the target y is None"),
        ([[0], [1, 0], [0], [1], [0], [1]], "y must"),
        ([0, 1, 0, 1, 0, np.nan], "NaN"),
        ([0, 1, 0, 1, 0, 1j], "Complex data not supported"),
        (np.zeros((6, 0)), "y must"),
    ],
    ids=str,
)
def test_y_that_does_not_fit_x(estimator, bad, match):
    refuses(estimator, "fit", X, bad, match=match)


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        ([1] * 6, "1 class"),
        ([0.5, 1.5, 0.5, 1.5, 0.5, 1.5], "Unknown label type"),
        (np.arange(12).reshape(6, 2), "Unknown label type"),
        ([0, "a", 0, "a", 0, "a"], "y must be all"),
        ([None, 1, 0, 1, 0, 1], "label"),
    ],
    ids=str,
)
def test_labels(bad, match):
    refuses(RNNClassifier(**QUICK), "fit", X, bad, error=(ValueError, TypeError), match=match)


def test_step_targets_of_another_length():
    for estimator in (RNNClassifier(**QUICK, target="step"), RNNRegressor(**QUICK, target="step")):
        bad = [*STEPS[:4], STEPS[4][:-1], STEPS[5]]
        refuses(estimator, "fit", X, bad, match=rf"y\[4\] must have {len(X[4])} entries")
        refuses(estimator, "fit", X, Y, error=(ValueError, TypeError), match=r"y\[0\] must")


def test_unseen_labels():
    fitted = RNNClassifier(**QUICK).partial_fit(X, Y, classes=[0, 1])
    before = state(fitted)
    with pytest.raises(ValueError, match=r"y must hold labels of the classes .*got 7 in row 2"):
        fitted.partial_fit(X, [0, 1, 7, 1, 0, 1])
    with pytest.raises(ValueError, match=r"classes must stay \[0, 1\]"):
        fitted.partial_fit(X, Y, classes=[0, 1, 2])
    assert state(fitted) == before
    with pytest.raises(ValueError, match="got 1 in row 1"):
        RNNClassifier(**QUICK).partial_fit(X, Y, classes=[0, 2])
    with pytest.raises(TypeError, match=r"classes must be .*got {0, 1}. Give a list of all labels"):
        RNNClassifier(**QUICK).partial_fit(X, Y, classes={0, 1})


REGRESSOR_SCORED = [
    (["a"] * 6, TypeError, "y must hold numbers, got text: 'a'"),
    ([1.0, np.nan, 0, 0, 0, 0], ValueError, "Input y contains NaN: .* in row 1"),
    (np.ones((6, 2)), ValueError, "y must have 1 outputs as in fit, got 2"),
    (np.ones((6, 1, 1)), ValueError, "y must have one or two axes"),
    ([1.0] * 5, ValueError, "X has 6 sequences but y has 5"),
    ([[1.0], [1, 2], [1], [1], [1], [1]], ValueError, "y must be rectangular"),
    (5, TypeError, "y must be an array"),
    (None, ValueError, "the target y is None"),
]
CLASSIFIER_SCORED = [
    (list("ababab"), ValueError, r"y must hold labels of the classes \[0, 1\], got text"),
    ([1, None, 0, 0, 0, 0], ValueError, "y must have no missing labels, got None in row 1"),
    ([1.0, np.nan, 0, 0, 0, 0], ValueError, "Input y contains NaN"),
    (np.ones((6, 2), int), ValueError, "y must be one label a row"),
    ([0.5] * 6, ValueError, "Unknown label type: continuous"),
    ([1] * 5, ValueError, "X has 6 sequences but y has 5"),
]


@pytest.mark.parametrize(
    ("kind", "y", "error", "match"),
    [(RNNRegressor, *case) for case in REGRESSOR_SCORED]
    + [(RNNClassifier, *case) for case in CLASSIFIER_SCORED],
    ids=str,
)
def test_score_reads_y_as_fit_does(kind, y, error, match):
    with pytest.raises(error, match=match):
        kind(**QUICK).fit(X, Y).score(X, y)


def test_score_reads_the_y_of_steps_and_columns_as_fit_does():
    for kind in (RNNClassifier, RNNRegressor):
        fitted = kind(**QUICK, target="step").fit(X, STEPS)
        bad = [*STEPS[:4], STEPS[4][:-1], STEPS[5]]
        with pytest.raises(ValueError, match=rf"y\[4\] must have {len(X[4])} entries"):
            fitted.score(X, bad)
        with pytest.raises((ValueError, TypeError), match="y"):
            fitted.score(X, Y)
    labels = np.eye(2, dtype=int)[Y]
    with pytest.raises(ValueError, match="y must be 0/1 indicators with 2 columns"):
        RNNClassifier(**QUICK).fit(X, labels).score(X, labels + 1)
    wide = RNNRegressor(**QUICK).fit(X, labels)
    with pytest.raises(ValueError, match="y must have 2 outputs as in fit, got 1"):
        wide.score(X, Y)


def test_forms_of_y_score_alike_and_a_label_that_was_not_seen_is_wrong():
    fitted = RNNRegressor(**QUICK).fit(X, Y)
    column = np.array(Y, dtype=float)[:, None]
    assert fitted.score(X, Y) == fitted.score(X, column) == fitted.score(X, tuple(Y))
    labelled = RNNClassifier(**QUICK).fit(X, Y)
    assert labelled.score(X, [7] * 6) == 0 and labelled.score(X, column) == labelled.score(X, Y)


def test_predictions_that_are_not_finite_are_not_scored():
    fitted = RNNRegressor(**QUICK).fit(X, Y)
    fitted._model.network.parameters[:] = np.nan
    with pytest.raises(ValueError, match="finite"):
        fitted.score(X, Y)


@pytest.mark.parametrize(
    ("weights", "match"),
    [
        ([1.0] * 5, "X has 6 sequences but sample_weight has 5"),
        ([0.0] * 6, "class"),
        ([1, 1, 1, 1, 1, -1], "sample_weight must not be negative"),
        ([1, 1, 1, 1, 1, np.nan], "sample_weight"),
        ([1, 1, 1, 1, 1, np.inf], "sample_weight"),
        (np.ones((6, 2)), "sample_weight must be 1-D"),
    ],
    ids=str,
)
def test_sample_weight(estimator, weights, match):
    refuses(estimator, "fit", X, Y, weights, match=match)


def test_one_class_left():
    refuses(
        RNNClassifier(**QUICK),
        "fit",
        X,
        Y,
        [1, 0, 1, 0, 1, 0],
        match="at least two classes .* one class",
    )
    refuses(RNNClassifier(**QUICK, class_weight={0: 0}), "fit", X, Y, match="at least two classes")


@pytest.mark.parametrize(
    "class_weight", [{5: 1.0}, {0: -1}, {0: np.nan}, "none", 3, {0: "a"}], ids=str
)
def test_class_weight(class_weight):
    model = RNNClassifier(**QUICK, class_weight=class_weight)
    refuses(model, "fit", X, Y, error=(ValueError, TypeError), match="class_weight")


def test_validation_data(estimator):
    refuses(estimator, "fit", X, Y, X_val=X, match="y_val must be given")
    refuses(estimator, "fit", X, Y, y_val=Y, match="X_val must be given")
    refuses(
        estimator, "fit", X, Y, X_val=sequences(F=3), y_val=Y, match="X_val must have 2 features"
    )
    refuses(estimator, "fit", X, Y, X_val=X[:5], y_val=Y, match="X has 5 sequences but y_val has 6")
    refuses(
        estimator,
        "fit",
        X,
        Y,
        X_val=with_value(np.nan, (1, 0, 0)),
        y_val=Y,
        match=r"X_val\[1\] must be finite",
    )


def test_validation_data_of_another_form(estimator):
    pandas = pytest.importorskip("pandas", reason="pandas is optional")
    table = np.random.default_rng(0).normal(size=(6, 5))
    refuses(
        estimator, "fit", table, Y, X_val=table[:, :3], y_val=Y, match="is expecting 5 features"
    )
    one = [x[:, :1] for x in X]
    refuses(estimator, "fit", one, Y, X_val=table, y_val=Y, match="put it in a list")
    frames = [pandas.DataFrame(x, columns=["u", "v"]) for x in X]
    swapped = [frame[["v", "u"]] for frame in frames]
    with pytest.raises(ValueError, match=r"in the same order .*\n.*\['u', 'v'\]"):
        estimator.fit(frames, Y, X_val=swapped, y_val=Y)
    with pytest.warns(UserWarning, match="X_val does not have valid feature names"):
        estimator.fit(frames, Y, X_val=X, y_val=Y)


def test_too_few_sequences_to_hold_out():
    refuses(
        RNNRegressor(**QUICK, early_stopping=True),
        "fit",
        X[:1],
        Y[:1],
        match="at least 2 sequences",
    )


# -- anything at all -------------------------------------------------------------------------------

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 5),
    st.floats(),
    st.text(max_size=3),
    st.complex_numbers(),
)
LISTS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4), max_leaves=12)
NUMBERS = st.lists(
    st.lists(st.lists(st.floats(width=16), min_size=0, max_size=2), min_size=0, max_size=3),
    min_size=0,
    max_size=4,
)
ARRAYS = st.lists(
    hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)),
    max_size=4,
)
GARBAGE = st.one_of(LISTS, NUMBERS, ARRAYS)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    X=st.one_of(GARBAGE, st.just(X)),
    y=st.one_of(GARBAGE, st.just(Y)),
    weights=st.one_of(st.none(), GARBAGE),
    step=st.booleans(),
)
def test_no_data_crash(X, y, weights, step):
    for kind in (RNNClassifier, RNNRegressor):
        model = kind("rnn", **QUICK, target="step" if step else "sequence")
        before = state(model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                model.fit(X, y, weights)
            except (ValueError, TypeError):
                assert state(model) == before
            else:
                assert np.isfinite(model.weights_["head.b"]).all()

"""Classifier and regressor: forms of X and y, validation, attributes and options."""

import numpy as np
import pytest

from lightrnn import RNNClassifier, RNNRegressor, load
from lightrnn.utils.indexing import object_array

CELLS = ("ffnn", "rnn", "gru", "lstm")
BRIEF = {"hidden_layer_sizes": (4,), "max_iter": 3, "learning_rate": "cosine", "random_state": 0}


def data(n=24, F=3, seed=0, longest=9):
    """Ragged sequences, a label for each and for each step, and numbers likewise."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(length, F)) for length in rng.integers(1, longest, n)]
    return X, np.array([x[:, 0].sum() for x in X])


X, SUMS = data()
LABELS = np.where(SUMS > 0, "up", "down")
STEP_LABELS = [(x[:, 0] > 0).astype(int) for x in X]
STEP_SUMS = [np.cumsum(x[:, 0]) for x in X]


def same_weights(a, b):
    """Tell whether two estimators have the same weights, bit for bit."""
    a, b = a.weights_, b.weights_
    return list(a) == list(b) and all(a[name].tobytes() == b[name].tobytes() for name in a)


# -- forms of y ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "labels",
    [LABELS, LABELS.astype(object), LABELS == "up", (LABELS == "up") * 7 - 3.0],
    ids=lambda x: str(x.dtype),
)
def test_labels_of_any_kind(labels, dtype):
    model = RNNClassifier(
        "gru",
        (8,),
        max_iter=60,
        learning_rate="cosine",
        learning_rate_init=0.02,
        random_state=0,
        dtype=dtype,
    )
    model.fit(X, labels)
    assert np.array_equal(model.classes_, np.unique(labels)) and model.n_outputs_ == 2
    predicted = model.predict(X)
    assert predicted.shape == (24,) and predicted.dtype == labels.dtype
    assert model.score(X, labels) == np.mean(predicted == labels) > 0.9
    proba = model.predict_proba(X)
    assert proba.shape == (24, 2) and proba.dtype == dtype
    assert np.allclose(proba.sum(axis=1), 1, atol=1e-6)
    assert np.array_equal(model.classes_[proba.argmax(axis=1)], predicted)
    assert np.array_equal(np.log(proba), model.predict_log_proba(X))


def test_a_label_for_each_step():
    model = RNNClassifier(
        "rnn",
        (8,),
        target="step",
        max_iter=60,
        learning_rate="cosine",
        learning_rate_init=0.02,
        random_state=0,
    )
    model.fit(X, STEP_LABELS)
    predicted, proba = model.predict(X), model.predict_proba(X)
    assert [len(p) for p in predicted] == [len(x) for x in X] == [len(p) for p in proba]
    right = np.concatenate(predicted) == np.concatenate(STEP_LABELS)
    assert model.score(X, STEP_LABELS) == right.mean() > 0.95
    weights = [np.arange(len(x)) + 1.0 for x in X]
    assert np.isclose(
        model.score(X, STEP_LABELS, weights), np.average(right, weights=np.concatenate(weights))
    )
    assert [p.shape for p in model.predict_log_proba(X)] == [(len(x), 2) for x in X]


def test_an_object_array_gives_results_of_steps_in_one():
    model = RNNClassifier(**BRIEF, target="step").fit(object_array(X), object_array(STEP_LABELS))
    for method in (model.predict, model.predict_proba, model.predict_log_proba, model.transform):
        listed = method(X)
        found = method(object_array(X))
        assert isinstance(listed, list) and found.dtype == object and found.shape == (len(X),)
        assert all(map(np.array_equal, found, listed))
    assert model.score(object_array(X), STEP_LABELS) == model.score(X, STEP_LABELS)


def test_multilabel():
    indicators = np.column_stack([SUMS > 0, SUMS > -1, np.array([len(x) > 4 for x in X])]).astype(
        int
    )
    model = RNNClassifier(
        "lstm", (8,), max_iter=80, learning_rate="cosine", learning_rate_init=0.03, random_state=0
    )
    model.fit(X, indicators)
    predicted, proba = model.predict(X), model.predict_proba(X)
    assert predicted.shape == proba.shape == (24, 3) and set(np.unique(predicted)) <= {0, 1}
    assert np.array_equal(predicted, proba > 0.5) and not np.allclose(proba.sum(axis=1), 1)
    assert model.score(X, indicators) == (predicted == indicators).all(axis=1).mean() > 0.8
    assert model.classes_.tolist() == [0, 1, 2]


def test_multilabel_for_each_step():
    indicators = [np.column_stack([labels, 1 - labels]) for labels in STEP_LABELS]
    model = RNNClassifier(
        "rnn",
        (8,),
        target="step",
        max_iter=60,
        learning_rate="cosine",
        learning_rate_init=0.02,
        random_state=0,
    )
    model.fit(X, indicators)
    assert [p.shape for p in model.predict(X)] == [(len(x), 2) for x in X]
    assert model.score(X, indicators) > 0.9


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
def test_regression(loss):
    model = RNNRegressor(
        "gru",
        (8,),
        loss=loss,
        max_iter=100,
        learning_rate="cosine",
        learning_rate_init=0.02,
        random_state=0,
    )
    y = 1000 + 50 * SUMS
    model.fit(X, y)
    predicted = model.predict(X)
    assert predicted.shape == (24,) and predicted.dtype == np.float64
    assert model.fit(X, y.astype(np.float32)).predict(X).dtype == np.float32
    residual = ((y - predicted) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    assert np.isclose(model.score(X, y), 1 - residual) and residual < 0.1


@pytest.mark.filterwarnings("ignore:Nothing was learned")  # X says nothing
def test_quantiles_are_what_they_say():
    rng = np.random.default_rng(0)
    y = rng.exponential(size=400)
    constant = np.ones((400, 1, 1))
    for quantile in (0.1, 0.5, 0.9):
        model = RNNRegressor(
            "rnn", (2,), loss="quantile", quantile=quantile, max_iter=60, learning_rate="cosine"
        )
        model.set_params(learning_rate_init=0.05, random_state=0).fit(constant, y)
        assert abs(np.mean(y < model.predict(constant[:1])) - quantile) < 0.04


def test_regression_with_several_outputs():
    y = np.column_stack([SUMS, 100 - 3 * SUMS, np.full(24, 7.0)])
    model = RNNRegressor(
        "gru", (8,), max_iter=100, learning_rate="cosine", learning_rate_init=0.02, random_state=0
    ).fit(X, y)
    predicted = model.predict(X)
    assert predicted.shape == (24, 3) and model.n_outputs_ == 3
    assert np.allclose(predicted[:, 2], 7.0, atol=0.5)
    assert np.allclose(predicted[:, 1], 100 - 3 * predicted[:, 0], atol=5.0)


def test_regression_at_each_step():
    model = RNNRegressor(
        "rnn",
        (8,),
        target="step",
        max_iter=100,
        learning_rate="cosine",
        learning_rate_init=0.02,
        random_state=0,
    )
    model.fit(X, STEP_SUMS)
    predicted = model.predict(X)
    assert [p.shape for p in predicted] == [(len(x),) for x in X]
    assert model.score(X, STEP_SUMS) > 0.9
    two = [np.column_stack([s, -s]) for s in STEP_SUMS]
    assert [p.shape for p in model.fit(X, two).predict(X)] == [(len(x), 2) for x in X]


def test_a_column_vector_is_taken_with_a_warning():
    with pytest.warns(UserWarning, match="column-vector y"):
        model = RNNRegressor(**BRIEF).fit(X, SUMS[:, None])
    assert model.predict(X).shape == (24,)


# -- forms of X ------------------------------------------------------------------------------------


def test_a_table_is_univariate_sequences():
    table = np.random.default_rng(0).normal(size=(24, 5))
    by_table = RNNRegressor(**BRIEF).fit(table, SUMS)
    by_array = RNNRegressor(**BRIEF).fit(table[:, :, None], SUMS)
    assert same_weights(by_table, by_array)
    assert by_table.n_features_in_ == 5 and by_array.n_features_in_ == 1
    with pytest.raises(ValueError, match="expecting 5 features"):
        by_table.predict(table[:, :4])
    assert by_array.predict(table[:, :4, None]).shape == (24,)


def test_frames_are_flattened():
    frames = [np.repeat(x[:, :, None], 2, axis=2) for x in X]
    flat = [frame.reshape(len(frame), -1) for frame in frames]
    assert same_weights(
        RNNRegressor(**BRIEF).fit(frames, SUMS), RNNRegressor(**BRIEF).fit(flat, SUMS)
    )


def test_inputs_are_never_written_to():
    items = [x.astype(np.float32) for x in X]
    for item in items:
        item.flags.writeable = False
    y = SUMS.copy()
    y.flags.writeable = False
    RNNRegressor(**BRIEF).fit(items, y).predict(items)


# -- validation ------------------------------------------------------------------------------------


def test_early_stopping_restores_the_best_weights():
    model = RNNClassifier(
        **BRIEF | {"max_iter": 30, "learning_rate_init": 0.05},
        early_stopping=True,
        validation_fraction=0.4,
        scoring="score",
    )
    model.fit(X, LABELS)
    assert len(model.validation_scores_) == model.n_iter_
    held_out = data(40, seed=1)
    truth = np.where(held_out[1] > 0, "up", "down")
    model.fit(X, LABELS, X_val=held_out[0], y_val=truth)
    assert model.score(held_out[0], truth) == max(model.validation_scores_)


def test_validation_data_are_scored_like_any_other():
    held_out, sums = data(10, seed=1)
    for target, y, y_val in (
        ("sequence", SUMS, sums),
        ("step", STEP_SUMS, [np.cumsum(x[:, 0]) for x in held_out]),
    ):
        model = RNNRegressor(**BRIEF, target=target, dtype="float64", scoring="score").fit(
            X, y, X_val=held_out, y_val=y_val
        )
        assert np.isclose(model.score(held_out, y_val), model.validation_scores_[-1])
        assert same_weights(
            model, RNNRegressor(**BRIEF, target=target, dtype="float64").fit(X, y)
        ), "a look changes nothing"


# -- attributes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "names", "columns"),
    [
        ("lstm", ["W_ih", "W_hh", "b"], 4),
        ("gru", ["W_ih", "W_hh", "b_ih", "b_hh"], 3),
        ("rnn", ["W_ih", "W_hh", "b"], 1),
    ],
)
def test_weights_by_name(cell, names, columns):
    model = RNNClassifier(cell, (4, 5), bidirectional=True, max_iter=1, learning_rate="cosine").fit(
        X, LABELS
    )
    weights = model.weights_
    expected = [
        f"layer{layer}.{way}{name}"
        for layer in (0, 1)
        for way in ("", "reverse.")
        for name in names
    ]
    assert list(weights) == [*expected, "head.W", "head.b"]
    assert weights["layer0.W_ih"].shape == (3, columns * 4) and weights["layer0.W_hh"].shape == (
        4,
        columns * 4,
    )
    assert weights["layer1.reverse.W_ih"].shape == (8, columns * 5) and weights["head.W"].shape == (
        10,
        2,
    )
    assert sum(array.size for array in weights.values()) == model.n_parameters_
    weights["head.b"][:] = 99
    assert (model.weights_["head.b"] != 99).all()


def test_weights_of_the_window():
    weights = (
        RNNClassifier("ffnn", (4, 5), window=6, max_iter=1, learning_rate="cosine")
        .fit(X, LABELS)
        .weights_
    )
    shapes = {name: array.shape for name, array in weights.items()}
    assert shapes == {
        "layer0.W": (18, 4),
        "layer0.b": (4,),
        "layer1.W": (4, 5),
        "layer1.b": (5,),
        "head.W": (5, 2),
        "head.b": (2,),
    }


def test_predictions_are_the_heads_outputs_in_the_units_of_y():
    model = RNNRegressor(**BRIEF, dtype="float64").fit(X, 500 + 20 * SUMS)
    weights = model.weights_
    by_hand = model.transform(X) @ weights["head.W"] + weights["head.b"]
    assert np.allclose(model.y_scale_ * by_hand + model.y_mean_, model.predict(X)[:, None])
    assert np.isclose(model.y_mean_, 500 + 20 * SUMS.mean())
    assert np.isclose(model.y_scale_, 20 * SUMS.std())


@pytest.mark.parametrize("bidirectional", [False, True])
def test_transform(bidirectional):
    model = RNNClassifier(**BRIEF, bidirectional=bidirectional).fit(X, LABELS)
    width = 8 if bidirectional else 4
    states = model.transform(X)
    assert states.shape == (24, width) and states.dtype == np.float32
    assert np.array_equal(
        RNNClassifier(**BRIEF, bidirectional=bidirectional).fit_transform(X, LABELS), states
    )
    assert model.get_feature_names_out().tolist() == [f"rnnclassifier{i}" for i in range(width)]
    pooled = RNNClassifier(**BRIEF, bidirectional=bidirectional, pooling="mean").fit(X, LABELS)
    assert pooled.transform(X).shape == (24, width)
    model = RNNClassifier(**BRIEF, bidirectional=bidirectional, target="step").fit(X, STEP_LABELS)
    assert [state.shape for state in model.transform(X)] == [(len(x), width) for x in X]


def test_fitted_attributes():
    model = RNNRegressor(**BRIEF).fit(X, SUMS)
    assert model.n_features_in_ == 3 and model.n_outputs_ == 1 and model.device_ == "cpu"
    assert model.best_loss_ == min(model.loss_curve_) and model.n_iter_ == 3
    assert not hasattr(model, "classes_") and not hasattr(model, "feature_names_in_")


def test_column_names():
    pandas = pytest.importorskip("pandas", reason="reads DataFrames")
    frames = [pandas.DataFrame(x, columns=["a", "b", "c"]) for x in X]
    model = RNNRegressor(**BRIEF).fit(frames, SUMS)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    assert same_weights(model, RNNRegressor(**BRIEF).fit(X, SUMS))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict([frame[["b", "a", "c"]] for frame in frames])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)
    assert not hasattr(model.fit(X, SUMS), "feature_names_in_")


# -- options ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "option",
    [
        {"dropout": 0.5},
        {"alpha": 0.5},
        {"clip_norm": 1e-3},
        {"batch_size": 3},
        {"shuffle": False, "batch_size": 5},
        {"momentum": 0.1, "solver": "sgd"},
        {"learning_rate_init": 0.1},
        {"window": 2},
        {"truncate": 2},
        {"hidden_layer_sizes": (4, 4)},
        {"bidirectional": True},
        {"pooling": "mean"},
        {"pooling": "max"},
        {"pooling": "attention"},
    ],
    ids=str,
)
def test_every_option_makes_a_difference(cell, option):
    if option.keys() & ({"truncate", "bidirectional"} if cell == "ffnn" else {"window"}):
        pytest.skip("has no such option")
    base = BRIEF | {"solver": option.get("solver", "adam")}
    plain, other = (
        RNNRegressor(cell, **arguments).fit(X, SUMS).predict(X)
        for arguments in (base, base | option)
    )
    assert not np.array_equal(plain, other)


@pytest.mark.parametrize("cell", CELLS)
def test_what_happened_before_the_window_is_forgotten(cell):
    window = 3
    model = RNNRegressor(cell, **BRIEF, window=window).fit(X, SUMS)
    x = np.random.default_rng(0).normal(size=(10, 3))
    changed = x.copy()
    changed[: 10 - window] += 1
    assert (model.predict([x]) == model.predict([changed]))[0] == (cell == "ffnn")


def test_truncation_to_the_whole_length_changes_nothing():
    whole = RNNRegressor(**BRIEF).fit(X, SUMS)
    assert same_weights(whole, RNNRegressor(**BRIEF, truncate=50).fit(X, SUMS))


def test_batches_larger_than_the_data():
    assert same_weights(
        RNNRegressor(**BRIEF, batch_size=24).fit(X, SUMS),
        RNNRegressor(**BRIEF, batch_size=10**6).fit(X, SUMS),
    )


def test_chrono_gates_start_at_the_longest_sequence_of_the_first_call(tmp_path):
    """Later calls, of longer sequences, go on from the weights; a step moves them by the rate."""
    options = BRIEF | {"forget_bias": "chrono", "learning_rate_init": 1e-9}
    model = RNNRegressor("lstm", **options | {"hidden_layer_sizes": (200,)})
    model.partial_fit([np.ones((12, 1)), np.ones((3, 1))], [0.0, 1.0])
    first = model.weights_["layer0.b"]
    inputs, forget, *_ = np.split(first, 4)
    assert np.allclose(inputs, -forget, atol=1e-6)
    assert 10 < np.exp(forget).max() < 11.01 and np.exp(forget).min() > 0.99
    model.partial_fit([np.ones((50, 1)), np.ones((3, 1))], [0.0, 1.0])
    assert np.allclose(model.weights_["layer0.b"], first, atol=1e-6)
    model.save(tmp_path / "model")
    assert load(tmp_path / "model").forget_bias == "chrono"


@pytest.mark.parametrize(
    ("steps", "options", "same"),
    [
        ([51, 51, 400, 2], {"patch": 1}, "chrono"),
        ([50, 50, 400, 2], {"patch": 1}, 1.0),
        ([60, 80, 100, 90], {"target": "step"}, 1.0),
        ([60, 80, 100, 90], {"patch": 5}, 1.0),
        ([260, 280, 300, 290], {"patch": 5}, "chrono"),
    ],
)
def test_by_default_gates_follow_the_lengths(steps, options, same):
    X = [np.ones((T, 1), np.float32) for T in steps]
    y = [np.arange(T) % 2 for T in steps] if "target" in options else [0, 1, 0, 1]
    arguments = BRIEF | {"patch": 1, "max_iter": 1} | options
    one, other = (
        RNNClassifier("gru", **arguments, **bias).fit(X, y) for bias in ({}, {"forget_bias": same})
    )
    assert same_weights(one, other)


def test_a_cell_without_gates_ignores_their_bias():
    plain = RNNRegressor("rnn", **BRIEF).fit(X, SUMS)
    for bias in (-3.0, "chrono"):
        assert same_weights(plain, RNNRegressor("rnn", **BRIEF, forget_bias=bias).fit(X, SUMS))

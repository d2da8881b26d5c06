"""One definition of the validation score: for `validation_scores_`, early stopping, callbacks."""

import sys
import warnings

import numpy as np
import pytest
from helpers.refusal import QUICK, STEPS, X, Y, refuses

from bench.piano_rolls import make_piano_rolls, nats_per_beat, next_beats
from lightrnn import RNNClassifier, RNNRegressor, load

Y = np.array(Y)
SUMS = np.array([x[:, 0].sum() for x in X])
SHORT = {"cell": "rnn", "hidden_layer_sizes": (4,), "max_iter": 3, "learning_rate": "cosine"}
SHORT |= {"random_state": 0, "dtype": "float64"}
# So small a step leaves the weights as they are.
FROZEN = SHORT | {"learning_rate_init": 1e-300, "max_iter": 1}


def log_loss(model, X, y, weights):
    likelihood = -model.predict_log_proba(X)[np.arange(len(y)), y]
    return np.average(likelihood, weights=weights)


def test_the_default_is_the_negative_loss():
    model = RNNClassifier(**SHORT).fit(X, Y, X_val=X[:3], y_val=Y[:3])
    assert np.isclose(model.validation_scores_[-1], -log_loss(model, X[:3], Y[:3], None))
    error = RNNRegressor(**SHORT, loss="absolute_error").fit(X, SUMS, X_val=X, y_val=SUMS)
    loss = np.abs(error.predict(X) - SUMS).mean()
    ratio = -error.validation_scores_[-1] / loss
    assert np.isclose(-error.validation_scores_[0], error.loss_curve_[0], rtol=0.2)
    again = RNNRegressor(**SHORT, loss="absolute_error").fit(X, SUMS, X_val=X, y_val=SUMS + 1)
    assert np.isclose(
        -again.validation_scores_[-1], ratio * np.abs(again.predict(X) - SUMS - 1).mean()
    )


def test_dropout_is_off():
    arguments = FROZEN | {"hidden_layer_sizes": (40,), "dropout": 0.9}
    model = RNNClassifier(**arguments).fit(X, Y, X_val=X, y_val=Y)
    assert np.isclose(model.validation_scores_[0], -log_loss(model, X, Y, None))
    assert not np.isclose(model.validation_scores_[0], -model.loss_curve_[0])


def test_the_loss_is_weighted_as_training_is():
    factors = {0: 1.0, 1: 50.0}
    weights = np.where(Y, 50.0, 1.0)
    arguments = FROZEN | {"early_stopping": True, "validation_fraction": 0.5}
    by_class = RNNClassifier(**arguments, class_weight=factors).fit(X, Y)
    by_sample = RNNClassifier(**arguments).fit(X, Y, weights)
    assert np.isclose(by_class.validation_scores_[0], by_sample.validation_scores_[0])
    given = RNNClassifier(**FROZEN, class_weight=factors).fit(X, Y, X_val=X, y_val=Y)
    assert np.isclose(given.validation_scores_[0], -log_loss(given, X, Y, weights))


def test_score_is_that_of_the_method():
    for kind, y in ((RNNClassifier, Y), (RNNRegressor, SUMS)):
        model = kind(**SHORT, scoring="score").fit(X, y, X_val=X, y_val=y)
        assert np.isclose(model.validation_scores_[-1], model.score(X, y))
    # Class weights are for training: the score is the plain accuracy.
    model.fit(X, SUMS, X_val=X, y_val=SUMS)
    weighted = RNNClassifier(**SHORT, scoring="score", class_weight={0: 9}).fit(
        X, Y, X_val=X, y_val=Y
    )
    assert np.isclose(weighted.validation_scores_[-1], weighted.score(X, Y))
    median = RNNRegressor(**SHORT, scoring="score", loss="absolute_error")
    median.fit(X, SUMS, X_val=X, y_val=SUMS)
    assert np.isclose(median.validation_scores_[-1], median.score(X, SUMS))


def test_early_stopping_goes_by_the_loss_of_all_labels_of_a_step():
    """Almost every label of a piano roll is right whatever a net does; the loss says more."""
    train, held_out = (next_beats(make_piano_rolls(3, seed)) for seed in range(2))
    losses = []
    for early_stopping in (False, True):
        model = RNNClassifier("lstm", (32,), target="step", early_stopping=early_stopping)
        model.set_params(learning_rate="cosine", learning_rate_init=0.03, batch_size=1)
        model.set_params(max_iter=40, n_iter_no_change=40, random_state=0)
        model.fit(*train, X_val=held_out[0], y_val=held_out[1])
        losses.append(nats_per_beat(model, *held_out))
    assert losses[1] < losses[0]
    labels = 88  # the score is the mean of their losses
    assert np.isclose(max(model.validation_scores_), -losses[1] / labels, rtol=1e-4)


def test_one_held_out_sequence_is_enough_to_stop_early():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4, 1))
    y = X.sum((1, 2))
    arguments = {"max_iter": 60, "n_iter_no_change": 20, "early_stopping": True}
    model = RNNRegressor("gru", (8,), random_state=0, learning_rate_init=0.02, **arguments)
    model.set_params(learning_rate="cosine")
    model.fit(X, y, X_val=X[:1], y_val=y[:1])
    assert model.best_epoch_ > 1
    assert model.score(X, y) > 0.9
    assert max(model.validation_scores_) == model.validation_scores_[model.best_epoch_ - 1]


def test_a_function_is_given_an_estimator_with_the_weights_of_the_moment():
    given = []

    def scorer(estimator, X, y):
        assert type(estimator) is RNNClassifier
        given.append((X, y, estimator.weights_["head.b"], estimator.predict(X)))
        return len(given)

    labels = np.array(["no", "yes"])[Y]
    model = RNNClassifier(**SHORT, scoring=scorer, early_stopping=True, validation_fraction=0.4)
    weights = []
    model.set_params(callbacks=lambda record: weights.append(record.validation_score))
    model.fit(X, labels)
    assert model.validation_scores_ == weights == [1.0, 2.0, 3.0]
    held_out = given[0][0]
    assert type(held_out) is list and all(any(x is other for other in X) for x in held_out)
    places = [next(i for i, x in enumerate(X) if x is item) for item in held_out]
    assert given[0][1].tolist() == labels[places].tolist()
    assert np.array_equal(given[-1][2], model.weights_["head.b"])
    assert not np.array_equal(given[0][2], given[1][2])
    assert np.array_equal(given[-1][3], model.predict(held_out))


def test_a_function_that_fails_leaves_the_estimator_alone():
    def fail(estimator, X, y):
        raise RuntimeError("mine")

    model = RNNClassifier(**QUICK, scoring=fail)
    before = dict(vars(model))
    with pytest.raises(RuntimeError, match="mine"):
        model.fit(X, Y, X_val=X, y_val=Y)
    assert vars(model) == before


def test_scorers_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics", reason="uses its scorers")
    weights = 1.0 + Y
    arguments = SHORT | {"early_stopping": True, "validation_fraction": 0.6}
    seen = []
    plain = RNNClassifier(**arguments, scoring=lambda model, X, y: seen.append((X, y)) or 0.0)
    plain.fit(X, Y, weights)
    held_out, truth = seen[0]
    for name in ("accuracy", "balanced_accuracy", "neg_log_loss"):
        model = RNNClassifier(**arguments | {"n_iter_no_change": 9}, scoring=name)
        scores = model.fit(X, Y, weights).validation_scores_
        scorer = metrics.get_scorer(name)
        expected = scorer(model, held_out, truth, sample_weight=1.0 + truth)
        assert np.isclose(scores[model.best_epoch_ - 1], expected)
    model = RNNRegressor(**SHORT, scoring="neg_mean_absolute_error").fit(
        X, SUMS, X_val=X, y_val=SUMS
    )
    error = np.abs(model.predict(X) - SUMS).mean()
    assert np.isclose(model.validation_scores_[-1], -error)


def test_tables_keep_their_form():
    pandas = pytest.importorskip("pandas", reason="uses DataFrames")
    rng = np.random.default_rng(0)
    table = pandas.DataFrame(rng.normal(size=(20, 4)), columns=list("abcd"), index=range(5, 25))
    y = pandas.Series(np.arange(20) % 2, index=table.index)
    seen = []

    def scorer(estimator, X, y):
        seen.append((X, y))
        return estimator.score(X, y)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RNNClassifier(**SHORT, scoring=scorer, early_stopping=True).fit(table, y)
    held_out, truth = seen[0]
    assert held_out.equals(table.loc[held_out.index])
    assert truth.equals(y.loc[held_out.index])
    texts = ["yes yes", "no"] * 6
    seen.clear()
    arguments = SHORT | {"tokens": "word", "early_stopping": True}
    RNNClassifier(**arguments, scoring=scorer).fit(texts, np.arange(12) % 2)
    assert set(seen[0][0]) == {"yes yes", "no"}


@pytest.mark.parametrize(
    ("scoring", "error", "match"),
    [
        (None, TypeError, "scoring must be 'loss', 'score', a function or the name of"),
        (3, TypeError, "scoring must be"),
        (np.ones(2), TypeError, "scoring must be"),
        ("acuracy", ValueError, r"got 'acuracy'. sklearn.metrics.get_scorer_names\(\) lists them"),
        (lambda model, X, y: "good", TypeError, "scoring must return a number, got 'good'"),
        (lambda model, X, y: None, TypeError, "scoring must return a number, got None"),
        (lambda model, X, y: np.nan, ValueError, "score must be finite, got nan in epoch 1.*let"),
        (lambda model, X, y: -np.inf, ValueError, "score must be finite, got -inf in epoch 1"),
        (lambda model, X, y: 10**400, ValueError, "score must be finite, got inf in epoch 1"),
    ],
    ids=str,
)
def test_what_is_no_score_is_refused(scoring, error, match):
    if isinstance(scoring, str):
        pytest.importorskip("sklearn", reason="knows the names of its scorers")
    data = {"X_val": X, "y_val": Y}
    refuses(RNNClassifier(**QUICK, scoring=scoring), "fit", X, Y, error=error, match=match, **data)


def test_names_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    match = "name of a scikit-learn scorer, which is not installed, got 'f1'. Run: pip install"
    refuses(RNNClassifier(**QUICK, scoring="f1"), "fit", X, Y, match=match)


def test_scorers_of_scikit_learn_take_one_target_a_sequence():
    pytest.importorskip("sklearn", reason="knows the names of its scorers")
    model = RNNClassifier(**QUICK, scoring="f1", target="step")
    with pytest.raises(ValueError, match=r"function with target='step', got 'f1'.*np.concatenate"):
        model.fit(X, STEPS)
    model.set_params(scoring=lambda model, X, y: -model.score(X, y))
    model.fit(X, STEPS, X_val=X, y_val=STEPS)
    assert np.isclose(model.validation_scores_[-1], -model.score(X, STEPS))


def test_a_function_is_not_saved(tmp_path):
    model = RNNClassifier(**QUICK, scoring=lambda model, X, y: 0.0).fit(X, Y)
    model.save(tmp_path / "model")
    assert load(tmp_path / "model").scoring == "loss"
    model.set_params(scoring="score").save(tmp_path / "model")
    assert load(tmp_path / "model").scoring == "score"


def test_instances_of_a_long_table_are_held_out_whole():
    pandas = pytest.importorskip("pandas", reason="uses DataFrames")
    index = pandas.MultiIndex.from_product([range(10), range(3)])
    long = pandas.DataFrame({"a": np.arange(30.0), "b": 1.0}, index=index)
    seen = []
    arguments = SHORT | {"early_stopping": True}
    model = RNNRegressor(**arguments, scoring=lambda model, X, y: seen.append((X, y)) or 0.0)
    model.fit(long, range(10))
    for x, value in zip(*seen[0], strict=True):
        assert x["a"].tolist() == [3.0 * value, 3.0 * value + 1, 3.0 * value + 2]

"""The meaning of "auto": directions and minibatches by the training data."""

import numpy as np
import pytest

from lightrnn import RNNClassifier, RNNRegressor, load

BRIEF = {"hidden_layer_sizes": (4,), "max_iter": 1, "random_state": 0}
rng = np.random.default_rng(0)
LONG = rng.normal(size=(12, 40, 1))
Y = np.arange(12) % 2


@pytest.mark.parametrize(
    ("arguments", "X", "both"),
    [
        ({}, LONG, True),
        ({"cell": "rnn"}, LONG, True),
        ({}, LONG[:, :39], False),
        ({"patch": 4}, LONG, False),
        ({"truncate": 30}, LONG, False),
        ({"cell": "ffnn"}, LONG, False),
        ({"bidirectional": False}, LONG, False),
        ({"bidirectional": True}, LONG[:, :5], True),
        ({"tokens": "char"}, ["ab" * 20, "ba" * 20] * 6, False),
    ],
    ids=str,
)
def test_series_read_in_patches_are_read_from_both_ends(arguments, X, both, tmp_path):
    model = RNNClassifier(**BRIEF | arguments).fit(X, Y)
    assert model.transform(X).shape[1] == (8 if both else 4)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert repr(again) == repr(model)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    again.partial_fit(X, Y).set_params(warm_start=True).fit(X, Y)
    assert again.transform(X).shape[1] == (8 if both else 4)


@pytest.mark.parametrize(
    ("arguments", "said", "remedy"),
    [
        ({}, "patch=1", {"patch": 1}),
        (
            {"bidirectional": True},
            "bidirectional=False, and with patch=1",
            {"bidirectional": False, "patch": 1},
        ),
        (
            {"bidirectional": True, "patch": 1},
            r"bidirectional=False\.",
            {"bidirectional": False, "patch": 1},
        ),
    ],
    ids=str,
)
def test_the_remedy_of_a_refused_stream_gives_an_answer_at_each_step(arguments, said, remedy):
    with pytest.raises(ValueError, match=f"fit with {said}"):
        RNNClassifier(**BRIEF | arguments).fit(LONG, Y).stream()
    stream = RNNClassifier(**BRIEF | arguments | remedy).fit(LONG, Y).stream()
    assert stream.step(LONG[0, 0]) in (0, 1)


@pytest.mark.filterwarnings("ignore:Maximum iterations")
@pytest.mark.parametrize(
    ("arguments", "X", "rates"),
    [
        ({}, ["ab", "ba"] * 6, (0.5, 0.2)),
        ({}, [["a", "b"], ["b", "a"]] * 6, (0.5, 0.2)),
        ({"dropout": 0, "token_dropout": 0}, ["ab", "ba"] * 6, (0, 0)),
        ({"solver": "lbfgs"}, ["ab", "ba"] * 6, (0, 0)),
        ({}, LONG[:, :5], (0, 0)),
        ({"token_dropout": 0.5}, LONG[:, :5], (0, 0)),
    ],
    ids=str,
)
def test_texts_get_dropout(arguments, X, rates, tmp_path):
    given = dict(zip(("dropout", "token_dropout"), rates, strict=True))
    for kind in (RNNClassifier, RNNRegressor):
        model = kind(**BRIEF | arguments).fit(X, Y)
        same = kind(**BRIEF | arguments | given).fit(X, Y)
        assert model.loss_curve_ == same.loss_curve_
    assert model.stream().step(X[0][0]).shape == (), "tokens have one direction"
    model.save(tmp_path / "model")
    assert repr(load(tmp_path / "model").fit(X, Y)) == repr(load(tmp_path / "model"))


def test_tokens_with_a_target_each_get_no_dropout():
    X, y = ["ab", "ba"] * 6, [[0, 1], [1, 0]] * 6
    none = {"dropout": 0, "token_dropout": 0}
    models = [RNNClassifier(**BRIEF, target="step", **more).fit(X, y) for more in ({}, none)]
    assert models[0].loss_curve_ == models[1].loss_curve_


def test_steps_with_a_target_each_are_read_in_one_direction():
    model = RNNRegressor(**BRIEF, target="step").fit(LONG, LONG[:, :, 0])
    assert model.stream().step(LONG[0, 0]).shape == ()


@pytest.mark.parametrize(("n", "size"), [(30, 8), (600, 12), (2000, 32)])
def test_small_sets_get_small_minibatches(n, size):
    X = rng.normal(size=(n, 2, 1))
    models = [
        RNNRegressor(**BRIEF, **more).fit(X, X[:, 0, 0]) for more in ({}, {"batch_size": size})
    ]
    assert models[0].loss_curve_ == models[1].loss_curve_

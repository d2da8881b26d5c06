"""The units of y, the losses of numbers, and the scale that calls of `partial_fit` share."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from lightrnn import RNNRegressor, export_numpy, from_onnx, load, to_onnx
from lightrnn.inspection import attribution

RNG = np.random.default_rng(0)
X = [RNG.normal(size=(length, 2)) for length in RNG.integers(3, 10, 120)]
SUMS = np.array([x[:, 0].sum() for x in X])
STEPS = [x[:, 0].cumsum() for x in X]
SMALL = {
    "cell": "gru",
    "hidden_layer_sizes": (16,),
    "learning_rate": "cosine",
    "learning_rate_init": 0.01,
    "max_iter": 15,
    "random_state": 0,
}
GOLDEN = Path(__file__).parent.parent / "golden"


# -- units of y ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "unit"), [(1e7, 1.0), (101325.0, 0.1), (1.7e9, 60.0), (-3.0, 1e-9), (0.0, 1e12)]
)
@pytest.mark.parametrize("target", ["sequence", "step"])
def test_level_and_unit_of_y_change_nothing_but_the_units(level, unit, target):
    """A float32 network holds no level that is a million deviations away."""
    plain = STEPS if target == "step" else SUMS
    y = [level + unit * part for part in plain]
    pooled = np.concatenate if target == "step" else np.asarray
    model = RNNRegressor(**SMALL, target=target, scoring="score").fit(X, y, X_val=X, y_val=y)
    assert model.score(X, y) > 0.9
    assert np.isclose(model.score(X, y), model.validation_scores_[-1], atol=1e-4)
    wanted = RNNRegressor(**SMALL, target=target).fit(X, plain).predict(X)
    found = (pooled(model.predict(X)) - level) / unit
    # Rounding of the standardised y differs, and training carries it on.
    assert np.allclose(found, pooled(wanted), atol=0.05)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
@pytest.mark.parametrize("unit", [1e-153, 1e30])
def test_numpy_may_raise_what_it_else_ignores(loss, unit):
    """A user may run with `np.seterr(all="raise")` to find faults of their own."""
    options = SMALL | {"loss": loss, "max_iter": 1, "scoring": "score"}
    y = unit * SUMS
    with np.errstate(all="raise"):
        model = RNNRegressor(**options).fit(X, y, X_val=X, y_val=y)
        found = model.score(X, y)
        model.stream().step(X[0][0])
    assert np.isclose(found, RNNRegressor(**options).fit(X, SUMS).score(X, SUMS), atol=1e-3)


def test_every_way_to_predict_has_the_units_of_y(tmp_path):
    level = 1e7
    model = RNNRegressor(**SMALL).fit(X, level + SUMS)
    predicted = model.predict(X)
    assert predicted.dtype == np.float64
    stream = model.stream()
    assert [stream.step(x) for x in X[0]][-1] == predicted[0]
    export_numpy(model, tmp_path / "model.py")
    alone = runpy.run_path(str(tmp_path / "model.py"))["predict"](X)
    assert alone.dtype == np.float64 and np.allclose(alone - level, predicted - level, atol=1e-4)
    model.save(tmp_path / "model.npz")
    assert np.array_equal(load(tmp_path / "model.npz").predict(X), predicted)
    # The last step of a sequence without it: the attribution is a difference of predictions.
    without = X[0].copy()
    without[-1] = model.X_mean_
    fall = predicted[0] - model.predict([without])[0]
    assert np.isclose(attribution(model, X[:1])[0][-1], fall, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_onnx_has_the_units_and_the_dtype_of_y(dtype, tmp_path):
    pytest.importorskip("onnx", reason="writes ONNX models")
    runtime = pytest.importorskip("onnxruntime", reason="runs them")
    y = (1e5 + SUMS).astype(dtype)
    model = RNNRegressor(**SMALL).fit(X, y)
    to_onnx(model, tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    x = X[0].astype(np.float32)[None]
    feeds = {"X": x, "seq_lens": np.array([x.shape[1]]), "state": np.zeros((1, 16), np.float32)}
    found = session.run(["predictions"], feeds)[0]
    assert found.dtype == dtype and model.predict(X[:1]).dtype == dtype
    assert np.allclose(
        found, model.predict(X[:1]), rtol=0, atol=1e-2 if dtype == "float32" else 1e-4
    )


def test_a_state_dict_is_standardised_and_the_documented_line_gives_predictions():
    torch = pytest.importorskip("torch")
    model = RNNRegressor(**SMALL).fit(X, 1e7 + SUMS)
    rnn = torch.nn.GRU(2, 16, batch_first=True)
    head = torch.nn.Linear(16, 1)
    module = torch.nn.ModuleDict({"rnn": rnn, "head": head})
    module.load_state_dict({name: torch.from_numpy(a) for name, a in model.to_torch().items()})
    raw = head(rnn(torch.from_numpy(X[0].astype(np.float32))[None])[1][-1])
    scaled = raw.double() * torch.from_numpy(model.y_scale_) + torch.from_numpy(model.y_mean_)
    assert np.allclose(scaled.detach().numpy()[:, 0], model.predict(X[:1]), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["regressor-gru", "regressor-lstm", "steps-regressor"])
def test_a_file_of_an_earlier_version_goes_on_in_standardised_units(name):
    """Its output layer holds mean and scale of y, which further training takes out of it."""
    model = load(GOLDEN / f"format1-{name}.npz")
    assert (model.y_mean_ == 0).all() and (model.y_scale_ == 1).all()
    X = [np.full((T, 2), T / 3) for T in (1, 3, 4)]
    before = model.predict(X)
    model.set_params(learning_rate="constant", learning_rate_init=1e-30)
    model.partial_fit(X, before)
    assert (model.y_scale_ != 1).all()
    for one, other in zip(model.predict(X), before, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


# -- losses ----------------------------------------------------------------------------------------


def error_on_fresh_data(loss, size, sides=(1, -1)):
    """Return the mean error beside what can be known of y, learned with 2 % outliers this large."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 10, 2))
    known = X[:, :, 0].sum(axis=1) / np.sqrt(10)
    y = known[:400] + 0.2 * rng.normal(size=400)
    y[:8] += size * np.resize(sides, 8)
    model = RNNRegressor(**SMALL | {"max_iter": 20}, loss=loss).fit(X[:400], y)
    return float(np.mean(abs(model.predict(X[400:]) - known[400:])))


@pytest.mark.parametrize("loss", ["huber", "absolute_error", "quantile"])
def test_robust_losses_resist_outliers_of_any_size(loss):
    clean = error_on_fresh_data(loss, 0)
    assert clean < 0.15
    for size in (10, 1e4, 1e30):
        assert error_on_fresh_data(loss, size) < clean + 0.05
    assert error_on_fresh_data(loss, 1e6, sides=(1,)) < clean + 0.05


@pytest.mark.parametrize("size", [10, 1e6])
def test_huber_learns_no_outlier_by_heart(size):
    """With the default arguments of training, which go on long after the rest has been learned."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 8, 2))
    known = X[:, :, 0].sum(axis=1) / np.sqrt(8)
    errors = []
    for outlier in (0, size):
        y = known[:300] + 0.1 * rng.normal(size=300)
        y[:6] += outlier
        model = RNNRegressor("gru", random_state=0, loss="huber").fit(X[:300], y)
        errors.append(np.mean(abs(model.predict(X[300:]) - known[300:])))
    assert errors[1] < errors[0] + 0.05


def test_robust_losses_standardise_by_weighted_median_and_deviation():
    y = SUMS.copy()
    y[:3] = 1e6
    weights = np.arange(len(y)) % 3
    model = RNNRegressor(**SMALL | {"max_iter": 1}, loss="huber").fit(X, y, weights)
    copies = np.repeat(y, weights)
    median = np.median(copies)
    assert np.isclose(model.y_mean_, median)
    assert np.isclose(model.y_scale_, 1.4826 * np.median(abs(copies - median)))
    model = RNNRegressor("gru", (16,), random_state=0, loss="huber").partial_fit(X[:1], [1e6])
    for _ in range(4):
        model.partial_fit(X, SUMS)
    assert model.y_scale_ < 2 * SUMS.std()


def test_the_smallest_delta_of_huber_learns_and_smaller_ones_are_refused():
    with pytest.raises(ValueError, match="delta must be at least 1e-06, got 1e-300"):
        RNNRegressor(loss="huber", delta=1e-300).fit(X, SUMS)
    for delta in (1e-6, 1e300):
        model = RNNRegressor(**SMALL | {"max_iter": 30}, loss="huber", delta=delta).fit(X, SUMS)
        assert model.score(X, SUMS) > 0.8


# -- quantiles -------------------------------------------------------------------------------------

QUANTILES = (0.1, 0.5, 0.9)


def spread_data(n, seed):
    """Return sequences and a y whose noise depends on the last step."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 8, 2))
    scale = 0.3 + 0.5 * abs(X[:, -1, 1])
    return X, X[:, :, 0].sum(axis=1) / 2 + scale * rng.normal(size=n)


def quantile_net(**options):
    return RNNRegressor(**SMALL | {"loss": "quantile", "quantile": QUANTILES} | options)


@pytest.mark.parametrize("target", ["sequence", "step"])
def test_several_quantiles_come_from_one_net_and_never_cross(target, tmp_path):
    """Nothing has been learned after one epoch, so that raw outputs do cross."""
    X, y = spread_data(60, 0)
    if target == "step":
        y = X[:, :, 0]
    model = quantile_net(target=target, max_iter=1).fit(X, y)
    model._model.network.rescale_outputs(np.array([1.0, -3.0, 2.0]), np.array([0.1, 0.2, -0.1]))
    raw = np.concatenate(model._model.network.outputs(X)).reshape(-1, 3)
    assert (np.diff(raw, axis=1) < 0).any() and model.n_outputs_ == 3
    predicted = model.predict(X)
    pooled = np.concatenate(predicted).reshape(-1, 3)
    assert pooled.shape == ((480, 3) if target == "step" else (60, 3))
    assert (np.diff(pooled, axis=1) >= 0).all()
    stream = model.stream()
    assert [stream.step(x) for x in X[0]][-1].tolist() == (
        predicted[0][-1] if target == "step" else predicted[0]
    ).tolist()
    export_numpy(model, tmp_path / "model.py")
    alone = runpy.run_path(str(tmp_path / "model.py"))["predict"](X)
    assert np.allclose(np.concatenate(alone).reshape(-1, 3), pooled, atol=1e-5)
    model.save(tmp_path / "model.npz")
    back = load(tmp_path / "model.npz")
    assert np.array_equal(np.concatenate(back.predict(X)).reshape(-1, 3), pooled)
    back.partial_fit(X, y)
    truth = np.ravel(y)[:, None]
    pinball = np.maximum(
        np.multiply(QUANTILES, truth - pooled), np.subtract(QUANTILES, 1) * (truth - pooled)
    )
    assert np.isclose(model.score(X, y), -pinball.mean())


@pytest.mark.parametrize("options", [{}, {"target": "step"}, {"patch": 2, "calibrate": True}])
def test_several_quantiles_of_several_columns(options, tmp_path):
    """Each column has its own, in its own units, wherever predictions are made."""
    X, _ = spread_data(60, 0)
    y = X * [1.0, 100.0] + [0.0, 1e3]
    y = y if options.get("target") == "step" else y[:, -1]
    model = quantile_net(max_iter=1, **options, validation_fraction=0.4).fit(X, y)
    assert model.n_outputs_ == 6 and model.y_scale_.shape == (2,)
    model._model.network.rescale_outputs(np.array([1.0, -3.0, 2.0] * 2), np.arange(6) / 9)
    predicted = np.array(model.predict(X))
    assert predicted.shape == (*y.shape, 3)
    patches = X.reshape(60, -1, 2 * model.patch_)
    raw = np.concatenate(model._model.network.outputs(patches)).reshape(-1, 2, 3)
    units = model.y_scale_[:, None], model.y_mean_[:, None]
    assert np.array_equal(predicted.reshape(-1, 2, 3), np.sort(raw) * units[0] + units[1])
    assert (np.diff(raw) < 0).any()
    truth = y[..., None]
    pinball = np.maximum(
        np.multiply(QUANTILES, truth - predicted), np.subtract(QUANTILES, 1) * (truth - predicted)
    )
    assert np.isclose(model.score(X, y), -pinball.mean())
    stream = model.stream()
    last = [stream.step(x) for x in X[0]][-1]
    assert np.array_equal(last, predicted[0, -1] if "target" in options else predicted[0])
    export_numpy(model, tmp_path / "model.py")
    alone = runpy.run_path(str(tmp_path / "model.py"))["predict"](X)
    assert np.allclose((alone - predicted) / units[0], 0, atol=1e-5)
    model.save(tmp_path / "model.npz")
    back = load(tmp_path / "model.npz")
    assert np.array_equal(back.predict(X), predicted)
    back.set_params(calibrate=False).partial_fit(X, y)
    with pytest.raises(ValueError, match="y must have 2 outputs as in fit, got 1"):
        back.partial_fit(X, y[..., 0])


def test_onnx_sorts_quantiles(tmp_path):
    pytest.importorskip("onnx", reason="writes ONNX models")
    runtime = pytest.importorskip("onnxruntime", reason="runs them")
    X, y = spread_data(60, 0)
    steps = {"target": "step"}
    for quantile, truth, options in (
        (QUANTILES, y, {}),
        ((0.3,), y, {}),
        (QUANTILES, X[:, -1] * 100, {}),
        ((0.3,), X[:, -1], {}),
        (QUANTILES, X, steps),
    ):
        model = quantile_net(max_iter=1, quantile=quantile, **options).fit(X, truth)
        factor = np.resize([1.0, -3.0, 2.0], model.n_outputs_)
        model._model.network.rescale_outputs(factor, np.zeros_like(factor))
        to_onnx(model, tmp_path / "model.onnx")
        back = from_onnx(tmp_path / "model.onnx", RNNRegressor())
        assert np.array_equal(back.predict(X), model.predict(X))
        session = runtime.InferenceSession(
            tmp_path / "model.onnx", providers=["CPUExecutionProvider"]
        )
        feeds = {"X": X.astype(np.float32), "seq_lens": np.full(60, 8)}
        feeds["state"] = np.zeros((60, 16), np.float32)
        found = session.run(["predictions"], feeds)[0]
        expected = np.array(model.predict(X))
        assert found.shape == expected.shape
        assert np.allclose(found, expected, atol=1e-5 * abs(expected).max())


@pytest.mark.parametrize("early_stopping", [False, True])
def test_calibrated_intervals_cover_what_they_say(early_stopping):
    """On average over data sets: with few held-out sequences one alone may be off by a tenth."""
    options = {"calibrate": True, "early_stopping": early_stopping, "validation_fraction": 0.5}
    covered = []
    for seed in range(20):
        X, y = spread_data(1300, seed)
        model = quantile_net(**options, max_iter=12).fit(X[:300], y[:300])
        quantiles = model.predict(X[300:]).T
        covered.append([np.mean(y[300:] < quantile) for quantile in quantiles])
    low, middle, high = np.mean(covered, axis=0)
    assert 0.78 < high - low < 0.82 and 0.46 < middle < 0.54


def test_calibration_takes_validation_data_and_one_quantile(tmp_path):
    X, y = spread_data(4000, 0)
    fresh, truth = spread_data(4000, 1)
    for quantile in (0.9, (0.05, 0.9)):
        model = quantile_net(quantile=quantile, calibrate=True, max_iter=5)
        model.fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])
        predicted = model.predict(fresh).reshape(4000, -1)
        below = (truth[:, None] < predicted).mean(axis=0)
        assert np.allclose(below, quantile, atol=0.02)
        model.save(tmp_path / "model.npz")
        assert np.array_equal(load(tmp_path / "model.npz").predict(fresh), model.predict(fresh))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"quantile": (0.5, 0.1)}, "quantile must be one number or several in ascending order"),
        ({"quantile": (0.5, 0.5)}, "quantile must be one number or several in ascending order"),
        ({"quantile": ()}, "quantile must be one number or several in ascending order"),
        ({"quantile": (0.1, 1.0)}, r"quantile\[1\] must be a number in \(0, 1\), got 1.0"),
        ({"quantile": 0.0}, r"quantile must be a number in \(0, 1\)"),
        ({"calibrate": 0.2}, "calibrate must be True or False"),
        ({"calibrate": True, "loss": "huber"}, "calibrate must be False with loss='huber'"),
        ({"loss": "huber"}, r"quantile must be 0.5 with loss='huber', got \(0.1, 0.5, 0.9\)"),
        ({"loss": "squared_error", "quantile": 0.9}, "quantile must be 0.5 with .* got 0.9"),
        ({"calibrate": True}, "calibrate must have at least 9 held-out targets .* got 2"),
    ],
)
def test_bad_quantiles(options, match):
    with pytest.raises((ValueError, TypeError), match=match):
        quantile_net(**options).fit(X[:20], SUMS[:20])


def test_quantiles_stay_while_training_goes_on():
    with pytest.raises(ValueError, match="calibrate must be False for partial_fit"):
        quantile_net(calibrate=True).partial_fit(X, SUMS)
    model = quantile_net().partial_fit(X, SUMS).partial_fit(X, SUMS)
    assert model.predict(X).shape == (len(X), 3) and model.y_scale_.shape == (1,)
    with pytest.raises(ValueError, match=r"quantile must stay \(0.1, 0.5, 0.9\)"):
        model.set_params(quantile=(0.1, 0.5, 0.8)).partial_fit(X, SUMS)
    with pytest.raises(ValueError, match=r"quantile must stay \(0.1, 0.5, 0.9\)"):
        model.set_params(loss="huber", quantile=0.5).partial_fit(X, SUMS)


# -- the scale that calls share --------------------------------------------------------------------


def in_parts(y, first=None, size=8, rounds=6, **options):
    """Return a regressor that has learned from small parts of the data."""
    model = RNNRegressor("gru", (16,), learning_rate_init=0.01, random_state=0, **options)
    if first is not None:
        model.partial_fit(*first)
    for round in range(rounds):
        order = np.random.default_rng(round).permutation(len(y))
        for start in range(0, len(y), size):
            part = order[start : start + size]
            model.partial_fit([X[i] for i in part], y[part])
    return model


Y = 100 + 5 * SUMS


@pytest.mark.parametrize(
    "first",
    [
        None,
        (X[:1], Y[:1]),
        (X[:8], [7.0] * 8),
        (X[:8], 50 + Y[:8]),
        (X[:8], 1e-3 * Y[:8]),
    ],
    ids=["none", "one sample", "constant", "far", "narrow"],
)
@pytest.mark.parametrize("unit", [1.0, 1e-6, 1e6])
def test_an_unlike_first_part_is_forgotten(first, unit):
    if first is not None:
        first = first[0], unit * np.asarray(first[1])
    model = in_parts(unit * Y, first)
    assert model.score(X, unit * Y) > 0.9
    fitted = RNNRegressor(max_iter=1, learning_rate="cosine").fit(X, unit * Y)
    assert np.allclose(model.y_scale_, fitted.y_scale_, rtol=0.3)
    assert np.allclose(model.y_mean_, fitted.y_mean_, atol=0.5 * fitted.y_scale_[0])


def test_one_sample_a_call():
    assert in_parts(Y, size=1, rounds=3).score(X, Y) > 0.9


def test_a_constant_y_is_predicted_and_leaves_the_scale_open():
    model = RNNRegressor("gru", (16,), max_iter=2, learning_rate="cosine").fit(X, [7.25] * len(X))
    assert (model.predict(X) == 7.25).all() and model.score(X, [7.25] * len(X)) == 1
    model.partial_fit(X, Y)
    assert model.y_scale_ > 0


def test_the_sample_of_y_stays_small_and_fair():
    model = RNNRegressor("rnn", (2,), random_state=0)
    numbers = np.random.default_rng(1).normal(3, 2, 6000)
    x = np.zeros((500, 1, 1))
    for part in np.split(np.sort(numbers), 12):
        model.partial_fit(x, part)
    assert model._model.targets.sample.shape == (1000, 3)
    assert np.isclose(model.y_mean_, 3, atol=0.25) and np.isclose(model.y_scale_, 2, rtol=0.1)


def test_a_fits_standardisation_stays():
    model = RNNRegressor(**SMALL).fit(X, Y)
    before = model.y_mean_, model.y_scale_
    model.partial_fit(X[:2], [1e4, 2e4])
    assert (model.y_mean_, model.y_scale_) == before

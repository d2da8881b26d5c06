"""A fitted forecaster: its surprise, its files, and what it refuses."""

import copy
import json
import pickle
import runpy
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench import fuzz_npz
from lightrnn import RNNForecaster, export_c, export_numpy, load, to_onnx
from lightrnn.inspection import network_inputs
from lightrnn.training import STOP

SMALL = {"hidden_layer_sizes": 8, "max_iter": 3, "random_state": 0}
Y = 10 + np.sin(np.arange(60) * np.pi / 3)


def test_positions_are_uniform_at_the_quantiles_that_were_learned():
    rng = np.random.default_rng(0)
    y = 10 + rng.normal(size=(2, 1500))
    model = RNNForecaster(1, 1, hidden_layer_sizes=8, max_iter=10, random_state=0)
    found = model.fit(y[0], None).surprise(y[1])
    found = found[np.isfinite(found)]
    assert len(found) == 1499
    # In between they are linear, as densities that are level from quantile to quantile.
    for level in model.quantiles:
        assert np.mean(found <= level) == pytest.approx(level, abs=0.08)


def test_surprise_of_missing_values_and_short_series():
    model = RNNForecaster(3, 6, scale="standard", **SMALL).fit(Y)
    gap = np.where(np.arange(30) == 12, np.nan, Y[:30])
    late = np.where(np.arange(30) < 9, np.nan, Y[:30])
    whole, missing, behind, short = model.surprise([Y[:30], gap, late, Y[:2]])
    assert np.flatnonzero(np.isnan(whole)).tolist() == list(range(6))
    assert np.flatnonzero(np.isnan(missing)).tolist() == [*range(6), 12]
    assert np.array_equal(behind[9:], model.surprise(Y[9:30]), equal_nan=True)
    assert np.isnan(behind[:15]).all() and np.isnan(short).all() and len(short) == 2


def test_series_that_are_not_like_those_of_the_fit_are_refused():
    model = RNNForecaster(3, 6, scale="log", **SMALL).fit(Y)
    with pytest.raises(ValueError, match="y must be positive where scale is 'log', got -5"):
        model.predict([Y, Y - 15])


@pytest.mark.parametrize("after", [1, 2])
def test_an_interrupted_fit_keeps_its_weights_and_begins_no_further_phase(after):
    """As the other estimators do it, also if the user interrupts by a callback."""
    epochs = []

    def interrupt(epoch):
        epochs.append(epoch)
        if len(epochs) == after:
            raise KeyboardInterrupt

    model = RNNForecaster(3, 6, callbacks=[interrupt], **SMALL | {"max_iter": 9})
    with pytest.warns(UserWarning, match="Training was interrupted"):
        model.fit(Y)
    assert len(epochs) == after and np.isfinite(model.predict()).all()
    assert model.nets_[0].stop_reason_ == "interrupted"


_CHILD = """
import sys
sys.modules["pandas"] = None
import pickle, numpy, lightrnn
y = numpy.load(sys.argv[1] + "/y.npy")
for name in ("model.pkl", "model.npz"):
    model = pickle.load(open(sys.argv[1] + "/model.pkl", "rb"))
    if name == "model.npz":
        model = lightrnn.load(sys.argv[1] + "/" + name)
    numpy.save(sys.argv[1] + "/" + name + ".npy", model.predict(y))
    try:
        model.stream()
    except ValueError as error:
        assert "start" in str(error)
"""


def test_what_was_fitted_on_frames_is_loaded_without_pandas(tmp_path):
    pandas = pytest.importorskip("pandas")
    y = pandas.Series(Y)
    model = RNNForecaster(3, 6, **SMALL).fit(y)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    model.save(tmp_path / "model.npz")
    np.save(tmp_path / "y.npy", Y)
    subprocess.run([sys.executable, "-c", _CHILD, str(tmp_path)], check=True)
    for name in ("model.pkl", "model.npz"):
        assert (np.load(tmp_path / f"{name}.npy") == model.predict(Y)).all()


def test_a_forecaster_that_reads_dates_refuses_arrays():
    pandas = pytest.importorskip("pandas")
    y = pandas.Series(Y, pandas.date_range("2024-01-01", periods=60, freq="h"))
    model = RNNForecaster(3, 6, **SMALL).fit(y)
    with pytest.raises(ValueError, match="y must have dates, as in fit, got arrays"):
        model.predict(Y)


def test_training_with_fewer_epochs_counts_if_it_ends_better():
    by_heart = {"hidden_layer_sizes": 32, "max_iter": 60, "batch_size": 16, "dropout": 0.0}
    ends = []
    for seed in range(6):
        runs = []

        def record(epoch, runs=runs):
            if epoch.validation_score is not None:
                if epoch.epoch == 1:
                    runs.append([])
                runs[-1].append(epoch.validation_score)

        y = np.random.default_rng(seed).normal(size=150) + np.sin(2.0 * np.arange(150))
        model = RNNForecaster(
            3, 6, callbacks=[record], learning_rate_init=0.01, **SMALL | by_heart
        ).fit(y)
        assert model.nets_[0].validation_scores_ == max(runs, key=lambda run: run[-1])
        ends.append(len(runs) > 1 and runs[0][-1] < runs[-1][-1])
    assert set(ends) == {False, True}


# Values of every kind, also such as make arrays of them too large to be made.
_JUNK = (None, True, 0, -1, 7, 10**12, 2**63, 0.5, "", "6h", [], {}, [1, 2], {"!tuple": ["a"]})


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return the bytes of files of forecasters that read covariates, and dates."""
    pandas = pytest.importorskip("pandas")
    path = tmp_path_factory.mktemp("files") / "model.npz"
    X = np.random.default_rng(0).normal(size=(63, 2))
    dated = pandas.Series(Y, pandas.date_range("2024-01-01", periods=60, freq="6h", tz="UTC"))
    found = []
    for y, covariates in ((Y, X), (dated, None)):
        options = SMALL | {"hidden_layer_sizes": 4, "max_iter": 1}
        RNNForecaster(3, 4, **options).fit(y, covariates).save(path)
        found.append(path.read_bytes())
    return found


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_file_is_refused_or_forecasts(files, data, tmp_path):
    """One value or a whole array of what was learned is another one; the checksums are right."""
    members = fuzz_npz.members_of(data.draw(st.sampled_from(files)))
    header = fuzz_npz.header_of(members)
    fitted = header["content"]["state"]["fitted"]
    learned = {name: part for name, part in fitted.items() if name != "nets"}
    holder, key = data.draw(st.sampled_from(list(fuzz_npz.spots(learned))))
    holder = fitted if holder is learned else holder
    change = data.draw(st.sampled_from(["junk", "gone"]))
    if change == "junk":
        holder[key] = copy.deepcopy(data.draw(st.sampled_from(_JUNK)))
    else:
        del holder[key]
    path = tmp_path / "model.npz"
    path.write_bytes(fuzz_npz.sealed(members, json.dumps(header).encode()))
    try:
        model = load(path)
    except ValueError as error:
        assert str(error).startswith("path must be")
    else:
        assert np.shape(model.predict()) == (3,)


@pytest.mark.parametrize("after", [1, 4])
def test_a_callback_that_stops_ends_the_fit_of_its_network(after):
    """Not one of its phases: no other one begins."""
    epochs = []

    def stop(epoch):
        epochs.append(epoch)
        return STOP if len(epochs) == after else None

    model = RNNForecaster(3, 6, callbacks=[stop], **SMALL | {"max_iter": 9}).fit(Y)
    assert len(epochs) == after and model.nets_[0].stop_reason_ == "callback"


def test_an_interruption_leaves_out_networks_that_have_not_begun():
    def interrupt(epoch):
        raise KeyboardInterrupt

    options = SMALL | {"n_nets": 3, "n_jobs": 1, "callbacks": [interrupt]}
    model = RNNForecaster(3, 6, **options)
    with pytest.warns(UserWarning, match="Training was interrupted"):
        model.fit(Y)
    assert len(model.nets_) == 1 and np.isfinite(model.predict()).all()


def test_an_interruption_ends_networks_that_are_trained_at_once():
    """Whichever comes first; none of them runs all of its epochs."""
    begun = threading.Barrier(2, timeout=60)
    epochs = []

    def interrupt(epoch):
        epochs.append(epoch)
        if len(epochs) <= 2:
            begun.wait()
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt

    options = SMALL | {"n_nets": 2, "n_jobs": 2, "max_iter": 5000, "callbacks": [interrupt]}
    with pytest.warns(UserWarning, match="Training was interrupted"):
        model = RNNForecaster(3, 6, **options).fit(Y)
    assert [net.stop_reason_ for net in model.nets_] == ["interrupted"] * 2
    assert np.isfinite(model.predict()).all()


def test_verbose_says_which_network_is_trained(capsys):
    options = SMALL | {"max_iter": 2, "n_jobs": 1, "verbose": 1}
    for n_nets, begins in ((1, ["epoch 1/2"]), (2, ["net 1/2  epoch 1/2", "net 2/2  epoch 1/2"])):
        RNNForecaster(3, 6, n_nets=n_nets, **options).fit(Y)
        written = "".join(capsys.readouterr()).splitlines()
        assert all(any(line.startswith(begin) for line in written) for begin in begins)


def test_threads_that_forecast_at_once_have_the_same_bits():
    model = RNNForecaster(3, 6, n_nets=2, n_jobs=2, **SMALL).fit([Y, Y[:40], Y[3:]])
    expected = [model.predict(level=80), model.predict([Y[:20], Y]), model.surprise([Y])]
    found = []

    def work():
        for _ in range(5):
            found.append([model.predict(level=80), model.predict([Y[:20], Y]), model.surprise([Y])])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    for first, second, third in found:
        assert all((first[name] == column).all() for name, column in expected[0].items())
        assert (second == expected[1]).all()
        assert np.array_equal(third, expected[2], equal_nan=True)


@pytest.mark.parametrize("function", [to_onnx, export_numpy, export_c])
def test_networks_are_exported_as_what_they_are(function, tmp_path):
    """Regressors of (horizon, q) quantiles; a forecaster itself is refused with that remedy."""
    if function is to_onnx:
        pytest.importorskip("onnx", reason="writes ONNX models")
    model = RNNForecaster(3, 6, **SMALL).fit(Y)
    net = model.nets_[0]
    sequences = network_inputs(model)
    predicted = net.predict(sequences)[0]
    assert predicted.shape == (len(sequences[0]), 3, 5) and (np.diff(predicted) >= 0).all()
    assert net.quantile == model.quantiles and net.y_scale_.tolist() == [1.0] * 3
    path = tmp_path / "model.c" if function is export_c else tmp_path / "model.py"
    function(net, path)
    if function is export_numpy:
        alone = runpy.run_path(str(path))["predict"](sequences)[0]
        assert np.allclose(alone, predicted, atol=1e-5)
    with pytest.raises(TypeError, match="one of a forecaster's nets_"):
        function(model, path)


@pytest.mark.parametrize(
    ("n", "given", "used"), [(1, "auto", 0.2), (100, "auto", 0.0), (1, 0.1, 0.1)]
)
def test_a_few_series_are_learned_with_dropout(n, given, used):
    y = np.random.default_rng(0).normal(size=(n, 20))
    model = RNNForecaster(1, hidden_layer_sizes=4, max_iter=1, dropout=given).fit(y)
    assert model.nets_[0].dropout == used and model.dropout == given

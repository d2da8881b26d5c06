"""A network's twin on the GPU does what the network does: outputs, loss, gradient, states, whole fits."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import CELLS, TARGETS, Problem, problems

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor, load
from lightrnn.batches import chunks

TOLERANCE = {"float64": 1e-12, "float32": 3e-5}


def close(got, want, dtype="float64"):
    return np.allclose(got, want, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def difference(problem, twin, network):
    """What differs between a loss and its gradient here and there."""
    loss, batch = problem.make_loss(), problem.batch(network)
    values = [net.loss_and_gradient(batch, loss) for net in (network, twin)]
    wanted, got = network.named(network.gradient.copy()), network.named(twin.gradient)
    differing = [] if close(*values, problem.dtype) else ["loss"]
    return differing + [name for name in wanted if not close(got[name], wanted[name], problem.dtype)]


def check(problem, twin, network):
    """Everything that a twin computes."""
    assert not difference(problem, twin, network)
    for method in ("outputs", "states"):
        for got, want in zip(getattr(twin, method)(problem.X), getattr(network, method)(problem.X), strict=True):
            assert got.dtype == problem.dtype and close(got, want, problem.dtype), method
    if problem.target == "step":
        assert close(twin.final_outputs(problem.X), network.final_outputs(problem.X), problem.dtype)


def problem_of(cell, **changes):
    plain = {"sizes": (3,), "bidirectional": False, "window": 3, "dropout": 0.0, "target": "sequence"}
    data = {"dtype": "float64", "loss": "softmax", "constant": 0.5, "k": 2, "F": 2, "n_tokens": 0, "head": "linear"}
    return Problem(cell, **plain | data | {"lengths": (2, 4, 1, 3), "truncate": None, "seed": 0} | changes)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("sizes", [(3,), (4, 2)])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_direction_depth_and_target(gpu, cell, bidirectional, sizes, target):
    if cell == "ffnn" and bidirectional:
        pytest.skip("a window looks back only")
    problem = problem_of(cell, bidirectional=bidirectional, sizes=sizes, target=target, dropout=0.4)
    network = problem.network()
    check(problem, gpu.Twin(network, 0), network)


@settings(max_examples=12)
@given(data=st.data())
def test_every_loss_head_and_kind_of_input(gpu, data):
    drawn = data.draw(problems(dtypes=("float64",), max_size=4, max_length=4))
    problem = replace(drawn, lengths=drawn.lengths[:5])
    network = problem.network()
    check(problem, gpu.Twin(network, 0), network)


@pytest.mark.parametrize("cell", CELLS)
def test_float32(gpu, cell):
    problem = problem_of(cell, dtype="float32", sizes=(4, 4), F=4, k=4, target="step")
    network = problem.network()
    check(problem, gpu.Twin(network, 0), network)


@pytest.mark.parametrize("target", TARGETS)
def test_truncation_carries_the_state(gpu, target):
    problem = problem_of("lstm", target=target, lengths=(5, 3, 5))
    network, loss = problem.network(), problem.make_loss()
    twin = gpu.Twin(network, 0)
    pairs = zip(chunks(problem.batch(network), 2, network), chunks(problem.batch(network), 2, twin), strict=True)
    for ours, theirs in pairs:
        assert close(network.loss_and_gradient(ours, loss), twin.loss_and_gradient(theirs, loss))
        wanted, got = network.named(network.gradient), network.named(twin.gradient)
        assert all(close(got[name], wanted[name]) for name in wanted)
        for state, plain in zip(network.final_states, twin.final_states, strict=True):
            parts = state.reshape(2 * len(plain), -1)[:, : plain.shape[1] // 2]
            assert close(parts.reshape(plain.shape), plain)


def test_many_outputs_are_computed_some_rows_at_a_time(gpu, monkeypatch):
    from lightrnn.cuda import heads

    monkeypatch.setattr(heads, "OUTPUTS", 12)
    for head, n_tokens in (("linear", 0), ("tied", 6), ("adaptive", 0)):
        problem = problem_of("gru", target="step", head=head, k=6, F=3, n_tokens=n_tokens)
        network = problem.network()
        assert not difference(problem, gpu.Twin(network, 0), network)


# -- how the time loops are cut ---------------------------------------------------------------------------------------


SMALL = {"rnn": 192, "gru": 384, "lstm": 488}  # bytes of shared memory that hold only a part of 13 units' terms


@pytest.mark.parametrize("lengths", [(3, 2), (3, 1, 2, 3, 2, 1, 1, 2, 3, 1)])
@pytest.mark.parametrize("number, several, slabs", [(1, 0, 0), (2, 1, 0), (3, 0, 0), (3, 1, 0), (3, 0, 1)])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_every_regime(gpu, cell, number, several, slabs, lengths, monkeypatch):
    """In one block or several, by all terms of a sum or some at a time, all sequences at once or not."""
    from lightrnn.cuda.driver import Limits
    from lightrnn.cuda.regimes import choose

    H = 5 if number < 3 else 40 if several else 13
    problem, used = problem_of(cell, sizes=(H,), lengths=lengths), []
    network = problem.network()
    twin = gpu.Twin(network, 0)

    def regime(layer, B, *, back):
        threads = 32 if number == 1 else 4 if back or cell == "rnn" else 8
        limits = Limits(4 if several else 1, SMALL[cell] if slabs else 40000, threads=threads)
        used.append(choose(layer.cell, layer.units, B, 8, limits, back=back))
        return used[-1]

    monkeypatch.setattr(twin, "regime", regime)
    assert not difference(problem, twin, network)
    assert [cut.number for cut in used] == [number, number]
    assert all((cut.blocks > 1) == several and cut.alone == (not several and not slabs) for cut in used)


# -- whole fits -------------------------------------------------------------------------------------------------------


def sequences(tokens=False):
    rng = np.random.default_rng(0)
    lengths = (2, 3, 2, 4, 3, 2)
    return [rng.choice(list("abc"), T).tolist() if tokens else rng.normal(size=(T, 2)) for T in lengths]


OPTIONS = {"max_iter": 2, "batch_size": 4, "dtype": "float64", "random_state": 0, "learning_rate": "cosine"}


def same_fit(tmp_path, estimator, X, y, **options):
    """Fit here and there; then predict each by the other."""
    here, there = (estimator(device=device, **OPTIONS | options).fit(X, y) for device in ("cpu", "cuda"))
    assert (here.device_, there.device_) == ("cpu", "cuda:0")
    for name, array in here.weights_.items():
        assert close(there.weights_[name], array), name
    assert np.allclose(here.loss_curve_, there.loss_curve_, rtol=1e-12)
    there.save(tmp_path / "model.npz")
    again = load(tmp_path / "model.npz").set_params(device="cpu")
    return here, there, again


@pytest.mark.parametrize("solver", ["adam", "sgd", "rmsprop", "lbfgs"])
def test_a_fit_on_the_gpu_gives_the_cpus_weights(gpu, tmp_path, solver):
    dropout = 0.0 if solver == "lbfgs" else 0.3
    options = {"cell": "lstm", "hidden_layer_sizes": (3,), "solver": solver, "dropout": dropout, "clip_norm": 0.1}
    X = sequences()
    if solver == "lbfgs":
        options |= {"callbacks": lambda record: record.epoch == 2, "max_iter": 5}
    here, there, again = same_fit(tmp_path, RNNClassifier, X, [0, 1, 0, 1, 1, 0], **options)
    assert close(there.predict_proba(X), here.predict_proba(X)) and close(again.predict_proba(X), here.predict_proba(X))
    assert close(there.transform(X), here.transform(X))


def test_a_fit_of_tokens_with_validation(gpu, tmp_path):
    X = sequences(tokens=True)
    y = [np.arange(len(x)) % 2 for x in X]
    options = {"cell": "gru", "hidden_layer_sizes": (2,), "target": "step", "bidirectional": True, "embedding_size": 2}
    here, there, _ = same_fit(tmp_path, RNNClassifier, X, y, early_stopping=True, validation_fraction=0.4, **options)
    assert here.validation_scores_ == there.validation_scores_


def test_a_fit_of_a_regressor_goes_on_where_it_stopped(gpu, tmp_path):
    X, y = sequences(), [[0.1, 2.0], [1.0, 3.0], [0.5, -1.0], [0.2, 0.3], [2.0, 0.1], [0.7, 0.2]]
    options = {"cell": "rnn", "hidden_layer_sizes": (2,), "loss": "huber", "truncate": 2}
    here, there, _ = same_fit(tmp_path, RNNRegressor, X, y, **options)
    for model in (here, there):
        model.partial_fit(X, y)
    assert all(close(there.weights_[name], array) for name, array in here.weights_.items())
    assert close(there.predict(X), here.predict(X))


def test_a_fit_of_a_language_model(gpu, tmp_path):
    texts = ["to be or not", "to be", "that is"]
    options = {"cell": "gru", "hidden_layer_sizes": (2,), "embedding_size": 2, "truncate": 3, "tokens": "word"}
    here, there, _ = same_fit(tmp_path, RNNLanguageModel, texts, None, **options)
    assert np.isclose(here.score(texts), there.score(texts), rtol=1e-12)
    assert close(here.predict_proba(["to", "that"]), there.predict_proba(["to", "that"]))
    assert here.generate("to", 3, random_state=0) == there.generate("to", 3, random_state=0)


def test_a_fit_with_one_seed_gives_the_same_bits(gpu):
    X, fits = sequences(), []
    for _ in range(2):
        model = RNNClassifier("gru", (3,), device="cuda", **OPTIONS).fit(X, [0, 1, 0, 1, 1, 0])
        fits.append({name: array.tobytes() for name, array in model.weights_.items()})
    assert fits[0] == fits[1]

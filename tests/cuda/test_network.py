"""A network on the GPU does what it does on the CPU: outputs, gradients, states, fits."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.networks import weight_bits
from helpers.strategies import CELLS, TARGETS, Problem, problems
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor, load
from lightrnn.cells import HEAD_CELLS
from lightrnn.nn.solvers import make_solver
from lightrnn.training import STOP
from lightrnn.training.truncation import chunks
from lightrnn.utils.standardization import Standardization

TOLERANCE = {"float64": 1e-12, "float32": 2e-6}


def close(got, want, dtype="float64"):
    return np.allclose(got, want, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def difference(problem, gpu_network, network):
    """Names of what differs: the loss, or parameters whose gradient does."""
    loss = problem.make_loss()
    batch = problem.batch(network)
    values = [net.loss_and_gradient(batch, loss) for net in (network, gpu_network)]
    wanted = network.named(network.gradient.copy())
    got = network.named(gpu_network.gradient)
    differing = [] if close(*values, problem.dtype) else ["loss"]
    return differing + [
        name for name in wanted if not close(got[name], wanted[name], problem.dtype)
    ]


def check(gpu, problem, network=None, cached=False):
    """Compare all that a network computes on the GPU and on the CPU."""
    network = network or problem.network()
    gpu_network = gpu.CudaNetwork(network, 0)
    if cached:
        gpu_network.cache_sequences(problem.X, np.array(problem.lengths), len(problem.lengths))
    assert not difference(problem, gpu_network, network)
    for method in ("outputs", "states", "final_outputs")[: 2 + (problem.target == "step")]:
        found, wanted = (getattr(net, method)(problem.X) for net in (gpu_network, network))
        for got, want in zip(found, wanted, strict=True):
            assert got.dtype == problem.dtype and close(got, want, problem.dtype), method


@pytest.mark.parametrize("cell", ["ffnn", "gru"])
def test_the_first_layer_reads_standardised_numbers(gpu, cell):
    problem = Problem(cell)
    network = problem.network()
    F = problem.F
    network.standardization = Standardization(np.linspace(-2, 3, F), np.full(F, 4.0), 1.0)
    for cached in (False, True):
        check(gpu, problem, network, cached)


@pytest.mark.parametrize("cell", ["ffnn", "gru"])
def test_what_kernels_would_read_beyond_their_arrays_is_refused(gpu, cell):
    problem = Problem(cell)
    network = problem.network()
    gpu_network = gpu.CudaNetwork(network, 0)
    for wrong in ([np.ones((4, 3))], [np.ones((4, 2)), np.ones((4, 1))]):
        with pytest.raises(ValueError, match="steps of 2 features, got sequences of the shapes"):
            gpu_network.outputs(wrong)
    for items, lengths in (([np.ones((4, 3))], [4]), ([np.ones((4, 2))], [5])):
        with pytest.raises(ValueError, match="X must hold sequences of the shape"):
            gpu_network.cache_sequences(items, np.array(lengths), 1)
    gpu_network.close()
    tokens = gpu.CudaNetwork(Problem(cell, n_tokens=5).network(), 0)
    for read in (tokens.outputs, lambda X: tokens.cache_sequences(X, np.array([3]), 1)):
        with pytest.raises(ValueError, match="X must hold codes from 0 to 4, got 0 to 5"):
            read([np.array([0, 5, 1])])
    tokens.close()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("sizes", [(3,), (4, 2)])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_direction_depth_and_target(gpu, cell, bidirectional, sizes, target):
    if cell == "ffnn" and bidirectional:
        pytest.skip("a window looks back only")
    check(gpu, Problem(cell, bidirectional=bidirectional, sizes=sizes, target=target, dropout=0.4))


@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
@pytest.mark.parametrize(("cell", "dtype"), [("ffnn", "float64"), ("gru", "float32")])
def test_every_pooling(gpu, cell, dtype, pooling):
    options = {"dropout": 0.4, "bidirectional": cell != "ffnn", "dtype": dtype}
    check(gpu, Problem(cell, sizes=(4, 2), pooling=pooling, **options))


@pytest.mark.parametrize("activation", HEAD_CELLS)
def test_hidden_layers_of_the_head(gpu, activation):
    check(gpu, Problem("rnn", head_layer_sizes=(3, 2), head_activation=activation))


@pytest.mark.parametrize("pooling", ["max", "attention"])
def test_truncation_carries_what_is_pooled(gpu, pooling):
    problem = Problem("lstm", lengths=(5, 3, 5, 1), pooling=pooling)
    network = problem.network()
    gpu_network = gpu.CudaNetwork(network, 0)
    loss = problem.make_loss()
    values = []
    for there in (network, gpu_network):
        (last,) = chunks(problem.batch(network), 2, there)
        values.append((there.loss_and_gradient(last, loss), network.named(there.gradient)))
    whole = network.loss_and_gradient(problem.batch(network), loss)
    assert close(values[0][0], values[1][0]) and close(whole, values[0][0])
    assert all(close(array, values[1][1][name]) for name, array in values[0][1].items())


@settings(max_examples=12)
@given(data=st.data())
def test_every_loss_head_and_kind_of_input(gpu, data):
    drawn = data.draw(problems(dtypes=("float64",), max_size=4, max_length=4))
    problem = replace(drawn, lengths=drawn.lengths[:5])
    check(gpu, problem)


@pytest.mark.parametrize("cell", CELLS)
def test_float32(gpu, cell):
    check(gpu, Problem(cell, dtype="float32", sizes=(4, 4), F=4, k=4, target="step"))


@pytest.mark.parametrize("target", TARGETS)
def test_truncation_carries_the_state(gpu, target):
    problem = Problem("lstm", target=target, lengths=(5, 3, 5))
    network = problem.network()
    loss = problem.make_loss()
    gpu_network = gpu.CudaNetwork(network, 0)
    pairs = zip(
        chunks(problem.batch(network), 2, network),
        chunks(problem.batch(network), 2, gpu_network),
        strict=True,
    )
    for ours, theirs in pairs:
        assert close(
            network.loss_and_gradient(ours, loss), gpu_network.loss_and_gradient(theirs, loss)
        )
        wanted = network.named(network.gradient)
        got = network.named(gpu_network.gradient)
        assert all(close(got[name], wanted[name]) for name in wanted)
        if target == "sequence":
            continue  # nothing goes on with the states
        for state, plain in zip(network.final_states, gpu_network.final_states, strict=True):
            parts = state.reshape(2 * len(plain), -1)[:, : plain.shape[1] // 2]
            assert close(parts.reshape(plain.shape), plain)


def test_a_step_begins_before_the_outcome_of_the_last_is_asked_for(gpu):
    problem = Problem("lstm", target="step")
    network = problem.network()
    there = problem.network()
    gpu_network = gpu.CudaNetwork(there, 0)
    loss = problem.make_loss()
    batch = problem.batch(network)
    solvers = [make_solver("adam", network.layout.size, "float64") for _ in range(2)]
    wanted = [network.learn(batch, loss, solvers[0], rate, 0.1)() for rate in (0.1, 0.2, 0.3)]
    begun = []
    got = []
    for rate in (0.1, 0.2, 0.3):
        begun.append(gpu_network.learn(batch, loss, solvers[1], rate, 0.1))
        if len(begun) > gpu_network.steps_in_flight:
            got.append(begun.pop(0)())
    got += [outcome() for outcome in begun]
    assert close(got, wanted) and len({loss for loss, _ in got}) == 3
    gpu_network.finish()
    assert close(there.parameters, network.parameters)


def test_many_outputs_are_computed_some_rows_at_a_time(gpu, monkeypatch):
    from lightrnn.cuda import heads

    monkeypatch.setattr(heads, "OUTPUTS", 12)
    for head, n_tokens in (("linear", 0), ("tied", 6), ("adaptive", 0)):
        problem = Problem("gru", target="step", head=head, k=6, F=3, n_tokens=n_tokens)
        network = problem.network()
        assert not difference(problem, gpu.CudaNetwork(network, 0), network)


# -- how the time loops are tiled --------------------------------------------------------------


# Bytes of shared memory that hold only a part of 13 units' terms.
SMALL = {"rnn": 288, "gru": 672, "lstm": 672}
# Units of the layer; then the GPU's multiprocessors, threads of a block, bytes of shared memory.
CUTS = {
    "registers": (5, 1, dict.fromkeys(SMALL, 32), 40000),
    "registers and shared memory": (9, 1, {"rnn": 4, "gru": 8, "lstm": 12}, 40000),
    "several blocks": (9, 4, {"rnn": 2, "gru": 5, "lstm": 8}, 40000),
    "streamed": (13, 1, dict.fromkeys(SMALL, 8), 40000),
    "streamed, several blocks": (17, 4, dict.fromkeys(SMALL, 8), 40000),
    "streamed, some terms at a time": (13, 1, {"rnn": 2, "gru": 8, "lstm": 8}, None),
}


FEW = (3, 2)
MANY = (3, 1, 2, 3, 2, 1, 1, 2, 3, 1)
CASES = [(name, False, lengths) for name in CUTS for lengths in (FEW, MANY)]
CASES += [(name, True, MANY) for name in CUTS if "streamed" not in name]


@pytest.mark.parametrize("name, tight, lengths", CASES)
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_every_tiling(gpu, cell, name, tight, lengths, monkeypatch):
    """Wherever W_hh is, and however many sequences shared memory holds."""
    from lightrnn.cuda import forward
    from lightrnn.cuda.driver import Limits
    from lightrnn.cuda.recurrence import tiling

    H, multiprocessors, threads, shared = CUTS[name]
    streamed = "streamed" in name
    several = "several" in name
    limits = Limits(multiprocessors, shared or SMALL[cell], threads=threads[cell])
    problem = Problem(cell, sizes=(H,), lengths=lengths)
    used = []
    network = problem.network()
    gpu_network = gpu.CudaNetwork(network, 0)
    if streamed:
        monkeypatch.setattr(tiling._Search, "resident", lambda self: None)
    monkeypatch.setattr(tiling, "MANY", 2)
    tiling.choose.cache_clear()

    def choose(rule, H, B, itemsize, _, *, back):
        chosen = tiling.choose(rule, H, B, itemsize, limits, back=back)
        if tight:
            groups = -(-B // chosen.tile_sequences) if chosen.single_block else chosen.groups
            chosen = chosen._replace(tiles=1, groups=groups)
        used.append(chosen)
        return chosen

    monkeypatch.setattr(forward, "choose", choose)
    assert not difference(problem, gpu_network, network)
    assert all((cut.resident == 0) == streamed for cut in used)
    assert all((cut.blocks > 1) == several for cut in used)
    assert all(
        (cut.stored > 0) == (name in ("registers and shared memory", "several blocks"))
        for cut in used
    )
    assert (max(cut.tiles for cut in used) > 1) == (not streamed and lengths == MANY and not tight)
    if (cell, name, lengths) == ("lstm", "registers", FEW):
        assert used[1].partial_sums < used[1].parts
    terms = H, len(network.levels[0][0].cell.gates) * H
    some = [cut.parts * cut.terms_per_part < count for cut, count in zip(used, terms, strict=True)]
    assert some == [shared is None] * 2


# -- whole fits --------------------------------------------------------------------------------


def sequences(tokens=False):
    rng = np.random.default_rng(0)
    lengths = (2, 3, 2, 4, 3, 2)
    return [
        rng.choice(list("abc"), T).tolist() if tokens else rng.normal(size=(T, 2)) for T in lengths
    ]


OPTIONS = {
    "max_iter": 2,
    "batch_size": 4,
    "dtype": "float64",
    "random_state": 0,
    "learning_rate": "cosine",
}


def same_fit(tmp_path, estimator, X, y, **options):
    """Fit here and there; then predict each by the other."""
    here, there = (
        estimator(device=device, **OPTIONS | options).fit(X, y) for device in ("cpu", "cuda")
    )
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
    options = {
        "cell": "lstm",
        "hidden_layer_sizes": (3,),
        "solver": solver,
        "dropout": dropout,
        "clip_norm": 0.1,
    }
    X = sequences()
    if solver == "lbfgs":
        options |= {"callbacks": lambda record: STOP if record.epoch == 2 else None, "max_iter": 5}
    here, there, again = same_fit(tmp_path, RNNClassifier, X, [0, 1, 0, 1, 1, 0], **options)
    assert close(there.predict_proba(X), here.predict_proba(X)) and close(
        again.predict_proba(X), here.predict_proba(X)
    )
    assert close(there.transform(X), here.transform(X))


def test_a_fit_of_tokens_with_validation(gpu, tmp_path):
    X = sequences(tokens=True)
    y = [np.arange(len(x)) % 2 for x in X]
    options = {
        "cell": "gru",
        "hidden_layer_sizes": (2,),
        "target": "step",
        "bidirectional": True,
        "embedding_size": 2,
        "token_dropout": 0.3,
    }
    here, there, _ = same_fit(
        tmp_path, RNNClassifier, X, y, early_stopping=True, validation_fraction=0.4, **options
    )
    assert close(there.validation_scores_, here.validation_scores_)


@pytest.mark.parametrize("loss", ["huber", "quantile"])
def test_a_fit_of_a_regressor_goes_on_where_it_stopped(gpu, tmp_path, loss):
    X = sequences()
    y = [[0.1, 2.0], [1.0, 3.0], [0.5, -1.0], [0.2, 0.3], [2.0, 0.1], [0.7, 0.2]]
    options = {"cell": "rnn", "hidden_layer_sizes": (2,), "loss": loss, "truncate": 2}
    if loss == "quantile":
        options["quantile"] = (0.1, 0.5, 0.9)
    here, there, _ = same_fit(tmp_path, RNNRegressor, X, y, **options)
    for model in (here, there):
        model.partial_fit(X, y)
    assert all(close(there.weights_[name], array) for name, array in here.weights_.items())
    assert close(there.predict(X), here.predict(X))


def test_a_fit_of_patches_that_are_on_disk(gpu, tmp_path):
    X = []
    for i, x in enumerate(sequences()):
        X.append(np.memmap(tmp_path / f"{i}", np.float64, "w+", shape=x.shape))
        X[-1][:] = x
        X[-1][-1, 0] = np.nan
    options = {"cell": "gru", "hidden_layer_sizes": (2,), "patch": 2, "standardize": False}
    options["missing"] = "mask"
    here, there, _ = same_fit(tmp_path, RNNClassifier, X, [0, 1, 0, 1, 1, 0], **options)
    assert there.patch_ == 2
    assert close(there.predict_proba(X), here.predict_proba(X))


def test_a_fit_of_a_language_model(gpu, tmp_path):
    texts = ["to be or not", "to be", "that is"]
    options = {
        "cell": "gru",
        "hidden_layer_sizes": (2,),
        "embedding_size": 2,
        "truncate": 3,
        "tokens": "word",
    }
    here, there, _ = same_fit(tmp_path, RNNLanguageModel, texts, None, **options)
    assert np.isclose(here.score(texts), there.score(texts), rtol=1e-12)
    assert close(here.predict_proba(["to", "that"]), there.predict_proba(["to", "that"]))
    assert here.generate("to", 3, random_state=0) == there.generate("to", 3, random_state=0)


def test_a_fit_with_one_seed_gives_the_same_bits(gpu):
    X = sequences()
    first, second = (
        RNNClassifier("gru", (3,), device="cuda", **OPTIONS).fit(X, [0, 1, 0, 1, 1, 0])
        for _ in range(2)
    )
    assert weight_bits(first) == weight_bits(second)

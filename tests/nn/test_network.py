"""Networks equal the oracle, have the right gradient, and bits that depend on their input alone."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from helpers import naive
from helpers.networks import bits, directional_error, randomize, slopes_by_array
from helpers.strategies import CELLS, POOLINGS, problems
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn.losses import make_loss
from lightrnn.nn import network as network_module
from lightrnn.nn.batches import Batch
from lightrnn.nn.network import Network
from lightrnn.nn.solvers import make_solver
from lightrnn.training.truncation import chunks
from lightrnn.utils.standardization import Standardization

# The oracle sums in another order: some hundred roundings of each dtype.
TOLERANCE = {"float64": 1e-12, "float32": 3e-5}


def expected_outputs(problem, weights, masks=None):
    """Return the oracle's raw outputs and hidden values, sequence by sequence."""
    raws = []
    states = []
    for b, X in enumerate(problem.X):
        options = {
            "window": problem.window,
            "pooling": problem.pooling,
            "masks": None if masks is None else [mask[b] for mask in masks],
        }
        steps, summary, _ = naive.hidden(weights, problem.cell, X, **options)
        states.append(steps if problem.target == "step" else summary)
        raws.append(naive.head(weights, states[-1], problem.head_activation))
    return raws, states


def restored(values, batch):
    """Undo the batch's sorting."""
    return [values[i] for i in np.argsort(batch.order)]


def close(problem, got, want):
    return np.allclose(got, want, rtol=TOLERANCE[problem.dtype], atol=TOLERANCE[problem.dtype])


# -- the oracle ------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(problem=problems())
def test_outputs_and_states_are_the_oracles(problem):
    network = problem.network()
    raws, states = expected_outputs(problem, network.arrays())
    for got, want in zip(network.outputs(problem.X), raws, strict=True):
        assert got.dtype == problem.dtype and close(problem, got, want)
    for got, want in zip(network.states(problem.X), states, strict=True):
        assert got.dtype == problem.dtype and close(problem, got, want)


def standardization(F):
    """Return a standardisation of F features."""
    return Standardization(np.linspace(-2, 3, F), np.linspace(0.5, 4, F), 1.0)


@settings(max_examples=30)
@given(problem=problems(n_tokens=0, head="linear"))
def test_the_first_layer_reads_standardised_numbers(problem):
    network = problem.network()
    network.standardization = standardization(problem.F)
    plain = problem.network()
    inputs = network.as_inputs(problem.X)
    for one, other in zip(network.outputs(problem.X), plain.outputs(inputs), strict=True):
        assert np.array_equal(one, other)
    batch = problem.batch(network)
    standardised = replace(batch, X=network.as_inputs(batch.X))
    loss = problem.make_loss()
    assert network.loss_and_gradient(batch, loss) == plain.loss_and_gradient(standardised, loss)
    assert np.array_equal(network.gradient, plain.gradient)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_are_standardised_with_all_their_digits(dtype):
    network = Network("rnn", 5, (2,), 1, dtype=dtype)
    network.standardization = standardization(5)
    values = np.random.default_rng(0).standard_normal((7, 5)) + 1e4
    for kinds in (dtype, dtype), (dtype, "float64"), ("float32", "int64"):
        X = [values[:3].astype(kinds[0]), values[3:].astype(kinds[1])]
        out = np.empty((7, 5), dtype)
        network.join(X, out)
        mean, scale = network.standardization.mean, network.standardization.scale
        wanted = (np.concatenate(X, dtype="float64") - mean) / scale
        assert np.array_equal(out, wanted.astype(dtype))


@settings(max_examples=60)
@given(problem=problems())
def test_the_loss_is_the_oracles(problem):
    network = problem.network()
    batch = problem.batch(network)
    # Masks are drawn for the sorted batch; the oracle takes the sequences as they came.
    masks = [restored(mask, batch) for mask in batch.masks] or None
    raws, _ = expected_outputs(problem, network.arrays(), masks)
    targets = problem.targets
    weights = problem.weights
    if problem.target == "step":
        raws, targets, weights = (np.concatenate(values) for values in (raws, targets, weights))
    want = naive.mean_loss(problem.loss, raws, targets, weights, **problem.loss_options)
    assert close(problem, network.loss_and_gradient(batch, problem.make_loss()), want)


@settings(max_examples=40)
@given(
    problem=problems(cells=("rnn", "gru", "lstm"), bidirectional=False, dropout=0.0),
    truncate=st.integers(1, 4),
)
def test_truncation_changes_no_loss_only_what_is_learned_from(problem, truncate):
    network = problem.network()
    raws, _ = expected_outputs(problem, network.arrays())
    batch = problem.batch(network)
    # Into the batch's order: the inverse of what `restored` does.
    raws = restored(raws, replace(batch, order=np.argsort(batch.order)))
    start = 0
    for chunk in chunks(batch, truncate, network):
        got = network.loss_and_gradient(chunk, problem.make_loss())
        rows = raws
        targets = chunk.targets
        weights = chunk.weights
        if problem.target == "step":
            # The chunk's own steps, of the sequences that reach them.
            assert max(map(len, chunk.X)) <= truncate
            rows = np.concatenate(
                [raw[start : start + truncate] for raw in raws if len(raw) > start]
            )
            targets = np.concatenate(targets)
            weights = np.concatenate(weights)
            start += truncate
        assert close(
            problem,
            got,
            naive.mean_loss(problem.loss, rows, targets, weights, **problem.loss_options),
        )
    assert problem.target == "sequence" or start >= max(problem.lengths)


@settings(max_examples=15)
@given(problem=problems(cells=("rnn", "gru", "lstm"), bidirectional=False, dropout=0.0))
def test_final_states_are_the_oracles_in_the_batchs_order(problem):
    network = problem.network()
    batch = problem.batch(network)
    weights = network.arrays()
    finals = [naive.hidden(weights, problem.cell, X)[2] for X in batch.X]
    layers = len(finals[0])
    network.run(batch)
    after_run = network.final_states
    network.loss_and_gradient(batch, problem.make_loss())
    # No batch goes on with the states of one that was learned from with a target per sequence.
    after_learning = network.final_states if problem.target == "step" else after_run
    for got in (after_run, after_learning):
        assert len(got) == layers + (problem.pooling != "last")
        for layer, rows in enumerate(got[:layers]):
            for b, row in enumerate(rows):
                h = finals[b][layer]
                parts = row.reshape(len(h), -1)
                assert close(problem, parts[:, : len(h[0])], h)
                # The padding of the state must not leak into the next chunk.
                assert not parts[:, len(h[0]) :].any()


# -- the gradient ----------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
@settings(max_examples=100)
@given(data=st.data())
def test_the_gradient_is_the_difference_of_losses(cell, data):
    problem = data.draw(problems(cells=(cell,), dtypes=("float64",)))
    network = problem.network()
    rng = np.random.default_rng(problem.seed)
    for chunk in chunks(problem.batch(network), problem.truncate, network):
        assert directional_error(network, chunk, problem.make_loss(), rng) < 1e-7


@pytest.mark.parametrize("cell", CELLS)
def test_each_parameters_gradient_is_right_by_itself(cell):
    options = {"bidirectional": cell != "ffnn", "window": 3, "pooling": "attention"}
    rng = np.random.default_rng(0)
    network = randomize(Network(cell, 3, (5, 4), 2, **options, dtype="float64"), rng)
    X = [rng.normal(size=(T, 3)) for T in (1, 6, 3)]
    batch = Batch.of(X, rng.normal(size=(3, 2)), np.ones(3))
    for name, slope, want in slopes_by_array(network, batch, make_loss("squared_error"), rng):
        assert slope != 0, name
        assert abs(slope - want) < 1e-7 * max(1, abs(slope)), name


@settings(max_examples=30)
@given(problem=problems(dtypes=("float64",)))
def test_float32_is_float64_rounded(problem):
    wide = problem.network()
    narrow = problem.network(dtype="float32")
    loss = problem.make_loss()
    values = [net.loss_and_gradient(problem.batch(net), loss) for net in (wide, narrow)]
    assert np.isclose(*values, rtol=1e-4, atol=1e-5)
    # Small arrays may cancel to nothing: errors are compared with the largest gradient.
    exact = wide.named(wide.gradient)
    scale = max(np.abs(array).max() for array in exact.values())
    if problem.loss in ("absolute_error", "quantile"):
        return  # an output that rounds across its target flips its gradient
    for name, array in narrow.named(narrow.gradient).items():
        assert array.dtype == np.float32
        assert np.allclose(array, exact[name], atol=2e-4 * max(scale, 1e-3)), name


# -- what the bits depend on -----------------------------------------------------------------------


@settings(max_examples=100)
@given(problem=problems(max_size=40), data=st.data())
def test_an_output_depends_on_its_sequence_alone(problem, data):
    network = problem.network()
    X = problem.X
    whole = network.outputs(X)
    states = network.states(X)
    order = data.draw(st.permutations(range(len(X))))
    kept = order[: data.draw(st.integers(1, len(X)))]
    others = [problem.other(T) for T in data.draw(st.lists(st.integers(1, 12), max_size=12))]
    threads = data.draw(st.integers(1, 3))
    some = network.outputs([X[i] for i in kept] + others, threads)
    some_states = network.states(others + [X[i] for i in kept], threads)[len(others) :]
    for place, i in enumerate(kept):
        assert np.array_equal(some[place], whole[i])
        assert np.array_equal(some_states[place], states[i])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("pooling", ["step", *POOLINGS])
def test_outputs_in_many_groups_and_threads(cell, pooling, monkeypatch):
    options = {"target": "step"} if pooling == "step" else {"pooling": pooling}
    rng = np.random.default_rng(1)
    network = randomize(Network(cell, 3, (17,), 2, window=4, **options), rng, 1.0)
    X = [rng.normal(size=(T, 3)) for T in rng.integers(1, 30, 50)]
    whole = network.outputs(X)
    # One sequence per group, some, and nearly all of them.
    for rows, threads in ((1, 1), (40, 3), (333, 2)):
        monkeypatch.setattr(network_module, "_PREDICTED_ROWS", rows)
        assert all(
            np.array_equal(a, b) for a, b in zip(network.outputs(X, threads), whole, strict=True)
        )


def sharded(monkeypatch, shards):
    """Cut even the smallest batch, into at most this many shards."""
    monkeypatch.setattr(network_module, "_WORTH_TWO", 1.0)
    monkeypatch.setattr(network_module, "_WORTH_MORE", 1.0)
    monkeypatch.setattr(network_module, "_SHARDS", shards)


# Enough sequences for eight shards, of all lengths.
CUT = {"lengths": tuple(range(1, 34)), "truncate": None, "seed": 3}


@settings(max_examples=30)
@given(problem=problems(**CUT))
def test_the_number_of_threads_changes_no_bit(problem):
    with pytest.MonkeyPatch.context() as monkeypatch:
        sharded(monkeypatch, 8)
        network = problem.network()
        loss = problem.make_loss()
        batch = problem.batch(network)
        assert network._shard_count(batch) > 2
        results = [bits(network, batch, loss, threads) for threads in (1, 2, 3, 7)]
    assert results.count(results[0]) == 4


@settings(max_examples=30)
@given(problem=problems(**CUT))
def test_shards_add_up_to_the_whole(problem):
    results = []
    for shards in (1, 2, 8):
        with pytest.MonkeyPatch.context() as monkeypatch:
            sharded(monkeypatch, shards)
            network = problem.network()
            value = network.loss_and_gradient(problem.batch(network), problem.make_loss())
            finals = network.final_states if network.recurrent else ()
            results.append((value, network.gradient.copy(), finals))
    tolerance = {"float64": 1e-12, "float32": 1e-4}[problem.dtype]
    # Gradients are sums in another order; states have the same bits.
    for value, gradient, finals in results[1:]:
        assert np.isclose(value, results[0][0], rtol=tolerance)
        assert np.allclose(gradient, results[0][1], rtol=tolerance, atol=tolerance)
        assert all(np.array_equal(a, b) for a, b in zip(finals, results[0][2], strict=True))


@settings(max_examples=20)
@given(problem=problems(), other=st.integers(0, 99))
def test_nothing_is_left_over_from_the_batch_before(problem, other):
    """Workspaces are used again: larger batches, other lengths and NaN before must not show."""
    fresh = problem.network()
    used = problem.network()
    rng = np.random.default_rng(other)
    for spoil in (1.0, np.nan):
        lengths = tuple(rng.integers(1, 15, 24).tolist())
        X = [
            problem.other(T) if problem.n_tokens else spoil * rng.normal(size=(T, problem.F))
            for T in lengths
        ]
        former = replace(problem, lengths=lengths)
        masks = used.dropout_masks(len(X), np.random.default_rng(0))
        batch = Batch.of(X, former.targets, former.weights, masks)
        used.loss_and_gradient(batch, problem.make_loss())
        used.outputs(X)
    values = [
        net.loss_and_gradient(problem.batch(net), problem.make_loss()) for net in (fresh, used)
    ]
    assert values[0] == values[1] and np.array_equal(fresh.gradient, used.gradient)
    for a, b in zip(fresh.outputs(problem.X), used.outputs(problem.X), strict=True):
        assert np.array_equal(a, b)


@settings(max_examples=25)
@given(problem=problems(dtypes=("float32",)))
def test_padding_has_no_gradient(problem):
    network = problem.network()
    network.loss_and_gradient(problem.batch(network), problem.make_loss())
    ones = network.flatten({name: np.ones_like(array) for name, array in network.arrays().items()})
    assert network.n_parameters == ones.sum()
    assert not network.gradient[ones == 0].any()
    assert network.gradient[ones == 1].any()


# -- pooling ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", POOLINGS[1:])
def test_truncation_pools_all_steps_and_learns_from_the_last(pooling):
    """A difference of the loss over the last steps' share alone: earlier states are constants."""
    rng = np.random.default_rng(0)
    network = randomize(Network("gru", 2, (3,), 1, pooling=pooling, dtype="float64"), rng, 1.0)
    X = [rng.normal(size=(T, 2)) for T in (7, 5, 2)]
    batch = Batch.of(X, rng.normal(size=(3, 1)), np.ones(3))
    loss = make_loss("squared_error")
    (last,) = chunks(batch, 3, network)
    assert np.isclose(network.loss_and_gradient(last, loss), network.loss_and_gradient(batch, loss))
    assert directional_error(network, last, loss, rng) < 1e-7


def test_attention_begins_as_the_mean():
    networks = [Network("lstm", 2, (5,), 2, pooling=kind) for kind in ("mean", "attention")]
    for network in networks:
        network.initialize(np.random.default_rng(0))
    X = [np.random.default_rng(T).normal(size=(T, 2)) for T in (1, 9)]
    assert np.array_equal(*(network.outputs(X) for network in networks))


def test_scores_of_any_size_give_finite_weights():
    network = Network("rnn", 1, (2,), 1, pooling="attention")
    arrays = {name: np.ones(array.shape) for name, array in network.arrays().items()}
    X = [np.linspace(-3, 3, 20)[::order, None] for order in (1, -1)]
    for size in (1e4, -1e4):
        network.assign(arrays | {"attention.w": np.full(2, size)})
        assert np.isfinite(network.outputs(X)).all()


def test_a_value_that_is_not_finite_is_not_hidden_by_a_maximum():
    network = Network("ffnn", 1, (2,), 1, window=1, pooling="max")
    network.assign({name: np.ones(array.shape) for name, array in network.arrays().items()})
    for bad in (np.inf, np.nan):
        assert not np.isfinite(network.outputs([np.array([[1.0], [bad], [2.0], [3.0]])])).any()


# -- the rest --------------------------------------------------------------------------------------


def test_a_step_of_a_solver_is_made_only_from_what_is_finite():
    network = Network("gru", 2, (3,), 1)
    network.initialize(np.random.default_rng(0))
    loss = make_loss("squared_error")
    solver = make_solver("sgd", network.layout.size, "float32")
    before = network.parameters.copy()
    # An infinite loss changes no parameter, and the next step is as if it had never been.
    for target in (np.inf, 1.0):
        batch = Batch.of([np.ones((4, 2))], np.array([[target]]), np.ones(1))
        value, norm = network.learn(batch, loss, solver, 0.1, None)()
        assert (
            np.isfinite([value, norm]).all()
            == np.isfinite(target)
            == (not np.array_equal(network.parameters, before))
        )
    assert network.loss_and_gradient(batch, loss) < value


@pytest.mark.parametrize("bidirectional", [False, True])
def test_memory_needed_has_what_there_is_of_each_token(bidirectional):
    network = Network("lstm", 8, (16,), 2, n_tokens=1000, bidirectional=bidirectional)
    network.initialize(np.random.default_rng(0))
    network.most_shards = 1
    X = list(np.random.default_rng(0).integers(0, 1000, (4, 700)))
    batch = Batch.of(X, np.array([0, 1, 1, 0]), np.ones(4))
    loss = make_loss("softmax")
    network.loss_and_gradient(batch, loss)
    network._workspaces.clear()
    tracemalloc.start()
    network.loss_and_gradient(batch, loss)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert abs(network.batch_bytes(4, 2800) - taken) < 0.15 * taken


def test_memory_needed_grows_with_what_needs_it():
    network = Network("lstm", 10, (100,), 2)
    small, longer, wider = (
        network.bytes_needed(*size) for size in ((8, 400), (8, 4000), (64, 3200))
    )
    rows = 8 * 50 * 100 * 4 * (4 + 2 + 2)  # slots, state and its gradient, float32
    assert rows < small < 3 * rows + 4 * 20 * network.n_parameters
    assert longer > 4 * small and wider > small
    for available in (np.inf, 10**6):  # eight shards, as many at once as there are threads
        network.available = available
        needed = []
        for network.threads in (1, 2, 4, 8):
            needed.append(network.batch_bytes(64, 32_000) / network.threads)
        assert len(set(needed)) == 1
    assert Network("lstm", 10, (100,), 2, dtype="float64").bytes_needed(8, 400) > 1.7 * small

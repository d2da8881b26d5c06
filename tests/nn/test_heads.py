"""Output layers: equal to the oracle, with the right gradient, and never all outputs at once."""

import numpy as np
import pytest
from helpers import naive
from helpers.networks import directional_error, randomize, slopes_by_array
from helpers.strategies import CELLS, TARGETS, problems
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn.losses import make_loss
from lightrnn.nn.batches import Batch
from lightrnn.nn.heads import AdaptiveHead, LinearHead, LossTargets
from lightrnn.nn.network import Network
from lightrnn.nn.workspace import Workspace

HEADS = ("linear", "tied", "adaptive")
SOFTMAX = make_loss("softmax")


@pytest.mark.parametrize("head", HEADS)
@settings(max_examples=40)
@given(data=st.data())
def test_outputs_loss_and_gradient(head, data):
    problem = data.draw(
        problems(losses=("softmax",), dtypes=("float64",), head=head, truncate=None)
    )
    network = problem.network()
    batch = problem.batch(network)
    weights = network.arrays()
    shape = problem.shape
    options = [
        shape | {"masks": [mask[b] for mask in batch.masks] or None} for b in range(len(batch.X))
    ]
    raws = [
        naive.outputs(weights, problem.cell, x, problem.target, **o)
        for x, o in zip(batch.X, options, strict=True)
    ]
    targets = batch.targets
    shares = batch.weights
    if problem.target == "step":
        raws, targets, shares = (np.concatenate(values) for values in (raws, targets, shares))
    want = naive.mean_loss("softmax", raws, targets, shares)
    assert np.isclose(network.loss_and_gradient(batch, SOFTMAX), want, rtol=1e-12)
    assert np.isclose(network.score(batch), want, rtol=1e-12)
    assert directional_error(network, batch, SOFTMAX, np.random.default_rng(problem.seed)) < 1e-7
    plain = [naive.outputs(weights, problem.cell, x, problem.target, **shape) for x in problem.X]
    for got, expected in zip(network.outputs(problem.X), plain, strict=True):
        assert np.allclose(got, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("head", HEADS)
def test_targets_of_any_layout_are_read_right(head):
    # Machine code reads them as contiguous, whatever they are.
    n_tokens = 3 if head == "tied" else 0
    network = Network("rnn", 3, (3,), 3, n_tokens=n_tokens, head=head)
    network.initialize(np.random.default_rng(0))
    X = [np.arange(3) if n_tokens else np.eye(3, dtype=np.float32)] * 5
    codes = np.array([0, 2, 1, 1, 2])
    weights = np.arange(1.0, 6)
    want = network.loss_and_gradient(Batch.of(X, codes, weights), SOFTMAX)
    gradient = network.gradient.copy()
    strided = Batch.of_inputs(X).with_targets(
        np.repeat(codes.astype(np.int32), 2)[::2], np.repeat(weights, 3)[::3]
    )
    assert network.loss_and_gradient(strided, SOFTMAX) == want == network.score(strided)
    assert np.array_equal(network.gradient, gradient)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("head", HEADS)
def test_each_parameters_gradient_is_right_by_itself(cell, target, head):
    options = {"window": 3, "n_tokens": 30, "head": head, "dtype": "float64"}
    rng = np.random.default_rng(0)
    network = randomize(Network(cell, 6, (5, 6), 30, target=target, **options), rng)
    X = [rng.integers(0, 30, T) for T in (7, 3, 5, 5)]
    y = [rng.integers(0, 30, len(x)) for x in X] if target == "step" else rng.integers(0, 30, 4)
    weights = (
        [rng.uniform(0.5, 2, len(x)) for x in X] if target == "step" else rng.uniform(0.5, 2, 4)
    )
    for name, *both in slopes_by_array(network, Batch.of(X, y, weights), SOFTMAX, rng):
        assert np.isclose(*both, rtol=1e-6, atol=1e-8), name


def test_a_tied_matrix_is_no_parameter_of_its_own():
    network = Network("rnn", 8, (8,), 20, n_tokens=20, head="tied")
    assert set(network.arrays()) == {
        "embedding.W",
        "layer0.W_ih",
        "layer0.W_hh",
        "layer0.b",
        "head.b",
    }
    network.initialize(np.random.default_rng(0))
    X = [np.array([3, 1, 4])]
    before = network.outputs(X)
    network.parameters[:] *= 2
    after = network.outputs(X)
    # Both the look-up and the output follow the change.
    states = network.states(X)
    W = network.arrays()["embedding.W"]
    assert not np.array_equal(before, after) and np.allclose(after, states @ W.T, rtol=1e-5)


def test_an_adaptive_softmax_gives_probabilities():
    head = AdaptiveHead(16, 100, "float64")
    assert head.cutoffs == (5, 25) and [layer.units for layer in head.layers] == [7, 4, 20, 1, 75]
    network = Network("gru", 3, (16,), 100, head="adaptive", dtype="float64")
    network.initialize(np.random.default_rng(0))
    probability = SOFTMAX.link(network.outputs([np.ones((4, 3)), np.zeros((2, 3))]))
    assert np.allclose(probability.sum(axis=1), 1) and np.allclose(
        np.log(probability).max(), np.log(probability.max())
    )


def test_the_adaptive_softmax_is_pytorchs():
    torch = pytest.importorskip("torch", reason="torch is an optional peer")
    rng = np.random.default_rng(0)
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(
        16, 50, [6, 20], div_value=4.0, head_bias=True
    ).double()
    head = AdaptiveHead(16, 50, "float64", (6, 20))
    workspace = Workspace([], "float64")
    # Without a network each layer has a vector of its own.
    for layer in head.layers:
        layer.bind({p.name: np.zeros(p.size) for p in layer.parameters})
    arrays = {
        "head.W": theirs.head.weight.detach().numpy().T,
        "head.b": theirs.head.bias.detach().numpy(),
    }
    for i, (down, up) in enumerate(theirs.tail):
        arrays |= {
            f"tail{i}.down.W": down.weight.detach().numpy().T,
            f"tail{i}.W": up.weight.detach().numpy().T,
        }
    for layer in head.layers:
        for parameter, block in zip(
            layer.parameters, (layer.weights.W_ih, layer.weights.b_ih), strict=True
        ):
            if parameter.name in arrays:
                parameter.store(block, arrays[parameter.name])
    h = rng.normal(size=(9, 16))
    targets = rng.integers(0, 50, 9)
    want = theirs(torch.tensor(h), torch.tensor(targets))
    assert np.allclose(
        head.outputs(workspace, h, 0, 9),
        theirs.log_prob(torch.tensor(h)).detach().numpy(),
        rtol=1e-10,
    )
    assert np.isclose(
        head.score(workspace, h, 0, LossTargets(targets, np.ones(9), 9.0)),
        want.loss.item(),
        rtol=1e-12,
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outputs_are_held_for_some_rows_at_a_time(dtype):
    """A vocabulary of 10,000 and 3,000 steps would be 120 MB of float32; some four are held."""
    head = LinearHead(8, 10_000, dtype)
    workspace = Workspace([], dtype)
    blocks = {p.name: np.zeros(p.size, dtype) for p in head.layer.parameters}
    head.layer.bind(blocks)
    head.layer.transpose()
    h = np.ones((3000, 16), dtype)
    targets = np.arange(3000)
    gradients = {
        "head": head.layer.parts({name: np.empty_like(block) for name, block in blocks.items()})
    }
    wanted = LossTargets(targets, np.ones(3000), 3000.0)
    value, dh = head.learn(workspace, h, 0, wanted, SOFTMAX, gradients)
    assert np.isclose(value, np.log(10_000), rtol=1e-5) and len(dh) == 3000
    buffers = workspace.output_layer(head.layer)
    assert not hasattr(buffers, "state")  # no outputs of all rows
    # Logits, and panels of as many rows.
    kept = sum(array.nbytes for array in buffers.logits)
    assert kept < 6e6 * np.dtype(dtype).itemsize / 4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
# Below, at and above whole registers, and panels of four and five of them.
@pytest.mark.parametrize("k", [2, 15, 16, 17, 80, 81])
def test_large_outputs_do_not_overflow_and_nan_shows(dtype, k):
    head = LinearHead(1, k, dtype)
    workspace = Workspace([], dtype)
    head.layer.bind({p.name: np.zeros(p.size, dtype) for p in head.layer.parameters})
    W, b = head.layer.parameters
    W.store(head.layer.weights.W_ih, np.linspace(-1, 1, k)[None])
    h = np.zeros((3, 16), dtype)
    targets = np.array([0, k - 1, k - 1])
    # Raw outputs from -1e4 to 1e4: float32's exp overflows from 89 on.
    h[:, 0] = 1e4, 1e4, -1e4
    losses = [
        head.score(workspace, h[i : i + 1], 0, LossTargets(targets[i : i + 1], np.ones(1), 1.0))
        for i in range(3)
    ]
    assert np.allclose(losses, [2e4, 0, 2e4], rtol=1e-5)
    h[0, 0] = np.nan
    assert np.isnan(head.score(workspace, h, 0, LossTargets(targets, np.ones(3), 3.0)))
    assert b.size >= k

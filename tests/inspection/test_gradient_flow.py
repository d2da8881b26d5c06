"""Gradient flow against finite differences and autograd, and how it follows the spectral radius."""

import math

import numpy as np
import pytest
from helpers import naive
from helpers.inspected import fitted, random_rnn
from helpers.strategies import POOLINGS
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor
from lightrnn.inspection import gradient_flow, memory_horizon

RECURRENT = ("rnn", "gru", "lstm")
READINGS = ("step", *POOLINGS)
STEP = 1e-6  # of central differences in float64


def run(weights, cell, X, bump=None):
    """Return every layer's states step by step, in its own direction, and the last features.

    `bump` is a layer, a step and a change, which is added to the state there.
    """
    if "embedding.W" in weights:
        X = weights["embedding.W"][X]
    history = {}
    for number in range(
        sum(name.startswith("layer") and name.endswith("W_hh") for name in weights)
    ):
        outputs = []
        for name, order in ((f"layer{number}", 1), (f"layer{number}.reverse", -1)):
            if f"{name}.W_hh" not in weights:
                continue
            state = naive.zeros(weights, cell, name)
            states = []
            for t, x in enumerate(X[::order]):
                state = naive.STEPS[cell](naive.part(weights, name), x, state)
                if bump is not None and bump[:2] == (name, t):
                    state = tuple(s + d for s, d in zip(state, bump[2], strict=True))
                states.append(state)
            history[name] = states
            outputs.append(np.array([s[0] for s in states])[::order])
        X = np.hstack(outputs) if outputs else X
    return history, X


def last_output(weights, target, history, features):
    if target == "step":
        return naive.head(weights, features[-1])[0]
    last = max(name for name in history if "reverse" not in name)
    ends = [history[name][-1][0] for name in (last, f"{last}.reverse") if name in history]
    return naive.head(weights, np.concatenate(ends))[0]


def directions(states):
    """Yield a small change of a state in each of its dimensions."""
    sizes = [len(s) for s in states]
    for i in range(sum(sizes)):
        flat = np.zeros(sum(sizes))
        flat[i] = STEP
        yield np.split(flat, np.cumsum(sizes)[:-1])


def slopes(function, changes):
    """Return central differences of a function of a change."""
    return np.array([(function(c) - function([-d for d in c])) / (2 * STEP) for c in changes])


@settings(max_examples=12)
@given(
    cell=st.sampled_from(RECURRENT),
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=2).map(tuple),
    bidirectional=st.booleans(),
    pooling=st.sampled_from(READINGS),
    lengths=st.lists(st.integers(1, 5), min_size=2, max_size=3),
)
def test_state_gradients_and_jacobians_are_those_of_finite_differences(
    cell, sizes, bidirectional, pooling, lengths
):
    target = "sequence"
    if pooling == "step":
        target, pooling = pooling, "last"
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(T, 2)) for T in [*lengths, 5]]
    y = [rng.normal(size=len(x)) for x in X] if target == "step" else rng.normal(size=len(X))
    options = {"target": target, "pooling": pooling, "bidirectional": bidirectional}
    model = fitted(cell, sizes, X=X, y=y, **options)
    weights = model.weights_
    flow = gradient_flow(model, X)
    layers = [name.rpartition(".")[0] for name in weights if name.startswith("layer")]
    assert list(flow.layers) == list(dict.fromkeys(layers))
    for i, x in enumerate(naive.standardised(model, X)):
        history = run(weights, cell, x)[0]
        for name, layer in flow.layers.items():
            assert np.isnan(layer.state[i, len(x) :]).all()
            for lag in range(len(x)):
                t = len(x) - 1 - lag

                def results(change, x=x, name=name, t=t):
                    """Return the last output and the layer's last state."""
                    changed, features = run(weights, cell, x, (name, t, change))
                    output = last_output(weights, target, changed, features)
                    if pooling != "last":
                        output = naive.head(weights, naive.pooled(weights, pooling, features))[0]
                    output *= model.y_scale_[0]
                    return np.append(output, changed[name][-1][0])

                found = slopes(results, directions(history[name][t]))
                measured = (layer.state[i, lag], layer.jacobian[i, lag])
                wanted = (np.linalg.norm(found[:, 0]), np.linalg.norm(found[:, 1:]))
                np.testing.assert_allclose(measured, wanted, rtol=1e-6, atol=1e-8)


@settings(max_examples=25)
@given(
    cell=st.sampled_from(("ffnn", *RECURRENT)),
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=2).map(tuple),
    bidirectional=st.booleans(),
    pooling=st.sampled_from(READINGS),
)
def test_input_gradients_are_those_of_finite_differences(cell, sizes, bidirectional, pooling):
    target = "sequence"
    if pooling == "step":
        target, pooling = pooling, "last"
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(T, 2)) for T in (5, 2, 7)]
    y = [rng.integers(0, 3, len(x)) for x in X] if target == "step" else np.arange(3)
    options = {
        "target": target,
        "pooling": pooling,
        "bidirectional": bidirectional and cell != "ffnn",
        "estimator": RNNClassifier,
    }
    model = fitted(cell, sizes, X=X, y=y, **options)
    weights = model.weights_
    flow = gradient_flow(model, X, y)
    for i, x in enumerate(naive.standardised(model, X)):
        label = y[i][-1] if target == "step" else y[i]

        def loss(change, x=x, label=label):
            x = x + change[0].reshape(x.shape)
            raw = naive.outputs(weights, cell, x, target, window=3, pooling=pooling)
            return naive.row_loss("softmax", raw[-1] if target == "step" else raw, label)

        gradient = slopes(loss, directions([x.ravel()])).reshape(x.shape)[::-1]
        wanted = np.linalg.norm(gradient, axis=1)
        np.testing.assert_allclose(
            flow.layers["layer0"].input[i, : len(x)], wanted, rtol=1e-6, atol=1e-8
        )


@pytest.mark.parametrize("cell", RECURRENT)
def test_gradients_are_pytorchs(cell):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4, 6, 3))
    y = rng.normal(size=4)
    model = fitted(cell, (5,), X=X, y=y, loss="huber", delta=1.0)
    weights = model.weights_
    flow = gradient_flow(model, X, y)
    peer = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell](
        3, 5, batch_first=True
    ).double()
    second = weights["layer0.b_hh"] if cell == "gru" else 0 * weights["layer0.b"]
    first = weights["layer0.b_ih"] if cell == "gru" else weights["layer0.b"]
    arrays = weights["layer0.W_ih"].T, weights["layer0.W_hh"].T, first, second
    with torch.no_grad():
        for parameter, array in zip(peer.parameters(), arrays, strict=True):
            parameter[:] = torch.tensor(array)
    W = torch.tensor(weights["head.W"])
    b = torch.tensor(weights["head.b"])
    targets = torch.tensor((y - model.y_mean_) / model.y_scale_)
    for lag in range(6):
        _, state = peer(torch.tensor(X[:, : 6 - lag]))
        leaves = [s.detach().requires_grad_() for s in (state if cell == "lstm" else (state,))]
        state = tuple(leaves) if cell == "lstm" else leaves[0]
        h = leaves[0][0] if lag == 0 else peer(torch.tensor(X[:, 6 - lag :]), state)[0][:, -1]
        error = (h @ W + b)[:, 0] - targets
        torch.nn.functional.huber_loss(error, torch.zeros(4).double(), reduction="sum").backward()
        gradient = torch.cat(
            [torch.zeros(4, 5) if s.grad is None else s.grad[0] for s in leaves], dim=1
        )
        np.testing.assert_allclose(
            flow.layers["layer0"].state[:, lag], gradient.norm(dim=1).numpy(), rtol=1e-9
        )


def test_the_slope_is_the_spectral_radius():
    model, X = random_rnn(0.9, T=500, seed=0)
    flow = gradient_flow(model, X, spectral=True)
    for kind in ("state", "jacobian", "spectral", "input"):
        mean = flow.mean(kind)[250:]  # further back than the other eigenvalues reach
        slope = np.polyfit(np.arange(250), np.log(mean), 1)[0]
        assert slope == pytest.approx(math.log(0.9), rel=0.05)


@pytest.mark.parametrize("cell", RECURRENT)
def test_the_spectral_norm_is_the_greatest_singular_value(cell):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(T, 2)) for T in [5] * 17 + [3]]
    model = fitted(cell, (4,), X=X, y=rng.normal(size=18))
    layer = gradient_flow(model, X, spectral=True).layers["layer0"]
    for lag in range(5):
        states = run(model.weights_, cell, X[0])[0]["layer0"][4 - lag]
        jacobian = slopes(
            lambda c, t=4 - lag: run(model.weights_, cell, X[0], ("layer0", t, c))[0]["layer0"][-1][
                0
            ],
            directions(states),
        )
        assert layer.spectral[0, lag] == pytest.approx(np.linalg.svd(jacobian)[1][0], rel=1e-3)
    assert (
        np.isnan(layer.spectral[16:]).all()
        and (layer.spectral[:16] <= layer.jacobian[:16] * (1 + 1e-9)).all()
    )
    assert np.isfinite(gradient_flow(model, X, spectral=True).mean("spectral")).all()


def test_a_sequences_norms_do_not_depend_on_the_others():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(T, 2)) for T in rng.integers(1, 9, 30)]
    model = fitted("lstm", (5, 4), X=X, y=rng.normal(size=30), bidirectional=True)
    together = gradient_flow(model, X)
    for i in (0, 11, 29):
        alone = gradient_flow(model, X[i : i + 1])
        for name in together.layers:
            for kind in ("state", "input", "jacobian"):
                ours = together.values(kind, name)[i, : len(X[i])]
                np.testing.assert_allclose(ours, alone.values(kind, name)[0], rtol=1e-12)


def test_quantiles_and_a_limit_of_lags():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(T, 2)) for T in (3, 9, 6)]
    model = fitted("gru", X=X, y=rng.normal(size=3))
    flow = gradient_flow(model, X)
    cut = gradient_flow(model, X, max_lag=4)
    assert flow.lags.tolist() == list(range(9))
    assert cut.lags.tolist() == list(range(5))
    np.testing.assert_array_equal(cut.mean("input"), flow.mean("input")[:5])
    low, middle, high = flow.quantile([0.1, 0.5, 0.9])
    assert (low <= middle).all() and (middle <= high).all()
    np.testing.assert_array_equal(flow.quantile(0.5), middle)


def test_language_models_and_tokens():
    texts = ["to be or not to be", "that is the question"] * 3
    for options in ({}, {"tie_weights": True, "embedding_size": 5}, {"output": "adaptive"}):
        model = RNNLanguageModel(
            "gru", (5,), max_iter=1, dtype="float64", random_state=0, **options
        ).fit(texts)
        flow = gradient_flow(model, ["to be or", "that", ""])
        assert flow.values("state").shape == (3, 9) and np.isnan(flow.values("state")[2, 1:]).all()
        losses = gradient_flow(model, ["to be or", "that", ""], ["t", "i", " "])
        assert (losses.mean("input") > 0).all()
    words = RNNClassifier("lstm", (4,), tokens="word", max_iter=1, learning_rate="cosine").fit(
        texts, [0, 1] * 3
    )
    assert memory_horizon(words, texts).observed == 6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda model, X: gradient_flow(RNNRegressor(), X),
            "This RNNRegressor instance is not fitted yet",
        ),
        (
            lambda model, X: gradient_flow(model, X, max_lag=4),
            "max_lag must be less than the longest sequence has",
        ),
        (lambda model, X: gradient_flow(model, X[:, :, :1]), "2 features"),
        (
            lambda model, X: gradient_flow(model, X).mean("spectral"),
            "kind must be one that was computed",
        ),
        (lambda model, X: gradient_flow(model, X).mean("stat"), "kind must be one of 'state'"),
        (
            lambda model, X: gradient_flow(model, X).mean("state", "layer1"),
            "layer must be one of 'layer0'",
        ),
        (
            lambda model, X: memory_horizon(model, X[:, :1]),
            "X must have a sequence of at least 2 steps",
        ),
    ],
)
def test_what_is_refused(call, message):
    X = np.zeros((3, 4, 2))
    with pytest.raises(ValueError, match=message):
        call(fitted("rnn", X=X, y=np.arange(3.0)), X)


def test_norms_too_small_to_be_squared():
    model, X = random_rnn(0.3)
    small = RNNRegressor("rnn", (64,), patch=1, max_iter=1, random_state=0).fit(X, np.arange(5.0))
    small._model.network.assign(model.weights_)
    mean = gradient_flow(small, X).mean("jacobian")
    assert mean[50] > 0 and np.log(mean[50] / mean[40]) / 10 == pytest.approx(
        math.log(0.3), rel=0.05
    )


def test_spectral_norms_reach_as_far_as_the_longest_sequence():
    X = [np.random.default_rng(0).normal(size=(T, 2)) for T in [3] * 20 + [8]]
    flow = gradient_flow(fitted("gru", X=X, y=np.arange(21.0)), X, spectral=True)
    assert (
        np.isfinite(flow.mean("spectral")).all()
        and np.isfinite(flow.layers["layer0"].spectral[20]).all()
    )

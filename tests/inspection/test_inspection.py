"""Gates, attribution and the parameter table against what the oracle and one's own counting say."""

import math

import numpy as np
import pytest
from helpers import naive
from helpers.strategies import CELLS
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor
from lightrnn.inspection import (
    attribution,
    describe,
    gate_activations,
    gate_summary,
    memory_horizon,
    parameter_table,
)
from lightrnn.nn.network import Network

QUICK = {"max_iter": 1, "learning_rate": "cosine", "random_state": 0}


def sequences(lengths, F=2):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(T, F)) for T in lengths]


# -- gates -------------------------------------------------------------------------------------------------------------


def gates_of(weights, cell, name, X):
    """The oracle's gates at every step of a layer's own direction."""
    W, state, rows = naive.part(weights, name), naive.zeros(weights, cell, name), []
    for x in X:
        if cell == "lstm":
            i, f, _, o = np.split(naive.sigmoid(x @ W["W_ih"] + state[0] @ W["W_hh"] + W["b"]), 4)
            rows.append({"input": i, "forget": f, "output": o})
        else:
            sums = x @ W["W_ih"] + W["b_ih"] + state[0] @ W["W_hh"] + W["b_hh"]
            r, z, _ = np.split(naive.sigmoid(sums), 3)
            rows.append({"reset": r, "update": z})
        state = naive.STEPS[cell](W, x, state)
    return {gate: np.array([row[gate] for row in rows]) for gate in rows[0]}


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("target", ["sequence", "step"])
def test_gates_are_the_oracles(cell, target):
    X = sequences([3, 7, 5] * 12)
    y = X if target == "step" else np.arange(36.0)
    model = RNNRegressor(
        cell, (5, 3), bidirectional=True, target=target, dtype="float64", **QUICK
    ).fit(X, y)
    found = gate_activations(model, X)
    assert list(found) == ["layer0", "layer0.reverse", "layer1", "layer1.reverse"]
    for i in (0, 1, 35):
        for name, order in (("layer0", 1), ("layer0.reverse", -1)):
            for gate, rows in gates_of(model.weights_, cell, name, X[i][::order]).items():
                np.testing.assert_allclose(found[name][gate][i], rows[::order], rtol=1e-12)


def test_a_summary_of_gates_that_are_known():
    X = sequences([4, 6])
    model = RNNRegressor("lstm", (3,), dtype="float64", **QUICK).fit(X, [0.0, 1.0])
    weights = {name: 0 * array for name, array in model.weights_.items()}
    weights["layer0.b"] = np.array([-9.0, 0, 9, math.log(9), 0, -9, 0, 0, 0, 0, 0, 0])
    model._model.network.assign(weights)
    gates = gate_summary(model, X)["layer0"]
    np.testing.assert_allclose(gates["forget"].mean[:2], [0.9, 0.5], rtol=1e-12)
    np.testing.assert_allclose(
        gates["forget"].time_constant[:2], [-1 / math.log(0.9), 1 / math.log(2)], rtol=1e-9
    )
    assert gates["input"].closed.tolist() == [1, 0, 0] and gates["input"].open.tolist() == [0, 0, 1]
    assert gates["input"].time_constant is None
    assert gate_summary(RNNRegressor("gru", (2,), **QUICK).fit(X, [0.0, 1.0]), X)["layer0"][
        "update"
    ].time_constant.shape == (2,)


@pytest.mark.parametrize("cell", ["rnn", "ffnn"])
def test_a_cell_without_gates_is_refused(cell):
    model = RNNRegressor(cell, (3,), **QUICK).fit(sequences([3, 4]), [0.0, 1.0])
    with pytest.raises(
        ValueError, match=f"must have a cell with gates, 'gru' or 'lstm', got '{cell}'"
    ):
        gate_activations(model, sequences([3]))


# -- attribution -------------------------------------------------------------------------------------------------------


@settings(max_examples=12)
@given(
    cell=st.sampled_from(CELLS),
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=2).map(tuple),
    target=st.sampled_from(["sequence", "step"]),
    seed=st.integers(0, 99),
)
def test_attributions_are_the_oracles(cell, sizes, target, seed):
    X = sequences([4, 1, 6, 4])
    y = [np.arange(len(x)) % 3 for x in X] if target == "step" else [0, 1, 2, 0]
    model = RNNClassifier(cell, sizes, target=target, window=3, dtype="float64", **QUICK).fit(X, y)
    rng = np.random.default_rng(seed)
    network = model._model.network
    network.assign(
        {name: rng.normal(0, 0.6, array.shape) for name, array in network.arrays().items()}
    )

    def logit(x, label=None):
        raw = naive.outputs(model.weights_, cell, x, target, window=3)
        raw = raw[-1] if target == "step" else raw
        raw = raw - raw.mean()
        return raw[raw.argmax() if label is None else label], raw.argmax()

    gradients, occlusions = attribution(model, X, method="gradient"), attribution(model, X)
    for x, by_gradient, by_occlusion in zip(X, gradients, occlusions, strict=True):
        whole, label = logit(x)
        for t in range(len(x)):
            blank, step = x.copy(), 1e-6 * x[t]
            blank[t] = 0
            np.testing.assert_allclose(by_occlusion[t], whole - logit(blank, label)[0], atol=1e-10)
            up, down = x.copy(), x.copy()
            up[t], down[t] = x[t] + step, x[t] - step
            slope = (logit(up, label)[0] - logit(down, label)[0]) / 2e-6
            np.testing.assert_allclose(by_gradient[t], slope, rtol=1e-5, atol=1e-7)


def test_a_label_of_ones_own_and_columns_of_a_regressor():
    X = sequences([4, 6])
    model = RNNClassifier("gru", (4,), dtype="float64", **QUICK).fit(X, ["no", "yes"])
    no, yes = (attribution(model, X, label)[0] for label in ("no", "yes"))
    chosen = attribution(model, X)[0]
    assert not np.array_equal(no, yes) and any(np.array_equal(chosen, share) for share in (no, yes))
    model = RNNRegressor("gru", (4,), **QUICK).fit(X, np.array([[0.0, 1], [1, 5]]))
    assert not np.array_equal(attribution(model, X, 1)[0], attribution(model, X)[0])
    with pytest.raises(ValueError, match="label must be an integer from 0 to 1, got 2"):
        attribution(model, X, 2)


@pytest.mark.slow
def test_the_cue_is_found_among_the_words():
    rng = np.random.default_rng(0)
    cues, fill = ["cold", "hot"], ["the", "a", "day", "night", "was", "in", "town"]
    y = rng.integers(0, 2, 300)
    X = [[*rng.choice(fill, 3), cues[label], *rng.choice(fill, 6)] for label in y]
    model = RNNClassifier("lstm", (16,), max_iter=15, learning_rate="cosine", random_state=0).fit(
        X, y
    )
    assert model.score(X, y) == 1
    assert [int(share.argmax()) for share in attribution(model, X[:20])] == [3] * 20


@pytest.mark.parametrize(
    "options", [{}, {"tie_weights": True, "embedding_size": 5}, {"output": "adaptive"}]
)
def test_a_language_models_next_token(options):
    model = RNNLanguageModel("gru", (5,), max_iter=1, random_state=0, **options).fit(
        ["to be or not to be"] * 3
    )
    for method in ("gradient", "occlusion"):
        shares = attribution(model, ["to b", ""], method=method)
        assert [share.shape for share in shares] == [(5,), (1,)] and np.isfinite(shares[0]).all()
        assert not np.array_equal(
            attribution(model, ["to b"], "t", method=method), attribution(model, ["to b"], "e")
        )
    with pytest.raises(ValueError, match="label must be one that was seen in fit, got '!'"):
        attribution(model, ["to b"], "!")
    with pytest.raises(TypeError, match="X must be a list of texts"):
        attribution(model, "to b")


# -- parameters --------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    cell=st.sampled_from(CELLS),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple),
    bidirectional=st.booleans(),
    tokens=st.booleans(),
)
def test_formulas_say_what_the_network_has(cell, sizes, bidirectional, tokens):
    options = {"bidirectional": bidirectional and cell != "ffnn", "window": 4, "embedding_size": 3}
    given = {"n_tokens": 7} if tokens else {"n_features": 3}
    table = parameter_table(RNNClassifier(cell, sizes, **options), T=11, B=2, n_outputs=3, **given)
    network = Network(
        cell, 3, sizes, 3, n_tokens=7 * tokens, bidirectional=options["bidirectional"], window=4
    )
    assert table.total.parameters == network.n_parameters
    for part in (*table.parts, *table.ffnn):
        assert eval(part.formula.replace("x", "*").replace(",", "")) == part.parameters
    assert (
        sum(part.parameters for part in table.ffnn)
        == Network("ffnn", 3, sizes, 3, n_tokens=7 * tokens, window=11).n_parameters
    )


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_torch_counts_the_same_for_itself(cell):
    torch = pytest.importorskip("torch")
    kind = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell]
    peer = kind(12, 64, 2, bidirectional=True)
    model = RNNClassifier(cell, (64, 64), bidirectional=True)
    parts = parameter_table(model, n_features=12, n_outputs=2).parts[:-1]
    assert sum(part.torch for part in parts) == sum(
        parameter.numel() for parameter in peer.parameters()
    )


def test_before_and_after_fit_it_is_the_same():
    X, texts = sequences([4, 6]), ["to be or not to be"] * 3
    model = RNNRegressor("gru", (4,), bidirectional=True, **QUICK)
    before = str(parameter_table(model, n_features=2, n_outputs=1))
    assert str(parameter_table(model.fit(X, [0.0, 1.0]))) == before
    assert parameter_table(model).total.parameters == model.n_parameters_
    for options in ({}, {"tie_weights": True, "embedding_size": 5}, {"output": "adaptive"}):
        writer = RNNLanguageModel("gru", (5,), max_iter=1, random_state=0, **options).fit(texts)
        assert parameter_table(writer).total.parameters == writer.n_parameters_
        fresh = RNNLanguageModel("gru", (5,), max_iter=1, random_state=0, **options)
        assert str(parameter_table(fresh, n_tokens=len(writer.vocabulary_))) == str(
            parameter_table(writer)
        )


def test_a_number_that_is_missing_is_asked_for():
    with pytest.raises(
        ValueError, match="n_outputs must be given for an estimator that is not fitted"
    ):
        parameter_table(RNNClassifier(), n_features=3)
    with pytest.raises(ValueError, match="n_features or n_tokens must be given"):
        parameter_table(RNNClassifier(), n_outputs=3)
    with pytest.raises(ValueError, match="n_tokens must be given"):
        parameter_table(RNNLanguageModel())
    with pytest.raises(ValueError, match="T must be an integer of at least 1, got 0"):
        parameter_table(RNNClassifier(), T=0, n_features=1, n_outputs=2)


# -- all of it ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_a_description_has_everything(cell):
    X = sequences([4, 30])
    model = RNNClassifier(cell, (4,), early_stopping=cell == "gru", **QUICK).fit(X * 4, [0, 1] * 4)
    text = describe(model, X)
    assert all(
        part in text
        for part in (repr(model), "1 epoch, last loss", "parameters, by hand", f"{cell}: ")
    )
    assert ("time constant" in text) == (cell in ("gru", "lstm"))
    assert ("validation score" in text) == (cell == "gru")
    with pytest.raises(ValueError, match="not fitted"):
        describe(RNNClassifier(cell), X, n_features=2, n_outputs=2)


# -- what an inspection sees ------------------------------------------------------------------------------------------


def test_the_fitted_network_is_described_whatever_was_set_since():
    X = sequences([6, 9])
    model = RNNRegressor("ffnn", (3,), **QUICK, window=3).fit(X, [0.0, 1.0])
    model.set_params(window=50, cell="lstm", hidden_layer_sizes=(7,))
    assert memory_horizon(model, X).window == 3 and "ffnn: " in describe(model, X)
    assert parameter_table(model).cell == "ffnn" and attribution(model, X)[0].shape == (6,)
    with pytest.raises(ValueError, match="got 'ffnn'"):
        gate_activations(model, X)
    assert model.window == 50


def test_a_gate_that_never_closes_keeps_for_ever():
    X = sequences([4, 6])
    model = RNNRegressor("lstm", (2,), **QUICK).fit(X, [0.0, 1.0])
    weights = model.weights_
    weights["layer0.b"] = np.full(8, 50.0)
    model._model.network.assign(weights)
    assert np.isposinf(gate_summary(model, X)["layer0"]["forget"].time_constant).all()


def test_what_holds_an_estimator_is_none():
    class Holder:
        pass

    for call in (
        lambda h: describe(h),
        lambda h: parameter_table(h),
        lambda h: gate_activations(h, sequences([3])),
    ):
        with pytest.raises(
            TypeError, match=r"estimator must be an RNNClassifier, .* Take the fitted estimator out"
        ):
            call(Holder())
    model = RNNLanguageModel("gru", (5,), max_iter=1, random_state=0).fit(
        ["to be or not to be"] * 3
    )
    for bad, error in (([], ValueError), (None, TypeError), ("to be", TypeError)):
        for inspect in (attribution, gate_activations, memory_horizon):
            with pytest.raises(error, match="X must "):
                inspect(model, bad)


def test_a_network_that_was_taken_over_is_described():
    model = RNNRegressor("gru", (3,), **QUICK).fit(sequences([3, 4]), [0.0, 1.0])
    model.loss_curve_, model.n_iter_ = [], 0
    assert "converted from another library" in describe(model)


def test_a_language_model_is_checked_as_fit_does():
    with pytest.raises(ValueError, match="embedding_size must be 256"):
        parameter_table(RNNLanguageModel(tie_weights=True), n_tokens=100)
    with pytest.raises(ValueError, match="n_features must be an integer of at least 1, got 0"):
        parameter_table(RNNClassifier(), n_features=0, n_outputs=2)


def test_operations_of_a_sequence_count_what_runs_once_a_sequence_once():
    sizes = {"n_features": 2, "n_outputs": 3, "T": 50, "B": 2}
    once = parameter_table(RNNClassifier("rnn", (8,)), **sizes)
    every = parameter_table(RNNClassifier("rnn", (8,), target="step"), **sizes)
    assert once.total.sequence_flops == 50 * 160 + 48 and every.total.sequence_flops == 50 * (
        160 + 48
    )
    assert sum(part.sequence_flops for part in once.ffnn) == sum(part.flops for part in once.ffnn)

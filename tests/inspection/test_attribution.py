"""Attributions are those of the oracle, and find the word that matters."""

import numpy as np
import pytest
from helpers import naive
from helpers.fitted import QUICK
from helpers.inspected import sequences
from helpers.strategies import CELLS, POOLINGS
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor
from lightrnn.inspection import attribution


@settings(max_examples=12)
@given(
    cell=st.sampled_from(CELLS),
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=2).map(tuple),
    pooling=st.sampled_from(["step", *POOLINGS]),
    patch=st.sampled_from([1, 2, 3, 9]),
    head=st.sampled_from([(), (3, 2)]),
    activation=st.sampled_from(["tanh", "sigmoid", "gelu"]),  # that of relu has no slope at 0
    seed=st.integers(0, 99),
)
def test_attributions_are_the_oracles(cell, sizes, pooling, patch, head, activation, seed):
    target = "sequence"
    if pooling == "step":
        target, pooling = pooling, "last"
    X = sequences([4, 1, 6, 4])
    y = [np.arange(len(x)) % 3 for x in X] if target == "step" else [0, 1, 2, 0]
    patch = 1 if target == "step" else patch
    options = {"patch": patch, "target": target, "window": 3, "pooling": pooling}
    options |= {"head_layer_sizes": head, "head_activation": activation}
    model = RNNClassifier(cell, sizes, dtype="float64", **options, **QUICK).fit(X, y)
    rng = np.random.default_rng(seed)
    network = model._model.network
    network.assign(
        {name: rng.normal(0, 0.6, array.shape) for name, array in network.arrays().items()}
    )

    def logit(x, label=None):
        # The network sees a sequence's last step as often as it fills up the last patch.
        x = np.pad(x, [(0, -len(x) % patch), (0, 0)], "edge").reshape(-1, 2 * patch)
        raw = naive.outputs(model.weights_, cell, x, target, activation, window=3, pooling=pooling)
        raw = raw[-1] if target == "step" else raw
        raw = raw - raw.mean()
        return raw[raw.argmax() if label is None else label], raw.argmax()

    gradients = attribution(model, X, method="gradient")
    occlusions = attribution(model, X)
    inputs = naive.standardised(model, X)
    for x, by_gradient, by_occlusion in zip(inputs, gradients, occlusions, strict=True):
        whole, label = logit(x)
        for t in range(len(x)):
            blank = x.copy()
            blank[t] = 0
            np.testing.assert_allclose(by_occlusion[t], whole - logit(blank, label)[0], atol=1e-10)
            up = x.copy()
            up[t] += 1e-6 * x[t]
            down = x.copy()
            down[t] -= 1e-6 * x[t]
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
    with pytest.raises(ValueError, match="output must be an integer from 0 to 1, got 2"):
        attribution(model, X, 2)


@pytest.mark.slow
def test_the_cue_is_found_among_the_words():
    rng = np.random.default_rng(0)
    cues = ["cold", "hot"]
    fill = ["the", "a", "day", "night", "was", "in", "town"]
    y = rng.integers(0, 2, 300)
    X = [[*rng.choice(fill, 3), cues[label], *rng.choice(fill, 6)] for label in y]
    model = RNNClassifier(
        "lstm", (16,), batch_size=32, learning_rate_init=3e-3, max_iter=15, random_state=0
    ).fit(X, y)
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
    with pytest.raises(ValueError, match="output must be a label that was seen in fit, got '!'"):
        attribution(model, ["to b"], "!")
    with pytest.raises(TypeError, match="X must be a list of texts"):
        attribution(model, "to b")

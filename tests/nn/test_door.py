"""The last comparison before the kernels, which compare nothing themselves."""

import numpy as np
import pytest

from lightrnn import RNNClassifier, RNNLanguageModel
from lightrnn.data.sequences import Sequences
from lightrnn.nn.network import Network

CELLS = ("ffnn", "rnn", "gru", "lstm")
QUICK = {"hidden_layer_sizes": (3,), "max_iter": 1, "learning_rate": "cosine", "random_state": 0}
X = [np.random.default_rng(i).normal(size=(6, 2)) for i in range(8)]
Y = np.arange(8) % 2
# What somebody might claim of X: other features, other lengths, and the lengths of other items.
CLAIMS = [([6] * 8, 3), ([6] * 8, 1), ([9] * 8, 2), ([5, 7] * 4, 2)]


def network_of(cell, **options):
    network = Network(cell, 2, (3,), 1, window=2, **options)
    network.initialize(np.random.default_rng(0))
    return network


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("lengths", "F"), CLAIMS)
@pytest.mark.parametrize("truncate", [None, 2])
def test_sequences_made_by_hand_are_compared_with_what_is_claimed(cell, lengths, F, truncate):
    if cell == "ffnn" and truncate:
        truncate = None  # has no state to carry
    claimed = Sequences(X, np.array(lengths), F)
    with pytest.raises(ValueError, match="X must hold sequences of the shape"):
        RNNClassifier(cell, **QUICK, truncate=truncate).fit(claimed, Y)
    model = RNNClassifier(cell, **QUICK).fit(X, Y)
    model.n_features_in_ = F
    if F == 2:
        assert np.array_equal(model.predict(claimed), model.predict(X))
    else:
        with pytest.raises(ValueError, match="expecting 2 features"):
            model.predict(claimed)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("columns", [1, 3])
def test_any_caller_of_a_network_is_refused_other_columns(cell, columns):
    other = [np.ones((4, columns)) for _ in range(3)]
    for target in ("sequence", "step"):
        network = network_of(cell, target=target)
        for read in (network.outputs, network.states):
            for wrong in (other, other[:1], [X[0], other[0]], [np.ones(4)]):
                with pytest.raises(ValueError, match="steps of 2 features, got sequences of the"):
                    read(wrong)


@pytest.mark.parametrize("cell", CELLS)
def test_empty_sequences_are_refused(cell):
    network = network_of(cell)
    for empty in ([X[0][:0]], [X[0][:0]] * 2, [X[0], X[1][:0]]):
        with pytest.raises(ValueError, match="at least one step, got one of 0"):
            network.outputs(empty)
    with pytest.raises(ValueError, match="X must hold sequences of the shape"):
        RNNClassifier(cell, **QUICK).fit(Sequences([x[:0] for x in X], np.zeros(8, int), 2), Y)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("steps", [2, 60])  # fewer and many more than there are tokens
def test_codes_beyond_the_vocabulary_are_refused(cell, steps):
    network = network_of(cell, n_tokens=5)
    right = np.arange(steps) % 5
    network.outputs([right, right])
    for bad in (5, -1, 2**62):
        wrong = right.copy()
        wrong[-1] = bad
        with pytest.raises(ValueError, match="X must hold codes from 0 to 4, got"):
            network.outputs([right, wrong])
    with pytest.raises(TypeError, match="same_kind"):
        network.outputs([right + 0.5])


def test_the_network_of_a_language_model_is_compared_with_its_codes():
    model = RNNLanguageModel("rnn", (3,), max_iter=1, random_state=0).fit(["abc"] * 3)
    model.vocabulary_ = np.array(list("<>abcdefgh"), object)
    assert model.predict_proba(["abcdefgh"]).shape == (1, 5)

"""The parameters counted are those that the network and PyTorch have."""

import pytest
from helpers.fitted import QUICK
from helpers.inspected import sequences
from helpers.strategies import CELLS, POOLINGS
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor
from lightrnn.inspection import parameter_table
from lightrnn.nn.network import Network


@settings(max_examples=40)
@given(
    cell=st.sampled_from(CELLS),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple),
    bidirectional=st.booleans(),
    pooling=st.sampled_from(POOLINGS),
    tokens=st.booleans(),
    patch=st.sampled_from([1, 2, 5, "auto"]),
)
def test_formulas_say_what_the_network_has(cell, sizes, bidirectional, pooling, tokens, patch):
    both = bidirectional and cell != "ffnn"
    options = {"bidirectional": both, "window": 4, "pooling": pooling}
    given = {"n_tokens": 7} if tokens else {"n_features": 3}
    T = 40 if patch == "auto" and not tokens else 11
    p = 1 if tokens else patch
    model = RNNClassifier(cell, sizes, embedding_size=3, patch=p, **options)
    table = parameter_table(model, T=T, B=2, n_outputs=3, **given)
    if p == "auto":
        p = 1 if cell == "ffnn" else 2
    assert table.patch == p
    network = Network(cell, 3 * p, sizes, 3, n_tokens=7 * tokens, **options)
    assert pooling == "last" or table.parts[-2].name == pooling
    assert table.total.parameters == network.n_parameters
    for part in (*table.parts, *table.ffnn):
        assert eval(part.formula.replace("x", "*").replace(",", "")) == part.parameters
    assert (
        sum(part.parameters for part in table.ffnn)
        == Network("ffnn", 3 * p, sizes, 3, n_tokens=7 * tokens, window=-(-T // p)).n_parameters
    )
    assert (f"in patches of {p}" in str(table)) == (p > 1)


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
    X = sequences([4, 6])
    texts = ["to be or not to be"] * 3
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


def test_a_language_model_is_checked_as_fit_does():
    with pytest.raises(ValueError, match="embedding_size must be 256"):
        parameter_table(RNNLanguageModel(tie_weights=True), n_tokens=100)
    with pytest.raises(ValueError, match="n_features must be an integer of at least 1, got 0"):
        parameter_table(RNNClassifier(), n_features=0, n_outputs=2)


def test_operations_of_a_sequence_count_what_runs_once_a_sequence_once():
    sizes = {"n_features": 2, "n_outputs": 3, "T": 50, "B": 2}
    once = parameter_table(RNNClassifier("rnn", (8,), patch=1), **sizes)
    every = parameter_table(RNNClassifier("rnn", (8,), target="step"), **sizes)
    assert once.total.sequence_flops == 50 * 160 + 48 and every.total.sequence_flops == 50 * (
        160 + 48
    )
    assert sum(part.sequence_flops for part in once.ffnn) == sum(part.flops for part in once.ffnn)

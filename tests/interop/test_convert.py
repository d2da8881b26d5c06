"""A converted network is a fitted estimator; arguments that do not fit the network are refused."""

import copy
import pickle

import numpy as np
import pytest
from helpers.refusal import state
from helpers.strategies import POOLINGS
from helpers.torch_weights import F, H, state_dict

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor, from_torch, load
from lightrnn.losses import sigmoid

# The tests of `check` are about this warning.
pytestmark = pytest.mark.filterwarnings("ignore:The weights of a:UserWarning")

X = [np.random.default_rng(i).normal(size=(3 + i, F)) for i in range(6)]
Y = ["a", "b", "a", "b", "a", "b"]


# -- a fitted estimator ----------------------------------------------------------------------------


def assert_same(a, b):
    one, other = ({**model.get_params(), "random_state": None} for model in (a, b))
    assert repr(one) == repr(other)
    assert a.weights_.keys() == b.weights_.keys()
    assert all(array.tobytes() == b.weights_[name].tobytes() for name, array in a.weights_.items())


def test_the_result_is_a_fitted_estimator(tmp_path):
    estimator = RNNClassifier(
        random_state=np.random.RandomState(3), max_iter=3, learning_rate="cosine"
    )
    before = state(estimator)
    drawn = copy.deepcopy(estimator.random_state)
    model = from_torch(state_dict("gru", 2, True), estimator, classes=["a", "b"])
    assert state(estimator) == before and not hasattr(estimator, "weights_")
    assert np.array_equal(estimator.random_state.random_sample(3), drawn.random_sample(3))
    assert model.n_iter_ == 0 and model.loss_curve_ == []
    assert model.n_features_in_ == F and model.n_outputs_ == 2
    assert model.transform(X).shape == (6, 2 * H) and model.vocabulary_ is None
    with pytest.raises(ValueError, match="has 2 features"):
        model.predict([x[:, :2] for x in X])
    model.save(tmp_path / "model")
    for back in (load(tmp_path / "model"), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert_same(back, model)
        assert np.array_equal(
            back.partial_fit(X, Y).predict_proba(X),
            copy.deepcopy(model).partial_fit(X, Y).predict_proba(X),
        )


@pytest.mark.parametrize("estimator", [RNNClassifier(), RNNRegressor()], ids=repr)
def test_training_goes_on(estimator):
    y = Y if isinstance(estimator, RNNClassifier) else [x[:, 0].mean() for x in X]
    estimator = estimator.set_params(
        max_iter=40, warm_start=True, learning_rate="cosine", learning_rate_init=0.02
    )
    classes = {"classes": ["b", "a"]} if y is Y else {}
    model = from_torch(state_dict(outputs=2 if y is Y else 1), estimator, **classes)
    first = model.score(X, y)
    model.partial_fit(X, y)
    assert model.n_iter_ == 1 and model.fit(X, y).score(X, y) > max(first, 0.9)


def test_a_single_logit_is_two_classes():
    model = from_torch(state_dict(outputs=1), RNNClassifier(), classes=["no", "yes"])
    raw = from_torch(state_dict(outputs=1), RNNRegressor()).predict(X)
    assert np.allclose(model.predict_proba(X)[:, 1], sigmoid(raw), rtol=0, atol=1e-6)
    assert np.array_equal(model.predict(X) == "yes", raw > 0)
    turned = from_torch(state_dict(outputs=1), RNNClassifier(), classes=["yes", "no"])
    assert np.array_equal(turned.predict(X) == "no", raw > 0)


def test_multilabel():
    model = from_torch(state_dict(outputs=3), RNNClassifier(), multilabel=True)
    raw = from_torch(state_dict(outputs=3), RNNRegressor()).predict(X)
    assert np.allclose(model.predict_proba(X), sigmoid(raw), rtol=0, atol=1e-6)
    assert np.array_equal(model.predict(X), raw > 0)
    model.partial_fit(X, model.predict(X))


def test_regressors_give_outputs_in_their_dtype():
    for dtype in ("float32", "float64"):
        model = from_torch(state_dict(), RNNRegressor(dtype=dtype))
        assert model.predict(X).dtype == dtype and model.predict(X).shape == (6, 2)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("sizes", [(5,), (4, 4), (3, 6, 2)], ids=str)
def test_weights_come_back_as_they_were(cell, sizes):
    arguments = {"bidirectional": True, "max_iter": 1, "learning_rate": "cosine", "random_state": 0}
    plain = RNNClassifier(cell, sizes, standardize=False, **arguments)
    model = copy.copy(plain).fit(X, Y)
    assert_same(from_torch(model.to_torch(), plain, classes=model.classes_), model)
    texts = ["abc", "ba", "cab"]
    reader = RNNRegressor(cell, sizes, embedding_size=3, tokens="char", **arguments).fit(
        texts, [1, 2, 3]
    )
    back = from_torch(reader.to_torch(), RNNRegressor(**arguments), vocabulary=reader.vocabulary_)
    assert_same(back, reader)
    assert back.predict(texts).shape == (3,)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_pooled_network_comes_back_as_it_was(pooling):
    arguments = {"bidirectional": True, "max_iter": 1, "learning_rate": "cosine", "random_state": 0}
    # As many units as features: attention's weight has the shape of an embedding of one token.
    plain = RNNClassifier("gru", (1,), standardize=False, pooling=pooling, **arguments)
    wide = [np.hstack([x, x])[:, :2] for x in X]
    model = copy.copy(plain).fit(wide, Y)
    assert_same(from_torch(model.to_torch(), plain, classes=model.classes_), model)
    if pooling == "attention":
        back = from_torch(model.to_torch(), RNNClassifier(), classes=model.classes_)
        assert back.pooling == "attention" and np.array_equal(
            back.predict(wide), model.predict(wide)
        )


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_standardisation_of_x_is_in_the_state_dict(cell):
    shifted = [100 * x + 300 for x in X]
    model = RNNClassifier(cell, (5,), bidirectional=True, max_iter=1, random_state=0)
    model.set_params(dtype="float64", learning_rate="cosine").fit(shifted, Y)
    back = from_torch(
        model.to_torch(), RNNClassifier(dtype="float64"), classes=model.classes_
    ).predict_proba(shifted)
    np.testing.assert_allclose(back, model.predict_proba(shifted), rtol=1e-12)


def test_a_network_that_reads_patches_comes_and_goes():
    options = {"patch": 2, "max_iter": 1, "learning_rate": "cosine", "dtype": "float64"}
    model = RNNClassifier("gru", (5,), **options).fit(X, Y)
    p, F = model.patch_, model.n_features_in_
    state_dict = model.to_torch()
    back = from_torch(state_dict, RNNClassifier(**options), classes=model.classes_)
    assert (back.patch_, back.n_features_in_) == (p, F)
    np.testing.assert_allclose(back.predict_proba(X), model.predict_proba(X), rtol=1e-12)
    # The module reads patches, as `to_torch` says how to make them.
    patches = [np.pad(x, [(0, -len(x) % p), (0, 0)], "edge").reshape(-1, p * F) for x in X]
    plain = from_torch(state_dict, RNNClassifier(dtype="float64"), classes=model.classes_)
    assert (plain.patch_, plain.n_features_in_) == (1, p * F)
    np.testing.assert_allclose(plain.predict_proba(patches), model.predict_proba(X), rtol=1e-12)
    with pytest.raises(ValueError, match=f"patch must divide the {p * F} inputs of the source"):
        from_torch(state_dict, RNNClassifier(patch=p * F + 1), classes=model.classes_)


def test_a_network_that_reads_marks_goes_and_is_not_taken_for_one_of_steps():
    options = {"max_iter": 1, "dtype": "float64", "patch": 2}
    gaps = [np.where(np.arange(len(x))[:, None] % 3 == 1, np.nan, x) for x in X]
    model = RNNClassifier("gru", (5,), missing="mask", **options).fit(gaps, Y)
    state_dict = model.to_torch()
    with pytest.raises(ValueError, match="missing must be 'error' for a network of another"):
        from_torch(state_dict, RNNClassifier(missing="mask"), classes=model.classes_)
    # The module reads values, marks and numbers of steps.
    back = from_torch(state_dict, RNNClassifier(**options), classes=model.classes_)
    columns = model._model.form.marked(model._read_steps(model._model, gaps)).items
    np.testing.assert_allclose(back.predict_proba(columns), model.predict_proba(gaps), rtol=1e-9)


@pytest.mark.parametrize("tied", [False, True])
def test_a_language_model_comes_back_as_it_was(tied):
    arguments = {"tie_weights": tied, "output": "softmax", "tokens": "char", "max_iter": 1}
    model = RNNLanguageModel("gru", (6,), embedding_size=6, **arguments).fit(["abacab", "bca"])
    back = from_torch(model.to_torch(), RNNLanguageModel(**arguments), vocabulary=model.vocabulary_)
    assert_same(back, model)
    assert back.score(["abc"]) == model.score(["abc"])
    if tied:
        alone = {name: array for name, array in model.to_torch().items() if name != "head.weight"}
        assert_same(
            from_torch(alone, RNNLanguageModel(**arguments), vocabulary=model.vocabulary_), model
        )


def test_to_torch_refuses_layers_that_torch_does_not_have():
    with pytest.raises(
        ValueError, match="cell must be 'rnn', 'gru' or 'lstm' for to_torch, got 'ffnn'"
    ):
        RNNClassifier("ffnn", (3,), max_iter=1, learning_rate="cosine").fit(X, Y).to_torch()
    with pytest.raises(ValueError, match="output must not be 'adaptive' for to_torch"):
        RNNLanguageModel(hidden_layer_sizes=(4,), output="adaptive", max_iter=1).fit(
            "abcdefg"
        ).to_torch()
    with pytest.raises(ValueError, match="not fitted"):
        RNNClassifier().to_torch()


def test_tokens_of_every_kind():
    source = state_dict(tokens=4)
    words = from_torch(
        source, RNNClassifier(tokens="word"), vocabulary=["<unknown>", "to", "be", "or"]
    )
    categories = from_torch(source, RNNClassifier(), vocabulary=["<unknown>", "to", "be", "or"])
    numbers = from_torch(source, RNNClassifier(), vocabulary=[3, 5, 7, 8])
    assert [m.tokens for m in (words, categories, numbers)] == ["word", "category", "category"]
    sentences = ["to be or what", "be"]
    assert np.array_equal(
        words.predict_proba(sentences), categories.predict_proba([s.split() for s in sentences])
    )
    assert numbers.vocabulary_.tolist() == ["<unknown>", 3, 5, 7, 8] and numbers.n_features_in_ == 1
    assert np.array_equal(numbers.weights_["embedding.W"][1:], source["embedding.weight"])
    words.partial_fit(["to be", "or"], [0, 1])


def test_tensors_of_every_kind_are_read():
    torch = pytest.importorskip("torch", reason="torch is an optional peer")
    arrays = state_dict()
    parameters = {name: torch.nn.Parameter(torch.tensor(array)) for name, array in arrays.items()}
    assert_same(from_torch(parameters, RNNClassifier()), from_torch(arrays, RNNClassifier()))
    halves = {name: torch.tensor(array).bfloat16() for name, array in arrays.items()}
    wide = {name: half.float().numpy() for name, half in halves.items()}
    assert_same(from_torch(halves, RNNClassifier()), from_torch(wide, RNNClassifier()))


# -- refusals --------------------------------------------------------------------------------------

TOKENS = state_dict(tokens=4)
CALLS = {
    "classes": (
        state_dict(),
        RNNClassifier(),
        {"classes": ["a"]},
        r"must name each of the 2 outputs, got \['a'\]",
    ),
    "classes twice": (
        state_dict(),
        RNNClassifier(),
        {"classes": ["a", "a"]},
        "classes must hold at least two",
    ),
    "three, one twice": (
        state_dict(outputs=3),
        RNNClassifier(),
        {"classes": [0, 1, 1]},
        "must all be different",
    ),
    "regressor": (
        state_dict(),
        RNNRegressor(),
        {"classes": [0, 1]},
        "must be left out for RNNRegressor",
    ),
    "multilabel": (
        state_dict(outputs=1),
        RNNClassifier(),
        {"multilabel": True},
        "multilabel must be False with",
    ),
    "vocabulary": (
        state_dict(),
        RNNClassifier(),
        {"vocabulary": ["a"]},
        "must have an embedding for a vocabulary",
    ),
    "words": (
        state_dict(),
        RNNClassifier(tokens="word"),
        {},
        "must have an embedding for a vocabulary or tokens",
    ),
    "short": (
        TOKENS,
        RNNClassifier(),
        {"vocabulary": ["a"]},
        "different token for each of the embedding's 4 rows",
    ),
    "twice": (TOKENS, RNNClassifier(), {"vocabulary": list("aabc")}, "different token for each"),
    "mixed": (
        TOKENS,
        RNNClassifier(),
        {"vocabulary": ["a", "b", 1, 2]},
        "vocabulary must hold tokens of the kind",
    ),
    "number": (
        TOKENS,
        RNNClassifier(tokens="number"),
        {},
        "of the kind that the argument tokens='number' says",
    ),
    "char": (
        TOKENS,
        RNNClassifier(tokens="char"),
        {"vocabulary": ["ab", "c", "d", "e"]},
        "tokens='char' says",
    ),
    "none": (TOKENS, RNNLanguageModel(), {}, "vocabulary must list a different token"),
    "outputs": (
        TOKENS,
        RNNLanguageModel(),
        {"vocabulary": ["<end>", "<unknown>", "a", "b"]},
        "a softmax over the embedding's 4 tokens to be an RNNLanguageModel, got 2 outputs",
    ),
    "backward": (
        state_dict(both=True, tokens=4),
        RNNLanguageModel(),
        {},
        "must read forward .* a bidirectional",
    ),
    "adaptive": (
        TOKENS,
        RNNLanguageModel(output="adaptive"),
        {},
        "output must be 'auto' or 'softmax'",
    ),
    "truncate": (
        state_dict(both=True),
        RNNClassifier(truncate=5),
        {},
        "must be None with bidirectional=True",
    ),
    "dropout": (
        state_dict(),
        RNNClassifier(dropout=2),
        {},
        r"dropout must be a number in \[0, 1\)",
    ),
    "no such head": (
        state_dict(),
        RNNClassifier(),
        {"head": "out"},
        "must hold the weight 'out.weight'",
    ),
    "no such layer": (
        state_dict(),
        RNNClassifier(),
        {"recurrent": ["rn"]},
        "must hold the weight 'rn.weight_hh_l0'",
    ),
}


@pytest.mark.parametrize("case", CALLS)
def test_calls_are_refused(case):
    source, estimator, keywords, message = CALLS[case]
    before = state(estimator)
    with pytest.raises(ValueError, match=message):
        from_torch(source, estimator, **keywords)
    assert state(estimator) == before


def test_wrong_kinds_are_refused():
    with pytest.raises(
        TypeError,
        match="estimator must be an RNNClassifier, RNNRegressor or RNNLanguageModel, got 3",
    ):
        from_torch(state_dict(), 3)
    with pytest.raises(TypeError, match="source must be a path, a state_dict or a module, got 3"):
        from_torch(3, RNNClassifier())
    with pytest.raises(TypeError, match="recurrent must be a name or a list of names"):
        from_torch(state_dict(), RNNClassifier(), recurrent=[])
    with pytest.raises(TypeError, match="multilabel must be True or False"):
        from_torch(state_dict(), RNNClassifier(), multilabel=1)
    with pytest.raises(FileNotFoundError):
        from_torch("absent.pt", RNNClassifier())

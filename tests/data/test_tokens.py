"""Tokens: kinds, the vocabulary's order, unknown tokens, and estimators on text."""

import copy
import pickle

import numpy as np
import pytest
from helpers.junk import object_array
from hypothesis import given
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNRegressor, load
from lightrnn.data.tokens import UNKNOWN, Vocabulary, as_items, encoded, kind_of, split, words

BRIEF = {
    "hidden_layer_sizes": (6,),
    "embedding_size": 5,
    "max_iter": 3,
    "learning_rate": "cosine",
    "random_state": 0,
}
TEXTS = ["the cat sat", "a dog ran", "the dog sat!", "a cat"] * 3
SITS = np.array([1, 0, 1, 0] * 3)
CELLS = ("ffnn", "rnn", "gru", "lstm")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't panic, Alice!", ["Don't", "panic", ",", "Alice", "!"]),
        ("  two\n lines\t", ["two", "lines"]),
        (
            "na\u00efve caf\u00e9 \u4f60\u597d 3.5",
            ["na\u00efve", "caf\u00e9", "\u4f60\u597d", "3", ".", "5"],
        ),
        ("it\u2019s --", ["it\u2019s", "-", "-"]),
        ("", []),
    ],
)
def test_words_and_punctuation(text, expected):
    assert words(text) == expected


@pytest.mark.parametrize(
    ("X", "kind"),
    [
        (["ab", "c"], "char"),
        (("ab", "c"), "char"),
        (np.array(["ab", "c"]), "char"),
        (object_array(["ab", "c"]), "char"),
        (np.array(["ab", "c"], dtype=np.dtypes.StringDType()), "char"),
        ([["a", "b"], ["c"]], "category"),
        ([np.array(["a", "b"])], "category"),
        (np.array([["a", "b"]]), "category"),
        (np.array([["a", "b"]], dtype=object), "category"),
        ([[1, 2], [3]], "number"),
        (np.zeros((2, 3)), "number"),
        ([np.zeros((2, 3))], "number"),
        ([], "number"),
        (None, "number"),
    ],
)
def test_auto_recognises_the_kind_of_x(X, kind):
    assert kind_of(X, "auto") == kind
    for tokens in ("number", "char", "word", "category"):
        assert kind_of(X, tokens) == tokens


def test_series_and_frames():
    pandas = pytest.importorskip("pandas", reason="reads Series")
    assert kind_of(pandas.Series(["ab", "c"]), "auto") == "char"
    assert as_items(pandas.Series(["ab", "c"]), "char") == ["ab", "c"]
    frame = pandas.DataFrame({"first": ["a", "b"], "second": ["c", "d"]})
    assert as_items(frame, kind_of(frame, "auto")) == [["a", "c"], ["b", "d"]]


def test_integers_are_categories_if_tokens_says_so():
    items = as_items([np.array([3, 1]), [2], (5, 5)], "category")
    assert items == [[3, 1], [2], [5, 5]] and {type(token) for item in items for token in item} == {
        int
    }
    assert as_items(np.array([[1, 2], [3, 4]]), "category") == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("X", "kind", "error", "match"),
    [
        (
            "text",
            "char",
            TypeError,
            r"list of sequences of tokens, got 'text'. Put a single one into a list",
        ),
        (None, "word", TypeError, "list of sequences"),
        ({"a": 1}, "word", TypeError, "list of sequences"),
        ([], "char", ValueError, "at least one sequence"),
        (["a", ""], "char", ValueError, r"X\[1\] must have at least one char"),
        (["a", " \n"], "word", ValueError, r"X\[1\] must have at least one word"),
        (["a", 3], "char", TypeError, r"X\[1\] must be text with tokens='char', got 3"),
        (["a", ["b"]], "word", TypeError, r"X\[1\] must be text"),
        ([["a"], "b"], "category", TypeError, r"X\[1\] must be a list of str or integers"),
        ([["a"], []], "category", ValueError, r"X\[1\] must have at least one step"),
        ([["a"], [1]], "category", TypeError, "text or integers alone"),
        ([["a", 1]], "category", TypeError, r"X\[0\] must hold categories, .* got 'a' at step 0"),
        ([[1, 2.5]], "category", TypeError, r"X\[0\] must hold categories, .* got 2.5 at step 1"),
        ([[1, None]], "category", TypeError, "at step 1"),
        ([[True]], "category", TypeError, "at step 0"),
        ([np.zeros((2, 2), int)], "category", TypeError, r"X\[0\] must be a list"),
    ],
)
def test_bad_tokens(X, kind, error, match):
    with pytest.raises(error, match=match):
        as_items(X, kind)


@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=6))
def test_encoding_and_decoding(texts):
    vocabulary = Vocabulary.learn("char", texts)
    assert vocabulary.tokens[0] == UNKNOWN and len(vocabulary) == 1 + len(set("".join(texts)))
    for text, codes in zip(texts, encoded(texts, vocabulary).items, strict=True):
        assert codes.dtype == np.int64 and "".join(vocabulary.tokens[codes]) == text


def test_tokens_are_ordered_by_frequency_and_then_sorted():
    texts = ["b a c b", "d c b e"]
    learned = Vocabulary.learn("word", texts)
    assert learned.tokens.tolist() == [UNKNOWN, "b", "c", "a", "d", "e"]
    assert Vocabulary.learn("word", texts[::-1]).tokens.tolist() == learned.tokens.tolist()
    assert Vocabulary.learn("word", texts, min_count=2).tokens.tolist() == [UNKNOWN, "b", "c"]
    few = Vocabulary.learn("word", texts, max_vocabulary=3)
    assert few.tokens.tolist() == [UNKNOWN, "b", "c", "a"] and few.encode(
        "e a nobody"
    ).tolist() == [0, 3, 0]
    with pytest.raises(
        ValueError, match=r"min_count must leave at least one token, got 9 .* 3 times"
    ):
        Vocabulary.learn("word", texts, min_count=9)


def test_special_codes_are_no_tokens():
    vocabulary = Vocabulary.learn("char", ["ab"], special=["<end>"])
    assert vocabulary.tokens.tolist() == [UNKNOWN, "<end>", "a", "b"] and vocabulary.n_special == 2
    named = Vocabulary.learn("category", [["<unknown>", "x", "<end>"]], special=["<end>"])
    assert named.encode(["<unknown>", "<end>", "y"]).tolist() == [3, 2, 0]


@pytest.mark.parametrize("kind", ["char", "word"])
def test_text_is_split_by_its_kind(kind):
    assert list(split("a b", kind)) == {"char": ["a", " ", "b"], "word": ["a", "b"]}[kind]


# -- estimators ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("tokens", ["char", "word"])
def test_text_is_learned(cell, tokens):
    arguments = BRIEF | {
        "hidden_layer_sizes": (16,),
        "max_iter": 80,
        "learning_rate_init": 0.01,
        "window": 12,
    }
    model = RNNClassifier(cell, **arguments, tokens=tokens).fit(TEXTS, SITS)
    assert model.score(TEXTS, SITS) == 1 and model.n_features_in_ == 1
    assert model.weights_["embedding.W"].shape == (len(model.vocabulary_), 5)
    assert sum(array.size for array in model.weights_.values()) == model.n_parameters_


def test_forms_of_the_same_tokens_mean_the_same():
    lists = [list(text) for text in TEXTS]
    forms = TEXTS, np.array(TEXTS), object_array(TEXTS), lists, [np.array(item) for item in lists]
    models = [RNNRegressor("gru", **BRIEF).fit(X, SITS) for X in forms]
    for X, model in zip(forms, models, strict=True):
        assert np.array_equal(model.predict(X), models[0].predict(TEXTS))


def test_integer_categories_and_their_names_learn_alike():
    rng = np.random.default_rng(0)
    numbers = [rng.integers(0, 3, T) for T in rng.integers(1, 8, 20)]
    y = np.array([item.sum() for item in numbers])
    by_number = RNNRegressor(**BRIEF, tokens="category").fit(numbers, y)
    by_name = RNNRegressor(**BRIEF).fit([["abc"[i] for i in item] for item in numbers], y)
    assert by_number.vocabulary_[1:].tolist() != by_name.vocabulary_[1:].tolist()
    assert np.array_equal(
        by_number.predict(numbers), by_name.predict([["abc"[i] for i in item] for item in numbers])
    )
    plain = RNNRegressor(**BRIEF).fit([item[:, None] for item in numbers], y)
    assert plain.vocabulary_ is None and "embedding.W" not in plain.weights_


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("target", ["sequence", "step"])
def test_unknown_tokens_share_the_first_row(cell, target):
    y = SITS if target == "sequence" else [[int(c == "t") for c in text] for text in TEXTS]
    model = RNNClassifier(cell, **BRIEF, target=target, window=4).fit(TEXTS, y)
    first, second = (model.predict_proba([text]) for text in ("the Xat", "the Yat"))
    assert np.array_equal(first, second)
    assert not model.weights_["embedding.W"][0].any(), (
        "nothing unknown was seen, so nothing was learned of it"
    )
    rare = RNNClassifier(cell, **BRIEF, target=target, min_count=4).fit(TEXTS, y)
    assert rare.weights_["embedding.W"][0].any() and "!" not in rare.vocabulary_


def test_partial_fit_keeps_the_first_vocabulary():
    model = RNNClassifier(**BRIEF, tokens="word").partial_fit(TEXTS, SITS)
    before = model.vocabulary_.tolist()
    model.partial_fit(["a bird flew", "the dog sat"], [0, 1])
    assert model.vocabulary_.tolist() == before and "bird" not in before
    assert (
        RNNClassifier(**BRIEF, tokens="word")
        .fit(["a bird flew", "the dog"], [0, 1])
        .vocabulary_.tolist()
        != before
    )


def test_warm_start_keeps_vocabulary_and_embedding():
    model = RNNClassifier(**BRIEF, warm_start=True).fit(TEXTS, SITS)
    before = model.weights_["embedding.W"]
    model.set_params(learning_rate_init=1e-30).fit(TEXTS, SITS)
    assert np.array_equal(model.weights_["embedding.W"], before)


@pytest.mark.parametrize("tokens", ["char", "word", "category"])
def test_saving_and_copying(tokens, tmp_path):
    X = [[3, 1, 2] * (1 + i % 3) for i in range(12)] if tokens == "category" else TEXTS
    model = RNNClassifier(**BRIEF, tokens=tokens).fit(X, SITS)
    model.save(tmp_path / "model")
    for twin in (load(tmp_path / "model"), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert np.array_equal(twin.predict_proba(X), model.predict_proba(X))
        assert twin.vocabulary_.tolist() == model.vocabulary_.tolist()
        twin.partial_fit(X, SITS)
    assert all(
        np.array_equal(twin.weights_[n], a) for n, a in model.partial_fit(X, SITS).weights_.items()
    )


def test_validation_texts_may_hold_unknown_tokens():
    model = RNNClassifier(**BRIEF, early_stopping=True, tokens="word")
    model.fit(TEXTS, SITS, X_val=["the bird sat", "a whale ran"], y_val=[1, 0])
    assert len(model.validation_scores_) == 3
    with pytest.raises(TypeError, match=r"X_val\[0\] must be text"):
        model.fit(TEXTS, SITS, X_val=[[1.0], [2.0]], y_val=[1, 0])


@pytest.mark.parametrize("kind", [RNNClassifier, RNNRegressor])
def test_other_data_than_in_fit(kind):
    text, numbers = kind(**BRIEF).fit(TEXTS, SITS), kind(**BRIEF).fit([np.ones((3, 1))] * 12, SITS)
    with pytest.raises(TypeError, match=r"X\[0\] must be text with tokens='char'"):
        text.predict([np.ones((3, 1))])
    with pytest.raises(TypeError, match=r"X\[0\] must hold numbers, got text"):
        numbers.predict(["abc"])
    with pytest.raises(TypeError, match="Put a single one into a list"):
        text.predict("abc")
    with pytest.raises(TypeError, match="must hold numbers, got text"):
        kind(**BRIEF, tokens="number").fit(TEXTS, SITS)


def test_pipelines_and_searches_take_text():
    pytest.importorskip("sklearn", reason="searches with scikit-learn")
    from sklearn.model_selection import GridSearchCV

    search = GridSearchCV(
        RNNClassifier(**BRIEF), {"tokens": ["char", "word"], "cell": ["rnn", "gru"]}, cv=2
    )
    search.fit(TEXTS, SITS)
    assert (
        search.predict(TEXTS).shape == (12,)
        and np.isfinite(search.cv_results_["mean_test_score"]).all()
    )

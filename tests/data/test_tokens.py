"""Tokens: kinds, the vocabulary's order, unknown tokens, and estimators on text."""

import copy
import pickle
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from helpers.junk import object_array
from hypothesis import given
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor, load
from lightrnn.data.corpus import joiner
from lightrnn.data.tokens import UNKNOWN, Vocabulary, as_items, encoded, kind_of, split, words

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
BRIEF = {
    "hidden_layer_sizes": (6,),
    "embedding_size": 5,
    "max_iter": 3,
    "learning_rate": "cosine",
    "random_state": 0,
}
TEXTS = ["the cat sat", "a dog ran", "the dog sat!", "a cat"] * 3
WORDS = ["cat", "dog", "sat!", "a"] * 3
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
        ("\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e", 2),  # Hindi
        ("\u0c24\u0c46\u0c32\u0c41\u0c17\u0c41 \u0c2d\u0c3e\u0c37", 2),  # Telugu
        ("\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01", 2),  # Thai
        (
            "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd, \u05e2\u05d5\u05b9\u05dc\u05b8\u05dd",
            3,
        ),  # Hebrew
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645!", 2),  # Persian, with a joiner
        ("cafe\u0301", ["caf\u00e9"]),
        ("I \u2764\ufe0f \U0001f469\u200d\U0001f469\u200d\U0001f467.", 4),
        ("q\u0308x (\u0301a", ["q\u0308x", "(", "\u0301a"]),
    ],
)
def test_words_and_punctuation(text, expected):
    found = words(text)
    assert (found if isinstance(expected, list) else len(found)) == expected


MARKED = st.text("a\u0928\u094d\u0924 \u0301e\u0338<\u200d\u200c\ufe0f\u2764'(.,") | st.text()


@given(MARKED)
def test_words_joined_to_a_text_are_its_words(text):
    found = words(text)
    assert words(joiner("word")(found)) == found
    assert words(unicodedata.normalize("NFD", text)) == found
    assert [token for word in found for token in words(word)] == found


def test_words_with_marks_are_whole_tokens():
    greeting = "\u0928\u092e\u0938\u094d\u0924\u0947"
    texts = [f"{greeting} cafe\u0301", "caf\u00e9"] * 3
    model = RNNClassifier(**BRIEF, tokens="word").fit(texts, [0, 1] * 3)
    assert model.vocabulary_.tolist() == [UNKNOWN, "caf\u00e9", greeting]
    assert (
        model.predict_proba(["cafe\u0301"]).tolist() == model.predict_proba(["caf\u00e9"]).tolist()
    )
    stream = model.stream()
    assert stream.step("cafe\u0301") == model.predict(["cafe\u0301"])[0]
    writer = RNNLanguageModel("rnn", (8,), tokens="word", max_iter=80, learning_rate_init=0.05)
    writer.set_params(random_state=0).fit([texts[0]] * 8)
    assert writer.generate("", top_k=1) == f"{greeting} caf\u00e9"
    # A vocabulary that was made elsewhere may hold decomposed letters.
    assert Vocabulary("word", np.array([UNKNOWN, "cafe\u0301"])).encode("caf\u00e9").tolist() == [1]


def test_a_file_of_before_keeps_its_words(tmp_path):
    text = "\u0928\u092e\u0938\u094d\u0924\u0947"
    pieces = Vocabulary(
        "word", np.array([UNKNOWN, "\u0928\u092e\u0938", "\u094d"]), marks_apart=True
    )
    assert pieces.encode(text).tolist() == [1, 2, 0, 0]
    model = load(GOLDEN / "format1-words.npz")
    assert model._model.vocabulary.marks_apart
    model.save(tmp_path / "again")
    assert load(tmp_path / "again")._model.vocabulary.marks_apart


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
        (np.array([["ab"], ["c"]]), "char"),
        (np.array([["ab"], ["c"]], dtype=object), "char"),
        ([None, "ab"], "char"),
        ([[], ["ab"]], "category"),
        ([[1, 2], ["a", "b"]], "category"),
        ([np.array([1, "a"], dtype=object)], "category"),
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
    texts = pandas.DataFrame({"text": ["ab", "c"]})
    assert kind_of(texts, "auto") == "char" and as_items(texts, "word") == ["ab", "c"]
    assert as_items(texts, "category") == [["ab"], ["c"]]
    frame = pandas.DataFrame({"first": ["a", "b"], "second": ["c", "d"]})
    assert as_items(frame, kind_of(frame, "auto")) == [["a", "c"], ["b", "d"]]


def test_integers_are_categories_if_tokens_says_so():
    items = as_items([np.array([3, 1]), [2], (5, 5)], "category")
    assert items == [[3, 1], [2], [5, 5]] and {type(token) for item in items for token in item} == {
        int
    }
    assert as_items(np.array([[1, 2], [3, 4]]), "category") == [[1, 2], [3, 4]]


def test_tensors_of_integers_are_categories():
    torch = pytest.importorskip("torch", reason="makes tensors")
    assert as_items([torch.tensor([3, 1]), torch.tensor([2])], "category") == [[3, 1], [2]]


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
        ([["a", None]], "category", TypeError, "got None at step 1. Leave missing ones out"),
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


def test_a_column_of_texts_is_text():
    pandas = pytest.importorskip("pandas", reason="reads DataFrames")
    frame = pandas.DataFrame({"text": TEXTS})
    for tokens in ("auto", "char", "word"):
        want = RNNClassifier(**BRIEF, tokens=tokens).fit(TEXTS, SITS)
        for X in (frame, frame.to_numpy(), np.array(TEXTS)[:, None], frame["text"]):
            model = RNNClassifier(**BRIEF, tokens=tokens).fit(X, SITS)
            assert model.vocabulary_.tolist() == want.vocabulary_.tolist()
            assert np.array_equal(model.predict_proba(X), want.predict_proba(TEXTS))
    frame.loc[3, "text"] = None
    with pytest.raises(TypeError, match=r"X\[3\] must be text .*Leave missing texts out"):
        RNNClassifier(**BRIEF).fit(frame, SITS)


@pytest.mark.parametrize(
    ("X", "kind"),
    [
        (TEXTS, "word"),
        (["good film"] + ["no"] * 11, "char"),
        (["Smith", "De Vries", "Garcia"] * 4, "char"),
        ([" ab", "cd\n"] * 6, "char"),
        ([list(text) for text in TEXTS], "category"),
        ([[1.0, 2.0]] * 12, "number"),
    ],
)
def test_auto_says_what_it_read(X, kind, tmp_path):
    model = RNNClassifier(**BRIEF).fit(X, SITS)
    assert model.tokens_ == kind
    model.save(tmp_path / "model")
    assert load(tmp_path / "model").tokens_ == kind
    same = RNNClassifier(**BRIEF, tokens=kind).fit(X, SITS)
    assert np.array_equal(model.predict_proba(X), same.predict_proba(X))


def test_a_blank_text_among_those_of_words_is_named():
    with pytest.raises(ValueError, match=r"X\[1\] must have at least one word, got ' '"):
        RNNClassifier(**BRIEF).fit(["a good film", " ", "a dull one"], [1, 1, 0])


def test_a_text_with_a_target_for_each_character_is_its_characters():
    y = [[int(c == "t") for c in text] for text in TEXTS]
    assert RNNClassifier(**BRIEF, target="step").fit(TEXTS, y).tokens_ == "char"


@pytest.mark.parametrize("form", [list, tuple, object_array])
def test_targets_for_each_word_of_a_text_need_its_words(form):
    texts = [text.removesuffix("!") for text in TEXTS]  # a sign would be a word
    y = form([[0] * len(text.split()) for text in texts])
    with pytest.raises(ValueError, match=r"one for each character of X\[0\].* tokens='word'"):
        RNNClassifier(**BRIEF, target="step").fit(texts, y)
    y = form([np.arange(len(part)) % 2 for part in y])
    assert RNNClassifier(**BRIEF, target="step", tokens="word").fit(texts, y).tokens_ == "word"


@pytest.mark.parametrize(
    "X",
    [
        [["0.5", "1"], ["-2e3"]],
        [["1", "2"], ["3", "4"]],
        np.array([["0.5", "1.5"], ["2", "-1"]]),
        ["0.5 1.5", "2"],
        ["0.5,1.5", "2,-1"],
        [["0.5"] * 5 + [str(t) for t in range(20)], ["?", "1"]],
    ],
    ids=str,
)
def test_numbers_that_are_text_are_not_categories(X):
    with pytest.raises(TypeError, match=r"X must hold numbers, or text that does not read as"):
        RNNRegressor(**BRIEF).fit(X, [1.0, 2.0])
    kind = "char" if isinstance(X[0], str) else "category"
    assert RNNRegressor(**BRIEF, tokens=kind).fit(X, [1.0, 2.0]).tokens_ == kind


def test_the_remedy_for_numbers_as_text():
    for X in (
        [["0.5", "1"], ["-2e3"]],
        ["0.5 1", "-2e3"],
        ["0.5,1", "-2e3,1"],
        np.array([["0.5", "1"], ["2", "3"]]),
    ):
        with pytest.raises(TypeError) as caught:
            RNNRegressor(**BRIEF).fit(X, [1.0, 2.0])
        line = (
            str(caught.value).split("X = ")[1].removesuffix("; or set `tokens` if it is no number.")
        )
        assert RNNRegressor(**BRIEF).fit(eval(line, {"X": X, "np": np}), [1.0, 2.0])
    digits = ["0110", "101"] * 6  # words of a code
    assert RNNClassifier(**BRIEF).fit(digits, SITS).tokens_ == "char"
    mixed = [["0.5", "on"], ["off", "1"]] * 6  # some of them
    assert RNNClassifier(**BRIEF).fit(mixed, SITS).tokens_ == "category"


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
    lists = [list(text) for text in WORDS]
    forms = WORDS, np.array(WORDS), object_array(WORDS), lists, [np.array(item) for item in lists]
    models = [RNNRegressor("gru", **BRIEF).fit(X, SITS) for X in forms]
    for X, model in zip(forms, models, strict=True):
        assert np.array_equal(model.predict(X), models[0].predict(WORDS))


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
    arguments = BRIEF | {"target": target, "tokens": "char", "token_dropout": 0}
    model = RNNClassifier(cell, **arguments, window=4).fit(TEXTS, y)
    first, second = (model.predict_proba([text]) for text in ("the Xat", "the Yat"))
    assert np.array_equal(first, second)
    assert not model.weights_["embedding.W"][0].any(), (
        "nothing unknown was seen, so nothing was learned of it"
    )
    rare = RNNClassifier(cell, **arguments, min_count=4).fit(TEXTS, y)
    assert rare.weights_["embedding.W"][0].any() and "!" not in rare.vocabulary_
    dropped = RNNClassifier(cell, **arguments | {"token_dropout": 0.2}).fit(TEXTS, y)
    assert dropped.weights_["embedding.W"][0].any(), "dropped tokens are what unknown ones are"


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
    with pytest.raises(TypeError, match=r"X\[0\] must be text with tokens='word'"):
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


def test_integers_of_one_hash_are_categories_like_others():
    """A dict of them would take a time that grows with the square of their number."""
    integers = [number * (2**61 - 1) for number in range(20_000)]
    vocabulary = Vocabulary.learn("category", [integers])
    assert vocabulary.tokens.tolist() == ["<unknown>", *integers]
    assert vocabulary.encode(integers[::-1]).tolist() == list(range(20_000, 0, -1))
    assert len(set(map(hash, vocabulary.codes))) > 19_000
    assert vocabulary.encode(["0", "1"]).tolist() == [0, 0]  # text is no integer
    assert vocabulary.encode([0, 10**5000]).tolist() == [1, 0]
    assert vocabulary.encode([]).tolist() == []

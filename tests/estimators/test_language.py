"""The language model: training and likelihood, generation, and corpora of every form."""

import copy
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from helpers import naive
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn import RNNLanguageModel, load
from lightrnn.data.corpus import BOUNDARY, END, read_corpus
from lightrnn.nn.network import Network
from lightrnn.nn.stepper import Stepper
from lightrnn.training.texts import TextBatches

CELLS = ("ffnn", "rnn", "gru", "lstm")
BRIEF = {
    "hidden_layer_sizes": (6,),
    "embedding_size": 5,
    "max_iter": 2,
    "batch_size": 3,
    "truncate": 4,
    "window": 3,
    "random_state": 0,
}
RHYMES = [
    "to be or not to be",
    "that is the question",
    "whether 'tis nobler",
    "a",
    "in the mind to suffer",
] * 2


def same_weights(a, b):
    a, b = a.weights_, b.weights_
    return list(a) == list(b) and all(np.array_equal(a[name], b[name]) for name in a)


def log_likelihoods(model, text):
    """Of every token of a text and its end, by the slow oracle."""
    codes = [BOUNDARY, *model._model.vocabulary.encode(text)]
    raw = naive.outputs(model.weights_, model.cell, np.array(codes), "step", window=model.window)
    wanted = [*codes[1:], BOUNDARY]
    return naive.log_softmax(raw)[np.arange(len(codes)), wanted]


# -- readers ---------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    batch_size=st.integers(1, 8),
    truncate=st.integers(1, 9),
    seed=st.none() | st.integers(0, 99),
    window=st.integers(0, 5),
)
def test_every_step_is_read_once_and_in_order(lengths, batch_size, truncate, seed, window):
    """Make code n of text i equal 100 i + n + 2, so that each target determines its input."""
    texts = [100 * i + 2 + np.arange(n) for i, n in enumerate(lengths)]
    rng = None if seed is None else np.random.default_rng(seed)
    feed = TextBatches(texts, BOUNDARY, batch_size, truncate, window, rng)
    network = Network(
        "ffnn" if window else "rnn",
        2,
        (3,),
        1000,
        target="step",
        n_tokens=1000,
        window=max(1, window),
    )
    network.initialize(np.random.default_rng(0))
    seen = []
    for _, batch in feed.epoch(network):
        if network.recurrent:
            network.run(batch)
        assert len(batch.X) <= batch_size
        for X, targets, weights in zip(batch.X, batch.targets, batch.weights, strict=True):
            assert len(X) == len(targets) == len(weights) and weights.sum() <= truncate
            for x, y in zip(X, targets, strict=True):
                start = y % 100 == 2 if y != BOUNDARY else False
                assert x == BOUNDARY if start else y in (x + 1, BOUNDARY)
            before = int((weights == 0).sum())
            assert (
                not weights[:before].any()
                and weights[before:].all()
                and before <= max(0, window - 1)
            )
            seen += [(int(x), int(y)) for x, y, w in zip(X, targets, weights, strict=True) if w]
    expected = [pair for t in texts for pair in zip([BOUNDARY, *t], [*t, BOUNDARY], strict=True)]
    assert sorted(seen) == sorted((int(x), int(y)) for x, y in expected)
    assert feed.count == feed.n_targets == len(expected)


@pytest.mark.parametrize("cell", CELLS)
def test_chunks_carry_the_state_of_their_text(cell):
    model = RNNLanguageModel(cell, **BRIEF, dtype="float64").fit(RHYMES)
    texts = RHYMES[:5]
    want = np.concatenate([log_likelihoods(model, text) for text in texts]).mean()
    for batch_size, truncate in ((1, 1), (3, 4), (2, 100), (9, 7)):
        assert np.isclose(
            model.set_params(batch_size=batch_size, truncate=truncate).score(texts),
            want,
            rtol=1e-10,
        )


def test_a_long_text_keeps_all_readers_busy():
    feed = TextBatches([np.full(1000, 2)], BOUNDARY, 8, 5, rng=np.random.default_rng(0))
    network = Network("rnn", 2, (3,), 4, target="step", n_tokens=4)
    network.initialize(np.random.default_rng(0))
    sizes = []
    for _, batch in feed.epoch(network):
        network.run(batch)
        sizes.append(len(batch.X))
    assert sizes[:20] == [8] * 20 and len(sizes) < 30


# -- likelihood ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "options", [{}, {"tie_weights": True, "embedding_size": 6}, {"output": "adaptive"}], ids=str
)
def test_probabilities_and_likelihoods_agree(cell, options):
    model = RNNLanguageModel(cell, **BRIEF | options, dtype="float64").fit(RHYMES)
    text = "not the mind"
    codes = [*model._model.vocabulary.encode(text), BOUNDARY]
    contexts = [text[:i] for i in range(len(text) + 1)]
    probabilities = model.predict_proba(contexts)
    assert probabilities.shape == (13, len(model.vocabulary_)) and np.allclose(
        probabilities.sum(axis=1), 1
    )
    logs = np.log(probabilities[np.arange(13), codes])
    assert np.isclose(model.score([text]), logs.mean(), rtol=1e-10)
    assert np.isclose(model.perplexity(text), np.exp(-logs.mean()), rtol=1e-10)
    assert np.isclose(model.bits_per_character(text), -logs.sum() / np.log(2) / 12, rtol=1e-10)
    if not options:
        assert np.allclose(logs, log_likelihoods(model, text), rtol=1e-10)


def test_the_next_token():
    model = RNNLanguageModel(**BRIEF, tokens="word").fit(RHYMES)
    pairs = model.predict_next("to be or", k=4)
    row = model.predict_proba(["to be or"])[0]
    by_token = dict(zip(model.vocabulary_, row.tolist(), strict=True))
    assert [p for _, p in pairs] == sorted(
        (p for t, p in by_token.items() if t != "<unknown>"), reverse=True
    )[:4]
    assert all(by_token[token] == p for token, p in pairs)
    assert len(model.predict_next("", k=999)) == len(model.vocabulary_) - 1
    assert model.vocabulary_[:2].tolist() == ["<unknown>", END]


def test_validation_scores_are_scores():
    model = RNNLanguageModel(**BRIEF, dtype="float64").fit(RHYMES, texts_val=["to see"])
    assert len(model.validation_scores_) == 2 and np.isclose(
        model.validation_scores_[-1], model.score(["to see"])
    )
    plain = RNNLanguageModel(**BRIEF, dtype="float64").fit(RHYMES)
    assert same_weights(plain, model) and plain.validation_scores_ is None
    best = RNNLanguageModel(
        **BRIEF | {"max_iter": 8, "learning_rate_init": 0.3}, early_stopping=True
    )
    best.fit(RHYMES, texts_val=["to see"])
    assert np.isclose(best.score(["to see"]), max(best.validation_scores_), rtol=1e-5)


def test_unknown_tokens_have_the_probability_of_the_unknown():
    model = RNNLanguageModel(**BRIEF, min_count=4).fit(RHYMES)
    assert "q" not in model.vocabulary_
    code = model.vocabulary_.tolist().index("t")
    row = model.predict_proba(["q"])[0]
    assert np.isclose(row.sum(), 1, rtol=1e-5) and row[code] > 0
    assert model.score(["qqq"]) == model.score(["QQQ"])


# -- generation ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "options", [{}, {"tie_weights": True, "embedding_size": 6}, {"output": "adaptive"}], ids=str
)
def test_greedy_generation_takes_the_likeliest_again_and_again(cell, options):
    model = RNNLanguageModel(
        cell, **BRIEF | options | {"hidden_layer_sizes": (8, 6), "max_iter": 20}
    ).fit(RHYMES)
    text = "to be"
    for _ in range(12):
        token, _ = model.predict_next(text, k=1)[0]
        if token == END:
            break
        text += token
    assert "to be" + model.generate("to be", 12, top_k=1, random_state=1) == text
    assert "to be" + model.generate("to be", 12, top_p=1e-9, random_state=2) == text


def test_tokens_are_drawn_by_their_probability():
    model = RNNLanguageModel(**BRIEF | {"max_iter": 30}, tokens="word").fit(RHYMES)
    rng = np.random.default_rng(0)
    for temperature, top_k, top_p in (
        (1.0, None, 1.0),
        (2.0, None, 1.0),
        (1.0, 3, 1.0),
        (1.0, None, 0.7),
    ):
        drawn = [
            model.generate("to", 1, temperature, top_k, top_p, rng) or END for _ in range(1500)
        ]
        p = model.predict_proba(["to"])[0].astype(float)
        p[0] = 0
        p = p ** (1 / temperature)
        order = np.argsort(-p)
        p[order[top_k:] if top_k else []] = 0
        kept = np.cumsum(p[order]) - p[order] < top_p * p.sum()
        p[order[~kept]] = 0
        p /= p.sum()
        counts = np.array([drawn.count(token) for token in model.vocabulary_])
        assert not counts[p == 0].any()
        assert np.all(np.abs(counts / 1500 - p) < 4.5 * np.sqrt(p * (1 - p) / 1500) + 1e-9), (
            temperature
        )


def test_generation_ends_with_the_text_and_is_repeated_by_a_seed():
    model = RNNLanguageModel(**BRIEF | {"max_iter": 150, "learning_rate_init": 0.02}).fit(
        ["abc"] * 30
    )
    assert model.generate("", 50, top_k=1) == "abc" and model.generate("abc", 9, top_k=1) == ""
    free = RNNLanguageModel(**BRIEF).fit(RHYMES)
    texts = [free.generate("to", 40, random_state=seed) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2] and len(free.generate(n_tokens=0)) == 0
    assert isinstance(free.generate(random_state=np.random.RandomState(0)), str)


@pytest.mark.parametrize("temperature", [1e-307, 1e-308, 1e-309, 5e-324])
def test_the_lowest_temperatures_are_greedy(temperature):
    model = RNNLanguageModel(**BRIEF | {"max_iter": 30}).fit(RHYMES)
    greedy = model.generate("to", 12, top_k=1)
    assert greedy and model.generate("to", 12, temperature, random_state=0) == greedy


def test_as_many_tokens_as_one_likes_may_be_wished_for():
    model = RNNLanguageModel(**BRIEF | {"max_iter": 150, "learning_rate_init": 0.02}).fit(
        ["abc"] * 30
    )
    for n_tokens in (10**6, 10**12, 2**80):  # the numbers alone would take 8 TB
        assert model.generate("", n_tokens, 0.01, random_state=0) == "abc"
    plain = model.generate("", 9, random_state=0)
    for top_k in (5, 2**31, 2**63, 2**70):
        assert model.generate("", 9, top_k=top_k, random_state=0) == plain
    few = RNNLanguageModel(**BRIEF).fit(RHYMES)
    texts = [few.generate("to", n, random_state=3) for n in (5, 9, 10**12)]
    assert texts[1].startswith(texts[0]) and texts[2].startswith(texts[1])


def test_words_are_put_together_as_they_are_written():
    quick = BRIEF | {"max_iter": 60, "learning_rate_init": 0.05}
    text = "well (she said), don't go!"
    model = RNNLanguageModel(**quick, tokens="word").fit([text] * 5)
    assert model.generate("", 20, top_k=1) == text
    lists = RNNLanguageModel(**quick).fit([[3, 1, 2]] * 5)
    assert lists.generate([], 9, top_k=1) == [3, 1, 2] and lists.predict_next([3], 1)[0][0] == 1


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_are_the_whole_bit_for_bit(cell, dtype):
    rng = np.random.default_rng(0)
    network = Network(cell, 3, (18, 5), 4, target="step", window=4, dtype=dtype)
    network.initialize(rng)
    X = rng.normal(size=(9, 3, 3)).astype(dtype)
    stepper = Stepper(network, 3)
    for _ in range(2):
        got = [stepper.step(X[t]).copy() for t in range(9)]
        whole = network.outputs(list(X.transpose(1, 0, 2)))
        for b in range(3):
            assert np.array_equal(np.array([row[b] for row in got]), whole[b])
        stepper.reset()


# -- corpora ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("tokens", ["char", "word", "category"])
def test_corpora_of_any_form_are_learned_alike(tokens):
    texts = [list(text) for text in RHYMES] if tokens == "category" else RHYMES
    want = RNNLanguageModel(**BRIEF, tokens=tokens).fit(texts)
    for form in (tuple(texts), iter(texts), (text for text in texts), _Rereadable(texts)):
        assert same_weights(RNNLanguageModel(**BRIEF, tokens=tokens).fit(form), want)
    assert want.score(iter(texts)) == want.score(texts)


class _Rereadable:
    def __init__(self, texts):
        self.texts = texts

    def __iter__(self):
        return iter(self.texts)


def test_the_lines_of_a_file_are_texts():
    lines = RNNLanguageModel(**BRIEF).fit(io.StringIO("\n".join(RHYMES) + "\n"))
    assert same_weights(lines, RNNLanguageModel(**BRIEF).fit([f"{text}\n" for text in RHYMES]))


@pytest.mark.parametrize("tokens", ["char", "word"])
@pytest.mark.parametrize("form", [list, iter])
def test_blank_lines_do_not_end_a_file(tokens, form):
    lines = ["", "to be\n", "\n" if tokens == "word" else "", "or not\n", " " * (tokens == "word")]
    model = RNNLanguageModel(**BRIEF, tokens=tokens)
    want = RNNLanguageModel(**BRIEF, tokens=tokens).fit([lines[1], lines[3]])
    assert same_weights(model.fit(form(lines)), want)
    assert model.score(form(lines)) == want.score([lines[1], lines[3]])
    with pytest.raises(TypeError, match=r"texts\[2\] must be text"):
        model.fit(form(["a", "", 3]))


def test_a_file_is_read_to_its_end(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("to be\n\n\nor not\n", encoding="utf-8")
    with path.open(encoding="utf-8") as file:
        model = RNNLanguageModel(**BRIEF, tokens="word").fit(file)
    assert set(model.vocabulary_[2:]) == {"to", "be", "or", "not"}


def test_one_text_is_a_text_and_codes_take_little_room():
    corpus = read_corpus("abcab")
    assert [text.tolist() for text in corpus.texts] == [
        [2, 3, 4, 2, 3]
    ] and corpus.n_characters == 5
    assert corpus.texts[0].dtype == np.uint8
    assert read_corpus([[f"w{i}" for i in range(300)]]).texts[0].dtype == np.uint16
    spooled = read_corpus(iter(["ab", "cab"]), min_count=2)
    assert isinstance(spooled.texts[0], np.memmap) and [t.tolist() for t in spooled.texts] == [
        [2, 3],
        [0, 2, 3],
    ]


@pytest.mark.parametrize(
    ("texts", "error", "match"),
    [
        ("", ValueError, r"texts\[0\] must have at least one char"),
        ([], ValueError, "texts must hold at least one sequence"),
        (iter([]), ValueError, "texts must hold at least one text, got an iterator without any"),
        (["", ""], ValueError, r"texts\[0\] must have at least one char"),
        (iter(["", ""]), ValueError, r"texts\[0\] must have at least one char"),
        ({"a": "ab"}, TypeError, r"texts must hold text, got a dict.*list\(texts.values\(\)\)"),
        ("corpus.txt", ValueError, r"name of a file.*open\('corpus.txt', encoding='utf-8'\)"),
        (Path("corpus"), ValueError, r"open\('corpus', encoding='utf-8'\)"),
        (__file__, ValueError, "texts must hold text, got the name of a file"),
        ([__file__, __file__], ValueError, "texts must hold text, got the name of a file"),
        (None, TypeError, "texts must be a list of sequences"),
        (3.5, TypeError, "texts must be a list of sequences"),
        ([1.5, 2.5], TypeError, r"texts\[0\] must be a list of str or integers"),
        ([np.zeros((3, 2))], TypeError, r"texts\[0\] must be a list of str or integers"),
        (["a", 3], TypeError, r"texts\[1\] must be text"),
        (iter(["a", 3]), TypeError, r"texts\[1\] must be text"),
        ([["a"], [1]], TypeError, "text or integers alone"),
        (b"bytes", TypeError, r"texts must be .* Decode it: \[texts\.decode\('utf-8'\)\]"),
        ([b"bytes"], TypeError, r"texts\[0\] must be .* Decode it"),
        (io.BytesIO(b"bytes"), TypeError, r"texts\[0\] must be .* Decode it"),
        ({"ab", "ba"}, TypeError, r"texts must be in an order.*got a set.*sorted\(texts\)"),
        (["a", None], TypeError, r"texts\[1\] must be text"),
        ([[1, -2]], ValueError, r"texts\[0\] must hold integers of at least 0, got -2 at step 1"),
        ("aaaa", ValueError, "texts must hold at least two different tokens, got 1: 'a'"),
        (iter(["a", "aa"]), ValueError, "texts must hold at least two different tokens"),
    ],
    ids=str,
)
def test_bad_corpora(texts, error, match):
    model = RNNLanguageModel(**BRIEF)
    with pytest.raises(error, match=match):
        model.fit(texts)
    assert not hasattr(model, "vocabulary_")


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (
            {"tie_weights": True},
            ValueError,
            "embedding_size must be 6, the last layer's size, with tie_weights=True",
        ),
        (
            {"tie_weights": True, "embedding_size": 6, "output": "adaptive"},
            ValueError,
            "output must not be 'adaptive'",
        ),
        ({"solver": "lbfgs"}, ValueError, "solver must be one of 'adam', 'sgd', 'rmsprop', got"),
        (
            {"tokens": "number"},
            ValueError,
            "tokens must be one of 'auto', 'char', 'word', 'category'",
        ),
        ({"tokens": "letters"}, ValueError, "tokens must be one of"),
        ({"truncate": None}, TypeError, "truncate must be an integer of at least 1"),
        ({"truncate": 0}, ValueError, "truncate must be an integer of at least 1"),
        ({"output": "nce"}, ValueError, "output must be one of"),
        ({"early_stopping": True}, ValueError, "texts_val must be given"),
        ({"embedding_size": 0}, ValueError, "embedding_size must be"),
        ({"min_count": 99}, ValueError, "min_count must leave at least one token"),
        ({"max_vocabulary": 0}, ValueError, "max_vocabulary must be"),
        ({"hidden_layer_sizes": (10**9,)}, ValueError, "fits into memory"),
    ],
    ids=str,
)
def test_bad_arguments(arguments, error, match):
    model = RNNLanguageModel(**BRIEF).fit(RHYMES)
    before = model.weights_
    with pytest.raises(error, match=match):
        model.set_params(**arguments).fit(RHYMES)
    assert all(np.array_equal(model.weights_[name], array) for name, array in before.items())


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"prompt": 3}, TypeError, r"prompt\[0\] must be text"),
        ({"prompt": ["t", "o"]}, TypeError, r"prompt\[0\] must be text"),
        ({"n_tokens": -1}, ValueError, "n_tokens must be"),
        ({"n_tokens": 2.5}, TypeError, "n_tokens must be"),
        ({"temperature": -1}, ValueError, "temperature must be"),
        ({"temperature": 0}, ValueError, "temperature must be"),
        ({"temperature": np.nan}, ValueError, "temperature must be"),
        ({"top_k": 0}, ValueError, "top_k must be"),
        ({"top_p": 0}, ValueError, "top_p must be"),
        ({"random_state": "x"}, TypeError, "random_state must be"),
    ],
    ids=str,
)
def test_bad_wishes(arguments, error, match):
    model = RNNLanguageModel(**BRIEF).fit(RHYMES)
    with pytest.raises(error, match=match):
        model.generate(**arguments)


def test_bad_contexts():
    model = RNNLanguageModel(**BRIEF).fit(RHYMES)
    with pytest.raises(TypeError, match="contexts must be a list of contexts"):
        model.predict_proba("to be")
    with pytest.raises(ValueError, match="contexts must hold at least one"):
        model.predict_proba([])
    with pytest.raises(TypeError, match=r"contexts\[1\]"):
        model.predict_proba(["to", 3])
    with pytest.raises(ValueError, match="texts must be str for bits_per_character"):
        RNNLanguageModel(**BRIEF).fit([["a", "b"]]).bits_per_character([["a"]])
    for method, argument in (
        ("score", "a"),
        ("generate", "a"),
        ("predict_proba", ["a"]),
        ("predict_next", "a"),
    ):
        with pytest.raises(ValueError, match="not fitted"):
            getattr(RNNLanguageModel(), method)(argument)


def test_arguments_that_are_set_after_the_fit_do_not_matter():
    """A likelihood is that of the model, to the bit, whatever the next fit will do."""
    for cell in CELLS:
        model = RNNLanguageModel(cell, **BRIEF).fit(RHYMES)
        calls = [
            lambda model=model: model.score(RHYMES),
            lambda model=model: model.perplexity(RHYMES),
            lambda model=model: model.bits_per_character(RHYMES),
            lambda model=model: model.predict_proba(["to", "be"]).tobytes(),
            lambda model=model: model.predict_next("to"),
            lambda model=model: model.generate("to", 9, random_state=0),
            lambda model=model: model.stream().step("t").tobytes(),
        ]
        before = [call() for call in calls]
        for arguments in (
            {"window": 5, "cell": "rnn", "hidden_layer_sizes": (9, 9), "dtype": "float64"},
            {"window": 7, "cell": "ffnn", "batch_size": 1, "truncate": 1, "tokens": "word"},
            {"window": 0, "cell": "x", "batch_size": -1, "truncate": None, "tie_weights": True},
            {"embedding_size": 1, "max_vocabulary": 2, "output": "adaptive", "solver": 3},
        ):
            model.set_params(**arguments)
            assert [call() for call in calls] == before


def test_what_is_not_finite_is_no_likelihood():
    model = RNNLanguageModel(**BRIEF).fit(RHYMES)
    network = model._model.network
    size = network.head.n_outputs

    def prefer_unknown(by):
        network.assign(network.arrays() | {"head.b": np.array([by, *[-by] * (size - 1)])})

    prefer_unknown(900)
    assert -2000 < model.score(RHYMES) < -800
    with pytest.raises(ValueError, match=r"texts must have a perplexity .* Use score"):
        model.perplexity(RHYMES)
    prefer_unknown(3e38)
    with pytest.raises(ValueError, match="texts must have a finite likelihood, got"):
        model.score(RHYMES)
    network.assign({name: np.full_like(a, 3e38) for name, a in network.arrays().items()})
    with pytest.raises(ValueError, match=r"contexts\[0\] must give finite outputs, got"):
        model.predict_proba(["to"])
    with pytest.raises(ValueError, match="outputs must be finite, got an overflow in float32"):
        model.generate("to")


# -- continued training and saving -----------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_partial_fit_is_one_epoch_of_fit(cell):
    arguments = BRIEF | {"max_iter": 3, "learning_rate": "cosine", "dropout": 0.2}
    whole, parts = (
        RNNLanguageModel(cell, **arguments).fit(RHYMES),
        RNNLanguageModel(cell, **arguments),
    )
    for _ in range(3):
        parts.partial_fit(RHYMES)
    assert same_weights(whole, parts) and whole.loss_curve_ == parts.loss_curve_
    before = parts.vocabulary_.tolist()
    assert parts.partial_fit("xyz").vocabulary_.tolist() == before


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "options",
    [{}, {"hidden_layer_sizes": (7, 6), "embedding_size": 6, "tie_weights": True}],
    ids=str,
)
def test_a_seed_means_the_same_weights_at_any_n_jobs(cell, options, monkeypatch):
    monkeypatch.setattr("lightrnn.nn.network._WORTH_TWO", 1.0)
    monkeypatch.setattr("lightrnn.nn.network._WORTH_MORE", 1.0)
    arguments = BRIEF | {"batch_size": 16, "dropout": 0.2} | options
    models = [
        RNNLanguageModel(cell, **arguments, n_jobs=n_jobs).fit(RHYMES * 3) for n_jobs in (1, 2, 3)
    ]
    assert all(same_weights(models[0], other) for other in models[1:])


@pytest.mark.parametrize(
    "options", [{}, {"tie_weights": True, "embedding_size": 6}, {"output": "adaptive"}], ids=str
)
def test_saving_and_copying(options, tmp_path):
    model = RNNLanguageModel(**BRIEF | options, tokens="word").fit(RHYMES)
    model.save(tmp_path / "model")
    for twin in (load(tmp_path / "model"), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert type(twin) is RNNLanguageModel and twin.score(RHYMES) == model.score(RHYMES)
        assert twin.generate("to", 9, random_state=0) == model.generate("to", 9, random_state=0)
        twin.partial_fit(RHYMES)
    assert same_weights(twin, model.partial_fit(RHYMES))


def test_warm_start_keeps_weights_and_vocabulary():
    model = RNNLanguageModel(**BRIEF, warm_start=True).fit(RHYMES)
    before = model.score(RHYMES)
    model.set_params(learning_rate_init=1e-30).fit(["zzz", *RHYMES])
    assert "z" not in model.vocabulary_ and np.isclose(model.score(RHYMES), before)
    with pytest.raises(ValueError, match="hidden_layer_sizes must stay"):
        model.set_params(hidden_layer_sizes=(9,)).fit(RHYMES)


def test_large_vocabularies_get_an_adaptive_softmax(monkeypatch):
    assert "tail0.W" not in RNNLanguageModel(**BRIEF).fit(RHYMES).weights_
    monkeypatch.setattr("lightrnn.estimators.language._LARGE", 10)
    model = RNNLanguageModel(**BRIEF).fit(RHYMES)
    assert "tail0.W" in model.weights_
    assert "tail0.W" not in RNNLanguageModel(**BRIEF, output="softmax").fit(RHYMES).weights_


def test_progress_counts_tokens(capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tqdm", None)
    monkeypatch.setattr("lightrnn.training.progress._LOG", 0.0)
    RNNLanguageModel(**BRIEF, verbose=1).fit(RHYMES)
    lines = capsys.readouterr().out.splitlines()
    assert sum("%" in line for line in lines) > 3 and all("tokens/s" in line for line in lines)
    assert sum(line.startswith("epoch 1/2") for line in lines) > 2 and "gradient" in lines[-1]


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", "ffnn"])
def test_a_model_learns_what_depends_on_the_beginning(cell):
    """Texts end as they begin: a net with a memory is sure of the end, one with a window is not."""
    model = RNNLanguageModel(
        cell,
        **BRIEF
        | {"hidden_layer_sizes": (16,), "max_iter": 40, "learning_rate_init": 0.01}
        | {"truncate": 20, "window": 4},
    ).fit([f"{first}....{first}" for first in "abcd"] * 40)
    for first in "abcd":
        (token, p), *_ = model.predict_next(f"{first}....")
        assert p < 0.5 if cell == "ffnn" else token == first and p > 0.9


def test_a_tied_model_writes_the_same_after_loading(tmp_path):
    """The output layer is the embedding from the first step on, not only in predictions."""
    model = RNNLanguageModel(
        "rnn", (8,), embedding_size=8, tie_weights=True, max_iter=2, random_state=0
    )
    model.fit(["abcabcab"] * 3).save(tmp_path / "model")
    written = [load(tmp_path / "model").generate("a", 30, random_state=0) for _ in range(2)]
    back = load(tmp_path / "model")
    back.predict_proba(["a"])
    assert written == [back.generate("a", 30, random_state=0)] * 2

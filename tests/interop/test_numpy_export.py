"""The exported file predicts as the estimator does, has only the code it needs, and runs alone."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.fitted import QUICK, fitted, language_models
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor, export_numpy, load
from lightrnn.data.tokens import words

ROOT = Path(__file__).resolve().parent.parent.parent
RNG = np.random.default_rng(0)
X = [RNG.normal(size=(length, 3)) for length in (5, 1, 8, 3)]
Y = ["b", "a", "b", "a"]
STEPS = [(x[:, 0] > 0).astype(int) for x in X]
TEXTS = ["to be or not", "to sleep", "no more", "and by a sleep"]
SMALL = QUICK | {"hidden_layer_sizes": (4,)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("exported")


def exported(est, folder, inline=False):
    """Return the names of the file written for an estimator."""
    export_numpy(est, folder / "model.py", inline=inline)
    return runpy.run_path(str(folder / "model.py"))


def assert_near(found, expected):
    """Assert that predictions have one form and agree to 1e-6 of the largest, or of 1."""
    assert type(found) is type(expected) and len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        if a.dtype.kind == "f":
            assert abs(a - b).max() <= 1e-6 * max(1, abs(b).max())
        else:
            assert np.array_equal(a, b)


# -- predictions -----------------------------------------------------------------------------------


@settings(max_examples=70)
@given(case=fitted(), inline=st.booleans())
def test_predictions_are_the_estimators(case, inline, folder):
    model = exported(case.est, folder, inline)
    assert_near(model["predict"](case.X), case.est.predict(case.X))
    assert ("predict_proba" in model) == hasattr(case.est, "predict_proba")
    if "predict_proba" in model:
        assert_near(model["predict_proba"](case.X), case.est.predict_proba(case.X))


@settings(max_examples=40)
@given(case=language_models(), inline=st.booleans())
def test_the_next_token_is_the_language_models(case, inline, folder):
    model = exported(case.est, folder, inline)
    contexts = [case.X[0][:0], *case.X]
    assert_near(model["predict_proba"](contexts), case.est.predict_proba(contexts))
    for context in contexts:
        found, expected = (
            predict(context, 3) for predict in (model["predict_next"], case.est.predict_next)
        )
        assert np.allclose([p for _, p in found], [p for _, p in expected], rtol=1e-5)
        assert [type(token) for token, _ in found] == [type(token) for token, _ in expected]


def test_words_are_split_alike(folder):
    split = exported(RNNClassifier(**SMALL, tokens="word").fit(TEXTS, Y), folder)["tokens"]

    @given(
        text=st.text("aé_1'\u2019 ,-\n")
        | st.text("क्षि e\u0301<\u0338\u200d\u200c❤\ufe0f('")
        | st.text()
    )
    def check(text):
        assert split(text) == words(text)

    check()


@pytest.mark.parametrize(
    "labels",
    [
        np.array(Y),
        np.array(Y, object),
        np.array([b"b", b"a"] * 2),
        np.array([True, False] * 2),
        np.array([7, -1] * 2),
    ],
    ids=lambda labels: str(labels.dtype),
)
def test_labels_of_any_kind_come_back(labels, folder):
    est = RNNClassifier(**SMALL).fit(X, labels)
    assert exported(est, folder)["predict"](X).tolist() == est.predict(X).tolist()


@pytest.mark.parametrize(
    "data",
    [
        RNG.normal(size=(4, 6)),
        RNG.normal(size=(4, 6, 2)),
        RNG.normal(size=(4, 5, 3, 2)),
        [[1, 2, 3], [4, 5]] * 2,
    ],
)
def test_other_forms_of_X(data, folder):
    est = RNNRegressor(**SMALL).fit(data, [1.0, 2.0, 3.0, 4.0])
    assert_near(exported(est, folder)["predict"](data), est.predict(data))


def test_predictions_have_the_precision_of_y(folder):
    est = RNNRegressor(**SMALL).fit(X, np.arange(4, dtype=np.float32))
    assert exported(est, folder)["predict"](X).dtype == np.float32


# -- the file --------------------------------------------------------------------------------------


def kinds():
    """Yield an estimator of every kind that makes another file."""
    for cell in ("ffnn", "rnn", "gru", "lstm"):
        yield RNNRegressor(cell, **SMALL).fit(X, [1.0, 2.0, 3.0, 4.0])
        yield RNNClassifier(cell, **SMALL, target="step", dtype="float64").fit(X, STEPS)
    yield RNNClassifier("gru", **QUICK, hidden_layer_sizes=(3,) * 30, bidirectional=True).fit(X, Y)
    yield RNNClassifier(**SMALL, bidirectional=True, target="step").fit(X, STEPS)
    yield RNNClassifier(**SMALL).fit(X, np.array([[0, 1], [1, 1]] * 2))
    yield RNNRegressor(**SMALL).fit(np.ones((4, 7)), np.ones((4, 2)) * [[1], [2], [3], [4]])
    for tokens in ("char", "word"):
        yield RNNClassifier(**SMALL, tokens=tokens).fit(TEXTS, Y)
    yield RNNClassifier(**SMALL, target="step").fit([["a", "b"], ["c"]], [[0, 1], [1]])
    for options in ({}, {"tie_weights": True, "embedding_size": 4}, {"output": "adaptive"}):
        yield RNNLanguageModel(hidden_layer_sizes=(4,), max_iter=1, random_state=0, **options).fit(
            TEXTS
        )
    yield RNNLanguageModel("ffnn", (4,), tokens="word", max_iter=1, random_state=0).fit(TEXTS)


def test_the_files_are_clean(folder):
    pytest.importorskip("ruff", reason="lints the files")
    for number, est in enumerate(kinds()):
        export_numpy(est, folder / f"a_long_name_for_a_model_{number}.py", inline=number % 3 == 0)
    for command in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        options = ["--config", str(ROOT / "pyproject.toml"), str(folder)]
        call = [sys.executable, "-m", "ruff", *command, *options]
        done = subprocess.run(call, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_the_file_has_only_what_the_model_needs(folder):
    exported(RNNClassifier("lstm", **SMALL).fit(X, Y), folder)
    text = (folder / "model.py").read_text()
    others = "GRU feed-forward embedding re json base64 windows CODES WINDOW ffnn"
    for other in others.split():
        assert other not in text.split(), other
    assert "log_softmax" not in text and "reverse" not in text and "if CELL" not in text
    exported(RNNRegressor("gru", **SMALL).fit(X, [1.0, 2.0, 3.0, 4.0]), folder)
    text = (folder / "model.py").read_text()
    assert not any(other in text for other in ("LSTM", "proba", "softmax"))
    assert "def sigmoid" in text


def test_a_saved_estimator_stays(tmp_path):
    est = RNNClassifier(**SMALL).fit(X, Y)
    est.save(tmp_path / "model.npz")
    export_numpy(est, tmp_path / "model.py")
    assert load(tmp_path / "model.npz").predict(X).tolist() == est.predict(X).tolist()
    with np.load(tmp_path / "model.weights.npz") as file:
        assert all(np.array_equal(file[name], array) for name, array in est.weights_.items())


def test_weights_of_another_model_are_refused(folder):
    one, other = (RNNRegressor(**SMALL | {"random_state": seed}) for seed in (0, 1))
    exported(one.fit(X, [1.0, 2.0, 3.0, 4.0]), folder)
    first = (folder / "model.weights.npz").read_bytes()
    exported(other.fit(X, [1.0, 2.0, 3.0, 4.0]), folder)
    (folder / "model.weights.npz").write_bytes(first)
    with pytest.raises(ValueError, match=r"model\.weights\.npz holds the weights of another model"):
        runpy.run_path(str(folder / "model.py"))


# -- as a script -----------------------------------------------------------------------------------

POISON = """
import runpy, sys
sys.modules.update(dict.fromkeys(["lightrnn", "numba", "llvmlite", "scipy", "sklearn", "pandas"]))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(folder, *arguments):
    """Return the output of the script where numba, scipy and lightrnn cannot be imported."""
    call = [sys.executable, "-I", "-W", "error", "-c", POISON, "model.py", *arguments]
    return subprocess.run(call, cwd=folder, capture_output=True, text=True)


def test_it_runs_without_numba(tmp_path):
    sequences = RNG.normal(size=(5, 7, 3))
    est = RNNClassifier(**SMALL).fit(X, Y)
    export_numpy(est, tmp_path / "model.py")
    np.save(tmp_path / "X.npy", sequences)
    done = run(tmp_path, "X.npy")
    assert done.stdout.split() == est.predict(sequences).tolist(), done.stderr
    assert run(tmp_path, "X.npy", "predictions.npy").returncode == 0
    assert np.load(tmp_path / "predictions.npy").tolist() == est.predict(sequences).tolist()
    usage = run(tmp_path)
    assert usage.returncode == 1 and "python model.py X.npy" in usage.stderr


def test_it_runs_on_sequences_of_any_lengths(tmp_path):
    est = RNNClassifier(**SMALL, target="step").fit(X, STEPS)
    export_numpy(est, tmp_path / "model.py", inline=True)
    np.savez(tmp_path / "X.npz", *X * 3)
    done = run(tmp_path, "X.npz", "predictions.npz")
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "predictions.npz") as file:
        found = list(file.values())
    assert all(map(np.array_equal, found, est.predict(X * 3)))
    assert {path.name for path in tmp_path.iterdir()} == {"model.py", "X.npz", "predictions.npz"}


def test_it_runs_on_text(tmp_path):
    est = RNNLanguageModel(hidden_layer_sizes=(4,), tokens="word", max_iter=1, random_state=0).fit(
        TEXTS
    )
    export_numpy(est, tmp_path / "model.py")
    np.save(tmp_path / "contexts.npy", np.array(["to be", ""]))
    done = run(tmp_path, "contexts.npy")
    assert [line[:8] for line in done.stdout.splitlines()] == [
        str(est.predict_next(c))[:8] for c in ("to be", "")
    ]
    assert run(tmp_path, "contexts.npy", "probabilities.npy").returncode == 0
    assert_near(np.load(tmp_path / "probabilities.npy"), est.predict_proba(["to be", ""]))


# -- refusals --------------------------------------------------------------------------------------


def test_what_is_refused(tmp_path):
    est = RNNClassifier(**SMALL).fit(X, Y)
    for path in ("model", "model.txt", "my-model.py", "1.py", ".py", "class.py"):
        with pytest.raises(
            ValueError, match=r"path must name a Python module, got .*\. Use letters"
        ):
            export_numpy(est, tmp_path / path)
    for path in ("numpy.py", "random.py"):
        with pytest.raises(ValueError, match=r"path must name a module of its own, got .*numpy|ra"):
            export_numpy(est, tmp_path / path)
    with pytest.raises(TypeError, match="inline must be True or False, got 1"):
        export_numpy(est, tmp_path / "model.py", inline=1)
    with pytest.raises(ValueError, match="not fitted yet"):
        export_numpy(RNNClassifier(), tmp_path / "model.py")
    with pytest.raises(
        TypeError, match=r"estimator must be an RNNClassifier, .* RNNLanguageModel, got 'x'"
    ):
        export_numpy("x", tmp_path / "model.py")
    huge = RNNClassifier(**SMALL).fit(X, np.array([2**70, 2**80] * 2, object))
    with pytest.raises(ValueError, match="64 bits as labels, got 1208925819614629174706176"):
        export_numpy(huge, tmp_path / "model.py")
    longest = os.pathconf(tmp_path, "PC_NAME_MAX") if hasattr(os, "pathconf") else 255
    long = "m" * (longest - 3) + ".py"
    with pytest.raises(ValueError, match=rf"got one of {longest} characters. Choose a shorter"):
        export_numpy(est, tmp_path / long)
    assert not list(tmp_path.iterdir())
    export_numpy(est, tmp_path / long, inline=True)
    assert [path.name for path in tmp_path.iterdir()] == [long]


def test_what_the_file_refuses(folder):
    predict = exported(RNNClassifier(**SMALL).fit(X, Y), folder)["predict"]
    with pytest.raises(ValueError, match="must have 3 features, got 2"):
        predict([np.ones((4, 2))])
    with pytest.raises(ValueError, match="must be finite"):
        predict([np.full((4, 3), np.nan)])
    predict = exported(RNNClassifier(**SMALL).fit([["a", "b"], ["c"]], [0, 1]), folder)["predict"]
    with pytest.raises(TypeError, match="must be a list of tokens, got the text 'ab'"):
        predict(["ab"])
    with pytest.raises(ValueError, match="at least one token"):
        predict([[]])

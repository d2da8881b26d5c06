"""The ONNX model predicts as the estimator does, whatever the batch, the lengths and the chunks."""

import importlib
import json
import sys

import numpy as np
import pytest
from helpers import naive
from helpers.fitted import QUICK, fitted, language_models, randomize
from helpers.strategies import POOLINGS
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor, __version__, to_onnx
from lightrnn.interop import onnx as onnx_module

X = [np.random.default_rng(length).normal(size=(length, 3)) for length in (5, 1, 8, 3)]
SMALL = QUICK | {"hidden_layer_sizes": (4,)}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    pytest.importorskip("onnx", reason="writes ONNX models")
    pytest.importorskip("onnxruntime", reason="runs them")
    return tmp_path_factory.mktemp("onnx") / "model.onnx"


def session(est, path):
    import onnx
    import onnxruntime

    to_onnx(est, path)
    graph = onnx.load(path).graph
    used = {name for node in graph.node for name in node.input}
    assert {array.name for array in graph.initializer} <= used  # the runtime warns of others
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def filled_up(X):
    """Return sequences as one array, with junk after the shorter ones, and their lengths."""
    lengths = np.array([len(x) for x in X])
    array = np.full(
        (len(X), lengths.max(), *X[0].shape[1:]), 1 if X[0].dtype.kind == "i" else 99, X[0].dtype
    )
    for row, x in zip(array, X, strict=True):
        row[: len(x)] = x
    return array, lengths


def results(runtime, X, state=None):
    """Return the model's outputs for sequences of any lengths, by default from a state of zeros."""
    array, lengths = filled_up(X)
    feeds = {"X": array, "seq_lens": lengths}
    for value in runtime.get_inputs()[2:]:
        feeds["state"] = np.zeros((len(X), value.shape[1]), np.float32) if state is None else state
    return runtime.run(None, feeds)


def arrays(case):
    """Return the runtime's input for an estimator's sequences: float32, or codes of tokens."""
    if case.numbers:
        return [x.astype(np.float32) for x in case.X]
    vocabulary = case.est._model.vocabulary
    start = [1] if isinstance(case.est, RNNLanguageModel) else []
    return [np.array([*start, *vocabulary.encode(x)], np.int64) for x in case.X]


def assert_near(found, expected, lengths):
    """Assert that steps or sequences agree to 1e-5 of their size."""
    for a, b, T in zip(found, expected, lengths, strict=True):
        a = a[:T] if isinstance(expected, list) else a
        assert a.shape == b.shape and np.allclose(a, b, rtol=1e-5, atol=1e-5)


@settings(max_examples=70)
@given(case=fitted())
def test_predictions_are_the_estimators(case, path):
    runtime = session(case.est, path)
    sequences = arrays(case)
    predict = getattr(case.est, "predict_proba", case.est.predict)
    assert_near(results(runtime, sequences)[0], predict(case.X), map(len, sequences))
    for x, alone in zip(sequences[:2], case.X, strict=False):
        assert_near(results(runtime, [x])[0], predict([alone]), [len(x)])


@settings(max_examples=30)
@given(case=language_models())
def test_the_next_token_is_the_language_models(case, path):
    found = results(session(case.est, path), arrays(case))[0]
    assert np.allclose(found, case.est.predict_proba(case.X), rtol=1e-5, atol=1e-5)


@settings(max_examples=20)
@given(
    cell=st.sampled_from(["rnn", "gru", "lstm"]),
    depth=st.integers(1, 3),
    cut=st.integers(1, 7),
    pooling=st.sampled_from(["step", *POOLINGS]),
    missing=st.sampled_from(["error", "mask"]),
)
def test_the_next_state_goes_on(cell, depth, cut, pooling, missing, path):
    step = pooling == "step"
    y = [(x[:, 0] > 0).astype(int) for x in X] if step else [0, 1, 0, 1]
    options = QUICK | {
        "hidden_layer_sizes": (5, 3, 4)[:depth],
        "missing": missing,
        **({"target": "step"} if step else {"pooling": pooling}),
    }
    est = RNNClassifier(cell, **options).fit(X, y)
    rng = np.random.default_rng(cut)
    randomize(est, rng)
    runtime = session(est, path)
    x = X[2].astype(np.float32)
    if missing == "mask":
        x[rng.random(x.shape) < 0.5] = np.nan
    first, state = results(runtime, [x[:cut]])
    last, state = results(runtime, [x[cut:]], state)
    whole, final = results(runtime, [x])
    assert np.allclose(np.concatenate([first, last], axis=1) if step else last, whole, atol=1e-6)
    assert np.allclose(state, final, atol=1e-6)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_states_are_those_in_which_each_sequence_ends(cell, path):
    est = RNNClassifier(cell, **QUICK | {"hidden_layer_sizes": (5, 3)}, bidirectional=True).fit(
        X, [0, 1, 0, 1]
    )
    randomize(est, np.random.default_rng(0))
    found = results(session(est, path), [x.astype(np.float32) for x in X])[1]
    for row, x in zip(found, naive.standardised(est, X), strict=True):
        levels = naive.hidden(est.weights_, cell, x)[2]
        # h of both directions, then c
        pairs = [zip(*levels[i : i + 2], strict=True) for i in (0, 2)]
        expected = np.concatenate([state for pair in pairs for both in pair for state in both])
        assert np.allclose(row, expected, atol=1e-5)


def test_metadata_say_what_the_numbers_mean(path):
    runtime = session(
        RNNClassifier(**SMALL, tokens="word").fit(["to be", "or not", "be"], ["b", "ä", "b"]), path
    )
    found = runtime.get_modelmeta().custom_metadata_map
    assert (
        json.loads(found["vocabulary"]) == ["<unknown>", "be", "not", "or", "to"]
        and found["tokens"] == "word"
    )
    assert json.loads(found["classes"]) == ["b", "ä"] and found["estimator"] == "RNNClassifier"
    assert "RNNClassifier of lightrnn" in runtime.get_modelmeta().description
    found = importlib.import_module("onnx").load(path)
    assert found.producer_version == __version__
    assert all(value.doc_string for value in (*found.graph.input, *found.graph.output))
    runtime = session(RNNClassifier(**SMALL).fit(X, [b"x", b"y"] * 2), path)
    assert json.loads(runtime.get_modelmeta().custom_metadata_map["classes"]) == ["x", "y"]
    runtime = session(RNNRegressor(**SMALL).fit(X, np.arange(4.0)), path)
    assert [(value.name, value.shape) for value in runtime.get_outputs()] == [
        ("predictions", ["batch"]),
        ("next_state", ["batch", 4]),
    ]


def test_what_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    est = RNNClassifier(**SMALL).fit(X, [0, 1, 0, 1])
    with pytest.raises(ValueError, match="not fitted yet"):
        to_onnx(RNNClassifier(), path)
    with pytest.raises(
        TypeError, match=r"estimator must be an RNNClassifier, .* RNNLanguageModel, got None"
    ):
        to_onnx(None, path)
    with monkeypatch.context() as patch:
        patch.setattr(onnx_module, "_MOST_BYTES", 100)
        with pytest.raises(
            ValueError, match=r"estimator must have weights of less than 2 GiB.*Use save"
        ):
            to_onnx(est, path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"onnx must be installed .* pip install onnx"):
        to_onnx(est, path)
    assert not list(tmp_path.iterdir())

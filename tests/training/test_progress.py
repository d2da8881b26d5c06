"""What verbose=1 shows."""

import sys

import numpy as np
import pytest

from lightrnn import RNNRegressor


def sums(n=40, F=2, seed=0):
    """Sequences of numbers and the sum of their first feature."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(length, F)) for length in rng.integers(2, 7, n)]
    return X, np.array([x[:, 0].sum() for x in X])


QUICK = {"cell": "rnn", "hidden_layer_sizes": (4,), "random_state": 0}


def test_plain_lines_where_tqdm_is_missing(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    X, y = sums()
    RNNRegressor(**QUICK, max_iter=3, learning_rate="cosine", verbose=1, early_stopping=True).fit(
        X, y
    )
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for number, line in enumerate(lines, 1):
        assert line.startswith(f"epoch {number}/3  loss ")
        assert all(word in line for word in ("gradient", "score", "sequences/s", "left"))


def test_a_bar_where_tqdm_is_there(capsys):
    pytest.importorskip("tqdm", reason="shows a tqdm bar")
    X, y = sums()
    RNNRegressor(**QUICK, max_iter=3, learning_rate="cosine", verbose=1).fit(X, y)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "3/3" in shown.err and "loss" in shown.err and "sequences/s" in shown.err


def test_silence_by_default(capsys):
    X, y = sums()
    RNNRegressor(**QUICK, max_iter=3, learning_rate="cosine").fit(X, y)
    shown = capsys.readouterr()
    assert shown.out == shown.err == ""

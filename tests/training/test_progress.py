"""The display of verbose=1."""

import io
import sys

import pytest
from helpers.training import QUICK, sums

from lightrnn import RNNRegressor


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


class Tee:
    """A stream without `isatty`, as notebooks and loggers put in place of stdout."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("verbose", [0, 1])
@pytest.mark.parametrize("stream", [lambda: None, closed, Tee], ids=["none", "closed", "tee"])
@pytest.mark.parametrize("bar", [True, False])
def test_training_survives_any_stream(monkeypatch, verbose, stream, bar):
    if not bar:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    X, y = sums()
    model = RNNRegressor(**QUICK, max_iter=3, learning_rate="cosine", verbose=verbose)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream())
        patch.setattr(sys, "stderr", stream())
        model.fit(X, y)
    assert model.n_iter_ == 3

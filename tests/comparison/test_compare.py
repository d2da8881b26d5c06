"""The comparison of all cells on one's own data, and its two baselines."""

import numpy as np
import pytest

from lightrnn import __main__ as command
from lightrnn.comparison import compare

SMALL = {"hidden_layer_sizes": (3,), "max_iter": 1, "folds": 2}


def sequences(n=12, F=2):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(T, F)) for T in rng.integers(3, 9, n)]


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["lightrnn", "compare", *map(str, arguments)])
    status = command.main()
    return status, *capsys.readouterr()


def test_every_cell_and_two_baselines_are_scored_on_every_fold():
    X = sequences()
    found = compare(X, np.arange(12) % 3, **SMALL, windows=(2, 5))
    assert [r.name for r in found.results] == [
        *("majority", "summary + linear", "ffnn, window 2", "ffnn, window 5", "rnn", "gru", "lstm")
    ]
    assert all(r.scores.shape == (2,) and r.n_parameters > 0 for r in found.results)
    assert [r.horizon for r in found.results[2:4]] == [2, 5] and np.isnan(found.results[0].horizon)
    assert found.score == "accuracy" and "memory horizon" in str(found)


def test_baselines_predict_what_they_should():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 7, 1))
    last, linear = compare(X, X[:, -1, 0].astype(np.float64), **SMALL).results[:2]
    assert last.name == "last value" and last.scores == pytest.approx([1, 1], abs=1e-6)
    assert (linear.scores > 0.99).all()
    mean = compare(np.repeat(X, 2, axis=2), rng.normal(size=40), **SMALL).results[0]
    assert mean.name == "mean" and (mean.scores <= 0).all()
    majority, linear = compare(
        X, np.where(X.mean(axis=(1, 2)) > -0.3, "up", "down"), **SMALL
    ).results[:2]
    assert 0.6 < majority.scores.mean() < 0.95 and linear.scores.mean() > majority.scores.mean()


def test_folds_are_stratified_and_drawn_by_the_seed():
    X, y = sequences(40), np.repeat(["a", "b"], [30, 10])
    first, again, other = (compare(X, y, **SMALL, random_state=seed) for seed in (0, 0, 1))
    assert first.results[0].scores == pytest.approx([0.75, 0.75])
    scores = [np.array([r.scores for r in found.results]) for found in (first, again, other)]
    assert np.array_equal(scores[0], scores[1]) and not np.array_equal(scores[0], scores[2])


def test_on_the_command_line(tmp_path, monkeypatch, capsys):
    X, path = sequences(), tmp_path / "data.npz"
    options = ("--units", 3, "--epochs", 1, "--folds", 2)
    np.savez(path, X=np.concatenate(X), y=np.arange(12) % 2, lengths=[len(x) for x in X])
    status, out, err = run(monkeypatch, capsys, path, *options)
    assert (
        status == 0
        and out.splitlines()[0].split()
        == "net accuracy parameters seconds per fit memory horizon".split()
    )
    assert len(out.splitlines()) == 9 and "lstm: fold 2 of 2" in err
    np.savez(path, X=np.random.default_rng(0).normal(size=(12, 5)), y=np.linspace(0, 1, 12))
    status, out, _ = run(monkeypatch, capsys, path, *options, "--windows", 2)
    assert status == 0 and "R^2" in out and "last value" in out and "ffnn, window 2" in out


def test_faults_of_the_data_are_reported(tmp_path, monkeypatch, capsys):
    path = tmp_path / "data.npz"
    for arrays, message in (
        ({"X": np.zeros((5, 3))}, "data must hold X and y, got ['X']"),
        (
            {"X": np.zeros((5, 3)), "y": np.zeros(5), "lengths": [2, 2]},
            "lengths must be positive integers that sum up",
        ),
        (
            {"X": np.zeros((5, 3)), "y": np.zeros(4)},
            "y must be one value for each of the 5 sequences",
        ),
        ({"X": np.zeros((3, 3)), "y": np.zeros(3)}, "X must have at least 4 sequences"),
    ):
        np.savez(path, **arrays)
        status, out, err = run(monkeypatch, capsys, path)
        assert status == 1 and not out and message in err
    assert run(monkeypatch, capsys, tmp_path / "none.npz")[0] == 1
    for content in (b"", b"PK\x03\x04 and no more", b"text"):
        path.write_bytes(content)
        assert "data must be an .npz file" in run(monkeypatch, capsys, path)[2]
    np.save(tmp_path / "one.npy", np.zeros(3))
    assert "got one array" in run(monkeypatch, capsys, tmp_path / "one.npy")[2]

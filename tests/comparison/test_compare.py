"""The comparison of all cells on one's own data, and its two baselines."""

import io
import re

import numpy as np
import pytest

from bench import fuzz_npz
from lightrnn import RNNClassifier
from lightrnn import __main__ as command
from lightrnn.comparison import Comparison, Result, compare
from lightrnn.cpu import compiling

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


def test_an_interruption_ends_all_folds(monkeypatch):
    def fit(model, X, y):
        model.stop_reason_ = "interrupted"

    monkeypatch.setattr("lightrnn.RNNClassifier.fit", fit)
    with pytest.raises(KeyboardInterrupt):
        compare(sequences(), np.arange(12) % 3, **SMALL)


def test_windows_are_checked_and_what_has_no_horizon_has_none():
    X = sequences()
    y = np.zeros(12)  # which no state changes
    found = compare(X, y, **SMALL, windows=np.array([2]))
    assert [r.name for r in found.results[2:]] == ["ffnn, window 2", "rnn", "gru", "lstm"]
    assert np.isnan([r.horizon for r in found.results]).all()
    with pytest.raises(ValueError, match=r"windows\[1\] must be an integer of at least 1, got 0"):
        compare(X, y, windows=(2, 0))


@pytest.mark.parametrize(("horizon", "ending"), [(40.0, "40"), (np.inf, "sequence reaches.")])
def test_the_key_explains_what_is_in_the_table_and_nothing_else(horizon, ending):
    text = str(Comparison((Result("lstm", np.ones(2), 9, 1.5, horizon),), "accuracy"))
    assert text.endswith(ending) and "linear" not in text


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


def test_seconds_leave_out_compiling(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("lightrnn.cpu.compiling.perf_counter", lambda: now[0])
    fit = RNNClassifier.fit

    def compiled_first(model, *arguments):
        compiling.STOPWATCH.start()
        now[0] += 42.0
        compiling.STOPWATCH.stop()
        now[0] += 0.5
        return fit(model, *arguments)

    monkeypatch.setattr(RNNClassifier, "fit", compiled_first)
    found = compare(sequences(), np.arange(12) % 3, **SMALL, windows=(2,))
    assert [r.seconds for r in found.results] == [0, 0, 0.5, 0.5, 0.5, 0.5]


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
    names = [line.partition("  ")[0] for line in out.splitlines()]
    assert names[2] == "summary + linear" and names[8] == "lstm" and "lstm: fold 2 of 2" in err
    assert names[9] == (
        "summary + linear: a linear model on each feature's mean, deviation, range and ends."
    )
    np.savez(path, X=np.random.default_rng(0).normal(size=(12, 5)), y=np.linspace(0, 1, 12))
    # Where the page cannot be written, the table is not lost.
    status, out, err = run(monkeypatch, capsys, path, *options, "--windows", 2, "--html", tmp_path)
    assert status == 1 and "Is a directory" in err
    assert "R^2" in out and "last value" in out and "ffnn, window 2" in out


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
    status, out, err = run(monkeypatch, capsys, "/dev/zero")
    assert status == 1 and "path must be a regular file" in err


def written(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def with_method(data, place, value):
    """Return an archive with another byte in each member's entry, in both places."""
    changed = bytearray(data)
    for start, offset in ((b"PK\x01\x02", place), (b"PK\x03\x04", place - 2)):
        at = changed.find(start)
        while at >= 0:
            changed[at + offset] = value
            at = changed.find(start, at + 4)
    return bytes(changed)


WHOLE = written(X=np.zeros((8, 3)), y=np.arange(8) % 2)
MEMBERS = fuzz_npz.members_of(WHOLE)
DAMAGED = {
    "cut": WHOLE[:-30],
    "overwritten": WHOLE[:60] + bytes(20) + WHOLE[80:],
    "encrypted": with_method(WHOLE, 8, 1),
    "bzip2": with_method(WHOLE, 10, 12),
    "lzma": with_method(WHOLE, 10, 14),
    "unknown method": with_method(WHOLE, 10, 99),
    "no array": fuzz_npz.sealed(MEMBERS | {"X.npy": b"text"}),
    "empty": fuzz_npz.sealed(MEMBERS | {"y.npy": b""}),
} | {
    shape: fuzz_npz.sealed(MEMBERS | {"X.npy": fuzz_npz.npy(kind, shape, bytes(8))})
    for kind, shape in (
        ("<f8", "(10000000000000,)"),
        ("<f8", "(99999999999999999999999,)"),
        ("<f8", "(-1,)"),
        ("<f8", f"({'1, ' * 99})"),
        ("<f8", f"({'1, ' * 9999})"),
        ("<f8", "(" * 300 + ")" * 300),
        ("<f8", "'text'"),
        ("unheard of", "()"),
        (None, "(1,)"),
    )
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=[name[:20] for name in DAMAGED])
def test_a_damaged_file_is_reported_in_one_line(content, tmp_path, monkeypatch, capsys):
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    status, out, err = run(monkeypatch, capsys, path)
    assert status == 1 and not out and err.count("\n") == 1 and len(err) < 300
    assert err.startswith("python -m lightrnn compare: data must be an")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"lengths": np.zeros(0, int)}, "lengths must be positive integers that sum up to X's 8"),
        ({"lengths": np.array([2**62] * 4 + [8])}, "lengths must be positive integers that"),
        ({"lengths": np.int64(8)}, "lengths must be positive integers that"),
        ({"lengths": np.array(["8"])}, "lengths must be positive integers that"),
        ({"X": np.float64(3)}, "X must be a list of sequences or an array"),
        ({"X": np.float64(3), "lengths": np.array([1])}, "X must be a list of sequences or an arr"),
        ({"X": np.zeros((8, 0, 2))}, "X must have steps and features"),
        ({"X": np.zeros(8, "V8")}, "X must be"),
        ({"X": np.zeros((8, 2), "M8[s]")}, "X must hold numbers"),
        ({"y": np.float64(3)}, "y must be an array or list"),
        ({"y": np.zeros(8, "M8[s]")}, "y must be integers or text"),
    ],
    ids=str,
)
def test_arrays_of_another_kind_are_reported(arrays, message, tmp_path, monkeypatch, capsys):
    path = tmp_path / "data.npz"
    path.write_bytes(written(**{"X": np.zeros((8, 3)), "y": np.arange(8) % 2} | arrays))
    status, out, err = run(monkeypatch, capsys, path)
    assert status == 1 and not out and err.count("\n") == 1
    assert message in err


@pytest.mark.parametrize("name", ["script.py", "table.csv", "one.npy"])
def test_another_file_is_refused_by_its_name(name, tmp_path, monkeypatch, capsys):
    path = tmp_path / name
    path.write_text("import numpy as np\n")
    if name == "one.npy":
        np.save(path, np.zeros(3))
    status, out, err = run(monkeypatch, capsys, path)
    assert status == 1 and not out and "pickle" not in err
    assert f"data must be an .npz file, got {str(path)!r}. Write one with np.savez" in err


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("X", "np.savez(path, X=np.concatenate(X), y=y, lengths=[len(x) for x in X])"),
        ("y", "y=y.astype(str) for classes, y=y.astype(float) for numbers"),
        ("lengths", "lengths=[len(x) for x in X]"),
    ],
)
def test_objects_in_a_file_are_refused_with_the_line_that_helps(
    name, remedy, tmp_path, monkeypatch, capsys
):
    arrays = {"X": np.zeros((8, 3)), "y": np.arange(8) % 2, "lengths": np.ones(8, int)}
    arrays[name] = arrays[name].astype(object)
    np.savez(tmp_path / "data.npz", **arrays)
    status, out, err = run(monkeypatch, capsys, tmp_path / "data.npz")
    assert status == 1 and not out and "pickle" not in err
    assert f"{name} must be an array of numbers or text, got one of objects" in err
    assert remedy in err


def objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def test_object_arrays_are_read_by_their_items():
    X = objects(sequences())
    numbers = np.linspace(0, 1, 12)
    assert compare(X, numbers.astype(object), **SMALL).score == "R^2"
    text = compare(X, objects(list("abcabcabcabc")), **SMALL)
    assert text.score == "accuracy" and text.results[0].name == "majority"


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (objects(["a"] * 6 + [1] * 6), "all text or all numbers"),
        (objects(["a"] * 6 + [None] * 6), "y must have no missing labels, got None in row 6"),
        (np.zeros(12, int), "at least two classes"),
        (["a"] * 11 + ["b"], "y must hold each of two classes at least twice, got 'b' once"),
        ([np.zeros(3)] * 11 + [np.zeros(4)], "Give an (n,) array of class labels or of floats."),
    ],
    ids=["mixed", "missing", "one class", "one of a class", "steps"],
)
def test_a_y_that_no_estimator_would_take_is_refused_before_the_first_fit(y, message):
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        compare(sequences(), y, **SMALL, progress=pytest.fail)


def test_counts_are_not_taken_for_classes():
    counts = np.random.default_rng(0).poisson(20, 12)
    with pytest.raises(ValueError, match=r"different integers in 12 sequences.*y.astype\(float\)"):
        compare(sequences(), counts, **SMALL)
    assert compare(sequences(), counts.astype(float), **SMALL).score == "R^2"
    assert compare(sequences(), counts.astype(str), **SMALL).score == "accuracy"

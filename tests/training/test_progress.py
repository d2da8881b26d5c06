"""The display of verbose=1."""

import io
import sys
import threading

import pytest
from helpers.training import QUICK, sums

from lightrnn import RNNRegressor
from lightrnn.cpu import cache, compiling
from lightrnn.nn.network import Network
from lightrnn.training import STOP, Epoch
from lightrnn.training.progress import Progress


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


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self):
        return True


def shown(model, monkeypatch, stream):
    """Fit with verbose=1; return what is written to stderr."""
    X, y = sums()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream())
        model.set_params(verbose=1).fit(X, y)
        return sys.stderr.getvalue()


def test_a_bar_where_tqdm_is_there(monkeypatch, capsys):
    pytest.importorskip("tqdm", reason="shows a tqdm bar")
    written = shown(
        RNNRegressor(**QUICK, max_iter=3, learning_rate="cosine"), monkeypatch, Terminal
    )
    assert capsys.readouterr().out == ""
    last = written.rstrip().rpartition("\r")[2]
    assert last.startswith("100%|") and "3/3 epochs, loss " in last
    assert "gradient norm" in last and "sequences/s" in last


def test_a_log_gets_lines_instead_of_a_bar(monkeypatch, capsys):
    pytest.importorskip("tqdm", reason="tqdm's bars would write to the log")
    model = RNNRegressor(**QUICK, max_iter=3, learning_rate="cosine", early_stopping=True)
    lines = shown(model, monkeypatch, io.StringIO).splitlines()
    assert capsys.readouterr().out == ""
    lines = [line for line in lines if not line.startswith("compiling")]
    assert len(lines) == 3 and not any("\r" in line for line in lines)
    for number, line in enumerate(lines, 1):
        assert line.startswith(f"epoch {number}/3  loss ")
        assert all(f"  {word} " in line for word in ("gradient norm", "validation score"))


@pytest.mark.parametrize("epochs", [1, 99, 250, 1000])
def test_a_log_has_at_most_a_hundred_lines_and_the_last_epoch(monkeypatch, capsys, epochs):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    progress = Progress(1, epochs, 10)
    for number in range(1, epochs + 1):
        progress.update(Epoch(number, 0.5, None, 1.0, 0.1, 1.0))
    progress.close()
    lines = capsys.readouterr().out.splitlines()
    assert min(epochs, 50) <= len(lines) <= 102
    assert lines[-1].startswith(f"epoch {epochs}/{epochs} ")


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
@pytest.mark.parametrize("bar", [True, False])
def test_a_fit_that_ends_early_leaves_no_time_left(monkeypatch, capsys, stream, bar):
    if bar:
        pytest.importorskip("tqdm", reason="shows a tqdm bar")
    else:
        monkeypatch.setitem(sys.modules, "tqdm", None)
        monkeypatch.setattr(sys, "stdout", stream())
    model = RNNRegressor(
        **QUICK, max_iter=50, callbacks=lambda epoch: STOP if epoch.epoch == 4 else None
    )
    written = shown(model, monkeypatch, stream)
    if not bar:
        written = sys.stdout.getvalue()
    *_, before, last = written.rstrip().rpartition("\r")[2].splitlines()
    assert last == "4 epochs in 0:00:00, ended by callback; the weights are those of epoch 4"
    if bar and stream is Terminal:
        assert "4/50 epochs" in before and " left" not in before and before.endswith("in 0:00:00")


class Cell(io.StringIO):
    """A stream as the kernel of a notebook puts it in place of stderr."""

    __module__ = "ipykernel.iostream"


@pytest.mark.parametrize("kind", [Terminal, Cell, io.StringIO])
def test_without_verbose_compiling_is_said_to_whoever_looks_on(monkeypatch, kind):
    stream = kind()
    terminal = kind is not io.StringIO
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("lightrnn.training.progress._PATIENCE", 0.01)
    said = threading.Event()
    monkeypatch.setattr(stream, "flush", said.set)
    progress = Progress(0, 8, 10, cell="lstm")
    monkeypatch.setattr(compiling, "seconds", lambda: 1e9)
    assert said.wait(20 if terminal else 0.05) == terminal
    progress.close()
    assert stream.getvalue() == "compiling lstm, once on this machine\n" * terminal


@pytest.mark.parametrize("kept", [True, False])
def test_of_fits_at_once_one_says_that_kernels_are_compiled(monkeypatch, tmp_path, kept):
    """Be it for all times or, where no directory can keep them, for this process."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("lightrnn.training.progress._PATIENCE", 0.01)
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path))
    if not kept:
        monkeypatch.setattr(cache, "directories", lambda make=False: iter(()))
    taken = threading.Semaphore(0)
    take = cache.Claim.take
    monkeypatch.setattr(cache.Claim, "take", lambda claim: (take(claim), taken.release())[0])
    now = [0.0]
    monkeypatch.setattr(compiling, "seconds", lambda: now[0])
    fits = [Progress(0, 8, 10, cell="lstm") for _ in range(2 if kept else 1)]
    now[0] = 1e9
    assert all(taken.acquire(timeout=20) for _ in fits)
    for fit in fits:
        fit.close()
        fit._watch.join()
    assert stream.getvalue().count("compiling lstm") == 1
    assert ("once on this machine" in stream.getvalue()) == kept
    assert ("lightrnn info" in stream.getvalue()) != kept
    assert not list(tmp_path.rglob("*.lock"))


def test_compiling_is_said_once_and_no_clock_counts_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    now = [100.0]
    monkeypatch.setattr("lightrnn.cpu.compiling.perf_counter", lambda: now[0])
    monkeypatch.setattr("lightrnn.training.progress._PATIENCE", 0.01)
    said = threading.Event()
    monkeypatch.setattr(sys.stderr, "flush", said.set)
    stopwatch = compiling.STOPWATCH
    progress = Progress(1, 8, 10, cell="lstm")
    stopwatch.start()
    now[0] += 42.0
    assert said.wait(20)
    stopwatch.stop()
    now[0] += 2.0
    progress.update(Epoch(1, 0.5, None, 1.0, 0.1, 2.0))
    progress.close()
    written = capsys.readouterr()
    assert written.err == "compiling lstm, once on this machine\n"
    assert written.out.splitlines() == [
        "epoch 1/8  loss 0.5  gradient norm 1  5 sequences/s  0:00:14 left"
    ]


def test_the_seconds_of_an_epoch_leave_out_compiling(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("lightrnn.cpu.compiling.perf_counter", lambda: now[0])
    loss_and_gradient = Network.loss_and_gradient

    def compiled_at_first(network, *arguments):
        compiling.STOPWATCH.start()
        now[0] += 42.0
        compiling.STOPWATCH.stop()
        now[0] += 0.5
        return loss_and_gradient(network, *arguments)

    monkeypatch.setattr(Network, "loss_and_gradient", compiled_at_first)
    epochs = []
    X, y = sums(8)
    model = RNNRegressor(**QUICK, max_iter=2, learning_rate="cosine", callbacks=epochs.append)
    model.fit(X, y)
    assert [epoch.seconds for epoch in epochs] == [0.5, 0.5]


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


class Binary(Tee):
    """A log file that was opened for bytes."""

    def write(self, text):
        raise TypeError("a bytes-like object is required, not 'str'")


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("verbose", [0, 1])
@pytest.mark.parametrize("stream", [lambda: None, closed, Tee, Binary])
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
        shown = getattr(sys.stderr if bar else sys.stdout, "text", "")
    assert model.n_iter_ == 3
    assert shown.count("\n") == (3 if verbose and stream is Tee else 0)
    assert "\r" not in shown


def test_a_notebook_gets_a_bar_although_its_streams_are_no_terminals(monkeypatch):
    auto = pytest.importorskip("tqdm.auto")
    bars = []

    class Notebook(auto.std_tqdm):
        def __init__(self, **arguments):
            super().__init__(**arguments, file=io.StringIO())
            bars.append(self)

    monkeypatch.setattr(auto, "notebook_tqdm", Notebook)
    monkeypatch.setattr(auto, "tqdm", Notebook)
    X, y = sums()
    RNNRegressor(**QUICK, max_iter=3, learning_rate="cosine", verbose=1).fit(X, y)
    assert bars[0].n == 3

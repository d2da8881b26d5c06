"""The command line: help, info and warmup."""

import io
import os
import subprocess
import sys

import pytest

from lightrnn import __main__ as command
from lightrnn.cli import info, selfcheck, warmup
from lightrnn.cpu import cache
from lightrnn.nn.network import Network


def ran(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["lightrnn", *arguments])
    return command.main()


def test_without_a_command_help_is_printed(monkeypatch, capsys):
    assert ran(monkeypatch) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in command._COMMANDS)


def test_what_the_terminal_cannot_encode_ends_no_command(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(info, "run", lambda arguments: print("0.9 ± 0.1") or 0)
    assert ran(monkeypatch, "info") == 0
    stream.flush()
    assert stream.buffer.getvalue().split() == [b"0.9", b"?", b"0.1"]


def test_info_prints_versions_processor_and_cache_and_checks_nothing(monkeypatch, capsys):
    def check(seconds):
        raise AssertionError("the check of gradients was not asked for")

    monkeypatch.setattr(selfcheck, "check", check)
    assert ran(monkeypatch, "info") == 0
    printed = capsys.readouterr().out
    for word in (
        "lightrnn",
        "numba",
        "registers of",
        "threads",
        "CUDA",
        str(next(cache.directories())),
    ):
        assert word in printed


def test_info_checks_gradients_if_it_shall(monkeypatch, capsys):
    assert ran(monkeypatch, "info", "--check", "0") == 0
    printed = capsys.readouterr().out
    assert "all is well" in printed
    assert all(f"\n  {cell}" in printed for cell in ("ffnn", "rnn", "gru", "lstm"))


def test_info_names_a_directory_that_it_does_not_trust(tmp_path, monkeypatch):
    monkeypatch.setattr(cache.numba.config, "CACHE_DIR", str(tmp_path))
    next(cache.directories(make=True)).chmod(0o777)
    assert next(info._cache())[1].endswith(": not used, others can write there")


def test_info_says_which_directories_can_be_written_to(tmp_path):
    assert info._is_writable(tmp_path / "new" / "directory")
    (tmp_path / "file").touch()
    assert not info._is_writable(tmp_path / "file" / "directory")


def test_the_size_of_the_cache_is_printed(tmp_path, monkeypatch):
    monkeypatch.setattr(cache.numba.config, "CACHE_DIR", str(tmp_path))
    assert next(info._cache())[1].endswith(": empty")
    cache.write("kernel.code", b"x" * 2_000_000)
    assert next(info._cache())[1] == f"{next(cache.directories())}: 1 kernels, 2.0 MB"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_wrong_gradient_is_found(dtype, monkeypatch, capsys):
    right = Network.loss_and_gradient

    def wrong(network, *arguments):
        value = right(network, *arguments)
        if network.cell == "gru" and network.dtype == dtype:
            network.gradient[:] *= 1.001
        return value

    monkeypatch.setattr(Network, "loss_and_gradient", wrong)
    assert ran(monkeypatch, "info", "--check", "0") == 1
    printed = capsys.readouterr().out
    assert "SOMETHING IS WRONG" in printed and printed.count("WRONG\n") == 1


def test_the_check_takes_the_time_it_is_given(monkeypatch):
    monkeypatch.setattr(selfcheck, "_errors", lambda cell, seed: (0.0, 0.0))
    assert [result.rounds for result in selfcheck.check(0)] == [selfcheck._KINDS] * 4
    assert [result.rounds for result in selfcheck.check(60)] == [selfcheck._ROUNDS] * 4
    assert not selfcheck.Check("rnn", float("nan"), 0.0, 1).passed


def test_names_are_checked(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        ran(monkeypatch, "warmup", "--cells", "lstm,elman")
    assert (
        "cells must be one of 'ffnn', 'rnn', 'gru', 'lstm', got 'elman'" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (RuntimeError("Unset it."), 1, "python -m lightrnn warmup: Unset it.\n"),
        (MemoryError(), 1, "python -m lightrnn warmup: MemoryError\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_ends_a_command_is_said_in_one_line(monkeypatch, capsys, error, status, said):
    def run(arguments):
        raise error

    monkeypatch.setattr(warmup, "run", run)
    assert ran(monkeypatch, "warmup") == status
    assert capsys.readouterr().err == said


MATRIX = """
import itertools, warnings
import numpy as np
from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor
from lightrnn.cli import warmup
from lightrnn.cpu import kernels
from lightrnn.cpu.cache import KernelCache
from lightrnn.inspection import gradient_flow, memory_horizon

warnings.simplefilter("ignore")
CELLS = ("ffnn", "rnn")
done = list(warmup.warm_up(CELLS, ("float32",)))
assert sum(use.compiled + use.found for use in done) == len(KernelCache.log) > 25
for kernel, types in kernels.signatures(CELLS, "float32"):
    kernel.disable_compile()  # which loading from the disk counts as, too
rng = np.random.default_rng(0)
few = [rng.normal(size=(T, 3)) for T in (3, 1, 5, 2, 9)]
many = [rng.normal(size=(T, 3)) for T in rng.integers(1, 60, 270)]
texts = ["to be or not", "be to", "be", "or not to be be be", "to be"]
solvers = itertools.cycle(("adam", "sgd", "rmsprop", "lbfgs"))
both = (False, True)
choices = itertools.product(CELLS, ("sequence", "step"), both, ((3,), (2, 20)), (0, 0.3), (None, 2))
for cell, target, bidirectional, sizes, dropout, truncate in choices:
    if bidirectional and truncate or cell == "ffnn" and (bidirectional or truncate):
        continue
    arguments = {"target": target, "bidirectional": bidirectional}
    arguments |= {"truncate": truncate, "window": 3}
    arguments |= {"max_iter": 1, "random_state": 0, "n_jobs": 2}
    solver = next(solvers)
    if solver != "lbfgs":
        arguments["dropout"] = dropout
    elif truncate:
        solver = "adam"
    step = target == "step"
    y = [x[:, 0] for x in few] if step else [1, 2, 3, 4, 5]
    model = RNNRegressor(cell, sizes, loss="huber", solver=solver, **arguments).fit(few, y)
    model.predict(few), model.transform(few[:1])
    if not bidirectional:
        model.stream().step(few[0][0]), model.stream(2).step(few[0][:2])
        if cell == "rnn":
            gradient_flow(model, few), memory_horizon(model, few)
    labels = [(x[:, :2] > 0).astype(int) for x in few] if step else list("ababa")
    model = RNNClassifier(cell, sizes, **arguments)
    model.fit(few, labels, X_val=few, y_val=labels).predict(few)
    model.partial_fit(few, labels)
    for items in (texts, [text * 30 for text in texts]):
        labels = [[t % 2 for t in range(len(item))] for item in items] if step else list("ababa")
        model = RNNClassifier(cell, sizes, **arguments).fit(items, labels)
        model.transform(items), model.predict_proba(items)
# Batches that are cut into shards, and one long sequence in pieces
for cell, target, bidirectional in itertools.product(CELLS, ("sequence", "step"), both):
    if cell == "ffnn" and bidirectional:
        continue
    arguments = {"target": target, "bidirectional": bidirectional, "batch_size": 256, "window": 9}
    arguments |= {"max_iter": 1, "n_jobs": 2}
    y = [(x[:, 0] > 0).astype(int) for x in many]
    if target == "sequence":
        y = [steps[-1] for steps in y]
    model = RNNClassifier(cell, (64,), dropout=0.1, **arguments).fit(many, y)
    model.predict(many), model.predict([np.concatenate(many)])
    RNNRegressor(cell, (64,), **arguments).fit(many, y)
for cell, (sizes, output) in itertools.product(CELLS, (((4,), "auto"), ((3, 4), "adaptive"))):
    arguments = {"truncate": 4} if cell == "rnn" else {"window": 3}
    arguments |= {"embedding_size": 4, "max_iter": 1, "dropout": 0.1}
    for tied in (False, output == "auto"):
        model = RNNLanguageModel(cell, sizes, output=output, tie_weights=tied, **arguments)
        model.fit(texts * 20)
        model.score(texts), model.generate("to", 4, top_k=2), model.predict_proba(texts)
        model.predict_next("to")
for activation in ("relu", "tanh", "sigmoid", "gelu"):
    head = {"head_layer_sizes": (3, 20), "head_activation": activation, "max_iter": 1}
    model = RNNRegressor("rnn", (3,), **head).fit(few, [1, 2, 3, 4, 5])
    model.predict(few), model.stream().step(few[0][0])
print("nothing was compiled")
"""


def test_after_warmup_no_fit_or_prediction_compiles_anything():
    """Nor does it load a kernel: all that networks of a cell use keep to what they declare."""
    done = subprocess.run(
        [sys.executable, "-c", MATRIX],
        env=os.environ | {"PYTHONPATH": str(cache._PACKAGE.parent)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "nothing was compiled\n", done.stdout + done.stderr


def test_warmup_prints_the_directory_and_fails_without_one(monkeypatch, capsys, tmp_path):
    place = tmp_path / "place"
    entries = [cache.Entry("cpu.gather.add", "types", True, place)]
    monkeypatch.setattr(cache.KernelCache, "log", entries)
    monkeypatch.setattr(
        warmup, "warm_up", lambda cells, dtypes: iter([warmup.Use("rnn", 1, 0, 2.0)])
    )
    assert ran(monkeypatch, "warmup") == 0
    assert f"kept in {place}" in capsys.readouterr().out
    entries.append(cache.Entry("cpu.gather.scale", "types", True, None))
    assert ran(monkeypatch, "warmup") == 1
    assert "Set NUMBA_CACHE_DIR" in capsys.readouterr().err

"""The command line: help, info and warmup."""

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


def test_info_prints_versions_processor_and_cache_and_checks_gradients(monkeypatch, capsys):
    assert ran(monkeypatch, "info", "--seconds", "0") == 0
    printed = capsys.readouterr().out
    for word in (
        "lightrnn",
        "numba",
        "registers of",
        "threads",
        "CUDA",
        str(next(cache.directories())),
        "all is well",
    ):
        assert word in printed
    assert all(f"\n  {cell}" in printed for cell in ("ffnn", "rnn", "gru", "lstm"))


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
    assert ran(monkeypatch, "info", "--seconds", "0") == 1
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


EVERYTHING = """
import itertools, sys, warnings
import numpy as np
from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor
from lightrnn.cli import warmup
from lightrnn.cpu.cache import KernelCache

warnings.simplefilter("ignore")
done = list(warmup.warm_up(("rnn",), ("float32",)))
assert len(done) == 11
assert sum(use.compiled + use.found for use in done) == len(KernelCache.log) > 15
KernelCache.log.clear()
X = [np.random.default_rng(0).normal(size=(T, 3)) for T in (3, 1, 5, 2, 9)]
texts = ["to be or not", "be to", "be", "or not to be be be", "to be"]
both = (False, True)
choices = itertools.product(("sequence", "step"), both, ((3,), (2, 20)), (0, 0.3), (None, 2))
for target, bidirectional, sizes, dropout, truncate in choices:
    if bidirectional and truncate:
        continue
    arguments = {"target": target, "bidirectional": bidirectional}
    arguments |= {"dropout": dropout, "truncate": truncate}
    arguments |= {"max_iter": 1, "random_state": 0, "n_jobs": 2}
    step = target == "step"
    y = [x[:, 0] for x in X] if step else [1, 2, 3, 4, 5]
    RNNRegressor("rnn", sizes, **arguments).fit(X, y).predict(X)
    labels = [(x[:, :2] > 0).astype(int) for x in X] if step else list("ababa")
    RNNClassifier("rnn", sizes, solver="sgd", **arguments).fit(X, labels).predict(X)
    for items in (texts, [text * 30 for text in texts]):
        labels = [[t % 2 for t in range(len(item))] for item in items] if step else list("ababa")
        model = RNNClassifier("rnn", sizes, solver="rmsprop", **arguments)
        model.fit(items, labels).transform(items)
arguments = {"embedding_size": 4, "max_iter": 1, "truncate": 4}
for sizes, output in (((4,), "auto"), ((3, 4), "adaptive")):
    model = RNNLanguageModel("rnn", sizes, output=output, **arguments).fit(texts * 20)
    model.score(texts), model.generate("to", 4, top_k=2), model.predict_proba(texts)
print([(entry.kernel, entry.types) for entry in KernelCache.log])
"""


def test_after_warmup_nothing_is_compiled():
    """Nor loaded: all kernels that any estimator of the cell uses are there."""
    done = subprocess.run(
        [sys.executable, "-c", EVERYTHING],
        env=os.environ | {"PYTHONPATH": str(cache._PACKAGE.parent)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "[]\n", done.stdout + done.stderr


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

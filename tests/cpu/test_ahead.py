"""A second process compiles for the first, or nothing is lost."""

import os
import sys
from types import SimpleNamespace

import pytest
from numba import config

from lightrnn.cells import HIDDEN_CELLS
from lightrnn.cpu import ahead, cache, jit, kernels, threads, updates
from lightrnn.updates import UPDATES

GIVEN = {"cell": "lstm", "dtype": "float32", "solver": "adam"}
KERNEL = updates.squared_norm
TYPES = jit.signature(KERNEL, "float64")


@pytest.fixture
def helper(tmp_path, monkeypatch):
    """Return a helper that compiles one small kernel, to an empty cache."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(ahead, "_share", lambda **given: iter([(KERNEL, TYPES)]))
    small = "import lightrnn.cpu.updates as u; u.squared_norm.compile({!r})"
    types = "__import__('lightrnn.cpu.jit').cpu.jit.signature(u.squared_norm, 'float64')"
    call = small.format(0).replace("0", types)
    monkeypatch.setattr(ahead, "_MAIN", ahead._MAIN.replace("compile_share(**given)", call))
    return ahead.Helper(**GIVEN)


def entry(helper):
    """Return what the helper has for the small kernel, and the name of its file."""
    codegen = KERNEL.targetctx.codegen()
    file = KERNEL._cache._name(TYPES, codegen)
    return helper.entry(KERNEL._cache.kernel, str(TYPES), file), file


def test_another_process_compiles_what_this_one_waits_for(helper):
    data, file = entry(helper)
    assert data is not None and data == cache.read(file)
    helper._thread.join()  # the process has been waited for: no zombie is left
    assert helper.entry("cpu.gather.gather", "()", "none") is None  # not its share


def test_a_process_that_fails_is_not_waited_for_for_ever(helper, monkeypatch):
    monkeypatch.setattr(ahead, "_MAIN", "raise SystemExit(1)")
    assert entry(helper)[0] is None


def test_nor_is_one_that_cannot_be_started(helper, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert entry(helper)[0] is None


def test_nothing_is_started_where_nothing_can_be_kept(helper, monkeypatch):
    monkeypatch.setattr(cache, "directories", lambda make=False: iter(()))
    monkeypatch.setattr(ahead.subprocess, "run", None)
    assert entry(helper)[0] is None and helper._thread.ident is None


def test_one_process_of_several_has_help(helper, monkeypatch):
    pytest.importorskip("fcntl", reason="there are no locks of files")
    monkeypatch.setattr(ahead, "_MAIN", "import sys; sys.stdin.read()")
    helper._start()
    other = ahead.Helper(**GIVEN)
    other._start()
    assert helper._share and not other._share
    helper._thread.join()
    late = ahead.Helper(**GIVEN)
    late._start()
    assert late._share
    late._thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_forked_process_does_not_wait_for_the_process_of_its_parent(helper, monkeypatch):
    monkeypatch.setattr(ahead, "_MAIN", "import sys; sys.stdin.read(); import time; time.sleep(1)")
    helper._start()
    child = os.fork()
    if not child:
        os._exit(helper._thread.is_alive() or entry(helper)[0] is not None)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    helper._thread.join()


def test_help_is_expected_by_several_threads_of_a_python_alone(monkeypatch):
    def expected(n_threads=2, cpus=2, executable="/usr/bin/python3.12", **attributes):
        with monkeypatch.context() as patch:
            patch.setattr(cache.KernelCache, "helper", None)
            patch.setattr(threads, "_cpus", lambda: cpus)
            patch.setattr(sys, "executable", executable)
            for name, value in attributes.items():
                patch.setattr(sys, name, value, raising=False)
            ahead.expect(**GIVEN, n_threads=n_threads)
            return cache.KernelCache.helper is not None

    assert expected() and expected(executable="C:\\Python\\pythonw.exe".replace("\\", "/"))
    assert not expected(n_threads=1)
    assert not expected(cpus=1)
    assert not expected(executable="/usr/bin/blender")
    assert not expected(executable=None)
    assert not expected(frozen=True)


@pytest.mark.parametrize("cell", HIDDEN_CELLS)
@pytest.mark.parametrize("solver", [*UPDATES, "lbfgs"])
def test_warmup_compiles_the_same_kernels(cell, solver):
    share = list(ahead._share(cell, "float32", solver))
    listed = {(id(kernel), types) for kernel, types in kernels.signatures([cell], "float32")}
    assert len(share) > 2 and all((id(kernel), types) in listed for kernel, types in share)


@pytest.mark.parametrize("kept", [True, False])
def test_what_cannot_be_kept_is_not_compiled(monkeypatch, kept):
    log = []

    def compile_for(types):
        directory = "somewhere" if kept else None
        log.append(cache.Entry("kernel", str(types), True, directory))

    kernel = SimpleNamespace(compile=compile_for)
    monkeypatch.setattr(cache.KernelCache, "log", log)
    monkeypatch.setattr(ahead, "_share", lambda **given: iter([(kernel, ()), (kernel, ())]))
    ahead.compile_share(**GIVEN)
    assert len(log) == 1 + kept

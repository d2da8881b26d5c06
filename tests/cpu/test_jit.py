"""The disk cache: keyed by the sources, read and written wherever possible, never an error."""

import multiprocessing
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from inspect import getclosurevars
from pathlib import Path
from types import FunctionType

import numpy as np
import pytest
from numba import config

from lightrnn.cells import CELLS
from lightrnn.cpu import cache, gather, host, jit, matmul, recurrence


def test_threads_that_need_a_kernel_at_once_get_the_same():
    started = threading.Barrier(2)
    made = []

    @jit.factory
    def make(name):
        made.append(name)
        time.sleep(0.05)  # long enough for the other thread to call, too
        return object()

    def call(_):
        started.wait()
        return make("kernel")

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(call, range(2))
    assert first is second and made == ["kernel"]


def fresh_digest():
    return cache.digest.__wrapped__()


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """Let the digest read a copy of the package, and return that."""
    return copied(tmp_path, monkeypatch)


def copied(tmp_path, monkeypatch=None):
    """Copy the package's sources."""
    target = tmp_path / "lightrnn"
    ignored = shutil.ignore_patterns("__pycache__", "*.npz", "*.bz2")
    shutil.copytree(cache._PACKAGE, target, ignore=ignored)
    if monkeypatch is not None:
        monkeypatch.setattr(cache, "_PACKAGE", target)
    return target


def test_the_directory_is_keyed_by_the_sources(copy):
    before = fresh_digest()
    assert before == cache.digest()
    kernels = (
        "cells.py",
        "elementwise.py",
        "losses.py",
        "updates.py",
        "cpu/simd.py",
        "cuda/recurrence/loops.py",
    )
    for name in (*kernels, "nn/network.py", "__init__.py"):
        path = copy / name
        text = path.read_text()
        path.write_text(text + "\n")
        assert (fresh_digest() != before) == (name in kernels), name
        path.write_text(text)
    assert fresh_digest() == before


def test_the_directory_is_keyed_by_the_registers_and_by_what_compiles(monkeypatch):
    before = fresh_digest()
    for module, name in (
        (host, "REGISTER_BYTES"),
        (host, "TILE_VECTORS"),
        (cache.numba, "__version__"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, 3)
            assert fresh_digest() != before


@pytest.fixture
def directories(tmp_path, monkeypatch):
    """Put every directory for machine code below tmp_path, and return them, best first."""
    roots = {name: tmp_path / name for name in ("given", "package", "home", "temporary")}
    monkeypatch.setattr(config, "CACHE_DIR", str(roots["given"]))
    monkeypatch.setattr(cache, "_PACKAGE", roots["package"])
    monkeypatch.setattr(cache, "digest", lambda: "digest")
    monkeypatch.setenv("XDG_CACHE_HOME", str(roots["home"]))
    monkeypatch.setattr(tempfile, "tempdir", str(roots["temporary"]))
    roots["temporary"].mkdir()
    below = ("", "__pycache__", "lightrnn", f"lightrnn-{os.getuid()}")
    pairs = zip(roots.values(), below, strict=True)
    return [root / name / "lightrnn-digest" for root, name in pairs]


def block(directory):
    """Put a file where a parent of the directory would be, which stops even the superuser."""
    for path in reversed(directory.parents):
        if not path.exists():
            path.write_text("")
            return
    shutil.rmtree(directory.parent)
    directory.parent.write_text("")


def test_the_first_directory_that_can_be_written_to_is_taken(directories):
    for number, directory in enumerate(directories):
        assert cache.write("name", b"code %d" % number) == directory
        assert cache.read("name") == b"code %d" % number
        assert [path.name for path in directory.iterdir()] == ["name"]
        shutil.rmtree(directory)
        block(directory)
    assert cache.write("name", b"code") is None
    assert cache.read("name") is None
    assert cache.entries() == []


def test_a_directory_that_cannot_be_written_to_is_still_read(directories, monkeypatch):
    """The machine code of an image may have been compiled by the superuser who built it."""
    given, package, home, _ = directories
    block(given)
    assert cache.write("old", b"built") == package
    replace = os.replace

    def refuse(source, target):
        if Path(target).is_relative_to(package):
            raise PermissionError
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    assert cache.write("new", b"found out") == home
    assert cache.read("old") == b"built" and cache.read("new") == b"found out"
    assert [path.name for path in package.iterdir()] == ["old"]


def test_a_directory_that_others_can_write_to_is_not_trusted(directories):
    *others, directory = directories
    for other in others:
        block(other)
    assert cache.write("name", b"code") == directory
    assert stat.S_IMODE(directory.parent.stat().st_mode) == 0o700
    directory.parent.chmod(0o777)
    assert cache.read("name") is None
    assert cache.write("name", b"code") is None
    directory.parent.chmod(0o700)
    assert cache.read("name") == b"code"


def test_without_a_home_there_is_no_directory_in_it(directories, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert list(cache.directories()) == directories[:2]


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:40] + b"x" + data[41:], lambda data: b""]
)
def test_a_damaged_entry_is_ignored(directories, damage):
    path = cache.write("name", b"machine code" * 9) / "name"
    path.write_bytes(damage(path.read_bytes()))
    assert cache.read("name") is None


def test_kernels_keep_their_code_there():
    gather.scale(np.ones((2, 2)), 0, np.ones((1, 2)), np.zeros(2, int))
    assert any(path.name.startswith("cpu.gather.scale-") for path in cache.entries())


PROGRAM = """
import numpy as np
from lightrnn.cpu import gather
target = np.ones((1, 2))
gather.scale(target, 0, np.full((1, 2), 3.0), np.zeros(1, int))
from lightrnn.cpu.cache import KernelCache
(entry,) = KernelCache.log
print(target[0, 0], entry.compiled, entry.directory)
"""


def printed(directory, program=PROGRAM, **environment):
    """Run a kernel in a new process; return its result, whether it compiled, and the directory."""
    environment = os.environ | {"PYTHONPATH": str(directory), "NUMBA_OPT": "0"} | environment
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.check_output(
        command, env=environment, cwd=directory, text=True, timeout=100
    ).split()


def test_an_edit_anywhere_is_compiled_anew_and_versions_stand_side_by_side(tmp_path):
    """Numba's own cache would keep the old code of a rule that is in another file."""
    package = copied(tmp_path)
    cached = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert printed(tmp_path, **cached)[:2] == ["3.0", "True"]
    assert printed(tmp_path, **cached)[:2] == ["3.0", "False"]
    rule = package / "cpu" / "gather.py"
    text = rule.read_text()
    assert "to[j] *= factors[j]" in text
    rule.write_text(text.replace("to[j] *= factors[j]", "to[j] *= factors[j] + 1"))
    assert printed(tmp_path, **cached)[:2] == ["4.0", "True"]
    rule.write_text(text)
    assert printed(tmp_path, **cached)[:2] == ["3.0", "False"]


def compile_at_once(barrier, results):
    """Compile a kernel that is new to this process, at the same time as all others do."""
    kernel = jit.kernel(gather.scale.py_func)
    target = np.ones((1, 2))
    barrier.wait(60)
    kernel(target, 0, np.full((1, 2), 3.0), np.zeros(1, int))
    results.put((target[0, 0], cache.KernelCache.log[-1].compiled))


def together(processes):
    """Fork processes that compile at once; return each one's result, and whether it compiled."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(processes)
    results = context.Queue()
    arguments = barrier, results
    children = [context.Process(target=compile_at_once, args=arguments) for _ in range(processes)]
    with warnings.catch_warnings():
        # It warns of forks in a process with threads, which the children do not use.
        warnings.simplefilter("ignore", DeprecationWarning)
        for child in children:
            child.start()
    found = [results.get(timeout=100) for _ in children]
    for child in children:
        child.join(20)
    return found


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_ten_processes_at_once(tmp_path, monkeypatch):
    """All compile and save the same entry at the same time; later ones find it whole."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    first = together(10)
    assert {result for result, _ in first} == {3.0}
    assert any(compiled for _, compiled in first)
    assert len(list(tmp_path.rglob("*.*"))) == 1
    assert set(together(10)) == {(3.0, False)}


def test_without_any_directory_kernels_are_still_compiled(tmp_path):
    """There is no home, the package cannot be written to, at last there are no temporary files."""
    package = copied(tmp_path)
    nowhere = str(tmp_path / "file")
    for path in (tmp_path / "file", package / "__pycache__"):
        path.write_text("")
    environment = dict.fromkeys(("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME"), nowhere)
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(tmp_path)}
    assert printed(tmp_path, **environment)[:2] == ["3.0", "True"]
    mine = tmp_path / f"lightrnn-{os.getuid()}"
    assert printed(tmp_path, **environment)[:2] == ["3.0", "False"]
    assert any(mine.iterdir())
    shutil.rmtree(mine)
    mine.write_text("")
    assert printed(tmp_path, **environment) == ["3.0", "True", "None"]


def test_without_a_directory_for_temporary_files(monkeypatch, tmp_path):
    def none():
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr("lightrnn.cpu.cache.tempfile.gettempdir", none)
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    first, *_ = cache.directories(make=True)
    assert first.parent == tmp_path


def functions_of(kernels):
    """Return the kernels' functions and all of ours that they call, closed over or global."""
    found = set()
    waiting = list(kernels)
    while waiting:
        function = waiting.pop()
        function = getattr(function, "py_func", function)
        if (
            isinstance(function, FunctionType)
            and function.__module__.startswith("lightrnn")
            and function not in found
        ):
            found.add(function)
            variables = getclosurevars(function)
            waiting.extend((variables.nonlocals | variables.globals).values())
    return found


def test_no_two_functions_in_machine_code_have_one_name():
    """Numba distinguishes functions of the same name and types by a counter of its process alone.

    Kernels that two processes compiled and a third loads would call each other's functions.
    """
    kernels = [getattr(recurrence, way)(cell) for way in ("forward", "backward") for cell in CELLS]
    named = {}
    for function in functions_of([*kernels, matmul.transpose_panels]):
        named.setdefault(f"{function.__module__}.{function.__qualname__}", set()).add(function)
    assert len(named) > 20
    assert not [name for name, functions in named.items() if len(functions) > 1]


def test_kernels_of_other_packages_are_not_cached(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    assert jit.kernel(lambda x: x + 1)(2) == 3
    assert not list(tmp_path.iterdir())


def test_two_kernels_cannot_have_one_name():
    def scale(target):
        target[0] = 7

    scale.__module__, scale.__qualname__ = "lightrnn.cpu.gather", "scale"
    with pytest.raises(RuntimeError, match=r"cpu.gather.scale must be the name of one kernel"):
        jit.kernel(scale)


def test_a_zero_divisor_is_not_an_error():
    assert jit.kernel(lambda x: 1.0 / x)(0.0) == np.inf


def test_numba_compiles_after_a_kernel_was_loaded(tmp_path):
    """Kernels are loaded without Numba's registries, which a later compilation must still find."""
    code = PROGRAM + "import numba; print(numba.njit(lambda a: np.dot(a, a).sum())(np.eye(2)))"
    for compiled in ("True", "False"):
        words = printed(cache._PACKAGE.parent, code, NUMBA_CACHE_DIR=str(tmp_path))
        assert (*words[:2], words[-1]) == ("3.0", compiled, "2.0")

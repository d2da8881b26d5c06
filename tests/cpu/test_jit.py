"""Where machine code is kept: keyed by the sources, wherever it can be read or written, and never a reason to fail."""

import multiprocessing
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import warnings
from inspect import getclosurevars
from pathlib import Path
from types import FunctionType

import numpy as np
import pytest
from numba import config

from lightrnn.cells import CELLS
from lightrnn.cpu import cache, gather, host, jit, matmul, recurrence


def fresh_digest():
    return cache.digest.__wrapped__()


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the package for the digest to read."""
    return copied(tmp_path, monkeypatch)


def copied(tmp_path, monkeypatch=None):
    target = tmp_path / "lightrnn"
    shutil.copytree(
        cache._PACKAGE, target, ignore=shutil.ignore_patterns("__pycache__", "*.npz", "*.bz2")
    )
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
        path, text = copy / name, (copy / name).read_text()
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
def places(tmp_path, monkeypatch):
    """Every place for machine code within tmp_path, by name."""
    roots = {name: tmp_path / name for name in ("given", "package", "home", "temporary")}
    monkeypatch.setattr(config, "CACHE_DIR", str(roots["given"]))
    monkeypatch.setattr(cache, "_PACKAGE", roots["package"])
    monkeypatch.setattr(cache, "digest", lambda: "digest")
    monkeypatch.setenv("XDG_CACHE_HOME", str(roots["home"]))
    monkeypatch.setattr(tempfile, "tempdir", str(roots["temporary"]))
    roots["temporary"].mkdir()
    below = ("", "__pycache__", "lightrnn", f"lightrnn-{os.getuid()}")
    return [
        root / name / "lightrnn-digest" for root, name in zip(roots.values(), below, strict=True)
    ]


def block(place):
    """Let nothing be made below the root of a place, not even by the superuser."""
    for path in reversed(place.parents):
        if not path.exists():
            path.write_text("")
            return
    shutil.rmtree(place.parent)
    place.parent.write_text("")


def test_the_first_place_that_can_be_written_to_is_taken(places):
    for number, place in enumerate(places):
        assert cache.write("name", b"code %d" % number) == place
        assert cache.read("name") == b"code %d" % number
        assert [path.name for path in place.iterdir()] == ["name"]
        shutil.rmtree(place)
        block(place)
    assert cache.write("name", b"code") is None and cache.read("name") is None
    assert cache.entries() == []


def test_what_cannot_be_written_to_is_read_all_the_same(places, monkeypatch):
    """An image whose machine code was compiled by the superuser when it was built."""
    (given, package, home, _) = places
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


def test_a_directory_of_somebody_else_is_not_trusted(places):
    for place in places[:-1]:
        block(place)
    place = places[-1]
    assert cache.write("name", b"code") == place
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    place.parent.chmod(0o777)
    assert cache.read("name") is None and cache.write("name", b"code") is None
    place.parent.chmod(0o700)
    assert cache.read("name") == b"code"


def test_no_home_is_no_place(places, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert list(cache.directories()) == places[:2]


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:40] + b"x" + data[41:], lambda data: b""]
)
def test_a_damaged_entry_is_none(places, damage):
    place = cache.write("name", b"machine code" * 9)
    (place / "name").write_bytes(damage((place / "name").read_bytes()))
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


def start(directory, **environment):
    """Begin a process that runs one kernel and prints its result, whether it was compiled, and where it is kept."""
    environment = os.environ | {"PYTHONPATH": str(directory), "NUMBA_OPT": "0"} | environment
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    return subprocess.Popen(
        command, env=environment, cwd=directory, stdout=subprocess.PIPE, text=True
    )


def printed(directory, **environment):
    return start(directory, **environment).communicate(timeout=100)[0].split()


def test_an_edit_anywhere_is_compiled_anew_and_versions_stand_side_by_side(tmp_path):
    """A kernel in one file, the rule it compiles in another: Numba alone would go on with the old one."""
    package, places = copied(tmp_path), {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert printed(tmp_path, **places)[:2] == ["3.0", "True"]
    assert printed(tmp_path, **places)[:2] == ["3.0", "False"]
    rule = package / "cpu" / "gather.py"
    text = rule.read_text()
    assert "to[j] *= factors[j]" in text
    rule.write_text(text.replace("to[j] *= factors[j]", "to[j] *= factors[j] + 1"))
    assert printed(tmp_path, **places)[:2] == ["4.0", "True"]
    rule.write_text(text)
    assert printed(tmp_path, **places)[:2] == ["3.0", "False"]


def compile_at_once(barrier, results):
    """Compile a kernel that this process has not compiled yet, when all others do."""
    kernel = jit.kernel(gather.scale.py_func)
    target = np.ones((1, 2))
    barrier.wait(60)
    kernel(target, 0, np.full((1, 2), 3.0), np.zeros(1, int))
    results.put((target[0, 0], cache.KernelCache.log[-1].compiled))


def together(processes):
    """Fork so many processes that compile at once; return what each got, and whether it found nothing."""
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(processes), context.Queue()
    children = [
        context.Process(target=compile_at_once, args=(barrier, results)) for _ in range(processes)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of forks beside threads, which these do not use
        for child in children:
            child.start()
    found = [results.get(timeout=100) for _ in children]
    for child in children:
        child.join(20)
    return found


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_ten_processes_at_once(tmp_path, monkeypatch):
    """All find nothing, compile, and save the same at the same time; those after them find it whole."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    first = together(10)
    assert {result for result, _ in first} == {3.0} and any(compiled for _, compiled in first)
    assert len(list(tmp_path.rglob("*.*"))) == 1
    assert set(together(10)) == {(3.0, False)}


def test_without_any_place_kernels_are_compiled_all_the_same(tmp_path):
    """No home, an install that cannot be written to, nor temporary files."""
    package, nowhere = copied(tmp_path), str(tmp_path / "file")
    for path in (tmp_path / "file", package / "__pycache__"):
        path.write_text("")
    environment = dict.fromkeys(("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME"), nowhere)
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(tmp_path)}
    assert printed(tmp_path, **environment)[:2] == ["3.0", "True"]
    mine = tmp_path / f"lightrnn-{os.getuid()}"
    assert printed(tmp_path, **environment)[:2] == ["3.0", "False"] and any(mine.iterdir())
    shutil.rmtree(mine)
    mine.write_text("")
    assert printed(tmp_path, **environment) == ["3.0", "True", "None"]


def test_without_a_place_for_temporary_files(monkeypatch, tmp_path):
    def none():
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr("lightrnn.cpu.cache.tempfile.gettempdir", none)
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    places = list(cache.directories(make=True))
    assert places[0].parent == tmp_path


def functions_of(kernels):
    """The kernels' functions and all of ours that they call, whether closed over or global."""
    found, waiting = set(), list(kernels)
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
    """Numba tells functions of one name and type apart by a count of its process alone.

    Kernels that two processes have compiled and a third one loads would then call each other's.
    """
    kernels = [getattr(recurrence, way)(cell) for way in ("forward", "backward") for cell in CELLS]
    named = {}
    for function in functions_of([*kernels, matmul.transpose_panels]):
        named.setdefault(f"{function.__module__}.{function.__qualname__}", set()).add(function)
    assert len(named) > 20
    assert not [name for name, functions in named.items() if len(functions) > 1]


def test_kernels_of_others_are_not_kept(tmp_path, monkeypatch):
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


def test_what_is_loaded_leaves_numba_whole(tmp_path):
    """Machine code is loaded without Numba's registries, which a compilation after it must still find."""
    code = PROGRAM + "import numba; print(numba.njit(lambda a: np.dot(a, a).sum())(np.eye(2)))"
    command, paths = [sys.executable, "-W", "error", "-c", code], {"NUMBA_CACHE_DIR": str(tmp_path)}
    environment = os.environ | {"PYTHONPATH": str(cache._PACKAGE.parent), "NUMBA_OPT": "0"} | paths
    for compiled in ("True", "False"):
        lines = subprocess.check_output(command, env=environment, text=True).splitlines()
        assert lines[0].split()[:2] == ["3.0", compiled] and lines[1] == "2.0"

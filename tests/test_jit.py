"""Where machine code is kept: keyed by the sources, somewhere that can be written to, and never a reason to fail."""

import os
import shutil
import subprocess
import sys
from inspect import getclosurevars
from pathlib import Path
from types import FunctionType

import numpy as np
import pytest
from numba import config

from lightrnn.cells import CELLS
from lightrnn.cpu import gather, host, jit, matmul, recurrence


def fresh_digest():
    return jit.digest.__wrapped__()


def fresh_directory():
    return jit.cache_directory.__wrapped__()


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the package for the digest to read."""
    target = tmp_path / "lightrnn"
    shutil.copytree(jit._PACKAGE, target, ignore=shutil.ignore_patterns("__pycache__", "data"))
    monkeypatch.setattr(jit, "_PACKAGE", target)
    return target


def test_the_directory_is_keyed_by_the_sources(copy):
    before = fresh_digest()
    assert before == jit.digest()
    for name in ("cells.py", "elementwise.py", "cpu/simd.py"):
        path, text = copy / name, (copy / name).read_text()
        path.write_text(text + "\n")
        assert fresh_digest() != before, name
        path.write_text(text)
    assert fresh_digest() == before


def test_the_directory_is_keyed_by_the_registers(monkeypatch):
    before = fresh_digest()
    for name in ("REGISTER_BYTES", "TILE_VECTORS"):
        with monkeypatch.context() as patch:
            patch.setattr(host, name, 3)
            assert fresh_digest() != before


def test_kernels_keep_their_code_there():
    gather.scale(np.ones((2, 2)), 0, np.ones((1, 2)), np.zeros(2, int))
    assert jit.cache_directory().name == f"lightrnn-{jit.digest()}"
    assert list(jit.cache_directory().rglob("gather.scale*.nbi"))


def test_an_edited_rule_is_compiled_anew(tmp_path):
    """A kernel in one file, the rule it compiles in another: Numba alone would go on with the old one."""
    shutil.copytree(jit._PACKAGE, tmp_path / "lightrnn", ignore=shutil.ignore_patterns("__pycache__", "data"))
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}
    code = (
        "import numpy as np; from lightrnn.network import Network; n = Network('linear', 1, (1,), 1, window=1);"
        "n.assign({name: np.ones_like(array) for name, array in n.arrays().items()});"
        "print(n.outputs([np.ones((1, 1))])[0, 0])"
    )

    def output():
        return float(subprocess.check_output([sys.executable, "-c", code], env=environment, cwd=tmp_path, text=True))

    assert output() == 3
    cells = tmp_path / "lightrnn" / "cells.py"
    text = cells.read_text()
    rule = "    return slots, slots\n"
    assert rule in text
    cells.write_text(text.replace(rule, "    return (slots[0] + slots[0],), slots\n"))
    assert output() == 10


def functions_of(kernels):
    """The kernels' functions and all of ours that they call, whether closed over or global."""
    found, waiting = set(), list(kernels)
    while waiting:
        function = waiting.pop()
        function = getattr(function, "py_func", function)
        if isinstance(function, FunctionType) and function.__module__.startswith("lightrnn") and function not in found:
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


@pytest.fixture
def nowhere(tmp_path):
    """A path in which nothing can be made, not even by the superuser."""
    file = tmp_path / "file"
    file.write_text("")
    return file / "below"


def test_places_that_cannot_be_written_to_are_passed_over(nowhere, tmp_path, monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "given"))
    monkeypatch.setattr(jit, "_PACKAGE", tmp_path / "package")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setattr(jit, "digest", lambda: "digest")
    assert fresh_directory() == tmp_path / "given" / "lightrnn-digest"
    monkeypatch.setattr(config, "CACHE_DIR", str(nowhere))
    assert fresh_directory() == tmp_path / "package" / "__pycache__" / "lightrnn-digest"
    monkeypatch.setattr(config, "CACHE_DIR", "")
    assert fresh_directory() == tmp_path / "package" / "__pycache__" / "lightrnn-digest"
    monkeypatch.setattr(jit, "_PACKAGE", nowhere)
    assert fresh_directory() == tmp_path / "user" / "lightrnn" / "lightrnn-digest"
    monkeypatch.setenv("XDG_CACHE_HOME", str(nowhere))
    assert fresh_directory() is None
    assert not list(tmp_path.rglob("tmp*"))


def test_without_any_place_kernels_are_compiled_all_the_same(monkeypatch):
    monkeypatch.setattr(jit, "cache_directory", lambda: None)
    assert jit.kernel(lambda x: x + 1)(2) == 3


def test_users_own_kernels_are_kept_where_they_want_them(monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", "theirs")
    with jit._numba_cache(Path("ours")):
        assert config.CACHE_DIR == "ours"
    assert config.CACHE_DIR == "theirs"
    with pytest.raises(ZeroDivisionError), jit._numba_cache(Path("ours")):
        _ = 1 / 0
    assert config.CACHE_DIR == "theirs"
    jit.kernel(lambda x: x)
    assert config.CACHE_DIR == "theirs"


def test_a_zero_divisor_is_not_an_error():
    assert jit.kernel(lambda x: 1.0 / x)(0.0) == np.inf

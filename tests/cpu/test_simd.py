"""Every register width gives the host's results, and the kernels compile for other machines."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from helpers import narrow

from lightrnn.cpu import cache, host, jit
from lightrnn.cpu.denormals import flush_denormals, restore_denormals


def run(*arguments, **environment):
    """Run `narrow.py` in a process of its own and return its output."""
    folders = [str(cache._PACKAGE.parent), os.environ.get("PYTHONPATH")]
    paths = os.pathsep.join(filter(None, folders))
    done = subprocess.run(
        [sys.executable, "-W", "error", narrow.__file__, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": paths} | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def on_this_host():
    return narrow.results("gru", "rnn")


# Nothing that the widths compile is in the cache, so float64 takes its turn at the shortest one.
@pytest.mark.parametrize(
    ("register_bytes", "tile", "cells"),
    [(16, (4, 4), ("gru", "rnn")), (32, (4, 2), ("gru",)), (64, (8, 2), ("gru",))],
    ids=str,
)
def test_every_register_width_gives_the_same_results(
    register_bytes, tile, cells, on_this_host, tmp_path
):
    is_host = (register_bytes, *tile) == (host.REGISTER_BYTES, host.TILE_ROWS, host.TILE_VECTORS)
    # LLVM's optimizations change no bit here, and cost a fifth of the time.
    quickly = {} if is_host else {"NUMBA_OPT": "0"}
    run(register_bytes, *tile, "results", tmp_path / "arrays.npz", *cells, **quickly)
    with np.load(tmp_path / "arrays.npz") as arrays:
        assert arrays["lanes"] == register_bytes // 4
        expected = {name: a for name, a in on_this_host.items() if name.startswith(cells)}
        assert set(arrays) == {"lanes", *expected}
        for name, want in expected.items():
            double = want.ndim and want.dtype == np.float64  # a loss is a float64 of either network
            tolerance = 1e-12 if double else 2e-5
            assert arrays[name].dtype == want.dtype
            assert np.allclose(arrays[name], want, rtol=tolerance, atol=tolerance), name
            if is_host:
                assert np.array_equal(arrays[name], want), name


def test_the_kernels_cross_compile_to_arm(tmp_path):
    """The tile is vector fused multiply-adds of four float32, and no arithmetic is a call."""
    assembly = run(16, 4, 4, "aarch64-unknown-linux-gnu", NUMBA_CACHE_DIR=str(tmp_path))
    fused = re.findall(r"\bfmla\s+v\d+\.4s", assembly)
    assert len(fused) >= 16
    assert not re.search(r"\bbl\s+(fma|expf?|tanhf?)\b", assembly)


def test_widths_follow_the_instruction_set(monkeypatch):
    for features, shape in (
        ({"avx512f", "avx2"}, (64, 8, 2)),
        ({"avx2"}, (32, 4, 2)),
        ({"neon"}, (16, 4, 4)),
        ({"sse2"}, (16, 4, 2)),
    ):
        monkeypatch.setattr(host, "_features", lambda features=features: features)
        assert host._shape() == shape


@pytest.mark.parametrize(
    ("columns", "dtype"), [(1, "float32"), (17, "float32"), (64, "float64"), (0, "float64")]
)
def test_padding_is_the_least_number_of_whole_registers(columns, dtype):
    lanes = host.lanes(dtype)
    width = host.padded(columns, dtype)
    assert width % lanes == 0 and 0 <= width - columns < lanes
    assert lanes * np.dtype(dtype).itemsize == host.REGISTER_BYTES


def test_denormals_are_flushed_inside_and_kept_outside():
    """Vanishing gradients do not slow a kernel, and a kernel changes no arithmetic elsewhere."""

    @jit.kernel
    def halves(x, flush):
        control = flush_denormals() if flush else np.uint32(0)
        y = x * np.float32(0.5)
        if flush:
            restore_denormals(control)
        return y

    smallest = np.full(8, np.finfo(np.float32).tiny, np.float32)
    if not host.HAS_MXCSR:
        pytest.skip("this machine has no control word that flushes denormals")
    assert not halves(smallest, True).any()
    assert halves(smallest, False).all()
    assert np.all(smallest * np.float32(0.5) > 0)

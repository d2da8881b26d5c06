"""Every kernel, compiled without a GPU: no float64 where numbers are float32, no calls, nothing spilt to memory."""

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

ARCHITECTURES = [(7, 5), (8, 0), (9, 0)]
LOOPS = [("rnn", 8, 0, True), ("gru", 8, 96, True), ("lstm", 1, 96, False), ("lstm", 8, 96, False)]
REGISTERS = 65536 // 256  # of a thread, in blocks of 256


def kernels(dtype):
    """All kernels by name, for one dtype."""
    from lightrnn.cuda import matmul, recurrence, rows, sums
    from lightrnn.cuda.step import Form
    from lightrnn.losses import COSTS
    from lightrnn.updates import UPDATES

    words = 1 if dtype == "float32" else 2
    found = {"add_parts": matmul.add_parts(), "transpose": rows.transpose()}
    for turns in ((False, False), (False, True), (True, False)):
        found |= {f"product {turns} {four}": matmul.product(dtype, *turns, four) for four in (False, True)}
    for make in (rows.copy, rows.fill, sums.column_sums, rows.add_by_code, rows.fold, sums.softmax):
        found[make.__name__] = make(dtype)
    found |= {f"index {tokens}": rows.index(tokens) for tokens in (False, True)}
    found |= {f"total {squared}": sums.total(dtype, squared) for squared in (False, True)}
    found |= {f"{make.__name__} ffnn": make("ffnn") for make in (rows.apply, rows.apply_back)}
    found |= {f"update {name}": sums.update(name, dtype) for name in UPDATES}
    found |= {f"loss {name}": sums.by_output(name, dtype) for name in COSTS}
    for cell, count, resident, alone in LOOPS:
        form = Form(cell, dtype, count, resident // words, alone)
        found |= {f"{make.__name__} {form}": make(form) for make in (recurrence.forward, recurrence.backward)}
    return found


def ptx_of(cuda, kernel, dtype, architecture, monkeypatch):
    """A kernel as the driver would get it; whatever asks for the current GPU is told this one."""
    import numba
    import numba.cuda.dispatcher as dispatcher

    monkeypatch.setattr(
        dispatcher, "get_current_device", lambda: SimpleNamespace(compute_capability=architecture), raising=True
    )
    number = getattr(numba, dtype)
    ptx, _ = cuda.compile_ptx(kernel.py_func, (number[::1], numba.int64[::1], numba.int64), cc=architecture)
    return ptx


def assembler():
    """The path of ptxas, or None: on the path, or from NVIDIA's package."""
    spec = find_spec("nvidia")
    places = [Path(place) for place in (spec.submodule_search_locations if spec else ())]
    found = [path for place in places for path in place.rglob("bin/ptxas")]
    return shutil.which("ptxas") or (found[0] if found else None)


@pytest.mark.parametrize("dtype, architecture", [*(("float32", a) for a in ARCHITECTURES), ("float64", (9, 0))])
def test_every_kernel_compiles_to_what_it_should(compilers, dtype, architecture, monkeypatch, tmp_path):
    ptxas = assembler()
    for name, kernel in kernels(dtype).items():
        ptx = ptx_of(compilers, kernel, dtype, architecture, monkeypatch)
        assert not re.search(r"\bcall\b", ptx), name
        assert not re.search(r"\.local\b", ptx), name
        assert dtype == "float64" or not re.search(r"\.f64\b", ptx), name
        if ptxas:
            (tmp_path / "kernel.ptx").write_text(ptx)
            command = [ptxas, f"-arch=sm_{architecture[0]}{architecture[1]}", "-v", tmp_path / "kernel.ptx"]
            done = subprocess.run([*command, "-o", tmp_path / "kernel.bin"], capture_output=True, text=True)
            assert done.returncode == 0, (name, done.stderr)
            assert set(re.findall(r"(\d+) bytes spill", done.stderr)) == {"0"}, (name, done.stderr)
            assert int(re.search(r"Used (\d+) registers", done.stderr)[1]) <= REGISTERS, name
            assert int((re.search(r"(\d+) bytes smem", done.stderr) or [0, 0])[1]) <= 48 * 1024, name


def test_what_is_said_of_spills_was_looked_at(compilers):
    if assembler() is None:
        pytest.skip("ptxas is not here: nothing is known of registers and spills")


def test_rows_that_lie_so_are_loaded_by_fours(compilers, monkeypatch):
    from lightrnn.cuda import matmul

    texts = [
        ptx_of(compilers, matmul.product("float32", False, False, four), "float32", (9, 0), monkeypatch)
        for four in (False, True)
    ]
    assert ["ld.global.v4.f32" in text for text in texts] == [False, True]


def test_what_other_blocks_wrote_is_read_past_the_first_cache(compilers, monkeypatch):
    from lightrnn.cuda import recurrence
    from lightrnn.cuda.step import Form

    for make in (recurrence.forward, recurrence.backward):
        text = ptx_of(compilers, make(Form("rnn", "float32", 1, 8, False)), "float32", (9, 0), monkeypatch)
        assert "ld.global.cg.f32" in text and "ld.acquire.gpu.global.u64" in text and "membar.gl" in text

"""Every kernel, compiled without a GPU: no float64 in float32, no calls, no spills."""

import ctypes
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

ARCHITECTURES = [(7, 5), (8, 0), (9, 0)]
# The largest time loops: cell, sequences of a tile, terms in registers, whether more are in shared
# memory, whether a group is one block.
LOOPS = {
    (7, 5): [("rnn", 4, 24, False, True), ("gru", 4, 24, True, False)],
    (8, 0): [
        ("lstm", 1, 24, False, True),
        ("rnn", 2, 24, True, False),
        ("gru", 4, 0, False, False),
    ],
    (9, 0): [
        ("lstm", 4, 24, True, False),
        ("gru", 4, 24, True, True),
        ("lstm", 4, 0, False, False),
    ],
}
CONSTANTS = {"sgd": 3, "rmsprop": 5, "adam": 8}  # of the solvers' rules
REGISTERS = 65536 // 256  # of a thread, in blocks of 256


def kernels(dtype, architecture):
    """Return all kernels of a dtype by name, and the time loops of an architecture."""
    from lightrnn.cuda import gather, losses, matmul_kernels, pooling, reductions, updates
    from lightrnn.cuda.recurrence import loops
    from lightrnn.cuda.recurrence.thread_product import Form
    from lightrnn.losses import COSTS

    words = 1 if dtype == "float32" else 2
    found = {"add_parts": reductions.add_parts(), "transpose": gather.transpose()}
    for turns in ((False, False), (False, True), (True, False)):
        for four, large in ((False, False), (True, False), (True, True)):
            if not large or dtype == "float32":
                found[f"product {turns} {four} {large}"] = matmul_kernels.product(
                    dtype, *turns, four, large
                )
    for make in (
        gather.copy,
        gather.fill,
        reductions.column_sums,
        gather.add_by_code,
        gather.scatter_windows,
        losses.softmax,
        pooling.greatest_back,
        pooling.score_back,
    ):
        found[make.__name__] = make(dtype)
    found |= {f"index {tokens}": gather.index(tokens) for tokens in (False, True)}
    found |= {f"pool {kind}": pooling.pool(kind, dtype) for kind in ("mean", "max", "attention")}
    found |= {f"mean_back {attends}": pooling.mean_back(attends, dtype) for attends in (0, 1)}
    found |= {f"total {squared}": reductions.total(dtype, squared) for squared in (False, True)}
    found |= {f"{make.__name__} ffnn": make("ffnn") for make in (gather.apply, gather.apply_back)}
    found |= {
        f"update {name}": updates.update(name, dtype, count) for name, count in CONSTANTS.items()
    }
    found |= {f"loss {name}": losses.by_output(name, dtype) for name in COSTS}
    for cell, count, resident, stored, alone in LOOPS[architecture]:
        form = Form(cell, dtype, count, min(resident, 24 if words == 1 else 8), stored, alone)
        found |= {f"{make.__name__} {form}": make(form) for make in (loops.forward, loops.backward)}
    return found


def ptx_of(kernel, dtype, architecture, monkeypatch):
    """A kernel as assemblers get it; whatever asks for the current GPU is told this one."""
    import numba.cuda.dispatcher as dispatcher

    there = SimpleNamespace(compute_capability=architecture)
    monkeypatch.setattr(dispatcher, "get_current_device", lambda: there, raising=True)
    return kernel.ptx(dtype, architecture)


def assembler():
    """The path of ptxas, or None: on the path, or from NVIDIA's package."""
    spec = find_spec("nvidia")
    places = [Path(place) for place in (spec.submodule_search_locations if spec else ())]
    found = [path for place in places for path in place.rglob("bin/ptxas")]
    return shutil.which("ptxas") or (found[0] if found else None)


@pytest.mark.parametrize(
    "dtype, architecture", [*(("float32", a) for a in ARCHITECTURES), ("float64", (9, 0))]
)
def test_every_kernel_compiles_to_what_it_should(
    compilers, dtype, architecture, monkeypatch, tmp_path
):
    ptxas = assembler()
    for name, kernel in kernels(dtype, architecture).items():
        ptx = ptx_of(kernel, dtype, architecture, monkeypatch)
        assert not re.search(r"\bcall\b", ptx), name
        assert not re.search(r"\.local\b", ptx), name
        assert dtype == "float64" or not re.search(r"\.f64\b", ptx), name
        if ptxas:
            (tmp_path / "kernel.ptx").write_text(ptx)
            command = [
                ptxas,
                f"-arch=sm_{architecture[0]}{architecture[1]}",
                "-v",
                tmp_path / "kernel.ptx",
            ]
            done = subprocess.run(
                [*command, "-o", tmp_path / "kernel.bin"], capture_output=True, text=True
            )
            assert done.returncode == 0, (name, done.stderr)
            assert set(re.findall(r"(\d+) bytes spill", done.stderr)) == {"0"}, (name, done.stderr)
            assert int(re.search(r"Used (\d+) registers", done.stderr)[1]) <= REGISTERS, name
            assert int((re.search(r"(\d+) bytes smem", done.stderr) or [0, 0])[1]) <= 48 * 1024, (
                name
            )


def test_what_is_said_of_spills_was_looked_at(compilers):
    if assembler() is None:
        pytest.skip("ptxas is not here: nothing is known of registers and spills")


def test_rows_that_lie_so_are_loaded_by_fours(compilers, monkeypatch):
    from lightrnn.cuda import matmul_kernels

    texts = [
        ptx_of(
            matmul_kernels.product("float32", False, False, four, True),
            "float32",
            (9, 0),
            monkeypatch,
        )
        for four in (False, True)
    ]
    by_one, by_four = (text.count("ld.global.v4.f32") for text in texts)
    assert by_four > by_one  # those of the result, which is added to, are in both


def test_what_other_blocks_wrote_is_read_past_the_first_cache(compilers, monkeypatch):
    from lightrnn.cuda.recurrence import loops
    from lightrnn.cuda.recurrence.thread_product import Form

    for make in (loops.forward, loops.backward):
        text = ptx_of(
            make(Form("rnn", "float32", 1, 4, False, False)), "float32", (9, 0), monkeypatch
        )
        assert (
            "ld.global.cg.f32" in text
            and "ld.acquire.gpu.global.u64" in text
            and "fence.acq_rel.gpu" in text
        )


def test_machine_code_is_kept_on_disk(compilers, monkeypatch, tmp_path):
    import numba

    from lightrnn.cuda import gather
    from lightrnn.cuda import jit as made_kernels

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    made = gather.fill("float32")
    ptx_of(made, "float32", (8, 0), monkeypatch)
    code = made.code("float32", (8, 0))
    entry, _, binary = code.partition(b"\0")
    assert b"fill" in entry and binary.startswith(b"\x7fELF") and entry in binary
    monkeypatch.setattr(
        made_kernels.Kernel, "ptx", lambda *arguments: pytest.fail("it is compiled again")
    )
    assert made.code("float32", (8, 0)) == code
    with pytest.raises(pytest.fail.Exception, match="compiled again"):
        made.code("float32", (9, 0))


def test_two_kernels_of_one_name_are_refused(compilers):
    from lightrnn.cuda.jit import kernel

    def make():
        def made(floats, ints, at):
            pass

        return made

    def made(floats, ints, at):
        pass

    kernel("rnn", 2)(make())
    kernel("rnn", 2)(make())  # as two threads may ask for it
    kernel("rnn", 3)(made)
    with pytest.raises(RuntimeError, match="must be the name of one kernel, got two"):
        kernel("rnn", 2)(made)


def test_a_kernel_is_loaded_once_and_launched_with_pointers(compilers, monkeypatch, tmp_path):
    import numba

    from lightrnn.cuda import driver, gather
    from lightrnn.cuda import jit as made_kernels
    from lightrnn.cuda.driver import Array

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    device = SimpleNamespace(compute_capability=(8, 0), MAX_SHARED_MEMORY_PER_BLOCK_OPTIN=101376)
    monkeypatch.setattr(compilers, "get_current_device", lambda: device)
    calls = []
    monkeypatch.setattr(
        driver, "call", lambda name, *arguments: calls.append((name, arguments)) or name
    )
    made = gather.fill("float64")
    ptx_of(made, "float64", (8, 0), monkeypatch)
    given = made_kernels.Arguments(
        Array(None, 4096, 9, "float64", 5), Array(None, 8192, 9, "int64", 5)
    )
    for at in (7, 11):
        grid = made_kernels.Grid((3, 2, 1), (256, 1, 1), 8, together=at == 11)
        made.launch(given, at, grid, 1234)
        pointers = (ctypes.c_void_p * 3).from_address(calls[-1][1][9])
        assert [ctypes.c_int64.from_address(pointer).value for pointer in pointers] == [
            4096,
            8192,
            at,
        ]
    names = [name for name, _ in calls]
    loaded = ["cuModuleLoadData", "cuModuleGetFunction", "cuFuncSetAttribute"]
    assert (
        names == [*loaded, "cuLaunchKernel", "cuLaunchCooperativeKernel"] and len(calls[4][1]) == 10
    )
    assert calls[0][1][0].startswith(b"\x7fELF") and calls[2][1][2] == 101376
    assert calls[4][1][:9] == ("cuModuleGetFunction", 3, 2, 1, 256, 1, 1, 64, 1234)

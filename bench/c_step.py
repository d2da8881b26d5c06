"""A step of the C code that `export_c` writes, compared with a step of a stream."""

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lightrnn import export_c

from .report import Row, Run, Table, verdict
from .serving import F, H, small_model
from .timing import alternate, median, ratio

COMPILER = shutil.which("gcc") or shutil.which("clang")
FLAGS = ("-std=c99", "-O3", "-march=native", "-fPIC", "-shared")
STEPS = 1000
FASTER = 1.0  # the bar: not slower than the stream

REPEAT = """
#include "{0}.h"
void {0}_repeat({0}_state *state, const float *x, float *output, int times);
void {0}_repeat({0}_state *state, const float *x, float *output, int times)
{{
    for (int i = 0; i < times; i++) {{
        {0}_step(state, x, output);
    }}
}}
"""


def _compiled(folder: Path, name: str, x: np.ndarray) -> Callable[[], None]:
    """Return a function that takes STEPS steps in C."""
    (folder / "repeat.c").write_text(REPEAT.format(name))
    files = [f"{name}.c", "repeat.c", "-o", f"{name}.so", "-lm"]
    subprocess.run([str(COMPILER), *FLAGS, *files], cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / f"{name}.so"))
    state = ctypes.create_string_buffer(1 << 16)
    output = ctypes.create_string_buffer(1 << 10)
    pointer = x.ctypes.data_as(ctypes.c_void_p)
    getattr(library, f"{name}_reset")(state)
    step: Any = getattr(library, f"{name}_repeat")
    return lambda: step(state, pointer, output, STEPS)


def _code_bytes(folder: Path, name: str) -> int:
    """Return the bytes of machine code when it is compiled for its size."""
    command = [str(COMPILER), "-std=c99", "-Os", "-c", f"{name}.c", "-o", f"{name}.o"]
    subprocess.run(command, cwd=folder, check=True)
    done = subprocess.run(
        ["size", "-A", f"{name}.o"], cwd=folder, capture_output=True, text=True, check=True
    )
    return sum(int(line.split()[1]) for line in done.stdout.splitlines() if ".text" in line)


def _rows(run: Run) -> Iterator[Row]:
    if COMPILER is None:
        return
    model, X = small_model()
    stream = model.stream(method="predict_proba")
    x = X[0, 0]

    def ours() -> None:
        for _ in range(STEPS):
            stream.step(x)

    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        names = {"float": "plain", "8 bits": "small"}
        exported = {
            side: export_c(model, folder / f"{name}.c", quantize=side == "8 bits")
            for side, name in names.items()
        }
        code = {side: _code_bytes(folder, name) for side, name in names.items()}
        sides = {side: _compiled(folder, name, x) for side, name in names.items()}
        times = alternate({"stream": ours, **sides}, quick=run.quick)
    yield "`stream.step`", f"{1e6 / STEPS * median(times, 'stream'):.1f}", "", "", "", "", "", ""
    for side in sides:
        sizes = exported[side]
        faster = ratio(times, "stream", side)
        yield (
            f"C, {side}",
            f"{1e6 / STEPS * median(times, side):.2f}",
            f"{faster:.1f}",
            f"{sizes.flash_bytes:,}",
            f"{code[side]:,}",
            f"{sizes.state_bytes + sizes.stack_bytes:,}",
            *verdict(faster, FASTER),
        )


C_STEP = Table(
    "c",
    f"One step of the C code that `export_c` writes, LSTM F{F} H{H}",
    ("side", "us", "stream / C", "constants", "code", "RAM", "bar", "reached"),
    _rows,
    "Constants, code and RAM in bytes: the code as a size-optimised object file of this machine, "
    "RAM is the state of a stream and the local arrays of a step. Steps are timed in a loop in C, "
    f"compiled with `{' '.join(FLAGS[1:3])}`, on one thread; each answers with probabilities.",
)

"""C files of estimators, compiled together by the compiler of this machine and called from here."""

import ctypes
import re
import shutil
import subprocess

import numpy as np

from lightrnn import export_c
from lightrnn.interop.summary import summarize

COMPILER = shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
WARNINGS = ("-Wall", "-Wextra", "-pedantic", "-Werror", "-Wconversion")


def run(*command, folder):
    """Run a command in a folder; it must succeed. Return what it prints."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def compiled(estimators, folder, **options):
    """Return the C models of fitted estimators, compiled by one call of the compiler."""
    models = [CModel(est, folder, f"m{i}", **options) for i, est in enumerate(estimators)]
    lines = []
    for model in models:
        sizes = f"int {model.name}_bytes(void)"
        lines += [f'#include "{model.name}.h"', f"{sizes};"]
        lines += [f"{sizes} {{ return (int)sizeof({model.name}_state); }}"]
    (folder / "sizes.c").write_text("\n".join(lines) + "\n")
    files = [f"{model.name}.c" for model in models]
    flags = ("-std=c99", *WARNINGS, "-O1", "-fPIC", "-shared", "-o", "library.so")
    # Another name each time: a library that is loaded already would be found again.
    run(COMPILER, *flags, *files, "sizes.c", "-lm", folder=folder)
    library = (folder / "library.so").rename(folder / f"library{id(models)}.so")
    loaded = ctypes.CDLL(str(library))
    library.unlink()
    for model in models:
        model.library = loaded
    return models


class CModel:
    """An exported estimator that can be called.

    Attributes
    ----------
    inputs, outputs : dtype
        Types of a step and of an answer in C.
    """

    def __init__(self, est, folder, name, **options):
        self.est = est
        self.name = name
        self.exported = export_c(est, folder / f"{name}.c", **options)
        self.header = (folder / f"{name}.h").read_text()
        self.code = (folder / f"{name}.c").read_text()
        self.summary = summarize(est)
        step = rf"int {name}_step\({name}_state \*state, (?:const )?(\w+) \*?\w+, (\w+) \*output\);"
        types = {"int": np.intc, "float": np.float32, "double": np.float64}
        self.inputs, self.outputs = (types[kind] for kind in re.search(step, self.header).groups())

    def state(self):
        return ctypes.create_string_buffer(self.call("bytes"))

    def call(self, function, *arguments):
        plain = [
            a.ctypes.data_as(ctypes.c_void_p) if isinstance(a, np.ndarray) else a for a in arguments
        ]
        return getattr(self.library, f"{self.name}_{function}")(*plain)

    def read(self, x):
        """Return a sequence as the C functions take it."""
        vocabulary = self.summary.vocabulary
        if vocabulary is not None:
            return vocabulary.encode(x).astype(np.intc)
        return np.asarray(x, self.inputs).reshape(len(x), -1).copy()

    def predict(self, x):
        """Return the answer for a whole sequence."""
        x = self.read(x)
        k = self.summary.n_outputs
        output = np.full((len(x), k) if self.summary.step else k, np.nan, self.outputs)
        self.call("predict", self.state(), x, len(x), output)
        return output

    def stream(self, x):
        """Return the answers after the steps of a sequence; None where there is none."""
        state = self.state()
        self.call("reset", state)
        answers = []
        for row in self.read(x):
            output = np.full(self.summary.n_outputs, np.nan, self.outputs)
            answered = self.call("step", state, row if row.ndim else int(row), output)
            answers.append(output if answered else None)
        return answers

"""A network for a microcontroller: trained here, written as C, compiled and compared.

A sensor measures the acceleration of a motor in three directions. The network says after each
sample whether the motor runs well, is out of balance or has a damaged bearing. `export_c` writes it
as one C99 file and a header, which need nothing but <math.h>: no allocation, no library, and each
stream's memory in a struct. With `quantize=True` the matrices are integers of 8 bits.

Where a C compiler is found, both files are compiled with a program that reads test signals, and
its answers are compared with those of Python.
"""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from lightrnn import RNNClassifier, export_c

COMPILER = shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
CLASSES = ("good", "unbalanced", "bearing")
SAMPLES = 100

# Reads sequences of SAMPLES steps from the standard input, and prints the probabilities for each.
MAIN = """
#include "motor.h"
#include <stdio.h>

int main(void)
{
    static motor_state state;
    float x[MOTOR_FEATURES];
    float output[MOTOR_OUTPUTS];
    int step = 0;

    motor_reset(&state);
    while (fread(x, sizeof x, 1, stdin) == 1) {
        motor_step(&state, x, output);
        if (++step % SAMPLES == 0) {
            fwrite(output, sizeof output, 1, stdout);
            motor_reset(&state);
        }
    }
    return 0;
}
"""


def signals(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return signals (count, SAMPLES, 3) in m/s2, gravity along the third axis, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(CLASSES), count)
    t = np.arange(SAMPLES)
    X = np.zeros((count, SAMPLES, 3))
    for x, label in zip(X, labels, strict=True):
        turn = rng.uniform(0.2, 0.3) * t + rng.uniform(0, 6)
        swing = 1.5 if label == 1 else 0.7
        x[:, 0] = swing * np.sin(turn)
        x[:, 1] = swing * np.cos(turn)
        if label == 2:
            x[:, 2] = 1.5 * (np.sin(3.6 * turn) > 0.95)
        x[:, 2] += 9.81
        x += rng.normal(0, 0.5, x.shape)
    return X.astype(np.float32), np.array(CLASSES)[labels]


def compiled_answers(folder: Path, X: np.ndarray) -> np.ndarray:
    """Compile the model with MAIN, and return the probabilities that it computes."""
    (folder / "main.c").write_text(MAIN)
    flags = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-O2", f"-DSAMPLES={SAMPLES}"]
    files = ["motor.c", "main.c", "-o", "motor", "-lm"]
    subprocess.run([str(COMPILER), *flags, *files], cwd=folder, check=True)
    done = subprocess.run([folder / "motor"], input=X.tobytes(), capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.float32).reshape(len(X), -1)


def main() -> None:
    """Train, export in both precisions, compile and compare."""
    start = time.perf_counter()
    X, y = signals(600, seed=0)
    X_test, y_test = signals(300, seed=1)
    model = RNNClassifier(
        "gru", (16,), patch=1, bidirectional=False, max_iter=15, learning_rate="cosine"
    )
    model.set_params(random_state=0).fit(X, y)
    print(f"Trained on {len(X)} signals, {model.score(X_test, y_test):.1%} of others are right.\n")
    for quantize in (False, True):
        folder = Path(tempfile.mkdtemp())
        sizes = export_c(model, folder / "motor.c", quantize=quantize)
        expected = sizes.estimator.predict_proba(X_test)
        rows = {
            "bytes of flash, constants": f"{sizes.flash_bytes:,}",
            "bytes of RAM, one stream": f"{sizes.state_bytes:,}",
            "bytes of stack": f"{sizes.stack_bytes:,}",
            "multiply-adds a step": f"{sizes.multiply_adds:,}",
            "accuracy": f"{sizes.estimator.score(X_test, y_test):.1%}",
        }
        if COMPILER:
            difference = abs(compiled_answers(folder, X_test) - expected).max()
            rows["largest difference, C and Python"] = f"{difference:.0e}"
            assert difference < 1e-5
        print("matrices of 8 bits" if quantize else "float")
        for name, value in rows.items():
            print(f"  {name:<34}{value:>8}")
        print("  its header, motor.h, says how it is used\n")
    commonest = max(np.mean(y_test == name) for name in CLASSES)
    print(f"8 bits are enough if both accuracies agree; the commonest class has {commonest:.1%}.")
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()

"""Compare C files with their estimators: ``python -m bench.fuzz_c [models]``.

Random networks of every kind are exported, compiled twenty at a time, and run on whole sequences
and step by step. The table shows the greatest differences of outputs, relative to the greatest one
of the sequence, to the deviation of y or to 1. Networks of float32 are compared with C in float,
those of float64 with C in double.
"""

import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .report import markdown

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from helpers.compiled import CModel, compiled
from helpers.fitted import Fitted, fitted, language_models

MODELS = 300
TOGETHER = 20
BARS = {"float32": 1e-6, "float64": 1e-12}


def difference(found: Any, expected: Any, unit: float) -> float:
    """Return the greatest difference, relative to the greatest number or to the unit."""
    expected = np.asarray(expected, np.float64).reshape(np.shape(found))
    return float(np.abs(found - expected).max() / max(unit, np.abs(expected).max()))


def differences(model: CModel, case: Fitted) -> tuple[float, float]:
    """Return the greatest differences over whole sequences and over the steps of streams."""
    scale = model.summary.scale
    unit = 1.0 if scale is None else max(1.0, scale.max())
    method = "predict" if model.summary.task == "numbers" else "predict_proba"
    stream = case.est.stream(method=method)
    vocabulary = case.est._model.vocabulary
    whole = steps = 0.0
    for x in case.X:
        if case.numbers:
            x = x.astype(model.inputs)  # float has fewer digits
        whole = max(whole, difference(model.predict(x), getattr(case.est, method)([x])[0], unit))
        stream.reset()
        words = vocabulary is not None and vocabulary.kind == "word"
        rows = vocabulary.split(x) if words else x
        for row, answer in zip(rows, model.stream(x), strict=True):
            expected = stream.step(row)
            if (answer is None) != (expected is None):
                raise AssertionError(f"{case.est} answers at other steps.")
            if answer is not None:
                steps = max(steps, difference(answer, expected, unit))
    return whole, steps


def main() -> None:
    """Compare the models, print the table, and fail if a bar is missed."""
    count = int(sys.argv[1]) if sys.argv[1:] else MODELS
    seen: dict[str, list[tuple[float, float]]] = defaultdict(list)
    one_way = fitted().filter(lambda case: not case.est._model.architecture["bidirectional"])
    cases = st.lists(one_way | language_models(), min_size=TOGETHER, max_size=TOGETHER)

    @settings(
        max_examples=-(-count // TOGETHER),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def compare(cases: list[Fitted]) -> None:
        for dtype in BARS:
            some = [case for case in cases if case.est._model.network.dtype == dtype]
            if not some:
                continue
            with tempfile.TemporaryDirectory() as folder:
                models = compiled([case.est for case in some], Path(folder), dtype=dtype)
                for model, case in zip(models, some, strict=True):
                    seen[dtype].append(differences(model, case))

    compare()
    rows = []
    for dtype, found in seen.items():
        whole, steps = np.max(found, axis=0)
        reached = "yes" if max(whole, steps) <= BARS[dtype] else "NO"
        rows.append(
            (dtype, str(len(found)), f"{whole:.1e}", f"{steps:.1e}", f"{BARS[dtype]}", reached)
        )
    print(markdown(("dtype", "models", "sequences", "streams", "bar", "reached"), rows))
    sys.exit(any(row[-1] == "NO" for row in rows))


if __name__ == "__main__":
    main()

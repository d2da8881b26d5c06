"""Write the golden files: a small fitted estimator of every kind, and what it predicts.

    python tests/golden/make_saved.py

Every later version must read them. A new version of the format adds files of its own; these stay.
"""

import json
import math
import warnings
from pathlib import Path

import numpy as np

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor
from lightrnn.utils import archive

HERE = Path(__file__).parent
CELLS = ("ffnn", "rnn", "gru", "lstm")
BRIEF = {"max_iter": 2, "learning_rate": "cosine", "window": 2, "random_state": 0}
RNG = np.random.default_rng(0)
LENGTHS = (4, 1, 3, 5)
X = [RNG.normal(size=(T, 2)).round(2).tolist() for T in LENGTHS]
WORDS = ["to be or not", "be", "not to be", "or to be, or not"]
COLOURS = [["red", "blue"], ["blue"], ["green", "red", "red"], ["blue", "green"]]
Y = list("abab")
NUMBERS = [0.5, -1.0, 2.0, 0.25]


def models():
    """Yield name, fitted estimator and input of each file."""
    for cell, dtype in zip(CELLS, ("float32", "float64", "float32", "float64"), strict=True):
        other = "float64" if dtype == "float32" else "float32"
        text = {"tokens": "word", "embedding_size": 2, "dtype": other}
        yield (
            f"classifier-{cell}",
            RNNClassifier(cell, (3,), dtype=dtype, **BRIEF).fit(X, Y),
            X,
        )
        yield (
            f"regressor-{cell}",
            RNNRegressor(cell, (3, 2), dtype=other, **BRIEF).fit(X, NUMBERS),
            X,
        )
        yield f"language-{cell}", RNNLanguageModel(cell, (3,), **text, **BRIEF).fit(WORDS), WORDS
    both = {"bidirectional": True, "dtype": "float64"}
    labels = [[[t % 2, 1] for t in range(T)] for T in LENGTHS]
    yield (
        "steps-multilabel",
        RNNClassifier("gru", (2,), target="step", **both, **BRIEF).fit(X, labels),
        X,
    )
    columns = [[[t, -t] for t in range(T)] for T in LENGTHS]
    yield (
        "steps-regressor",
        RNNRegressor("lstm", (2,), target="step", **both, **BRIEF).fit(X, columns),
        X,
    )
    yield (
        "words",
        RNNClassifier("rnn", (2,), tokens="word", embedding_size=2, **BRIEF).fit(
            WORDS, [1, 7, 1, 7]
        ),
        WORDS,
    )
    fixed = {"embedding_size": 2, "random_state": np.random.RandomState(0)}
    yield "categories", RNNRegressor("gru", (2,), **BRIEF | fixed).fit(COLOURS, NUMBERS), COLOURS
    table = [[1.0, 2.0, 3.0], [0.0, -1.0, 2.0], [1.0, 1.0, 0.0], [3.0, 1.0, 2.0]]
    yield (
        "table-lbfgs",
        RNNClassifier("rnn", (2,), solver="lbfgs", dtype="float64", **BRIEF).fit(
            table, list("xyxy")
        ),
        table,
    )
    long = RNG.normal(size=(4, 42, 1)).round(2).tolist()
    yield "patches", RNNClassifier("gru", (2,), pooling="attention", **BRIEF).fit(long, Y), long
    gaps = [[[math.nan if (t + T) % 3 else t, T] for t in range(T)] for T in LENGTHS]
    pooled = {"missing": "mask", "pooling": "max", "patch": 2}
    yield "missing", RNNRegressor("lstm", (2,), **pooled, **BRIEF).fit(gaps, NUMBERS), gaps
    quantiles = {"loss": "quantile", "quantile": (0.1, 0.9), "pooling": "mean"}
    yield "quantiles", RNNRegressor("gru", (2,), **quantiles, **BRIEF).fit(X, NUMBERS), X
    head = {"head_layer_sizes": (3, 2), "head_activation": "gelu", "pooling": "mean"}
    yield "head", RNNRegressor("gru", (2,), **head, **BRIEF).fit(X, NUMBERS), X
    tied = {"tie_weights": True, "embedding_size": 2, "solver": "sgd"}
    yield "language-tied", RNNLanguageModel("lstm", (2,), **tied, **BRIEF).fit(WORDS), WORDS
    adaptive = {"output": "adaptive", "embedding_size": 2, "solver": "rmsprop"}
    yield "language-adaptive", RNNLanguageModel("gru", (3,), **adaptive, **BRIEF).fit(WORDS), WORDS


def predictions(model, data):
    """Return the recorded results of a model as lists."""
    if isinstance(model, RNNLanguageModel):
        return {"predict_proba": model.predict_proba(data).tolist(), "score": model.score(data)}
    method = "predict_proba" if isinstance(model, RNNClassifier) else "predict"
    return {
        name: [np.asarray(rows).tolist() for rows in getattr(model, name)(data)]
        for name in dict.fromkeys((method, "predict", "transform"))
    }


def main():
    """Write all files."""
    warnings.filterwarnings("ignore", message="Maximum iterations")
    expected = {}
    for name, model, data in models():
        path = HERE / f"format{archive.VERSION}-{name}.npz"
        model.save(path)
        expected[path.name] = {
            "model": repr(model),
            "data": data,
            "predictions": predictions(model, data),
        }
        print(f"{path.name}: {path.stat().st_size:,} bytes")
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(value)}" for name, value in expected.items()
    )
    (HERE / f"format{archive.VERSION}.json").write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()

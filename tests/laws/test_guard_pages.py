"""No kernel reads or writes outside of its arrays, whatever is fitted: guard pages would say so."""

import os
import signal
import subprocess
import sys

import pytest

from lightrnn.cpu import cache

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the allocator with guard pages is made for Linux"
)

ESTIMATORS = """
import itertools, sys, warnings
import numpy as np
from bench import guard
from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor
from lightrnn.inspection import gradient_flow, memory_horizon

warnings.simplefilter("ignore")


def supervised(rng, arguments):
    kind = rng.choice([RNNClassifier, RNNRegressor])
    step = rng.random() < 0.5
    lengths = rng.integers(1, 12, rng.integers(4, 25))
    arguments["target"] = "step" if step else "sequence"
    if arguments["cell"] != "ffnn":
        arguments["bidirectional"] = bool(rng.random() < 0.4)
        if not arguments["bidirectional"] and arguments["solver"] != "lbfgs" and rng.random() < 0.4:
            arguments["truncate"] = int(rng.integers(1, 6))
    if rng.random() < 0.4:
        X = ["".join(rng.choice(list("abcde"), T)) for T in lengths * rng.choice([1, 20])]
    else:
        arguments["patch"] = 1 if step else int(rng.choice([1, 3]))
        X = [rng.normal(size=(T, rng.integers(1, 20))) for T in lengths]
        X = [x[:, : min(len(x.T) for x in X)] for x in X]
    y = [rng.integers(0, 3, len(x)) for x in X] if step else rng.integers(0, 3, len(X))
    y[0] = y[0] * 0 + np.arange(len(X[0])) % 3 if step else y[0]
    if not step:
        y[:3] = 0, 1, 2
        arguments["pooling"] = str(rng.choice(["last", "mean", "max", "attention"]))
    model = kind(**arguments).fit(X, y)
    model.predict(X), model.transform(X[:1])
    if not model.bidirectional and arguments.get("patch", 1) == 1:
        stream = model.stream()
        [stream.step(x) for x in X[0]]
        if model.cell != "ffnn":
            memory_horizon(model, X), gradient_flow(model, X)
    if arguments["solver"] != "lbfgs":
        model.partial_fit(X, y)


def language(rng, arguments):
    words = ["to", "be", "or", "not", "that", "is"]
    texts = [" ".join(rng.choice(words, n)) for n in rng.integers(1, 30, 8)]
    arguments["tokens"] = str(rng.choice(["word", "char"]))
    arguments["output"] = str(rng.choice(["softmax", "adaptive"]))
    if arguments["cell"] != "ffnn":
        arguments["truncate"] = int(rng.integers(1, 9))
    arguments["embedding_size"] = int(rng.integers(1, 20))
    model = RNNLanguageModel(**arguments).fit(texts)
    model.score(texts), model.predict_proba(texts[:3]), model.generate("to", 5, top_k=3)


for at_end, seed in itertools.product((True, False), range(int(sys.argv[1]))):
    if not seed:
        guard.enable(at_end)
    rng = np.random.default_rng([seed, at_end])
    sizes = rng.integers(1, 40, rng.integers(1, 4)).tolist()
    arguments = {"cell": str(rng.choice(["ffnn", "rnn", "gru", "lstm"]))}
    arguments |= {"hidden_layer_sizes": sizes, "window": int(rng.integers(1, 9))}
    arguments |= {"batch_size": int(rng.integers(1, 20)), "max_iter": 1, "n_jobs": 1}
    is_language = rng.random() < 0.25
    solvers = ["adam", "sgd", "rmsprop", "lbfgs"][: 4 - is_language]
    arguments |= {"solver": str(rng.choice(solvers)), "random_state": seed}
    if arguments["solver"] != "lbfgs":
        arguments["dropout"] = float(rng.choice([0.0, 0.3]))
    print(at_end, seed, arguments, flush=True)
    (language if is_language else supervised)(rng, arguments)
print("done", flush=True)
"""

OUTSIDE = """
import sys
import numpy as np
from bench import guard
from lightrnn.cpu import gather
guard.enable(sys.argv[1] == "end")
target = np.ones((2, 4))
gather.scale(target, int(sys.argv[2]), np.ones((1, 4)), np.zeros(1, int))
print("done", flush=True)
"""


def run(program, *arguments):
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(cache._PACKAGE.parent)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(("side", "inside", "outside"), [("end", 1, 2), ("start", 0, -3)])
def test_a_kernel_that_leaves_its_arrays_is_killed(side, inside, outside):
    assert run(OUTSIDE, side, inside).stdout == "done\n"
    assert run(OUTSIDE, side, outside).returncode == -signal.SIGSEGV


def test_estimators_stay_inside_their_arrays():
    """Of 80 in one process, half have guard pages behind their arrays, half before them."""
    done = run(ESTIMATORS, 40)
    assert done.stdout.endswith("done\n"), f"{done.returncode}\n{done.stdout[-900:]}{done.stderr}"

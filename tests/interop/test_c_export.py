"""The exported C file computes what the estimator predicts, compiles cleanly, and is one of C."""

import copy
import shutil

import numpy as np
import pytest
from helpers.compiled import COMPILER, WARNINGS, compiled, run
from helpers.fitted import QUICK, randomize

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor, export_c
from lightrnn.cells import HEAD_CELLS

RNG = np.random.default_rng(0)
X = [RNG.normal(size=(length, 2)) * [1, 3] + [0, 20] for length in (5, 1, 8, 3)]
GAPS = [np.where(RNG.random(x.shape) < 0.3, np.nan, x) for x in X]
Y = ["b", "a", "b", "a"]
NUMBERS = np.array([1.0, 2.0, 3.0, 5.0])
STEPS = [(x[:, 0] > 0).astype(int) for x in X]
TEXTS = ["to be */ or /* not", "to \\ sleep ??/", "no more", "and by a sleep"]
ONE_WAY = QUICK | {"bidirectional": False}
SMALL = ONE_WAY | {"hidden_layer_sizes": (4,)}
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="compiles C")


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def estimators():
    """Yield estimators of every kind that makes other C code, and sequences for them."""
    deep = ONE_WAY | {"hidden_layer_sizes": (4, 3)}
    for cell in ("ffnn", "rnn", "gru", "lstm"):
        yield RNNClassifier(cell, **deep, window=3).fit(X, Y), X
    yield RNNClassifier("gru", **SMALL, target="step", standardize=False).fit(X, STEPS), X
    for cell, activation in zip(("ffnn", "rnn", "gru", "lstm"), HEAD_CELLS, strict=True):
        head = {"head_layer_sizes": (18, 3), "head_activation": activation}
        yield RNNClassifier(cell, **SMALL, **head, window=3, patch=1).fit(X, Y), X
    for patch, pooling in ((1, "mean"), (2, "max"), (3, "attention")):
        options = SMALL | {"patch": patch, "pooling": pooling}
        yield RNNRegressor("gru", **options, missing="mask").fit(GAPS, NUMBERS), GAPS
    yield RNNClassifier("gru", **SMALL).fit(X, np.array([[0, 1, 0], [1, 1, 0]] * 2)), X
    quantiles = {"loss": "quantile", "quantile": (0.1, 0.5, 0.9)}
    yield RNNRegressor("gru", **SMALL, **quantiles).fit(X, NUMBERS), X
    two = NUMBERS[:, None] * [1.0, -10.0]
    yield RNNRegressor("gru", **SMALL, **quantiles).fit(X, two), X
    far = [x * [1, 0.1] + 1e8 for x in X]
    yield RNNRegressor("gru", **SMALL).fit(far, NUMBERS[:, None] + [0.0, 1e8]), far
    yield RNNClassifier("gru", **SMALL, tokens="char").fit(TEXTS, Y), TEXTS
    for options in ({}, {"tie_weights": True, "embedding_size": 4}, {"output": "adaptive"}):
        model = RNNLanguageModel("gru", (4,), max_iter=1, random_state=0, **options)
        yield model.fit(TEXTS), ["", *TEXTS]


def answers(est, x):
    """Return the estimator's probabilities, or its numbers, for one sequence."""
    predict = est.predict if isinstance(est, RNNRegressor) else est.predict_proba
    return np.asarray(predict([x])[0])


def assert_near(found, expected, tolerance):
    expected = np.reshape(expected, found.shape)
    error = abs(found - expected).max() / max(1, abs(expected).max())
    assert error <= tolerance, error


@needs_compiler
def test_sequences_and_streams_are_the_estimators(folder):
    cases = list(estimators())
    for est, _ in cases:
        randomize(est, np.random.default_rng(1))
    models = compiled([est for est, _ in cases], folder)
    for model, (est, sequences) in zip(models, cases, strict=True):
        exported = model.exported
        assert model.call("bytes") == exported.state_bytes
        assert f"{exported.flash_bytes:,} bytes of constants" in model.header
        for x in sequences:
            x = x if isinstance(x, str) else np.asarray(x, model.inputs)
            whole = model.predict(x)
            assert_near(whole, answers(est, x), 1e-6)
            if len(x) and len(x) % model.summary.patch == 0:
                steps = model.stream(x)
                of_all = [step for step in steps if step is not None]
                assert len(of_all) == len(x) // model.summary.patch
                assert np.array_equal(of_all if whole.ndim > 1 else of_all[-1], whole)


@needs_compiler
def test_digits_beside_large_means_stay(folder):
    """In float a mean of 1e8 would leave nothing of a deviation of 1."""
    rest = RNG.normal(size=(4, 6, 1))
    for offset, kind in ((0, np.float32), (500, np.float32), (1e8, np.float64)):
        est = RNNRegressor("gru", **SMALL).fit(rest + offset, NUMBERS + offset)
        (model,) = compiled([est], folder)
        assert model.inputs == model.outputs == kind
        x = (rest[0] + offset).astype(kind)
        assert_near(
            model.predict(x) - offset, est.predict([x])[0] - offset, 1e-4 if offset == 500 else 1e-6
        )


@needs_compiler
def test_8_bits_predict_as_the_copy_that_is_returned(folder, capsys):
    options = ONE_WAY | {"hidden_layer_sizes": (16,), "max_iter": 20}
    cases = [
        (RNNClassifier("lstm", **options).fit(X, Y), X),
        (RNNClassifier("gru", **options, tokens="char").fit(TEXTS, Y), TEXTS),
        (RNNClassifier("rnn", **options, head_layer_sizes=(20,)).fit(X, Y), X),
        (
            RNNLanguageModel("gru", (4,), max_iter=1, tie_weights=True, embedding_size=4).fit(
                TEXTS
            ),
            TEXTS,
        ),
    ]
    plain = [est.predict_proba(sequences) for est, sequences in cases]
    models = compiled([est for est, _ in cases], folder, quantize=True)
    printed = capsys.readouterr().out.splitlines()
    for model, (est, sequences), before, line in zip(models, cases, plain, printed, strict=True):
        exported = model.exported
        assert f"by {exported.error:.2g} at most" in " ".join(model.header.replace("*", "").split())
        assert line.endswith(f"by {exported.error:.2g} at most.") and 0 < exported.error < 0.05
        for x in sequences:
            x = x if isinstance(x, str) else np.asarray(x, model.inputs)
            assert_near(model.predict(x), answers(exported.estimator, x), 1e-6)
        assert np.array_equal(est.predict_proba(sequences), before)
        smaller = export_c(est, folder / "model.c").flash_bytes / exported.flash_bytes
        assert smaller > 1.8


@needs_compiler
def test_it_is_double_where_wanted(folder):
    est = RNNRegressor("lstm", **SMALL, dtype="float64").fit(X, NUMBERS)
    (model,) = compiled([est], folder, dtype="float64")
    assert_near(model.predict(X[0]), est.predict(X)[0], 1e-14)
    assert "float" not in model.code + model.header and "expf" not in model.code


@needs_compiler
def test_other_compilers_and_sanitizers_have_no_complaint(folder):
    est = RNNRegressor("gru", **SMALL, patch=2, missing="mask").fit(GAPS, NUMBERS)
    export_c(est, folder / "model.c")
    (folder / "main.c").write_text(
        """
#include "model.h"
#include <stdio.h>
int main(void)
{
    static const float x[6] = {0.5f, 20.0f, 1.0f, 21.0f, 2.0f, 19.0f};
    static model_state state;
    float output[MODEL_OUTPUTS];
    model_predict(&state, x, 3, output);
    printf("%.9g\\n", (double)output[0]);
    return 0;
}
"""
    )
    expected = est.predict([np.array([[0.5, 20.0], [1.0, 21.0], [2.0, 19.0]])])[0]
    runs = [
        ("gcc", "-std=c99", "-fsanitize=address,undefined"),
        ("clang", "-std=c99"),
        ("g++", "-xc++"),
    ]
    for compiler, *options in runs:
        if shutil.which(compiler):
            run(
                compiler,
                *options,
                *WARNINGS,
                "model.c",
                "main.c",
                "-o",
                "main",
                "-lm",
                folder=folder,
            )
            assert float(run("./main", folder=folder)) == pytest.approx(expected, rel=1e-6)


PAGE = """
const bytes = require("fs").readFileSync("model.wasm");
const functions = {expf: Math.exp, tanhf: Math.tanh};
WebAssembly.instantiate(bytes, {env: functions}).then(({instance}) => {
    const c = instance.exports;
    const start = c.__heap_base.value;
    const output = new Float32Array(c.memory.buffer, start, 2);
    const x = new Float32Array(c.memory.buffer, start + 8, 2);
    const state = start + 16;
    c.model_reset(state);
    for (const step of JSON.parse(process.argv[2])) {
        x.set(step);
        c.model_step(state, x.byteOffset, output.byteOffset);
    }
    console.log(Array.from(output).join(" "));
});
"""


def test_it_runs_as_webassembly(folder):
    """Nothing is linked: exp and tanh come from JavaScript."""
    if not all(map(shutil.which, ("clang", "wasm-ld", "node"))):
        pytest.skip("needs clang with lld, and node")
    est = RNNClassifier("lstm", **SMALL, patch=1).fit(X, Y)
    export_c(est, folder / "model.c")
    (folder / "math.h").write_text("float expf(float x);\nfloat tanhf(float x);\n")
    (folder / "page.js").write_text(PAGE)
    flags = "--target=wasm32 -std=c99 -O2 -fno-builtin -nostdlib -I. -Wl,--no-entry"
    flags += " -Wl,--export-all -Wl,--allow-undefined"
    run("clang", *flags.split(), "model.c", "-o", "model.wasm", folder=folder)
    x = X[0].astype(np.float32)
    found = run("node", "page.js", str(x.tolist()), folder=folder).split()
    assert_near(np.array(found, float), est.predict_proba([x])[0], 1e-6)


def test_the_header_says_what_numbers_mean(folder):
    pandas = pytest.importorskip("pandas", reason="names features")
    frames = [pandas.DataFrame(x, columns=["speed", "heat */"]) for x in X]
    exported = export_c(
        RNNClassifier("rnn", **SMALL).fit(frames, Y), folder / "my-net.c", name="Net"
    )
    header = (folder / "my-net.h").read_text()
    for text in (
        '0  "speed"',
        '1  "heat *\\x2f"',
        '0  "a"',
        "NET_OUTPUTS 2",
        "ifndef NET_H",
        "Net_step(",
    ):
        assert text in header
    assert '#include "my-net.h"' in (folder / "my-net.c").read_text()
    assert exported.error == 0 and exported.multiply_adds > 0
    export_c(RNNClassifier("rnn", **SMALL, tokens="char").fit(TEXTS, Y), folder / "model.c")
    assert '1  " "' in (folder / "model.h").read_text()


def test_what_is_refused(folder):
    est = RNNClassifier("gru", **SMALL).fit(X, Y)
    both = RNNClassifier("gru", **SMALL | {"bidirectional": True}).fit(X, Y)
    with pytest.raises(ValueError, match="must have bidirectional=False for a C file, got True"):
        export_c(both, folder / "model.c")
    for path in ("model", "model.cpp", "math.c"):
        with pytest.raises(ValueError, match=r"path must name a C file, got .*'model\.c'"):
            export_c(est, folder / path)
    with pytest.raises(ValueError, match=r"path must be a name in C and \.c, .* or give the name"):
        export_c(est, folder / "my-model.c")
    for name in ("my-model", "", 3):
        with pytest.raises(ValueError, match="name must be a name in C, got"):
            export_c(est, folder / "model.c", name=name)
    with pytest.raises(ValueError, match="dtype must be one of 'float32', 'float64'"):
        export_c(est, folder / "model.c", dtype="float16")
    with pytest.raises(TypeError, match="quantize must be True or False"):
        export_c(est, folder / "model.c", quantize=8)
    with pytest.raises(ValueError, match="not fitted yet"):
        export_c(RNNClassifier(), folder / "model.c")
    large = copy.deepcopy(est)
    large._model.network.assign(est.weights_ | {"head.b": np.full(2, np.inf)})
    with pytest.raises(ValueError, match=r"finite weights, got NaN or infinity in head\.b"):
        export_c(large, folder / "model.c")
    large = RNNClassifier("gru", **SMALL, dtype="float64").fit(X, Y)
    large._model.network.assign(large.weights_ | {"head.b": np.full(2, 1e39)})
    with pytest.raises(ValueError, match=r"head_b\. C has float here: use dtype='float64'"):
        export_c(large, folder / "model.c")
    assert not list(folder.iterdir())

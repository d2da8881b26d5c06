"""ONNX models come back: files of `to_onnx` to equal bits, other frameworks' graphs as they are."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from helpers.fitted import QUICK, fitted, language_models
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor, from_onnx, to_onnx
from lightrnn.preprocessing import SequenceScaler

onnx = pytest.importorskip("onnx", reason="reads ONNX models")
helper = onnx.helper

GOLDEN = Path(__file__).parent.parent / "golden"
X = [np.random.default_rng(length).normal(size=(length, 3)) for length in (5, 1, 8, 3)]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("onnx") / "model.onnx"


# -- files of to_onnx -----------------------------------------------------------------------------


def back(est, path):
    """Return the estimator of a written file, after a comparison of the weights."""
    to_onnx(est, path)
    found = from_onnx(path)
    assert type(found) is type(est)
    weights = {name: array.astype(np.float32) for name, array in est.weights_.items()}
    assert found.weights_.keys() == weights.keys()
    assert all(array.tobytes() == weights[name].tobytes() for name, array in found.weights_.items())
    return found


@settings(max_examples=15)
@given(case=fitted())
def test_what_was_written_comes_back(case, path):
    found = back(case.est, path)
    if case.est.dtype == "float32":
        for a, b in zip(found.predict(case.X), case.est.predict(case.X), strict=True):
            assert np.array_equal(a, b) and np.asarray(a).dtype == np.asarray(b).dtype


@settings(max_examples=8)
@given(case=language_models())
def test_language_models_come_back(case, path):
    found = back(case.est, path)
    if case.est.dtype == "float32":
        assert np.array_equal(found.predict_proba(case.X), case.est.predict_proba(case.X))


@pytest.mark.parametrize(
    "labels", [[b"x", b"y"] * 2, [True, False] * 2, ["ä", "b"] * 2, [3, 5] * 2]
)
def test_labels_come_back_and_training_goes_on(labels, path):
    est = RNNClassifier(**QUICK).fit(X, labels)
    found = back(est, path)
    assert np.array_equal(found.predict(X), est.predict(X))
    assert found.classes_.dtype == est.classes_.dtype
    found.partial_fit(X, labels)
    to_onnx(est, path)
    given = RNNClassifier(max_iter=7, n_jobs=1, head_layer_sizes=(9,))
    assert from_onnx(path, given, check=(X, est.predict_proba(X))).max_iter == 7
    with pytest.raises(ValueError, match="estimator must be an RNNClassifier, which the source"):
        from_onnx(path, RNNRegressor())
    with pytest.raises(ValueError, match="must be left out for a file of to_onnx"):
        from_onnx(path, classes=labels[:2])
    with pytest.raises(ValueError, match="must be those of the converted network"):
        from_onnx(path, check=(X, 1 - est.predict_proba(X)))


def test_a_scaler_comes_back_as_a_part_of_the_network(path):
    pipeline = pytest.importorskip("sklearn.pipeline", reason="scikit-learn is an optional peer")
    model = pipeline.make_pipeline(SequenceScaler(), RNNRegressor(**QUICK))
    model.fit(X, np.arange(4.0))
    to_onnx(model, path)
    np.testing.assert_allclose(from_onnx(path).predict(X), model.predict(X), rtol=1e-5)


# -- other frameworks -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["lstm_final", "lstm_last", "gru_step", "gru_mean_new", "rnn_scaled", "lstm_tokens_new"],
)
def test_what_torch_wrote_is_read(name):
    with np.load(GOLDEN / "onnx.npz") as file:
        inputs = file["codes" if "tokens" in name else "numbers"]
        outputs = file[name]
    model = from_onnx(GOLDEN / f"{name}.onnx", check=(inputs, outputs))
    assert model.target == ("step" if "step" in name else "sequence")
    kind = type(from_onnx(onnx.load(GOLDEN / f"{name}.onnx")))
    ends = {"lstm_last", "gru_mean_new", "lstm_tokens_new"}  # with a softmax or sigmoid
    assert kind is (RNNClassifier if name in ends else RNNRegressor)
    with pytest.raises(ValueError, match="must be those of the converted network"):
        from_onnx(GOLDEN / f"{name}.onnx", check=(inputs, outputs[::-1]))


@pytest.mark.parametrize(
    ("name", "cell", "target", "pooling"),
    [
        ("lstm", "lstm", "sequence", "last"),
        ("gru", "gru", "sequence", "mean"),  # a Loop over the steps, as the next one
        ("rnn", "rnn", "sequence", "last"),
        ("tokens", "lstm", "step", "last"),
    ],
)
def test_what_keras_wrote_is_read(name, cell, target, pooling):
    with np.load(GOLDEN / "onnx_keras.npz") as file:
        check = file["codes" if name == "tokens" else "numbers"], file[name]
    model = from_onnx(GOLDEN / f"keras_{name}.onnx", check=check)
    assert (model.cell, model.target, model.pooling) == (cell, target, pooling)
    assert model.bidirectional == (name in ("lstm", "gru"))


def test_loops_that_are_another_layer_are_refused():
    model = onnx.load(GOLDEN / "keras_rnn.onnx")
    loop = next(node for node in model.graph.node if node.op_type == "Loop")
    tanh = next(node for node in loop.attribute[0].g.node if node.op_type == "Tanh")
    tanh.op_type = "Relu"
    with pytest.raises(ValueError, match=r"the operator 'Loop' that is no GRU \(reset_after\)"):
        from_onnx(model)
    written_out = chain(FINAL, ("Squeeze", ["X"], ["y"]))
    del written_out.graph.node[1:3]
    with pytest.raises(ValueError, match="a graph without LSTM, GRU, RNN or Loop"):
        from_onnx(written_out)


def chain(*nodes, cell="LSTM", X=("n", "t", 3), outputs=("y",), **attributes):
    """Return a model: X, transposed, through one layer of 4 units, and these nodes."""
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[cell]
    both = 1 + (attributes.get("direction") == "bidirectional")
    rng = np.random.default_rng(0)
    shapes = {"W": (both, gates * 4, 3), "R": (both, gates * 4, 4), "B": (both, gates * 8)}
    shapes |= {"P": (both, 12), "h": (both, 2, 4), "fc": (4 * both, 2), "bias": (2,)}
    inputs = attributes.pop("inputs", ["x", "W", "R", "B"])
    layer = helper.make_node(cell, inputs, ["Y", "H"], hidden_size=4, **attributes)
    transposed = helper.make_node("Transpose", ["X"], ["x"], perm=[1, 0, 2])
    arrays = [
        onnx.numpy_helper.from_array(rng.normal(0, 0.5, shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    integers = {"one": [1], "zero": [0], "last": -1, "keep": [0, 0, -1], "middle": 1}
    arrays += [onnx.numpy_helper.from_array(np.array(v), name) for name, v in integers.items()]
    graph = helper.make_graph(
        [transposed, layer, *(helper.make_node(*node[:3], **dict(node[3:])) for node in nodes)],
        "chain",
        [helper.make_tensor_value_info("X", onnx.TensorProto.FLOAT, X)],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
        arrays,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


FINAL = ("Squeeze", ["H", "zero"], ["final"])
HEAD = [FINAL, ("MatMul", ["final", "fc"], ["raw"]), ("Add", ["raw", "bias"], ["y"])]


def run(model, arrays):
    """Return what ONNX's own evaluator gives for sequences of one length."""
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model).run(None, {"X": np.float32(arrays)})[0]


GRAPHS = {
    "a plain head": (HEAD, {}),
    "backwards": (HEAD, {"direction": "reverse"}),
    "a single output": (
        [
            *HEAD[:-1],
            ("Gather", ["fc", "zero"], ["w"], ("axis", 1)),
            ("MatMul", ["final", "w"], ["a"]),
            ("Squeeze", ["a", "one"], ["y"]),
        ],
        {},
    ),
    "states alone": ([FINAL], {"outputs": ["final"]}),
}


@pytest.mark.parametrize("cell", ["LSTM", "RNN"])
@pytest.mark.parametrize("case", GRAPHS)
def test_graphs_are_followed(cell, case):
    nodes, options = GRAPHS[case]
    model = chain(*nodes, cell=cell, **options)
    arrays = np.random.default_rng(1).normal(size=(4, 6, 3)).astype(np.float32)
    from_onnx(model, check=(arrays, run(model, arrays)))


REFUSED = {
    "relu": ([FINAL, ("Relu", ["final"], ["y"])], {}, "the operator 'Relu' within the network"),
    "clip": (HEAD, {"clip": 1.0}, "'LSTM' with clip"),
    "reset before": (HEAD, {"cell": "GRU"}, "linear_before_reset=0, which applies the reset gate"),
    "peepholes": (
        HEAD,
        {"inputs": ["x", "W", "R", "B", "", "", "", "P"]},
        "'LSTM' with peepholes",
    ),
    "an initial state": (
        HEAD,
        {"inputs": ["x", "W", "R", "B", "", "h"], "X": (2, 5, 3)},
        "'LSTM' with an initial state",
    ),
    "activations": (
        HEAD,
        {"activations": ["Sigmoid", "Relu", "Tanh"]},
        r"'LSTM' with activations \['sigmoid', 'relu', 'tanh'\]",
    ),
    "another step": (
        [("Squeeze", ["Y", "one"], ["rows"]), ("Gather", ["rows", "middle"], ["final"]), *HEAD[1:]],
        {},
        "reads other steps than the last one, or all",
    ),
    "the batch's mean": (
        [
            ("Squeeze", ["Y", "one"], ["rows"]),
            ("ReduceMean", ["rows"], ["final"], ("axes", [1])),
            *HEAD[1:],
        ],
        {},
        "'ReduceMean' over other axes than the steps",
    ),
    "a residual": ([FINAL, ("Add", ["final", "final"], ["y"])], {}, "the operator 'Add'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_graphs_are_refused_by_name(case):
    nodes, options, message = REFUSED[case]
    with pytest.raises(ValueError, match=f"source must be one chain of layers .*{message}"):
        from_onnx(chain(*nodes, **options))


NODE_TESTS = {
    **dict.fromkeys(["lstm_defaults", "lstm_with_initial_bias", "lstm_batchwise"], ""),
    **dict.fromkeys(["lstm_reverse", "lstm_bidirectional", "simple_rnn_reverse"], ""),
    **dict.fromkeys(["simple_rnn_defaults", "simple_rnn_with_initial_bias", "rnn_seq_length"], ""),
    **dict.fromkeys(["simple_rnn_batchwise", "simple_rnn_bidirectional"], ""),
    "lstm_with_peepholes": "peepholes",
    **dict.fromkeys(
        [f"gru_{kind}" for kind in ("defaults", "seq_length", "reverse")], "reset gate"
    ),
    **dict.fromkeys([f"gru_{kind}" for kind in ("batchwise", "bidirectional")], "reset gate"),
    "gru_with_initial_bias": "reset gate",
}


@pytest.fixture(scope="module")
def node_tests():
    cases = pytest.importorskip("onnx.backend.test.case.node", reason="ONNX's own tests")
    for operator in ("lstm", "gru", "rnn"):  # the import of a module makes its tests
        importlib.import_module(f"{cases.__name__}.{operator}")
    return {test.name: test for test in cases._NodeTestCases}


@pytest.mark.parametrize("name", NODE_TESTS)
def test_onnx_node_tests(name, node_tests):
    """The weights of a node test are inputs; here they are a part of the model."""
    if f"test_{name}" not in node_tests:
        pytest.skip("a test of a newer onnx")
    test = node_tests[f"test_{name}"]
    (inputs, outputs), *_ = test.data_sets
    model = onnx.ModelProto()
    model.CopyFrom(test.model)
    _, *others = [value.name for value in test.model.graph.input]
    for other, array in zip(others, inputs[1:], strict=True):
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, other))
    if NODE_TESTS[name]:
        with pytest.raises(ValueError, match=NODE_TESTS[name]):
            from_onnx(model)
        return
    layout = {a.name: helper.get_attribute_value(a) for a in model.graph.node[0].attribute}
    X = inputs[0] if layout.get("layout") else inputs[0].swapaxes(0, 1)
    found = from_onnx(model)
    # Of the outputs of a node test, states (directions, batch, H) or with an axis of steps, the
    # estimator has those of each sequence in one row.
    expected = outputs[0]
    if expected.ndim == 3:
        axis = 1 if layout.get("layout") else 0
        rows = np.concatenate([expected.take(i, axis) for i in range(expected.shape[axis])], -1)
        rows = rows[:, -layout["hidden_size"] * expected.shape[axis] :]
    else:
        batch_first = expected if layout.get("layout") else expected.transpose(2, 0, 1, 3)
        rows = batch_first.reshape(*batch_first.shape[:2], -1)
    got = np.array(found.predict(list(X)))
    got = got[..., -rows.shape[-1] :]  # a reverse direction stands behind an empty one
    assert np.allclose(got.reshape(rows.shape), rows, rtol=1e-3, atol=1e-6)


# -- files ----------------------------------------------------------------------------------------


def test_files_that_are_none_are_refused(tmp_path):
    for content in (b"", b"rubbish", b"PK\x03\x04rubbish"):
        (tmp_path / "model.onnx").write_bytes(content)
        with pytest.raises(ValueError, match="source must be an ONNX"):
            from_onnx(tmp_path / "model.onnx")
    with pytest.raises(FileNotFoundError):
        from_onnx(tmp_path / "absent.onnx")
    with pytest.raises(ValueError, match="must be a regular file, got '/dev/zero'"):
        from_onnx("/dev/zero")
    with pytest.raises(ValueError, match=r"source must be the name of a file, got b'\\x08.* zero"):
        from_onnx(b"\x08\x0a\x12\x00")
    with pytest.raises(TypeError, match=r"a path or an onnx.ModelProto, got 3"):
        from_onnx(3)
    with pytest.raises(TypeError, match="estimator must be an RNNClassifier"):
        from_onnx(tmp_path / "absent.onnx", 3)


@settings(max_examples=30)
@given(data=st.data())
def test_a_changed_description_is_survived(data, path):
    est = RNNLanguageModel("gru", (3,), embedding_size=3, max_iter=1).fit(["abcab"])
    to_onnx(est, path)
    model = onnx.load(path)
    entry = data.draw(st.sampled_from(list(model.metadata_props)))
    at = data.draw(st.integers(0, len(entry.value)))
    entry.value = (
        entry.value[:at]
        + data.draw(st.sampled_from(["", "9", "null", "}"]))
        + entry.value[at + 2 :]
    )
    try:
        from_onnx(model).predict_proba(["ab"])
    except ValueError:
        pass

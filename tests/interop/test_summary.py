"""An estimator whose cell another format does not have is refused, whatever cells there are."""

import runpy
from functools import partial

import numpy as np
import pytest
from helpers.fitted import QUICK

from lightrnn import RNNClassifier, export_c, export_numpy, to_onnx
from lightrnn.cells import CELLS, HIDDEN_CELLS
from lightrnn.interop import numpy_export, onnx
from lightrnn.interop.keras_config import KERAS_GATES
from lightrnn.interop.summary import summarize
from lightrnn.nn.state_dict import TORCH_CELLS
from lightrnn.preprocessing import SequenceScaler

X = [np.ones((3, 2)), np.zeros((5, 2))]


@pytest.mark.parametrize(
    ("write", "module", "output"),
    [(export_numpy, numpy_export, "a Python file"), (to_onnx, onnx, "an ONNX model")],
)
def test_a_new_cell_is_not_written_as_another_one(write, module, output, tmp_path, monkeypatch):
    est = RNNClassifier("gru", **QUICK | {"hidden_layer_sizes": (4,)}).fit(X, [0, 1])
    summary = summarize(est)._replace(cell="mgu")
    monkeypatch.setattr(module, "summarize", lambda estimator: summary)
    with pytest.raises(ValueError, match=f"'lstm' to be written as {output}, got 'mgu'"):
        write(est, tmp_path / "model.py")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "write",
    [
        lambda est, path: est.save(path),
        export_numpy,
        partial(export_numpy, inline=True),
        to_onnx,
        lambda est, path: est.to_torch(),
    ],
    ids=["save", "export_numpy", "inline", "to_onnx", "to_torch"],
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_weight_that_is_not_finite_is_not_written(write, value, tmp_path):
    if write is to_onnx:
        pytest.importorskip("onnx")
    est = RNNClassifier("gru", **QUICK | {"hidden_layer_sizes": (4,)}).fit(X, [0, 1])
    write(est, tmp_path / "model.py")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    est._model.network.assign(est.weights_ | {"head.b": np.full(2, value)})
    with pytest.raises(ValueError, match=r"head.b(ias)?.* Fit it once more"):
        write(est, tmp_path / "model.py")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_weight_that_overflows_where_it_goes_is_not_written(tmp_path):
    pytest.importorskip("onnx")
    est = RNNClassifier("gru", **QUICK | {"dtype": "float64"}).fit(X, [0, 1])
    est._model.network.assign(est.weights_ | {"head.b": np.full(2, 1e39)})
    export_numpy(est, tmp_path / "model.py")
    with pytest.raises(ValueError, match=r"head.b. ONNX has float32 here"):
        to_onnx(est, tmp_path / "model.onnx")


def test_a_weight_that_overflows_with_the_scale_of_x_is_not_written():
    tiny = [x * 1e-42 for x in X]
    est = RNNClassifier("gru", **QUICK).fit(tiny, [0, 1])
    with pytest.raises(ValueError, match=r"rnn.weight_ih_l0. Bring the features"):
        est.to_torch()


def test_formats_name_cells_that_exist():
    named = {*numpy_export._CELLS, *onnx.OPERATORS, *KERAS_GATES, *TORCH_CELLS}
    assert named <= set(HIDDEN_CELLS)
    for cell, gates in KERAS_GATES.items():
        assert sorted(gates) == sorted(CELLS[cell].gates)
        assert sorted(onnx.OPERATORS[cell].gates) == sorted(CELLS[cell].gates)


@pytest.mark.parametrize("options", [{}, {"standardize": False, "patch": 2}, {"missing": "mask"}])
def test_a_scaler_before_the_estimator_goes_into_the_file(options, tmp_path):
    """Its large mean loses no digit."""
    pipeline = pytest.importorskip("sklearn.pipeline")
    rng = np.random.default_rng(0)
    data = [1e6 + 5 * rng.normal(size=(T, 2)) for T in (3, 6, 4, 5)]
    est = RNNClassifier("gru", **QUICK | {"hidden_layer_sizes": (4,)}, **options)
    scaled = pipeline.make_pipeline(SequenceScaler(), SequenceScaler(), est).fit(data, [0, 1] * 2)
    export_numpy(scaled, tmp_path / "model.py")
    found = runpy.run_path(str(tmp_path / "model.py"))["predict_proba"](data)
    assert np.allclose(found, scaled.predict_proba(data), rtol=0, atol=1e-6)
    export_c(scaled, tmp_path / "model.c")
    assert "const double *x" in (tmp_path / "model.h").read_text()
    if options:
        return
    function = pytest.importorskip("sklearn.preprocessing").FunctionTransformer()
    other = pipeline.make_pipeline(function, scaled[-1])
    with pytest.raises(TypeError, match=r"Pipeline of SequenceScaler and an estimator, got 'func"):
        export_numpy(other, tmp_path / "model.py")

"""An estimator whose cell another format does not have is refused, whatever cells there are."""

import numpy as np
import pytest
from helpers.fitted import QUICK

from lightrnn import RNNClassifier, export_numpy, to_onnx
from lightrnn.cells import CELLS, HIDDEN_CELLS
from lightrnn.interop import numpy_export, onnx
from lightrnn.interop.keras_config import KERAS_GATES
from lightrnn.interop.summary import summarize
from lightrnn.nn.state_dict import TORCH_CELLS

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


def test_formats_name_cells_that_exist():
    named = {*numpy_export._CELLS, *onnx.OPERATORS, *KERAS_GATES, *TORCH_CELLS}
    assert named <= set(HIDDEN_CELLS)
    for cell, gates in KERAS_GATES.items():
        assert sorted(gates) == sorted(CELLS[cell].gates)
        assert sorted(onnx.OPERATORS[cell].gates) == sorted(CELLS[cell].gates)

"""Files of earlier versions load and predict as they did; `golden/make_saved.py` wrote them."""

import json
from pathlib import Path

import numpy as np
import pytest

from lightrnn import RNNLanguageModel, load

GOLDEN = Path(__file__).parent.parent / "golden"
EXPECTED = {
    name: value
    for path in GOLDEN.glob("format*.json")
    for name, value in json.loads(path.read_text()).items()
}
# Defaults of earlier versions, which a file keeps and `repr` shows since they are none any more,
# and later ones, which it showed then.
FORMER_DEFAULTS = {
    "delta=1.0",
    "patch=1",
    "bidirectional=False",
    "dropout=0.0",
    "token_dropout=0.0",
    "cell='lstm'",
    "learning_rate='constant'",
    "learning_rate_init=0.003",
    "batch_size=32",
}
LATER_DEFAULTS = {"cell='gru'", "learning_rate='cosine'", "learning_rate_init=0.01"}
TOLERANCE = {"float32": {"rtol": 1e-4, "atol": 1e-5}, "float64": {"rtol": 1e-9, "atol": 1e-10}}


def test_every_file_is_expected():
    assert {path.name for path in GOLDEN.glob("format*.npz")} == set(EXPECTED)
    kinds = {name.split("-", 1)[1].removesuffix(".npz") for name in EXPECTED}
    assert kinds >= {
        f"{kind}-{cell}"
        for kind in ("classifier", "regressor", "language")
        for cell in ("lstm", "ffnn")
    }


def close(found, wanted, **tolerance):
    """Assert that nested lists of numbers and labels agree."""
    if isinstance(wanted, list):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            close(one, other, **tolerance)
    elif isinstance(wanted, str):
        assert found == wanted
    else:
        np.testing.assert_allclose(found, wanted, **tolerance)


def arguments(text):
    """Return the parts of a repr without their order: that of the signature may change."""
    name, given = text.split(" at 0x")[0].removesuffix(")").split("(", 1)
    return {name, *given.split(", ")}


@pytest.mark.parametrize("name", EXPECTED)
def test_golden_files_predict_what_they_predicted(name):
    model = load(GOLDEN / name)
    expected = EXPECTED[name]
    shown, wanted = arguments(repr(model)), arguments(expected["model"])
    assert shown - FORMER_DEFAULTS - LATER_DEFAULTS == wanted - FORMER_DEFAULTS - LATER_DEFAULTS
    for method, wanted in expected["predictions"].items():
        close(getattr(model, method)(expected["data"]), wanted, **TOLERANCE[model.dtype])


@pytest.mark.parametrize("name", [name for name in EXPECTED if "lbfgs" not in name])
def test_golden_files_go_on_training(name):
    model = load(GOLDEN / name)
    data = EXPECTED[name]["data"]
    before = model.n_iter_
    if isinstance(model, RNNLanguageModel):
        model.partial_fit(data)
    else:
        y = model.predict(data)
        model.partial_fit(data, y[:, 0] if "quantiles" in name else y)
    assert model.n_iter_ == before + 1

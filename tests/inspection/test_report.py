"""A description has every part that its estimator has."""

import numpy as np
import pytest
from helpers.fitted import QUICK
from helpers.inspected import sequences
from helpers.strategies import CELLS

from lightrnn import RNNClassifier, RNNForecaster, RNNRegressor
from lightrnn.inspection import describe, gradient_flow, network_inputs


@pytest.mark.parametrize("cell", CELLS)
def test_a_description_has_everything(cell):
    X = sequences([4, 30])
    model = RNNClassifier(cell, (4,), early_stopping=cell == "gru", **QUICK).fit(X * 4, [0, 1] * 4)
    text = describe(model, X)
    assert max(map(len, text.splitlines())) <= 80
    said = " ".join(text.split())
    assert all(
        part in said
        for part in (
            " ".join(repr(model).split()),
            "1 epoch, last loss",
            "X: 2 sequences of 4 to 30 steps, median 17",
            "FLOPs of 30 steps",
            f"{cell}: ",
        )
    )
    assert ("time constant" in text) == (cell in ("gru", "lstm"))
    assert ("validation score" in text) == (cell == "gru")
    with pytest.raises(ValueError, match="not fitted"):
        describe(RNNClassifier(cell), X, n_features=2, n_outputs=2)


def test_a_converted_network_is_described():
    model = RNNRegressor("gru", (3,), **QUICK).fit(sequences([3, 4]), [0.0, 1.0])
    model.loss_curve_ = []
    model.n_iter_ = 0
    assert "converted from another library" in describe(model)


@pytest.mark.parametrize("cell", CELLS)
def test_a_forecaster_says_what_it_has_chosen(cell):
    pandas = pytest.importorskip("pandas")
    y = pandas.DataFrame({"a": np.arange(60) % 6.0, "b": 2 + np.arange(60) % 6.0})
    y.index = pandas.date_range("2024-01-01", periods=60, freq="h")
    y.iloc[6, 0] = np.nan
    X = pandas.DataFrame({"promotion": np.sin(np.arange(60)), "area": 2.0}, y.index)
    model = RNNForecaster(
        2, 6, cell=cell, hidden_layer_sizes=4, scale="mean", max_iter=1, n_nets=2, random_state=0
    )
    assert describe(model).endswith("not fitted")
    text = describe(model.fit(y, X))
    assert max(map(len, text.splitlines())) <= 80
    said = " ".join(text.split())
    net = model.nets_[0]
    for part in (
        "2 of 60 steps, 0.8% of the values missing",
        "a season of 6 steps",
        "scale mean calendar none covariates promotion (known of the past, ahead where given); "
        "area (constant)",
        "marked for the network",
        "network's part",
        "95 % times",
        f"{net.n_iter_} epochs, last loss {net.loss_curve_[-1]:.4g}",
        f"total {model.n_parameters_:,}",
    ):
        assert part in said, part
    assert said.count("epochs, last loss") == 2 and "chosen by" not in said
    # The memory of a forecaster without covariates, and of a network of it by hand.
    auto = RNNForecaster(2, 6, cell=cell, hidden_layer_sizes=4, max_iter=1, random_state=0).fit(y)
    text = describe(auto, y)
    assert max(map(len, text.splitlines())) <= 80
    assert f"{auto.scale_}, chosen by the windows" in text and f"\n{cell}: " in text
    sequences = network_inputs(auto, y)
    assert [len(x) for x in sequences] == [10, 10]
    assert gradient_flow(auto.nets_[0], sequences).cell == cell
    with pytest.raises(TypeError, match="estimator must be an RNNForecaster"):
        network_inputs(net)
    with pytest.raises(ValueError, match="not fitted"):
        describe(RNNForecaster(2), y)


def test_where_no_memory_can_be_measured_the_rest_is_described():
    X = np.arange(6.0).reshape(6, 1, 1)
    model = RNNRegressor("gru", (2,), max_iter=1, learning_rate="cosine").fit(X, X.ravel())
    text = describe(model, X)
    assert "X: 6 sequences of 1 step" in text and "layer0" in text
    assert "gru: no memory was measured. X must have a sequence of at least 2 steps" in text

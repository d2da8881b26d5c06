"""A description has every part that its estimator has."""

import pytest
from helpers.fitted import QUICK
from helpers.inspected import sequences
from helpers.strategies import CELLS

from lightrnn import RNNClassifier, RNNRegressor
from lightrnn.inspection import describe


@pytest.mark.parametrize("cell", CELLS)
def test_a_description_has_everything(cell):
    X = sequences([4, 30])
    model = RNNClassifier(cell, (4,), early_stopping=cell == "gru", **QUICK).fit(X * 4, [0, 1] * 4)
    text = describe(model, X)
    assert all(
        part in text
        for part in (repr(model), "1 epoch, last loss", "parameters, by hand", f"{cell}: ")
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

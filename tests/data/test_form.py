"""The form of X that a fit saw, and what is refused because it differs."""

import numpy as np
import pytest

from lightrnn.data.form import Form
from lightrnn.data.sequences import as_sequences

A = np.arange(6.0).reshape(3, 2)


def form_of(X):
    return Form.of(as_sequences(X))


def test_after_a_table_the_width_is_fixed():
    form = form_of(np.ones((4, 5)))
    assert form.attributes() == {"n_features_in_": 5}
    for X in (np.ones((2, 5)), np.ones((2, 5, 1)), [np.ones(5)]):
        assert len(form.read("Fitted", X)) == len(X)
    for X in (np.ones((2, 1)), np.ones((2, 1, 1)), [np.ones(5), np.ones(1)]):
        with pytest.raises(
            ValueError, match="X has 1 features, but Fitted is expecting 5 features as input"
        ):
            form.read("Fitted", X)
    with pytest.raises(
        ValueError, match="X must be a table of 5 columns, as in fit, got sequences of 5 features"
    ):
        form.read("Fitted", np.ones((2, 3, 5)))


def test_after_sequences_the_length_is_free():
    form = form_of([np.ones((4, 2)), np.ones((3, 2))])
    assert form.attributes() == {"n_features_in_": 2}
    assert len(form.read("Fitted", np.ones((5, 9, 2)))) == 5
    with pytest.raises(
        ValueError, match="X_val has 3 features, but Fitted is expecting 2 features as input"
    ):
        form.read("Fitted", [np.ones((4, 3))], name="X_val")
    with pytest.raises(ValueError, match=r"X has 9 features, .*X\.swapaxes\(1, 2\)"):
        form.read("Fitted", np.ones((5, 2, 9)))
    with pytest.raises(ValueError, match="X has 1 features"):
        form.read("Fitted", np.ones((4, 2)))
    assert len(form_of([[1, 2], [3]]).read("Fitted", [[1, 2, 3]])) == 1


@pytest.mark.parametrize("X", [[np.ones((4, 1)), np.ones((3, 1))], np.ones((5, 4, 1))])
def test_one_sequence_is_no_table_of_sequences(X):
    pandas = pytest.importorskip("pandas", reason="pandas is optional")
    form = form_of(X)
    wide = form_of([np.ones((4, 2)), np.ones((3, 2))])
    for one in (np.ones((3, 1)), np.ones((1, 3)), pandas.DataFrame({0: [1.0, 2.0]})):
        with pytest.raises(ValueError, match=r"put it in a list: \[X\]"):
            form.read("Fitted", one)
        assert len(form.read("Fitted", [np.ones((3, 1))])) == 1
    for one in (np.ones((4, 2)), np.ones((4, 2)).tolist(), pandas.DataFrame(np.ones((4, 2)))):
        with pytest.raises(ValueError, match=r"put it in a list: \[X\]"):
            wide.read("Fitted", one)
    # A list has a sequence in each item, and a table is what a fit on a table takes.
    assert len(form.read("Fitted", [[1, 2], [3, 4], [5, 6]])) == 3
    assert len(form.read("Fitted", pandas.Series([[1, 2], [3, 4]]))) == 2
    assert len(form_of(np.ones((4, 3))).read("Fitted", np.ones((2, 3)))) == 2


def test_names_are_compared_before_the_values():
    pandas = pytest.importorskip("pandas", reason="pandas is optional")
    form = form_of(pandas.DataFrame(A, columns=["u", "v"]))
    assert form.attributes()["feature_names_in_"].tolist() == ["u", "v"]
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        form.read("Fitted", pandas.DataFrame(A * np.nan, columns=["v", "u"]))
    with pytest.warns(
        UserWarning,
        match="X does not have valid feature names, but Fitted was fitted with feature names",
    ):
        form.read("Fitted", A)
    with pytest.warns(
        UserWarning, match="X has feature names, but Fitted was fitted without feature names"
    ):
        form_of(A).read("Fitted", pandas.DataFrame(A, columns=["u", "v"]))

"""Arrays and tables whose rows NaN fill up, as in the UCR archive, hold ragged sequences."""

import numpy as np
import pytest

from lightrnn import RNNClassifier, RNNRegressor
from lightrnn.preprocessing import SequenceScaler

BRIEF = {"hidden_layer_sizes": (3,), "max_iter": 2, "learning_rate": "cosine", "random_state": 0}
RNG = np.random.default_rng(0)
LENGTHS = np.array([7, 3, 1, 5, 7, 2, 4, 6, 3, 5, 2, 7])
LABELS = np.arange(12) % 2


def filled_up(*features):
    """Return random sequences as a list and as an array (12, 7, ...) that NaN fill up."""
    array = RNG.normal(size=(12, 7, *features))
    array[np.arange(7) >= LENGTHS[:, None]] = np.nan
    return [row[:T] for row, T in zip(array, LENGTHS, strict=True)], array


@pytest.mark.parametrize("features", [(), (2,)], ids=["table", "array"])
@pytest.mark.parametrize("kind", [RNNClassifier, RNNRegressor])
def test_a_filled_array_is_a_list_of_its_sequences(kind, features):
    sequences, array = filled_up(*features)
    held_out, held_out_array = filled_up(*features)
    model = kind("gru", **BRIEF)
    expected = model.fit(sequences, LABELS, X_val=held_out, y_val=LABELS)
    scores, predicted = expected.validation_scores_, expected.predict(held_out)
    found = model.fit(array, LABELS, X_val=held_out_array, y_val=LABELS)
    assert found.validation_scores_ == scores
    for form in (
        held_out_array,
        held_out_array.astype(object),
        np.ma.masked_invalid(held_out_array),
    ):
        assert np.array_equal(found.predict(form), predicted)
    assert found.n_features_in_ == (2 if features else 7)
    assert found.partial_fit(array, LABELS).n_iter_ == 3
    scaled = SequenceScaler().fit(array)
    assert np.array_equal(scaled.mean_, SequenceScaler().fit(sequences).mean_)
    there_and_back = scaled.inverse_transform(scaled.transform(array))
    np.testing.assert_allclose(there_and_back, array)


def test_the_width_of_a_table_stays():
    _, table = filled_up()
    model = RNNClassifier("rnn", **BRIEF).fit(table, LABELS)
    whole = np.ones((3, 7))
    assert len(model.predict(whole)) == len(model.predict(whole[..., None])) == 3
    assert len(model.predict(np.pad(whole[:, :4], ((0, 0), (0, 3)), constant_values=np.nan))) == 3
    with pytest.raises(ValueError, match=r"X has 4 features, .* is expecting 7 features"):
        model.predict(whole[:, :4])
    with pytest.raises(ValueError, match=r"X has 4 features, .* filled up with NaN"):
        model.predict(list(whole[:, :4]))


def test_steps_have_a_target_each():
    sequences, array = filled_up(2)
    y = [x[:, 0] > 0 for x in sequences]
    model = RNNClassifier("rnn", target="step", **BRIEF).fit(array, y)
    assert [len(labels) for labels in model.predict(array)] == LENGTHS.tolist()
    with pytest.raises(ValueError, match=r"y\[1\] must have 3 entries"):
        model.fit(array, array[..., 0] > 0)


def test_a_long_frame_is_refused_and_one_of_unequal_rows_is_not_taken_for_it():
    pandas = pytest.importorskip("pandas", reason="pandas is optional")
    _, table = filled_up()
    frame = pandas.DataFrame(table, columns=list("abcdefg"))
    with pytest.raises(ValueError, match="X has 12 sequences but y has 5"):
        RNNClassifier(**BRIEF).fit(frame, LABELS[:5])


def test_tools_of_scikit_learn_take_them():
    selection = pytest.importorskip("sklearn.model_selection", reason="tests against scikit-learn")
    _, table = filled_up()
    scores = selection.cross_val_score(RNNClassifier("rnn", **BRIEF), table, LABELS, cv=2)
    assert scores.shape == (2,)

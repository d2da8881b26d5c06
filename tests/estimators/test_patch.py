"""With `patch` the network reads several steps as one input, as if they had been joined by hand."""

import pickle

import numpy as np
import pytest
from helpers.strategies import CELLS, DTYPES
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNRegressor, load

QUICK = {"hidden_layer_sizes": (5,), "max_iter": 2, "learning_rate": "cosine", "random_state": 0}


def by_hand(x, p):
    """Join each p steps of (T, F) to one; the last step fills up the last of them."""
    return np.pad(x, [(0, -len(x) % p), (0, 0)], mode="edge").reshape(-1, p * x.shape[1])


def same_weights(one, other):
    return all(np.array_equal(array, other.weights_[name]) for name, array in one.weights_.items())


@settings(max_examples=20)
@given(
    cell=st.sampled_from(CELLS),
    both=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    standardize=st.booleans(),
    table=st.booleans(),
    p=st.integers(2, 4),
    F=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_it_is_the_network_of_joined_steps(cell, both, dtype, standardize, table, p, F, seed):
    rng = np.random.default_rng(seed)
    X = [3 * rng.normal(size=(T, F)) + 7 for T in range(1, 3 * p + 1)]
    if table:
        X = rng.normal(size=(8, int(rng.integers(1, 3 * p + 1))))
    y = rng.normal(size=len(X))
    options = QUICK | {"cell": cell, "dtype": dtype, "window": 3}
    options["bidirectional"] = both and cell != "ffnn"
    model = RNNRegressor(patch=p, standardize=standardize, **options).fit(X, y)
    steps = [row[:, None] for row in X] if table else X
    if standardize:
        steps = [((x - model.X_mean_) / model.X_scale_).astype(dtype) for x in steps]
    joined = [by_hand(x, p) for x in steps]
    plain = RNNRegressor(standardize=False, **options).fit(joined, y)
    assert (model.patch_, plain.patch_) == (p, 1)
    assert same_weights(model, plain) and model.n_features_in_ == (len(X[0]) if table else F)
    assert np.array_equal(model.predict(X), plain.predict(joined))
    assert np.array_equal(model.transform(X[:3]), plain.transform(joined[:3]))


X = [np.random.default_rng(T).normal(size=(T, 2)) + 3 for T in range(1, 41)]
Y = [T % 2 for T in range(1, 41)]


@pytest.mark.parametrize("patch", ["auto", 4])
def test_it_is_saved_and_stays_while_training_goes_on(patch, tmp_path):
    model = RNNClassifier("gru", patch=patch, **QUICK).fit(X, Y)
    p = {"auto": 1}.get(patch, patch)
    assert model.patch_ == p
    model.save(tmp_path / "model")
    pickled = pickle.loads(pickle.dumps(model))
    assert pickled.patch_ == p and np.array_equal(pickled.predict(X), model.predict(X))
    loaded = load(tmp_path / "model")
    assert (loaded.patch, loaded.patch_) == (patch, p)
    assert np.array_equal(loaded.predict_proba(X), model.predict_proba(X))
    # Longer sequences do not change what "auto" has found.
    longer = [np.repeat(x, 9, axis=0) for x in X]
    for going_on in (loaded.partial_fit, loaded.set_params(warm_start=True).fit):
        going_on(longer, Y)
        assert loaded.patch_ == p
    before = loaded.weights_
    loaded.set_params(patch=7)
    for going_on in (loaded.partial_fit, loaded.fit):
        with pytest.raises(ValueError, match=f"patch must stay {p} while training goes on, got 7"):
            going_on(X, Y)
    assert all(np.array_equal(before[name], loaded.weights_[name]) for name in before)
    loaded.save(tmp_path / "again")  # with the arguments of the fit
    assert load(tmp_path / "again").patch_ == p


def test_a_length_by_the_training_sequences():
    def found(X, y, **options):
        return RNNClassifier(**QUICK | {"patch": "auto", "max_iter": 1} | options).fit(X, y).patch_

    long = np.random.default_rng(0).normal(size=(6, 100, 2))
    assert found(long, [0, 1] * 3) == 5 and found(long[..., 0], [0, 1] * 3) == 5
    assert found(long, [0, 1] * 3, cell="ffnn") == 1
    assert found(["ab" * 50, "ba" * 50], [0, 1]) == 1
    assert found(list(long), [np.arange(100) % 2] * 6, target="step") == 1
    # A sequence without weight is none.
    model = RNNClassifier(**QUICK | {"patch": "auto"})
    some = [*long, *np.zeros((7, 400, 2))]
    assert model.fit(some, [0, 1] * 3 + [1] * 7, sample_weight=[1] * 6 + [0] * 7).patch_ == 5


def test_where_there_can_be_none():
    with pytest.raises(ValueError, match="patch must be 'auto' or 1 for tokens, got 2"):
        RNNClassifier(patch=2).fit(["ab", "ba"], [0, 1])
    with pytest.raises(ValueError, match="patch must be 'auto' or 1 with target='step', got 2"):
        RNNClassifier(patch=2, target="step").fit(X, Y)


def test_one_too_long_for_memory_is_refused_before_it_is_made():
    with pytest.raises(ValueError, match=r"that fits into memory, .* batch_size or patch"):
        RNNClassifier(patch=10**9, **QUICK).fit(X, Y)
    some = RNNClassifier(patch=1000, **QUICK).fit(X, Y)  # all sequences are one patch
    assert same_weights(some, RNNClassifier(patch=1000, **QUICK).fit(X, Y))


def test_truncation_counts_steps():
    options = {"patch": 4, "cell": "gru", **QUICK}
    three, whole = (RNNClassifier(truncate=k, **options).fit(X, Y) for k in (9, 12))
    assert same_weights(three, whole)
    assert not same_weights(three, RNNClassifier(truncate=8, **options).fit(X, Y))


def test_validation_and_early_stopping_read_patches():
    options = QUICK | {"patch": 5, "early_stopping": True}
    held_out = RNNClassifier(scoring="score", **options).fit(X, Y, X_val=X[:9], y_val=Y[:9])
    scored = RNNClassifier(scoring=lambda e, X, y: e.score(X, y), **options)
    scored.fit(X, Y, X_val=X[:9], y_val=Y[:9])
    assert scored.validation_scores_ == held_out.validation_scores_


def test_memory_maps_stay_on_disk(tmp_path):
    rng = np.random.default_rng(0)
    maps = []
    for i, T in enumerate((6, 7, 8, 11)):
        maps.append(np.memmap(tmp_path / f"{i}", np.float32, "w+", shape=(T, 2)))
        maps[-1][:] = rng.normal(size=(T, 2))
    model = RNNClassifier("rnn", patch=3, truncate=4, **QUICK).fit(maps, [0, 1] * 2)
    items = model._read_sequences(model._model, maps)
    assert isinstance(items[0], np.memmap) and not any(isinstance(x, np.ndarray) for x in items[1:])
    copies = [np.array(x) for x in maps]
    assert same_weights(
        model, RNNClassifier("rnn", patch=3, truncate=4, **QUICK).fit(copies, [0, 1] * 2)
    )
    assert np.array_equal(model.predict_proba(maps), model.predict_proba(copies))
    with pytest.raises(ValueError, match=r"X\[0\] must give finite outputs"):
        model.predict([np.full((7, 2), 3e38, np.float32)])

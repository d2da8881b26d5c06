"""Shapley values are those of brute force; states that are reused change no output."""

from itertools import permutations

import numpy as np
import pytest
from helpers.fitted import QUICK
from helpers.inspected import fitted, sequences
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor
from lightrnn.inspection import attribution
from lightrnn.inspection.objective import fitted_copy
from lightrnn.inspection.scalar_output import ScalarOutput
from lightrnn.inspection.shapley import Coalitions, group_index


def brute_force(value, n_groups):
    """Return the mean gain of each group over all orders."""
    gains = np.zeros(n_groups)
    orders = list(permutations(range(n_groups)))
    for order in orders:
        members = np.zeros(n_groups, bool)
        before = value(members)
        for group in order:
            members[group] = True
            after = value(members)
            gains[group] += (after - before) / len(orders)
            before = after
    return gains


@settings(max_examples=18)
@given(
    cell=st.sampled_from(["ffnn", "rnn", "gru", "lstm"]),
    sizes=st.sampled_from([(3,), (3, 4)]),
    form=st.sampled_from(["plain", "both ways", "mean", "patch", "step", "missing", "marks"]),
    groups=st.sampled_from(["step", "feature", "own"]),
)
def test_values_are_those_of_brute_force(cell, sizes, form, groups):
    options = {
        "both ways": {"bidirectional": cell != "ffnn"},
        "mean": {"pooling": "mean"},
        "patch": {"patch": 3},
        "step": {"target": "step"},
        "missing": {"missing": "mask"},
        "marks": {"missing": "mask", "patch": 2},
    }.get(form, {})
    X = sequences([4, 4, 4])
    y = [x[:, 0] for x in X] if form == "step" else [0.0, 1, 2]
    if form == "missing":
        X[0][1, 0] = np.nan
    if form == "marks":  # the sequence itself has none missing
        X[1][1, 0] = np.nan
    model = fitted(cell, sizes, X=X, y=y, **options)
    baseline = sequences([4, 4])[1][::-1]
    own = np.array([[0, 1], [0, 2], [1, 1], [2, 3]])
    index = group_index(X[0], own if groups == "own" else groups, 0)
    at = 2 if form == "step" else None

    def value(members):
        predicted = model.predict([np.where(members[index], X[0], baseline)])[0]
        return predicted if at is None else predicted[at]

    wanted = brute_force(value, index.max() + 1)
    found = attribution(
        model,
        X[:1],
        at,
        method="shapley",
        baseline=baseline,
        groups=own if groups == "own" else groups,
    )
    np.testing.assert_allclose(found[0], wanted, atol=1e-10)
    assert not found.standard_errors[0].any()
    # Orders one by one go through the states that are carried on.
    output = ScalarOutput(fitted_copy(model), 0, at)
    coalitions = Coalitions(output, X[0], baseline, index)
    gains = coalitions.arrivals(np.array(list(permutations(range(len(wanted))))))
    np.testing.assert_allclose(gains.mean(axis=0), wanted, atol=1e-10)


def test_samples_add_up_and_say_how_sure_they_are():
    X = sequences([30, 12])
    model = fitted("gru", (5,), X=X, y=[0.0, 1])
    few = attribution(model, X, method="shapley", n_permutations=10)
    many = attribution(model, X, method="shapley", n_permutations=400, random_state=1)
    for i in range(2):
        total = few.outputs[i] - few.baseline_outputs[i]
        np.testing.assert_allclose([few[i].sum(), many[i].sum()], total, atol=1e-9)
        error = np.hypot(few.standard_errors[i], many.standard_errors[i])
        assert np.abs(few[i] - many[i]).max() <= 6 * error.max()
        assert many.standard_errors[i].mean() < few.standard_errors[i].mean()
    again = attribution(model, X, method="shapley", n_permutations=10)
    assert np.array_equal(again[0], few[0])
    pairs = attribution(model, X[1:], method="shapley", groups="step_feature", n_permutations=4)
    assert pairs[0].shape == pairs.standard_errors[0].shape == (12, 2)


def test_tokens_and_groups():
    words = RNNClassifier("gru", (4,), **QUICK).fit([["a", "b"], ["b", "c"]] * 2, [0, 1] * 2)
    assert attribution(words, [["a", "b"]], method="shapley")[0].shape == (2,)
    text = RNNLanguageModel("lstm", (5,), max_iter=1, random_state=0).fit(["to be or not"] * 3)
    assert attribution(text, ["to b"], method="shapley", n_permutations=4)[0].shape == (5,)
    with pytest.raises(ValueError, match="groups must be 'step' for tokens"):
        attribution(words, [["a", "b"]], method="shapley", groups="feature")
    X = sequences([4, 4])
    model = RNNRegressor("gru", (4,), **QUICK).fit(X, [0.0, 1])
    for bad in ("lag", [0, 2, 2, 2], np.zeros((3, 2), int), [0.5] * 4):
        with pytest.raises(ValueError, match="groups must be one of"):
            attribution(model, X, method="shapley", groups=bad)
    halves = attribution(model, X, method="shapley", groups=[0, 0, 1, 1])
    assert halves[0].shape == (2,) and halves.axes == "group"


def test_patches_longer_than_the_sequence(tmp_path):
    """As those of a memory map, they become an array late."""
    X = sequences([1, 2, 9])
    for i, x in enumerate(X):
        np.save(tmp_path / f"{i}.npy", x)
    maps = [np.load(tmp_path / f"{i}.npy", mmap_mode="r") for i in range(len(X))]
    model = RNNRegressor("rnn", (3,), **QUICK, patch=5, dtype="float64").fit(X, [0.0, 1.0, 2.0])
    found, of_maps = (attribution(model, some, method="shapley") for some in (X, maps))
    for shares, same, output, base in zip(
        found, of_maps, found.outputs, found.baseline_outputs, strict=True
    ):
        assert shares.sum() == pytest.approx(output - base, abs=1e-9)
        assert np.array_equal(shares, same)

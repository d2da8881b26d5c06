"""The structure of a network: names and shapes of its parameters, dropout masks, output units."""

import numpy as np
import pytest
from helpers.strategies import CELLS, DTYPES, problems
from hypothesis import given, settings

from lightrnn.nn.network import Network

# Folding the scale into the weights rounds differently from scaling the outputs.
TOLERANCE = {"float64": 1e-12, "float32": 3e-5}


def test_named_arrays_have_the_documented_names_and_shapes():
    shapes = {
        name: array.shape
        for name, array in Network("gru", 3, (5, 4), 2, bidirectional=True).arrays().items()
    }
    biases = {"b_ih": (15,), "b_hh": (15,)}, {"b_ih": (12,), "b_hh": (12,)}
    parts = (
        {"W_ih": (3, 15), "W_hh": (5, 15)} | biases[0],
        {"W_ih": (10, 12), "W_hh": (4, 12)} | biases[1],
    )
    assert shapes == {
        **{
            f"layer0{r}.{name}": shape for r in ("", ".reverse") for name, shape in parts[0].items()
        },
        **{
            f"layer1{r}.{name}": shape for r in ("", ".reverse") for name, shape in parts[1].items()
        },
        "head.W": (8, 2),
        "head.b": (2,),
    }
    assert {
        name: a.shape for name, a in Network("ffnn", 3, (5,), 1, window=4).arrays().items()
    } == {
        "layer0.W": (12, 5),
        "layer0.b": (5,),
        "head.W": (5, 1),
        "head.b": (1,),
    }
    lstm = Network("lstm", 3, (5,), 2)
    assert lstm.arrays()["layer0.W_ih"].shape == (3, 20) and lstm.arrays()["layer0.b"].shape == (
        20,
    )
    assert lstm.n_parameters == sum(array.size for array in lstm.arrays().values())


@settings(max_examples=20)
@given(problem=problems(head="linear"))
def test_scaled_outputs(problem):
    network = problem.network()
    before = network.outputs(problem.X)
    rng = np.random.default_rng(problem.seed)
    scale = rng.uniform(0.5, 2, problem.k)
    shift = rng.normal(size=problem.k)
    network.rescale_outputs(scale, shift)
    for got, was in zip(network.outputs(problem.X), before, strict=True):
        tolerance = TOLERANCE[problem.dtype]
        assert np.allclose(got, was * scale + shift, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dropout_masks_keep_the_mean_and_are_drawn_by_the_seed(dtype):
    network = Network("rnn", 2, (30, 50), 1, bidirectional=True, dropout=0.3, dtype=dtype)
    masks = network.dropout_masks(400, np.random.default_rng(0))
    assert [mask.shape for mask in masks] == [(400, 60), (400, 100)]
    # One mask per level, both directions together; levels are drawn independently.
    for mask in masks:
        assert mask.dtype == dtype
        assert np.allclose(np.unique(mask), [0, 1 / 0.7])
        assert abs(mask.mean() - 1) < 0.03
    again = network.dropout_masks(400, np.random.default_rng(0))
    assert all(np.array_equal(a, b) for a, b in zip(masks, again, strict=True))
    assert not np.array_equal(masks[0][:, :50], masks[1][:, :50])


@pytest.mark.parametrize("cell", CELLS)
def test_outputs_follow_every_change_of_the_parameters(cell):
    network = Network(cell, 2, (3,), 1, window=2)
    X = [np.ones((4, 2))]
    network.initialize(np.random.default_rng(0))
    first = network.outputs(X)
    network.parameters[:] *= 2
    doubled = network.outputs(X)
    network.initialize(np.random.default_rng(0))
    assert not np.array_equal(first, doubled)
    assert np.array_equal(first, network.outputs(X))

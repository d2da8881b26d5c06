"""The arrays that runs keep from batch to batch."""

from dataclasses import replace

import numpy as np
import pytest

from lightrnn.losses import make_loss
from lightrnn.nn import workspace
from lightrnn.nn.batches import Batch
from lightrnn.nn.forward_backward import ForwardBackward
from lightrnn.nn.network import Network
from lightrnn.nn.workspace import Buffer, Workspace


def test_a_buffer_keeps_its_array_until_that_is_too_small():
    buffer = Buffer("float32")
    array = buffer.at_least(3, 4)
    assert array.dtype == np.float32
    assert array.shape == (3, 4)
    assert not array.any()
    assert buffer.at_least(2, 4) is array
    assert buffer.at_least(3, 4) is array
    assert buffer.at_least(5, 4).shape == (5, 4)
    assert buffer.at_least(1, 6).shape == (1, 6)


@pytest.mark.parametrize("tokens", [0, 5])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_slots_that_are_not_kept_are_few_and_change_no_bit(cell, tokens, monkeypatch):
    monkeypatch.setattr(workspace, "_FEW_ROWS", 16)  # three steps at once, then more
    network = Network(cell, 3, (17, 5), 2, bidirectional=True, target="step", n_tokens=tokens)
    rng = np.random.default_rng(0)
    network.initialize(rng)
    X = [
        rng.integers(0, tokens, T) if tokens else rng.normal(size=(T, 3))
        for T in (40, 31, 30, 2, 1)
    ]
    space = Workspace(network.levels, network.dtype)
    runs = [ForwardBackward(network, Batch.of_inputs(X), space) for _ in range(3)]
    outputs = []
    rows = []
    for run, kept in zip(runs, (False, True, False), strict=True):
        run.forward(kept=kept)
        outputs.append(np.concatenate(run.outputs()))
        rows += [len(buffers.slots) for level in space.levels for buffers in level]
    assert np.array_equal(outputs[0], outputs[1]) and np.array_equal(outputs[0], outputs[2])
    assert rows == [15] * 4 + [109] * 4 + [15] * 4


@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_states_of_which_only_the_last_is_read_take_one_row_a_sequence(cell, both_ways):
    network = Network(cell, 3, (17, 5), 2, bidirectional=both_ways)
    rng = np.random.default_rng(0)
    network.initialize(rng)
    batch = Batch.of_inputs([rng.normal(size=(T, 3)) for T in (40, 31, 30, 2, 1)])
    directions = 1 + both_ways
    before = tuple(np.ones((5, len(zeros)), zeros.dtype) for zeros in network.zero_states())
    space = Workspace(network.levels, network.dtype)
    results = []
    rows = []
    for states in ((), before):
        for kept in (False, True, False):
            run = ForwardBackward(network, replace(batch, states=states), space)
            run.forward(kept=kept)
            results.append([run.outputs(), run.features(), *run.final_states()])
            rows += [len(buffers.state) for level in space.levels for buffers in level]
    for first, second in ((0, 1), (0, 2), (3, 4), (3, 5)):
        assert all(map(np.array_equal, results[first], results[second]))
    few = [109] * directions + [5] * directions
    assert rows == 2 * [*few, *[109] * 2 * directions, *few]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_rows_at_once_do_not_change_the_gradient(cell, monkeypatch):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(T, 3)) for T in (40, 31, 30, 2, 1)]
    batch = Batch.of(X, rng.integers(0, 2, 5), np.ones(5))
    gradients = []
    for rows in (5, 16, 384):  # one step at a time, three, all
        monkeypatch.setattr(workspace, "_FEW_ROWS", rows)
        network = Network(cell, 3, (17,), 2)
        network.initialize(np.random.default_rng(1))
        network.loss_and_gradient(batch, make_loss("softmax"))
        gradients.append(network.gradient)
    largest = np.abs(gradients[0]).max()
    assert np.abs(gradients - gradients[0]).max() < 1e-5 * largest

"""A batch on the GPU in little memory: gates computed twice, the same bits."""

import re
from dataclasses import replace

import numpy as np
import pytest
from helpers.networks import bits, randomize, weight_bits
from helpers.strategies import Problem, problems
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn import RNNClassifier
from lightrnn.inspection import describe
from lightrnn.losses import make_loss
from lightrnn.nn.batches import Batch
from lightrnn.nn.network import Network
from lightrnn.training.truncation import chunks

RECURRENT = ("rnn", "gru", "lstm")
QUICK = {"device": "cuda", "dtype": "float64", "max_iter": 2, "random_state": 0}


@pytest.fixture(autouse=True, scope="module")
def short_segments():
    segments = pytest.importorskip("lightrnn.cuda.segments")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "SEGMENT_BYTES", 1)
        yield


def results(gpu, problem, available):
    """Return the bits of loss, gradient and final states of a batch, truncated or not."""
    host = problem.network()
    network = gpu.CudaNetwork(host, 0)
    network.available = available
    parts = chunks(problem.batch(host), problem.truncate, network)
    found = [bits(network, batch, problem.make_loss()) for batch in parts]
    network.close()
    return found


@settings(max_examples=6)
@given(data=st.data())
def test_no_bit_depends_on_the_memory_there_is(gpu, data):
    drawn = data.draw(problems(cells=RECURRENT, dtypes=("float64",), max_size=4))
    problem = replace(drawn, lengths=drawn.lengths[:4])
    assert results(gpu, problem, 0) == results(gpu, problem, np.inf)


NUMBERS = {"n_tokens": 0, "head": "linear", "k": 2, "F": 2}
TIED = {"n_tokens": 4, "head": "tied", "k": 4, "F": 4}  # as wide as both directions of 2 units
ADAPTIVE = {"n_tokens": 5, "head": "adaptive", "k": 8, "F": 2}
PERCEPTRON = {
    **NUMBERS,
    "loss": "squared_error",
    "head_layer_sizes": (3,),
    "head_activation": "tanh",
}
BOTH_WAYS = [
    ("lstm", (3, 2), 0.4, PERCEPTRON, {"target": "sequence"}),
    ("gru", (2,), 0.0, TIED, {"target": "sequence", "pooling": "attention"}),
    ("rnn", (3, 1, 2), 0.4, TIED, {"target": "step"}),
    ("lstm", (3,), 0.0, ADAPTIVE, {"target": "step"}),
    ("gru", (2, 3), 0.4, NUMBERS, {"target": "sequence", "pooling": "max"}),
    ("rnn", (2, 3), 0.0, ADAPTIVE, {"target": "sequence", "pooling": "mean"}),
    ("gru", (1, 2), 0.4, PERCEPTRON, {"target": "step"}),
    ("rnn", (2,), 0.4, {**NUMBERS, "n_tokens": 3}, {"target": "sequence"}),
    ("lstm", (2, 2), 0.4, TIED, {"target": "sequence", "pooling": "attention"}),
]


@pytest.mark.parametrize(("cell", "sizes", "dropout", "ends", "target"), BOTH_WAYS)
def test_each_direction_has_segments_of_its_own(
    gpu, monkeypatch, cell, sizes, dropout, ends, target
):
    """With ragged lengths and initial states; and the CPU has the same gradient."""
    from lightrnn.cuda.layer_run import LayerRun

    again = []
    original = LayerRun.keep_gradient
    monkeypatch.setattr(
        LayerRun, "keep_gradient", lambda *given: again.append(given) or original(*given)
    )
    shape = {"dropout": dropout, "seed": 5, "lengths": (2, 5, 4), **ends, **target}
    problem = Problem(cell, sizes, True, **shape)
    host = problem.network()
    batch = problem.batch(host)
    before = gpu.CudaNetwork(host, 0)
    before.run(batch)
    states = before.final_states
    before.close()
    found = []
    for available in (0, np.inf):
        network = gpu.CudaNetwork(host, 0)
        network.available = available
        found.append(bits(network, replace(batch, states=states), problem.make_loss()))
        network.close()
    host.run(batch)
    wanted = host.loss_and_gradient(replace(batch, states=host.final_states), problem.make_loss())
    assert found[0] == found[1]
    assert np.isclose(found[0][0], wanted)
    assert again
    assert np.allclose(np.frombuffer(found[0][1]), host.gradient, rtol=1e-9, atol=1e-12)


def test_the_first_of_equal_maxima_gets_the_gradient(gpu):
    """Whichever segment it is in: the state comes to rest after some steps."""
    host = randomize(Network("rnn", 1, (2,), 2, pooling="max"), np.random.default_rng(3))
    batch = Batch.of([np.ones((60, 1)), np.ones((33, 1))], np.array([0, 1]), np.ones(2))
    gradients = []
    for available in (0, np.inf):
        network = gpu.CudaNetwork(host, 0)
        network.available = available
        gradients.append(bits(network, batch, make_loss("softmax"))[1])
        network.close()
    assert gradients[0] == gradients[1]


def test_a_fit_in_little_memory_gives_the_same_weights(gpu, monkeypatch):
    """Several blocks share a layer: they wait for each other in every segment."""
    from lightrnn.cuda import driver, forward
    from lightrnn.cuda.layer_run import LayerRun
    from lightrnn.cuda.recurrence import tiling

    used = []
    again = []

    def choose(*sizes, back):
        limits = driver.Limits(4, 40000, threads=8)
        used.append(tiling.choose(*sizes[:-1], limits, back=back))
        return used[-1]

    def keep_gradient(run, segment):
        again.append(segment)
        original(run, segment)

    original = LayerRun.keep_gradient
    monkeypatch.setattr(forward, "choose", choose)
    monkeypatch.setattr(LayerRun, "keep_gradient", keep_gradient)
    monkeypatch.setattr(gpu, "SHARE", 2.0**-10)
    rng = np.random.default_rng(0)
    X = [rng.choice(list("abc"), T).tolist() for T in (7, 3, 5)]
    y = [np.arange(len(x)) % 2 for x in X]
    options = {"hidden_layer_sizes": (9,), "target": "step", "dropout": 0.3}
    fits = []
    for free in (2**40, 2**20):
        assert not again
        monkeypatch.setattr(driver, "memory", lambda free=free: (free, 2**40))
        fits.append(weight_bits(RNNClassifier("lstm", **options, **QUICK).fit(X, y)))
    assert fits[0] == fits[1]
    assert again and all(cut.blocks > 1 for cut in used)


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"target": "step"}])
def test_segments_take_less_memory(gpu, options):
    """For each further step; nothing is run."""
    grown = []
    for available in (0, np.inf):
        programs = [program_of(gpu, (50,), [T, T], available, **options) for T in (900, 3600)]
        (short, _), (long, _) = programs
        grown.append(long.bytes - short.bytes)
    assert grown[0] < grown[1] / 8


def test_targets_are_packed_once(gpu, monkeypatch):
    """Although a batch that needs segments is prepared twice; nothing is run."""
    from lightrnn.nn.packing import Steps

    packed = []
    by_step = Steps.by_step
    monkeypatch.setattr(
        Steps, "by_step", lambda self, values: packed.append(values) or by_step(self, values)
    )
    program_of(gpu, (50,), [900, 900], 0, target="step")
    assert len(packed) == 4  # targets and weights, of the batch and of the one of zeros beside it


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("target", ["sequence", "step"])
@pytest.mark.parametrize("available", [0, np.inf])
def test_the_memory_of_a_batch_is_known_before(gpu, bidirectional, target, available):
    """Of ragged sequences, by their number and the sum of their lengths; nothing is run."""
    options = {"bidirectional": bidirectional, "target": target, "dropout": 0.2}
    program, shown = program_of(gpu, (20, 9), [900, 850, 600], available, **options)
    assert abs(program.bytes - shown) < 0.15 * program.bytes


def test_rows_that_begin_far_before_their_segment_are_copied_all_the_same(gpu):
    """Row 0 of a late segment would be before all numbers: its address is below 0."""
    from lightrnn.cuda.gather import copy

    copies = []
    for units in (3, 50):
        program, _ = program_of(gpu, (units, units), 2 * [3600], 0, dropout=0.2)
        copies.append(sum(kernel is copy("float32") for kernel, *_ in program._launches))
    assert copies[0] == copies[1]


def program_of(gpu, sizes, lengths, available, **options):
    """Return a batch's program, and the bytes of one of as many sequences and steps."""
    host = Network("lstm", 3, sizes, 2, **options)
    network = gpu.CudaNetwork(host, 0)
    network.available = available
    count = len(lengths)
    step = host.target == "step"
    values = [np.ones((T, 2)) for T in lengths] if step else np.ones((count, 2))
    weights = [np.ones(T) for T in lengths] if step else np.ones(count)
    masks = host.dropout_masks(count, np.random.default_rng(0))
    batch = Batch.of([np.zeros((T, 3)) for T in lengths], values, weights, masks)
    run, _ = network._prepare(batch, make_loss("squared_error"))
    shown = network.batch_bytes(count, sum(lengths))
    network.close()
    return run.program, shown


@pytest.mark.parametrize("available", [0, np.inf])
def test_the_batch_size_that_would_fit_is_the_largest_one(gpu, available):
    """Nothing is run."""
    from lightrnn.cuda.blank_batch import blank_batch

    network = gpu.CudaNetwork(Network("lstm", 3, (20,), 2, bidirectional=True), 0)
    network.available = available
    run, _ = network._prepare(blank_batch(network.host, 40, 40 * 90), make_loss("softmax"))
    free = 0.4 * run.program.bytes
    size = int(re.search(r"batch_size=(\d+) would fit", network._fitting(run, free))[1])
    sizes = [network._program(B, 90 * B).sizes for B in (size, size + 1)]
    taken, more = (network.memory.bytes_for(*each) for each in sizes)
    network.close()
    assert taken <= free < more


def test_described_memory_is_that_of_the_gpu(gpu, monkeypatch):
    from lightrnn.cuda import driver

    net = RNNClassifier("lstm", (20,), bidirectional=True, **QUICK)
    for free, all_ in ((2**40, True), (2**16, False)):
        monkeypatch.setattr(driver, "memory", lambda free=free: (free, 2**40))
        text = describe(net, T=900, B=2, n_features=1, n_outputs=2).replace("\n", " ")
        assert "MB on the GPU for a batch of 2 sequences" in text
        assert ("more than a quarter of the memory on the GPU" in text) is not all_

"""Minibatches, and the packings that say where their steps are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn.data.samples import Samples
from lightrnn.losses import make_loss
from lightrnn.nn.batches import Batch
from lightrnn.nn.groups import group_sequences, original_order
from lightrnn.nn.network import Network
from lightrnn.nn.packing import Steps, Windows, blocks
from lightrnn.training.minibatches import BUCKET, Minibatches, minibatches
from lightrnn.training.truncation import chunks

# Few and short sequences: what goes wrong does so at lengths that are equal, 1, or one apart.
lengths_lists = st.lists(st.integers(1, 9), min_size=1, max_size=12)
falling = lengths_lists.map(lambda lengths: np.array(sorted(lengths, reverse=True), np.int64))


def sequences(lengths, F=2):
    """X[b][t, f] = 100 b + t + f / 10: every number says where it comes from."""
    return [100.0 * b + np.arange(T)[:, None] + np.arange(F) / 10 for b, T in enumerate(lengths)]


# -- minibatches -----------------------------------------------------------------------------------


@given(
    lengths=lengths_lists.map(np.array),
    batch_size=st.integers(1, 15),
    shuffle=st.booleans(),
    seed=st.integers(0, 99),
)
def test_every_sequence_once_an_epoch(lengths, batch_size, shuffle, seed):
    batches = minibatches(lengths, batch_size, np.random.default_rng(seed) if shuffle else None)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert len(batches) == -(-len(lengths) // batch_size)
    assert sum(len(batch) != batch_size for batch in batches) <= 1
    if not shuffle:
        assert np.concatenate(batches).tolist() == list(range(len(lengths)))


def test_a_seed_means_an_order():
    lengths = np.random.default_rng(0).integers(1, 50, 300)

    def epoch(seed):
        return [batch.tolist() for batch in minibatches(lengths, 16, np.random.default_rng(seed))]

    assert epoch(1) == epoch(1) != epoch(2)
    rng = np.random.default_rng(1)
    first, second = ([b.tolist() for b in minibatches(lengths, 16, rng)] for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    "lengths", [np.repeat([3, 9], 200), np.arange(1, 401)], ids=["few", "all_differ"]
)
def test_no_two_epochs_have_the_same_batches(lengths):
    rng = np.random.default_rng(0)
    first, second = ({tuple(sorted(b)) for b in minibatches(lengths, 16, rng)} for _ in range(2))
    # Sorting by length alone would make the same batches again.
    assert first.isdisjoint(second)


def test_batches_of_the_same_lengths_share_their_rows():
    lengths = np.array([5, 3, 3])
    assert Steps.of(lengths) is Steps.of(lengths.copy()) and Steps.of(lengths) is not Steps.of(
        lengths[:2]
    )
    assert np.array_equal(Steps.of(lengths).source, Steps(lengths).source)


def test_a_batch_has_sequences_of_similar_lengths_in_no_order_of_length():
    lengths = np.random.default_rng(0).integers(1, 1000, 3000)
    batches = minibatches(lengths, 20, np.random.default_rng(0))
    spread = np.mean([np.ptp(lengths[batch]) for batch in batches])
    # A bucket of BUCKET batches covers all lengths: a batch has about 1 / BUCKET of the range.
    assert spread < 1000 / BUCKET * 2.5
    means = [lengths[batch].mean() for batch in batches]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3


# -- batches ---------------------------------------------------------------------------------------


def make(lengths, target="sequence", dropout=0.0, cell="rnn"):
    network = Network(cell, 2, (3,), 1, target=target, dropout=dropout, dtype="float64")
    network.initialize(np.random.default_rng(0))
    X = sequences(lengths)
    values = [x[:, :1] for x in X] if target == "step" else np.array([[x[-1, 0]] for x in X])
    weights = [1 + x[:, 0] for x in X] if target == "step" else np.array([1 + x[-1, 0] for x in X])
    masks = network.dropout_masks(len(X), np.random.default_rng(0))
    return network, X, Batch.of(X, values, weights, masks)


@pytest.mark.parametrize("target", ["sequence", "step"])
@given(lengths=lengths_lists, count=st.integers(1, 4))
@settings(max_examples=30)
def test_a_batch_and_its_shards_keep_what_belongs_together(target, lengths, count):
    _, X, batch = make(lengths, target)
    assert sorted(batch.order) == list(range(len(lengths)))
    total = len(np.concatenate(X)) if target == "step" else len(X)
    seen = []
    for s in range(min(count, len(lengths))):
        shard = batch.shard(s, count)
        assert shard.n_targets == batch.n_targets == total
        assert np.all(np.diff(shard.lengths) <= 0)
        for x, T, i, y, w in zip(
            shard.X, shard.lengths, batch.order[s::count], shard.targets, shard.weights, strict=True
        ):
            assert x is X[i] and len(x) == T
            assert np.array_equal(np.ravel(y), x[:, 0] if target == "step" else x[-1:, 0])
            assert np.array_equal(np.ravel(w), 1 + np.ravel(y))
            seen.append(int(i))
    assert sorted(seen) == list(range(len(lengths)))


@given(lengths=lengths_lists, truncate=st.integers(1, 5))
@settings(max_examples=30)
def test_chunks_by_step_cover_every_step_once(lengths, truncate):
    network, X, batch = make(lengths, "step", dropout=0.5)
    steps = {i: [] for i in range(len(X))}
    for chunk in chunks(batch, truncate, network):
        network.run(chunk)
        assert chunk.n_targets == len(np.concatenate(chunk.X))
        masks = batch.masks[0][: len(chunk.X)]
        assert np.array_equal(chunk.masks[0], masks)
        # Those that reach a chunk are the first ones.
        order = batch.order[: len(chunk.X)]
        for i, x, y in zip(order, chunk.X, chunk.targets, strict=True):
            assert 0 < len(x) <= truncate and np.array_equal(x[:, :1], y)
            steps[int(i)].append(x)
    assert all(np.array_equal(np.concatenate(parts), X[i]) for i, parts in steps.items())


@given(lengths=lengths_lists, truncate=st.integers(1, 5))
@settings(max_examples=30)
def test_one_chunk_by_sequence_ends_where_the_sequence_does(lengths, truncate):
    network, X, batch = make(lengths)
    (chunk,) = chunks(batch, truncate, network)
    for i, x, T in zip(batch.order, chunk.X, chunk.lengths, strict=True):
        assert len(x) == T == min(truncate, len(X[i])) and np.array_equal(x, X[i][-truncate:])
    if chunk.states:
        rested = np.array([len(X[i]) <= truncate for i in batch.order])
        assert not chunk.states[0][rested].any() and chunk.states[0][~rested].any(axis=1).all()
    assert (truncate >= max(lengths)) == (chunk is batch)


@settings(max_examples=20)
@given(
    lengths=lengths_lists,
    truncate=st.none() | st.integers(1, 4),
    target=st.sampled_from(["step", "sequence"]),
    seed=st.integers(0, 99),
)
def test_a_batch_knows_where_its_steps_lie_among_all(lengths, truncate, target, seed):
    network = Network("rnn", 2, (1,), 1, target=target)
    network.initialize(np.random.default_rng(0))
    X = sequences(lengths)
    values = [np.ones(T) for T in lengths] if target == "step" else np.ones(len(X))
    feed = Minibatches(
        Samples(X, np.array(lengths), values, values),
        3,
        True,
        truncate,
        np.random.default_rng(seed),
    )
    everything = np.concatenate(X)
    for _, batch in feed.epoch(network):
        for x, place in zip(batch.X, batch.offsets, strict=True):
            assert np.array_equal(everything[place : place + len(x)], x)
        network.run(batch)  # the next chunk begins where it ends


@pytest.mark.parametrize("truncate", [None, 3])
def test_dropped_tokens_are_read_as_the_unknown_one_in_training_alone(truncate):
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 60, 100)
    X = [rng.integers(1, 9, T) for T in lengths]
    before = [codes.copy() for codes in X]
    network = Network("rnn", 2, (1,), 1, n_tokens=9)
    network.initialize(rng)
    samples = Samples(X, lengths, np.ones(100), np.ones(100))
    feed = Minibatches(samples, 8, False, truncate, rng, token_dropout=0.3)
    epochs = []
    for _ in range(2):
        read = []
        for _, batch in feed.epoch(network):
            network.run(batch)
            read += batch.X
        epochs.append(np.concatenate(read))
    assert abs(np.mean(epochs[0] == 0) - 0.3) < 0.05 and (epochs[0] != epochs[1]).any()
    assert all(np.array_equal(x, codes) for x, codes in zip(X, before, strict=True))
    assert not any((codes == 0).any() for batch in feed.whole(network, 8) for codes in batch.X)
    if truncate is None:
        order = [
            codes
            for _, batch in Minibatches(samples, 8, False, None, rng).epoch(network)
            for codes in batch.X
        ]
        kept = epochs[0] != 0
        assert np.array_equal(epochs[0][kept], np.concatenate(order)[kept])


def test_steps_that_weigh_nothing_are_run_over_and_not_learned_from():
    network, X, batch = make([6, 3], "step")
    for weights in batch.weights:
        weights[2:4] = 0
    starts = [
        int(chunk.X[0][0, 0]) for chunk in chunks(batch, 2, network) if network.run(chunk) is None
    ]
    assert starts == [0, 4]
    got = [chunk.states for chunk in chunks(batch, 2, network) if network.run(chunk) is None][-1]
    network.run(Batch.of_inputs([X[0][:4]]))
    assert np.array_equal(got[0][:1], network.final_states[0])


# -- rows ------------------------------------------------------------------------------------------


@given(lengths=falling)
def test_steps_are_in_the_order_of_time_and_hold_no_padding(lengths):
    steps = Steps(lengths)
    B = len(lengths)
    X = sequences(lengths)
    rows = np.full((steps.stop, 2), np.nan)
    steps.load(np.concatenate(X), rows)
    assert steps.start == steps.first[1] == B and steps.first[0] == 0
    assert steps.stop == steps.first[-1] == B + lengths.sum()
    for t in range(max(lengths)):
        running = [b for b in range(B) if lengths[b] > t]
        assert np.array_equal(
            rows[steps.first[t + 1] : steps.first[t + 2]], [X[b][t] for b in running]
        )
    assert np.array_equal(rows[steps.last_rows], [x[-1] for x in X])
    assert np.array_equal(steps.all_rows, np.arange(B, steps.stop))
    assert np.array_equal(steps.members, rows[B:, 0] // 100)


@given(lengths=falling)
def test_mirrored_rows_run_back_from_each_sequences_end(lengths):
    steps = Steps(lengths)
    rows, back = (np.zeros((steps.stop, 2)) for _ in range(2))
    steps.load(np.concatenate(sequences(lengths)), rows)
    steps.load(np.concatenate([x[::-1] for x in sequences(lengths)]), back)
    mirror = steps.mirrored_rows
    assert np.array_equal(rows[mirror], back[steps.start :])
    # Mirrored twice is where it was.
    assert np.array_equal(mirror[mirror - steps.start], steps.all_rows)


@given(lengths=falling)
def test_values_by_step_and_back(lengths):
    X = sequences(lengths)
    for layout in (Steps(lengths), Windows(lengths, 3, last=False)):
        by_step = layout.by_step(X)
        assert all(
            np.array_equal(a, b) for a, b in zip(layout.by_sequence(by_step), X, strict=True)
        )
    steps = Steps(lengths)
    rows = np.zeros((steps.stop, 2))
    steps.load(np.concatenate(X), rows)
    assert np.array_equal(rows[steps.start :], steps.by_step(X))


@given(lengths=falling, seed=st.integers(0, 99))
def test_rows_are_the_same_wherever_the_sequences_begin(lengths, seed):
    X = sequences(lengths)
    steps = Steps(lengths)
    order = np.random.default_rng(seed).permutation(len(X))
    ends = np.cumsum(lengths[order])
    offsets = np.empty(len(X), np.int64)
    offsets[order] = ends - lengths[order]
    rows, scattered = (np.zeros((steps.stop, 2)) for _ in range(2))
    steps.load(np.concatenate(X), rows)
    steps.load(np.concatenate([X[i] for i in order]), scattered, offsets)
    assert np.array_equal(rows, scattered)


@pytest.mark.parametrize("target", ["sequence", "step"])
@pytest.mark.parametrize(("cell", "truncate"), [("lstm", None), ("lstm", 2), ("ffnn", None)])
def test_batches_of_sequences_that_are_held_are_the_same_to_the_bit(cell, truncate, target):
    lengths = np.array([3, 7, 1, 5, 5, 2, 9])
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((T, 3)) for T in lengths]
    values = (
        [rng.standard_normal((T, 2)) for T in lengths]
        if target == "step"
        else rng.standard_normal((7, 2))
    )
    weights = [np.ones(T) for T in lengths] if target == "step" else np.ones(7)
    samples = Samples([np.asfortranarray(x) for x in X], lengths, values, weights)
    losses = []
    # Packed from the concatenated copy, and from the sequences themselves.
    for held in (True, False):
        network = Network(cell, 3, (4,), 2, target=target, window=3)
        network.initialize(np.random.default_rng(1))
        for _, batch in Minibatches(samples, 3, True, truncate, np.random.default_rng(2)).epoch(
            network
        ):
            assert network.cached is not None
            if not held:
                batch.offsets = None
            value = network.loss_and_gradient(batch, make_loss("squared_error"))
            losses.append((value, network.gradient.copy()))
    half = len(losses) // 2
    for (a, da), (b, db) in zip(losses[:half], losses[half:], strict=True):
        assert a == b and np.array_equal(da, db)
    network.release_training_memory()
    assert network.cached is None


def test_much_data_is_not_held():
    network = Network("rnn", 1, (1,), 1)
    # 128 MB that take none: every step is the same four bytes.
    far = np.broadcast_to(np.zeros((1, 1), np.float32), (1 << 25, 1))
    network.cache_sequences([far], np.array([len(far)]), 1)
    assert network.cached is None


@given(lengths=falling, window=st.integers(1, 6))
def test_windows_are_the_last_inputs_side_by_side(lengths, window):
    X = sequences(lengths)
    padded = [np.vstack([np.zeros((window - 1, 2)), x]) for x in X]
    every = Windows(lengths, window, last=False)
    last = Windows(lengths, window, last=True)
    want = [
        [p[t : t + window].ravel() for t in range(len(x))] for p, x in zip(padded, X, strict=True)
    ]
    steps = np.concatenate([np.zeros((1, 2)), *X])
    assert np.array_equal(every.inputs(steps)[every.index], np.concatenate(want))
    assert np.array_equal(last.inputs(steps)[last.index], [rows[-1] for rows in want])
    assert np.array_equal(every.members, np.repeat(np.arange(len(X)), lengths))
    assert np.array_equal(last.members, np.arange(len(X)))
    assert every.inputs(steps).shape == (every.n_rows, window * 2)
    # The same where the sequences stand among others, in another order.
    offsets = np.cumsum([1 + len(x) for x in X[::-1]])[::-1] - lengths
    among = np.zeros((1 + offsets[0] + lengths[0], 2))
    for x, offset in zip(X, offsets, strict=True):
        among[1 + offset : 1 + offset + len(x)] = x
    for windows in (every, last):
        assert np.array_equal(
            windows.inputs(among, offsets)[windows.index], windows.inputs(steps)[windows.index]
        )


@given(rows=st.integers(1, 2000), start=st.integers(0, 50))
def test_blocks_cover_the_rows(rows, start):
    first = blocks(start, rows)
    assert first[0] == first[1] == start and first[-1] == start + rows
    sizes = np.diff(first[1:])
    assert sizes.sum() == rows and np.all(sizes > 0) and np.all(np.diff(sizes) <= 0)


@given(lengths=lengths_lists.map(np.array), max_steps=st.integers(1, 50), threads=st.integers(1, 5))
def test_groups_have_every_sequence_once(lengths, max_steps, threads):
    groups = group_sequences(lengths, max_steps, threads)
    joined = np.concatenate(groups)
    assert np.array_equal(joined[original_order(groups)], np.arange(len(lengths)))
    # Longest first; a group is longer than wanted by less than its longest sequence.
    assert np.all(np.diff(lengths[joined]) <= 0)
    assert all(lengths[group].sum() < max_steps + lengths[group].max() for group in groups)


def test_every_thread_predicts_as_many_groups():
    sizes = [len(group) for group in group_sequences(np.full(512, 100), 8192, 2)]
    assert sizes == [64] * 8  # seven would do


@given(lengths=lengths_lists)
def test_sequences_of_any_dtype_and_layout_are_read_alike(lengths):
    X = [np.floor(x) for x in sequences(lengths, F=3)]
    # Integers in Fortran's order, and float32.
    odd = [
        np.asfortranarray(x.astype(np.int64)) if i % 2 else x.astype(np.float32)[:, ::1]
        for i, x in enumerate(X)
    ]
    network = Network("rnn", 3, (2,), 1, dtype="float64")
    network.initialize(np.random.default_rng(0))
    assert np.array_equal(network.outputs(odd), network.outputs(X))

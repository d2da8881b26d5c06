"""How time loops are cut: nothing is left out, nothing is too large for the GPU."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightrnn.cells import CELLS
from lightrnn.cuda.driver import Limits
from lightrnn.cuda.recurrence.block_product import apart
from lightrnn.cuda.recurrence.tiling import choose

H100 = Limits(132, 227 * 1024)


@given(
    cell=st.sampled_from(["rnn", "gru", "lstm"]),
    H=st.integers(1, 40) | st.integers(1, 3000),
    B=st.integers(1, 40) | st.integers(1, 5000),
    itemsize=st.sampled_from([4, 8]),
    multiprocessors=st.sampled_from([1, 8, 40, 132]),
    back=st.booleans(),
)
def test_every_cut_covers_all_and_fits(cell, H, B, itemsize, multiprocessors, back):
    limits, rule = Limits(multiprocessors), CELLS[cell]
    G = len(rule.gates)
    if (H * G + 1056) * itemsize > limits.shared_bytes and multiprocessors <= 8:
        return  # the sums of one block's columns are too many; the largest layers need more blocks
    cut = choose(rule, H, B, itemsize, limits, back=back)
    columns, terms = (cut.units, G * H) if back else (G * cut.units, H)
    rounds = -(-columns // (4 * cut.lanes))
    assert (cut.blocks - 1) * cut.units < H <= cut.blocks * cut.units
    assert (cut.parts - 1) * cut.share < terms and cut.share % 4 == 0
    assert cut.parts * cut.lanes <= cut.threads and cut.spread == rounds * 4 * cut.lanes >= columns
    assert cut.alone == (cut.number == 1) and cut.number == (
        3 if not cut.resident else 1 + (cut.blocks > 1)
    )
    if cut.resident:
        assert (
            cut.resident + cut.stored == cut.share
            and cut.parts * cut.share >= terms
            and rounds == 1
        )
        assert cut.resident * itemsize <= 96
    assert cut.blocks == 1 or cut.groups * cut.blocks <= multiprocessors
    assert not cut.alone or cut.groups * cut.tiles * cut.rows >= B
    of_tile = cut.parts * (apart(cut.rows * cut.share) + apart(cut.rows * cut.spread))
    assert cut.shared == cut.tiles * of_tile + cut.stored * 4 * cut.threads
    assert cut.shared * itemsize <= limits.shared_bytes
    assert (cut.groups - 1) * cut.rows < B
    assert cut.folds == cut.parts or (cut.parts >= 16 and cut.folds < cut.parts)
    assert cut.folds == cut.parts or cut.folds * cut.tiles * cut.spread * cut.rows <= cut.threads


@pytest.mark.parametrize(
    "cell, H, B, number, blocks",
    [
        ("lstm", 64, 32, 1, 1),
        ("gru", 96, 1, 1, 1),
        ("lstm", 128, 32, 2, 2),
        ("lstm", 256, 16, 2, 8),
        ("lstm", 1024, 1, 2, 128),
        ("lstm", 2048, 1, 3, 128),
    ],
)
def test_which_regime_a_large_gpu_takes(cell, H, B, number, blocks):
    cut = choose(CELLS[cell], H, B, 4, H100, back=False)
    assert (cut.number, cut.blocks) == (number, blocks)


def test_what_no_gpu_can_do_is_said():
    with pytest.raises(
        RuntimeError,
        match=r"hidden_layer_sizes must be smaller for this GPU, got 20000 units. Lower",
    ):
        choose(CELLS["lstm"], 20000, 1, 8, Limits(1), back=False)


@given(length=st.integers(1, 5000).map(lambda n: 4 * n))
def test_parts_begin_in_other_banks(length):
    assert length < apart(length) <= length + 8
    assert apart(length) % 16 and apart(length) % 4 == 0

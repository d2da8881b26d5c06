"""How time loops are cut: nothing is left out, nothing is too large for the GPU."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightrnn.cells import CELLS
from lightrnn.cuda.driver import Limits
from lightrnn.cuda.recurrence.block_product import padded_stride
from lightrnn.cuda.recurrence.tiling import choose

H100 = Limits(132, 227 * 1024)


def regime(tiling):
    """1: one block has W_hh; 2: several blocks have it; 3: it is read again in every step."""
    return 1 + (tiling.blocks > 1) if tiling.resident else 3


@given(
    cell=st.sampled_from(["rnn", "gru", "lstm"]),
    H=st.integers(1, 40) | st.integers(1, 3000),
    B=st.integers(1, 40) | st.integers(1, 5000),
    itemsize=st.sampled_from([4, 8]),
    multiprocessors=st.sampled_from([1, 8, 40, 132]),
    back=st.booleans(),
)
def test_every_cut_covers_all_and_fits(cell, H, B, itemsize, multiprocessors, back):
    limits = Limits(multiprocessors)
    rule = CELLS[cell]
    G = len(rule.gates)
    if (H * G + 1056) * itemsize > limits.shared_bytes and multiprocessors <= 8:
        return  # the sums of one block's columns are too many; the largest layers need more blocks
    tiling = choose(rule, H, B, itemsize, limits, back=back)
    columns, terms = (tiling.units, G * H) if back else (G * tiling.units, H)
    rounds = -(-columns // (4 * tiling.lanes))
    assert (tiling.blocks - 1) * tiling.units < H <= tiling.blocks * tiling.units
    assert (tiling.parts - 1) * tiling.terms_per_part < terms and tiling.terms_per_part % 4 == 0
    assert (
        tiling.parts * tiling.lanes <= tiling.threads
        and tiling.padded_columns == rounds * 4 * tiling.lanes >= columns
    )
    assert tiling.single_block == (regime(tiling) == 1)
    if tiling.resident:
        assert (
            tiling.resident + tiling.stored == tiling.terms_per_part
            and tiling.parts * tiling.terms_per_part >= terms
            and rounds == 1
        )
        assert tiling.resident * itemsize <= 96
    assert tiling.blocks == 1 or tiling.groups * tiling.blocks <= multiprocessors
    assert not tiling.single_block or tiling.groups * tiling.tiles * tiling.tile_sequences >= B
    of_tile = tiling.parts * (
        padded_stride(tiling.tile_sequences * tiling.terms_per_part)
        + padded_stride(tiling.tile_sequences * tiling.padded_columns)
    )
    assert tiling.shared == tiling.tiles * of_tile + tiling.stored * 4 * tiling.threads
    assert tiling.shared * itemsize <= limits.shared_bytes
    assert (tiling.groups - 1) * tiling.tile_sequences < B
    assert tiling.partial_sums == tiling.parts or (
        tiling.parts >= 16 and tiling.partial_sums < tiling.parts
    )
    assert (
        tiling.partial_sums == tiling.parts
        or tiling.partial_sums * tiling.tiles * tiling.padded_columns * tiling.tile_sequences
        <= tiling.threads
    )


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
    tiling = choose(CELLS[cell], H, B, 4, H100, back=False)
    assert (regime(tiling), tiling.blocks) == (number, blocks)


def test_what_no_gpu_can_do_is_said():
    with pytest.raises(
        RuntimeError,
        match=r"hidden_layer_sizes must be smaller for this GPU, got 20000 units. Lower",
    ):
        choose(CELLS["lstm"], 20000, 1, 8, Limits(1), back=False)


@given(length=st.integers(1, 5000).map(lambda n: 4 * n))
def test_parts_begin_in_other_banks(length):
    assert length < padded_stride(length) <= length + 8
    assert padded_stride(length) % 16 and padded_stride(length) % 4 == 0

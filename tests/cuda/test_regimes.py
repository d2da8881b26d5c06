"""How time loops are cut: nothing is left out, nothing is too large for the GPU."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightrnn.cells import CELLS
from lightrnn.cuda.driver import Limits
from lightrnn.cuda.regimes import choose

H100 = Limits(132)


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
    if H * G * itemsize > limits.shared_bytes - 1024 and multiprocessors <= 8:
        return  # the sums of one block's columns are too many; the largest layers need more blocks
    cut = choose(rule, H, B, itemsize, limits, back=back)
    columns, terms = (cut.units, G * H) if back else (G * cut.units, H)
    assert (cut.blocks - 1) * cut.units < H <= cut.blocks * cut.units
    assert cut.parts * cut.share >= terms or not cut.alone
    assert (cut.parts - 1) * cut.share < terms and cut.share % 8 == 0
    assert cut.parts * cut.lanes <= cut.threads and cut.lanes == min(columns, cut.threads)
    assert not cut.resident or (cut.resident == cut.share and cut.lanes == columns and cut.parts * cut.share >= terms)
    assert cut.shared == cut.rows * cut.parts * (cut.share + columns) and cut.shared * itemsize <= limits.shared_bytes
    assert cut.blocks == 1 or cut.groups * cut.blocks <= multiprocessors
    assert cut.slices(B)[-1] < B <= cut.slices(B)[-1] + cut.groups * cut.rows
    assert cut.number == (3 if not cut.resident else 1 + (cut.blocks > 1))


@pytest.mark.parametrize(
    "cell, H, B, number, blocks",
    [("lstm", 64, 32, 1, 1), ("gru", 64, 1, 1, 1), ("lstm", 128, 32, 2, 4), ("lstm", 256, 16, 2, 16)],
)
def test_which_regime_a_large_gpu_takes(cell, H, B, number, blocks):
    cut = choose(CELLS[cell], H, B, 4, H100, back=False)
    assert (cut.number, cut.blocks) == (number, blocks)


def test_what_no_gpu_can_do_is_said():
    with pytest.raises(RuntimeError, match=r"hidden_layer_sizes must be smaller for this GPU, got 20000 units. Lower"):
        choose(CELLS["lstm"], 20000, 1, 8, Limits(1), back=False)

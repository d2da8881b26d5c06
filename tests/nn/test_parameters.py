"""Named matrices in one flat vector: nothing lost, nothing but zeros in the padding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightrnn.nn.parameters import Layout, Parameter


@st.composite
def layouts(draw, dtype="float64"):
    parameters = []
    for i in range(draw(st.integers(1, 4))):
        units = draw(st.integers(1, 5))
        parameters.append(
            Parameter(
                name=f"p{i}",
                rows=draw(st.none() | st.integers(1, 4)),
                order=tuple(draw(st.permutations(range(draw(st.integers(1, 4)))))),
                units=units,
                width=units + draw(st.integers(0, 3)),
                cuts=(),
            )
        )
        columns = len(parameters[-1].order) * parameters[-1].width
        cuts = sorted(draw(st.sets(st.integers(1, columns), max_size=3)) - {columns})
        parameters[-1] = parameters[-1]._replace(cuts=cuts)
    return Layout(parameters, dtype)


def drawn(layout, seed=0):
    rng = np.random.default_rng(seed)
    return {
        p.name: rng.normal(
            size=(len(p.order) * p.units,) if p.rows is None else (p.rows, len(p.order) * p.units)
        )
        for p in layout.parameters
    }


@given(layout=layouts())
def test_arrays_undo_flatten(layout):
    arrays = drawn(layout)
    vector = layout.flatten(arrays)
    back = layout.arrays(vector)
    assert vector.shape == (layout.size,) and list(back) == list(arrays)
    assert all(np.array_equal(back[name], array) for name, array in arrays.items())
    assert layout.count == sum(array.size for array in arrays.values()) == np.count_nonzero(vector)


@given(layout=layouts())
def test_padding_is_not_seen_and_not_kept(layout):
    vector = np.random.default_rng(1).normal(size=layout.size)
    arrays = layout.arrays(vector)
    clean = layout.flatten(arrays)
    assert np.count_nonzero(clean) == layout.count
    assert np.array_equal(clean[clean != 0], vector[clean != 0])


@given(layout=layouts())
def test_blocks_are_views_and_arrays_are_copies(layout):
    vector = layout.flatten(drawn(layout))
    before = layout.arrays(vector)
    for block in layout.blocks(vector).values():
        assert np.shares_memory(block, vector)
        block *= 2
    after = layout.arrays(vector)
    for name, array in before.items():
        assert np.array_equal(2 * array, after[name]) and not np.shares_memory(array, vector)


def test_gates_are_stored_in_the_slots_order():
    """Gates r, z, n are stored as n, r, z, each padded from 2 to 3 columns."""
    layout = Layout(
        [Parameter("W", 1, (2, 0, 1), 2, 3, ()), Parameter("b", None, (2, 0, 1), 2, 3, (4,))],
        "float32",
    )
    public = np.array([10, 11, 20, 21, 30, 31])
    vector = layout.flatten({"W": public[None], "b": public + 100})
    assert vector.dtype == np.float32
    assert vector.tolist() == [
        30,
        31,
        0,
        10,
        11,
        0,
        20,
        21,
        0,
        130,
        131,
        0,
        110,
        111,
        0,
        120,
        121,
        0,
    ]
    assert layout.arrays(vector)["W"].shape == (1, 6) and layout.arrays(vector)["b"].shape == (6,)


def test_a_matrix_is_stored_panel_by_panel():
    layout = Layout([Parameter("W", 2, (0,), 5, 6, (4,))], "float32")
    vector = layout.flatten({"W": np.arange(10).reshape(2, 5)})
    assert vector.tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 4, 0, 9, 0]


def test_every_array_is_needed_and_must_fit():
    layout = Layout([Parameter("W", 2, (0,), 3, 4, ())], "float64")
    with pytest.raises(KeyError):
        layout.flatten({})
    with pytest.raises(ValueError, match=r"could not broadcast|reshape"):
        layout.flatten({"W": np.ones((3, 3))})

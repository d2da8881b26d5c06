"""The rules in NumPy: the published formulas, and a backward that is the derivative of forward."""

import numpy as np
import pytest
from helpers import naive

from lightrnn.cells import CELLS, HEAD_CELLS

ALL, RECURRENT = sorted(CELLS), ["gru", "lstm", "rnn"]


def draw(cell, seed=0, shape=(50,), dtype="float64"):
    """Random slots and state for a cell."""
    rng = np.random.default_rng(seed)
    slots, state = (
        tuple(rng.normal(0, 1.5, shape).astype(dtype) for _ in names)
        for names in (cell.slots, cell.states)
    )
    return slots, state


@pytest.mark.parametrize("name", RECURRENT)
def test_forward_is_the_published_formula(name):
    """The oracle's step with identity matrices, so that the sums of products are the slots."""
    cell = CELLS[name]
    slots, state = draw(cell, shape=(1,))
    by_name, G = dict(zip(cell.slots, slots, strict=True)), len(cell.gates)
    if name == "gru":
        x = np.concatenate([by_name["r"], by_name["z"], by_name["n"]])
        b_hh = np.concatenate([[0, 0], by_name["m"]])
        W = {"W_ih": np.eye(3), "b_ih": np.zeros(3), "W_hh": np.zeros((1, 3)), "b_hh": b_hh}
    else:
        x = np.concatenate([by_name[gate] for gate in cell.gates])
        W = {"W_ih": np.eye(G), "W_hh": np.zeros((1, G)), "b": np.zeros(G)}
    new, _ = cell.forward(slots, state)
    assert np.allclose(new, naive.STEPS[name](W, x, state), rtol=1e-14)


def test_layers_without_memory():
    slots, state = draw(CELLS["ffnn"])
    wanted = {name: naive.ACTIVATIONS[function] for function, name in HEAD_CELLS.items()}
    for name, formula in (wanted | {"linear": np.array}).items():
        want = formula(slots[0])
        (h,), _ = CELLS[name].forward(slots, state)
        assert np.allclose(h, want, rtol=1e-14, atol=1e-16)
        assert np.array_equal(CELLS[name].forward(slots, (state[0] + 1,))[0][0], h)


@pytest.mark.parametrize("name", ALL)
def test_backward_is_the_derivative_of_forward(name):
    """By central differences of <dstate, state> in each slot and each old state."""
    cell = CELLS[name]
    slots, old = draw(cell)
    dstate = draw(cell, seed=1)[1]
    state, saved = cell.forward(slots, old)
    dslots, dold = cell.backward(dstate, saved, state, old)

    def cost(slots, old):
        return sum(d * s for d, s in zip(dstate, cell.forward(slots, old)[0], strict=True))

    def difference(values, i, cost, step=1e-6):
        shifted = [
            tuple(v + sign * step if j == i else v for j, v in enumerate(values))
            for sign in (1, -1)
        ]
        return (cost(shifted[0]) - cost(shifted[1])) / (2 * step)

    for i, d in enumerate(dslots):
        assert np.allclose(d, difference(slots, i, lambda slots: cost(slots, old)), atol=1e-7), (
            cell.slots[i]
        )
    for i, d in enumerate(dold):
        want = difference(old, i, lambda old: cost(slots, old))
        assert np.allclose(0 if d is None else d, want, atol=1e-7), cell.states[i]


@pytest.mark.parametrize("name", ALL)
def test_what_is_saved_takes_the_slots_place(name):
    cell = CELLS[name]
    for dtype in ("float32", "float64"):
        slots, old = draw(cell, dtype=dtype)
        state, saved = cell.forward(slots, old)
        dslots, dold = cell.backward(state, saved, state, old)
        assert len(saved) == len(slots) == len(dslots) and len(state) == len(old) == len(dold)
        assert {v.dtype for v in (*state, *saved, *dslots, *dold) if v is not None} == {
            np.dtype(dtype)
        }


@pytest.mark.parametrize("name", ALL)
def test_gates_and_slots(name):
    cell = CELLS[name]
    G = len(cell.gates)
    assert cell.states[0] == "h"
    assert sorted(cell.input_gates) == sorted(cell.state_gates) == sorted(cell.gates)
    for gates, slots in ((cell.input_gates, cell.slots[:G]), (cell.state_gates, cell.slots[-G:])):
        assert all(
            gate == slot or slot not in cell.gates for gate, slot in zip(gates, slots, strict=True)
        )


def test_gate_orders_are_those_of_pytorch():
    assert CELLS["lstm"].gates == ("i", "f", "g", "o") and CELLS["gru"].gates == ("r", "z", "n")
    assert CELLS["gru"].input_gates == ("n", "r", "z") and CELLS["gru"].state_gates == (
        "r",
        "z",
        "n",
    )


@pytest.mark.parametrize("name", RECURRENT)
def test_zeros_stay_zeros(name):
    """Padding columns hold zeros; whatever the gates make of them must be zero again."""
    cell = CELLS[name]
    zero = np.zeros(1)
    state, saved = cell.forward((zero,) * len(cell.slots), (zero,) * len(cell.states))
    dslots, dold = cell.backward(
        (zero,) * len(cell.states), saved, state, (zero,) * len(cell.states)
    )
    assert not any(np.any(v) for v in (*state, *dslots, *dold) if v is not None)


@pytest.mark.parametrize("name", ALL)
def test_nan_is_not_swallowed(name):
    cell = CELLS[name]
    slots, old = draw(cell, shape=(1,))
    for i in range(len(slots)):
        spoilt = tuple(v * np.nan if j == i else v for j, v in enumerate(slots))
        assert np.isnan(cell.forward(spoilt, old)[0][0]).all(), cell.slots[i]

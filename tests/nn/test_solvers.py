"""Solvers follow the papers' formulas and PyTorch's steps; clipping, decay and state."""

import numpy as np
import pytest

from lightrnn.nn.solvers import SOLVERS, make_solver

NAMES = sorted(SOLVERS)
ALPHA = 0.03
RATE = 0.01


def obvious_sgd(p, gradients, momentum=0.9):
    v = np.zeros_like(p)
    for g in gradients:
        v = momentum * v - RATE * g
        p = (1 - RATE * ALPHA) * p + momentum * v - RATE * g
    return p


def obvious_rmsprop(p, gradients):
    s = np.zeros_like(p)
    for g in gradients:
        s = 0.9 * s + 0.1 * g**2
        p = (1 - RATE * ALPHA) * p - RATE * g / (np.sqrt(s) + 1e-7)
    return p


def obvious_adam(p, gradients):
    m = s = np.zeros_like(p)
    for t, g in enumerate(gradients, 1):
        m = 0.9 * m + 0.1 * g
        s = 0.999 * s + 0.001 * g**2
        p = (1 - RATE * ALPHA) * p - RATE * (m / (1 - 0.9**t)) / (
            np.sqrt(s / (1 - 0.999**t)) + 1e-8
        )
    return p


OBVIOUS = {"sgd": obvious_sgd, "rmsprop": obvious_rmsprop, "adam": obvious_adam}


def drawn(size=112, steps=12, dtype="float64", seed=0):
    """Return parameters, and gradients of many magnitudes."""
    rng = np.random.default_rng(seed)
    gradients = rng.normal(size=(steps, size)) * 10.0 ** rng.uniform(-6, 2, size)
    return rng.normal(size=size).astype(dtype), gradients.astype(dtype)


def run(solver, parameters, gradients, clip_norm=None):
    parameters = parameters.copy()
    for gradient in gradients:
        solver.step(parameters, gradient, RATE, clip_norm)
    return parameters


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_are_the_formulas(name, dtype):
    parameters, gradients = drawn(dtype=dtype)
    before = gradients.copy()
    got = run(make_solver(name, 112, dtype, alpha=ALPHA), parameters, gradients)
    tolerance = {"float32": 2e-5, "float64": 1e-13}[dtype]
    assert got.dtype == dtype and np.array_equal(gradients, before)
    want = OBVIOUS[name](parameters.astype(float), gradients.astype(float))
    assert np.allclose(got, want, rtol=tolerance, atol=tolerance)


def test_momentum_is_sgds_own():
    parameters, gradients = drawn()
    for momentum in (0.0, 0.5):
        got = run(
            make_solver("sgd", 112, "float64", momentum=momentum, alpha=ALPHA),
            parameters,
            gradients,
        )
        assert np.allclose(got, obvious_sgd(parameters, gradients, momentum), rtol=1e-13)
    assert np.array_equal(
        *(
            run(make_solver("adam", 112, "float64", momentum=m), parameters, gradients)
            for m in (0.1, 0.9)
        )
    )


@pytest.mark.parametrize("name", NAMES)
def test_steps_are_pytorchs(name):
    torch = pytest.importorskip("torch", reason="torch is an optional peer")
    parameters, gradients = drawn()
    theirs = torch.nn.Parameter(torch.tensor(parameters))
    make = {
        "sgd": lambda p: torch.optim.SGD(p, lr=RATE, momentum=0.9, nesterov=True),
        "rmsprop": lambda p: torch.optim.RMSprop(p, lr=RATE, alpha=0.9, eps=1e-7),
        "adam": lambda p: torch.optim.AdamW(p, lr=RATE, weight_decay=ALPHA, foreach=False),
    }[name]
    optimizer = make([theirs])
    for gradient in gradients:
        theirs.grad = torch.tensor(gradient)
        optimizer.step()
    # For the others PyTorch adds the decay to the gradient: compare without.
    alpha = ALPHA if name == "adam" else 0.0
    got = run(make_solver(name, 112, "float64", alpha=alpha), parameters, gradients)
    assert np.allclose(got, theirs.detach().numpy(), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_clipping_scales_a_long_gradient_and_no_short_one(name):
    parameters, gradients = drawn(steps=1)
    norm = np.linalg.norm(gradients[0])
    solver = make_solver(name, 112, "float64")
    got = parameters.copy()
    assert np.isclose(solver.step(got, gradients[0], RATE, 0.5 * norm), norm, rtol=1e-12)
    assert np.allclose(
        got, run(make_solver(name, 112, "float64"), parameters, 0.5 * gradients), rtol=1e-13
    )
    unclipped = run(make_solver(name, 112, "float64"), parameters, gradients)
    assert np.array_equal(
        run(make_solver(name, 112, "float64"), parameters, gradients, 2 * norm), unclipped
    )
    assert not np.array_equal(got, unclipped)


# Around the 1,024 elements that the kernel sums at a time.
@pytest.mark.parametrize("size", [16, 1008, 1024, 1040, 5008])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_norm_at_every_length(size, dtype):
    gradient = np.random.default_rng(0).normal(size=size).astype(dtype)
    norm = make_solver("sgd", size, dtype).step(np.zeros(size, dtype), gradient, RATE)
    assert type(norm) is float
    assert np.isclose(
        norm,
        np.linalg.norm(gradient.astype(float)),
        rtol={"float32": 1e-5, "float64": 1e-14}[dtype],
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_changes_nothing(name, bad):
    parameters, gradients = drawn(dtype="float32")
    solver = make_solver(name, 112, "float32", alpha=ALPHA)
    after = run(solver, parameters, gradients)
    state = {key: np.array(value) for key, value in solver.state.items()}
    gradients[0, 7] = bad
    again = after.copy()
    assert not np.isfinite(solver.step(again, gradients[0], RATE, 1.0))
    assert np.array_equal(after, again)
    assert all(np.array_equal(value, solver.state[key]) for key, value in state.items())


@pytest.mark.parametrize("name", NAMES)
def test_state_carries_on(name):
    parameters, gradients = drawn(dtype="float32")
    whole = run(make_solver(name, 112, "float32", alpha=ALPHA), parameters, gradients)
    first = make_solver(name, 112, "float32", alpha=ALPHA)
    half = run(first, parameters, gradients[:5])
    second = make_solver(name, 112, "float32", alpha=ALPHA)
    second.state = {
        key: np.copy(v) if isinstance(v, np.ndarray) else v for key, v in first.state.items()
    }
    assert np.array_equal(run(second, half, gradients[5:]), whole)
    assert second.state["steps"] == 12


@pytest.mark.parametrize("name", NAMES)
def test_padding_stays_zero(name):
    parameters, gradients = drawn(dtype="float32")
    parameters[::3] = 0
    gradients[:, ::3] = 0
    after = run(make_solver(name, 112, "float32", alpha=ALPHA), parameters, gradients, 1.0)
    assert not after[::3].any() and after[1::3].all()


@pytest.mark.parametrize("name", NAMES)
def test_every_solver_gets_down_a_bowl(name):
    scales = np.logspace(-1, 1, 32)
    parameters = np.ones(32)
    solver = make_solver(name, 32, "float64")
    for _ in range(400):
        solver.step(parameters, scales * parameters, 0.01)
    assert (scales * parameters**2).sum() < 0.02 * scales.sum()

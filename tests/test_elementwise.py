"""tanh and sigmoid in NumPy, SIMD registers and compiled scalars: accurate, and NaN passes."""

import functools
import math

import numpy as np
import pytest
from numba import float32, float64

from lightrnn.cpu import host
from lightrnn.cpu.jit import kernel, register_jitable
from lightrnn.cpu.registers import lanes, load, store
from lightrnn.cpu.simd import Vector, vector_of  # its import gives elementwise its compiled forms
from lightrnn.elementwise import (
    clip,
    expm1,
    fma,
    like,
    normal_cdf,
    normal_density,
    positive,
    sigmoid,
    tanh,
)

# A longer format than the one tested, where there is one: float64 is checked on x86 and most Linux.
WIDER = {"float32": np.float64, "float64": np.longdouble}
DTYPES = ["float32", "float64"]


@register_jitable
def functions(value):
    """Every function of a value."""
    return (
        tanh(value),
        sigmoid(value),
        clip(value, like(value, -2), like(value, 3)),
        positive(value, value + like(value, 1)),
        fma(value, value, -value),
        (value - value * value) / (value + like(value, 7)),
        expm1(clip(value, like(value, -50), like(value, 50))),
        normal_cdf(value),
        normal_density(value),
    )


@kernel
def registers(out, x):
    for j in range(0, x.shape[1], lanes(x)):
        results = functions(load(x, 0, j))
        for i in range(len(results)):
            store(out, i, j, results[i])


@kernel
def scalars(out, x):
    for j in range(x.shape[1]):
        results = functions(x[0, j])
        for i in range(len(results)):
            out[i, j] = results[i]


def arrays(out, x):
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        out[:] = functions(x[0])


KINDS = [arrays, registers, scalars]


def apply(kind, values, dtype):
    """Every function of the values, which are padded to whole registers."""
    x = np.zeros((1, host.padded(len(values), dtype)), dtype)
    x[0, : len(values)] = values
    out = np.empty((9, x.shape[1]), dtype)
    kind(out, x)
    return out[:, : len(values)]


def whole_range(dtype):
    """Both signs, from the smallest normal number to far beyond saturation, dense in the bend."""
    tiny = np.log10(float(np.finfo(dtype).tiny))
    positive = np.concatenate(
        [
            np.logspace(tiny + 0.1, 2.5, 30_000),
            np.linspace(0, 25, 100_001),
            np.linspace(25, 90, 9_999),
        ]
    )
    return np.concatenate([-positive, positive]).astype(dtype)


@functools.cache  # in a wider type it takes longer than all kinds of values together
def reference(dtype):
    """Return numbers of the whole range but 0, and tanh and sigmoid of them in a wider type."""
    x = whole_range(dtype)
    x = x[x != 0]
    wide = x.astype(WIDER[dtype])
    return x, np.tanh(wide), 1 / (1 + np.exp(-wide[np.abs(x) <= 80]))


def error_in_eps(got, want):
    """Relative error in units of the spacing at 1."""
    return np.max(np.abs(got.astype(want.dtype) / want - 1)) / np.finfo(got.dtype).eps


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("dtype", DTYPES)
def test_tanh_and_sigmoid_within_one_and_a_half_eps(kind, dtype):
    if np.finfo(WIDER[dtype]).eps >= np.finfo(dtype).eps:
        pytest.skip(
            "this machine's long double is no longer than float64, "
            "so there is nothing to compare with"
        )
    bound = (
        2.5 if kind is arrays and dtype == "float32" else 1.5
    )  # NumPy's own float32 expm1 is not better
    x, tanh, sigmoid = reference(dtype)
    out = apply(kind, x, dtype)
    assert error_in_eps(out[0], tanh) <= bound
    assert error_in_eps(out[1][np.abs(x) <= 80], sigmoid) <= bound
    assert np.all(out[1][x > 80] == 1) and np.all((out[1][x < -80] < 2e-35) & (out[1][x < -80] > 0))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_normal_distribution_to_the_last_digit(kind, dtype):
    """To an absolute error of an eps: shares beyond 12 are 0 or 1 by that."""
    x = np.linspace(-16, 16, 2001).astype(dtype)
    out, wide = apply(kind, x, dtype), x.astype(np.float64)
    share = np.array([math.erfc(-value / math.sqrt(2)) / 2 for value in wide])
    density = np.exp(-(wide**2) / 2) / math.sqrt(2 * math.pi)
    eps = np.finfo(dtype).eps
    assert abs(out[7] - share).max() <= eps and abs(out[8] - density).max() <= eps
    assert np.all(out[7] >= 0) and np.all(out[7] <= 1)
    far = apply(kind, [1e30, -1e30, np.nan, 0.0], dtype)[7]
    assert far[0] == 1 and abs(far[1]) < 1e-35 and np.isnan(far[2]) and far[3] == 0.5


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("dtype", DTYPES)
def test_at_zero_and_beyond_all_bounds(kind, dtype):
    out = apply(kind, [0.0, np.inf, -np.inf, 1e30, -1e30], dtype)
    assert out.dtype == dtype
    assert np.array_equal(out[0], np.array([0, 1, -1, 1, -1], dtype))
    assert np.allclose(out[1], [0.5, 1, 0, 1, 0], atol=2e-35, rtol=0)
    assert np.array_equal(out[2], np.array([0, 3, -2, 3, -2], dtype))
    assert np.array_equal(out[3], np.array([0, np.inf, 0, 1e30, 0], dtype))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_passes_through_everything_and_no_further(kind, dtype):
    values = np.linspace(-3, 3, 37)
    spoilt = np.where(np.arange(37) % 5 == 2, np.nan, values)
    clean, out = apply(kind, values, dtype), apply(kind, spoilt, dtype)
    assert np.isnan(out[:, np.isnan(spoilt)]).all()
    assert np.array_equal(out[:, ~np.isnan(spoilt)], clean[:, ~np.isnan(spoilt)])


@pytest.mark.parametrize("dtype", DTYPES)
def test_compiled_forms_mean_what_numpys_do(dtype):
    values = np.linspace(-6, 6, 1001)
    in_numpy = apply(arrays, values, dtype)
    eps = np.finfo(dtype).eps
    for kind in (registers, scalars):
        assert np.allclose(apply(kind, values, dtype), in_numpy, rtol=8 * eps, atol=40 * eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_register_arithmetic_is_that_of_its_elements_bit_for_bit(dtype):
    values = np.random.default_rng(0).normal(size=1000)
    assert np.array_equal(apply(registers, values, dtype)[5], apply(arrays, values, dtype)[5])


def test_fma_rounds_once():
    x = np.float32(1 + 2.0**-12)
    once = np.float64(x) * np.float64(x) - np.float64(x)  # exact in float64
    assert apply(registers, [x], "float32")[4][0] == np.float32(once)
    assert np.float32(x * x) - x != np.float32(once)


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_literal_widens_a_value(dtype):
    for value in (np.ones(3, dtype), np.dtype(dtype).type(0.3)):
        for function in (tanh, sigmoid, expm1):
            assert function(value).dtype == dtype
        assert clip(value, like(value, 0), like(value, 1)).dtype == dtype
        assert positive(value, value).dtype == dtype


def test_a_register_is_as_wide_as_the_host_says():
    for kind in (float32, float64):
        assert vector_of(kind) == Vector(kind, host.lanes(str(kind)))
        assert str(Vector(kind, 4)) != str(Vector(kind, 8)) and Vector(kind, 4) != Vector(kind, 8)

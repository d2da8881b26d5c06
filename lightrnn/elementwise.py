"""tanh, sigmoid and the few primitives under them, each written once for every kind of value.

A value is a NumPy array or number here, a SIMD register in a CPU kernel, a scalar in a GPU thread.
`like`, `fma`, `clip`, `positive`, `sqrt`, `exp`, `expm1`, `log` and `log1p` are the primitives: the
bodies below define them for NumPy, and each compiled target has its own (`cpu/simd.py` and
`cuda/intrinsics.py`; only the losses on the GPU need logarithms). Everything else is arithmetic on
them and needs no second version.
"""

from typing import Any

import numpy as np

Value = Any


def like(x: Value, constant: float) -> Value:
    """Give `constant` the type of `x`: a bare literal would turn float32 into float64."""
    return np.asarray(x).dtype.type(constant)


def fma(x: Value, y: Value, z: Value) -> Value:
    """``x * y + z``, rounded once where the hardware can."""
    return x * y + z


def clip(x: Value, low: Value, high: Value) -> Value:
    """`x` limited to [`low`, `high`]; NaN stays NaN."""
    return np.clip(x, low, high)


def positive(condition: Value, x: Value) -> Value:
    """`x` where `condition` > 0 or is NaN, else 0."""
    return np.where(condition <= 0, like(x, 0), x)


def sqrt(x: Value) -> Value:
    """Square root."""
    return np.sqrt(x)


def exp(x: Value) -> Value:
    """``exp(x)``."""
    return np.exp(x)


def expm1(x: Value) -> Value:
    """``exp(x) - 1`` without the cancellation near 0."""
    return np.expm1(x)


def log1p(x: Value) -> Value:
    """``log(1 + x)`` without the cancellation near 0."""
    return np.log1p(x)


def log(x: Value) -> Value:
    """Natural logarithm."""
    return np.log(x)


def tanh(x: Value) -> Value:
    """Hyperbolic tangent, relative error below 1.5 eps; 1 beyond 20 in either precision."""
    # The range is limited before exp overflows; tanh(20) rounds to 1 in float64 already.
    e = expm1(clip(x + x, like(x, -40), like(x, 40)))
    return e / (e + like(x, 2))


def sigmoid(x: Value) -> Value:
    """Logistic function ``1 / (1 + exp(-x))``; below -80 it stays at 1.8e-35, above 80 at 1."""
    # float32 holds exp(80), and exp(-80) without a denormal; its largest number is exp(88.7).
    e = exp(clip(x, like(x, -80), like(x, 80)))
    return e / (e + like(x, 1))


# Phi(-x) exp(x^2 / 2) for x >= 0 as a polynomial in (x - 4) / (x + 4), highest power first: the
# error, times exp(-x^2 / 2), is half an eps of float64.
_NORMAL = (
    -6.185305137043527e-11,
    -9.53280901237411e-10,
    -3.804371321672986e-10,
    9.254106473374843e-09,
    1.0294805141490678e-08,
    -4.903360450811261e-08,
    -9.509844476850158e-08,
    2.0260666332210318e-07,
    6.620898558363073e-07,
    -8.274167496195437e-07,
    -4.303793295748493e-06,
    4.630790150763515e-06,
    2.8648404558434127e-05,
    -4.5554704366007175e-05,
    -0.00018718427848137177,
    0.0006388138230802836,
    0.0005075620757683091,
    -0.008492095479715937,
    0.030864804106291704,
    -0.07170740733782954,
    0.1243792553392637,
    -0.17039772154845437,
    0.09441064130196894,
)
_NORMAL_DENSITY = 0.3989422804014327  # 1 / sqrt(2 pi)


def _bell(x: Value) -> Value:
    """``exp(-x^2 / 2)``; beyond 12.6 it stays at 1.8e-35."""
    return exp(clip(x * x * like(x, -0.5), like(x, -80), like(x, 0)))


def normal_density(x: Value) -> Value:
    """Density of the standard normal distribution."""
    return _bell(x) * like(x, _NORMAL_DENSITY)


def normal_cdf(x: Value) -> Value:
    """Distribution function of the standard normal distribution, absolute error below eps."""
    above = positive(x, x)
    size = above + above - x
    u = (size - like(x, 4)) / (size + like(x, 4))
    tail = like(x, 0)
    for coefficient in _NORMAL:
        tail = fma(tail, u, like(x, coefficient))
    tail = tail * _bell(x)
    return tail + positive(x, like(x, 1) - tail - tail)


def relative_exp(x: Value, greatest: Value) -> Value:
    """``exp(x - greatest)``, for an x that is not greater; NaN stays NaN."""
    # exp(-80) is negligible, and no denormal of float32 yet.
    difference = x - greatest
    return exp(clip(difference, like(difference, -80), like(difference, 0)))

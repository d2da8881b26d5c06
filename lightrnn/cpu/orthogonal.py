"""Orthogonal matrices, from which recurrent weights start.

LAPACK's would do, but they wake the threads of its BLAS, which then look for work for a tenth of a
second and keep their CPUs from the threads of a fit.
"""

import math

from .jit import DoubleRows, kernel, register_jitable

_COLUMNS = 64  # of a panel: its sums stay in the first-level cache, its rows in the second


@register_jitable
def _reflect(A, v, first, start, end, sums):
    """Let ``A[first:, start:end] -= v (v' A)``, with v from `first` on: a reflection if v'v = 2."""
    width = end - start
    for j in range(width):
        sums[j] = 0
    for i in range(first, len(A)):
        row = A[i, start:end]
        factor = v[i]
        for j in range(width):
            sums[j] += factor * row[j]
    for i in range(first, len(A)):
        row = A[i, start:end]
        factor = v[i]
        for j in range(width):
            row[j] -= factor * sums[j]


@kernel
def orthogonalize(
    A: DoubleRows,  # (n, n) IN, OVERWRITTEN
    Q: DoubleRows,  # (n, n) zeros IN, OUT
    reflections: DoubleRows,  # (n + 1, n) a vector in each row, and sums, OVERWRITTEN
):
    """Find the Q of A = QR with which the diagonal of R is positive [1]_.

    References
    ----------
    .. [1] Golub, G. and Van Loan, C. (2013). Matrix Computations, 4th edition, sections 5.1 and
       5.2: reflections of Householder.
    """
    n = len(A)
    sums = reflections[n]
    for start in range(0, n, _COLUMNS):
        end = min(start + _COLUMNS, n)
        for k in range(end):
            v = reflections[k]
            if k >= start:
                square = 0.0
                for i in range(k, n):
                    v[i] = A[i, k]
                    square += v[i] * v[i]
                norm = math.sqrt(square)
                Q[k, k] = -1 if v[k] > 0 else 1  # the sign of R's diagonal
                v[k] -= Q[k, k] * norm  # the signs are opposite, so that no digits are lost
                scale = 1 / math.sqrt(norm * abs(v[k]))
                for i in range(k, n):
                    v[i] *= scale
            _reflect(A, v, k, max(start, k + 1), end, sums)
    for start in range(0, n, _COLUMNS):
        end = min(start + _COLUMNS, n)
        for k in range(end - 1, -1, -1):
            _reflect(Q, reflections[k], k, start, end, sums)

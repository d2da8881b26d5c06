"""Tests of the GPU side: by the simulator, by what compilers say, and on a GPU where there is one.

The simulator has to be chosen before numba is imported, so it needs a process of its own:
``NUMBA_ENABLE_CUDASIM=1 python -m pytest tests/cuda``.
"""

import os
import sys

import pytest

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")

if SIMULATED:
    sys.setswitchinterval(1e-5)  # its threads wait for each other by looking again and again


@pytest.fixture(scope="session")
def gpu():
    """The simulator or a GPU, or the test is skipped."""
    pytest.importorskip("numba_cuda")
    from lightrnn import cuda

    if not cuda.driver.present():
        pytest.skip("neither the simulator (NUMBA_ENABLE_CUDASIM=1) nor a GPU is here")
    return cuda.network


@pytest.fixture
def compilers():
    """The compiler from kernels to PTX, which needs no GPU, or the test is skipped."""
    pytest.importorskip("numba_cuda")
    if SIMULATED:
        pytest.skip("the simulator compiles nothing; run without NUMBA_ENABLE_CUDASIM")
    from numba import cuda

    return cuda

"""Tests of the GPU side: on a GPU where there is one, else on a machine that runs PTX."""

import pytest


def pytest_addoption(parser):
    """Let `--seeds` say how many orders of threads `test_seeds` tries."""
    parser.addoption("--seeds", type=int, help="orders of threads for each pattern")


@pytest.fixture(scope="session")
def device():
    """The machine that runs PTX; None if there is a GPU."""
    pytest.importorskip("numba_cuda")
    from lightrnn import cuda

    if cuda.driver.present():
        return None
    from helpers.ptx.device import Device

    return Device()


@pytest.fixture(scope="session")
def gpu(device):
    """The module of networks on a GPU, which may be the machine."""
    from lightrnn.cuda import network

    return network


@pytest.fixture(autouse=True)
def machine_in_place_of_a_gpu(request):
    """Let a test of the GPU use the machine, and fail where that found a fault of a kernel."""
    device = "gpu" in request.fixturenames and request.getfixturevalue("device")
    if not device:
        yield
        return
    from helpers.ptx.device import installed

    with installed(device):
        yield
    # Also if the library made another error of it.
    faults = device.faults.copy()
    device.faults.clear()
    assert not faults


@pytest.fixture
def compilers():
    """The compiler from kernels to PTX, which needs no GPU, or the test is skipped."""
    pytest.importorskip("numba_cuda")
    from numba import cuda

    return cuda

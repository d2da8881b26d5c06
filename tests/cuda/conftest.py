"""Tests of the GPU side: on a GPU where there is one, else on a machine that runs PTX."""

import pytest


@pytest.fixture(scope="session")
def device():
    """The machine that runs PTX; None if there is a GPU."""
    pytest.importorskip("numba_cuda")
    from lightrnn import cuda

    if cuda.driver.present():
        yield None
        return
    from helpers.ptx.device import Device, install

    with pytest.MonkeyPatch.context() as patch:
        made = Device()
        install(patch, made)
        yield made


@pytest.fixture(scope="session")
def gpu(device):
    """The module of networks on a GPU, which may be the machine."""
    from lightrnn.cuda import network

    return network


@pytest.fixture(autouse=True)
def no_fault_of_a_kernel(request):
    """Fail where the machine found a fault of which the library made another error."""
    yield
    device = "gpu" in request.fixturenames and request.getfixturevalue("device")
    if device:
        faults = device.faults.copy()
        device.faults.clear()
        assert not faults


@pytest.fixture
def compilers():
    """The compiler from kernels to PTX, which needs no GPU, or the test is skipped."""
    pytest.importorskip("numba_cuda")
    from numba import cuda

    return cuda

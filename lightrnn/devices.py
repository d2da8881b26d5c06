"""Choose where a network computes: on this machine's CPUs, or as a copy on a GPU."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from . import cuda
from .utils.checks import shown

if TYPE_CHECKING:
    from .cuda.network import CudaNetwork
    from .nn.network import Network

# Floating-point operations from which on "auto" takes a GPU: some seconds of two CPU cores. With
# less to do, starting the GPU and compiling for it take longer than they save.
_WORTH = 1e12
# Operations for each parameter and step. The forward pass takes a product and a sum, the gradients
# with respect to inputs and to weights as many each.
_PREDICTION = 2
_TRAINING = 6


def check_device(name: str, value: Any) -> str:
    """Return `value` if it names a device: "cpu", "auto", "cuda" or "cuda:<number>".

    Raises
    ------
    TypeError
        If `value` is no str.
    ValueError
        If it names no device.

    Examples
    --------
    >>> check_device("device", "cuda:1")
    'cuda:1'
    """
    if isinstance(value, str) and re.fullmatch(r"cpu|auto|cuda(:\d+)?", value):
        return value
    raise (ValueError if isinstance(value, str) else TypeError)(
        f"{name} must be 'cpu', 'cuda', 'cuda:1' or another number, or 'auto', got {shown(value)}. "
        "Use 'auto' to take a GPU only if there is one."
    )


def training_work(network: Network, steps: int) -> float:
    """Estimate the operations of one forward and backward pass over this many steps."""
    return float(_TRAINING * network.n_parameters * steps)


def prediction_work(network: Network, steps: int) -> float:
    """Estimate the operations of one forward pass over this many steps."""
    return float(_PREDICTION * network.n_parameters * steps)


def placed(
    network: Network,
    device: str,
    work: float,
) -> AbstractContextManager[Network | CudaNetwork]:
    """Return the context of the network, or of a copy on a GPU that is copied back at the end.

    Its parameters are not copied back if the block raises an error.

    Parameters
    ----------
    network : Network
        The network that is to compute.
    device : str
        As `check_device` returns it. "auto" takes the first GPU, if there is one and `work` is
        large enough.
    work : float
        Expected floating-point operations.

    Returns
    -------
    context manager of Network or CudaNetwork
        The network that computes.

    Raises
    ------
    RuntimeError
        If `device` names a GPU that cannot be used.
    """
    if device == "cpu" or (device == "auto" and (work < _WORTH or not cuda.driver.present())):
        return nullcontext(network)
    return _on_gpu(network, int(device.partition(":")[2] or 0))


@contextmanager
def _on_gpu(network: Network, number: int) -> Iterator[CudaNetwork]:
    """Yield a copy of the network on a GPU, and copy its parameters back at the end."""
    on_gpu = cuda.network.CudaNetwork(network, number)
    try:
        yield on_gpu
        on_gpu.finish()
    finally:
        on_gpu.close()

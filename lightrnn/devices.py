"""Where a network computes: on this machine's CPUs, or by its twin on a GPU."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from . import cuda
from .utils.checks import shown

if TYPE_CHECKING:
    from .nn.network import Network

_WORTH = 1e12  # floating-point operations from which on "auto" takes a GPU: some seconds of two CPU cores
_TRAINING, _PREDICTION = 6, 2  # of these for each parameter and step


def check_device(name: str, value: Any) -> str:
    """Return `value` if it names a device.

    Raises
    ------
    TypeError, ValueError
        If it does not.

    Examples
    --------
    >>> check_device("device", "cuda:1")
    'cuda:1'
    """
    if isinstance(value, str) and re.fullmatch(r"cpu|auto|cuda(:\d+)?", value):
        return value
    kind = ValueError if isinstance(value, str) else TypeError
    raise kind(
        f"{name} must be 'cpu', 'cuda', 'cuda:1' or another number, or 'auto', got {shown(value)}. Choose one of them."
    )


def training_work(network: Network, steps: int) -> float:
    """Return about how many operations it takes to learn from so many steps."""
    return float(_TRAINING * network.n_parameters * steps)


def prediction_work(network: Network, steps: int) -> float:
    """Return about how many operations it takes to predict from so many steps."""
    return float(_PREDICTION * network.n_parameters * steps)


@contextmanager
def placed(network: Network, device: str, work: float) -> Iterator[Any]:
    """Yield the network, or its twin on a GPU; when all went well, the network has what the twin has learned.

    Parameters
    ----------
    network : Network
        What is to compute.
    device : str
        What `check_device` returned; "auto" means the first GPU if there is one and there is much to do.
    work : float
        Operations to come.

    Raises
    ------
    RuntimeError
        If a GPU was asked for that cannot be used.
    """
    if device == "cpu" or (device == "auto" and (work < _WORTH or not cuda.driver.present())):
        yield network
        return
    twin = cuda.network.CudaNetwork(network, int(device.partition(":")[2] or 0))
    try:
        yield twin
        twin.finish()
    finally:
        twin.close()

"""Both kinds of network have what training calls, with the same arguments."""

import inspect

import pytest

from lightrnn.nn.network import Network
from lightrnn.training.trainable import TrainableNetwork

METHODS = {
    name: method
    for kind in TrainableNetwork.__mro__
    for name, method in vars(kind).items()
    if inspect.isfunction(method) and not name.startswith("_")
}


def arguments(function):
    """The names and defaults of a function's arguments."""
    return [(p.name, p.default) for p in inspect.signature(function).parameters.values()]


def test_the_protocol_is_read():
    assert {"learn", "loss_and_gradient", "run", "dropout_masks"} <= METHODS.keys()


@pytest.mark.parametrize("name", METHODS)
def test_the_network_of_the_cpu(name):
    assert arguments(getattr(Network, name)) == arguments(METHODS[name])


@pytest.mark.parametrize("name", METHODS)
def test_the_network_of_the_gpu(name):
    """A method that it has not is the CPU network's, to which it passes on."""
    pytest.importorskip("numba.cuda", reason="needs numba-cuda")
    from lightrnn.cuda.network import CudaNetwork

    method = getattr(CudaNetwork, name, None) or getattr(Network, name)
    assert arguments(method) == arguments(METHODS[name])

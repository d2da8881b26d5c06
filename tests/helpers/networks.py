"""Networks with random parameters, the bits of a batch, and gradients by finite differences."""

import numpy as np


def randomize(network, rng, scale=0.5):
    """Draw a network's parameters anew, biases included; return the network."""
    arrays = network.arrays()
    network.assign({name: rng.normal(0, scale, array.shape) for name, array in arrays.items()})
    return network


def bits(network, batch, loss, threads=1):
    """Learn from a batch; return the bits of its loss, its gradient and its final states."""
    value = network.loss_and_gradient(batch, loss, threads)
    finals = network.final_states if network.recurrent else ()
    return value, network.gradient.tobytes(), [state.tobytes() for state in finals]


def weight_bits(estimator):
    """Return the names and the bits of all weights of a fitted estimator."""
    return [(name, array.tobytes()) for name, array in estimator.weights_.items()]


def slopes(network, batch, loss, direction, step=1e-6):
    """Return the slope of the loss along a direction: by the gradient, and by differences."""
    value = network.loss_and_gradient(batch, loss)
    gradient = network.gradient.copy()
    before = network.parameters.copy()
    losses = []
    for sign in (1, -1):
        network.parameters[:] = before + sign * step * direction
        losses.append(network.loss_and_gradient(batch, loss))
    network.parameters[:] = before
    # And back again: nothing of the detour may stay.
    assert network.loss_and_gradient(batch, loss) == value
    assert np.array_equal(network.gradient, gradient)
    return gradient @ direction, (losses[0] - losses[1]) / (2 * step)


def slopes_by_array(network, batch, loss, rng):
    """Yield the name of each array, and both slopes along a random direction within it alone.

    An error in a small array drowns in a direction over all.
    """
    zeros = {name: np.zeros_like(array) for name, array in network.arrays().items()}
    for name, array in zeros.items():
        direction = network.flatten(zeros | {name: rng.normal(size=array.shape)})
        yield name, *slopes(network, batch, loss, direction)


def directional_error(network, batch, loss, rng):
    """Return the error of the gradient along a random direction, from differences of the loss."""
    shapes = network.arrays()
    direction = network.flatten(
        {name: rng.normal(size=array.shape) for name, array in shapes.items()}
    )
    slope, difference = slopes(network, batch, loss, direction / np.linalg.norm(direction))
    return abs(slope - difference) / max(1, abs(slope))

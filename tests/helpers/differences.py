"""The gradient against finite differences of the loss."""

import numpy as np


def directional_error(network, batch, loss, rng, step=1e-6):
    """Return the error of the gradient along a random direction, from differences of the loss."""
    value = network.loss_and_gradient(batch, loss)
    gradient = network.gradient.copy()
    before = network.parameters.copy()
    shapes = network.arrays()
    direction = network.flatten(
        {name: rng.normal(size=array.shape) for name, array in shapes.items()}
    )
    direction /= np.linalg.norm(direction)
    losses = []
    for sign in (1, -1):
        network.parameters[:] = before + sign * step * direction
        losses.append(network.loss_and_gradient(batch, loss))
    network.parameters[:] = before
    # And back again: nothing of the detour may stay.
    assert network.loss_and_gradient(batch, loss) == value
    assert np.array_equal(network.gradient, gradient)
    slope = gradient @ direction
    return abs(slope - (losses[0] - losses[1]) / (2 * step)) / max(1, abs(slope))

"""Update rules of the solvers for one parameter: pure functions on values, as the cells are.

A rule takes the parameter p, its gradient g, the moments that the solver keeps of it, and the
constants of this step. It returns the new p and the new moments. `decay` is the fraction of p that
decoupled weight decay takes away, whatever the gradient.
"""

from .elementwise import Value, sqrt

Values = tuple[Value, ...]


def sgd(p: Value, g: Value, moments: Values, constants: Values) -> tuple[Value, Values]:
    """Nesterov's momentum: ``v = m v - rate g; p += m v - rate g``."""
    (velocity,) = moments
    rate, decay, momentum = constants
    step = rate * g
    velocity = momentum * velocity - step
    return p - decay * p + (momentum * velocity - step), (velocity,)


def rmsprop(
    p: Value,
    g: Value,
    moments: Values,
    constants: Values,
) -> tuple[Value, Values]:
    """``s = r s + (1 - r) g^2; p -= rate g / (sqrt(s) + epsilon)``."""
    (square,) = moments
    rate, decay, rho, rest, epsilon = constants  # rest = 1 - rho
    square = rho * square + rest * g * g
    return p - decay * p - rate * g / (sqrt(square) + epsilon), (square,)


def adam(
    p: Value,
    g: Value,
    moments: Values,
    constants: Values,
) -> tuple[Value, Values]:
    """``m = b1 m + (1 - b1) g; s = b2 s + (1 - b2) g^2; p -= rate c1 m / (sqrt(c2 s) + eps)``."""
    mean, square = moments
    # rest1 = 1 - beta1, rest2 = 1 - beta2; rate and correction hold the bias corrections c1 and c2.
    rate, decay, beta1, rest1, beta2, rest2, correction, epsilon = constants
    mean = beta1 * mean + rest1 * g
    square = beta2 * square + rest2 * g * g
    return p - decay * p - rate * mean / (sqrt(correction * square) + epsilon), (mean, square)


UPDATES = {"sgd": sgd, "rmsprop": rmsprop, "adam": adam}

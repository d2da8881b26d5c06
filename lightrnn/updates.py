"""What the solvers do to one parameter: pure functions on values, as the cells are.

A rule takes the parameter p, its gradient g, what it remembers of it, and constants; it returns the new p and what to
remember. `decay` is the share by which p shrinks beside: decoupled weight decay.
"""

from .elementwise import Value, sqrt

Values = tuple[Value, ...]


def sgd(p: Value, g: Value, moments: Values, constants: Values) -> tuple[Value, Values]:
    """Nesterov's momentum: ``v = m v - rate g; p += m v - rate g``."""
    (velocity,), (rate, decay, momentum) = moments, constants
    step = rate * g
    velocity = momentum * velocity - step
    return p - decay * p + (momentum * velocity - step), (velocity,)


def rmsprop(p: Value, g: Value, moments: Values, constants: Values) -> tuple[Value, Values]:
    """``s = r s + (1 - r) g^2; p -= rate g / (sqrt(s) + epsilon)``."""
    (square,), (rate, decay, rho, rest, epsilon) = moments, constants
    square = rho * square + rest * g * g
    return p - decay * p - rate * g / (sqrt(square) + epsilon), (square,)


def adam(p: Value, g: Value, moments: Values, constants: Values) -> tuple[Value, Values]:
    """``m = b1 m + (1 - b1) g; s = b2 s + (1 - b2) g^2; p -= rate c1 m / (sqrt(c2 s) + epsilon)``."""
    (mean, square), (rate, decay, beta1, rest1, beta2, rest2, correction, epsilon) = (
        moments,
        constants,
    )
    mean = beta1 * mean + rest1 * g
    square = beta2 * square + rest2 * g * g
    return p - decay * p - rate * mean / (sqrt(correction * square) + epsilon), (mean, square)


UPDATES = {"sgd": sgd, "rmsprop": rmsprop, "adam": adam}

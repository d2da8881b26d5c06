"""The plainest net: three inputs, one hidden layer, two outputs, and what the hidden layer is for.

A point in space lies inside a ball or outside it. Without a bend no sum of the three coordinates can tell which, so one
or two hidden units fail; a few more fold space well enough. A feed-forward net has no memory: `window=1` shows it one
step, the present one, so a point is a sequence of a single step with three features.

The second table does by hand, in NumPy, what `predict` does: two products and a bend.
"""

import numpy as np

from lightrnn import RNNClassifier

HIDDEN_UNITS = (1, 2, 3, 4, 8, 16)
# The ball around the origin that holds half of the cube from -1 to 1.
RADIUS = (3 / np.pi) ** (1 / 3)


def make_points(n_samples: int, random_state: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points of the cube as sequences (n, 1, 3), and where they lie."""
    X = np.random.default_rng(random_state).uniform(-1, 1, (n_samples, 1, 3))
    return X, np.where(np.linalg.norm(X[:, 0], axis=1) < RADIUS, "inside", "outside")


def by_hand(weights: dict[str, np.ndarray], X: np.ndarray) -> np.ndarray:
    """Return the two outputs of a net with one hidden layer: a product, a bend, a product."""
    hidden = np.maximum(X[:, 0] @ weights["layer0.W"] + weights["layer0.b"], 0)
    return hidden @ weights["head.W"] + weights["head.b"]


def main() -> None:
    """Train nets of growing width, then recompute the last one's answers."""
    X_train, y_train = make_points(2000, random_state=0)
    X_test, y_test = make_points(2000, random_state=1)

    print("Is a point inside the ball? 2000 points to learn from, 2000 new ones to tell.\n")
    print(f"{'net':>8}  {'parameters':>10}  {'accuracy':>8}")
    for units in HIDDEN_UNITS:
        net = RNNClassifier(
            "ffnn", (units,), window=1, solver="lbfgs", max_iter=500, random_state=0
        )
        net.fit(X_train, y_train)
        print(f"{f'3-{units}-2':>8}  {net.n_parameters_:>10}  {net.score(X_test, y_test):>8.1%}")

    print(f"\nThe last net's arrays:\n{'name':>8}  shape")
    for name, array in net.weights_.items():
        print(f"{name:>8}  {array.shape}")
    answers = net.classes_[by_hand(net.weights_, X_test).argmax(axis=1)]
    agree = np.mean(answers == net.predict(X_test))
    print(
        "\nBy hand: relu(x @ layer0.W + layer0.b) @ head.W + head.b, the larger of the two outputs."
    )
    print(f"That is what predict says on {agree:.1%} of the test points.")


if __name__ == "__main__":
    main()

"""The plainest net: three inputs, one hidden layer and two outputs.

A point in space lies inside a ball or outside it. No weighted sum of the three coordinates can say
which, so a net with one or two hidden units fails; eight come close. A feed-forward net has no
memory: `window=1` shows it the present step alone, so a point is a sequence of one step with three
features. The coordinates lie between -1 and 1 already, so `standardize=False` gives them to the
net as they are.

The second table shows the arrays of the last net; with them NumPy computes by hand what `predict`
computes: a product, a rectifier, a product.
"""

import numpy as np

from lightrnn import RNNClassifier

HIDDEN_UNITS = (1, 2, 3, 4, 8, 16)
# The ball around the origin that holds half of the cube from -1 to 1.
RADIUS = (3 / np.pi) ** (1 / 3)


def make_points(n_samples: int, random_state: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points of the cube as sequences (n, 1, 3), and the label of each."""
    X = np.random.default_rng(random_state).uniform(-1, 1, (n_samples, 1, 3))
    return X, np.where(np.linalg.norm(X[:, 0], axis=1) < RADIUS, "inside", "outside")


def by_hand(weights: dict[str, np.ndarray], X: np.ndarray) -> np.ndarray:
    """Return the two outputs of a net with one hidden layer: a product, a rectifier, a product."""
    hidden = np.maximum(X[:, 0] @ weights["layer0.W"] + weights["layer0.b"], 0)
    return hidden @ weights["head.W"] + weights["head.b"]


def main() -> None:
    """Train nets of growing width, then recompute the predictions of the last."""
    X_train, y_train = make_points(2000, random_state=0)
    X_test, y_test = make_points(2000, random_state=1)

    print("Is a point inside the ball? 2000 points for training, 2000 for the test.\n")
    print(f"{'net':>8}  {'parameters':>10}  {'accuracy':>8}")
    scores = []
    for units in HIDDEN_UNITS:
        net = RNNClassifier(
            "ffnn",
            (units,),
            window=1,
            standardize=False,
            solver="lbfgs",
            max_iter=500,
            random_state=0,
        )
        net.fit(X_train, y_train)
        scores.append(net.score(X_test, y_test))
        print(f"{f'3-{units}-2':>8}  {net.n_parameters_:>10}  {scores[-1]:>8.1%}")

    print(f"\nThe last net's arrays:\n{'name':>8}  shape")
    for name, array in net.weights_.items():
        print(f"{name:>8}  {array.shape}")
    predicted = net.classes_[by_hand(net.weights_, X_test).argmax(axis=1)]
    agree = np.mean(predicted == net.predict(X_test))
    print("\nBy hand: the larger output of relu(x @ layer0.W + layer0.b) @ head.W + head.b.")
    print(f"It equals predict's answer on {agree:.1%} of the test points.")
    guess = max(np.mean(y_test == "inside"), np.mean(y_test == "outside"))
    print(
        f"{HIDDEN_UNITS[-1]} units are right for {scores[-1]:.1%}, one for {scores[0]:.1%}, a guess"
        f" for {guess:.1%}: a ball takes several planes."
    )
    assert agree > 0.999  # rounding may decide at the ball's surface


if __name__ == "__main__":
    main()

"""scikit-learn's tools with a recurrent network: a Pipeline, a grid over cells, cross-validation.

A Pipeline gives an `RNNClassifier` more features: to each frame it adds by how much the frame
differs from its neighbours, as speech recognisers do. GridSearchCV compares cells and widths by
cross-validation on the training utterances alone; the best is then scored once on the test
utterances. Sequences of unequal length pass through all of it as a plain list. lightrnn does not
need scikit-learn, but this example does.
"""

import sys
import time

import numpy as np

from lightrnn import RNNClassifier
from lightrnn.datasets import load_japanese_vowels

try:
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer
except ImportError:
    print("This example needs scikit-learn: python -m pip install scikit-learn")
    sys.exit(0)


def with_differences(X: list[np.ndarray]) -> list[np.ndarray]:
    """Return sequences (T_i, 2 F): each frame, and half the difference of those around it."""
    return [np.concatenate([x, np.gradient(x, axis=0)], axis=1) for x in X]


def main() -> None:
    """Search cells and widths, then print every candidate and the winner's test accuracy."""
    X_train, y_train = load_japanese_vowels("train")
    X_test, y_test = load_japanese_vowels("test")
    net = RNNClassifier(max_iter=30, dropout=0.5, random_state=0)
    pipeline = Pipeline([("differences", FunctionTransformer(with_differences)), ("net", net)])
    grid = {"net__cell": ["ffnn", "rnn", "gru", "lstm"], "net__hidden_layer_sizes": [(16,), (64,)]}
    search = GridSearchCV(pipeline, grid, cv=3)

    start = time.perf_counter()
    search.fit(X_train, y_train)
    results = search.cv_results_
    seconds = time.perf_counter() - start
    print(f"{len(results['params'])} candidates, 3 folds each, {seconds:.0f} s\n")
    print(f"{'rank':>4}  {'cell':<6}{'units':>6}{'accuracy in cross-validation':>32}{'fit s':>8}")
    for i in results["rank_test_score"].argsort(kind="stable"):
        parameters = results["params"][i]
        rank = results["rank_test_score"][i]
        accuracy = f"{results['mean_test_score'][i]:.1%} +- {results['std_test_score'][i]:.1%}"
        units = parameters["net__hidden_layer_sizes"][0]
        seconds = results["mean_fit_time"][i]
        print(f"{rank:>4}  {parameters['net__cell']:<6}{units:>6}{accuracy:>32}{seconds:>8.2f}")
    best = search.best_params_["net__cell"]
    accuracy = search.score(X_test, y_test)
    print(f"\nTest accuracy of the best, fitted on all training utterances: {accuracy:.1%}.")
    if best == "ffnn":
        print("The search picks ffnn: its window holds a whole vowel, so memory buys nothing here.")
    else:
        print(f"The search picks {best}; a window of 20 frames holds most of these vowels, too.")


if __name__ == "__main__":
    main()

"""Who still knows that she is starving? The argument for memory, run.

"Starving, Alice drives to the nearest store ... to buy" ends with "food", "Thirsty, ..." with "water": the first word
tells the last, and any number of words that tell nothing stand between. The table says how much probability each net
gives to the right one of eight words, in sentences that it has never seen, as the distance grows. The sentences to
learn from are of all lengths up to it, as sentences are.

A feed-forward net (`ffnn`) sees its window and nothing else, so it guesses as soon as the first word has left it,
however many weights it spends on the window. A plain recurrent net (`rnn`) could hold the word, but the gradient that
would teach it so fades on the way back. The gates of `gru` and `lstm` keep it alive. Every net has the same units, the
same sentences, the same learning rates to choose from by held-out sentences, and the same number of epochs at most.
"""

import time
from typing import Any

import numpy as np

from lightrnn import RNNClassifier
from lightrnn.datasets import make_long_context_sentences
from lightrnn.training.history import Epoch

LEAST, DISTANCES = 8, (20, 40, 80)
NETS: dict[str, dict[str, Any]] = {
    "ffnn, window 5": {"cell": "ffnn", "window": 5},
    "ffnn, window 20": {"cell": "ffnn", "window": 20},
    "rnn": {"cell": "rnn"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
}
RATES = (1e-3, 3e-3)
TRAIN, HELD_OUT, TEST = 5000, 300, 1000
UNITS, EPOCHS, BATCH = 64, 12, 16
SHOWN = 80  # the distance of the sentence that is completed at the end


def solved(record: Epoch) -> bool:
    """End training when all held-out sentences are right."""
    return record.validation_score == 1.0


def train(net: dict[str, Any], distance: int) -> tuple[RNNClassifier, float]:
    """Try both learning rates; return what does best on held-out sentences, and the seconds that it took."""
    X, y = make_long_context_sentences((LEAST, distance), TRAIN, random_state=0)
    X_val, y_val = make_long_context_sentences(distance, HELD_OUT, random_state=1)
    tried = []
    for rate in RATES:
        model = RNNClassifier(
            **net,
            hidden_layer_sizes=(UNITS,),
            tokens="word",
            embedding_size=16,
            batch_size=BATCH,
            learning_rate="cosine",
            learning_rate_init=rate,
            max_iter=EPOCHS,
            n_iter_no_change=EPOCHS,
            early_stopping=True,
            callbacks=solved,
            random_state=0,
        )
        start = time.perf_counter()
        model.fit(X, y, X_val=X_val, y_val=y_val)
        tried.append((max(model.validation_scores_), -(time.perf_counter() - start), model))
        if tried[-1][0] == 1.0:
            break
    _, seconds, model = max(tried, key=lambda trial: trial[:2])
    return model, -seconds


def main() -> None:
    """Train every net at every distance; then let each complete a sentence."""
    start = time.perf_counter()
    sentence = make_long_context_sentences(SHOWN, 1, random_state=7)[0][0].replace("\n", " ")
    completions = {}
    print(
        "Probability of the right last word, and how often it is the likeliest; 1 in 8 is chance.\n"
    )
    heads = ("probability", "right", "parameters", "input weights", "fit s")
    print(
        f"{'words between':>13}  {'net':<16}"
        + "".join(f"{head:>{len(head) + 2}}" for head in heads)
    )
    for distance in DISTANCES:
        X, y = make_long_context_sentences(distance, TEST, random_state=2)
        for name, net in NETS.items():
            model, seconds = train(net, distance)
            given = model.predict_proba(X)[np.arange(TEST), np.searchsorted(model.classes_, y)]
            weights = model.weights_
            inputs = weights["layer0.W" if net["cell"] == "ffnn" else "layer0.W_ih"].size
            print(
                f"{distance:>13}  {name:<16}{given.mean():>13.1%}{model.score(X, y):>7.1%}"
                f"{model.n_parameters_:>12,}{inputs:>15,}{seconds:>7.1f}",
                flush=True,
            )
            if distance == SHOWN:
                completions[name] = model.classes_[
                    model.predict_proba([sentence])[0].argsort()[::-1]
                ]
        print()
    print(f"{sentence} ...\n")
    for name, likeliest in completions.items():
        print(f"  {name:<16} ... {likeliest[0]}")
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()

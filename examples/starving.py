"""Who still knows that she is starving? Why a memory is needed.

"Starving, Alice drives to the nearest store ... to buy" ends with "food", "Thirsty, ..." with
"water": the last word follows from the first, and any number of other words stand between. The
table shows the probability that each net gives to the right one of eight words, in sentences that
it has not seen, as the distance grows. The training sentences have all lengths up to that distance.

A feed-forward net (`ffnn`) sees its window and nothing else, so it guesses as soon as the first
word has left the window, however many weights it spends on it. A plain recurrent net (`rnn`) could
hold the word, but the gradient that would teach it to fades on the way back. The gates of `gru` and
`lstm` keep it alive. Every net has the same units, sentences and number of epochs at most, and its
learning rate is chosen from the same two by held-out sentences.
"""

import time
from typing import Any

import numpy as np

from lightrnn import RNNClassifier
from lightrnn.datasets import make_long_context_sentences
from lightrnn.training import STOP, Epoch

MIN_DISTANCE = 8
DISTANCES = (20, 40, 80)
NETS: dict[str, dict[str, Any]] = {
    "ffnn, window 5": {"cell": "ffnn", "window": 5},
    "ffnn, window 20": {"cell": "ffnn", "window": 20},
    "rnn": {"cell": "rnn"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
}
RATES = (1e-3, 3e-3)
# Numbers of sentences.
TRAIN = 5000
HELD_OUT = 300
TEST = 1000
UNITS = 64
EPOCHS = 12
BATCH = 16
SHOWN = 80  # the distance of the sentence that is completed at the end


def solved(record: Epoch) -> object:
    """End training when all held-out sentences are right."""
    return STOP if record.validation_score == 1.0 else None


def train(net: dict[str, Any], distance: int) -> tuple[RNNClassifier, float]:
    """Try both learning rates; return the better model on held-out sentences, and its seconds."""
    X, y = make_long_context_sentences((MIN_DISTANCE, distance), TRAIN, random_state=0)
    X_val, y_val = make_long_context_sentences(distance, HELD_OUT, random_state=1)
    best_score = -1.0
    for rate in RATES:
        model = RNNClassifier(
            **net,
            hidden_layer_sizes=(UNITS,),
            tokens="word",
            embedding_size=16,
            batch_size=BATCH,
            learning_rate_init=rate,
            max_iter=EPOCHS,
            n_iter_no_change=EPOCHS,
            early_stopping=True,
            scoring="score",
            callbacks=solved,
            random_state=0,
        )
        start = time.perf_counter()
        model.fit(X, y, X_val=X_val, y_val=y_val)
        seconds = time.perf_counter() - start
        score = max(model.validation_scores_)
        if score > best_score:
            best_score = score
            best = model, seconds
        if score == 1.0:
            break
    return best


def main() -> None:
    """Train every net at every distance; then let each complete a sentence."""
    start = time.perf_counter()
    sentence = make_long_context_sentences(SHOWN, 1, random_state=7)[0][0].replace("\n", " ")
    completions = {}
    furthest: dict[str, float] = {}
    print("Probability of the right last word, and accuracy; 1 in 8 is chance.\n")
    print(
        f"{'words between':>13}  {'net':<16}{'probability':>13}{'accuracy':>10}"
        f"{'parameters':>12}{'input weights':>15}{'fit s':>7}"
    )
    for distance in DISTANCES:
        X, y = make_long_context_sentences(distance, TEST, random_state=2)
        for name, net in NETS.items():
            model, seconds = train(net, distance)
            right = np.searchsorted(model.classes_, y)
            given = model.predict_proba(X)[np.arange(TEST), right]
            weights = model.weights_
            inputs = weights["layer0.W" if net["cell"] == "ffnn" else "layer0.W_ih"].size
            print(
                f"{distance:>13}  {name:<16}{given.mean():>13.1%}{model.score(X, y):>10.1%}"
                f"{model.n_parameters_:>12,}{inputs:>15,}{seconds:>7.1f}",
                flush=True,
            )
            furthest[name] = model.score(X, y)
            if distance == SHOWN:
                completions[name] = model.predict([sentence])[0]
        print()
    print(f"{sentence} ...\n")
    for name, word in completions.items():
        print(f"  {name:<16} ... {word}")
    known = [name for name, score in furthest.items() if score > 0.95]
    lost = [name for name, score in furthest.items() if score < 0.25]
    print(
        f"\nOver {DISTANCES[-1]} words {', '.join(known) or 'no net'} know the cue (over 95 %),\n"
        f"and {', '.join(lost) or 'none'} guess (below 25 %, where 12.5 % is chance)."
    )
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()

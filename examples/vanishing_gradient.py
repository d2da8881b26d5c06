"""Where does the gradient go? An untuned LSTM forgets, too; memory is where the gates start.

Going back through time, a plain recurrent net multiplies the gradient by the same matrix and the
slope of tanh at every step. So it shrinks by about the same factor per step, and events fifty steps
ago teach the net nothing. The cell state of an LSTM is only scaled by the forget gate. But a gate
with a bias of 0 is half open: of what it holds, a half is left after one step and a thousandth
after ten. A bias of 1 keeps 73 % per step. Chrono gates (Tallec and Ollivier 2018) start so that
the units' memories fade within one to all steps of the longest sequence; `forget_bias="auto"`, the
default, takes them where sequences are long.

The first table and the left side of the picture show how much of the gradient arrives before any
training, the second table and the middle how much once the nets have been trained on sentences of 8
to 40 words. The last table and the right side have the accuracy of the same nets, all trained alike
with the default learning rate, in sentences whose last word depends on the first ("Starving, Alice
drives ... to buy"), by the number of words between: for each distance they are trained anew, on
sentences of 8 words to this distance. The start does not decide alone: a gru with a bias of 1
passes on little at first, learns from the short sentences, and opens its gates for the longer ones.
So the one that was trained on 8 to 40 words passes the gradient on over 320. But the one that is
trained on 8 to 320 meets too few short sentences to begin with, and guesses. With chrono gates it
needs none.

The picture vanishing_gradient.png is drawn if matplotlib is installed
(python -m pip install matplotlib).
"""

import math
import time
from typing import Any

from lightrnn import RNNClassifier
from lightrnn.datasets import make_long_context_sentences
from lightrnn.inspection import memory_horizon
from lightrnn.training import STOP, Epoch

NETS: dict[str, dict[str, Any]] = {
    "rnn": {"cell": "rnn"},
    "gru, update bias 1": {"cell": "gru", "forget_bias": 1.0},
    "gru, chrono": {"cell": "gru", "forget_bias": "chrono"},
    "lstm, forget bias 0": {"cell": "lstm", "forget_bias": 0.0},
    "lstm, forget bias 1": {"cell": "lstm", "forget_bias": 1.0},
    "lstm, chrono": {"cell": "lstm", "forget_bias": "chrono"},
}
DISTANCES = (10, 20, 40, 80, 160, 320)
LONGEST = DISTANCES[-1]
SHORT = 40  # distance at which the gradient after training is shown
# Numbers of sentences, the least distance in training, and the most epochs.
TRAIN = 2000
HELD_OUT = 200
TEST = 500
LEAST = 8
EPOCHS = 8


def new(net: dict[str, Any], **training: Any) -> RNNClassifier:
    """Return a net that reads words."""
    return RNNClassifier(
        **net,
        hidden_layer_sizes=(32,),
        tokens="word",
        embedding_size=16,
        batch_size=16,
        random_state=0,
        **training,
    )


def begun(net: dict[str, Any]) -> RNNClassifier:
    """Return a net after one step that is too small to change its initial weights."""
    X, y = make_long_context_sentences(LONGEST, 100, random_state=0)
    return new(net, learning_rate_init=1e-12).partial_fit(X, y)


def solved(record: Epoch) -> object:
    """End training when all held-out sentences are right."""
    return STOP if record.validation_score == 1.0 else None


def trained(net: dict[str, Any], distance: int) -> tuple[RNNClassifier, float]:
    """Train a net on sentences of up to this distance; return it, and its accuracy there."""
    X, y = make_long_context_sentences((LEAST, distance), TRAIN, random_state=0)
    X_val, y_val = make_long_context_sentences(distance, HELD_OUT, random_state=1)
    model = new(net, max_iter=EPOCHS, scoring="score", callbacks=solved)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    return model, model.score(*make_long_context_sentences(distance, TEST, random_state=2))


def lag(steps: float) -> str:
    """Return a number of steps as text; "beyond" if it is more than the sentences have."""
    return "beyond" if math.isinf(steps) else f"{steps:.0f}"


def draw(
    nets: dict[str, dict[str, RNNClassifier]], X: list[str], scores: dict[str, list[float]]
) -> None:
    """Draw the gradient flow before and after training, and the accuracies."""
    from matplotlib import pyplot

    from lightrnn.plotting import GradientFlowDisplay
    from lightrnn.plotting.style import COLOURS, DASHES

    figure, axes = pyplot.subplots(1, 3, figsize=(10, 3), layout="constrained", dpi=150)
    right = axes[2]
    for ax, (title, models) in zip(axes[:2], nets.items(), strict=True):
        for name, net in models.items():
            GradientFlowDisplay.from_estimator(net, X, label=name, ax=ax)
        for secondary in ax.child_axes:  # nearly all sentences are equally long
            secondary.remove()
        ax.set(title=title, xlim=(0, LONGEST), ylim=(1e-6, 9), ylabel="gradient, 1 at the end")
        ax.title.set_fontsize(9)
        ax.get_legend().remove()
    for (name, values), color, ls in zip(scores.items(), COLOURS, DASHES, strict=False):
        style = {"color": color, "ls": ls, "label": name}
        right.plot(DISTANCES, values, marker="o", ms=3, lw=1.4, **style)
    right.legend(
        title="bias of the gate that keeps,\nbefore training\n(band: 80 % of sentences)",
        title_fontsize=7,
        frameon=False,
        fontsize=7,
        loc="center left",
        bbox_to_anchor=(1, 0.5),
    )
    right.axhline(1 / 8, color="0.6", lw=0.8, zorder=0)
    right.annotate("chance", (DISTANCES[0], 1 / 8 - 0.02), va="top", color="0.4")
    right.set_title(f"Accuracy, trained on {LEAST} words\nto the distance of the test", fontsize=9)
    right.set(xlabel="words between cue and answer")
    right.set(xscale="log", xticks=DISTANCES, xticklabels=DISTANCES, ylim=(0, 1.05))
    right.minorticks_off()
    figure.savefig("vanishing_gradient.png")
    print("\nDrawn in vanishing_gradient.png.")


def table(nets: dict[str, RNNClassifier], X: list[str]) -> None:
    """Print how far back the gradient of each net reaches."""
    print(f"{'':<22}{'horizon':>10}{'half-life':>11}{'growth':>10}")
    for name, net in nets.items():
        found = memory_horizon(net, X)
        reach = f"{lag(found.horizon):>10}{lag(found.half_life):>11}"
        print(f"{name:<22}{reach}{found.growth:>10.3f}  {found.word}")


def main() -> None:
    """Measure the gradient before and after training, and the accuracy."""
    start = time.perf_counter()
    X, _ = make_long_context_sentences(LONGEST, 100, random_state=3)
    print(f"The gradient in sentences of {LONGEST} words, before training.")
    print("Horizon: steps back after which less than 1 % of it is left; half-life: less than a")
    print("half; growth: the factor by which it changes per step back.\n")
    before = {name: begun(net) for name, net in NETS.items()}
    table(before, X)

    scores: dict[str, list[float]] = {}
    after = {}
    for name, net in NETS.items():
        results = [trained(net, distance) for distance in DISTANCES]
        scores[name] = [score for _, score in results]
        after[name] = results[DISTANCES.index(SHORT)][0]
    print(f"\nThe same after training on sentences of {LEAST} to {SHORT} words.\n")
    table(after, X)
    print("\nAccuracy of the last word, by the words between it and the first (chance: 12.5 %).\n")
    print(f"{'':<22}" + "".join(f"{distance:>8}" for distance in DISTANCES))
    for name, values in scores.items():
        print(f"{name:<22}" + "".join(f"{score:>8.1%}" for score in values))
    held = [name for name, values in scores.items() if min(values) > 0.95]
    rate = after["rnn"].get_params()["learning_rate_init"]
    print(
        f"\nAt every distance {' and '.join(held) or 'none of them'} keeps over 95 %. "
        f"learning_rate_init was {rate!r} for all."
    )
    print(f"\n{time.perf_counter() - start:.0f} s")
    try:
        titles = ("before training", f"trained on {LEAST} to {SHORT} words")
        drawn = {
            f"Gradient in {LONGEST} words,\n{title}": nets
            for title, nets in zip(titles, (before, after), strict=True)
        }
        draw(drawn, X, scores)
    except ImportError:
        print("Without matplotlib there is no picture: python -m pip install matplotlib")


if __name__ == "__main__":
    main()

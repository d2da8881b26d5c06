"""Gates at work: an LSTM remembers one word across a sentence.

In "Starving, Alice drives to the nearest store ... to buy", the last word follows from the first.
An LSTM learns such sentences, and then its gates are inspected while it reads one. Some units hold
the first word: their forget gate stays near 1 to the end, and the table shows them. A second table
shows the words on which the prediction depends most.

The pictures gates.png and attribution.png are drawn if matplotlib is installed
(python -m pip install matplotlib).
"""

import time

import numpy as np

from lightrnn import RNNClassifier
from lightrnn.datasets import make_long_context_sentences
from lightrnn.inspection import attribution, gate_activations, gate_summary, memory_horizon

DISTANCE = 16
SHADES = " ░▒▓█"  # from 0 to 1


def shade(values: np.ndarray) -> str:
    """Return a character for each number from 0 to 1: the greater, the darker."""
    return "".join(SHADES[min(4, int(5 * value))] for value in values)


def main() -> None:
    """Train, then print and draw the gates and the attribution of one sentence."""
    start = time.perf_counter()
    sentences, last_words = make_long_context_sentences((8, DISTANCE), 4000, random_state=0)
    fresh, answers = make_long_context_sentences(DISTANCE, 1000, random_state=1)
    net = RNNClassifier(
        "lstm",
        (32,),
        tokens="word",
        embedding_size=16,
        max_iter=15,
        random_state=0,
    )
    net.fit(sentences, last_words)
    print(f"Accuracy on {len(fresh):,} fresh sentences: {net.score(fresh, answers):.1%}")
    print(memory_horizon(net, fresh[:100]))

    constants = gate_summary(net, fresh[:100])["layer0"]["forget"].time_constant
    holders = np.argsort(-constants)[:6]
    print("\nThe forget gate of the units that hold longest, by step (█ keeps, blank forgets).\n")
    print(f"{fresh[0]} ... {answers[0]}\n")
    forget = gate_activations(net, fresh[:1])["layer0"]["forget"][0]
    print("unit  keeps, in steps  step by step")
    for unit in holders:
        print(f"{unit:>4}  {constants[unit]:>15.0f}  {shade(forget[:, unit])}")

    words = fresh[0].replace(",", " ,").split()
    shares = attribution(net, fresh[:1])[0]
    print("\nThe three words without which the output, a logit, falls most.\n")
    for step in np.argsort(-shares)[:3]:
        print(f"{words[step]:>12}  {shares[step]:6.2f}")
    first = int(np.argmax(shares))
    print(
        f"\nThe prediction rests on word {first + 1} of {len(words)}, “{words[first]}”. "
        f"The forget gate that holds longest\nhas a time constant of {constants.max():.0f} steps."
    )
    print(f"\n{time.perf_counter() - start:.0f} s")
    try:
        from lightrnn.plotting import AttributionDisplay, GateDisplay

        GateDisplay.from_estimator(net, fresh[0], units=holders).figure_.savefig("gates.png")
        figure = AttributionDisplay.from_estimator(net, fresh[0]).figure_
        figure.axes[-1].set_xlabel(
            "fall of the logit without a word, also as bar below it", fontsize=7
        )
        figure.savefig("attribution.png")
        print("Drawn in gates.png and attribution.png.")
    except ImportError:
        print("Without matplotlib there are no pictures: python -m pip install matplotlib")


if __name__ == "__main__":
    main()

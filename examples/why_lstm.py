"""Why an LSTM: the argument as one page, every figure of which is computed in this run.

The page why_lstm.html goes through the claims one by one: a feed-forward net sees its window and
its weights grow with it; a plain recurrent net has a memory, but the gradient that trains it fades;
gates keep it where they start open. It has text, tables and pictures in one file that loads
nothing, and reads well in light and dark.

The pictures why_lstm_gates.png and why_lstm_words.png are drawn if matplotlib is installed.
"""

import math
import time
from html import escape
from typing import Any

import numpy as np

from lightrnn import RNNClassifier
from lightrnn.comparison.page import Page, heat_map, line_chart
from lightrnn.datasets import make_long_context_sentences
from lightrnn.inspection import (
    attribution,
    gate_activations,
    gate_summary,
    gradient_flow,
    parameter_table,
)
from lightrnn.training import Epoch

PATH = "why_lstm.html"
DISTANCES = (10, 20, 40, 80)
WINDOWS = (5, 20, 100)
NETS: dict[str, dict[str, Any]] = {
    "rnn": {"cell": "rnn"},
    "gru, bias 1": {"cell": "gru", "forget_bias": 1.0},
    "lstm, bias 0": {"cell": "lstm", "forget_bias": 0.0},
    "lstm, bias 1": {"cell": "lstm", "forget_bias": 1.0},
    "lstm, chrono": {"cell": "lstm", "forget_bias": "chrono"},
}
UNITS = 32
TRAIN = 1500
TEST = 400
EPOCHS = 8
CHANCE = 1 / 8
KNOWS = 0.95


def new(net: dict[str, Any], **training: Any) -> RNNClassifier:
    """Return a net that reads words."""
    options = {"tokens": "word", "embedding_size": 16, "dropout": 0, "token_dropout": 0}
    return RNNClassifier(
        hidden_layer_sizes=UNITS, random_state=0, max_iter=EPOCHS, **net, **options, **training
    )


def taught(record: Epoch) -> bool:
    """End training when there is nothing left to learn."""
    return record.loss < 0.005


def trained(net: dict[str, Any], distance: int) -> tuple[RNNClassifier, float, float]:
    """Return a net that has learned sentences of up to a distance, its accuracy and its seconds."""
    X, y = make_long_context_sentences((8, distance), TRAIN, random_state=0)
    start = time.perf_counter()
    model = new(net, callbacks=taught).fit(X, y)
    seconds = time.perf_counter() - start
    score = model.score(*make_long_context_sentences(distance, TEST, random_state=1))
    return model, score, seconds


def begun(net: dict[str, Any], distance: int) -> RNNClassifier:
    """Return a net with its initial weights, for sentences of up to a distance."""
    X, y = make_long_context_sentences(distance, 100, random_state=0)
    return new(net, learning_rate="constant", learning_rate_init=1e-12).partial_fit(X, y)


def flow(model: RNNClassifier, distance: int) -> np.ndarray:
    """Return the gradient by lag, relative to the end, as far back as every sentence reaches."""
    X, _ = make_long_context_sentences(distance, 50, random_state=3)
    norms = gradient_flow(model, X).values("state")
    mean = norms[:, np.isfinite(norms).all(axis=0)].mean(axis=0)
    return mean / mean[0]


def percent(score: float) -> str:
    """Return a share as text."""
    return f"{score:.0%}"


def windows(page: Page) -> dict[str, list[float]]:
    """Show what a feed-forward net sees, and what its window costs; return its accuracies."""
    page.heading("A feed-forward net forgets each input")
    page.text(
        "It sees the last n inputs as one long vector and nothing else. Given the cue within its "
        "window it answers; outside of it, it can only guess. And its weights grow with n: "
        "20? 30? 100? You have to choose before you know."
    )
    rows = []
    found = {}
    for window in WINDOWS:
        net = {"cell": "ffnn", "window": window}
        results = [trained(net, distance) for distance in DISTANCES]
        scores = [score for _, score, _ in results]
        found[f"ffnn, window {window}"] = scores
        model = results[-1][0]
        table = parameter_table(model, T=DISTANCES[-1])
        seconds = max(seconds for _, _, seconds in results)
        sizes = f"{model.n_parameters_:,}", f"{table.total.sequence_flops:,}", f"{seconds:.1f}"
        rows.append((f"window {window}", *map(percent, scores), *sizes))
    header = ("net", *(f"{d} words" for d in DISTANCES), "weights", "FLOPs", "seconds")
    caption = (
        f"Accuracy of the last word by the number of words between it and the cue; "
        f"{CHANCE:.1%} is chance. FLOPs of one answer; seconds of the slowest training."
    )
    page.table(header, rows, caption)
    first, last = rows[0], rows[-1]
    page.text(
        f"With a window of {WINDOWS[0]} it has {first[-3]} weights and guesses beyond it; with one "
        f"of {WINDOWS[-1]} it has {last[-3]}."
    )
    return found


def memory(page: Page) -> None:
    """Draw an unrolled net, and count the parameters of each cell by hand."""
    page.heading("A recurrent net carries a state")
    page.text(
        "It reads one word after another with the same weights and hands its state on. Unrolled in "
        "time it is a deep net, as deep as the sentence is long, and errors go back through all of "
        "its steps."
    )
    words = ("Starving", "Alice", "drives", "…", "to", "buy")
    page.figure(unrolled(words), "Unrolled.")
    page.text("Its weights do not depend on the length of the sentence. Counted by hand:")
    rows = []
    for cell in ("rnn", "gru", "lstm"):
        part = parameter_table(
            RNNClassifier(cell, UNITS, patch=1, bidirectional=False), n_features=16, n_outputs=8
        ).parts[0]
        rows.append((cell, part.formula, f"{part.parameters:,}"))
    caption = f"A layer of {UNITS} units over 16 inputs: input, state and bias, once per gate."
    page.table(("cell", "by hand", "weights"), rows, caption)


def unrolled(words: tuple[str, ...]) -> str:
    """Return a picture of a recurrent net over the words that it reads, as SVG."""
    step = 600 / len(words)
    parts = []
    for i, word in enumerate(words):
        x = 20 + (i + 0.5) * step
        parts.append(
            f'<rect x="{x - 28:.0f}" y="60" width="56" height="34" rx="6" fill="none" '
            'style="stroke: var(--c0)" stroke-width="2"/>'
            f'<text x="{x:.0f}" y="82" text-anchor="middle">state</text>'
            f'<text x="{x:.0f}" y="140" text-anchor="middle">{escape(word)}</text>'
            f'<path d="M{x:.0f} 124v-26m-4 7l4 -7l4 7" fill="none" style="stroke: var(--soft)"/>'
        )
        # To the state of the next word, and up from the last one.
        arrow = f"M{x + 30:.0f} 77h{step - 62:.0f}m-7 -4l7 4l-7 4"
        if i + 1 == len(words):
            parts.append(f'<text x="{x:.0f}" y="24" text-anchor="middle">next word</text>')
            arrow = f"M{x:.0f} 58v-26m-4 7l4 -7l4 7"
        parts.append(f'<path d="{arrow}" fill="none" style="stroke: var(--soft)"/>')
    text = "A state for each word, each feeding the next."
    return (
        f'<svg viewBox="0 0 640 152" role="img" aria-label="{text}"><title>{text}</title>'
        f"{''.join(parts)}</svg>"
    )


def coloured(tokens: list[str], shares: np.ndarray) -> str:
    """Return a text in which each word has its share as colour and as number, as HTML."""
    most = float(np.abs(shares).max()) or 1.0
    spans = []
    for token, share in zip(tokens, shares.tolist(), strict=True):
        colour = "230,97,0" if share >= 0 else "93,58,155"
        strength = 0.55 * abs(share) / most
        spans.append(
            '<span style="display: inline-block; text-align: center; padding: .1rem .3rem; '
            f'background: rgba({colour}, {strength:.2f})">{escape(token)}'
            f'<small style="display: block">{share:+.2f}</small></span>'
        )
    return " ".join(spans)


def gradients(page: Page, models: dict[str, RNNClassifier]) -> None:
    """Draw the gradient by lag before and after training."""
    page.heading("The gradient fades on its way back")
    distance = DISTANCES[-1]
    before = {name: flow(begun(net, distance), distance) for name, net in NETS.items()}
    after = {name: flow(model, distance) for name, model in models.items()}
    for title, curves in (("Before training", before), ("After training", after)):
        chart = line_chart(
            {name: (range(len(curve)), curve.clip(1e-9)) for name, curve in curves.items()},
            ("words before the end", "gradient, relative to the end"),
            f"{title}: norm of the gradient by words before the end, for {', '.join(curves)}.",
            log="y",
        )
        page.figure(chart, f"{title}, sentences of {distance} words (logarithmic, down to 1e-9).")
    listed = "; ".join(f"{name} {curve[-1]:.1e}" for name, curve in before.items())
    far = len(before["rnn"]) - 1
    rate = models["rnn"].get_params()["learning_rate_init"]
    page.text(
        f"What arrives {far} words back before training: {listed}. An LSTM whose forget gate "
        "starts half open (bias 0) forgets as fast as a plain net; it is where the gates start "
        "that makes the memory. Chrono gates start at the length of the data."
    )
    listed = "; ".join(f"{name} {curve[-1]:.1e}" for name, curve in after.items())
    page.text(
        f"After training: {listed}. The start does not decide all: training sentences have all "
        "lengths from 8 words on, and a net that learns the short ones opens its gates, so that "
        "more arrives from further back. Chrono gates need not wait for that. "
        f"learning_rate_init was {rate!r} for all."
    )


def distances(page: Page, windows: dict[str, list[float]]) -> dict[str, RNNClassifier]:
    """Train every net at every distance, draw the accuracies, and return the last models."""
    scores = {}
    models = {}
    for name, net in NETS.items():
        results = [trained(net, distance) for distance in DISTANCES]
        scores[name] = [score for _, score, _ in results]
        models[name] = results[-1][0]
        print(f"{name:<14}" + "".join(f"{score:>8.1%}" for score in scores[name]), flush=True)
    gradients(page, models)
    page.heading("What each net learns, by distance")
    drawn = {"ffnn, window 20": windows["ffnn, window 20"]} | scores
    chart = line_chart(
        {name: (DISTANCES, values) for name, values in drawn.items()},
        ("words between cue and answer", "accuracy"),
        "Accuracy by distance: "
        + "; ".join(f"{name} {', '.join(map(percent, v))}" for name, v in drawn.items()),
        log="x",
        marks=True,
    )
    page.figure(chart, f"{TRAIN:,} sentences, at most {EPOCHS} epochs; {CHANCE:.1%} is chance.")
    header = ("net", *(f"{d} words" for d in DISTANCES))
    page.table(header, [(name, *map(percent, v)) for name, v in drawn.items()])
    held = [name for name, values in scores.items() if min(values) > KNOWS]
    lost = [name for name, values in drawn.items() if values[-1] < 2 * CHANCE]
    page.text(
        f"Over {DISTANCES[-1]} words {' and '.join(held) or 'none'} still know the cue; "
        f"{' and '.join(lost) or 'none'} are below {2 * CHANCE:.0%}, close to a guess."
    )
    return models


def gates(page: Page, model: RNNClassifier) -> None:
    """Show the gates while a sentence is read, and what each word adds."""
    page.heading("The gates at work")
    sentence = "Starving, Alice drives to the nearest store with Bob every day to buy"
    tokens = sentence.replace(",", " ,").split()
    constants = gate_summary(model, [sentence])["layer0"]["forget"].time_constant
    units = np.argsort(-constants)[:6]
    values = gate_activations(model, [sentence])["layer0"]["forget"][0][:, units].T
    names = [f"unit {unit}" for unit in units.tolist()]
    page.figure(
        heat_map(values, names, tokens, "Forget gate of six units at each word, 1 keeps."),
        f"The forget gate of the units that hold longest: 1 keeps all. “{sentence} …”",
    )
    word = model.predict([sentence])[0]
    found = attribution(model, [sentence], method="integrated_gradients")
    chance = model.predict_proba([sentence])[0].max()
    total = found.outputs[0] - found.baseline_outputs[0]
    page.figure(
        coloured(tokens, found[0]),
        f"What each word adds to “{word}” (probability {chance:.0%}): the shares add up to "
        f"{found[0].sum():.3f}; the output rose by {total:.3f} over that of unknown words.",
    )
    page.text(f"The word that counts most is “{tokens[int(found[0].argmax())]}”.")
    try:
        from lightrnn.plotting import AttributionDisplay, GateDisplay

        GateDisplay.from_estimator(model, sentence, units=units).figure_.savefig(
            "why_lstm_gates.png"
        )
        AttributionDisplay.from_estimator(
            model, sentence, method="integrated_gradients"
        ).figure_.savefig("why_lstm_words.png")
    except ImportError:
        print("Without matplotlib there are no PNGs: python -m pip install matplotlib")


def main() -> None:
    """Compute everything and write the page."""
    start = time.perf_counter()
    page = Page("Why an LSTM?")
    page.text(
        "“Starving, Alice drives to the nearest store to buy …” ends with “food”; “Thirsty, …” "
        "with “water”. One of eight words is right, and only the first word says which. Who still "
        "knows it at the end? Every figure below was computed when this page was written."
    )
    seen = windows(page)
    memory(page)
    models = distances(page, seen)
    gates(page, models["lstm, chrono"])
    page.heading("When to take which net")
    page.table(
        ("net", "take it when"),
        [
            ("ffnn", "what matters is near, and you know how near"),
            ("rnn", "sequences are short, and size or time per step counts most"),
            ("gru", "what matters may lie far back: three quarters of an LSTM's weights"),
            ("lstm", "what matters may lie far back"),
        ],
    )
    page.text(
        "Counting words answers these sentences, too, since each cue is a word of its own: where "
        "the order says nothing, try a linear model on counts or means first."
    )
    seconds = time.perf_counter() - start
    page.text(f"Computed in {math.ceil(seconds)} seconds.")
    page.write(PATH)
    print(f"\nThe argument, with its figures, is in {PATH}.\n\n{seconds:.0f} s")


if __name__ == "__main__":
    main()

"""Two tasks on Shakespeare's words: the punctuation after each, and the play of a speech.

*Tagging.* Punctuation is removed from some speeches, and for each word the net predicts the mark
that followed it (`target="step"`: one label per step). Whether a sentence ends here shows in the
words that come next, so reading in both directions helps, and so does seeing more than one word.

*Classification.* The net predicts from which of four plays a speech is: one label per sequence.
Speakers' names are left out. `min_count` makes rare words unknown, so that the net does not learn
them by heart.
"""

import re
import time
import warnings
from typing import Any

import numpy as np

from lightrnn import RNNClassifier
from lightrnn.data.tokens import words
from lightrnn.datasets import load_shakespeare

PLAYS = ("Hamlet", "Macbeth", "Twelfth Night", "Henry V")
MARKS = set(",.;:?!")
NETS: dict[str, dict[str, Any]] = {
    "ffnn, window 1": {"cell": "ffnn", "window": 1},
    "ffnn, window 5": {"cell": "ffnn", "window": 5},
    "rnn": {"cell": "rnn"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
    "gru, both ways": {"cell": "gru", "bidirectional": True},
}


def speeches(text: str) -> list[str]:
    """Return the speeches: paragraphs that begin with a speaker in capitals, without that line."""
    found = []
    for paragraph in text.split("\n\n"):
        speaker, _, speech = paragraph.partition("\n")
        if speech and re.fullmatch(r"[A-Z][A-Z .']+", speaker):
            found.append(" ".join(speech.split()))
    return found


def tagged(speech: str) -> tuple[list[str], list[str]]:
    """Return words in lower case, and the mark after each: "-" for none."""
    found: list[str] = []
    marks: list[str] = []
    for token in words(speech):
        if token[0].isalpha():
            found.append(token.lower())
            marks.append("-")
        elif found and token in MARKS:
            marks[-1] = token
    return found, marks


def play(title: str, text: str) -> str:
    """Return the text of one play from its first act on."""
    start = text.index(f"\n{title}\n\nACT I")
    end = text.find("\n\nACT I\n", start + len(title) + 12)
    return text[start : end if end > 0 else None]


def tagging(text: str) -> None:
    """Train each net to restore the punctuation."""
    pairs = [tagged(speech) for speech in speeches(text) if len(speech) > 60][:12_000]
    X, y = ([pair[i] for pair in pairs if pair[0]] for i in (0, 1))
    cut = len(X) * 4 // 5
    truth = np.concatenate(y[cut:])
    plain = np.mean(truth == "-")
    print(
        f"Which mark follows? {cut} training speeches; no mark is right for {plain:.1%} of words.\n"
    )
    print(f"{'net':<16}{'accuracy':>10}{'marks found':>13}{'parameters':>12}{'fit s':>8}")
    scores = {}
    for name, net in NETS.items():
        start = time.perf_counter()
        model = RNNClassifier(
            **net,
            target="step",
            min_count=3,
            dropout=0.3,
            max_iter=6,
            random_state=0,
        ).fit(X[:cut], y[:cut])
        seconds = time.perf_counter() - start
        right = np.concatenate(model.predict(X[cut:])) == truth
        found = right[truth != "-"].mean()
        size = f"{model.n_parameters_:>12,}"
        print(f"{name:<16}{right.mean():>10.1%}{found:>13.1%}{size}{seconds:>8.1f}")
        scores[name] = right.mean()
    print(said(scores, float(plain), "no mark"))


def said(scores: dict[str, float], baseline: float, guess: str) -> str:
    """Return what a table of accuracies says."""
    best = max(scores, key=lambda name: scores[name])
    memory = max(score for name, score in scores.items() if not name.startswith("ffnn"))
    window = max(score for name, score in scores.items() if name.startswith("ffnn"))
    text = f"\n{best} has the most, {scores[best]:.1%}; {guess} is right for {baseline:.1%}. "
    if memory <= window:
        return f"{text}A memory buys nothing here."
    points = round(100 * memory, 1) - round(100 * window, 1)  # of the figures that are printed
    return f"{text}A memory buys {points:.1f} points over a window."


def classification(text: str) -> None:
    """Train each net to name the play."""
    X = []
    titles = []
    for title in PLAYS:
        long = [speech for speech in speeches(play(title, text)) if len(speech) > 60]
        X += long
        titles += [title] * len(long)
    order = np.random.default_rng(0).permutation(len(X))
    X = [X[i] for i in order]
    y = np.array(titles)[order]
    cut = len(X) * 4 // 5
    share = max(np.mean(y[cut:] == title) for title in PLAYS)
    print(f"\nWhich play? {cut} training speeches; the commonest play is right for {share:.1%}.\n")
    print(f"{'net':<16}{'accuracy':>10}{'parameters':>12}{'fit s':>8}")
    scores = {}
    for name, net in NETS.items():
        start = time.perf_counter()
        model = RNNClassifier(
            **net,
            tokens="word",
            min_count=3,
            dropout=0.5,
            max_iter=15,
            random_state=0,
        ).fit(X[:cut], y[:cut])
        seconds = time.perf_counter() - start
        accuracy = model.score(X[cut:], y[cut:])
        print(f"{name:<16}{accuracy:>10.1%}{model.n_parameters_:>12,}{seconds:>8.1f}")
        scores[name] = accuracy
    print(said(scores, float(share), "the commonest play"))


def main() -> None:
    """Run both tasks."""
    # The last word of a speech says nothing of the play, and a window of 1 sees no other.
    warnings.filterwarnings("ignore", "Nothing was learned")
    start = time.perf_counter()
    text = load_shakespeare()
    tagging(text)
    classification(text)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()

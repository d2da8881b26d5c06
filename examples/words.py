"""Words: which mark stands after each, and which play are they from? Two tasks on Shakespeare's plays.

*Tagging.* Punctuation is taken out of some speeches, and for each word the net says which mark followed it
(`target="step"`: one label a step). Whether a sentence ends here shows in what comes next, so reading in both
directions helps, and so does more than one word.

*Classification.* A speech is given, and the net says which of four plays it is from; one label for the whole.
Speakers' names are not shown. `min_count` makes rare words unknown, so that the net does not learn them by heart.
"""

import re
import time
from typing import Any

import numpy as np

from lightrnn import RNNClassifier
from lightrnn.data.tokens import words
from lightrnn.datasets import load_shakespeare

PLAYS = ("Hamlet", "Macbeth", "Twelfth Night", "Henry V")
MARKS = {",": ",", ".": ".", ";": ";", ":": ":", "?": "?", "!": "!"}
NETS: dict[str, dict[str, Any]] = {
    "ffnn, window 1": {"cell": "ffnn", "window": 1},
    "ffnn, window 5": {"cell": "ffnn", "window": 5},
    "rnn": {"cell": "rnn"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
    "gru, both ways": {"cell": "gru", "bidirectional": True},
}


def speeches(text: str) -> list[str]:
    """Return what is said: paragraphs that begin with a speaker in capitals, without that line."""
    said = (block.partition("\n") for block in text.split("\n\n"))
    return [
        " ".join(rest.split())
        for name, _, rest in said
        if rest and re.fullmatch(r"[A-Z][A-Z .']+", name)
    ]


def tagged(speech: str) -> tuple[list[str], list[str]]:
    """Return words in small letters, and the mark after each."""
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
    """Cut one play out of the plays."""
    start = text.index(f"\n{title}\n\nACT I")
    end = text.find("\n\nACT I\n", start + len(title) + 12)
    return text[start : end if end > 0 else None]


def tagging(text: str) -> None:
    """Train each net to put in the punctuation."""
    pairs = [tagged(speech) for speech in speeches(text) if len(speech) > 60][:12_000]
    X, y = ([pair[i] for pair in pairs if pair[0]] for i in (0, 1))
    cut = len(X) * 4 // 5
    plain = np.mean([mark == "-" for marks in y[cut:] for mark in marks])
    print(
        f"Which mark follows? {cut} speeches to learn from; no mark at all is right for {plain:.1%} of the words.\n"
    )
    print(f"{'net':<16}{'accuracy':>10}{'marks found':>13}{'parameters':>12}{'fit s':>8}")
    for name, net in NETS.items():
        start = time.perf_counter()
        model = RNNClassifier(
            **net,
            target="step",
            min_count=3,
            dropout=0.3,
            max_iter=6,
            learning_rate="cosine",
            random_state=0,
        ).fit(X[:cut], y[:cut])
        seconds = time.perf_counter() - start
        truth, said = np.concatenate(y[cut:]), np.concatenate(model.predict(X[cut:]))
        found = np.mean(said[truth != "-"] == truth[truth != "-"])
        print(
            f"{name:<16}{np.mean(said == truth):>10.1%}{found:>13.1%}{model.n_parameters_:>12,}{seconds:>8.1f}"
        )


def classification(text: str) -> None:
    """Train each net to tell the play."""
    X, y = [], []
    for title in PLAYS:
        said = [speech for speech in speeches(play(title, text)) if len(speech) > 60]
        X += said
        y += [title] * len(said)
    order = np.random.default_rng(0).permutation(len(X))
    X, y = [X[i] for i in order], np.array(y)[order]
    cut = len(X) * 4 // 5
    often = max(np.mean(y[cut:] == title) for title in PLAYS)
    print(
        f"\nWhich play? {cut} speeches to learn from; the commonest play is right for {often:.1%}.\n"
    )
    print(f"{'net':<16}{'accuracy':>10}{'parameters':>12}{'fit s':>8}")
    for name, net in NETS.items():
        start = time.perf_counter()
        model = RNNClassifier(
            **net,
            tokens="word",
            min_count=3,
            dropout=0.5,
            max_iter=15,
            learning_rate="cosine",
            random_state=0,
        ).fit(X[:cut], y[:cut])
        seconds = time.perf_counter() - start
        print(
            f"{name:<16}{model.score(X[cut:], y[cut:]):>10.1%}{model.n_parameters_:>12,}{seconds:>8.1f}"
        )


def main() -> None:
    """Run both tasks."""
    start = time.perf_counter()
    text = load_shakespeare()
    tagging(text)
    classification(text)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()

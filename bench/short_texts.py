"""Short texts by default: messages to topics and names to languages, beside logistic regression.

Both sets come from packages on PyPI and were chosen before anything was measured. Nothing but
`random_state` is passed to `RNNClassifier`.
"""

import importlib
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lightrnn import RNNClassifier

from . import peers
from .report import Row, Run, Table, verdict

SEEDS = (0, 1, 2)  # each of another split, and of another net
TEST = 0.3
NEAR = 0.01  # a mean accuracy that much below the regression's still reaches the bar
LEAST = 40  # messages of a topic
# The locale of Faker whose last names stand for a language.
LANGUAGES = {
    "Croatian": "hr_HR",
    "Dutch": "nl_NL",
    "English": "en_GB",
    "Estonian": "et_EE",
    "Finnish": "fi_FI",
    "French": "fr_FR",
    "German": "de_DE",
    "Irish": "ga_IE",
    "Italian": "it_IT",
    "Slovak": "sk_SK",
    "Spanish": "es_ES",
    "Swedish": "sv_SE",
    "Zulu": "zu_ZA",
}
# What the regression counts: words and pairs of them; up to four characters within a word.
GRAMS: dict[str, dict[str, Any]] = {
    "messages": {"ngram_range": (1, 2)},
    "names": {"analyzer": "char_wb", "ngram_range": (1, 4)},
}

Data = tuple[list[str], np.ndarray]


def load_messages() -> Data:
    """Return the distinct English messages of chatterbot-corpus, and the topic of each."""
    import yaml

    corpus = importlib.import_module("chatterbot_corpus")
    topics = {}
    for file in sorted((Path(str(corpus.__file__)).parent / "data" / "english").glob("*.yml")):
        talks = yaml.safe_load(file.read_text())["conversations"]
        # Some talks are a single message.
        talks = [[talk] if isinstance(talk, str) else talk for talk in talks]
        topics[file.stem] = {str(message) for talk in talks for message in talk}
    return _of_one_label({name: texts for name, texts in topics.items() if len(texts) >= LEAST})


def load_names() -> Data:
    """Return the last names that Faker has for some languages, and the language of each."""
    languages = {}
    for language, locale in LANGUAGES.items():
        provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
        languages[language] = set(provider.last_names)
    return _of_one_label(languages)


def _of_one_label(texts: dict[str, set[str]]) -> Data:
    """Return the texts that one label alone has, in a fixed order, and their labels."""
    count = Counter(text for group in texts.values() for text in group)
    pairs = [
        (text, label)
        for label, group in texts.items()
        for text in sorted(group)
        if count[text] == 1
    ]
    return [text for text, _ in pairs], np.array([label for _, label in pairs])


LOADERS = {"messages": load_messages, "names": load_names}


def _rows(run: Run) -> Iterator[Row]:
    if not (peers.HAS_SKLEARN and peers.HAS_TEXTS):
        run.progress(
            "short-texts: needs scikit-learn and chatterbot-corpus, PyYAML, Faker: [bench]"
        )
        return
    for name, load in LOADERS.items():
        X, y = load()
        scores = [_scores(X, y, GRAMS[name], seed) for seed in SEEDS[: 1 if run.quick else None]]
        ours, theirs, seconds, their_seconds = np.mean(scores, axis=0)
        yield (
            name,
            f"{len(X):,}",
            str(len(np.unique(y))),
            f"{ours:.3f}",
            f"{theirs:.3f}",
            f"{seconds:.1f}",
            f"{their_seconds:.1f}",
            *verdict(ours, theirs - NEAR, "{:.3f}"),
        )


def _scores(X: list[str], y: np.ndarray, grams: dict[str, Any], seed: int) -> list[float]:
    """Return the accuracy of both sides on held-out texts, and the seconds of each."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline

    X, X_test, y, y_test = train_test_split(X, y, test_size=TEST, stratify=y, random_state=seed)
    peer = make_pipeline(TfidfVectorizer(**grams), LogisticRegression(max_iter=1000))
    accuracies, seconds = [], []
    for model in (RNNClassifier(random_state=seed), peer):
        start = time.perf_counter()
        accuracies.append(model.fit(X, y).score(X_test, y_test))
        seconds.append(time.perf_counter() - start)
    return accuracies + seconds


SHORT_TEXTS = Table(
    "short-texts",
    "Short texts: accuracy of `RNNClassifier()` and of logistic regression on n-grams",
    (
        "texts",
        "n",
        "classes",
        "lightrnn",
        "regression",
        "lightrnn, s",
        "regression, s",
        "bar",
        "reached",
    ),
    _rows,
    f"Means of {len(SEEDS)} stratified splits, {1 - TEST:.0%} to train on. messages: the distinct "
    f"English messages of chatterbot-corpus, whose topics of at least {LEAST} messages are the "
    "classes. names: last names of Faker's locales, whose languages are the classes. Texts of two "
    "classes are left out. The regression has tf-idf features of words and pairs of words for the "
    "messages, of one to four characters for the names, and scikit-learn's defaults. The bar is "
    f"the regression's accuracy less {NEAR}.",
)

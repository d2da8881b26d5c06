"""Shakespeare, character by character: what an LSTM makes of five million of them.

An `RNNLanguageModel` learns the probability of the next character given all before it. It is judged on the last 5 % of
the plays, which it has not seen, in bits a character: how long they would be if they were compressed by its knowledge.
Beside it stands what counting does: the last four characters and how often each other one has followed them, backed
off to fewer where they are rare (Witten and Bell 1991). Then the model writes a scene.

By default it reads the plays once, a minute or so. With `--minutes 15` a larger net reads them as often as there is
time for.
"""

import argparse
import math
import time
from collections import defaultdict

from lightrnn import RNNLanguageModel
from lightrnn.datasets import load_shakespeare
from lightrnn.training.history import Epoch

ORDER = 5
PROMPT = "\n\nHAMLET\n"  # as it stands within the plays: how a text begins was seen only once


class Counts:
    """An n-gram model: counts of what followed each context, mixed from long to short by Witten-Bell's rule."""

    def __init__(self, text: str, order: int) -> None:
        self.order, self.alphabet = order, len(set(text)) + 1
        self.followers: list[dict[str, dict[str, int]]] = [defaultdict(dict) for _ in range(order)]
        for n, table in enumerate(self.followers):
            for i in range(n, len(text)):
                counts = table[text[i - n : i]]
                counts[text[i]] = counts.get(text[i], 0) + 1

    def probability(self, context: str, character: str) -> float:
        """Return P(character | context), from an even distribution up to the longest context that was seen."""
        p = 1 / self.alphabet
        for n, table in enumerate(self.followers):
            counts = table.get(context[len(context) - n :])
            if counts is None:
                break
            total, kinds = sum(counts.values()), len(counts)
            p = (counts.get(character, 0) + kinds * p) / (total + kinds)
        return p

    def bits(self, text: str) -> float:
        """Return the mean bits a character."""
        contexts = (text[max(0, i - self.order + 1) : i] for i in range(len(text)))
        return -sum(
            math.log2(self.probability(c, t)) for c, t in zip(contexts, text, strict=True)
        ) / len(text)


def main() -> None:
    """Count, train, compare, write."""
    parser = argparse.ArgumentParser(description="Character models of Shakespeare's plays.")
    parser.add_argument("--minutes", type=float, default=0, help="train on all plays for so long")
    minutes = parser.parse_args().minutes
    train, test = load_shakespeare("train"), load_shakespeare("test")
    print(
        f"{len(train):,} characters to learn from, {len(test):,} to tell; {len(set(train))} different ones.\n"
    )

    start = time.perf_counter()
    bits = Counts(train, ORDER).bits(test)
    print(
        f"{ORDER}-grams, Witten-Bell    {bits:.3f} bits/character  {time.perf_counter() - start:.0f} s\n",
        flush=True,
    )

    start = time.perf_counter()
    if minutes:
        # So many characters a second this machine reads; the cosine then ends with the time.
        speed = _characters_a_second(train)
        epochs = max(1, int(60 * minutes * speed / len(train)))
        model = _model((512,), epochs)
    else:
        model = _model((256,), 1)

    def told(record: Epoch) -> bool:
        score = -(record.validation_score or 0.0) / math.log(2)
        print(
            f"  epoch {record.epoch}: {record.loss / math.log(2):.3f} bits in training, {score:.3f} on the test text"
        )
        return False

    model.set_params(callbacks=told if minutes else None)
    model.fit(train, texts_val=test if minutes else None)
    seconds = time.perf_counter() - start
    print(
        f"\nLSTM, {model.n_parameters_:,} weights  {model.bits_per_character(test):.3f} bits/character  {seconds:.0f} s"
    )
    print(f"\n{PROMPT}{model.generate(PROMPT, 600, temperature=0.8, random_state=0)}")


def _model(sizes: tuple[int, ...], epochs: int) -> RNNLanguageModel:
    return RNNLanguageModel(
        "lstm",
        sizes,
        embedding_size=32,
        truncate=100,
        learning_rate="cosine",
        learning_rate_init=6e-3 if epochs == 1 else 4e-3,
        max_iter=epochs,
        verbose=1,
        random_state=0,
    )


def _characters_a_second(text: str) -> float:
    """Return how fast the large net trains."""
    piece, model = text[:100_000], _model((512,), 1).set_params(verbose=0)
    model.partial_fit(piece[:10_000])
    start = time.perf_counter()
    model.partial_fit(piece)
    return len(piece) / (time.perf_counter() - start)


if __name__ == "__main__":
    main()

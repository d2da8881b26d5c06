"""Shakespeare, character by character: a language model of five million characters.

An `RNNLanguageModel` learns the probability of the next character given all before it. It is tested
on the last 5 % of the plays, which it has not seen, in bits per character: the size to which it
could compress them. It is compared with an n-gram model, which counts how often each character
followed the last four and falls back to fewer where these are rare (Witten and Bell 1991). Then the
model writes a scene.

By default it reads the plays once, in a minute or so. With `--minutes 15` a larger net reads them
as often as that time allows.
"""

import argparse
import math
import time
from collections import defaultdict

from lightrnn import RNNLanguageModel
from lightrnn.datasets import load_shakespeare
from lightrnn.training import Epoch

ORDER = 5
# As speeches begin within the plays; the beginning of a text is seen only once in training.
PROMPT = "\n\nHAMLET\n"


class Counts:
    """An n-gram model: counts after contexts of several lengths, mixed by Witten-Bell's rule."""

    def __init__(self, text: str, order: int) -> None:
        self.order = order
        self.alphabet = len(set(text)) + 1  # with one character that was never seen
        # By length of the context: how often each character followed it.
        self.followers: list[dict[str, dict[str, int]]] = [defaultdict(dict) for _ in range(order)]
        for n, table in enumerate(self.followers):
            for i in range(n, len(text)):
                counts = table[text[i - n : i]]
                counts[text[i]] = counts.get(text[i], 0) + 1

    def probability(self, context: str, character: str) -> float:
        """Return P(character | context), mixed over contexts from the empty one to the longest."""
        p = 1 / self.alphabet
        for n, table in enumerate(self.followers):
            counts = table.get(context[len(context) - n :])
            if counts is None:
                break
            total = sum(counts.values())
            kinds = len(counts)
            p = (counts.get(character, 0) + kinds * p) / (total + kinds)
        return p

    def bits(self, text: str) -> float:
        """Return the mean bits per character."""
        total = 0.0
        for i, character in enumerate(text):
            context = text[max(0, i - self.order + 1) : i]
            total -= math.log2(self.probability(context, character))
        return total / len(text)


def main() -> None:
    """Count n-grams, train, compare, and let the model write."""
    parser = argparse.ArgumentParser(description="Character models of Shakespeare's plays.")
    parser.add_argument("--minutes", type=float, default=0, help="minutes of training")
    minutes = parser.parse_args().minutes
    train = load_shakespeare("train")
    test = load_shakespeare("test")
    print(f"{len(train):,} characters for training, {len(test):,} for the test.\n")

    start = time.perf_counter()
    counted = Counts(train, ORDER).bits(test)
    seconds = time.perf_counter() - start
    name = f"{ORDER}-grams, Witten-Bell"
    print(f"{name}    {counted:.3f} bits/character  {seconds:.0f} s\n", flush=True)

    start = time.perf_counter()
    if minutes:
        # The number of epochs is fixed in advance, so that the cosine ends when the time does.
        speed = _characters_per_second(train)
        epochs = max(1, int(60 * minutes * speed / len(train)))
        model = _model((512,), epochs)
    else:
        model = _model((256,), 1)

    if minutes:
        model.set_params(callbacks=_print_epoch).fit(train, texts_val=test)
    else:
        model.fit(train)
    seconds = time.perf_counter() - start
    name = f"LSTM, {model.n_parameters_:,} weights"
    bits = model.bits_per_character(test)
    print(f"\n{name}  {bits:.3f} bits/character  {seconds:.0f} s")
    if bits < counted:
        print(f"The LSTM needs {counted - bits:.3f} bits less for a character than counting does.")
    else:
        print(
            f"Counting {ORDER} letters is still {bits - counted:.3f} bits better: one epoch is "
            "little.\nWith --minutes 30 the LSTM has the time to learn more."
        )
    print(f"\n{PROMPT}{model.generate(PROMPT, 600, temperature=0.8, random_state=0)}")


def _print_epoch(record: Epoch) -> None:
    """Print the losses of an epoch in bits."""
    train = record.loss / math.log(2)
    test = -(record.validation_score or 0.0) / math.log(2)
    print(f"  epoch {record.epoch}: {train:.3f} bits in training, {test:.3f} on the test text")


def _model(sizes: tuple[int, ...], epochs: int) -> RNNLanguageModel:
    """Return an LSTM that is not fitted."""
    return RNNLanguageModel(
        "lstm",
        sizes,
        embedding_size=32,
        truncate=100,
        learning_rate_init=6e-3 if epochs == 1 else 4e-3,
        max_iter=epochs,
        verbose=1,
        random_state=0,
    )


def _characters_per_second(text: str) -> float:
    """Return how fast the large net trains on this machine."""
    piece = text[:100_000]
    model = _model((512,), 1).set_params(verbose=0)
    model.partial_fit(piece[:10_000])  # compiles, or finds the machine code in the cache
    start = time.perf_counter()
    model.partial_fit(piece)
    return len(piece) / (time.perf_counter() - start)


if __name__ == "__main__":
    main()

"""Shakespeare in fifteen minutes: bits per character on the last 5 % of the plays after each epoch.

    python -m bench.shakespeare [--write]

One LSTM is trained on the first 95 % with all CPUs of this machine, for as many epochs as fit into
the time. The speed is measured first, so that the cosine schedule ends when the time does.
"""

import math
import sys
import time

from lightrnn import RNNLanguageModel
from lightrnn.datasets import load_shakespeare
from lightrnn.training import Epoch

from .machine import describe
from .report import markdown, verdict, write

MINUTES = 15
BAR = 2.1
PPMD = 1.97
UNITS = (512,)
TITLE = f"Shakespeare's plays, bits per character: LSTM {UNITS[0]}, {MINUTES} minutes on all CPUs"
COLUMNS = ("epoch", "minutes", "training", "last 5 %", "bar", "reached")
NOTE = (
    "The bar is for the last row. For comparison: an order-8 PPMd compressor that has read the "
    f"other 95 % needs {PPMD}, and 5-grams with Witten-Bell back-off need 2.37. Seed 0; nothing "
    "was chosen by looking at the last 5 %."
)


def make_model(epochs: int) -> RNNLanguageModel:
    """Return the model to train."""
    return RNNLanguageModel(
        "lstm",
        UNITS,
        embedding_size=32,
        truncate=100,
        learning_rate_init=4e-3,
        max_iter=epochs,
        random_state=0,
    )


def characters_per_second(text: str) -> float:
    """Return how many characters per second the model learns from."""
    model = make_model(1).partial_fit(text[:20_000])  # compiles
    start = time.perf_counter()
    model.partial_fit(text[:400_000])
    return 400_000 / (time.perf_counter() - start)


def main() -> None:
    """Train and print the curve."""
    machine = describe()
    train = load_shakespeare("train")
    test = load_shakespeare("test")
    # Per epoch: training, and the evaluation of the test text at some 15,000 characters per second.
    seconds = len(train) / characters_per_second(train) + len(test) / 15_000
    epochs = max(1, int(60 * MINUTES / seconds))
    print(f"{epochs} epochs of about {seconds:.0f} s", flush=True)
    rows: list[tuple[str, ...]] = []
    start = time.perf_counter()

    def record_row(record: Epoch) -> None:
        elapsed = time.perf_counter() - start
        training = record.loss / math.log(2)  # from nats to bits
        held_out = -(record.validation_score or 0.0) / math.log(2)
        bar = BAR if record.epoch == epochs else None
        figures = (f"{elapsed / 60:.1f}", f"{training:.3f}", f"{held_out:.3f}")
        rows.append((str(record.epoch), *figures, *verdict(held_out, bar, at_most=True)))
        print(rows[-1], flush=True)

    make_model(epochs).set_params(callbacks=record_row).fit(train, texts_val=test)
    text = f"**{TITLE}**\n\n{markdown(COLUMNS, rows)}\n\n{NOTE}\n\nMeasured on: {machine}"
    print(text)
    if "--write" in sys.argv:
        write("shakespeare", text)


if __name__ == "__main__":
    main()

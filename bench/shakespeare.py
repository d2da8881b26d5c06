"""Shakespeare in fifteen minutes: bits a character on the last 5 % of the plays, epoch by epoch.

    python -m bench.shakespeare [--write]

One LSTM, trained on the first 95 % with all of this machine's CPUs for as many epochs as fit into the time; the speed
is measured first, so that the cosine schedule ends with the time.
"""

import math
import sys
import time

from lightrnn import RNNLanguageModel
from lightrnn.datasets import load_shakespeare
from lightrnn.training.history import Epoch

from .machine import describe
from .report import markdown, verdict, write

MINUTES, BAR, PPMD = 15, 2.1, 1.97
UNITS = (512,)


def make_model(epochs: int) -> RNNLanguageModel:
    """Return the model that is trained."""
    return RNNLanguageModel(
        "lstm",
        UNITS,
        embedding_size=32,
        truncate=100,
        learning_rate="cosine",
        learning_rate_init=4e-3,
        max_iter=epochs,
        random_state=0,
    )


def characters_a_second(text: str) -> float:
    """Return how fast the model trains."""
    model = make_model(1).partial_fit(text[:20_000])
    start = time.perf_counter()
    model.partial_fit(text[:400_000])
    return 400_000 / (time.perf_counter() - start)


def main() -> None:
    """Train and print the curve."""
    machine, train, test = describe(), load_shakespeare("train"), load_shakespeare("test")
    seconds = (
        len(train) / characters_a_second(train) + len(test) / 15_000
    )  # an epoch, and the look at the test text
    epochs = max(1, int(60 * MINUTES / seconds))
    print(f"{epochs} epochs of about {seconds:.0f} s", flush=True)
    rows: list[tuple[str, ...]] = []
    start = time.perf_counter()

    def told(record: Epoch) -> None:
        bits = (record.loss / math.log(2), -(record.validation_score or 0.0) / math.log(2))
        elapsed = time.perf_counter() - start
        last = verdict(bits[1], BAR, "{:g}", at_most=True) if record.epoch == epochs else ("", "")
        rows.append((str(record.epoch), f"{elapsed / 60:.1f}", *(f"{b:.3f}" for b in bits), *last))
        print(rows[-1], flush=True)

    make_model(epochs).set_params(callbacks=told).fit(train, texts_val=test)
    table = markdown(("epoch", "minutes", "in training", "on the last 5 %", "bar", "reached"), rows)
    text = (
        f"**Shakespeare's plays, bits a character: LSTM {UNITS[0]}, {MINUTES} minutes on all CPUs**\n\n{table}\n\n"
        f"The bar is for the last row; an order-8 PPMd compressor that has read the rest needs {PPMD}, 5-grams with "
        f"Witten-Bell's back-off need 2.37. Seed 0, nothing chosen by the last 5 %.\n\nMeasured on: {machine}"
    )
    print(text)
    if "--write" in sys.argv:
        write("shakespeare", text)


if __name__ == "__main__":
    main()

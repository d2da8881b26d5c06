"""Shakespeare in fifteen minutes: bits per character on the last 5 % of the plays after each epoch.

    python -m bench.shakespeare [--write]

One LSTM is trained on the first 95 % with all CPUs of this machine, for as many epochs as fit into
the time. The speed is measured first, so that the cosine schedule ends when the time does.

The last 5 % are two other plays, with names of their own. A compressor learns these while it reads
them; so does the net in the table's last row, by `partial_fit` on every piece of the text
after that piece has been scored. This is dynamic evaluation: Mikolov et al. (2010), Recurrent
neural network based language model, Interspeech; Krause et al. (2018), Dynamic evaluation of neural
sequence models, ICML.
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
BAR = 1.95
PPMD = 1.97
UNITS = (576,)
TITLE = f"Shakespeare's plays, bits per character: LSTM {UNITS[0]}, {MINUTES} minutes on all CPUs"
COLUMNS = ("epoch", "minutes", "training", "last 5 %", "bar", "reached")
PIECE = 2000  # characters that are scored, then learned
NOTE = (
    "The last row reads the last 5 % as a compressor does: it scores a piece of "
    f"{PIECE:,} characters, then learns from it by `partial_fit`, and so on. An order-8 PPMd "
    f"compressor that has read the other 95 % needs {PPMD}, learning as it goes on, too; 5-grams "
    "with Witten-Bell back-off, which do not, need 2.37. Seed 0; nothing was chosen by looking at "
    "the last 5 %."
)


def make_model(epochs: int) -> RNNLanguageModel:
    """Return the model to train."""
    return RNNLanguageModel(
        "lstm",
        UNITS,
        embedding_size=32,
        truncate=50,
        learning_rate_init=4e-3,
        alpha=0.05,
        max_iter=epochs,
        random_state=0,
    )


def characters_per_second(text: str) -> float:
    """Return how many characters per second the model learns from."""
    model = make_model(1).partial_fit(text[:20_000])  # compiles
    start = time.perf_counter()
    model.partial_fit(text[:400_000])
    return 400_000 / (time.perf_counter() - start)


def bits_while_learning(model: RNNLanguageModel, text: str) -> float:
    """Return the bits per character of a text from which the model learns, piece by piece."""
    # Twenty steps of 100 characters for each piece, at a small rate: chosen on a held-out part of
    # the training text, where a net of 256 units then needs 2.02 bits instead of 2.10.
    model.set_params(learning_rate="constant", learning_rate_init=2e-4, batch_size=2, truncate=50)
    model.set_params(callbacks=None)
    bits = 0.0
    for start in range(0, len(text), PIECE):
        piece = text[start : start + PIECE]
        bits += model.bits_per_character(piece) * len(piece)
        model.partial_fit(piece)
    return bits / len(text)


def main() -> None:
    """Train and print the curve."""
    machine = describe()
    train = load_shakespeare("train")
    test = load_shakespeare("test")
    # Per epoch: training, and the evaluation of the test text at some 15,000 characters per second.
    evaluation = len(test) / 15_000
    seconds = len(train) / characters_per_second(train) + evaluation
    # To learn while reading takes a few evaluations.
    epochs = max(1, int((60 * MINUTES - 4 * evaluation) / seconds))
    print(f"{epochs} epochs of about {seconds:.0f} s", flush=True)
    rows: list[tuple[str, ...]] = []
    start = time.perf_counter()

    def add_row(name: str, training: str, held_out: float, bar: float | None) -> None:
        elapsed = f"{(time.perf_counter() - start) / 60:.1f}"
        reached = verdict(held_out, bar, at_most=True)
        rows.append((name, elapsed, training, f"{held_out:.3f}", *reached))
        print(rows[-1], flush=True)

    def record_row(record: Epoch) -> None:
        training = record.loss / math.log(2)  # from nats to bits
        held_out = -(record.validation_score or 0.0) / math.log(2)
        bar = BAR if record.epoch == epochs else None
        add_row(str(record.epoch), f"{training:.3f}", held_out, bar)

    model = make_model(epochs).set_params(callbacks=record_row).fit(train, texts_val=test)
    add_row("learns as it reads", "", bits_while_learning(model, test), BAR)
    text = f"**{TITLE}**\n\n{markdown(COLUMNS, rows)}\n\n{NOTE}\n\nMeasured on: {machine}"
    print(text)
    if "--write" in sys.argv:
        write("shakespeare", text)


if __name__ == "__main__":
    main()

"""Text: a language model's training and generation, and sentences that need a memory."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from lightrnn import RNNClassifier, RNNLanguageModel
from lightrnn.datasets import load_shakespeare, make_long_context_sentences
from lightrnn.losses import make_loss
from lightrnn.nn.network import Network
from lightrnn.nn.solvers import make_solver
from lightrnn.training import STOP, Epoch
from lightrnn.training.texts import TextBatches

from . import peers
from .corpora import MODELS, zipf
from .report import Row, Run, Table, shown, times_faster, verdict
from .timing import Times, alternate, median, ratio

CHARACTERS = 1000  # to generate
MILLISECONDS = 60.0  # the bar for that


class Training:
    """The training of lightrnn, as `RNNLanguageModel.fit` does it chunk by chunk."""

    def __init__(
        self,
        V: int,
        E: int,
        sizes: tuple[int, ...],
        B: int,
        T: int,
        threads: int,
        head: str = "linear",
    ) -> None:
        self.network = Network("lstm", E, sizes, V, target="step", n_tokens=V, head=head)
        self.network.initialize(np.random.default_rng(0))
        self.solver = make_solver("adam", self.network.layout.size, "float32")
        self.loss = make_loss("softmax")
        self.threads = threads
        self.texts = zipf(V, B * T * 50)
        self.feed = TextBatches([self.texts], 1, B, T, rng=np.random.default_rng(0))
        self._batches: Iterator[Any] = iter(())

    def step(self) -> None:
        """Train on the next chunk of every stream."""
        item = next(self._batches, None)
        if item is None:  # the first step of an epoch
            self._batches = self.feed.epoch(self.network)
            item = next(self._batches)
        self.network.loss_and_gradient(item[1], self.loss, self.threads)
        self.solver.step(self.network.parameters, self.network.gradient, 1e-3, 1.0)


def sides(model: tuple[Any, ...], threads: int) -> dict[str, Callable[[], Any]]:
    """Return a training step for each side."""
    V, E, sizes, B, T, _ = model
    calls: dict[str, Callable[[], Any]] = {"lightrnn": Training(V, E, sizes, B, T, threads).step}
    if peers.HAS_TORCH:
        from .pytorch import language_step

        calls["torch"] = language_step(V, E, sizes, B, T)
    return calls


def _speed_rows(run: Run) -> Iterator[Row]:
    for threads in run.threads:
        for name, model in MODELS.items():
            tokens = model[3] * model[4]
            with peers.limited(threads):
                times = alternate(sides(model, threads), quick=run.quick)
            yield (
                name,
                str(threads),
                *_rates(times, tokens),
                *verdict(ratio(times, "torch"), model[5][threads - 1]),
            )
    yield _generation(run)


def _rates(times: Times, tokens: int) -> Row:
    rates = (shown(tokens / median(times, side), "{:,.0f}") for side in ("lightrnn", "torch"))
    return *rates, times_faster(ratio(times, "torch"))


def _generation(run: Run) -> Row:
    text = load_shakespeare()[:200_000]
    model = RNNLanguageModel(hidden_layer_sizes=(256,), max_iter=1, random_state=0).fit(text)
    times = alternate(
        {"lightrnn": partial(model.generate, "A", CHARACTERS, random_state=0)}, quick=run.quick
    )
    milliseconds = 1e3 * median(times, "lightrnn")
    return (
        f"generate, {CHARACTERS:,} characters, LSTM 256",
        "1",
        f"{milliseconds:.1f} ms",
        "",
        "",
        *verdict(milliseconds, MILLISECONDS, "{:g} ms", at_most=True),
    )


# -- sentences -------------------------------------------------------------------------------------

LEAST = 8  # words between, in training
DISTANCES = (20, 40, 80, 160)
SEEDS = (0, 1, 2)
RATES = (1e-3, 3e-3)  # each net gets the better one
TRAIN = 5000
HELD_OUT = 500
TEST = 10_000
EPOCHS = 20
BATCH = 16
UNITS = 64
NETS: dict[str, dict[str, Any]] = {
    "ffnn, window 5": {"cell": "ffnn", "window": 5},
    "ffnn, window 20": {"cell": "ffnn", "window": 20},
    "rnn": {"cell": "rnn"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
}
GUESS = 0.15  # an accuracy below it counts as guessing, where chance is 0.125
# The accuracy to reach by net and distance; a negative bar is one to stay below.
SENTENCE_BARS = {
    ("ffnn, window 5", 20): -GUESS,
    ("lstm", 20): 0.99,
    ("ffnn, window 20", 40): -GUESS,
    ("lstm", 40): 0.95,
    ("ffnn, window 20", 80): -GUESS,
    ("lstm", 80): 0.95,
    ("ffnn, window 20", 160): -GUESS,
    ("lstm", 160): 0.95,
}


def _sentence_rows(run: Run) -> Iterator[Row]:
    for distance in DISTANCES[:2] if run.quick else DISTANCES:
        test = make_long_context_sentences(distance, TEST, random_state=99)
        for name, net in NETS.items():
            seeds = SEEDS[:1] if run.quick else SEEDS
            models = [_best(net, distance, seed, run) for seed in seeds]
            scores = [model.score(*test) for model in models]
            middle = float(np.median(scores))
            input_weights = "layer0.W" if net["cell"] == "ffnn" else "layer0.W_ih"
            yield (
                str(distance),
                name,
                " ".join(f"{score:.1%}" for score in scores),
                f"{middle:.1%}",
                f"{models[0].n_parameters_:,}",
                f"{models[0].weights_[input_weights].size:,}",
                *_sentence_verdict(middle, SENTENCE_BARS.get((name, distance))),
            )


def _sentence_verdict(figure: float, bar: float | None) -> Row:
    """Return the cells "bar" and "reached"; "chance" stands for a negative bar."""
    if bar is not None and bar < 0:
        return "chance", "yes" if figure < -bar else "NO"
    return verdict(figure, bar, "{:.0%}")


def _best(net: dict[str, Any], distance: int, seed: int, run: Run) -> RNNClassifier:
    """Try every learning rate and return the net that does best on held-out sentences."""
    X, y = make_long_context_sentences((LEAST, distance), TRAIN, random_state=seed)
    held_out = make_long_context_sentences(distance, HELD_OUT, random_state=1000 + seed)
    epochs = 2 if run.quick else EPOCHS
    tried = []
    for rate in RATES:
        model = RNNClassifier(
            **net,
            hidden_layer_sizes=(UNITS,),
            tokens="word",
            embedding_size=16,
            batch_size=BATCH,
            learning_rate_init=rate,
            max_iter=epochs,
            n_iter_no_change=epochs,
            early_stopping=True,
            scoring="score",
            callbacks=_solved,
            random_state=seed,
        ).fit(X, y, X_val=held_out[0], y_val=held_out[1])
        tried.append((max(model.validation_scores_), model))
    return max(tried, key=lambda trial: trial[0])[1]


def _solved(record: Epoch) -> object:
    return STOP if record.validation_score == 1.0 else None


TEXT = Table(
    "text",
    "Language models: training tokens per second",
    ("model", "threads", "lightrnn", "torch", "lightrnn / torch", "bar", "reached"),
    _speed_rows,
    "A step takes one chunk of every stream: embedding, LSTM, output layer, cross-entropy, "
    "backpropagation through time, clipping and Adam; the state is carried to the next chunk. "
    "Characters: 32 streams of 64 steps, 82 characters, embedding 64. Words: 20 streams of 35 "
    "steps, 10,000 words with frequencies by Zipf's law, embedding 200. torch: nn.Embedding, "
    "nn.LSTM, nn.Linear and CrossEntropyLoss with their defaults, on tensors that are ready; "
    "lightrnn cuts and packs its chunks inside the step. Not shown: adaptive softmax, tied "
    "weights.",
)
SENTENCES = Table(
    "sentences",
    "Starving, Alice drives to the nearest store ... to buy: accuracy of the last word, by "
    "distance and net",
    ("distance", "net", "seeds", "median", "parameters", "input weights", "bar", "reached"),
    _sentence_rows,
    f"'distance' is the number of words between the cue and the answer. {TRAIN:,} training "
    f"sentences have {LEAST} to 'distance' of them, {TEST:,} fresh test sentences exactly "
    f"'distance'. There are eight answers, so chance is 12.5 %. {UNITS} units, embedding 16. Every "
    f"net has the same budget: learning rates {', '.join(map(str, RATES))}, each for "
    f"at most {EPOCHS} epochs in minibatches of {BATCH}, which end early once all of {HELD_OUT} "
    "held-out sentences of that distance are answered correctly; the rate that does best on these "
    "counts.",
)

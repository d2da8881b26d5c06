"""Early stopping on piano rolls: four voices, 88 keys, the next beat from all beats before it.

The pieces are made here by simple rules of harmony, so that nobody's music must ship: a chain of
chords in a random key, a bass on their roots, and three voices that move to the nearest free tone.
Every beat has four of 88 labels, so almost every label is right whatever a net does, and only the
loss says how much it has learned.
"""

from collections.abc import Iterator

import numpy as np

from lightrnn import RNNClassifier

from .report import Row, Run, Table, verdict

KEYS = 88  # key 0 is A, three octaves below that of the tuning fork
SCALE = np.array([0, 2, 4, 5, 7, 9, 11])
# For each degree of the scale those whose chords may follow it.
FOLLOWERS = ((1, 3, 4, 5), (4, 6), (5, 3), (0, 1, 4), (0, 5), (1, 3), (0,))
UPPER = (52, 47, 40)  # keys at which soprano, alto and tenor begin
BASS = (16, 28)
EIGHTH = 0.3  # of the beats have a passing tone in the soprano instead of a tone of the chord
BEATS = (24, 48)
TRAIN = 60
HELD_OUT = 20
TEST = 200
SEEDS = (0, 1, 2)
EPOCHS = 300  # enough for a net to learn its pieces by heart


def make_piano_rolls(n: int, seed: int) -> list[np.ndarray]:
    """Return n pieces (T_i, 88) of zeros and ones."""
    rng = np.random.default_rng(seed)
    return [_piece(rng) for _ in range(n)]


def _piece(rng: np.random.Generator) -> np.ndarray:
    tonic = int(rng.integers(12))
    roll = np.zeros((rng.integers(*BEATS), KEYS), np.int64)
    degree = 0
    upper = list(UPPER)
    for t, beat in enumerate(roll):
        if t % 2 == 0 and t:  # a chord lasts for two beats
            degree = int(rng.choice(FOLLOWERS[degree]))
        chord = (tonic + SCALE[(degree + np.array([0, 2, 4])) % 7]) % 12
        upper = _led(upper, chord)
        root = BASS[0] + (chord[0] - BASS[0]) % 12
        beat[[root, *upper]] = 1
        if t % 2 and rng.random() < EIGHTH:
            beat[upper[0]] = 0
            beat[_step_up(upper[0], tonic)] = 1
    return roll


def _led(voices: list[int], chord: np.ndarray) -> list[int]:
    """Move each voice, the highest first, to the nearest tone of the chord that is free below."""
    ceiling = KEYS
    moved = []
    for voice, home in zip(voices, UPPER, strict=True):
        tones = [key for key in range(BASS[1], ceiling) if key % 12 in chord]
        # A voice is drawn a little towards the middle of its range.
        ceiling = min(tones, key=lambda key: (abs(key - voice) + 0.2 * abs(key - home), key))
        moved.append(ceiling)
    return moved


def _step_up(key: int, tonic: int) -> int:
    """Return the next key of the scale above a key."""
    return next(k for k in range(key + 1, KEYS) if (k - tonic) % 12 in SCALE)


def next_beats(rolls: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return every beat but the last of each piece, and the beat after each."""
    return [roll[:-1].astype(np.float32) for roll in rolls], [roll[1:] for roll in rolls]


def nats_per_beat(model: RNNClassifier, X: list[np.ndarray], y: list[np.ndarray]) -> float:
    """Return the mean negative log likelihood of a beat, all 88 keys together."""
    p = np.concatenate(model.predict_proba(X)).astype(np.float64)
    played = np.concatenate(y) == 1
    # No probability of float32 is so small that a single key could decide.
    return float(-np.log(np.clip(np.where(played, p, 1 - p), 1e-7, 1)).sum(axis=1).mean())


def _rows(run: Run) -> Iterator[Row]:
    test = next_beats(make_piano_rolls(TEST, 99))
    for seed in SEEDS[: 1 if run.quick else None]:
        train = next_beats(make_piano_rolls(TRAIN, seed))
        held_out = next_beats(make_piano_rolls(HELD_OUT, 10 + seed))
        losses, epochs = [], []
        for early_stopping in (False, True):
            model = RNNClassifier(
                target="step",
                early_stopping=early_stopping,
                max_iter=30 if run.quick else EPOCHS,
                random_state=seed,
            ).fit(*train, X_val=held_out[0], y_val=held_out[1])
            losses.append(nats_per_beat(model, *test))
            epochs.append(f"{model.best_epoch_} of {model.n_iter_}")
        yield (
            str(seed),
            *epochs,
            *(f"{loss:.2f}" for loss in losses),
            *verdict(losses[1], losses[0], "{:.2f}", at_most=True),
        )


PIANO_ROLLS = Table(
    "piano-rolls",
    "Early stopping on piano rolls, 88 labels a beat: nats per beat on fresh pieces",
    (
        "seed",
        "epochs",
        "epochs, early stopping",
        "loss",
        "loss, early stopping",
        "bar",
        "reached",
    ),
    _rows,
    f"Four voices by simple rules of harmony; the net predicts the next beat from all before it. "
    f"{TRAIN} pieces to train on, {HELD_OUT} held out, {TEST} fresh ones to measure with, of "
    f"{BEATS[0]} to {BEATS[1] - 1} beats. Nothing is set but the target, the seed, at most "
    f"{EPOCHS} epochs, and early stopping, whose score is the loss: the accuracy of a label is "
    "above 95 % whatever a net does. Epochs: those after which the net is used, of those that were "
    "run. The bar is the loss without early stopping.",
)

"""Shipped data matches its notes; generators make the problems of their docstrings."""

from importlib.resources import files
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightrnn.datasets import (
    _generators,
    load_air_passengers,
    load_japanese_vowels,
    load_sunspots,
    make_adding_problem,
    make_copy_memory,
    make_frames,
    make_temporal_order,
)

GENERATORS = [make_adding_problem, make_copy_memory, make_frames, make_temporal_order]
SEEDS = st.integers(0, 2**32 - 1)


def test_japanese_vowels_is_the_official_split():
    X, y = load_japanese_vowels()
    X_train, y_train = load_japanese_vowels("train")
    X_test, y_test = load_japanese_vowels(subset="test")
    assert np.bincount(y_train).tolist() == [0] + [30] * 9
    assert np.bincount(y_test).tolist() == [0, 31, 35, 88, 44, 29, 24, 40, 50, 29]
    assert y.tolist() == [*y_train.tolist(), *y_test.tolist()]
    assert all(np.array_equal(a, b) for a, b in zip(X, X_train + X_test, strict=True))
    assert {(x.dtype, x.shape[1]) for x in X} == {(np.dtype(np.float32), 12)}
    assert (min(map(len, X)), max(map(len, X)), sum(map(len, X))) == (7, 29, 9961)
    # The first numbers of the original's first line, and the last of its last.
    assert X[0][:3, 0] == pytest.approx([1.860936, 1.891651, 1.939205], abs=1e-7)
    assert X[0][0, :3] == pytest.approx([1.860936, -0.207383, 0.261557], abs=1e-7)


def test_japanese_vowels_gives_each_caller_arrays_of_its_own():
    X, y = load_japanese_vowels("train")
    X[0][:] = 0
    y[:] = 0
    again, labels = load_japanese_vowels("train")
    assert again[0].all() and labels.all()


def test_japanese_vowels_names_its_subsets():
    with pytest.raises(ValueError, match=r"subset must be .*train.*test.*validation"):
        load_japanese_vowels("validation")


def test_air_passengers_are_the_series_of_the_textbooks():
    months, passengers = load_air_passengers()
    assert (np.diff(months) == np.timedelta64(1, "M")).all() and str(months[-1]) == "1960-12"
    assert (len(passengers), passengers[0], passengers[-1], passengers.sum()) == (
        144,
        112,
        432,
        40363,
    )
    # The year before as forecast of the last one.
    assert np.abs(passengers[-12:] - passengers[-24:-12]).mean() == pytest.approx(47.8, abs=0.05)


def test_sunspots_are_the_series_of_the_benchmark():
    years, numbers = load_sunspots()
    assert years.tolist() == list(range(1700, 2009))
    assert (numbers[0], numbers[years == 1957].item(), numbers[-1]) == (5.0, 190.2, 2.9)
    # Persistence, "next year as this year": the baseline of every paper on the series.
    errors = np.diff(numbers) ** 2 / numbers[years <= 1979].var()
    ends = years[1:]
    assert errors[(ends >= 1921) & (ends <= 1955)].mean() == pytest.approx(0.427, abs=5e-4)
    assert errors[(ends >= 1956) & (ends <= 1979)].mean() == pytest.approx(0.965, abs=5e-4)


def test_data_ships_with_licence_and_source():
    data = files("lightrnn.datasets") / "data"
    shipped = {path.name for path in data.iterdir()}
    data_files = {
        "air_passengers.csv",
        "japanese_vowels.npz",
        "shakespeare.txt.bz2",
        "sunspots.csv",
    }
    assert shipped == data_files | {f"{name.split('.')[0]}.txt" for name in data_files}
    for name in shipped - data_files:
        notes = (data / name).read_text(encoding="utf-8")
        assert "Source" in notes and "Licence" in notes


@pytest.mark.parametrize("make", GENERATORS)
def test_a_seed_repeats_and_another_differs(make):
    (X, y), (same_X, same_y), (other_X, _) = (make(20, random_state=seed) for seed in (3, 3, 4))
    assert np.array_equal(np.concatenate(X), np.concatenate(same_X)) and np.array_equal(y, same_y)
    assert not np.array_equal(np.concatenate(X)[:100], np.concatenate(other_X)[:100])
    generator = np.random.default_rng(3)
    drawn = [make(20, random_state=generator) for _ in range(2)]
    assert not np.array_equal(np.concatenate(drawn[0][0])[:100], np.concatenate(drawn[1][0])[:100])
    assert len(make(20, random_state=np.random.RandomState(0))[0]) == len(make(20)[0]) == 20


@pytest.mark.parametrize("make", GENERATORS)
@pytest.mark.parametrize(
    "arguments", [{"n_samples": 0}, {"n_samples": 2.5}, {"n_steps": 0}, {"random_state": "seed"}]
)
def test_generators_refuse_bad_arguments(make, arguments):
    (name,) = arguments
    with pytest.raises((TypeError, ValueError), match=name):
        make(**arguments)


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (make_adding_problem, {"marks": "late"}),
        (make_copy_memory, {"n_items": 0}),
        (make_copy_memory, {"n_symbols": 1}),
        (make_temporal_order, {"n_marks": 4}),
        (make_frames, {"size": 3}),
        (make_frames, {"noise": -0.1}),
        (make_frames, {"noise": float("nan")}),
    ],
)
def test_generators_refuse_sizes_out_of_range(make, arguments):
    (name,) = arguments
    with pytest.raises((TypeError, ValueError), match=name):
        make(**arguments)


@pytest.mark.parametrize("marks", ["halves", "early"])
@given(n_samples=st.integers(1, 30), n_steps=st.integers(4, 130), seed=SEEDS)
def test_the_target_of_the_adding_problem_is_the_sum_of_two_marked_values(
    marks, n_samples, n_steps, seed
):
    X, y = make_adding_problem(n_samples, n_steps, marks=marks, random_state=seed)
    assert len(X) == len(y) == n_samples and y.dtype == np.float64
    for sequence, target in zip(X, y, strict=True):
        values, marked = sequence[:, 0].astype(np.float64), np.flatnonzero(sequence[:, 1])
        assert sequence.dtype == np.float32 and n_steps <= len(sequence) <= n_steps + n_steps // 10
        assert len(marked) == 2 and sequence[:, 1].sum() == 2
        if marks == "halves":
            assert marked[0] < len(sequence) // 2 <= marked[1]
        else:
            assert marked[0] < 10 and marked[1] < n_steps // 2
        assert ((values >= 0) & (values < 1)).all()
        assert target == values[marked].sum()


@pytest.mark.parametrize(
    ("marks", "first", "second"), [("halves", (0, 22), (20, 44)), ("early", (0, 10), (1, 20))]
)
def test_adding_problem_draws_marks_and_lengths_over_their_whole_ranges(marks, first, second):
    X, y = make_adding_problem(20000, 40, marks=marks, random_state=0)
    assert {len(sequence) for sequence in X} == set(range(40, 45))
    marked = np.array([np.flatnonzero(sequence[:, 1]) for sequence in X])
    assert set(marked[:, 0]) == set(range(*first)) and set(marked[:, 1]) == set(range(*second))
    # A constant answer of 1 has the mean squared error 1/6, with a standard error of 0.0014 over
    # 20,000 sequences.
    assert np.mean((y - 1) ** 2) == pytest.approx(1 / 6, abs=0.005)


@given(
    n_steps=st.integers(1, 40), n_items=st.integers(1, 12), n_symbols=st.integers(2, 9), seed=SEEDS
)
def test_the_target_of_copy_memory_is_the_items_after_the_signal(n_steps, n_items, n_symbols, seed):
    X, y = make_copy_memory(5, n_steps, n_items=n_items, n_symbols=n_symbols, random_state=seed)
    blank, signal = n_symbols, n_symbols + 1
    assert X.shape == (5, n_steps + 2 * n_items, n_symbols + 2) and X.dtype == np.float32
    assert set(np.unique(X)) == {0, 1} and (X.sum(axis=2) == 1).all()
    shown = X.argmax(axis=2)
    items = shown[:, :n_items]
    assert (items < n_symbols).all()
    rest = [blank] * (n_steps - 1) + [signal] + [blank] * n_items
    assert (shown[:, n_items:] == rest).all()
    assert (y[:, :-n_items] == blank).all() and np.array_equal(y[:, -n_items:], items)


@given(n_steps=st.integers(10, 130), n_marks=st.sampled_from([2, 3]), seed=SEEDS)
def test_temporal_order_names_the_marks(n_steps, n_marks, seed):
    X, y = make_temporal_order(8, n_steps, n_marks=n_marks, random_state=seed)
    for sequence, order in zip(X, y, strict=True):
        assert sequence.dtype == np.float32 and (sequence.sum(axis=1) == 1).all()
        assert n_steps <= len(sequence) <= n_steps + n_steps // 10
        letters = "".join("EBabcdXY"[code] for code in sequence.argmax(axis=1))
        assert letters[0] == "E" and letters[-1] == "B" and not set("EB") & set(letters[1:-1])
        assert "".join(letter for letter in letters if letter in "XY") == order


@pytest.mark.parametrize(
    ("n_marks", "places"), [(2, [(10, 20), (50, 60)]), (3, [(10, 20), (33, 43), (66, 76)])]
)
def test_temporal_order_has_the_places_and_classes_of_1997(n_marks, places):
    X, y = make_temporal_order(3000, n_marks=n_marks, random_state=0)
    marks = np.array([np.flatnonzero(sequence[:, 6:].any(axis=1)) for sequence in X])
    for found, (low, high) in zip(marks.T, places, strict=True):
        assert set(found) == set(range(low, high + 1))
    assert {len(sequence) for sequence in X} == set(range(100, 111))
    assert (
        len(set(y)) == 2**n_marks
        and min(np.unique(y, return_counts=True)[1]) > 3000 / 2**n_marks * 0.8
    )


def every_film(way, n_steps, size):
    """All films of one direction: each shape from each place."""
    shapes, rows, columns = (
        axis.ravel() for axis in np.indices((len(_generators.SHAPES), size, size))
    )
    ways = np.full(len(shapes), way)
    return _generators._films(shapes, ways, np.stack([rows, columns], axis=1), n_steps, size)


@pytest.mark.parametrize("size", [4, 5, 8])
def test_no_single_frame_gives_the_direction_away(size):
    def frames(way, t):
        return sorted(every_film(way, 12, size)[:, t].reshape(-1, size * size).tolist())

    first = frames(0, 0)
    assert all(frames(way, t) == first for way in range(4) for t in range(12))


@pytest.mark.parametrize("size", [4, 5, 8])
def test_two_frames_determine_the_direction(size):
    pairs = [
        set(map(bytes, every_film(way, 2, size).reshape(-1, 2 * size * size))) for way in range(4)
    ]
    assert not any(pairs[a] & pairs[b] for a in range(4) for b in range(a))


def test_frames_move_by_one_pixel_in_the_direction_y():
    X, y = make_frames(60, 9, size=6, noise=0, random_state=0)
    assert (
        X.shape == (60, 9, 6, 6)
        and X.dtype == np.float32
        and set(y) == {"down", "left", "right", "up"}
    )
    moves = {"down": (1, 0), "left": (0, -1), "right": (0, 1), "up": (-1, 0)}
    for film, way in zip(X, y, strict=True):
        for now, then in pairwise(film):
            assert np.array_equal(np.roll(now, moves[way], axis=(0, 1)), then)


def test_frames_carry_noise_of_the_given_deviation():
    clean, noisy = (make_frames(200, noise=noise, random_state=0)[0] for noise in (0, 0.3))
    assert (noisy - clean).std() == pytest.approx(0.3, rel=0.02)
    assert (noisy - clean).mean() == pytest.approx(0, abs=0.005)


# -- sentences -------------------------------------------------------------------------------------


def test_a_sentence_has_its_cue_first_and_nowhere_else():
    from lightrnn.datasets import make_long_context_sentences
    from lightrnn.datasets._sentences import CUES

    sentences, wanted = make_long_context_sentences(30, 500, random_state=0)
    cues = {cue.lower() for cue in CUES} | set(CUES.values())
    for sentence, word in zip(sentences, wanted, strict=True):
        cue, *rest = sentence.replace(",", "").split()
        assert CUES[cue] == word and len(rest) == 30 and rest[-2:] == ["to", "buy"]
        assert not cues & {w.lower() for w in rest}
    assert set(wanted) == set(CUES.values())


def test_words_between_are_independent_of_the_cue():
    """Words of the middle are as frequent whatever the cue: no chi-square stands out."""
    from collections import Counter

    from lightrnn.datasets import make_long_context_sentences

    sentences, wanted = make_long_context_sentences(20, 8000, random_state=1)
    counts = {word: Counter() for word in set(wanted)}
    for sentence, word in zip(sentences, wanted, strict=True):
        counts[word].update(sentence.replace(",", "").split()[1:])
    total = sum(counts.values(), Counter())
    share = {word: sum(c.values()) / sum(total.values()) for word, c in counts.items()}
    for token, n in total.items():
        chi = sum(
            (c[token] - n * share[word]) ** 2 / (n * share[word]) for word, c in counts.items()
        )
        assert chi < 40, token


def test_distances_of_a_range():
    from lightrnn.datasets import make_long_context_sentences

    sentences, _ = make_long_context_sentences((8, 12), 400, random_state=0)
    lengths = {len(sentence.replace(",", "").split()) - 1 for sentence in sentences}
    assert lengths == set(range(8, 13))
    for bad, error in (
        (7, ValueError),
        ((8, 7), ValueError),
        ((8,), ValueError),
        (8.5, TypeError),
        ((8, "9"), TypeError),
    ):
        with pytest.raises(error, match="distance"):
            make_long_context_sentences(bad, 2)


def test_the_plays_are_all_there():
    from lightrnn.datasets import load_shakespeare

    text = load_shakespeare()
    assert load_shakespeare("train") + load_shakespeare("test") == text and len(text) > 4.9e6
    assert (
        "To be, or not to be: that is the question" in text and "**" not in text and "_" not in text
    )

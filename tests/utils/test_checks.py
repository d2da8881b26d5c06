"""Arguments become plain Python values or errors that name the argument, the rule and the value."""

import enum
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn.utils import checks

JUNK = [None, "3", b"3", [1], (1,), {}, np.zeros(2), object(), 1j, "", print, float, np.array(3)]
HUGE = pytest.param(10**5000, id="huge")


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3), np.int64(3)])
def test_an_integer_of_any_type_becomes_an_int(value):
    result = checks.integer("window", value, 1)
    assert result == 3 and type(result) is int


@pytest.mark.parametrize("value", [*JUNK, True, np.True_, 2.5, 2.0, math.nan, Fraction(3)])
def test_what_is_no_integer_is_a_type_error(value):
    with pytest.raises(
        TypeError, match=r"^window must be an integer of at least 1, got .+Give a whole number"
    ):
        checks.integer("window", value, 1)


@pytest.mark.parametrize("value", [0, -3, 11, HUGE, np.int64(-(2**63))])
def test_an_integer_out_of_range_is_a_value_error(value):
    with pytest.raises(ValueError, match=r"^window must be an integer from 1 to 10, got"):
        checks.integer("window", value, 1, 10)


@pytest.mark.parametrize("value", [0.25, np.float32(0.25), Fraction(1, 4)])
def test_a_real_of_any_type_becomes_a_float(value):
    result = checks.real("dropout", value, 0, 1)
    assert result == 0.25 and type(result) is float


@pytest.mark.parametrize("value", [*JUNK, True, np.False_])
def test_what_is_no_real_is_a_type_error(value):
    with pytest.raises(
        TypeError, match=r"^dropout must be a number in \[0, 1\), got .+Give a plain number"
    ):
        checks.real("dropout", value, 0, 1, high_open=True)


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, np.float32("nan"), 10**400, -(10**400)]
)
def test_a_real_is_finite(value):
    with pytest.raises(ValueError, match=r"^tol must be a number in \(-inf, inf\), got"):
        checks.real("tol", value)


@settings(deadline=None)
@given(
    low=st.floats(-5, 5), width=st.floats(0.1, 5), low_open=st.booleans(), high_open=st.booleans()
)
def test_the_ends_of_a_range_are_in_it_unless_open(low, width, low_open, high_open):
    high = low + width

    def accepts(value):
        try:
            return (
                checks.real("x", value, low, high, low_open=low_open, high_open=high_open) == value
            )
        except ValueError:
            return False

    assert accepts(low) is not low_open
    assert accepts(high) is not high_open
    assert accepts((low + high) / 2)
    assert not accepts(np.nextafter(low, -np.inf)) and not accepts(np.nextafter(high, np.inf))


def test_a_choice_is_one_of_the_options():
    assert checks.choice("cell", "gru", ("rnn", "gru")) == "gru"
    assert checks.choice("transform", None, ("pandas", None)) is None


def test_the_choice_of_an_enum_is_plain_text():
    """It may be the key of a kernel, of which there must be one."""
    cell = enum.StrEnum("Cell", ["gru"])
    for value in (cell.gru, np.str_("gru")):
        assert type(checks.choice("cell", value, ("rnn", "gru"))) is str


@pytest.mark.parametrize(
    ("value", "error", "end"),
    [
        ("lsmt", ValueError, "got 'lsmt'. Did you mean 'lstm'?"),
        ("LSTM", ValueError, "got 'LSTM'. Did you mean 'lstm'?"),
        ("Gru ", ValueError, "got 'Gru '. Did you mean 'gru'?"),
        ("zzz", ValueError, "got 'zzz'. Give one of these names."),
        (None, ValueError, "got None. Give one of these names."),
        (3, TypeError, "got 3. Give one of these names."),
        (["lstm"], TypeError, "got ['lstm']. Give one of these names."),
        (
            np.zeros(2),
            TypeError,
            "got an array of shape (2,) and dtype float64. Give one of these names.",
        ),
    ],
)
def test_another_choice_is_an_error_that_lists_the_options(value, error, end):
    with pytest.raises(error) as caught:
        checks.choice("cell", value, ("ffnn", "rnn", "gru", "lstm"))
    assert str(caught.value) == f"cell must be one of 'ffnn', 'rnn', 'gru', 'lstm', {end}"


def test_a_flag_is_a_bool():
    assert checks.flag("shuffle", np.True_) is True and checks.flag("shuffle", False) is False


@pytest.mark.parametrize("value", [0, 1, "True", None, np.array([True])])
def test_anything_else_is_no_flag(value):
    with pytest.raises(TypeError, match=r"^shuffle must be True or False, got"):
        checks.flag("shuffle", value)


def test_a_seed_determines_the_generator():
    assert checks.random_generator(3).random() == checks.random_generator(np.int64(3)).random()
    assert checks.random_generator(3).random() != checks.random_generator(4).random()
    assert checks.random_generator(None).random() != checks.random_generator(None).random()


def test_a_random_state_gives_a_seed_and_moves_on():
    state, same = np.random.RandomState(3), np.random.RandomState(3)
    first, second = checks.random_generator(state).random(), checks.random_generator(state).random()
    assert first == checks.random_generator(same).random() and first != second


def test_a_generator_is_used_itself():
    generator = np.random.default_rng(3)
    assert checks.random_generator(generator) is generator


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("text", TypeError),
        (True, TypeError),
        (1.5, TypeError),
        (np.random, TypeError),
        (-1, ValueError),
    ],
)
def test_other_random_states_are_errors(value, error):
    with pytest.raises(error, match=r"^random_state must be"):
        checks.random_generator(value)


class Unprintable:
    """An object that cannot be shown."""

    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    "value", ["x" * 10**6, list(range(10**6)), HUGE, Unprintable(), np.zeros((1000, 1000))]
)
def test_values_are_shown_in_few_characters(value):
    assert len(checks.shown(value)) < 100


def test_arrays_within_a_value_are_shown_by_their_shape():
    pandas = pytest.importorskip("pandas", reason="shows a DataFrame")
    array = np.zeros((100, 7))
    frame = pandas.DataFrame(array)
    for value in (frame, frame[0], [array] * 50, {"a": frame, "b": [array, [array]]}, (1, frame)):
        text = checks.shown(value)
        assert "shape (100" in text and "\n" not in text and len(text) <= 210
    assert checks.shown([np.float64(0.5), "a"]) == "[0.5, 'a']"
    assert len(checks.shown([[[0.123456789] * 20] * 20] * 20)) <= 210

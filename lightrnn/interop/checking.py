"""`check` of the converters: a converted network is compared with what its source gave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from ..estimators.language import RNNLanguageModel
from ..exceptions import warn
from ..utils.checks import choice
from .adapt import UserLabels
from .building import Converted, build
from .difference import Difference, difference
from .foreign import ForeignNetwork
from .head_layers import variants
from .live import Check, has_step_outputs
from .reading import READINGS, read_as

_UNSEEN_FUNCTIONS = (
    "The weights of a network do not show whether a function without weights, such as a relu, "
    "stands between its layers."
)
_UNSEEN_STATES = (
    "The weights of a network do not show which states its output layer reads, or whether a "
    "function without weights, such as a relu, stands before it: the final states are read as they "
    "are, and read='last', 'mean' or 'max' reads others."
)
_BETWEEN_LINEAR = (
    "Nothing shows what stands between its linear layers: {!r} is taken, head_activation of the "
    "estimator."
)
_CHECK = "check's outputs must be those of the converted network"
_ITSELF = "source must give the outputs of its layers, one after the other"
_LAYERS_ALONE = "Give source.state_dict() to take the layers as they are."
_GRU_BACKWARDS = (
    "If it reads output[:, -1] of a bidirectional GRU, convert it with target='step', whose "
    "prediction at a sequence's last step is that output. "
)


def convert(
    estimator: Any,
    foreign: ForeignNetwork,
    labels: UserLabels,
    read: Any,
    check: Any,
    doubts: Sequence[str] = (),
    run: Callable[[ForeignNetwork], Iterable[Check]] | None = None,
) -> Any:
    """Return a new estimator with a foreign network, compared with what its framework gave.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        Gives the arguments of the result.
    foreign : ForeignNetwork
        The network.
    labels : UserLabels
        Names of its outputs and tokens.
    read : {"final", "last", "mean", "max"} or None
        Which states the output layer reads; see `read_as`.
    check : tuple of (X, outputs) or None
        Inputs and outputs of the framework's network.
    doubts : sequence of str, default=()
        Sentences on what the source does not show, for a warning where nothing is compared.
    run : callable, optional
        Returns checks of a source that can be run here, in each layout that it may read.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit the network, or the outputs differ.
    """
    if check is None and run is not None:
        result = _compared_by_itself(estimator, foreign, labels, read, run(foreign))
        if result is not None:
            return result
    converted = build(estimator, _told(estimator, foreign, read), labels)
    if check is not None:
        return compared(converted, check, lambda: _agreeing(estimator, foreign, labels, check))
    doubts = [*doubts, *_unseen(converted.estimator, foreign, read)]
    if doubts:
        warn(UserWarning, f"{' '.join(doubts)} check=(X, outputs) compares them.")
    return converted.estimator


def compared(
    converted: Converted, check: Any, agreeing: Callable[[], Iterable[Agreement]] = tuple
) -> Any:
    """Return a converted estimator after a comparison with what its framework gave.

    Parameters
    ----------
    converted : Converted
        The network.
    check : tuple of (X, outputs)
        Inputs and outputs of the framework's network.
    agreeing : callable, default=tuple
        Returns what the source may be with which they agree, for the message.

    Raises
    ------
    ValueError, TypeError
        If the outputs differ, or do not fit.
    """
    found = difference(converted, check)
    if not found.agrees:
        raise ValueError(_disagreement(_CHECK, found, agreeing()))
    return converted.estimator


def _told(estimator: Any, foreign: ForeignNetwork, read: Any) -> ForeignNetwork:
    """Return a network that reads as the user says.

    Raises
    ------
    ValueError
        If that is no reading, or does not fit the target.
    """
    if read is None:
        return foreign
    choice("read", read, READINGS)
    if (foreign.target or getattr(estimator, "target", "step")) == "step":
        raise ValueError(
            f"read must be None where there is an output for every step, got {read!r}. "
            "Each output reads the state at its own step."
        )
    return read_as(foreign, read)


def _unseen(estimator: Any, foreign: ForeignNetwork, read: Any) -> list[str]:
    """Return what neither the source nor the user says of a network."""
    between = []
    if foreign.hidden and foreign.head_activation is None:
        between = [_BETWEEN_LINEAR.format(estimator.head_activation)]
    pooled = getattr(estimator, "pooling", "last") != "last"
    if foreign.target is not None or pooled or read is not None:
        return between
    step = getattr(estimator, "target", "step") == "step"
    return [_UNSEEN_FUNCTIONS if step else _UNSEEN_STATES, *between]


def _compared_by_itself(
    estimator: Any, foreign: ForeignNetwork, labels: UserLabels, read: Any, checks: Iterable[Check]
) -> Any:
    """Return an estimator with the outputs of a source that has been run; None where it was not.

    The outputs also show whether there is one for every step, without `read` which states are
    read, and what stands between several linear layers.
    """
    found = None
    for check in checks:
        step = has_step_outputs(check) and not isinstance(estimator, RNNLanguageModel)
        if step and read is not None:  # the user reads another output than the source's
            continue
        source = foreign._replace(target="step", pooling="last") if step else foreign
        told = _told(estimator, source, read)
        converted = build(estimator, told, labels)
        with suppress(ValueError):  # outputs of another form than the estimator's
            one = difference(converted, check)
            if one.agrees:
                return converted.estimator
            agreeing = list(_agreeing(estimator, told, labels, check))
            fitting = [other for other in agreeing if read is None or other.read is None]
            if fitting:
                return build(estimator, fitting[0].network, labels).estimator
            found = found or (one, agreeing)
    if found is not None:
        one, agreeing = found
        gru = _GRU_BACKWARDS if foreign.bidirectional and foreign.cell == "gru" else ""
        remedy = "" if agreeing else f" {gru}{_LAYERS_ALONE}"
        raise ValueError(f"{_disagreement(_ITSELF, one, agreeing)}{remedy}")
    return None


class Agreement(NamedTuple):
    """A network that gives the expected outputs, and what it has that was not asked for."""

    network: ForeignNetwork
    read: str | None
    given: str  # the estimator's `head_activation`

    @property
    def remedy(self) -> str:
        """A sentence on how to get it."""
        if not self.network.hidden and self.network.head_activation is None and not self.read:
            return "Without a function between its linear layers they agree: join these to one."
        words = [f"read={self.read!r}"] if self.read else []
        if self.network.head_activation not in (None, self.given):
            words.append(f"head_activation={self.network.head_activation!r} of the estimator")
        return f"With {' and '.join(words)} they agree."


def _agreeing(
    estimator: Any, foreign: ForeignNetwork, labels: UserLabels, check: Any
) -> Iterator[Agreement]:
    """Yield the networks that the source may be with which the outputs are the expected ones."""
    step = getattr(estimator, "target", "step") == "step"
    known = step or foreign.target or foreign.attention is not None
    given = getattr(estimator, "head_activation", "")
    for number, variant in enumerate(variants(foreign, given)):
        # With an activation of its own the reading may be as it was given.
        for read in [*[None] * bool(number), *(() if known else READINGS)]:
            with suppress(ValueError):  # a reading that is not computed here
                told = variant if read is None else read_as(variant, read)
                if difference(build(estimator, told, labels), check).agrees:
                    yield Agreement(told, read, given)


def _disagreement(requirement: str, found: Difference, agreeing: Iterable[Agreement]) -> str:
    """Return the message about outputs that differ from what is required."""
    first = next(iter(agreeing), None)
    if first is not None:
        remedy = first.remedy
    else:
        remedy = (
            "The source computes something that its weights do not show, such as a relu before "
            "the output layer or instead of tanh, a normalisation without weights, or another way "
            "to read the states; or one of them reads padding as steps and the other leaves it out."
        )
    return f"{requirement}, got {found.described()} {remedy}"

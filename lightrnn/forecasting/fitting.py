"""Train a network to forecast: first without the last windows, then with them.

The windows that are held out decide which epoch's weights are kept, and calibrate the intervals.
A last, short phase of training learns from them too: a series' latest steps are the most like those
to come.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from ..data.form import Form
from ..data.moments import standardization_of
from ..data.sequences import as_sequences
from ..data.targets import RealTargets
from ..estimators.arguments import ARCHITECTURE
from ..estimators.estimator import Arguments
from ..estimators.model import Model, loss_arguments
from ..estimators.regressor import RNNRegressor
from ..exceptions import warn
from ..losses import Loss
from ..training.history import STOP, Epoch, History
from ..utils.checks import random_generator
from .arguments import PASSED_ON
from .calibration import blended, calibration, share_of, summed, widths
from .fitted import Fitted
from .holdout import HeldOut, stops
from .origins import Origins
from .series import Panel
from .task import Task
from .windows import Encoding

if TYPE_CHECKING:
    from ..training.trainable import TrainableNetwork

# Windows by which the best epoch is chosen.
_SCORED = 256
# Origins of which the mean and the deviation of inputs are taken.
_SAMPLE = 20_000
# Rise of the loss on held-out windows, as a part of the least one, that is a rise at the end of
# training, and that ends it.
_RISE = 0.02
_STEEP = 0.1
# Dropout of fewer series than this. On inner windows of three single hourly series it makes errors
# smaller by about a hundredth, of a fourth, of eleven weeks, larger by a twentieth, and of the 414
# of M4 by a twenty-fifth. The border between one and 414 was not measured.
_FEW = 100
_DROPOUT = 0.2
# Epochs of the last phase, as a part of those before, and its learning rate.
_LAST_EPOCHS = 0.25
# Reasons by which a user ends training: no further phase follows.
_BY_USER = ("callback", "interrupted")
_LAST_RATE = 0.25


def learn(arguments: Arguments, panel: Panel) -> Fitted:
    """Return what is learned from a panel with checked arguments."""
    panel.check_season(arguments["season"])
    candidates = Encoding.candidates(
        panel, **{n: arguments[n] for n in ("horizon", "season", "scale")}
    )
    if arguments["dropout"] == "auto":
        arguments = arguments | {"dropout": _DROPOUT if len(panel.values) < _FEW else 0.0}
    nets = [_regressor(arguments) for _ in range(arguments["n_nets"])]
    n_threads = cpu.threads.usable(arguments["n_jobs"])
    cpu.ahead.expect(nets[0].cell, nets[0].dtype, nets[0].solver, n_threads)
    task = Task.of(panel, candidates, arguments["quantiles"])
    encoding = task.whole.encoding
    if not task.held_out.runs:
        _warn_of_nothing_held_out(panel, encoding)
    states = _random_states(arguments["random_state"], len(nets))
    interruption = _Interruption()
    tasks = [
        partial(interruption.unless, fit_net, net, state, replace(task, name=name))
        for net, state, name in zip(nets, states, _names(len(nets)), strict=True)
    ]
    found = cpu.threads.run(tasks, n_threads)
    # Networks that an interruption came before are left out.
    nets = [net for net, part in zip(nets, found, strict=True) if part is not None]
    outputs = [part for part in found if part is not None]
    predicted = summed(outputs, encoding.horizon) / len(outputs)
    truth = task.held_out.targets
    share = share_of(predicted, truth, task.quantiles)
    width = widths(truth)
    predicted = blended(predicted, share, width, task.quantiles)
    factor = calibration(predicted, truth, task.quantiles, task.held_out.n_independent)
    return Fitted(tuple(nets), encoding, task.linear, task.quantiles, share, width, factor, panel)


def _warn_of_nothing_held_out(panel: Panel, encoding: Encoding) -> None:
    """Warn that nothing was there to choose a forecast by and to calibrate its intervals with."""
    reason = "the last steps of y, which are held out, are all missing"
    remedy = "Fill some of them in."
    if (stops(panel.lengths, encoding) == panel.lengths).all():
        reason = (
            f"the longest series of y has {panel.lengths.max()} steps, too few to hold some out "
            f"behind two seasons and a horizon ({2 * encoding.season + encoding.horizon})"
        )
        remedy = "Give more steps, or a shorter season or horizon."
    warn(
        UserWarning,
        f"The forecast and its intervals are not to be trusted: {reason}, so that nothing shows "
        f"how far off they are. {remedy}",
    )


def _regressor(arguments: Arguments) -> RNNRegressor:
    """Return a regressor that is to hold a network of a forecaster."""
    given = {name: arguments[name] for name in PASSED_ON}
    fixed: dict[str, Any] = {
        "target": "step",
        "loss": "quantile",
        "quantile": arguments["quantiles"],
        "bidirectional": False,
        "patch": 1,
    }
    return RNNRegressor(**given, **fixed)


def _random_states(random_state: Any, count: int) -> list[Any]:
    """Return one source of random numbers for each network."""
    if isinstance(random_state, numbers.Integral):
        return [int(random_state) + number for number in range(count)]
    return random_generator(random_state).spawn(count)


def _names(count: int) -> list[str]:
    """Return what is shown of networks while they are trained: nothing of a single one."""
    return [f"net {number}/{count}" if count > 1 else "" for number in range(1, count + 1)]


class _Interruption:
    """An interruption from the keyboard: it ends the training of all networks.

    It is a callback of each. Those that have not begun stay as they are.
    """

    def __init__(self) -> None:
        self._came = False

    def __call__(self, epoch: Epoch) -> None:
        """Interrupt one network as another one was."""
        if self._came:
            raise KeyboardInterrupt

    def unless(
        self, fit: Callable[..., np.ndarray], net: RNNRegressor, *others: Any
    ) -> np.ndarray | None:
        """Fit a network and return its outputs, or None if the interruption came before."""
        if self._came:
            return None
        outputs = fit(net, *others, (self,))
        self._came |= net.stop_reason_ == "interrupted"
        return outputs


def fit_net(
    regressor: RNNRegressor,
    random_state: Any,
    task: Task,
    callbacks: tuple[Callable[[Epoch], Any], ...] = (),
) -> np.ndarray:
    """Fit the network of a regressor to forecast.

    Parameters
    ----------
    regressor : RNNRegressor
        Its arguments are those of the network and its training; it is fitted.
    random_state : object
        Source of initial weights and of runs.
    task : Task
        What to learn.
    callbacks : tuple of callable, default=()
        Called after each epoch, after those of the regressor.

    Returns
    -------
    ndarray (m, n_outputs)
        The outputs for the windows that were held out, before the network learned from them.
    """
    arguments = regressor._checked()
    arguments["callbacks"] = (*arguments["callbacks"], *callbacks)
    loss = task.loss()
    held_out = task.held_out
    if not held_out.runs:
        model = _untrained(arguments, task, random_state)
        _train(regressor, arguments, model, task, loss)
        regressor._adopt(model)
        return np.empty((0, task.n_outputs), model.network.dtype)
    model = _first_phase(regressor, arguments, task, loss, random_state)
    with regressor._placed(model.network, 0) as network:
        outputs = held_out.outputs(network, held_out.inputs(), regressor._threads())
    before = model.history
    if before.stop_reason in _BY_USER:
        regressor._adopt(model)
        return outputs
    model.history = History()
    model.moments = None
    last = {
        "max_iter": max(1, round(_LAST_EPOCHS * before.epochs)),
        "learning_rate_init": _LAST_RATE * arguments["learning_rate_init"],
    }
    _train(regressor, arguments | last, model, task, loss)
    losses = before.losses + model.history.losses
    model.history = replace(model.history, losses=losses, scores=before.scores)
    regressor._adopt(model)
    return outputs


def _first_phase(
    regressor: RNNRegressor, arguments: Arguments, task: Task, loss: Loss, random_state: Any
) -> Model:
    """Return a model that was trained without the held-out windows, for as long as it helped.

    If the loss on them rises again, training is repeated with fewer epochs: the weights are then
    those of a schedule that has come to its end, which are better than those on its way. A loss
    that was low on its way by chance is not that low at the end: the better end counts.
    """
    score = _score(task.held_out.some(_SCORED), loss, len(task.quantiles))
    epochs = arguments["max_iter"]
    kept = None
    while True:
        model = _untrained(arguments, task, random_state)
        rises = _RisesSteeply()
        given = {"max_iter": epochs, "callbacks": (*arguments["callbacks"], rises)}
        _train(regressor, arguments | given, model, task, loss, score)
        scores = model.history.scores
        if rises.for_good:
            model.history.stop_reason = "n_iter_no_change"
        ended = model.history.stop_reason in _BY_USER
        if kept is not None and max(scores[-1:], default=-math.inf) <= kept.history.scores[-1]:
            if ended:
                kept.history.stop_reason = model.history.stop_reason
            return kept
        if ended:
            return model
        kept = model
        best = int(np.argmax(scores)) + 1
        if best == epochs or scores[-1] > scores[best - 1] * (1 + _RISE):
            return model
        epochs = best


class _RisesSteeply:
    """A callback that ends training when the loss on held-out windows has risen for good."""

    def __init__(self) -> None:
        self._least = math.inf
        self.for_good = False

    def __call__(self, epoch: Epoch) -> Any:
        """Return `STOP`, or None."""
        loss = -(epoch.validation_score or 0.0)
        self._least = min(self._least, loss)
        self.for_good = loss > self._least * (1 + _STEEP)
        return STOP if self.for_good else None


def _untrained(arguments: Arguments, task: Task, random_state: Any) -> Model:
    """Return a model with initial weights."""
    windows = task.whole
    n_features = windows.encoding.n_features
    zeros = np.zeros(windows.encoding.horizon)
    targets = RealTargets(
        zeros, zeros + 1, True, arguments["dtype"], "float64", quantiles=task.quantiles
    )
    sample = as_sequences([windows.inputs(windows.sample(_SAMPLE))], np.float64)
    model = Model.untrained(
        arguments | {"random_state": random_state},
        architecture={
            "n_features": n_features,
            "n_outputs": task.n_outputs,
            "n_tokens": 0,
            **{name: arguments[name] for name in ARCHITECTURE},
        },
        largest_batch=windows.largest_batch(arguments["batch_size"]),
        lengths=np.array([windows.largest_batch(1)[1]]),
        targets=targets,
        form=Form(n_features, False),
        standardization=replace(standardization_of(sample), weight=math.inf),
    )
    model.loss = loss_arguments(arguments)
    return model


def _train(
    regressor: RNNRegressor,
    arguments: Arguments,
    model: Model,
    task: Task,
    loss: Loss,
    score: Callable[[TrainableNetwork], float] | None = None,
) -> None:
    """Run a phase of training: with a score without the windows that it is taken of."""
    windows = task.whole if score is None else task.first
    batches = Origins(
        windows, arguments["batch_size"], len(task.quantiles), model.rng, name=task.name
    )
    epochs = arguments["max_iter"]
    regressor._train(
        arguments,
        model,
        loss,
        batches,
        epochs=epochs,
        n_steps=batches.count * windows.largest_batch(1)[1],
        score=score,
    )


def _score(held_out: HeldOut, loss: Loss, repeats: int) -> Callable[[TrainableNetwork], float]:
    """Return the function that scores a network by its loss on held-out windows."""
    inputs = held_out.inputs()
    targets = np.repeat(held_out.targets, repeats, axis=1)
    weights = np.full(len(targets), 1 / len(targets))
    return lambda network: -loss(held_out.outputs(network, inputs), targets, weights)[0]

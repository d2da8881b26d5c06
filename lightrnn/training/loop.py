"""Two optimisation loops: one solver step per batch, or full-batch L-BFGS, until training stops.

`train` changes the parameters of a network and keeps a `History`: the loss of every epoch, the
validation scores, and the state of the schedule and of the stopping rule between calls. It knows
nothing of estimators and labels: sequences and targets arrive checked and encoded.

An epoch counts as an improvement if the training loss (with early stopping, the validation score)
improved by at least ``tol``. After ``n_iter_no_change`` epochs without one training ends, or the
adaptive schedule divides the learning rate by five. The cosine schedule comes to an end by itself,
so the training loss does not end it before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..exceptions import warn
from .descent import Descent
from .history import History, TrainingOptions
from .lbfgs import Lbfgs
from .learning_check import LearningCheck
from .monitor import Monitor
from .progress import Progress

if TYPE_CHECKING:
    from ..losses import Loss
    from ..nn.solvers import Solver
    from .minibatches import BatchSource
    from .trainable import TrainableNetwork


def train(
    network: TrainableNetwork,
    loss: Loss,
    solver: Solver | None,
    options: TrainingOptions,
    batches: BatchSource,
    history: History,
    *,
    epochs: int,
    validate: Callable[[], float] | None = None,
) -> None:
    """Train a network in place.

    Parameters
    ----------
    network : TrainableNetwork
        Is trained.
    loss : Loss
        Is minimised.
    solver : Solver or None
        Takes the steps; None for lbfgs.
    options : TrainingOptions
        The estimator's arguments.
    batches : BatchSource
        Yields the batches of an epoch.
    history : History
        Is extended.
    epochs : int
        The most epochs to run.
    validate : callable, optional
        Returns the score of the network as it is now; greater is better.

    Raises
    ------
    ValueError
        If the loss or its gradient is not finite, with the epoch, the batch and the first such
        parameter; or if a parameter or a validation score is not, after whichever step.
    KeyboardInterrupt
        If interrupted from the keyboard before anything was learned.

    Warns
    -----
    ConvergenceWarning
        If the gradient explodes, or if the loss is no better than that of predicting without X.
    UserWarning
        If interrupted from the keyboard later; the network then has the best weights so far.
    """
    progress = Progress(options.verbose, epochs, batches.count, batches.unit, network.cell)
    progress.name = batches.name
    check = LearningCheck(batches, loss, options)
    monitor = Monitor(network, options, history, validate, progress, check)
    run = (
        Lbfgs(loss, batches, monitor) if solver is None else Descent(loss, solver, batches, monitor)
    )
    try:
        # An overflow ends in a loss that is not finite, for which the monitor raises an error.
        with np.errstate(all="ignore"):
            run(epochs)
        monitor.end()
    except KeyboardInterrupt:  # the user wants the model, if there is any, not a traceback
        if not progress.begun:
            raise
        monitor.restore()
        history.stop_reason = "interrupted"
        warn(UserWarning, "Training was interrupted; the network has the best weights so far.")
    finally:
        progress.close()
    monitor.check_parameters()
    progress.report(history)

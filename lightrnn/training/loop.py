"""How a network learns: epochs over minibatches, or L-BFGS over all sequences at once, until it is time to stop.

`train` moves the parameters of a network and keeps a `History`: the loss of every epoch, the validation scores, and
what the schedule and the stopping rule remember between calls. It knows nothing of estimators and labels: sequences
and targets arrive checked and encoded.

An epoch counts as an improvement if what is watched (the training loss; with early stopping the validation score)
gained more than ``tol``; after ``n_iter_no_change`` epochs without one the training ends, or the adaptive schedule
divides the learning rate by five.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..exceptions import warn
from .descent import Descent
from .lbfgs import Lbfgs
from .progress import Progress

if TYPE_CHECKING:
    from ..losses import Loss
    from ..nn.network import Network
    from ..nn.solvers import Solver
    from .minibatches import BatchSource
from .history import History, TrainingOptions
from .monitor import Monitor


def train(
    network: Network,
    loss: Loss,
    solver: Solver | None,
    options: TrainingOptions,
    feed: BatchSource,
    history: History,
    *,
    epochs: int,
    validate: Callable[[], float] | None = None,
) -> bool:
    """Train a network in place.

    Parameters
    ----------
    network, loss, solver, options, feed : Network, Loss, Solver, TrainingOptions, BatchSource
        What learns, by what, how, from what. The solver is None for lbfgs.
    history : History
        Is extended.
    epochs : int
        The most epochs to run.
    validate : callable, optional
        Returns the score of the network as it is now; greater is better.

    Returns
    -------
    bool
        Whether training ended by itself: False if it ran out of epochs first.

    Raises
    ------
    ValueError
        If the loss or its gradient is not finite; epoch, batch and the first such parameter are named.

    Warns
    -----
    UserWarning
        If interrupted from the keyboard; the network then has the best weights so far.
    """
    progress = Progress(options.verbose, epochs, feed.count, feed.unit)
    monitor = Monitor(network, options, history, validate, progress)
    run = (
        Lbfgs(network, loss, options, feed, monitor)
        if solver is None
        else Descent(network, loss, solver, options, feed, monitor)
    )
    try:
        with np.errstate(
            all="ignore"
        ):  # an overflow ends in a loss that is not finite, which is an error of ours
            ended = run(epochs)
        if options.early_stopping:
            monitor.restore()
        return ended
    except KeyboardInterrupt:
        monitor.restore()
        warn(UserWarning, "Training was interrupted; the network has the best weights so far.")
        return True
    finally:
        monitor.progress.close()

"""Choose the values that "auto" stands for, once the training data are known."""

from ..training.minibatches import usual_batch_size
from .declarations import AUTO
from .estimator import Arguments

_DROPOUT = 0.3  # of series that are read in patches


def chosen_batch_size(arguments: Arguments, n: int) -> Arguments:
    """Return the argument `batch_size` as a number, for n sequences."""
    given = arguments["batch_size"]
    return {"batch_size": usual_batch_size(n) if given == AUTO else given}


def chosen_structure(arguments: Arguments, patch: int) -> Arguments:
    """Return `bidirectional` as a bool and `dropout` as a number, where patches are so long."""
    # Who gives the length of the patches may want a stream of them, which has no end.
    series = patch > 1 and arguments["patch"] == AUTO
    given = arguments["bidirectional"], arguments["dropout"]
    both = series and arguments["truncate"] is None
    rate = _DROPOUT if series and arguments["solver"] != "lbfgs" else 0.0
    return {
        "bidirectional": both if given[0] == AUTO else given[0],
        "dropout": rate if given[1] == AUTO else given[1],
    }

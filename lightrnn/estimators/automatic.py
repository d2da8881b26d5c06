"""Choose the values that "auto" stands for, once the training data are known."""

from ..training.minibatches import usual_batch_size
from .declarations import AUTO
from .estimator import Arguments

_SERIES_DROPOUT = 0.3  # of series that are read in patches
_STATE_DROPOUT = 0.5  # of sequences of tokens, and of the tokens themselves
_TOKEN_DROPOUT = 0.2


def chosen_batch_size(arguments: Arguments, n: int) -> Arguments:
    """Return the argument `batch_size` as a number, for n sequences."""
    given = arguments["batch_size"]
    return {"batch_size": usual_batch_size(n) if given == AUTO else given}


def chosen_structure(arguments: Arguments, patch: int, n_tokens: int = 0) -> Arguments:
    """Return `bidirectional` as a bool and `dropout` as a number, for such patches or tokens."""
    # Who gives the length of the patches may want a stream of them, which has no end.
    series = patch > 1 and arguments["patch"] == AUTO
    given = arguments["bidirectional"], arguments["dropout"]
    both = series and arguments["truncate"] is None
    rate = _SERIES_DROPOUT if series else 0.0
    if n_tokens and arguments["target"] == "sequence":
        rate = _STATE_DROPOUT
    if arguments["solver"] == "lbfgs":
        rate = 0.0
    return {
        "bidirectional": both if given[0] == AUTO else given[0],
        "dropout": rate if given[1] == AUTO else given[1],
    }


def chosen_token_dropout(arguments: Arguments, n_tokens: int) -> float:
    """Return the argument `token_dropout` as a number, for so many tokens."""
    given = arguments["token_dropout"]
    if given == AUTO:
        one_each = arguments["target"] == "sequence" and arguments["solver"] != "lbfgs"
        given = _TOKEN_DROPOUT if one_each else 0.0
    return given if n_tokens else 0.0

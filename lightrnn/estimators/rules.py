"""The rules between constructor arguments: which values exclude each other."""

from typing import Any

from ..cells import CELLS
from .declarations import OWN_SCORES


def check_decay(solver: str, learning_rate_init: float, alpha: float, **others: Any) -> None:
    """Refuse a weight decay that overshoots: a step takes learning_rate_init * alpha of a weight.

    Raises
    ------
    ValueError
        If it takes more than all.
    """
    if solver != "lbfgs" and learning_rate_init * alpha > 1:
        raise ValueError(
            f"alpha must be at most 1 / learning_rate_init = {1 / learning_rate_init:g}, got "
            f"{alpha:g}. Every step shrinks the weights by learning_rate_init * alpha of their "
            "size; lower one of the two."
        )


def check_together(
    cell: str = "",
    bidirectional: bool | str = False,
    truncate: int | None = None,
    solver: str = "",
    dropout: float | str = 0.0,
    target: str = "",
    **others: Any,
) -> None:
    """Refuse checked arguments of a supervised estimator that exclude each other.

    Raises
    ------
    ValueError
        If two of them do.
    """
    windowed = cell in CELLS and not CELLS[cell].recurrent
    if bidirectional is True and windowed:
        raise ValueError(
            f"bidirectional must be False with cell={cell!r}, got True. "
            "A window looks back only; use a recurrent cell."
        )
    if truncate is not None and windowed:
        raise ValueError(
            f"truncate must be None with cell={cell!r}, got {truncate}. "
            "There is no state to carry; set window instead."
        )
    if truncate is not None and bidirectional is True:
        raise ValueError(
            f"truncate must be None with bidirectional=True, got {truncate}. "
            "The backward direction needs the whole sequence."
        )
    if solver == "lbfgs" and dropout not in (0, "auto"):
        raise ValueError(
            f"dropout must be 0 with solver='lbfgs', got {dropout}. "
            "Use solver='adam' for training with dropout."
        )
    if solver == "lbfgs" and others.get("token_dropout", 0) not in (0, "auto"):
        raise ValueError(
            f"token_dropout must be 0 with solver='lbfgs', got {others['token_dropout']}. "
            "A line search needs the same loss each time; use solver='adam'."
        )
    if solver == "lbfgs" and truncate is not None:
        raise ValueError(
            f"truncate must be None with solver='lbfgs', got {truncate}. "
            "A line search needs the whole gradient."
        )
    if target == "step":
        _check_per_step(**others)


def _check_per_step(
    patch: int | str = 1, pooling: str = "last", scoring: Any = "loss", **others: Any
) -> None:
    """Refuse checked arguments that have no meaning where each step has a target."""
    if patch not in ("auto", 1):
        raise ValueError(
            f"patch must be 'auto' or 1 with target='step', got {patch}. "
            "The network gives one output for each input that it reads."
        )
    if pooling != "last":
        raise ValueError(
            f"pooling must be 'last' with target='step', got {pooling!r}. "
            "Each step has an output of its own there; use target='sequence' to pool all steps."
        )
    if isinstance(scoring, str) and scoring not in OWN_SCORES:
        raise ValueError(
            f"scoring must be 'loss', 'score' or a function with target='step', got {scoring!r}. "
            "A scorer of scikit-learn takes one target a sequence; write lambda estimator, X, y: "
            "metric(np.concatenate(y), np.concatenate(estimator.predict(X)))."
        )

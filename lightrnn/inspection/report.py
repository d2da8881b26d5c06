"""See what a fitted network remembers, and what it is made of: arrays and tables out, no pictures.

`gradient_flow` and `memory_horizon` say how far back, `gate_activations` and `gate_summary` by which gates,
`attribution` which steps; `parameter_table` counts, and `describe` says all of it in one text. Pictures of them are in
`lightrnn.plotting`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..cells import CELLS
from ..estimators.estimator import check_estimator
from ..utils.tables import as_table
from .attribution import attribution
from .gates import GateSummary, gate_activations, gate_summary
from .gradient_flow import GradientFlow, LayerFlow, gradient_flow
from .memory_horizon import MemoryHorizon, memory_horizon
from .objective import as_fitted
from .parameter_table import ParameterTable, Part, parameter_table

if TYPE_CHECKING:
    from ..estimators.estimator import NetworkEstimator


__all__ = [
    "GateSummary",
    "GradientFlow",
    "LayerFlow",
    "MemoryHorizon",
    "ParameterTable",
    "Part",
    "attribution",
    "describe",
    "gate_activations",
    "gate_summary",
    "gradient_flow",
    "memory_horizon",
    "parameter_table",
]


def describe(estimator: NetworkEstimator, X: Any = None, **sizes: int) -> str:
    """Say in a text for a terminal what a network is made of, how it was trained, and what it remembers.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        Fitted, or with `sizes` not.
    X : as in `predict`, optional
        Sequences to see its memory and its gates by; it must be fitted then.
    **sizes : int
        T, B, n_features, n_outputs and n_tokens of `parameter_table`.

    Returns
    -------
    str
        Lines of text.

    Raises
    ------
    NotFittedError
        If X is given and the estimator was not fitted.
    ValueError, TypeError
        As the functions of this module.

    Examples
    --------
    >>> from lightrnn import RNNRegressor
    >>> from lightrnn.inspection import describe
    >>> print(describe(RNNRegressor("rnn", (8,)), T=20, B=1, n_features=2, n_outputs=1))
    RNNRegressor(cell='rnn', hidden_layer_sizes=(8,))
    <BLANKLINE>
    layer            parameters, by hand  parameters  in PyTorch  FLOPs a step  of 20 steps   memory
    layer0             2 x 8 + 8 x 8 + 8          88          96           160        3,200  0.00 MB
    head                       8 x 1 + 1           9           9            16           16  0.00 MB
    total                                         97         105           176        3,216  0.00 MB
    ffnn, window 20                              337         337           656          656  0.00 MB
    memory: what 1 sequences of 20 steps leave for the way back
    """
    check_estimator(estimator)
    shown = repr(estimator)
    if X is not None or estimator.__sklearn_is_fitted__():
        estimator = as_fitted(estimator)
    paragraphs = [shown, str(parameter_table(estimator, **sizes))]
    if estimator.__sklearn_is_fitted__():
        paragraphs.insert(1, _training(estimator))
    if X is not None:
        paragraphs.append(str(memory_horizon(estimator, X)))
        if CELLS[estimator.cell].roles:
            paragraphs.append(_gates(gate_summary(estimator, X)))
    return "\n\n".join(paragraphs)


def _training(estimator: NetworkEstimator) -> str:
    if not estimator.loss_curve_:
        return "taken over from elsewhere, not trained here"
    text = f"{estimator.n_iter_} epochs, last loss {estimator.loss_curve_[-1]:.4g}, best {estimator.best_loss_:.4g}"
    scores = estimator.validation_scores_
    return (
        text
        if not scores
        else f"{text}; last validation score {scores[-1]:.4g}, best {max(scores):.4g}"
    )


def _gates(summary: dict[str, dict[str, GateSummary]]) -> str:
    """Put the gates' means over units into a table."""
    rows = []
    for layer, gates in summary.items():
        for gate, found in gates.items():
            shares = (
                f"{found.mean.mean():.2f}",
                f"{found.closed.mean():.0%}",
                f"{found.open.mean():.0%}",
            )
            rows.append((layer, gate, *shares, *_constants(found.time_constant)))
    header = "layer", "gate", "mean", "closed", "open", "time constant: median", "longest"
    return as_table(header, rows)


def _constants(values: np.ndarray | None) -> tuple[str, str]:
    return ("", "") if values is None else (f"{np.median(values):.3g}", f"{values.max():.3g}")

"""Describe an estimator in one text: parameters, training, memory horizon and gates."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..cells import CELLS
from ..estimators.estimator import NetworkEstimator, check_estimator
from ..forecasting.forecaster import RNNForecaster
from ..utils.tables import as_table, counted
from .forecaster import choices_of, network_inputs, parameters_of, wrapped
from .gates import GateSummary, gate_summary
from .memory_horizon import memory_horizon
from .objective import fitted_copy, read_steps
from .parameter_table import ParameterTable, parameter_table


def describe(estimator: NetworkEstimator | RNNForecaster, X: Any = None, **sizes: int) -> str:
    """Describe a network for a terminal: its parameters, its training and what it remembers.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor, RNNLanguageModel or RNNForecaster
        An estimator, fitted or not. The other inspections take a network of a forecaster's `nets_`,
        and as X what `network_inputs` returns.
    X : as in `predict`, optional
        Sequences on which memory horizon and gates are measured, or the y of a forecaster; the
        estimator must be fitted. None leaves them out.
    **sizes : int
        T, B, n_features, n_outputs and n_tokens of `parameter_table`; not for a forecaster. With X,
        T is by default the length of its longest sequence.

    Returns
    -------
    str
        The estimator's arguments, the result of training if it is fitted, the table of parameters,
        and with X the memory horizon, or why there is none, and a table of gates, if the cell has
        any. Of a forecaster that is fitted also what it has chosen: scale, calendar, the part of
        the network in the forecast, and by how much intervals were calibrated.

    Raises
    ------
    NotFittedError
        If X is given and the estimator is not fitted.
    TypeError
        If `estimator` is not an estimator of this package, or X or a size has the wrong type.
    ValueError
        If X does not match the data of `fit`, or a size is missing or out of range.

    Examples
    --------
    >>> from lightrnn import RNNRegressor
    >>> from lightrnn.inspection import describe
    >>> print(describe(RNNRegressor("rnn", (8,)), T=20, B=1, n_features=2, n_outputs=1))
    RNNRegressor(cell='rnn', hidden_layer_sizes=(8,))
    <BLANKLINE>
    layer   parameters, by hand  parameters  FLOPs of 20 steps
    layer0    2 x 8 + 8 x 8 + 8          88              3,200
    head              8 x 1 + 1           9                 16
    total                                97              3,216
    A feed-forward net that sees all 20 steps has 337 parameters.
    Back-propagation keeps 0.00 MB for a batch of 1 sequence of 20 steps.
    """
    if isinstance(estimator, RNNForecaster):
        return _forecaster(estimator, X, **sizes)
    check_estimator(estimator)
    # Before fitted_copy, which resets arguments to those of fit.
    paragraphs = [wrapped(repr(estimator), "    ")]
    fitted = estimator.__sklearn_is_fitted__()
    if fitted or X is not None:  # an error, if X is given too early
        estimator = fitted_copy(estimator)
    if fitted:
        paragraphs.append(wrapped(_training(estimator)))
    if X is None:
        return "\n\n".join([*paragraphs, _parameters(parameter_table(estimator, **sizes))])
    lengths = np.array([len(x) for x in read_steps(estimator, X)])
    paragraphs.append(_lengths(lengths))
    sizes = {"T": int(lengths.max())} | sizes
    paragraphs.append(_parameters(parameter_table(estimator, **sizes)))
    horizon, *gates = _memory(estimator, X)
    return "\n\n".join([*paragraphs, wrapped(horizon), *gates])


def _lengths(lengths: np.ndarray) -> str:
    """Return a line with the number of sequences and their lengths."""
    shortest, longest = int(lengths.min()), int(lengths.max())
    count = counted(len(lengths), "sequence")
    if shortest == longest:
        return f"X: {count} of {counted(longest, 'step')}"
    return f"X: {count} of {shortest} to {longest} steps, median {np.median(lengths):g}"


def _parameters(table: ParameterTable) -> str:
    """Return a table of parameters and operations that fits a terminal."""
    steps = counted(table.T, "step")
    rows = [
        (part.name, part.formula, f"{part.parameters:,}", f"{part.sequence_flops:,}")
        for part in (*table.parts, table.total)
    ]
    text = as_table(("layer", "parameters, by hand", "parameters", f"FLOPs of {steps}"), rows)
    equal = sum(part.parameters for part in table.ffnn)
    kept = table.batch_memory / 1e6
    place = "" if table.device == "cpu" else " on the GPU"
    batch = f"a batch of {counted(table.B, 'sequence')} of {steps}"
    sentences = [
        f"A feed-forward net that sees all {steps} has {equal:,} parameters.",
        f"Back-propagation keeps {kept:.2f} MB{place} for {batch}.",
    ]
    if table.batch_memory < table.whole_memory:
        whole = table.whole_memory / 1e6
        sentences.append(
            f"All gates at once would take {whole:.2f} MB, more than a quarter of the memory"
            f"{place}: they are kept for some steps at a time, and computed twice."
        )
    if table.patch > 1:
        sentences.append(f"The network reads them in patches of {table.patch}.")
    return "\n".join([text, *map(wrapped, sentences)])


def _forecaster(forecaster: RNNForecaster, y: Any) -> str:
    """Describe a forecaster, in lines of 80 characters."""
    paragraphs = [wrapped(repr(forecaster), "    ")]
    if y is None and not forecaster.__sklearn_is_fitted__():
        return f"{paragraphs[0]}\n\nnot fitted"
    fitted = forecaster._fitted()
    net = fitted.nets[0]
    paragraphs.append(choices_of(fitted, forecaster.get_params()))
    paragraphs.append("\n".join(wrapped(_training(net), "    ") for net in fitted.nets))
    paragraphs.append(parameters_of(net))
    if y is not None:
        horizon, *gates = _memory(net, network_inputs(forecaster, y))
        season = counted(fitted.encoding.season, "step")
        horizon = f"{horizon} A step here is a season of {season} of the series."
        paragraphs += [wrapped(horizon), *gates]
    return "\n\n".join(paragraphs)


def _memory(estimator: NetworkEstimator, X: Any) -> list[str]:
    """Return the memory horizon and, unless the cell has no gates, a table of them."""
    try:
        paragraphs = [str(memory_horizon(estimator, X))]
    except ValueError as error:  # of sequences of one step, or of a network that has died
        paragraphs = [f"{estimator.cell}: no memory was measured. {error}"]
    if CELLS[estimator.cell].roles:
        paragraphs.append(_gate_table(gate_summary(estimator, X)))
    return paragraphs


def _training(estimator: NetworkEstimator) -> str:
    """Return a line with the epochs, the loss, and the validation score if there is one."""
    losses = estimator.loss_curve_
    if not losses:
        return "converted from another library, not trained here"
    epochs = counted(estimator.n_iter_, "epoch")
    text = f"{epochs}, last loss {losses[-1]:.4g}, best {estimator.best_loss_:.4g}"
    scores = estimator.validation_scores_
    if not scores:
        return text
    return f"{text}; last validation score {scores[-1]:.4g}, best {max(scores):.4g}"


def _gate_table(summary: dict[str, dict[str, GateSummary]]) -> str:
    """Return a table of the gates, averaged over units."""
    header = ("layer", "gate", "mean", "closed", "open", "time constant: median", "longest")
    rows = []
    for layer, gates in summary.items():
        for gate, units in gates.items():
            row = [layer, gate, f"{units.mean.mean():.2f}"]
            row += [f"{share.mean():.0%}" for share in (units.closed, units.open)]
            rows.append((*row, *_time_constants(units.time_constant)))
    return as_table(header, rows)


def _time_constants(values: np.ndarray | None) -> tuple[str, str]:
    """Return the median and the longest time constant; nothing for gates that have none."""
    if values is None:
        return "", ""
    return f"{np.median(values):.3g}", f"{values.max():.3g}"

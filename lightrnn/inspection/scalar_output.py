"""One output of each sequence, chosen by its column and its step: the scalar to attribute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.targets import RealTargets
from ..estimators.estimator import NetworkEstimator
from ..estimators.regressor import RNNRegressor
from ..utils.checks import integer, shown
from .objective import comparable_outputs, encode_steps, predicted_columns

if TYPE_CHECKING:
    from ..nn.network import Network


@dataclass(frozen=True, eq=False)
class ScalarOutput:
    """An output of one sequence.

    Attributes
    ----------
    estimator : NetworkEstimator
        A fitted estimator.
    column : int
        Column of the raw outputs.
    step : int or None
        Step of the sequence at which the output is read; None: there is one per sequence.
    """

    estimator: NetworkEstimator
    column: int
    step: int | None

    def read(self, network: Network, inputs: list[np.ndarray], threads: int = 1) -> np.ndarray:
        """Return the output (N,) of what a network reads of variants of the sequence."""
        raw = _raw(network, inputs, [self.step] * len(inputs), threads)
        return self.of_raw(raw)

    def of_raw(self, raw: np.ndarray) -> np.ndarray:
        """Return the output (N,) among raw outputs (N, k), in the units of a prediction."""
        values = comparable_outputs(self.estimator, raw)
        targets = self.estimator._model.targets
        if isinstance(targets, RealTargets):
            values = values + targets.output_mean
        return np.asarray(values[:, self.column], np.float64)

    def of_steps(self, steps: list[np.ndarray], threads: int = 1) -> np.ndarray:
        """Return the output (N,) of variants of the sequence as `read_steps` returns them."""
        inputs = encode_steps(self.estimator, steps)
        return self.read(self.estimator._model.network, inputs, threads)


def scalar_outputs(
    estimator: NetworkEstimator, inputs: list[np.ndarray], output: Any
) -> list[ScalarOutput]:
    """Return the chosen output of each sequence.

    Parameters
    ----------
    estimator : NetworkEstimator
        A fitted estimator.
    inputs : list of ndarray
        Sequences as the network reads them.
    output : object
        As in `attribution`.

    Raises
    ------
    ValueError, TypeError
        If there is no such class, column or step.
    """
    label, step = _parsed(estimator, output)
    column = None if label is None else _column(estimator, label)
    network = estimator._model.network
    steps = [_step(len(x), step, i, network.target) for i, x in enumerate(inputs)]
    if column is None:
        raw = _raw(network, inputs, steps, estimator._threads())
        columns = predicted_columns(estimator, raw).tolist()
    else:
        columns = [column] * len(inputs)
    return [ScalarOutput(estimator, *chosen) for chosen in zip(columns, steps, strict=True)]


def _parsed(estimator: NetworkEstimator, output: Any) -> tuple[Any, int]:
    """Return the label and the step that `output` names; the last step is -1."""
    by_step = estimator._model.network.target == "step"
    if isinstance(output, tuple):
        if not by_step or len(output) != 2:
            raise ValueError(
                f"output must be a class or a column, or with target='step' a pair of one of them "
                f"and a step, got {output!r}. Leave the step out."
            )
        return output[0], integer("the step of output", output[1])
    single = isinstance(estimator, RNNRegressor) and estimator.n_outputs_ == 1
    if by_step and single and output is not None:
        return None, integer("output", output)
    return output, -1


def _column(estimator: NetworkEstimator, label: Any) -> int:
    """Return the column of the outputs for a label."""
    if isinstance(estimator, RNNRegressor):
        return integer("output", label, 0, estimator.n_outputs_ - 1)
    # NumPy's labels become Python's, which compare with what the user passes and print plainly.
    known = np.asarray(getattr(estimator, "classes_", estimator.vocabulary_)).tolist()
    for column, name in enumerate(known):
        if name == label:
            return column
    raise ValueError(
        f"output must be a label that was seen in fit, got {shown(label)}. "
        "Look into classes_ or vocabulary_."
    )


def _step(T: int, step: int, index: int, target: str) -> int | None:
    """Return a step that may count from the end as one that counts from the start."""
    if target != "step":
        return None
    if not -T <= step < T:
        raise ValueError(
            f"output must name a step of each sequence, got step {step} of X[{index}], which has "
            f"{T} steps. Leave shorter sequences out."
        )
    return step % T


def _raw(
    network: Network, inputs: list[np.ndarray], steps: list[int | None], threads: int
) -> np.ndarray:
    """Return the raw outputs (N, k) at one step of each sequence."""
    if network.target != "step":
        return np.asarray(network.outputs(inputs, threads))
    if all(step == len(x) - 1 for x, step in zip(inputs, steps, strict=True)):
        return network.final_outputs(inputs, threads)
    outputs = network.outputs(inputs, threads)
    return np.array([raw[step] for raw, step in zip(outputs, steps, strict=True)])

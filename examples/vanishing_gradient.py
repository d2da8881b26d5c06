"""Where does the gradient go? Measured in three cells, before and after they learn to remember.

A plain recurrent net multiplies the gradient by the same matrix and the slope of tanh at every step back through time,
so it shrinks, by about the same factor each step: what happened fifty steps ago teaches it nothing. The cell state of
an LSTM is only scaled by the forget gate, the state of a GRU by the update gate. At first these are half open and the
gradient vanishes there too; but they can learn to stay open, and on the adding problem (two marked numbers in a long
sequence of random ones, their sum asked for at the end) they have to.

The picture goes to vanishing_gradient.png, if matplotlib is installed (python -m pip install 'lightrnn[plot]').
"""

import math
import time
import warnings

import numpy as np

from lightrnn import RNNRegressor
from lightrnn.datasets import make_adding_problem
from lightrnn.inspection import memory_horizon

N_STEPS = 100
LEARNING_RATES = {"rnn": 1e-3, "gru": 2e-2, "lstm": 5e-3}
MOST = 40  # thousand sequences
SOLVED = 1e-3


def begun(cell: str) -> RNNRegressor:
    """Return a net that has taken one tiny step: its weights are those it was born with."""
    X, y = make_adding_problem(100, N_STEPS, random_state=0)
    return RNNRegressor(
        cell, (64,), learning_rate_init=1e-12, batch_size=8, random_state=0
    ).partial_fit(X, y)


def trained(cell: str, X_test: list[np.ndarray], y_test: np.ndarray) -> RNNRegressor:
    """Feed fresh sequences until the test error is below 0.001, at a quarter of the rate once it is below 0.01."""
    net = RNNRegressor(
        cell, (64,), learning_rate_init=LEARNING_RATES[cell], batch_size=8, random_state=0
    )
    for chunk in range(1, MOST + 1):
        net.partial_fit(*make_adding_problem(1000, N_STEPS, random_state=chunk))
        error = float(np.mean((net.predict(X_test) - y_test) ** 2))
        if error < SOLVED:
            break
        if error < 10 * SOLVED:
            net.set_params(learning_rate_init=LEARNING_RATES[cell] / 4)
    return net


def row(phase: str, net: RNNRegressor, X: list[np.ndarray], y: np.ndarray) -> str:
    """Return a line of the table."""
    error, found = float(np.mean((net.predict(X) - y) ** 2)), memory_horizon(net, X)
    horizon = "beyond" if math.isinf(found.horizon) else f"{found.horizon:.0f}"
    half = "beyond" if math.isinf(found.half_life) else f"{found.half_life:.0f}"
    return f"{net.cell:<6}{phase:<16}{error:>8.4f}{horizon:>10}{half:>11}{found.growth:>10.3f}  {found.word}"


def draw(phases: dict[str, list[RNNRegressor]], X: list[np.ndarray], path: str) -> None:
    """Draw what arrives of the gradient, one panel a phase."""
    from matplotlib import pyplot

    from lightrnn.plotting import GradientFlowDisplay

    figure, axes = pyplot.subplots(
        1, len(phases), figsize=(7.2, 2.8), sharey=True, layout="constrained", dpi=150
    )
    for ax, (phase, nets) in zip(axes, phases.items(), strict=True):
        for net in nets:
            GradientFlowDisplay.from_estimator(net, X, ax=ax)
        ax.set_title(phase)
    axes[0].set_ylim(1e-10, 10)
    axes[1].set_ylabel("")
    figure.savefig(path)
    print(f"\n{path} shows it.")


def main() -> None:
    """Measure, train, measure again."""
    warnings.filterwarnings(
        "ignore", "The gradient explodes"
    )  # the GRU's does on the way; clipping holds it
    start = time.perf_counter()
    X, y = make_adding_problem(300, N_STEPS, random_state=0)
    longest = max(map(len, X))
    print(
        f"The adding problem over {N_STEPS} to {longest} steps. Horizon: steps after which less than 1 % of the"
    )
    print(
        "gradient is left; half-life: less than a half; growth: what a step back multiplies it by.\n"
    )
    print(f"{'cell':<6}{'':<16}{'error':>8}{'horizon':>10}{'half-life':>11}{'growth':>10}")
    phases: dict[str, list[RNNRegressor]] = {"at initialisation": [], "after training": []}
    for cell in LEARNING_RATES:
        for (phase, nets), net in zip(
            phases.items(), (begun(cell), trained(cell, X, y)), strict=True
        ):
            nets.append(net)
            print(row(phase.split()[-1], net, X, y), flush=True)
    print(f"\n{time.perf_counter() - start:.0f} s")
    try:
        draw(phases, X, "vanishing_gradient.png")
    except ImportError:
        print("Without matplotlib there is no picture: python -m pip install 'lightrnn[plot]'")


if __name__ == "__main__":
    main()

"""Where does the gradient go? Measured in three cells, before and after they learn to remember.

Going back through time, a plain recurrent net multiplies the gradient by the same matrix and the
slope of tanh at every step. So it shrinks by about the same factor per step, and events fifty steps
ago teach the net nothing. The cell state of an LSTM is only scaled by the forget gate, the state of
a GRU by the update gate. At first these are half open and the gradient vanishes there too; but they
can learn to stay open, and to solve the adding problem (the sum of two marked numbers in a long
sequence of random ones) they have to.

The picture vanishing_gradient.png is drawn if matplotlib is installed
(python -m pip install 'lightrnn[plot]').
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
MAX_CHUNKS = 40  # of a thousand sequences
SOLVED = 1e-3


def begun(cell: str) -> RNNRegressor:
    """Return a net after one step that is too small to change its initial weights."""
    X, y = make_adding_problem(100, N_STEPS, random_state=0)
    return RNNRegressor(
        cell, (64,), learning_rate_init=1e-12, batch_size=8, random_state=0
    ).partial_fit(X, y)


def trained(cell: str, X_test: list[np.ndarray], y_test: np.ndarray) -> RNNRegressor:
    """Feed fresh sequences until the test error is below 0.001.

    The learning rate is divided by four once the error is below 0.01.
    """
    net = RNNRegressor(
        cell,
        (64,),
        batch_size=8,
        learning_rate="constant",
        learning_rate_init=LEARNING_RATES[cell],
        random_state=0,
    )
    for chunk in range(1, MAX_CHUNKS + 1):
        net.partial_fit(*make_adding_problem(1000, N_STEPS, random_state=chunk))
        error = float(np.mean((net.predict(X_test) - y_test) ** 2))
        if error < SOLVED:
            break
        if error < 10 * SOLVED:
            net.set_params(learning_rate_init=LEARNING_RATES[cell] / 4)
    return net


def row(phase: str, net: RNNRegressor, X: list[np.ndarray], y: np.ndarray) -> str:
    """Return a line of the table."""
    error = float(np.mean((net.predict(X) - y) ** 2))
    found = memory_horizon(net, X)
    horizon = lag(found.horizon)
    half_life = lag(found.half_life)
    growth = f"{found.growth:>10.3f}  {found.word}"
    return f"{net.cell:<6}{phase:<16}{error:>8.4f}{horizon:>10}{half_life:>11}{growth}"


def lag(steps: float) -> str:
    """Return a number of steps as text; "beyond" if it is more than the sequences have."""
    return "beyond" if math.isinf(steps) else f"{steps:.0f}"


def draw(phases: dict[str, list[RNNRegressor]], X: list[np.ndarray], path: str) -> None:
    """Draw the gradient flow of all nets, one panel per phase."""
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
    print(f"\nDrawn in {path}.")


def main() -> None:
    """Measure, train, measure again."""
    # The GRU's gradient explodes now and then; clipping holds it.
    warnings.filterwarnings("ignore", "The gradient explodes")
    start = time.perf_counter()
    X, y = make_adding_problem(300, N_STEPS, random_state=0)
    longest = max(map(len, X))
    print(f"The adding problem over {N_STEPS} to {longest} steps.")
    print("Horizon: steps back after which less than 1 % of the gradient is left; half-life: less")
    print("than a half; growth: the factor by which it changes per step back.\n")
    print(f"{'cell':<6}{'':<16}{'error':>8}{'horizon':>10}{'half-life':>11}{'growth':>10}")
    phases: dict[str, list[RNNRegressor]] = {"at initialisation": [], "after training": []}
    for cell in LEARNING_RATES:
        both = (begun(cell), trained(cell, X, y))
        for (phase, nets), net in zip(phases.items(), both, strict=True):
            nets.append(net)
            print(row(phase.split()[-1], net, X, y), flush=True)
    print(f"\n{time.perf_counter() - start:.0f} s")
    try:
        draw(phases, X, "vanishing_gradient.png")
    except ImportError:
        print("Without matplotlib there is no picture: python -m pip install 'lightrnn[plot]'")


if __name__ == "__main__":
    main()

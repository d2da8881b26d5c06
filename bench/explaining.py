"""The time that an explanation of one sequence takes, and that of KernelSHAP and timeshap."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from lightrnn import RNNRegressor
from lightrnn.inspection import attribution
from lightrnn.nn.network import Network

from .peers import HAS_TORCH, limited
from .report import Row, Run, Table, shown, verdict
from .timing import alternate, median, ratio

SHAPES = ((50, 32), (100, 64))  # steps and units
F = 4
ORDERS = 20
BAR = 50.0


def _torch_net(model: RNNRegressor, units: int) -> Any:
    """Return the same GRU and linear layer in PyTorch, as a module that returns (output, state)."""
    import torch

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = torch.nn.GRU(F, units, batch_first=True)
            self.head = torch.nn.Linear(units, 1)

        def forward(self, steps, state=None):
            outputs, state = self.rnn(steps, state)
            return self.head(outputs[:, -1]), state

    net = Net()
    net.load_state_dict({k: torch.as_tensor(np.array(a)) for k, a in model.to_torch().items()})
    return net.eval()


def _kernel_shap(net: Any, x: np.ndarray) -> dict[str, Callable[[], Any]]:
    """Return KernelSHAP over steps with as many coalitions, if shap is there."""
    try:
        import shap
    except ImportError:
        return {}
    import torch

    logging.getLogger("shap").setLevel(logging.ERROR)

    def outputs(present):
        steps = torch.from_numpy((present[:, :, None] * x).astype(np.float32))
        with torch.no_grad():
            return net(steps)[0].numpy()[:, 0]

    T = len(x)
    explainer = shap.KernelExplainer(outputs, np.zeros((1, T)))

    def explain():
        return explainer.shap_values(np.ones((1, T)), nsamples=ORDERS * T, silent=True)

    return {"KernelSHAP": explain}


def _timeshap(net: Any, x: np.ndarray) -> dict[str, Callable[[], Any]]:
    """Return timeshap's explanation of events with as many coalitions, if it is there."""
    try:
        from shap.explainers import _kernel

        # timeshap 1.0.4 names the class as shap did when it was written.
        _kernel.Kernel = _kernel.KernelExplainer
        from timeshap.explainer.event_level import local_event
        from timeshap.wrappers import TorchModelWrapper
    except ImportError:
        return {}
    answer = TorchModelWrapper(net).predict_last_hs
    options = {"rs": 42, "nsamples": ORDERS * len(x)}
    sequence = x[None].astype(np.float64)

    def explain():
        return local_event(answer, sequence, options, "one", "id", np.zeros((1, F)), 0)

    return {"timeshap": explain}


@contextmanager
def _counted() -> Iterator[list[int]]:
    """Count the steps that networks run over, one number for each run."""
    counts: list[int] = []
    acquire = Network.acquire

    def counting(network, batch):
        counts.append(int(batch.lengths.sum()))
        return acquire(network, batch)

    Network.acquire = counting
    try:
        yield counts
    finally:
        Network.acquire = acquire


def _rows(run: Run) -> Iterator[Row]:
    rng = np.random.default_rng(0)
    for T, units in SHAPES:
        X = rng.standard_normal((50, T, F)).astype(np.float32)
        model = RNNRegressor(
            "gru", (units,), patch=1, standardize=False, max_iter=3, n_jobs=1, random_state=0
        ).fit(X, X[:, 3, 0] - X[:, -5, 1])
        x = X[:1]

        def explain(method, model=model, x=x):
            return attribution(model, x, method=method, baseline="zeros", n_permutations=ORDERS)

        sides = {
            "shapley": lambda run=explain: run("shapley"),
            "gradients": lambda run=explain: run("integrated_gradients"),
        }
        if HAS_TORCH:
            net = _torch_net(model, units)
            sides |= _kernel_shap(net, X[0]) | _timeshap(net, X[0])
        with _counted() as counts:
            explain("shapley")
        with limited(1):
            times = alternate(sides, quick=run.quick, most=9, least=3)
        faster = ratio(times, "KernelSHAP", "gradients")
        yield (
            f"{T} steps, {units} units",
            *(
                shown(median(times, side), "{:.4f}")
                for side in ("KernelSHAP", "timeshap", "shapley", "gradients")
            ),
            f"{ORDERS * T * T:,} / {sum(counts):,}",
            *(
                shown(ratio(times, side, "shapley"), "{:.1f}")
                for side in ("KernelSHAP", "timeshap")
            ),
            shown(faster, "{:.0f}"),
            *verdict(faster, BAR),
        )


EXPLAINING = Table(
    "explaining",
    "An explanation of one sequence by a GRU, seconds and how many times faster",
    (
        "net",
        "KernelSHAP",
        "timeshap",
        "shapley",
        "integrated gradients",
        "steps run, theirs / ours",
        "KernelSHAP / shapley",
        "timeshap / shapley",
        "KernelSHAP / gradients",
        "bar",
        "reached",
    ),
    _rows,
    f"All sample {ORDERS} coalitions for each step, absent steps being zeros: KernelSHAP of shap "
    "and timeshap's `local_event`, with their defaults, over the same GRU in PyTorch, and "
    "`attribution(method='shapley')`, which shares what coalitions have in common. With as "
    "many coalitions their errors are alike. Of our time with 64 units the recurrence alone takes "
    "two thirds, so that 50 times cannot be reached by equal coalitions. Integrated gradients give "
    "each feature of each step a share, and need no coalitions. All on one thread.",
)

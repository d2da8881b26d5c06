"""The time that an explanation of one sequence takes, and that of KernelSHAP over PyTorch."""

import logging
from collections.abc import Iterator

import numpy as np

from lightrnn import RNNRegressor
from lightrnn.inspection import attribution

from .peers import HAS_TORCH
from .report import Row, Run, Table, shown, verdict
from .timing import alternate, median, ratio

SHAPES = ((50, 32), (100, 64))  # steps and units
F = 4
ORDERS = 20
BAR = 50.0


def _kernel_shap(model: RNNRegressor, x: np.ndarray, units: int) -> dict:
    """Return KernelSHAP of the same GRU in PyTorch with as many coalitions, if both are there."""
    try:
        import shap
        import torch
    except ImportError:
        return {}
    logging.getLogger("shap").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    arrays = {name: torch.as_tensor(np.array(a)) for name, a in model.to_torch().items()}
    net = torch.nn.GRU(x.shape[1], units, batch_first=True)
    head = torch.nn.Linear(units, 1)
    net.load_state_dict(
        {name[4:]: array for name, array in arrays.items() if name.startswith("rnn.")}
    )
    head.load_state_dict({name: arrays[f"head.{name}"] for name in ("weight", "bias")})

    def outputs(present):
        steps = torch.from_numpy((present[:, :, None] * x).astype(np.float32))
        with torch.no_grad():
            return head(net(steps)[1][0]).numpy()[:, 0]

    T = len(x)
    explainer = shap.KernelExplainer(outputs, np.zeros((1, T)))

    def explain():
        return explainer.shap_values(np.ones((1, T)), nsamples=ORDERS * T, silent=True)

    return {"KernelSHAP": explain}


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
            sides |= _kernel_shap(model, X[0], units)
        times = alternate(sides, quick=run.quick, most=9, least=3)
        faster = ratio(times, "KernelSHAP", "gradients")
        yield (
            f"{T} steps, {units} units",
            *(shown(median(times, side), "{:.3f}") for side in ("KernelSHAP", *sides)[:3]),
            shown(ratio(times, "KernelSHAP", "shapley"), "{:.0f}"),
            shown(faster, "{:.0f}"),
            *verdict(faster, BAR),
        )


EXPLAINING = Table(
    "explaining",
    "An explanation of one sequence by a GRU, seconds and how many times faster",
    (
        "net",
        "KernelSHAP",
        "shapley",
        "integrated gradients",
        "shapley faster",
        "gradients faster",
        "bar",
        "reached",
    ),
    _rows,
    f"Both sample {ORDERS} coalitions for each step, absent steps being zeros: KernelSHAP of shap, "
    "with its defaults, over the same GRU in PyTorch, and `attribution(method='shapley')`, which "
    "shares what coalitions have in common. Integrated gradients give each feature of each step a "
    "share, and need no coalitions. All on one thread.",
)

"""Names that `lightrnn.inspection` exports: functions named like their module, and pickles."""

import inspect
import pickle
import subprocess
import sys

import numpy as np
import pytest
from helpers.fitted import QUICK

import lightrnn
from lightrnn import RNNRegressor, inspection

SHARED = ("attribution", "gradient_flow", "memory_horizon", "parameter_table")


@pytest.mark.parametrize(
    "first",
    [
        "import lightrnn.inspection.attribution",
        "from lightrnn.inspection.gradient_flow import LayerFlow",
        "from lightrnn.inspection import memory_horizon",
        "import lightrnn.inspection.report",
        "import lightrnn.plotting.gates",
        "import lightrnn; lightrnn.inspection",
    ],
)
def test_a_name_of_function_and_module_is_the_functions_in_every_order_of_imports(first):
    code = (
        f"{first}\n"
        f"modules = [__import__('lightrnn.inspection.' + name) for name in {SHARED}]\n"
        f"from lightrnn.inspection import {', '.join(SHARED)}\n"
        f"print(all(callable(name) for name in ({', '.join(SHARED)})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr


def test_every_class_is_found_in_its_public_module():
    for module in (inspection, lightrnn.plotting):
        classes = filter(inspect.isclass, vars(module).values())
        assert {thing.__module__ for thing in classes} == {module.__name__}


def test_results_are_pickled_by_their_public_module():
    X = np.random.default_rng(0).normal(size=(4, 6, 2))
    net = RNNRegressor("gru", (3,), **QUICK).fit(X, np.arange(4.0))
    flow = inspection.gradient_flow(net, X)
    results = [
        flow,
        inspection.memory_horizon(net, X),
        inspection.parameter_table(net),
        inspection.gate_summary(net, X)["layer0"]["update"],
    ]
    pickled = pickle.dumps(results)
    assert b"lightrnn.inspection" in pickled and b"lightrnn.inspection." not in pickled
    copies = pickle.loads(pickled)
    np.testing.assert_array_equal(copies[0].mean(), flow.mean())
    assert list(map(type, copies)) == list(map(type, results))

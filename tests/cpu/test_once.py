"""A fork waits for imports under way: in the child nobody would finish them."""

import subprocess
import sys

import pytest

# Notes every module that is looked for while neither our lock nor that of Numba's compiler is held.
WATCHED = """
import sys
import warnings

import numpy as np

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor
from lightrnn.cpu.once import MAKING

warnings.simplefilter("ignore")
found = []


class Watch:
    def find_spec(self, name, path=None, target=None):
        compiler = sys.modules.get("numba.core.compiler_lock")
        lock = getattr(compiler, "global_compiler_lock", None)
        if not MAKING._is_owned() and not (lock and lock.is_locked()):
            found.append(name)


X = [np.ones((3, 2)), np.zeros((5, 2))] * 6
quick = {"hidden_layer_sizes": (4,), "max_iter": 1, "random_state": 0}
sys.meta_path.insert(0, Watch())
%s
assert not found, found
"""
CALLS = {
    "regressor": "RNNRegressor('gru', **quick).fit(X, [1.0, 2.0] * 6).predict(X)",
    "classifier": "RNNClassifier('lstm', **quick).fit(X, [1, 2] * 6).predict_proba(X)",
    "language": "RNNLanguageModel('rnn', **quick).fit(['to and fro'] * 3).generate(n_tokens=3)",
    "stream": "RNNRegressor('rnn', **quick).fit(X, [1.0, 2.0] * 6).stream().step(X[0][0])",
    "lbfgs": "RNNRegressor('rnn', solver='lbfgs', **quick).fit(X, [1.0, 2.0] * 6)",
    "progress": "RNNRegressor('rnn', verbose=1, **quick).fit(X, [1.0, 2.0] * 6)",
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_first_call_imports_nothing_while_a_fork_could_take_place(call):
    subprocess.run([sys.executable, "-c", WATCHED % call], check=True)

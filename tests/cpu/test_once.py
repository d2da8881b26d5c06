"""Imports are finished, whatever interrupts or forks: nobody else would finish them."""

import os
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows sends no such signal")
def test_an_interruption_of_a_first_call_leaves_numba_whole():
    code = """
import os
import signal
import sys

import lightrnn

# A shell that runs the tests in the background lets them ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
X = [[[1.0]], [[2.0]]]
model = lightrnn.RNNRegressor("gru", (4,), max_iter=1, learning_rate="cosine", random_state=0)


class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "numba.core.typeinfer":
            os.kill(os.getpid(), signal.SIGINT)  # raise_signal would wake no other thread


sys.meta_path.insert(0, Interrupt())
try:
    model.fit(X, [1.0, 2.0])
except KeyboardInterrupt:
    model.fit(X, [1.0, 2.0]).predict(X)
    sys.exit()
sys.exit("no interruption")
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows sends no such signal")
def test_an_interruption_of_a_kernels_making_leaves_no_lock_held():
    code = """
import os
import signal
import warnings
from threading import Thread

import lightrnn
from lightrnn import cpu

signal.signal(signal.SIGINT, signal.default_int_handler)
assert cpu.matmul  # and with it Numba
from numba.core.compiler_lock import global_compiler_lock as compiler


class Interrupting:
    # Numba's own lock, interrupted before it is released.
    def __init__(self, lock):
        self.lock = lock
        self.acquire = lock.acquire
        self._is_owned = lock._is_owned

    def release(self):
        os.kill(os.getpid(), signal.SIGINT)
        self.lock.release()


lock = compiler._lock
compiler._lock = Interrupting(lock)
free = []


def look():
    if lock.acquire(blocking=False):
        lock.release()
        free.append(True)
    else:
        free.append(False)


model = lightrnn.RNNRegressor("gru", (4,), max_iter=1, learning_rate="cosine", random_state=0)
warnings.simplefilter("error")  # a training that is interrupted warns, and is ended
while True:
    try:
        model.fit([[[1.0]], [[2.0]]], [1.0, 2.0])
    except (KeyboardInterrupt, UserWarning):
        thread = Thread(target=look)
        thread.start()
        thread.join()
    else:
        break
assert len(free) > 5, free
assert all(free), free
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)

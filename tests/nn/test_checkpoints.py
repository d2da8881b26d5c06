"""A batch in little memory: gates computed twice, the same bits, less memory."""

import json
import subprocess
import sys

import numpy as np
import pytest
from helpers.networks import bits
from helpers.strategies import problems
from hypothesis import given, settings

from lightrnn import RNNClassifier
from lightrnn.data.missing import LazyMarks
from lightrnn.data.patches import LazyPatches
from lightrnn.nn import memory, workspace
from lightrnn.nn.network import Network
from lightrnn.training.truncation import chunks

RECURRENT = ("rnn", "gru", "lstm")


def results(problem, available):
    """Return the bits of loss, gradient and final states of each part of a truncated batch."""
    network = problem.network()
    network.available = available
    parts = chunks(problem.batch(network), problem.truncate, network)
    return [bits(network, batch, problem.make_loss()) for batch in parts]


@settings(max_examples=60)
@given(problem=problems(cells=RECURRENT, max_length=40))
def test_no_bit_depends_on_the_memory_there_is(problem):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workspace, "SEGMENT_BYTES", 1)
        patch.setattr(workspace, "_FEW_ROWS", 8)
        assert results(problem, 0) == results(problem, np.inf)


@pytest.mark.parametrize("missing", ["error", "mask"])
def test_sequences_on_disk_are_read_in_both_directions(missing, tmp_path, monkeypatch):
    monkeypatch.setattr(workspace, "SEGMENT_BYTES", 1)
    monkeypatch.setattr(workspace, "_FEW_ROWS", 8)
    rng = np.random.default_rng(0)
    np.save(tmp_path / "X.npy", rng.normal(size=(3, 61, 2)))
    X = list(np.load(tmp_path / "X.npy", mmap_mode="r"))
    losses = []
    for share in (0, np.inf):  # each patch fills three steps, the last one but one
        monkeypatch.setattr(memory, "SHARE", share)
        net = RNNClassifier("rnn", (4,), bidirectional=True, patch=3, missing=missing)
        losses.append(net.set_params(max_iter=2, random_state=0).fit(X, [0, 1, 1]).loss_curve_)
    assert losses[0] == losses[1]


def test_marks_of_missing_values_are_carried_from_segment_to_segment():
    """In either direction, and in patches: no segment reads all steps before it again."""
    x = np.random.default_rng(0).normal(size=(9000, 2))
    x[np.random.default_rng(1).random(x.shape) < 0.9] = np.nan
    read = []

    class Source:
        shape = x.shape

        def __getitem__(self, steps):
            read.append(len(x[steps]))
            return x[steps]

    marks = LazyMarks(Source(), np.array([5.0, 6.0]))
    for sequence in (marks, LazyPatches(marks, 7)):
        whole = np.asarray(sequence)
        for direction in (1, -1):
            ordered = sequence[::direction]
            parts = [ordered[start : start + 500] for start in range(0, len(sequence), 500)]
            read.clear()
            found = np.concatenate(parts)
            assert found.shape == whole.shape and np.array_equal(found, whole[::direction])
            assert len(x) <= sum(read) < 3.5 * len(x)


@pytest.mark.parametrize(("target", "pooling"), [("sequence", "mean"), ("step", "last")])
def test_predictions_in_both_directions_keep_few_states(target, pooling, monkeypatch):
    net = Network("lstm", 2, (5, 4), 3, target=target, pooling=pooling, bidirectional=True)
    net.initialize(np.random.default_rng(0))
    X = [np.random.default_rng(T).normal(size=(T, 2)) for T in (400, 3, 77)]
    whole = [np.asarray(rows).tobytes() for rows in net.outputs(X)]
    monkeypatch.setattr("lightrnn.nn.network._PREDICTED_ROWS", 80)
    monkeypatch.setattr(workspace, "SEGMENT_BYTES", 1)
    monkeypatch.setattr(workspace, "_FEW_ROWS", 8)
    rows = []
    grow = workspace.LayerBuffers._grow

    def noted(buffers, *sizes):
        rows.append(sizes[0] * buffers.layer.cell.recurrent)
        grow(buffers, *sizes)

    monkeypatch.setattr(workspace.LayerBuffers, "_grow", noted)
    net._workspaces.clear()
    assert [np.asarray(rows).tobytes() for rows in net.outputs(X)] == whole
    assert 0 < max(rows) < 100


CHILD = """
import json, re, warnings
import numpy as np
from lightrnn import RNNClassifier
from lightrnn.estimators import model
from lightrnn.inspection import describe

def resident(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name)) * 1024

def fit(n_steps, memory):
    model.memory = lambda: memory
    X = list(np.sin(np.arange(4.0 * n_steps, dtype="f")).reshape(4, n_steps, 1))
    net = RNNClassifier("lstm", (64,), patch=1, max_iter=1, random_state=0)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # forget the peak
    before = resident("VmRSS")
    net.fit(X, [0, 1, 0, 1])
    taken = resident("VmHWM") - before
    report = describe(net, T=n_steps, B=4)
    shown = float(re.search(r"keeps ([0-9.]+) MB", report)[1])
    return taken / 1e6, shown, float(np.abs(net.weights_["layer0.W_ih"]).sum())

warnings.simplefilter("ignore")
for memory in (1e6, 1e12):
    fit(40, memory)
print(json.dumps([fit(20_000, memory) for memory in (4e8, 1e12)]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_described_memory_is_taken_by_a_fit_in_segments_and_in_one_piece():
    child = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True)
    if "PermissionError" in child.stderr:
        pytest.skip("the peak of memory cannot be reset here")
    (few, few_shown, *weights), (all_, all_shown, *others) = json.loads(child.stdout)
    assert weights == others
    assert abs(few - few_shown) < 1.5
    assert abs(all_ - all_shown) < 0.15 * all_
    assert few < all_ / 4

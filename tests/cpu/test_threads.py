"""Tasks on threads: results in order, errors raised, forks that work, and the count of CPUs."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time
import warnings
from functools import partial

import numpy as np
import pytest

from lightrnn.cpu import cache, threads
from lightrnn.cpu.threads import _quota, run, usable
from lightrnn.losses import make_loss
from lightrnn.nn.batches import Batch
from lightrnn.nn.network import Network


@pytest.mark.parametrize("threads", [1, 2, 5, 40])
@pytest.mark.parametrize("count", [0, 1, 2, 17])
def test_results_come_in_the_order_of_the_tasks(threads, count):
    def task(number):
        time.sleep(0.002 * ((number * 7) % 3))
        return number

    assert run([partial(task, number) for number in range(count)], threads) == list(range(count))


def test_tasks_run_side_by_side():
    """Each task waits for the other, so that they can end only together."""
    barrier = threading.Barrier(2, timeout=20)
    names = run([lambda: (barrier.wait(), threading.current_thread().name)[1]] * 2, 2)
    assert sum(name.startswith("lightrnn") for name in names) == 1


def test_one_thread_is_the_callers():
    assert set(run([threading.get_ident] * 5, 1)) == {threading.get_ident()}


def test_calls_of_different_numbers_of_threads_share_them(monkeypatch):
    """There are as many as the largest call can use, not some for each number."""
    pool = threads._Pool()
    monkeypatch.setattr(threads, "_pool", pool)
    before = threading.active_count()
    for n in (5, 2, 7, 3, 6, 4, 7, 2):
        assert run([partial(pow, number, 2) for number in range(20)], n) == [
            n**2 for n in range(20)
        ]
    assert threading.active_count() - before <= 6


@pytest.mark.parametrize("started", [0, 1, 3])
def test_where_no_thread_can_be_started_the_caller_does_the_tasks(monkeypatch, started):
    monkeypatch.setattr(threads, "_pool", threads._Pool())
    start = threading.Thread.start
    left = [started]

    def refuse(thread):
        if not left[0]:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    for _ in range(20):
        assert run([partial(pow, number, 2) for number in range(9)], 5) == [n**2 for n in range(9)]


LATE = """
import atexit, sys, threading, time, warnings
import scipy  # which cannot be imported as late as that
import numpy as np

def work(name):
    # All other modules are imported late, too.
    from lightrnn import RNNRegressor
    from lightrnn.cpu import threads
    warnings.simplefilter("ignore")
    assert threads.run([lambda: 1, lambda: 2, lambda: 3], 3) == [1, 2, 3]
    X = [np.full((T, 1), T / 9) for T in range(1, 9)] * 60
    model = RNNRegressor("rnn", (4,), max_iter=1, n_jobs=2, random_state=0)
    y = np.arange(len(X))
    print(name, len(model.fit(X, y).predict(X * 9)), flush=True)

def late():
    while threading.main_thread().is_alive():
        time.sleep(0.01)
    work("thread")

if sys.argv[1] == "thread":
    threading.Thread(target=late).start()
else:
    atexit.register(work, "handler")
    if sys.argv[1] == "again":
        work("main")
"""


@pytest.mark.parametrize("when", ["thread", "handler", "again"])
def test_networks_learn_and_predict_after_the_main_thread_has_ended(when):
    done = subprocess.run(
        [sys.executable, "-c", LATE, when],
        env=os.environ | {"PYTHONPATH": str(cache._PACKAGE.parent)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    expected = [f"{name} 4320" for name in ("main",) * (when == "again")]
    expected.append("thread 4320" if when == "thread" else "handler 4320")
    assert done.stdout.splitlines() == expected and not done.stderr, done.stderr


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("bad", range(6))
def test_an_error_reaches_the_caller_and_leaves_no_task_running(threads, bad):
    ended = []

    def task(number):
        time.sleep(0.002)
        if number == bad:
            raise ValueError(f"task {number}")
        ended.append(number)

    with pytest.raises(ValueError, match=f"task {bad}"):
        run([partial(task, number) for number in range(6)], threads)
    count = len(ended)
    time.sleep(0.02)
    assert len(ended) == count
    assert run([lambda: 1] * 3, threads) == [1, 1, 1]


def test_callers_on_several_threads():
    results = {}

    def caller(name):
        results[name] = [run([partial(pow, name, 2)] * 4, 3) for _ in range(30)]

    callers = [threading.Thread(target=caller, args=(name,)) for name in range(4)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(30)
    assert results == {name: [[name**2] * 4] * 30 for name in range(4)}


def test_a_caller_does_not_wait_for_a_busy_pool():
    """While another caller's long task holds the pool, a caller does all its tasks and returns."""
    begun = threading.Event()
    ended = threading.Event()
    results = []

    def long_tasks():
        run([lambda: begun.set() or ended.wait(), ended.wait], 2)

    def short_tasks():
        results.extend(run([lambda: 1, lambda: 2], 2))

    long = threading.Thread(target=long_tasks, daemon=True)
    short = threading.Thread(target=short_tasks, daemon=True)
    long.start()
    try:
        assert begun.wait(20)
        short.start()
        short.join(5)
        assert results == [1, 2]
    finally:
        ended.set()
        long.join(20)


def train():
    """Return the gradient of a network whose batch is cut into shards, as bytes."""
    network = Network("rnn", 4, (20,), 1)
    network.initialize(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    X = [rng.normal(size=(50, 4)) for _ in range(32)]
    batch = Batch.of(X, rng.normal(size=(32, 1)), np.ones(32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lightrnn.nn.network._WORTH_TWO", 1.0)
        patch.setattr("lightrnn.nn.network._WORTH_MORE", 1.0)
        assert network._shard_count(batch) > 1
        network.loss_and_gradient(batch, make_loss("squared_error"), 3)
    return network.gradient.tobytes()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_fork_after_threads_goes_on_with_threads_of_its_own():
    before = train()
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def again():
        test_tasks_run_side_by_side()
        sender.send_bytes(train())

    child = context.Process(target=again)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks in a process with threads
        child.start()
    try:
        assert receiver.poll(60), "the child hangs"
        assert receiver.recv_bytes() == before
    finally:
        child.kill()
        child.join(10)


def test_usable_threads(monkeypatch):
    monkeypatch.setattr("lightrnn.cpu.threads._cpus", lambda: 6)
    assert [usable(n) for n in (None, 1, 2, 99, -1, -2, -6, -50)] == [6, 1, 2, 99, 6, 5, 1, 1]


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="this system has no affinity of processes"
)
def test_no_more_than_this_process_may_use(monkeypatch):
    monkeypatch.setattr("lightrnn.cpu.threads._quota", lambda root: np.inf)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 7})
    assert usable(None) == usable(-1) == 3


def write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


V2 = "sys/fs/cgroup/cpu.max"
V1 = "sys/fs/cgroup/cpu,cpuacct/"


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, np.inf),
        ({V2: "max 100000\n"}, np.inf),
        ({V2: "150000 100000\n"}, 1.5),
        ({V2: "nonsense"}, np.inf),
        ({V2: "100 0\n"}, np.inf),
        ({V1 + "cpu.cfs_quota_us": "50000\n", V1 + "cpu.cfs_period_us": "100000\n"}, 0.5),
        ({V1 + "cpu.cfs_quota_us": "-1\n", V1 + "cpu.cfs_period_us": "100000\n"}, np.inf),
        ({V1 + "cpu.cfs_quota_us": "50000\n"}, np.inf),
    ],
    ids=str,
)
def test_the_quota_of_a_container(tmp_path, files, quota):
    write(tmp_path, files)
    assert _quota(tmp_path) == quota


@pytest.mark.parametrize(("group", "quota"), [("jobs", 3.0), ("jobs/mine", 2.0), ("other", 4.0)])
def test_the_quota_of_the_process_and_of_all_groups_above_it(tmp_path, group, quota):
    limits = {V2: 4, "sys/fs/cgroup/jobs/cpu.max": 3, "sys/fs/cgroup/jobs/mine/cpu.max": 2}
    files = {name: f"{cpus * 100000} 100000\n" for name, cpus in limits.items()}
    write(tmp_path, files | {"proc/self/cgroup": f"0::/{group}\n"})
    assert _quota(tmp_path) == quota


def test_the_quota_by_version_1_of_the_process(tmp_path):
    files = {"cpu.cfs_quota_us": "250000\n", "cpu.cfs_period_us": "100000\n"}
    write(tmp_path, {f"sys/fs/cgroup/cpu/box/{name}": text for name, text in files.items()})
    write(tmp_path, {"proc/self/cgroup": "2:cpuacct,cpu:/box\n1:memory:/elsewhere\n0::/\n"})
    write(tmp_path, {"sys/fs/cgroup/cpu/elsewhere/cpu.cfs_quota_us": "1000\n"})
    write(tmp_path, {"sys/fs/cgroup/cpu/elsewhere/cpu.cfs_period_us": "100000\n"})
    assert _quota(tmp_path) == 2.5


@pytest.mark.parametrize(("quota", "cpus"), [(0.1, 1), (1.0, 1), (2.1, 3), (5.0, 3), (np.inf, 3)])
def test_no_more_than_the_container_may_use(monkeypatch, quota, cpus):
    monkeypatch.setattr("lightrnn.cpu.threads._quota", lambda root: quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 7}, raising=False)
    assert usable(-1) == cpus


def test_one_inside_a_worker(monkeypatch):
    monkeypatch.setattr("lightrnn.cpu.threads._cpus", lambda: 6)
    monkeypatch.setattr(multiprocessing.current_process(), "name", "ForkProcess-1")
    assert usable(None) == 1 and usable(-1) == 6 and usable(3) == 3


def test_one_inside_a_worker_of_joblib(monkeypatch):
    joblib = pytest.importorskip("joblib", reason="joblib is an optional peer")
    monkeypatch.setattr("lightrnn.cpu.threads._cpus", lambda: 6)
    inside = joblib.Parallel(n_jobs=2, backend="threading")(
        joblib.delayed(usable)(n) for n in (None, None, 4)
    )
    assert inside == [1, 1, 4] and usable(None) == 6

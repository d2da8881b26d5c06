"""Corrupted files of every kind: 1,080 of the 100,000 that ``python -m bench --fuzz`` loads."""

import signal
import subprocess
import sys

import pytest

from bench import fuzz, fuzz_npz


def test_a_corrupted_file_is_refused_or_equal(monkeypatch):
    monkeypatch.setattr(fuzz_npz, "MOST", 100_000)  # the bench goes on to 10 MB
    counts = fuzz.run(seed=1, files=1080)
    assert sum(counts.values()) == 1080
    assert not {key: count for key, count in counts.items() if key[1] in fuzz.BAD}
    plain = {damage.__name__.replace("_", " ") for damage in fuzz.PLAIN}
    assert {outcome for name, outcome in counts if name in plain} == {"refused", "equal"}


@pytest.mark.parametrize("damage", fuzz.PLAIN + fuzz.SEALED)
def test_damage_changes_the_file(damage, tmp_path):
    model, data = next(fuzz.models())
    whole = fuzz.Judge(model, data, tmp_path).whole
    rng = fuzz.np.random.default_rng(0)
    assert sum(damage(whole, rng) != whole for _ in range(20)) > 10


def test_faults_of_a_loader_are_found(tmp_path, monkeypatch):
    """Try a loader that accepts everything, one that is slow, and one with another exception."""
    model, data = next(fuzz.models())
    judge = fuzz.Judge(model, data, tmp_path)
    rng = fuzz.np.random.default_rng(0)
    monkeypatch.setattr(fuzz.lightrnn, "load", lambda path: model)
    monkeypatch.setattr(fuzz.archive, "read", lambda path: {"another": "tree"})
    assert judge.outcome(fuzz.one_bit, rng) == "WRONG"
    monkeypatch.setattr(fuzz, "SLOW", 0.0)
    assert judge.outcome(fuzz.sealed_text, rng) == "SLOW"
    monkeypatch.setattr(fuzz.lightrnn, "load", lambda path: {}["key"])
    assert judge.outcome(fuzz.one_bit, rng) == "ESCAPED"

    def full(path):
        try:
            raise MemoryError
        except MemoryError as error:
            raise ValueError("path must fit in memory.") from error

    monkeypatch.setattr(fuzz.lightrnn, "load", full)
    assert judge.outcome(fuzz.one_bit, rng) == "LARGE"


@pytest.mark.parametrize(
    ("work", "code"),
    [("[].sort()", 0), ("bytearray(2 * fuzz.MEMORY)", 1), ("while True: pass", -signal.SIGPROF)],
)
def test_limits_are_enforced_in_a_child_process(work, code):
    script = "from bench import fuzz; fuzz.in_child = True; fuzz.SLOW = 0.1\n"
    script += f"with fuzz._limits():\n    {work}"
    done = subprocess.run([sys.executable, "-c", script], stderr=subprocess.PIPE)
    assert done.returncode == code
    assert (b"MemoryError" in done.stderr) == (code == 1)

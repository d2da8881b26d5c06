"""Load corrupted files of ours, PyTorch and Keras: each must be refused, or equal the original.

    python -m bench --fuzz [files]

Some files are damaged as disks, networks and editors damage them. In others the content is changed
and the checksums are corrected, as an attacker would do: such a file must be refused, or be a model
that predicts. Files have up to 10 MB; each is judged in a child process that has `SLOW` seconds of
processor time and `MEMORY` bytes for it, and guard pages around every array (`guard.py`).
"""

import importlib.util
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import lightrnn
from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor
from lightrnn.utils import archive

from . import fuzz_foreign, guard
from .fuzz_bytes import (
    a_gap,
    in_the_directory,
    in_the_header,
    junk_inside,
    one_bit,
    sealed_members,
    sealed_shape,
    sealed_text,
    sealed_value,
    some_bytes,
    truncated,
    two_pieces_exchanged,
    zeros,
)
from .fuzz_npz import NPZ, Damage
from .report import markdown

FILES = 10_000  # per process
SLOW = 2.0  # seconds that no file may take
MEMORY = 512 * 2**20  # bytes that no file may take, above those of the process before
LIMIT = 3000.0  # seconds after which a process counts as hanging
WORDS = ["to be or not", "be", "not to be"]


def models() -> Iterator[tuple[Any, Any]]:
    """Yield small fitted models, each with something to predict."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(T, 2)) for T in (3, 1, 4, 2)]
    brief = {"max_iter": 1, "learning_rate": "cosine", "random_state": 0}
    labels = np.array(["no", "yes", "no", "yes"], dtype=object)
    yield RNNClassifier("rnn", (2,), **brief).fit(X, labels), X
    yield RNNLanguageModel("gru", (2,), tokens="word", embedding_size=2, **brief).fit(WORDS), WORDS


ANYWHERE: tuple[Damage, ...] = (  # in a file of any kind
    one_bit,
    some_bytes,
    truncated,
    a_gap,
    zeros,
    two_pieces_exchanged,
    junk_inside,
)
PLAIN: tuple[Damage, ...] = (*ANYWHERE, in_the_header, in_the_directory)
SEALED: tuple[Damage, ...] = (sealed_text, sealed_value, sealed_shape, sealed_members, *NPZ)
GOOD = ("refused", "equal", "another model")
BAD = ("WRONG", "ESCAPED", "SLOW", "LARGE", "CRASH")

# -- judgement -------------------------------------------------------------------------------------


class Judge:
    """Damage and load files of one model, and classify the outcomes.

    Parameters
    ----------
    model : estimator
        The model, fitted.
    data : list
        Sequences or texts that it can predict from.
    directory : Path
        Where to write two files.
    """

    name = ""  # of the kind of file, in the table
    plain = PLAIN
    sealed = SEALED

    def __init__(self, model: Any, data: Any, directory: Path) -> None:
        self.data = data
        self.path = directory / "damaged"
        self.again = directory / "again"
        model.save(self.path)
        self.whole = self.path.read_bytes()

    def outcome(self, damage: Damage, rng: np.random.Generator) -> str:
        """Damage the file, load it, and return the outcome."""
        self.path.write_bytes(damage(self.whole, rng))
        start = time.process_time()
        try:
            with _limits():
                model = self.load()
        except ValueError as error:
            if _ends(error, MemoryError):
                return "LARGE"
            model = None
        except Exception as error:
            print(f"{damage.__name__}: {type(error).__name__}: {error}", file=sys.stderr)
            return "ESCAPED"
        if time.process_time() - start >= SLOW:
            return "SLOW"
        if model is None:
            return "refused"
        if self.is_equal(model):
            return "equal"
        return self._use(model) if damage in self.sealed else "WRONG"

    def load(self) -> Any:
        """Load the damaged file."""
        return lightrnn.load(self.path)

    def is_equal(self, model: Any) -> bool:
        """Whether the damaged file holds the original model."""
        archive.write(self.again, archive.read(self.path))  # equal trees make equal files
        return self.again.read_bytes() == self.whole

    def _use(self, model: Any) -> str:
        """Predict: with an accepted model, kernels must not read outside of their arrays."""
        try:
            method = "predict_proba" if hasattr(model, "predict_proba") else "predict"
            getattr(model, method)(self.data)
        except (TypeError, ValueError):  # the changed model wants other data, and says so
            pass
        return "another model"


class ForeignJudge(Judge):
    """The same for a file of PyTorch or Keras.

    Parameters
    ----------
    file : Path
        The whole file.
    plain, sealed : tuple of callable
        Damages of which checksums tell, and those after which another model may be there.
    directory : Path
        Where to write the damaged file.
    """

    def __init__(
        self,
        file: Path,
        plain: tuple[Damage, ...],
        sealed: tuple[Damage, ...],
        directory: Path,
    ) -> None:
        self.name = f" of {file.name}"
        self.plain = plain
        self.sealed = sealed
        self.path = directory / file.name
        self.whole = file.read_bytes()
        self.path.write_bytes(self.whole)
        self.weights = self.load().weights_

    def load(self) -> Any:
        """Load the damaged file."""
        name = self.path.name
        kind = RNNRegressor if "gru" in name else RNNClassifier
        read = lightrnn.from_keras if name.endswith(("h5", "keras")) else lightrnn.from_torch
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # nothing is compared here
            return read(self.path, kind(target="step" if "gru" in name else "sequence"))

    def is_equal(self, model: Any) -> bool:
        """Whether the damaged file holds the original weights; a sign of zero counts too."""
        weights = model.weights_
        return weights.keys() == self.weights.keys() and all(
            array.tobytes() == self.weights[name].tobytes() for name, array in weights.items()
        )

    def _use(self, model: Any) -> str:
        tokens = hasattr(model, "vocabulary_") and model.vocabulary_ is not None
        rows = np.random.default_rng(0).normal(size=(3, 1 if tokens else model.n_features_in_))
        self.data = [[1, 0, 2]] if tokens else [rows]
        return super()._use(model)


def judges(directory: Path) -> list[Judge]:
    """Return a judge for each of the whole files."""
    found = [Judge(model, data, directory) for model, data in models()]
    kinds: list[tuple[str, tuple[Damage, ...], tuple[Damage, ...]]] = [
        ("lstm.pt", ANYWHERE, fuzz_foreign.TORCH),
        ("rnn.pt", ANYWHERE, fuzz_foreign.TORCH),
        ("gru.safetensors", (), (*ANYWHERE, *fuzz_foreign.SAFETENSORS)),
    ]
    if importlib.util.find_spec("h5py"):
        kinds += [
            ("lstm.keras", ANYWHERE, fuzz_foreign.KERAS),
            ("rnn.keras", ANYWHERE, fuzz_foreign.KERAS),
            ("gru.weights.h5", (), (*ANYWHERE, *fuzz_foreign.HDF5)),
        ]
    golden = Path(__file__).resolve().parent.parent / "tests" / "golden"
    return found + [ForeignJudge(golden / name, *rest, directory) for name, *rest in kinds]


def _ends(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Whether an exception, or one that led to it, is of a kind."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error is not None


@contextmanager
def _limits() -> Iterator[None]:
    """Limit time and memory, in a child process alone; more time than that ends the process."""
    if not in_child:
        yield
        return
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
    signal.setitimer(signal.ITIMER_PROF, SLOW)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


in_child = False

# -- many files ------------------------------------------------------------------------------------


def outcomes(seed: int, numbers: Iterable[int]) -> Iterator[tuple[str, str]]:
    """Yield the damage and the outcome of each of the numbered files."""
    with tempfile.TemporaryDirectory() as directory:
        cases = [
            (judge, damage)
            for judge in judges(Path(directory))
            for damage in (*judge.plain, *judge.sealed)
        ]
        for number in numbers:
            judge, damage = cases[number % len(cases)]
            outcome = judge.outcome(damage, np.random.default_rng((seed, number)))
            if outcome in BAD:
                print(f"{number} {damage.__name__}{judge.name}: {outcome}", file=sys.stderr)
            yield damage.__name__.replace("_", " ") + judge.name, outcome


def run(seed: int, files: int) -> Counter[tuple[str, str]]:
    """Count the outcomes of `files` files by damage and outcome."""
    return Counter(outcomes(seed, range(files)))


def main(files: int) -> bool:
    """Print the number of files by damage and outcome; return whether none is bad."""
    total = Counter[tuple[str, str]]()
    start = time.perf_counter()
    done = 0
    while done < files:
        found = _in_child(0, done, min(done + FILES, files))
        total += Counter(found)
        done += len(found)
        elapsed = time.perf_counter() - start
        print(f"  {done:,} files, {elapsed:.0f} s", file=sys.stderr, flush=True)
    sums = Counter[str]()
    for (_, outcome), count in total.items():
        sums[outcome] += count
    bad = [outcome for outcome in BAD if sums[outcome]]
    shown = (*GOOD, *bad)
    names = dict.fromkeys(name for name, _ in total)
    rows = [(name, *(f"{total[name, outcome]:,}" for outcome in shown)) for name in names]
    rows.append((f"{files:,} files", *(f"{sums[outcome]:,}" for outcome in shown)))
    print(markdown(("damage", *shown), rows))
    return not bad


def _in_child(seed: int, first: int, last: int) -> list[tuple[str, str]]:
    """Judge files in a child process; the one that ends or stops the process is the last."""
    command = [sys.executable, "-m", "bench.fuzz", str(seed), str(first), str(last)]
    root = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(command, cwd=root, stdout=output)
        try:
            code = child.wait(LIMIT)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
        output.seek(0)
        found: list[tuple[str, str]] = [tuple(json.loads(line)) for line in output]
    if code:
        print(f"{first + len(found)} ended the process: {code}", file=sys.stderr)
        found.append(("a process", "SLOW" if code == -signal.SIGPROF else "CRASH"))
    return found


if __name__ == "__main__":
    in_child = True
    seed, first, last = map(int, sys.argv[1:])
    guard.enable()
    for found in outcomes(seed, range(first, last)):
        print(json.dumps(found), flush=True)

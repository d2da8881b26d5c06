"""Load corrupted model files: each must be refused with a message, or equal the original.

    python -m bench --fuzz [files]

Some files are damaged as disks, networks and editors damage them. In others the content is changed
and the checksums are corrected, as an attacker would do: such a file must be refused, or be a model
that predicts.
"""

import io
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import lightrnn
from lightrnn import RNNClassifier, RNNLanguageModel
from lightrnn.utils import archive

from .report import markdown

FILES = 5000  # per process
SLOW = 2.0  # seconds that no file this small may take
LIMIT = 600.0  # seconds after which a process counts as hanging
WORDS = ["to be or not", "be", "not to be"]


def models() -> Iterator[tuple[Any, Any]]:
    """Yield small fitted models, each with something to predict."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(T, 2)) for T in (3, 1, 4, 2)]
    brief = {"max_iter": 1, "learning_rate": "cosine", "random_state": 0}
    labels = np.array(["no", "yes", "no", "yes"], dtype=object)
    yield RNNClassifier("rnn", (2,), **brief).fit(X, labels), X
    yield RNNLanguageModel("gru", (2,), tokens="word", embedding_size=2, **brief).fit(WORDS), WORDS


# -- damage ----------------------------------------------------------------------------------------

Damage = Callable[[bytes, np.random.Generator], bytes]


def _place(data: bytes, rng: np.random.Generator) -> int:
    return int(rng.integers(len(data)))


def one_bit(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip a bit."""
    changed = bytearray(data)
    changed[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def some_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite some bytes, anywhere."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        changed[_place(data, rng)] = int(rng.integers(256))
    return bytes(changed)


def in_the_header(data: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite bytes of the JSON header with other bytes from it."""
    start = data.index(b'{"format"')
    changed = bytearray(data)
    stop = data.index(b"PK", start)
    for _ in range(int(rng.integers(1, 4))):
        changed[int(rng.integers(start, stop))] = data[int(rng.integers(start, stop))]
    return bytes(changed)


def in_the_directory(data: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite bytes of the zip's directory."""
    start = data.index(b"PK\x01\x02")
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        changed[int(rng.integers(start, len(data)))] = int(rng.integers(256))
    return bytes(changed)


def truncated(data: bytes, rng: np.random.Generator) -> bytes:
    """Cut the end off."""
    return data[: _place(data, rng)]


def a_gap(data: bytes, rng: np.random.Generator) -> bytes:
    """Lose a piece."""
    start = _place(data, rng)
    return data[:start] + data[start + int(rng.integers(1, 600)) :]


def zeros(data: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite a piece with zeros."""
    start = _place(data, rng)
    size = int(rng.integers(1, 600))
    return (data[:start] + bytes(size) + data[start + size :])[: len(data)]


def two_pieces_exchanged(data: bytes, rng: np.random.Generator) -> bytes:
    """Exchange two pieces of the same size."""
    a, b = sorted(int(i) for i in rng.integers(len(data), size=2))
    size = min(b - a, len(data) - b, int(rng.integers(1, 600)))
    return (
        data[:a] + data[b : b + size] + data[a + size : b] + data[a : a + size] + data[b + size :]
    )


def junk_inside(data: bytes, rng: np.random.Generator) -> bytes:
    """Insert bytes."""
    start = _place(data, rng)
    return data[:start] + rng.bytes(int(rng.integers(1, 100))) + data[start:]


def _sealed(
    data: bytes, change: Callable[[dict[str, bytes]], None], compression: int = zipfile.ZIP_STORED
) -> bytes:
    """Change the members of the zip file and correct its checksums."""
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        members = {name: old.read(name) for name in old.namelist()}
    change(members)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as new:
        for name, content in members.items():
            new.writestr(zipfile.ZipInfo(name), content, compression)
    return target.getvalue()


def _with_header(data: bytes, text: str) -> bytes:
    """Replace the JSON header."""
    member = io.BytesIO()
    np.lib.format.write_array(member, np.frombuffer(text.encode(), np.uint8))
    return _sealed(data, lambda members: members.update({"header.npy": member.getvalue()}))


def _header(data: bytes) -> Any:
    with np.load(io.BytesIO(data)) as arrays:
        return json.loads(arrays["header"].tobytes())


def sealed_text(data: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite characters of the header with other characters from it."""
    text = list(json.dumps(_header(data)))
    for _ in range(int(rng.integers(1, 4))):
        text[int(rng.integers(len(text)))] = text[int(rng.integers(len(text)))]
    return _with_header(data, "".join(text))


# Values of all kinds: too large, too small, of another type, or with the archive's own markers.
VALUES = (
    None,
    True,
    0,
    -1,
    1,
    2,
    3,
    10**6,
    10**12,
    2**70,
    0.5,
    -1e300,
    float("nan"),
    "",
    "lstm",
    "x" * 99,
    [],
    {},
)
VALUES += (
    [1] * 99,
    {"!tuple": [10**9, 1]},
    {"!tuple": []},
    {"!array": "header"},
    {"!dict": [[[], 1]]},
    {"!object": [[-1], []]},
)


def sealed_value(data: bytes, rng: np.random.Generator) -> bytes:
    """Replace a value of the header, or remove one."""
    header = _header(data)
    spots = list(_spots(header))
    holder, key = spots[int(rng.integers(len(spots)))]
    if rng.random() < 0.1:
        del holder[key]
    else:
        holder[key] = VALUES[int(rng.integers(len(VALUES)))]
    return _with_header(data, json.dumps(header))


def _spots(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the container and the key of every value in a tree."""
    if isinstance(tree, dict | list):
        for key in tree if isinstance(tree, dict) else range(len(tree)):
            yield tree, key
            yield from _spots(tree[key])


def sealed_shape(data: bytes, rng: np.random.Generator) -> bytes:
    """Give an array's header another shape or type."""

    def change(members: dict[str, bytes]) -> None:
        name = list(members)[int(rng.integers(len(members)))]
        claims = (  # among them sizes that no memory can hold
            b"(99999999999, 9)",
            b"(-1,)",
            b"()",
            b"(0, 99999999999999999999999)",
            b"(" + b"1, " * 70 + b")",
        )
        shape = claims[int(rng.integers(len(claims)))]
        kind = (b"<f4", b"<f8", b"|O", b"<U9999999", b"|V8", b"<M8[ns]", b"<c16")[
            int(rng.integers(7))
        ]
        before, _, rest = members[name].partition(b"'shape': (")
        content = before + b"'shape': " + shape + rest.partition(b")")[2]
        members[name] = (
            content
            if rng.random() < 0.5
            else members[name].replace(b"<f4", kind).replace(b"<f8", kind)
        )

    return _sealed(data, change)


def sealed_members(data: bytes, rng: np.random.Generator) -> bytes:
    """Remove an array, give it the content of another one, or add a large one and compress all."""
    way = int(rng.integers(3))

    def change(members: dict[str, bytes]) -> None:
        one, other = (list(members)[int(i)] for i in rng.integers(len(members), size=2))
        if way == 0:
            del members[one]
        elif way == 1:
            members[one] = members[other]
        else:
            members["bomb.npy"] = bytes(10**6)  # small in the file, large once it is read

    return _sealed(data, change, zipfile.ZIP_DEFLATED if way == 2 else zipfile.ZIP_STORED)


PLAIN: tuple[Damage, ...] = (
    one_bit,
    some_bytes,
    in_the_header,
    in_the_directory,
    truncated,
    a_gap,
    zeros,
    two_pieces_exchanged,
    junk_inside,
)
SEALED: tuple[Damage, ...] = (sealed_text, sealed_value, sealed_shape, sealed_members)
GOOD = ("refused", "equal", "another model")
BAD = ("WRONG", "ESCAPED", "SLOW", "CRASH")

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

    def __init__(self, model: Any, data: Any, directory: Path) -> None:
        self.data = data
        self.path = directory / "damaged"
        self.again = directory / "again"
        model.save(self.path)
        self.whole = self.path.read_bytes()

    def outcome(self, damage: Damage, rng: np.random.Generator) -> str:
        """Damage the file, load it, and return the outcome."""
        self.path.write_bytes(damage(self.whole, rng))
        start = time.process_time()  # other work on the machine does not make it longer
        try:
            outcome = self._load(damage in SEALED)
        except Exception as error:
            print(f"{damage.__name__}: {type(error).__name__}: {error}", file=sys.stderr)
            return "ESCAPED"
        return outcome if time.process_time() - start < SLOW else "SLOW"

    def _load(self, sealed: bool) -> str:
        try:
            model = lightrnn.load(self.path)
        except ValueError:
            return "refused"
        archive.write(self.again, archive.read(self.path))  # equal trees make equal files
        if self.again.read_bytes() == self.whole:
            return "equal"
        return self._use(model) if sealed else "WRONG"

    def _use(self, model: Any) -> str:
        """Predict: with an accepted model, kernels must not read outside of their arrays."""
        try:
            method = "predict_proba" if hasattr(model, "predict_proba") else "predict"
            getattr(model, method)(self.data)
        except (TypeError, ValueError):  # the changed model wants other data, and says so
            pass
        return "another model"


def run(seed: int, files: int) -> Counter[tuple[str, str]]:
    """Count the outcomes of `files` files by damage and outcome."""
    rng = np.random.default_rng(seed)
    counts = Counter[tuple[str, str]]()
    kinds = PLAIN + SEALED
    with tempfile.TemporaryDirectory() as directory:
        judges = [Judge(model, data, Path(directory)) for model, data in models()]
        for number in range(files):
            damage = kinds[number % len(kinds)]
            # The models take turns, one for a round through all kinds of damage.
            outcome = judges[number // len(kinds) % len(judges)].outcome(damage, rng)
            counts[damage.__name__.replace("_", " "), outcome] += 1
    return counts


def main(files: int) -> bool:
    """Print the number of files by damage and outcome; return whether none is bad."""
    total = Counter[tuple[str, str]]()
    start = time.perf_counter()
    for seed, first in enumerate(range(0, files, FILES)):
        last = min(first + FILES, files)
        total += _in_child(seed, last - first)
        elapsed = time.perf_counter() - start
        print(f"  {last:,} files, {elapsed:.0f} s", file=sys.stderr, flush=True)
    sums = Counter[str]()
    for (_, outcome), count in total.items():
        sums[outcome] += count
    bad = [outcome for outcome in BAD if sums[outcome]]
    outcomes = (*GOOD, *bad)
    names = dict.fromkeys(name for name, _ in total)
    rows = [(name, *(f"{total[name, outcome]:,}" for outcome in outcomes)) for name in names]
    rows.append((f"{files:,} files", *(f"{sums[outcome]:,}" for outcome in outcomes)))
    print(markdown(("damage", *outcomes), rows))
    return not bad


def _in_child(seed: int, files: int) -> Counter[tuple[str, str]]:
    """Run in a child process, because a bad file may crash it or make it hang."""
    command = [sys.executable, "-m", "bench.fuzz", str(seed), str(files)]
    root = Path(__file__).resolve().parent.parent
    try:
        done = subprocess.run(
            command, cwd=root, stdout=subprocess.PIPE, text=True, check=True, timeout=LIMIT
        )
    except subprocess.SubprocessError as error:
        print(error, file=sys.stderr)
        return Counter({("a process", "CRASH"): 1})
    return Counter({tuple(key): count for key, count in json.loads(done.stdout)})


if __name__ == "__main__":
    print(json.dumps([[list(key), count] for key, count in run(*map(int, sys.argv[1:])).items()]))

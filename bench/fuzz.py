"""Corrupted model files: each must be refused in words, or give what the original gives.

    python -m bench --fuzz [files]

A file is damaged as disks, networks and editors damage it; or its content is changed and the checksums are made right
again, as only somebody who means harm does: then it must be refused, or be a model that predicts.
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

FILES = 5000  # to a process
SLOW = 2.0  # seconds, which nothing so small may take
LIMIT = 600.0  # seconds until a process counts as hanging
WORDS = ["to be or not", "be", "not to be"]


def models() -> Iterator[tuple[Any, Any]]:
    """Yield small fitted models, each with something to predict."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(T, 2)) for T in (3, 1, 4, 2)]
    brief = {"max_iter": 1, "learning_rate": "cosine", "random_state": 0}
    labels = np.array(["no", "yes", "no", "yes"], dtype=object)
    yield RNNClassifier("rnn", (2,), **brief).fit(X, labels), X
    yield RNNLanguageModel("gru", (2,), tokens="word", embedding_size=2, **brief).fit(WORDS), WORDS


# -- damage -----------------------------------------------------------------------------------------------------------

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
    """Overwrite bytes of the JSON header by others of it."""
    start, changed = data.index(b'{"format"'), bytearray(data)
    stop = data.index(b"PK", start)
    for _ in range(int(rng.integers(1, 4))):
        changed[int(rng.integers(start, stop))] = data[int(rng.integers(start, stop))]
    return bytes(changed)


def in_the_directory(data: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite bytes of the zip's directory."""
    start, changed = data.index(b"PK\x01\x02"), bytearray(data)
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
    """Overwrite a piece by zeros."""
    start, size = _place(data, rng), int(rng.integers(1, 600))
    return (data[:start] + bytes(size) + data[start + size :])[: len(data)]


def two_pieces_exchanged(data: bytes, rng: np.random.Generator) -> bytes:
    """Exchange two pieces of one size."""
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
    """Change the members of the zip and make the checksums right again."""
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        members = {name: old.read(name) for name in old.namelist()}
    change(members)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as new:
        for name, content in members.items():
            new.writestr(zipfile.ZipInfo(name), content, compression)
    return target.getvalue()


def _with_header(data: bytes, text: str) -> bytes:
    """Put in another JSON header."""
    member = io.BytesIO()
    np.lib.format.write_array(member, np.frombuffer(text.encode(), np.uint8))
    return _sealed(data, lambda members: members.update({"header.npy": member.getvalue()}))


def _header(data: bytes) -> Any:
    with np.load(io.BytesIO(data)) as arrays:
        return json.loads(arrays["header"].tobytes())


def sealed_text(data: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite characters of the header by others of it."""
    text = list(json.dumps(_header(data)))
    for _ in range(int(rng.integers(1, 4))):
        text[int(rng.integers(len(text)))] = text[int(rng.integers(len(text)))]
    return _with_header(data, "".join(text))


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
    """Put another value somewhere into the header, or leave one out."""
    header = _header(data)
    spots = list(_spots(header))
    holder, key = spots[int(rng.integers(len(spots)))]
    if rng.random() < 0.1:
        del holder[key]
    else:
        holder[key] = VALUES[int(rng.integers(len(VALUES)))]
    return _with_header(data, json.dumps(header))


def _spots(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in a tree that holds a value."""
    if isinstance(tree, dict | list):
        for key in tree if isinstance(tree, dict) else range(len(tree)):
            yield tree, key
            yield from _spots(tree[key])


def sealed_shape(data: bytes, rng: np.random.Generator) -> bytes:
    """Let an array claim another shape or type."""

    def change(members: dict[str, bytes]) -> None:
        name = list(members)[int(rng.integers(len(members)))]
        claims = (
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
    """Leave an array out, give it another's content, or compress all."""
    way = int(rng.integers(3))

    def change(members: dict[str, bytes]) -> None:
        one, other = (list(members)[int(i)] for i in rng.integers(len(members), size=2))
        if way == 0:
            del members[one]
        elif way == 1:
            members[one] = members[other]
        else:
            members["bomb.npy"] = bytes(10**6)

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
GOOD, BAD = ("refused", "equal", "another model"), ("WRONG", "ESCAPED", "SLOW", "CRASH")

# -- judgement --------------------------------------------------------------------------------------------------------


class Judge:
    """Tells what becomes of a damaged file of one model.

    Parameters
    ----------
    model, data : estimator, list
        The model, and what it can predict from.
    directory : Path
        Room for two files.
    """

    def __init__(self, model: Any, data: Any, directory: Path) -> None:
        self.data, self.path, self.again = data, directory / "damaged", directory / "again"
        model.save(self.path)
        self.whole = self.path.read_bytes()

    def outcome(self, damage: Damage, rng: np.random.Generator) -> str:
        """Damage the file, load it, and say what came of it."""
        self.path.write_bytes(damage(self.whole, rng))
        start = time.perf_counter()
        try:
            outcome = self._load(damage in SEALED)
        except Exception as error:
            print(f"{damage.__name__}: {type(error).__name__}: {error}", file=sys.stderr)
            return "ESCAPED"
        return outcome if time.perf_counter() - start < SLOW else "SLOW"

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
        """Predict: a model that was accepted must not let kernels read what is not theirs."""
        try:
            (model.predict_proba if hasattr(model, "predict_proba") else model.predict)(self.data)
        except (TypeError, ValueError):  # other data are wanted, which is told in words
            pass
        return "another model"


def run(seed: int, files: int) -> Counter[tuple[str, str]]:
    """Count the outcomes of so many files by damage."""
    rng, counts = np.random.default_rng(seed), Counter[tuple[str, str]]()
    kinds = PLAIN + SEALED
    with tempfile.TemporaryDirectory() as directory:
        judges = [Judge(model, data, Path(directory)) for model, data in models()]
        for number in range(files):
            damage = kinds[number % len(kinds)]
            outcome = judges[number // len(kinds) % len(judges)].outcome(damage, rng)
            counts[damage.__name__.replace("_", " "), outcome] += 1
    return counts


def main(files: int) -> bool:
    """Print how many files came to what; return whether all is well."""
    total, start = Counter[tuple[str, str]](), time.perf_counter()
    for seed, first in enumerate(range(0, files, FILES)):
        total += _in_child(seed, min(FILES, files - first))
        print(
            f"  {min(first + FILES, files):,} files, {time.perf_counter() - start:.0f} s",
            file=sys.stderr,
            flush=True,
        )
    names = [damage.__name__.replace("_", " ") for damage in PLAIN + SEALED]
    outcomes = [
        *GOOD,
        *(bad for bad in BAD if any(total[name, bad] for name in [*names, "a process"])),
    ]
    rows = [
        (name, *(f"{total[name, outcome]:,}" for outcome in outcomes))
        for name in [*names, "a process"]
    ]
    rows = [row for row in rows if any(cell != "0" for cell in row[1:])]
    sums = (f"{sum(total[name, outcome] for name in names):,}" for outcome in outcomes)
    print(markdown(("damage", *outcomes), [*rows, (f"{files:,} files", *sums)]))
    return not any(total[name, bad] for name in [*names, "a process"] for bad in BAD)


def _in_child(seed: int, files: int) -> Counter[tuple[str, str]]:
    """Run in a process of its own, which may crash or hang."""
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

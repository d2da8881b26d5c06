"""Damage to the bytes of any file, and the simplest hostile changes of ours.

Each function takes a whole file and a source of randomness and returns another file.
"""

import json
import zipfile

import numpy as np

from .fuzz_npz import Members, header_of, members_of, one_of, sealed, spots


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


def sealed_text(data: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite characters of the header with other characters from it."""
    members = members_of(data)
    text = bytearray(json.dumps(header_of(members)).encode())
    for _ in range(int(rng.integers(1, 4))):
        text[_place(text, rng)] = one_of(text, rng)
    return sealed(members, bytes(text))


# Values of all kinds: too large, too small, of another type, or with the archive's own markers.
VALUES = (
    *(None, True, 0, -1, 1, 2, 3, 10**6, 10**12, 2**70, 0.5, -1e300, float("nan")),
    *("", "lstm", "x" * 99, [], {}, [1] * 99),
    *({"!tuple": [10**9, 1]}, {"!tuple": []}, {"!array": "header"}),
    *({"!dict": [[[], 1]]}, {"!object": [[-1], []]}),
)


def sealed_value(data: bytes, rng: np.random.Generator) -> bytes:
    """Replace a value of the header, or remove one."""
    members = members_of(data)
    header = header_of(members)
    holder, key = one_of([*spots(header)], rng)
    if rng.random() < 0.1:
        del holder[key]
    else:
        holder[key] = one_of(VALUES, rng)
    return sealed(members, json.dumps(header).encode())


KINDS = (b"<f4", b"<f8", b"|O", b"<U9999999", b"|V8", b"<M8[ns]", b"<c16")
SHAPES = (  # among them sizes that no memory can hold
    b"(99999999999, 9)",
    b"(-1,)",
    b"()",
    b"(0, 99999999999999999999999)",
    b"(" + b"1, " * 70 + b")",
)


def sealed_shape(data: bytes, rng: np.random.Generator) -> bytes:
    """Give an array's header another shape or type."""
    members = members_of(data)
    name = one_of([*members], rng)
    shape = one_of(SHAPES, rng)
    kind = one_of(KINDS, rng)
    before, _, rest = members[name].partition(b"'shape': (")
    if rng.random() < 0.5:
        content = before + b"'shape': " + shape + rest.partition(b")")[2]
    else:
        content = members[name].replace(b"<f4", kind).replace(b"<f8", kind)
    return sealed(members | {name: content})


def sealed_members(data: bytes, rng: np.random.Generator) -> bytes:
    """Remove an array, give it the content of another one, or add a large one and compress all."""
    members: Members = members_of(data)
    way = int(rng.integers(3))
    one, other = (one_of([*members], rng) for _ in range(2))
    if way == 0:
        del members[one]
    elif way == 1:
        members[one] = members[other]
    else:
        members["bomb.npy"] = bytes(10**6)  # small in the file, large once it is read
    return sealed(members, compression=zipfile.ZIP_DEFLATED if way == 2 else zipfile.ZIP_STORED)

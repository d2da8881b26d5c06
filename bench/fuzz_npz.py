"""Hostile model files: what `lightrnn.load` reads, changed by its structure, the checksums right.

Each function takes a whole file and a source of randomness and returns another file, as the damages
of `fuzz.py` do. Sizes are drawn up to `MOST` bytes.
"""

import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

MOST = 10_000_000  # bytes of the largest files
Damage = Callable[[bytes, np.random.Generator], bytes]
Members = dict[str, bytes]
_HEADER = "header.npy"
PRIME = 2**61 - 1  # Python's integers that differ by multiples of it have one hash


def npy(descr: Any, shape: str, content: bytes = b"", order: bool = False) -> bytes:
    """Return a member that claims a dtype and a shape."""
    text = f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text + content


def members_of(data: bytes) -> Members:
    """Return the members of a file by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def header_of(members: Members) -> Any:
    """Return the header as a tree."""
    return json.loads(np.load(io.BytesIO(members[_HEADER])).tobytes())


def sealed(
    members: Members, header: bytes | None = None, compression: int = zipfile.ZIP_STORED
) -> bytes:
    """Return a file of these members, with the header replaced by a text if there is one."""
    if header is not None:
        members = members | {_HEADER: npy("|u1", f"({len(header)},)", header)}
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return target.getvalue()


def spots(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the container and the key of every value in a tree."""
    if isinstance(tree, dict | list):
        for key in tree if isinstance(tree, dict) else range(len(tree)):
            yield tree, key
            yield from spots(tree[key])


def size_of(rng: np.random.Generator) -> int:
    """Draw a number of bytes, most often a small one."""
    return int(MOST ** (rng.random() ** 4))


def one_of(options: Any, rng: np.random.Generator) -> Any:
    return options[int(rng.integers(len(options)))]


# -- arrays ----------------------------------------------------------------------------------------

KINDS = "<U0 |S0 <U1 <U9999999 |V0 |V8 |O |b1 <f2 >f4 <f8 <f16 <c8 <M8 <M8[25s] <m8[ns] <i8 >u2"
AXES = (0, 1, 2, 3, 64, 10**6, 10**9, 2**31, 2**62, 2**64, 10**18, 10**4299)


def claims(data: bytes, rng: np.random.Generator) -> bytes:
    """Let an array claim another dtype and shape, for the bytes that it has or for others."""
    members = members_of(data)
    name = one_of([*members], rng)
    axes = [one_of(AXES, rng) for _ in range(one_of((0, 1, 1, 2, 2, 3, 65, 999), rng))]
    kind: Any = one_of(KINDS.split(), rng)
    if rng.random() < 0.1:
        kind = [("a", kind)]
    shape = f"({', '.join(map(str, axes))},)" if axes else "()"
    content = one_of((b"", bytes(8), bytes(size_of(rng)), members[name][128:]), rng)
    return sealed(members | {name: npy(kind, shape, content, bool(rng.random() < 0.3))})


def shared_arrays(data: bytes, rng: np.random.Generator) -> bytes:
    """Let many places of the tree name one array, which may be large."""
    members = members_of(data)
    header = header_of(members)
    places = [spot for spot in spots(header) if "!array" in str(spot[1])]
    name = one_of([holder[key] for holder, key in places], rng)
    for holder, key in places:
        if rng.random() < 0.5:
            holder[key] = name
    network = header["content"]["state"]["_model"]["network"]
    layers = int(rng.integers(1, 2000))
    sizes = {"!tuple": [int(rng.integers(1, 2000))] * layers}
    header["content"]["state"]["_model"]["architecture"]["hidden_layer_sizes"] = sizes
    first = {key: value for key, value in network.items() if key.startswith("layer0.")}
    for layer in range(1, layers):
        network |= {key.replace("layer0", f"layer{layer}"): name for key, name in first.items()}
    if rng.random() < 0.5:
        width = sizes["!tuple"][0]
        grown = np.zeros((width, min(width, MOST // 8 // width)), np.float32)
        members[f"{name}.npy"] = npy("<f4", str(grown.shape), grown.tobytes())
    return sealed(members, json.dumps(header).encode())


def many_layers(data: bytes, rng: np.random.Generator) -> bytes:
    """Give the network very many small layers, each with arrays of its own."""
    members = members_of(data)
    header = header_of(members)
    model = header["content"]["state"]["_model"]
    layers = 1 + size_of(rng) // 1000
    model["architecture"]["hidden_layer_sizes"] = {"!tuple": [1] * layers}
    network = model["network"]
    for layer in range(layers):
        for name in ("W_ih", "W_hh", "b"):
            network[f"layer{layer}.{name}"] = {"!array": f"n/{layer}{name}"}
            members[f"n/{layer}{name}.npy"] = npy("<f4", "(1, 1)", bytes(4))
    return sealed(members, json.dumps(header).encode())


# -- the tree --------------------------------------------------------------------------------------


def _repeated(unit: str, size: int) -> str:
    return f"[{','.join([unit] * (1 + size // len(unit)))}]"


def _integers(size: int) -> Iterator[int]:
    return (number * PRIME for number in range(1, 2 + size // 25))


# Each makes a text of JSON of about so many bytes.
GROWN: tuple[Callable[[int], str], ...] = (
    lambda size: _repeated("[[]]", size),
    lambda size: _repeated("{}", size),
    lambda size: _repeated('{"a":[]}', size),
    lambda size: _repeated('{"!tuple":[]}', size),
    lambda size: _repeated('{"!object":[[0],[]]}', size),
    lambda size: _repeated('{"!array":"header"}', size),
    lambda size: _repeated("1e5", size),
    lambda size: _repeated('"\\u0100"', size),
    lambda size: _repeated("9" * 4300, size),
    lambda size: "[" * size,
    lambda size: "[" * (size // 2) + "]" * (size // 2),
    lambda size: '{"a":' * (size // 6) + "1" + "}" * (size // 6),
    lambda size: "9" * size,
    lambda size: f'"{"a" * size}"',
    lambda size: json.dumps({f"a{number}": number for number in range(size // 14)}),
    lambda size: json.dumps({"!dict": [[number, 1] for number in _integers(size)]}),
    lambda size: json.dumps({"!object": [[1 + size // 25], [*_integers(size)]]}),
    lambda size: json.dumps({"!dict": [[{"!tuple": [n, 0]}, 1] for n in _integers(size)]}),
    lambda size: json.dumps({"!object": [[10**9, 0], []]}),
    lambda size: json.dumps({"!object": [[-1, 1], [0] * (size // 3)]}),
)


def grown_trees(data: bytes, rng: np.random.Generator) -> bytes:
    """Put a large, a deep or a slow value in a place of the tree."""
    members = members_of(data)
    header = header_of(members)
    # Below the estimator's state, where most is read.
    holder, key = one_of([*spots(header["content"]["state"]), (header, "content")], rng)
    holder[key] = "@"
    text = one_of(GROWN, rng)(size_of(rng))
    return sealed(members, json.dumps(header).replace('"@"', text).encode())


def exchanged_values(data: bytes, rng: np.random.Generator) -> bytes:
    """Put values of the tree in the places of others."""
    members = members_of(data)
    header = header_of(members)
    for _ in range(int(rng.integers(1, 4))):
        places = [*spots(header["content"])]
        (holder, key), (other, name) = one_of(places, rng), one_of(places, rng)
        holder[key] = json.loads(json.dumps(other[name]))
    return sealed(members, json.dumps(header).encode())


# -- the zip ---------------------------------------------------------------------------------------


def many_members(data: bytes, rng: np.random.Generator) -> bytes:
    """Add very many members, empty or with the smallest of arrays."""
    content = one_of((b"", npy("<f4", "()", bytes(4))), rng)
    count = size_of(rng) // (120 + len(content))
    return sealed(members_of(data) | {f"{number}.npy": content for number in range(count)})


def directory_entries(data: bytes, rng: np.random.Generator) -> bytes:
    """Change a member's entry in the directory: its sizes, flags, method or place; or repeat it."""
    start = data.index(b"PK\x01\x02")
    end = data.rindex(b"PK\x05\x06")
    entries = bytearray(data[start:end])
    places = [p for p in range(len(entries)) if entries[p : p + 4] == b"PK\x01\x02"]
    first = int(one_of(places, rng))
    if rng.random() < 0.3:  # the same member again and again
        size = min([place for place in places if place > first], default=len(entries)) - first
        entries += entries[first : first + size] * (1 + size_of(rng) // size)
    else:  # version, flags (1 means encrypted), method, checksum, both sizes, place
        at, layout = one_of(
            ((6, "<H"), (8, "<H"), (10, "<H"), (16, "<I"), (20, "<I"), (24, "<I"), (42, "<I")), rng
        )
        value = one_of((0, 1, 8, 12, 14, 99, 2**16 - 1, 2**31, 2**32 - 1), rng)
        most = 2 ** (8 * struct.calcsize(layout)) - 1
        struct.pack_into(layout, entries, first + at, min(value, most))
    tail = bytearray(data[end:])
    count = min(entries.count(b"PK\x01\x02"), 2**16 - 1)
    struct.pack_into("<HHI", tail, 8, count, count, len(entries))
    return data[:start] + bytes(entries) + bytes(tail)


NPZ: tuple[Damage, ...] = (
    claims,
    shared_arrays,
    many_layers,
    grown_trees,
    exchanged_values,
    many_members,
    directory_entries,
)

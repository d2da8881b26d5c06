"""Hostile files of PyTorch and Keras, changed by their structure.

Each function takes a whole file and a source of randomness and returns another file, as the damages
of `fuzz.py` do: with other pickle instructions, headers in JSON, or groups and arrays of HDF5.
"""

import io
import json
import pickletools
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from .fuzz_npz import (
    GROWN,
    MOST,
    PRIME,
    Damage,
    directory_entries,
    many_members,
    members_of,
    one_of,
    sealed,
    size_of,
    spots,
)

try:
    import h5py
except ImportError:
    h5py = None

# Values of all kinds: too large, too small, of another type, or with a meaning of their own.
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 3, 10**6, 2**62, 2**70, 0.5, -1e300, float("nan")),
    *("", "F32", "BF16", "relu", "softmax", "LSTM", "Bidirectional", "TimeDistributed", "x" * 99),
    *([], {}, [1] * 99, [[1]], {"class_name": "LSTM", "config": {}}),
)


def _changed(tree: Any, rng: np.random.Generator) -> None:
    """Replace, exchange or remove some values of a tree."""
    for _ in range(int(rng.integers(1, 4))):
        places = [*spots(tree)]
        if not places:
            return
        holder, key = one_of(places, rng)
        other, name = one_of(places, rng)
        if rng.random() < 0.1:
            del holder[key]
        else:
            value = other[name] if rng.random() < 0.3 else one_of(VALUES, rng)
            holder[key] = json.loads(json.dumps(value))


def _grown(tree: Any, rng: np.random.Generator) -> str:
    """Return a tree as JSON with a large, a deep or a slow value in one of its places."""
    holder, key = one_of([*spots(tree)], rng)
    holder[key] = "@"
    return json.dumps(tree).replace('"@"', one_of(GROWN, rng)(size_of(rng)))


# -- pickles ---------------------------------------------------------------------------------------


def _with_pickle(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Change the pickle of an archive that torch.save wrote."""
    members = members_of(data)
    (name,) = [name for name in members if name.endswith("data.pkl")]
    return sealed(members | {name: change(members[name])})


def _instructions(pickled: bytes) -> list[bytes]:
    """Split a pickle into its instructions."""
    starts = [place for _, _, place in pickletools.genops(pickled) if place is not None]
    return [pickled[a:b] for a, b in zip(starts, [*starts[1:], len(pickled)], strict=True)]


# Instructions and beginnings of them that an unpickler may meet.
_OPCODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]
_PIECES = (
    *_OPCODES,
    *(b"N", b"(", b"]", b"}", b")", b"h\x00", b"q\x00", b"K\x05", b"J\xff\xff\xff\xff"),
    *(b"\x8a\x09" + b"\xff" * 8 + b"\x7f", b"cos\nsystem\n", b"ccollections\nOrderedDict\n"),
    *(b"ctorch._utils\n_rebuild_tensor_v2\n", b"X\x01\x00\x00\x00a", b"B\x02\x00\x00\x00aa"),
)


def pickle_instructions(data: bytes, rng: np.random.Generator) -> bytes:
    """Remove, repeat, exchange or insert instructions of the pickle."""

    def change(pickled: bytes) -> bytes:
        steps = _instructions(pickled)
        for _ in range(int(rng.integers(1, 5))):
            place = int(rng.integers(1, len(steps)))
            other = int(rng.integers(1, len(steps)))
            way = int(rng.integers(4))
            if way == 0:
                del steps[place : place + int(rng.integers(1, 4))]
            elif way == 1:
                count = min(int(size_of(rng)), 10**5)
                steps[place:place] = steps[other : other + 3] * count
            elif way == 2:
                steps[place], steps[other] = steps[other], steps[place]
            else:
                steps.insert(place, one_of(_PIECES, rng))
            if len(steps) < 3:
                break
        return b"".join(steps)

    return _with_pickle(data, change)


def _text(text: bytes) -> bytes:
    return b"X" + len(text).to_bytes(4, "little") + text


_STORAGE = b"(" + _text(b"storage") + b"ctorch\nFloatStorage\n" + _text(b"0") + _text(b"cpu")
_STORAGE += b"M\xf0\x00tQ"  # of 240 numbers
_REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\nq\x00"


def _names(unit: bytes, size: int) -> bytes:
    """Return items of a dict with a name each."""
    count = size // (12 + len(unit))
    return b"".join(_text(b"a%d" % number) + unit for number in range(count))


# Each makes a pickle of about so many bytes.
GROWN_PICKLES: tuple[Callable[[int], bytes], ...] = (
    lambda size: b"N" * size + b".",
    lambda size: b"]" + b"(Ne" * (size // 3) + b".",
    lambda size: b"(" * size + b".",
    lambda size: b")" + b"\x85" * size + b".",
    lambda size: b"N" + b"q\x00h\x00\x86" * (size // 5) + b".",
    lambda size: b"}" + b"N" * size + b"u.",
    lambda size: b"}(" + _names(b"N", size) + b"u.",
    lambda size: b"}q\x00(" + _names(b"h\x00", size) + b"u.",
    lambda size: b"}(" + b"\x8a\x01\x05N" * (size // 4) + b"u.",
    lambda size: (
        b"}("
        + b"".join(
            b"\x8a\x0c" + (n * PRIME).to_bytes(12, "little") + b"N" for n in range(size // 15)
        )
        + b"u."
    ),
    lambda size: b"\x8b" + size.to_bytes(4, "little") + b"\x7f" * size + b".",
    lambda size: _text(b"a" * (size // 2)) + b"q\x00" + b"h\x00h\x00\x93" * (size // 10) + b".",
    lambda size: _REBUILD + b"(" + b"N" * (size // 2) + b"tq\x01" + b"h\x00h\x01R" * (size // 10),
    lambda size: (
        _REBUILD
        + b"("
        + _STORAGE
        + b"K\x00M\xf0\x00\x85K\x01\x85"
        + b"N" * (size // 2)
        + b"tq\x01"
        + b"h\x00h\x01R" * (size // 10)
        + b"."
    ),
    lambda size: (
        _REBUILD
        + b"("
        + _STORAGE
        + b"K\x00M\xf0\x00\x85K\x01\x85tq\x01h\x00h\x01Rq\x02}("
        + _names(b"h\x02", size)
        + b"u."
    ),
    lambda size: b"}(" + b"".join(_text(b"w%d" % n) + _STORAGE for n in range(size // 70)) + b"u.",
    lambda size: b"cargparse\nNamespace\n)\x81" + b"}b" * (size // 2) + b".",
    lambda size: _text(b"a" * size) + b".",
    lambda size: b"c" + b"a" * size + b"\nb\n.",
    lambda size: b"r" + (2**32 - 1).to_bytes(4, "little") + b"N" * size + b".",
)


def pickle_grown(data: bytes, rng: np.random.Generator) -> bytes:
    """Replace the pickle by a large or slow one."""
    return _with_pickle(data, lambda _: b"\x80\x02" + one_of(GROWN_PICKLES, rng)(size_of(rng)))


def torch_storages(data: bytes, rng: np.random.Generator) -> bytes:
    """Give storages other contents, or let tensors name other storages, sizes and strides."""
    members = members_of(data)
    names = [name for name in members if "/data/" in name]
    way = int(rng.integers(3))
    if way == 0:
        members[one_of(names, rng)] = bytes(size_of(rng))
    elif way == 1:
        kinds = (b"Float", b"Double", b"Half", b"BFloat16", b"Long", b"Char", b"QInt8")
        old, new = one_of(kinds, rng), one_of(kinds, rng)
        return _with_pickle(data, lambda pickled: pickled.replace(old + b"S", new + b"S"))
    else:
        members[one_of(names, rng)] = members[one_of(names, rng)]
        numbers = np.full(60, one_of((np.nan, np.inf, 3e38, 1e-45), rng), np.float32)
        members[one_of(names, rng)] = numbers.tobytes()
    return sealed(members)


# -- safetensors -----------------------------------------------------------------------------------


def _safetensors(header: str, body: bytes) -> bytes:
    text = header.encode()
    return len(text).to_bytes(8, "little") + text + body


def _parts(data: bytes) -> tuple[Any, bytes]:
    """Return the header of a safetensors file as a tree, and what follows it."""
    size = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:size]), data[size:]


def safetensors_header(data: bytes, rng: np.random.Generator) -> bytes:
    """Change values of the header."""
    header, body = _parts(data)
    _changed(header, rng)
    return _safetensors(json.dumps(header), body)


def safetensors_grown(data: bytes, rng: np.random.Generator) -> bytes:
    """Put a large value into the header, or very many arrays behind it."""
    header, body = _parts(data)
    if rng.random() < 0.5:
        return _safetensors(_grown(header, rng), body)
    pattern = one_of(
        ("rnn{}.weight_hh_l0", "a.rnn{}.weight_ih_l0", "fc{}.bias", "e{}.weight", "x{}"), rng
    )
    shape = one_of(([1, 1], [1], [], [1, 1, 1]), rng)
    arrays = {}
    for number in range(size_of(rng) // 80):
        offsets = [4 * number, 4 * number + 4]
        arrays[pattern.format(number)] = {"dtype": "F32", "shape": shape, "data_offsets": offsets}
    return _safetensors(json.dumps(arrays), bytes(4 * len(arrays)))


# -- Keras -----------------------------------------------------------------------------------------


def _with_config(data: bytes, change: Callable[[Any], str]) -> bytes:
    """Change the configuration in a .keras file."""
    members = members_of(data)
    config = json.loads(members["config.json"])
    return sealed(members | {"config.json": change(config).encode()})


def keras_config(data: bytes, rng: np.random.Generator) -> bytes:
    """Change values of the configuration."""

    def change(config: Any) -> str:
        _changed(config["config"] if rng.random() < 0.9 else config, rng)
        return json.dumps(config)

    return _with_config(data, change)


def keras_grown(data: bytes, rng: np.random.Generator) -> bytes:
    """Put a large value into the configuration, or very many layers."""

    def change(config: Any) -> str:
        if rng.random() < 0.5:
            return _grown(config, rng)
        layers = config["config"]["layers"]
        place = int(rng.integers(len(layers)))
        layers[place:place] = [layers[place]] * (1 + size_of(rng) // 1000)
        return json.dumps(config)

    return _with_config(data, change)


# -- HDF5 ------------------------------------------------------------------------------------------


def _with_hdf5(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Change an HDF5 file, which may stand in a .keras file."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return change(data)
    members = members_of(data)
    return sealed(members | {"model.weights.h5": change(members["model.weights.h5"])})


def hdf5_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite bytes of an HDF5 file, most often of its metadata."""

    def change(content: bytes) -> bytes:
        changed = bytearray(content)
        for _ in range(int(rng.integers(1, 9))):
            changed[int(rng.integers(len(changed)))] = int(rng.integers(256))
        if rng.random() < 0.2:  # an address or a size
            place = int(rng.integers(len(changed) - 8))
            value = one_of((0, 1, 2**32 - 1, 2**63, 2**64 - 1, len(changed)), rng)
            changed[place : place + 8] = value.to_bytes(8, "little")
        return bytes(changed)

    return _with_hdf5(data, change)


def hdf5_objects(data: bytes, rng: np.random.Generator) -> bytes:
    """Change arrays, groups and links of an HDF5 file."""

    def change(content: bytes) -> bytes:
        target = io.BytesIO(content)
        with h5py.File(target, "r+") as file:
            names: list[str] = []
            file.visit(names.append)
            arrays = [name for name in names if isinstance(file[name], h5py.Dataset)]
            for _ in range(int(rng.integers(1, 4))):
                with np.errstate(all="ignore"):  # numbers that another type cannot hold
                    one_of(_CHANGES, rng)(file, one_of(names, rng), one_of(arrays, rng), rng)
        return target.getvalue()

    return _with_hdf5(data, change)


def _other_array(file: Any, name: str, array: str, rng: np.random.Generator) -> None:
    """Replace an array by one of another shape, type or way of storage."""
    held = file.get(array)
    if held is None or held.dtype.kind != "f" or not held.shape or held.size > MOST:
        return  # it was changed before
    old = file[array][()]
    del file[array]
    length = min(size_of(rng), MOST // 8)
    options: list[dict[str, Any]] = [
        {"data": old.astype(one_of(("f2", "f8", "i4", ">f4", "S3"), rng))},
        {"data": old * one_of((np.nan, np.inf, 1e38), rng)},
        {"data": old.T},
        {"data": np.zeros(length, "f4")},
        {"data": np.zeros((length // 9 + 1, 9), "f4")},
        {"data": old, "compression": "gzip"},
        {"shape": (2**40, 2**10), "dtype": "f4", "chunks": (1, 1)},
        {"shape": (2**21,), "dtype": "f4"},
        {"shape": (length,), "dtype": "f4", "compression": "gzip", "fillvalue": 1.0},
        {"shape": old.shape, "dtype": "f4", "external": [("/dev/zero", 0, 10**9)]},
        {"data": "text"},
        {"data": np.zeros(2, [("a", "f4"), ("b", "f8")])},
        {"data": h5py.Empty("f4")},
    ]
    file.create_dataset(array, **one_of(options, rng))


def _links(file: Any, name: str, array: str, rng: np.random.Generator) -> None:
    """Add links: to a group from within, to an array by many names, to other files."""
    if name not in file:
        return
    targets = (file[name], file[array] if array in file else file, h5py.SoftLink("/layers"))
    target = one_of((*targets, h5py.ExternalLink("/etc/passwd", "/")), rng)
    holder = file[name] if isinstance(file[name], h5py.Group) else file
    for _ in range(int(rng.integers(1, 40))):
        holder[f"{rng.integers(2**62)}"] = target


def _groups(file: Any, name: str, array: str, rng: np.random.Generator) -> None:
    """Add very many groups, or very deep ones."""
    count = size_of(rng) // 1000
    deep = rng.random() < 0.5
    holder = file
    for number in range(count):
        group = holder.create_group(f"{number}-{rng.integers(2**62)}")
        holder = group if deep else holder


def _removed(file: Any, name: str, array: str, rng: np.random.Generator) -> None:
    """Remove a group or an array."""
    if name in file:
        del file[name]


def _renamed(file: Any, name: str, array: str, rng: np.random.Generator) -> None:
    """Move a group or an array."""
    if name in file:
        file.move(name, f"moved/{rng.integers(2**62)}")


_CHANGES = (_other_array, _other_array, _links, _groups, _removed, _renamed)

TORCH: tuple[Damage, ...] = (
    pickle_instructions,
    pickle_grown,
    torch_storages,
    many_members,
    directory_entries,
)
SAFETENSORS: tuple[Damage, ...] = (safetensors_header, safetensors_grown)
HDF5: tuple[Damage, ...] = (hdf5_bytes, hdf5_objects)
KERAS: tuple[Damage, ...] = (keras_config, keras_grown, *HDF5, many_members, directory_entries)

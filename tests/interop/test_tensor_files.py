"""Files of torch and safetensors are read bit for bit; damaged and hostile ones are refused."""

import argparse
import datetime
import functools
import io
import json
import os
import pickle
import re
import tracemalloc
import zipfile
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
from helpers.counting import calls
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNRegressor, from_keras, from_torch
from lightrnn.interop.tensor_files import read_tensors
from lightrnn.interop.torch_pickle import Opaque

# The tests of `check` are about this warning.
pytestmark = pytest.mark.filterwarnings("ignore:The weights of a network:UserWarning")

GOLDEN = Path(__file__).parent.parent / "golden"
FILES = {name: (GOLDEN / name).read_bytes() for name in ("lstm.pt", "gru.safetensors", "rnn.pt")}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("tensors") / "file"


def flat(value):
    """Return a tree of dicts in a form that can be compared."""
    if isinstance(value, dict):
        return {key: flat(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    return repr(value)


# -- safetensors -----------------------------------------------------------------------------------


def safetensors(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def test_every_dtype(path):
    body = b""
    header = {"__metadata__": {"format": "pt"}}
    arrays = {}
    kinds = {
        "F64": "f8",
        "F32": "f4",
        "F16": "f2",
        "I64": "i8",
        "I32": "i4",
        "I16": "i2",
        "I8": "i1",
        "U8": "u1",
    }
    for name, kind in (kinds | {"BOOL": "?"}).items():
        array = arrays[name] = (np.arange(6) - 2).astype(kind).reshape(2, 3)
        header[name] = entry(name, (2, 3), (len(body), len(body) + array.nbytes))
        body += array.tobytes()
    numbers = np.array([1.5, -2.0, 3e38, np.inf], np.float32)
    header["BF16"] = entry("BF16", (4,), (len(body), len(body) + 8))
    body += (numbers.view(np.uint32) >> 16).astype("<u2").tobytes()
    header["none"] = entry("F32", (0, 3), (len(body), len(body)))
    path.write_bytes(safetensors(header, body))
    found = read_tensors(path)
    assert found.keys() == header.keys() - {"__metadata__"}
    assert all(flat(found[name]) == flat(array) for name, array in arrays.items())
    assert found["BF16"].dtype == np.float32 and np.allclose(found["BF16"], numbers, rtol=1e-2)
    assert found["none"].shape == (0, 3)


def test_a_header_of_640_bytes_is_not_taken_for_a_pickle(path):
    header = json.dumps({"a": entry()}).encode().ljust(640)
    path.write_bytes(safetensors(header, b"12345678"))
    assert path.read_bytes().startswith(pickle.dumps(None, 2)[:2])
    assert read_tensors(path)["a"].tobytes() == b"12345678"


HEADERS = {
    "huge header": (2**60).to_bytes(8, "little") + b"{}",
    "short": b"{}",
    "empty": b"",
    "no json": safetensors(b"{]"),
    "a list": safetensors([1]),
    "deep": safetensors(b"[" * 100_000),
    "a name twice": safetensors(
        b'{"a": %s, "a": %s}' % ((json.dumps(entry()).encode(),) * 2), b"12345678"
    ),
    "huge shape": safetensors({"a": entry(shape=(2**60,), offsets=(0, 2**62))}),
    "product": safetensors({"a": entry(shape=(2**40, 2**40))}, b"12345678"),
    "many axes": safetensors({"a": entry(shape=(1,) * 9_999)}, b"12345678"),
    "no bytes": safetensors({"a": entry()}),
    "too many bytes": safetensors({"a": entry()}, b"123456789"),
    "a hole": safetensors({"a": entry(offsets=(4, 12))}, b"123456789012"),
    "an overlap": safetensors({"a": entry(), "b": entry(offsets=(4, 12))}, b"123456789012"),
    "negative": safetensors({"a": entry(shape=(-2,), offsets=(8, 0))}, b"12345678"),
    "backward": safetensors({"a": entry(shape=(2,), offsets=(8, 0))}, b"12345678"),
    "a float": safetensors({"a": entry(shape=(2.0,))}, b"12345678"),
    "true": safetensors({"a": entry(dtype="U8", shape=(True,), offsets=(0, 1))}, b"1"),
    "text": safetensors({"a": entry(shape="ab")}, b"12345678"),
    "no entry": safetensors({"a": 3}),
    "no fields": safetensors({"a": {}}),
    "an unknown dtype": safetensors({"a": entry(dtype="F8_E4M3")}, b"12345678"),
    "a strange dtype": safetensors({"a": entry(dtype=["F32"])}, b"12345678"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_hostile_safetensors_are_refused(case, path):
    path.write_bytes(HEADERS[case])
    assert_refused(path)


def assert_refused(path, match="source must"):
    """A clear error, with no memory taken."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=match) as caught:
            from_torch(path, RNNClassifier())
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
    assert re.search(r"[.:] \w.*\S", str(caught.value)), str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_header_is_judged_before_the_numbers_are_read(path):
    with open(path, "wb") as file:
        file.write(safetensors({"a": entry(shape=(2**26 - 2,), offsets=(8, 2**28))}))
        file.truncate(2**28)
    assert_refused(path, "begins at 8, not at 0")
    with open(path, "wb") as file:
        file.write((2**27).to_bytes(8, "little"))
        file.truncate(2**28)
    assert_refused(path, "a header of 134,217,728 bytes, more than")


@pytest.mark.parametrize("read", [from_torch, from_keras])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_only_regular_files_are_read(kind, read, tmp_path):
    if read is from_keras:
        pytest.importorskip("h5py", reason="reads Keras's files")
    path = Path("/dev/zero")
    if kind == "pipe":
        path = tmp_path / "pipe"
        os.mkfifo(path)
    with pytest.raises(ValueError, match="must be a regular file"):
        read(path, RNNClassifier())


@pytest.mark.parametrize("name", ["lstm.pt", "gru.safetensors"])
def test_too_little_memory_is_an_error_about_the_file(name, monkeypatch):
    def full(*args):
        raise MemoryError

    for place in ("tensor_files._decode", "building.build_network"):
        with monkeypatch.context() as patch:
            patch.setattr(f"lightrnn.interop.{place}", full)
            with pytest.raises(ValueError, match="source must"):
                from_torch(GOLDEN / name, RNNRegressor())


# -- torch.save ------------------------------------------------------------------------------------


class Named:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments, state=None):
        self.call = function, arguments, state

    def __reduce__(self):
        return self.call if self.call[2] is not None else self.call[:2]


class Torch(pickle._Pickler):
    """Pickles torch's functions by their names in torch, and storages by persistent ids."""

    def save_global(self, obj, name=None):
        self.write(
            pickle.GLOBAL + NAMES.get(obj, f"{obj.__module__}\n{obj.__qualname__}").encode() + b"\n"
        )

    dispatch = pickle._Pickler.dispatch | {
        type(len): save_global,
        type(lambda: 0): save_global,
        type: save_global,
    }

    def persistent_id(self, obj):
        return obj[1:] if isinstance(obj, tuple) and obj[:1] == ("!",) else None


def rebuild():
    """Stands for torch's function."""


def half():
    """Stands for a storage class."""


NAMES = {
    rebuild: "torch._utils\n_rebuild_tensor_v2",
    half: "torch\nFloatStorage",
    len: "torch\nStrangeStorage",
}


def archive(
    path, content, storages=(b"12345678",), compression=zipfile.ZIP_STORED, name="data.pkl"
):
    pickled = content
    if not isinstance(content, bytes):
        buffer = io.BytesIO()
        Torch(buffer, 2).dump(content)
        pickled = buffer.getvalue()
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr(f"x/{name}", pickled)
        for key, storage in enumerate(storages):
            file.writestr(f"x/data/{key}", storage)


def tensor(count=2, offset=0, size=(2,), stride=(1,), key="0", kind=half):
    return Named(
        rebuild,
        ("!", "storage", kind, key, "cpu", count),
        offset,
        size,
        stride,
        False,
        OrderedDict(),
    )


def test_what_torch_writes_is_what_the_tests_write(path):
    archive(
        path,
        {
            "a": tensor(),
            "b": tensor(size=(1, 2), stride=(7, 1)),
            "c": {"d": tensor(size=(0,))},
            "e": [1, 2.5],
        },
    )
    found = read_tensors(path)
    assert found["a"].tobytes() == b"12345678" and found["b"].shape == (1, 2)
    assert found["c"]["d"].shape == (0,) and found["e"] == [1, 2.5]


def test_golden_files_are_read_bit_for_bit():
    torch = pytest.importorskip("torch", reason="torch is an optional peer")
    for name in ("lstm.pt", "language.pt"):
        theirs = torch.load(GOLDEN / name, weights_only=True)
        assert flat(read_tensors(GOLDEN / name)) == flat(
            {key: value.numpy() for key, value in theirs.items()}
        )


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_whatever_torch_saves(protocol, path):
    torch = pytest.importorskip("torch", reason="torch is an optional peer")
    whole = torch.arange(24.0).reshape(2, 3, 4)
    dtypes = ("float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
    saved = {
        "views": {
            "a": whole.transpose(0, 2),
            "b": whole[1, 1:],
            "c": whole[:, ::2],
            "d": torch.zeros(0, 3),
        },
        "dtypes": {name: torch.arange(5).to(getattr(torch, name)) for name in dtypes},
        "parameter": torch.nn.Parameter(torch.ones(3)),
        "scalar": torch.tensor(3.0),
        "rest": {
            "lr": 1e-3,
            "names": ("a", None),
            "n": [1, 2**70, -3],
            "flag": True,
            "size": whole.shape,
            "set": {1},
        },
    }
    torch.save(saved, path, pickle_protocol=protocol)
    found = read_tensors(path)
    for name, value in (saved["views"] | saved["dtypes"]).items():
        array = found["views" if name in saved["views"] else "dtypes"][name]
        value = value.float() if name == "bfloat16" else value
        assert flat(array) == flat(value.numpy()), name
    assert found["parameter"].tolist() == [1, 1, 1] and found["scalar"] == 3
    assert found["rest"] | {"set": {1}} == saved["rest"]


def test_objects_beside_the_weights_are_passed_over(path):
    torch = pytest.importorskip("torch", reason="torch is an optional peer")
    net = torch.nn.ModuleDict({"rnn": torch.nn.LSTM(3, 4), "fc": torch.nn.Linear(4, 2)})
    expected = from_torch(net, RNNClassifier()).weights_
    history = defaultdict(list, loss=[0.5, 0.25])
    beside = {
        "loss": np.float64(0.5),
        "args": argparse.Namespace(lr=1e-3, device=torch.device("cpu")),
        "path": Path("data") / "train.csv",
        "history": history,
        "counts": Counter("abca"),
        "mean": np.arange(3.0),
        "when": datetime.datetime(2026, 1, 1),
        "dtype": torch.float32,
        "frozen": frozenset({1}),
        "part": functools.partial(max, 1),
        ("a", 1): {np.int64(3): {2.5: None}},
        "weight": torch.nn.Parameter(torch.ones(2)),
        "large": 10**700,
    }
    for protocol in range(2, 6):
        for state_dict in (net.state_dict(), defaultdict(list, net.state_dict())):
            saved = beside | {"state_dict": state_dict}
            torch.save(saved, path, pickle_protocol=protocol)
            found = from_torch(path, RNNClassifier()).weights_
            assert all(np.array_equal(found[name], expected[name]) for name in expected)
        torch.save(net.state_dict() | {"epoch": 3, "args": beside["args"]}, path)
        found = from_torch(path, RNNClassifier()).weights_
        assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_nothing_is_executed_beside_the_weights(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive(path, {"a": tensor(), "b": Named(os.system, "touch owned")})
    assert list(read_tensors(path)) == ["a", "b"]
    assert not os.listdir(tmp_path)


HOSTILE = {
    "os.system": {"a": Named(os.system, "touch owned")},
    "eval": {"a": Named(eval, "open('owned', 'w')")},
    "a class": {"a": zipfile.ZipFile},
    "a state": {"a": Named(OrderedDict, [("a", 1)])},
    "attributes": {"a": tensor(), "b": Named(rebuild, state={"x": 1})},
    "larger than the storage": {"a": tensor(size=(3,))},
    "an offset behind the end": {"a": tensor(offset=2)},
    "a negative offset": {"a": tensor(offset=-1)},
    "strides behind the end": {"a": tensor(stride=(2,))},
    "a tensor without end": {"a": tensor(size=(2**60,), stride=(0,))},
    "a tensor larger than its storage": {"a": tensor(size=(2, 2), stride=(0, 1))},
    "a storage that claims more": {"a": tensor(count=2**60, size=(2**60,))},
    "a storage that claims less": {"a": tensor(count=1, size=(1,))},
    "an absent storage": {"a": tensor(key="1")},
    "a storage outside": {"a": tensor(key="../../etc/passwd")},
    "an unknown storage": {"a": tensor(kind=len)},
    "sizes of text": {"a": tensor(size="ab")},
    "too many axes": {"a": tensor(size=(1,) * 40, stride=(1,) * 40)},
    "sizes without strides": {"a": tensor(stride=())},
    "no tensor": {"a": 3},
    "a list": [tensor()],
    "nothing": None,
    "rubbish": b"rubbish",
    "no end": b"\x80\x02}",
    "an empty stack": b"\x80\x02.",
    "a stack too short": b"\x80\x02R.",
    "a mark alone": b"\x80\x02(.",
    "a long claim": b"\x80\x04\x8e" + (2**62).to_bytes(8, "little") + b"x.",
    "a far memo": b"\x80\x02}r\xff\xff\xff\xff.",
    "no memo": b"\x80\x02j\xff\xff\xff\xff.",
    "a key that cannot be one": b"\x80\x02}]Ns.",
    "a loop": b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.",
    "a key without end": b"\x80\x02}N" + b"q\x00h\x00\x86" * 99 + b"Ns.",
    "attributes without end": b"\x80\x02N" + b"q\x00h\x00\x86" * 99 + b"}b.",
    "a new object": b"\x80\x02cos\nsystem\n)\x81.",
    "an instance": b"(X\x02\x00\x00\x00lsios\nsystem\n.",
    "many values": b"\x80\x02]" + b"(Ne" * 200_000 + b".",
    "long arguments again and again": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00"
    + b"((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02tQ"
    + b"K\x00K\x02\x85K\x01\x85"
    + b"N" * 100_000
    + b"tq\x01"
    + b"h\x00h\x01R" * 20_000
    + b".",
    "a long name again and again": b"\x80\x04X\x40\x42\x0f\x00"
    + b"a" * 1_000_000
    + b"q\x00"
    + b"h\x00h\x00\x930" * 20_000
    + b".",
    "a number as long as the file": b"\x80\x02\x8b\x40\x42\x0f\x00" + b"a" * 1_000_000 + b".",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_pickles_are_refused(case, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive(path, HOSTILE[case])
    assert_refused(path)
    assert not os.listdir(tmp_path)


def test_refusals_name_what_they_found(path):
    archive(path, HOSTILE["os.system"])
    with pytest.raises(
        ValueError,
        match=r"with the class or function 'posix.system'. Save the weights by themselves",
    ):
        from_torch(path, RNNClassifier())
    with pytest.raises(ValueError, match=r"with the class or function '__main__\.Net'"):
        from_torch(GOLDEN / "module.pt", RNNClassifier())
    path.write_bytes(pickle.dumps({"a": 1}, 2))
    with pytest.raises(ValueError, match=r"a pickle alone, as torch wrote before 1\.6"):
        from_torch(path, RNNClassifier())


def test_hostile_archives_are_refused(path):
    archive(path, {"a": tensor(count=2**20)}, [b"\0" * 2**22], zipfile.ZIP_DEFLATED)
    assert_refused(path, "compressed members")
    archive(path, {"a": tensor()}, name="other.pkl")
    assert_refused(path, "no data.pkl")
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/data.pkl", b"")
        file.writestr("b/data.pkl", b"")
    assert_refused(path, "no data.pkl, or several")
    shared = {"a": tensor()}
    archive(path, {"a": {i: shared for i in range(300)}} | {i: shared for i in range(300)})
    assert_refused(path)


def test_members_may_not_share_bytes(path):
    """Many names for one storage would take many times the file's size."""
    archive(path, {"a": tensor()}, [b"\0" * 100_000] * 2)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as file:
        first, second = (file.getinfo(f"x/data/{i}") for i in range(2))
    place = content.rindex(second.header_offset.to_bytes(4, "little"))
    content[place : place + 4] = first.header_offset.to_bytes(4, "little")
    path.write_bytes(content[: first.header_offset] + content[second.header_offset :])
    assert_refused(path)


def test_numbers_of_one_hash_are_no_keys(path):
    """A dict with many of them takes a time that grows with their square."""
    numbers = [i * (2**61 - 1) for i in range(300)]
    archive(path, {"a": {number: None for number in numbers}, "b": {0: 1, "c": 2}})
    found = read_tensors(path)
    assert len(found["a"]) == 300 and sum(isinstance(key, Opaque) for key in found["a"]) == 299
    assert found["b"] == {0: 1, "c": 2}


def test_tensors_that_share_a_storage_do_not_multiply_the_file(path):
    storage = b"\0" * 2**20
    one = {"count": 2**18, "size": (2**18,)}
    archive(path, {str(i): tensor(**one) for i in range(100)}, [storage])
    assert_refused(path, "share their numbers")
    # As all weights of an nn.LSTM do on a GPU, a hundred may be parts of one storage.
    parts = {str(i): tensor(2**18, i * 2**11, (2**11,)) for i in range(100)}
    archive(path, parts, [np.arange(2**18, dtype="f4").tobytes()])
    tracemalloc.start()
    found = read_tensors(path)
    assert tracemalloc.get_traced_memory()[1] < 4e6
    tracemalloc.stop()
    assert found["99"][0] == 99 * 2**11


def test_a_dict_under_many_keys_is_read_once(path):
    work = {}
    for count in (100, 400):
        shared = {str(i): tensor() for i in range(count)}
        archive(path, {str(i): shared for i in range(count)})
        work[count] = calls(from_torch, path, RNNClassifier())
    assert work[400] < 6 * work[100]


# -- damage ----------------------------------------------------------------------------------------


@settings(max_examples=600)
@given(
    name=st.sampled_from(sorted(FILES)),
    seed=st.integers(0, 2**32),
    flips=st.integers(1, 4),
    cut=st.booleans(),
)
def test_damaged_files_are_refused_or_read_as_they_were(path, name, seed, flips, cut):
    content = bytearray(FILES[name])
    rng = np.random.default_rng(seed)
    if cut:
        del content[rng.integers(len(content)) :]
    else:
        for place in rng.integers(len(content), size=flips):
            content[place] ^= 1 << rng.integers(8)
    path.write_bytes(content)
    try:
        found = read_tensors(path)
    except ValueError as error:
        assert str(error).startswith("source must")
        return
    assert not cut
    # Each member of a .pt has a checksum; a flip elsewhere, in a date for example, changes nothing.
    if name.endswith(".pt"):
        assert flat(found) == flat(read_tensors(GOLDEN / name))


@settings(max_examples=300)
@given(
    st.binary(max_size=60)
    | st.lists(st.sampled_from(list(b"\x80\x02}])(.tuQRbsea\x81\x85\x86\x87NJK")), max_size=40)
)
def test_no_pickle_does_more_than_raise_a_value_error(path, pickled):
    archive(path, bytes(pickled))
    try:
        read_tensors(path)
    except ValueError as error:
        assert str(error).startswith("source must")

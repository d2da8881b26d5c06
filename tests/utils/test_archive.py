"""Archives return any tree of plain values bit for bit, and refuse anything else."""

import json
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bench import fuzz_npz
from lightrnn.utils import archive

ARRAYS = hnp.arrays(
    st.one_of(
        hnp.floating_dtypes(),
        hnp.integer_dtypes(),
        hnp.boolean_dtypes(),
        hnp.unicode_string_dtypes(),
    ),
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3),
)
PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(max_size=9)
)
SCALARS = st.one_of(PLAIN, ARRAYS, st.integers(-9, 9).map(np.int32), st.floats().map(np.float64))
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(
            st.one_of(st.text(), st.integers(), st.none(), st.binary(max_size=3)), inner, max_size=3
        ),
    ),
    max_leaves=8,
)


def same(a, b):
    """Tell whether two trees are equal in type and bit for bit; NaN equals itself."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return a == b or (a != a and b != b)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("archive") / "tree.npz"


def refuse(path, match="written by save"):
    """Assert that a file is refused."""
    with pytest.raises(ValueError, match=match):
        archive.read(path)


def seal(path, content, **members):
    """Write a file with this tree as its header, the checksums right."""
    header = {"format": "lightrnn", "version": 1, "content": content}
    members = {f"{name}.npy": member for name, member in members.items()}
    path.write_bytes(fuzz_npz.sealed(members, json.dumps(header).encode()))


@given(tree=st.dictionaries(st.text(), TREES, max_size=4))
def test_round_trip(path, tree):
    archive.write(path, tree)
    assert same(archive.read(path), tree)


def test_object_arrays_keep_their_items(path):
    labels = np.array(["a", 3, None, 2.5], dtype=object)
    nested = np.empty(2, dtype=object)
    nested[:] = [(1, 2), (3, 4)]
    archive.write(path, {"labels": labels, "nested": nested})
    back = archive.read(path)
    assert back["labels"].dtype == object and back["labels"].tolist() == labels.tolist()
    assert back["nested"].shape == (2,) and back["nested"][1] == (3, 4)


@pytest.mark.parametrize("kind", ["PCG64", "MT19937", "Philox", "SFC64", "PCG64DXSM"])
def test_generators_go_on_where_they_were(path, kind):
    generator = np.random.Generator(getattr(np.random, kind)(3))
    generator.random(5)
    old = np.random.RandomState(getattr(np.random, kind)(4))
    archive.write(path, {"rng": generator, "old": old})
    back = archive.read(path)
    assert np.array_equal(back["rng"].random(7), generator.random(7))
    assert np.array_equal(back["old"].random_sample(7), old.random_sample(7))


def test_numpy_alone_reads_the_arrays(path):
    archive.write(
        path, {"weights": {"layer0.W": np.eye(2), "../b": np.ones(1)}, "sizes": [np.ones(3)]}
    )
    with np.load(path, allow_pickle=False) as file:
        assert set(file.files) == {"header", "weights/layer0.W", "weights/_/b", "sizes/0"}
        assert json.loads(file["header"].tobytes())["format"] == "lightrnn"


def test_paths_that_coincide_do_not_collide(path):
    tree = {
        "a": {"b": np.zeros(1)},
        "a/b": np.ones(1),
        "header": np.ones(2),
        "a\x00b": np.ones(3),
        "a?b": np.ones(4),
    }
    archive.write(path, tree)
    assert same(archive.read(path), tree)


def test_equal_trees_make_equal_files(path, tmp_path):
    tree = {"W": np.arange(5.0), "name": "x"}
    archive.write(path, tree)
    archive.write(tmp_path / "again.npz", tree)
    assert path.read_bytes() == (tmp_path / "again.npz").read_bytes()


def test_a_value_that_cannot_be_saved_is_named_and_the_file_stays(path):
    archive.write(path, {"good": 1})
    before = path.read_bytes()
    with pytest.raises(TypeError, match=r"outer/1/f must be a number, a string"):
        archive.write(path, {"outer": [0, {"f": print}]})
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_what_will_be_read_is_checked_before_anything_is_written(tmp_path):
    tree = {"sizes": (3, np.int64(4)), "W": np.eye(2), "rng": np.random.default_rng(0), 3: b"x"}
    seen = []
    archive.write(tmp_path / "tree", tree, seen.append)
    back = archive.read(tmp_path / "tree")
    for found in (*seen, back):
        assert found.pop("rng").random() == np.random.default_rng(0).random()
    assert same(seen[0], back)
    before = (tmp_path / "tree").read_bytes()
    with pytest.raises(KeyError):
        archive.write(tmp_path / "tree", {"W": 1}, lambda content: content["absent"])
    assert (tmp_path / "tree").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "other"
    with pytest.raises(FileNotFoundError):
        archive.read(path)
    contents = [b"", b"text", b"PK\x03\x04 broken"]
    for content in contents:
        path.write_bytes(content)
        refuse(path, r"path must be a file written by save, got .*other")
    with path.open("wb") as file:
        np.savez(file, header=np.frombuffer(b"[]", np.uint8))
    refuse(path)


def test_pickles_are_never_loaded(tmp_path):
    path = tmp_path / "pickle.npz"
    with path.open("wb") as file:
        np.savez(file, header=np.array([print], dtype=object))
    refuse(path)


def test_damage_is_found(path):
    archive.write(path, {"W": np.arange(1000.0)})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refuse(path, "damaged")
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    path.write_bytes(flipped)
    refuse(path, "damaged")


def test_a_later_version_is_named(path, monkeypatch):
    monkeypatch.setattr(archive, "VERSION", 99)
    archive.write(path, {"a": 1})
    monkeypatch.undo()
    refuse(path, r"in format 2 or earlier, got .* in format 99, writ")


def test_a_later_version_is_named_whatever_else_is_in_it(path):
    header = json.dumps({"format": "lightrnn", "version": 7, "library": "3.1", "more": {"!new": 1}})
    with zipfile.ZipFile(path, "w") as new:
        new.writestr("something else", b"of a later kind")
        with new.open("header.npy", "w") as member:
            np.lib.format.write_array(member, np.frombuffer(header.encode(), np.uint8))
    refuse(path, r"in format 7, written by a newer lightrnn, '3.1'\. Upgrade this one, ")


def rewritten(path, change, compression=zipfile.ZIP_STORED):
    """Write the file anew with changed members, checksums right."""
    members = fuzz_npz.members_of(path.read_bytes())
    path.write_bytes(fuzz_npz.sealed(change(members), compression=compression))


def replaced(old, new):
    """Replace text in every member, which is as long as before."""

    def change(members):
        assert len(old) == len(new) and any(old in content for content in members.values())
        return {name: content.replace(old, new) for name, content in members.items()}

    return change


@pytest.mark.parametrize(
    "change",
    [
        replaced(b'"PCG64"', b'"Pxxxx"'),
        replaced(b'"pos": 624', b'"pos": 625'),  # NumPy would read what lies after its 624 numbers
        replaced(b'"buffer_pos": 4', b'"buffer_pos": 5'),
        replaced(b'"buffer_pos": 4', b'"buffer_pos":-1'),
        replaced(b"(624,)", b"(620,)"),
        replaced(b"'<u4'", b"'|O4'"),
        replaced(b"'<u4'", b"'|V4'"),
        replaced(b'"format"', b'"farmot"'),
        replaced(b'"version": 2', b'"version": 0'),
        replaced(b'"content": {', b'"content": ['),
        lambda members: {
            name: content for name, content in members.items() if name != "key/state/key.npy"
        },
    ],
)
def test_what_does_not_fit_together_is_refused(path, change):
    philox = np.random.Generator(np.random.Philox(1))
    archive.write(
        path, {"rng": np.random.default_rng(0), "key": np.random.RandomState(3), "philox": philox}
    )
    rewritten(path, lambda members: members)
    archive.read(path)
    rewritten(path, change)
    refuse(path)


def peak_of_refusal(path):
    tracemalloc.start()
    try:
        refuse(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_claims_take_no_memory(path):
    """Zeros that compress a thousandfold, an array that claims a terabyte, overlapping members."""
    archive.write(path, {"W": np.zeros(10_000_000)})
    rewritten(path, lambda members: members, zipfile.ZIP_DEFLATED)
    assert peak_of_refusal(path) < 1e6
    archive.write(path, {"W": np.zeros(10)})
    rewritten(path, replaced(b"(10,), }            ", b"(99999999999,), }   "))
    assert peak_of_refusal(path) < 1e6
    archive.write(path, {"W": np.zeros(100_000)})
    with zipfile.ZipFile(path, "a") as file:
        member = file.getinfo("W.npy")
        for _ in range(100):
            file.filelist.append(member)
        file._didModify = True
    assert peak_of_refusal(path) < 1e6


@pytest.mark.parametrize(
    "content",
    [
        {"a": {"!array": "W"}, "b": {"!array": "W"}},
        {"a": {"!object": [[2], [{"!array": "W"}] * 2]}},
        {"a": {"!dict": [[number * (2**61 - 1), 0] for number in range(100)]}},
        {"a": {"!dict": [[{"!tuple": [k * (2**61 - 1)]}, 0] for k in range(100)]}},
        {"a": [[]] * 30_000},
        {"a": [{}] * 30_000},
    ],
    ids=["one array", "one array in objects", "one hash", "one hash of tuples", "lists", "dicts"],
)
def test_what_grows_when_it_is_read_is_refused(content, path):
    W = fuzz_npz.npy("<f8", "(2,)", bytes(16))
    seal(path, content, W=W)
    refuse(path)
    seal(path, content | {"a": {"!array": "W"}, "b": 0}, W=W)
    assert archive.read(path)["a"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("<U0", "(1001,)"),
        ("|S0", "(999999999, 9)"),
        ("<f4", "(1001, 0)"),
        ("<f8", "(0, 99, 99, 9)"),
    ],
)
def test_many_items_without_content_are_refused(kind, shape, path):
    """They would take memory once they are listed."""
    named = {"a": {"!array": "a"}}
    seal(path, named, a=fuzz_npz.npy("<f4", "(0, 99)"))
    assert archive.read(path)["a"].shape == (0, 99)
    seal(path, named, a=fuzz_npz.npy(kind, shape))
    refuse(path)
    seal(path, {"a": {"!object": [[10**9, 0], []]}})
    refuse(path)
    with pytest.raises(ValueError, match="an array without content must have 1000 items or fewer"):
        archive.write(path, {"a": np.empty((0, 1001))})


def test_the_library_that_wrote_it_is_named(path):
    from lightrnn import __version__

    archive.write(path, {"a": 1})
    with np.load(path) as file:
        assert json.loads(file["header"].tobytes())["library"] == __version__

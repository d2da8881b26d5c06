"""Whatever tree of plain values goes into an archive comes out again, bit for bit, and nothing else does."""

import json
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lightrnn import archive

ARRAYS = hnp.arrays(
    st.one_of(hnp.floating_dtypes(), hnp.integer_dtypes(), hnp.boolean_dtypes(), hnp.unicode_string_dtypes()),
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3),
)
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text())
SCALARS = st.one_of(PLAIN, ARRAYS, st.integers(-9, 9).map(np.int32), st.floats().map(np.float64))
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(st.text(), st.integers(), st.none()), inner, max_size=3),
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
    archive.write(path, {"rng": generator, "old": np.random.RandomState(4)})
    back = archive.read(path)
    assert np.array_equal(back["rng"].random(7), generator.random(7))
    assert np.array_equal(back["old"].random_sample(7), np.random.RandomState(4).random_sample(7))


def test_numpy_alone_reads_the_arrays(path):
    archive.write(path, {"weights": {"layer0.W": np.eye(2), "../b": np.ones(1)}, "sizes": [np.ones(3)]})
    with np.load(path, allow_pickle=False) as file:
        assert set(file.files) == {"header", "weights/layer0.W", "weights/_/b", "sizes/0"}
        assert json.loads(file["header"].tobytes())["format"] == "lightrnn"


def test_paths_that_coincide_do_not_collide(path):
    tree = {"a": {"b": np.zeros(1)}, "a/b": np.ones(1), "header": np.ones(2), "a\x00b": np.ones(3), "a?b": np.ones(4)}
    archive.write(path, tree)
    assert same(archive.read(path), tree)


def test_equal_trees_make_equal_files(path, tmp_path):
    tree = {"W": np.arange(5.0), "name": "x"}
    archive.write(path, tree)
    archive.write(tmp_path / "again.npz", tree)
    assert path.read_bytes() == (tmp_path / "again.npz").read_bytes()


def test_what_cannot_be_saved_is_named_and_the_file_stays(path):
    archive.write(path, {"good": 1})
    before = path.read_bytes()
    with pytest.raises(TypeError, match=r"outer/1/f must be a number, a string"):
        archive.write(path, {"outer": [0, {"f": print}]})
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "other"
    with pytest.raises(FileNotFoundError):
        archive.read(path)
    contents = [b"", b"text", b"PK\x03\x04 broken"]
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"path must be a file written by save, got .*other"):
            archive.read(path)
    with path.open("wb") as file:
        np.savez(file, header=np.frombuffer(b"[]", np.uint8))
    with pytest.raises(ValueError, match="written by save"):
        archive.read(path)


def test_pickles_are_never_loaded(tmp_path):
    path = tmp_path / "pickle.npz"
    with path.open("wb") as file:
        np.savez(file, header=np.array([print], dtype=object))
    with pytest.raises(ValueError, match="written by save"):
        archive.read(path)


def test_damage_is_found(path):
    archive.write(path, {"W": np.arange(1000.0)})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged"):
        archive.read(path)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    path.write_bytes(flipped)
    with pytest.raises(ValueError, match="damaged"):
        archive.read(path)


def test_a_later_version_is_named(path, monkeypatch):
    monkeypatch.setattr(archive, "VERSION", 99)
    archive.write(path, {"a": 1})
    monkeypatch.undo()
    with pytest.raises(ValueError, match="must be in format 1 or earlier, got 99"):
        archive.read(path)


def test_an_unknown_generator_is_refused(path):
    archive.write(path, {"rng": np.random.default_rng(0)})
    with zipfile.ZipFile(path) as old:
        header = old.read("header.npy").replace(b'"PCG64"', b'"Pxxxx"')
    with zipfile.ZipFile(path, "w") as new:
        new.writestr("header.npy", header)
    with pytest.raises(ValueError, match="written by save"):
        archive.read(path)

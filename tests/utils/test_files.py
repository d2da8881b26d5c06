"""Files are replaced whole or not at all, and nothing but regular files is read or written."""

import ast
import errno
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from lightrnn import (
    RNNRegressor,
    export_c,
    export_numpy,
    from_onnx,
    from_torch,
    load,
    to_onnx,
)
from lightrnn.utils import files

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files and rights")


def write(path, content=b"new"):
    with files.replacing(path) as file:
        file.write(content)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(scope="module")
def model():
    X = [np.ones((3, 2)), np.zeros((5, 2))]
    options = {"bidirectional": False, "max_iter": 1, "learning_rate": "cosine"}
    return RNNRegressor("rnn", (4,), **options).fit(X, [1.0, 2.0])


def to_onnx_or_skip(model, path):
    pytest.importorskip("onnx", reason="writes ONNX models")
    to_onnx(model, path)


def save_state_dict(model, path):
    """Write a file of safetensors."""
    arrays, header, end = model.to_torch(), {}, 0
    for key, array in arrays.items():
        offsets = [end, end := end + array.nbytes]
        header[key] = {"dtype": "F32", "shape": array.shape, "data_offsets": offsets}
    text = json.dumps(header).encode()
    data = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())
    Path(os.fsdecode(path)).write_bytes(len(text).to_bytes(8, "little") + text + data)


class Named:
    """A file with a name in bytes."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return self.path


WRITERS = pytest.mark.parametrize(
    "save", [RNNRegressor.save, export_numpy, to_onnx_or_skip], ids=["save", "numpy", "onnx"]
)


# -- what may be written ---------------------------------------------------------------------------


@POSIX
@WRITERS
def test_devices_pipes_sockets_and_folders_stay(save, model, tmp_path):
    path = tmp_path / "x.py"
    device = tmp_path / "null.py"
    device.symlink_to("/dev/null")
    before = os.stat("/dev/null")
    with pytest.raises(ValueError, match=r"path must be a regular file, got '/dev/null'"):
        save(model, device)
    assert os.stat("/dev/null").st_rdev == before.st_rdev
    os.mkfifo(path)
    with pytest.raises(ValueError, match=r"path must be a regular file, got '.*x\.py', a device"):
        save(model, path)
    path.unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        with pytest.raises(ValueError, match="path must be a regular file"):
            save(model, path)
    path.unlink()
    path.mkdir()
    with pytest.raises(IsADirectoryError, match=r"x\.py"):
        save(model, path)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["null.py", "x.py"]


@WRITERS
def test_a_missing_folder_is_named(save, model, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        save(model, tmp_path / "missing" / "model.py")
    assert caught.value.filename == str(tmp_path / "missing")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(NotADirectoryError) as caught:
        save(model, tmp_path / "file" / "model.py")
    assert ".part" not in str(caught.value)


@WRITERS
def test_names_may_be_as_long_as_the_file_system_allows(save, model, tmp_path):
    longest = os.pathconf(tmp_path, "PC_NAME_MAX") if hasattr(os, "pathconf") else 255
    weights = len(".weights.npz") - len(".py") if save is export_numpy else 0
    name = "n" * (longest - weights - len(".py")) + ".py"
    save(model, tmp_path / name)
    assert (tmp_path / name).stat().st_size > 0
    with pytest.raises(OSError, match="nnn") as caught:
        save(model, tmp_path / f"n{'n' * weights}{name}")
    assert caught.value.errno == errno.ENAMETOOLONG and ".part" not in str(caught.value)


def test_any_path_will_do(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("model", tmp_path / "path", os.fsencode(tmp_path / "bytes"), "süß"):
        model.save(path)
        assert load(path).get_params() == model.get_params()


@pytest.mark.parametrize(
    ("save", "read", "name"),
    [
        (RNNRegressor.save, load, "a.npz"),
        (export_numpy, None, "model.py"),
        (export_c, None, "model.c"),
        (to_onnx_or_skip, from_onnx, "a.onnx"),
        (save_state_dict, lambda path: from_torch(path, RNNRegressor()), "a.safetensors"),
    ],
    ids=["save", "numpy", "c", "onnx", "torch"],
)
@pytest.mark.filterwarnings("ignore:The weights of a")
def test_bytes_and_path_likes_are_paths_everywhere(save, read, name, model, tmp_path):
    path = os.fsencode(tmp_path / name)
    for one in (path, Named(path)):
        save(model, one)
        (tmp_path / name).stat()
        if read:
            assert read(one).n_features_in_ == 2


@pytest.mark.parametrize("path", [1, True, None, 3.5, ["model"]])
def test_only_names_are_paths(path, model):
    """The number of an open file is none: reading would close it."""
    for use in (model.save, load, partial(export_c, model), partial(export_numpy, model)):
        with pytest.raises(TypeError, match="path must be str, bytes or path-like, got"):
            use(path)
    with pytest.raises(ValueError, match=r"path must be the name of a file, got .* a zero in it"):
        load(b"\0")


# -- rights ----------------------------------------------------------------------------------------


@POSIX
@WRITERS
def test_rights_of_the_old_file_stay(save, model, tmp_path):
    path = tmp_path / "model.py"
    for rights in (0o600, 0o640, 0o644, 0o664):
        path.touch()
        path.chmod(rights)
        save(model, path)
        assert path.stat().st_size > 0 and mode(path) == rights
        path.unlink()


@POSIX
def test_a_new_file_has_the_rights_of_any_new_file(tmp_path):
    for mask, wanted in ((0o022, 0o644), (0o027, 0o640), (0o077, 0o600)):
        old = os.umask(mask)
        try:
            write(tmp_path / f"{mask}")
        finally:
            os.umask(old)
        assert mode(tmp_path / f"{mask}") == wanted


@POSIX
def test_nobody_else_can_read_it_while_it_is_written(tmp_path):
    path = tmp_path / "x"
    for _ in range(2):  # a new file, and one in place of another
        with files.replacing(path) as file:
            assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600
        assert mode(path) & 0o400


@POSIX
@pytest.mark.skipif(getattr(os, "geteuid", bool)() != 0, reason="only root gives files away")
def test_the_owner_stays_where_that_is_possible(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.touch(0o664)
    path.chmod(0o664)
    os.chown(path, 1234, 5678)
    write(path)
    assert (path.stat().st_uid, path.stat().st_gid, mode(path)) == (1234, 5678, 0o664)

    def refused(*arguments):
        raise PermissionError(errno.EPERM, "not yours")

    monkeypatch.setattr(os, "fchown", refused)
    write(path)
    assert path.stat().st_uid == os.geteuid()
    assert mode(path) == 0o644  # another group gets no rights of the old one


@POSIX
@pytest.mark.skipif(getattr(os, "geteuid", bool)() == 0, reason="root may write anything")
def test_a_protected_file_stays(tmp_path):
    path = tmp_path / "x"
    path.touch(0o444)
    with pytest.raises(PermissionError, match="x"):
        write(path)
    assert path.read_bytes() == b""


@POSIX
def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/x")
    for content in (b"first", b"second"):
        write(tmp_path / "link", content)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "folder" / "x").read_bytes() == content
    assert not list(tmp_path.glob("**/*.part"))


# -- whole or not at all ---------------------------------------------------------------------------

FULL = """
import importlib.util, resource, sys
import numpy as np
from lightrnn import RNNRegressor, export_numpy, to_onnx
X = [np.ones((3, 2)), np.zeros((5, 2))]
model = RNNRegressor("rnn", (200,), max_iter=1, learning_rate="cosine").fit(X, [1.0, 2.0])
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
ways = [model.save, lambda path: export_numpy(model, path),
        lambda path: export_numpy(model, path, inline=True)]
if importlib.util.find_spec("onnx"):
    ways.append(lambda path: to_onnx(model, path))
for write in ways:
    try:
        write(sys.argv[1])
        print("written")
    except OSError as error:
        if error.filename not in (sys.argv[1], sys.argv[1].replace(".py", ".weights.npz")):
            print(error.filename)
"""


@POSIX
def test_a_full_disk_leaves_the_old_files(tmp_path):
    """A limit of the size of files stands for the full disk."""
    names = ("model.py", "model.weights.npz")
    for name in names:
        (tmp_path / name).write_text("old")
    call = [sys.executable, "-W", "ignore", "-c", FULL, tmp_path / "model.py"]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stdout, done.stderr
    assert sorted(item.name for item in tmp_path.iterdir()) == sorted(names)
    assert all((tmp_path / name).read_text() == "old" for name in names)


def test_an_exception_leaves_the_old_file(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), files.replacing(path) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


HALF = """
import sys, time
from lightrnn.utils import files
with files.replacing(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("half", flush=True)
    sys.stdin.readline()
"""


def test_the_next_file_clears_away_what_a_killed_process_left(tmp_path):
    """The unfinished file of a process that still runs stays, and so does the old file."""
    (tmp_path / "killed").write_bytes(b"old")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    call = [sys.executable, "-c", HALF]
    killed, living = (
        subprocess.Popen([*call, tmp_path / name], **pipes) for name in ("killed", "living")
    )
    assert killed.stdout.readline() == living.stdout.readline() == "half\n"
    killed.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
    killed.communicate()
    assert len(list(tmp_path.iterdir())) == 3
    (tmp_path / "mine.part").touch()
    write(tmp_path / "other")
    assert len(list(tmp_path.iterdir())) == 4
    living.communicate("go on\n")
    assert {item.name for item in tmp_path.iterdir()} == {
        "killed",
        "living",
        "mine.part",
        "other",
    }
    assert (tmp_path / "killed").read_bytes() == b"old"
    assert (tmp_path / "living").read_bytes() == b"half"


def test_many_writers_at_once_clear_away_no_file_that_is_written(tmp_path):
    """Two of them write each file."""
    failures = []

    def many(number):
        try:
            for turn in range(20):
                write(tmp_path / f"{number % 4}", b"%d" % turn)
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=many, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert {item.read_bytes() for item in tmp_path.iterdir()} == {b"19"}


# The cache has a writer of its own, which also runs where nothing may be written; the template is
# code of the exported file, and what it writes is its user's.
OTHERS = {"utils/files.py", "cpu/cache.py", "interop/numpy_model.py"}


def writes(call):
    """Return whether a call writes a file by its name."""
    words = {arg.value for arg in call.args[1:2] if isinstance(arg, ast.Constant)}
    match call.func:
        case ast.Name(id="open"):
            return any(isinstance(word, str) and word[:1] in tuple("wxa") for word in words)
        case ast.Attribute(value=ast.Name(id="np"), attr="save" | "savez" | "savez_compressed"):
            return not isinstance(call.args[0], ast.Name) or call.args[0].id != "buffer"
        case ast.Attribute(attr="write_text" | "write_bytes" | "tofile" | "savefig"):
            return True
    return False


def test_the_package_writes_files_in_one_place():
    package = Path(files.__file__).parent.parent
    for path in package.rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if type(node) is ast.Call]
        if any(map(writes, calls)):
            assert path.relative_to(package).as_posix() in OTHERS


# -- reading ---------------------------------------------------------------------------------------


@POSIX
def test_only_regular_files_are_read(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in ("/dev/zero", "/dev/null", pipe):
        with pytest.raises(ValueError, match=r"path must be a regular file, got '.*'"):
            load(path)
    with pytest.raises(IsADirectoryError):
        load(tmp_path)

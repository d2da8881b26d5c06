"""The disk cache: keyed by the sources, read and written wherever possible, never an error."""

import compileall
import multiprocessing
import os
import pickle
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from inspect import getclosurevars
from pathlib import Path
from types import FunctionType

import numpy as np
import pytest
from numba import config

from lightrnn.cells import CELLS, HIDDEN_CELLS
from lightrnn.cpu import cache, gather, host, jit, kernels, matmul, once, recurrence


def test_threads_that_need_a_kernel_at_once_get_the_same():
    started = threading.Barrier(2)
    made = []

    @jit.factory
    def make(name):
        made.append(name)
        time.sleep(0.05)  # long enough for the other thread to call, too
        return object()

    def call(_):
        started.wait()
        return make("kernel")

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(call, range(2))
    assert first is second and made == ["kernel"]


def fresh_digest():
    return cache.digest.__wrapped__()


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """Let the digest read a copy of the package, and return that."""
    return copied(tmp_path, monkeypatch)


def copied(tmp_path, monkeypatch=None):
    """Copy the package's sources, but none that only networks and estimators need."""
    target = tmp_path / "lightrnn"
    needed = {"cpu", "cuda", "nn", "utils"}
    others = {path.name for path in cache._PACKAGE.iterdir() if path.is_dir()} - needed
    shutil.copytree(cache._PACKAGE, target, ignore=shutil.ignore_patterns("__pycache__", *others))
    (target / "__init__.py").write_text("from . import cpu\n")
    if monkeypatch is not None:
        monkeypatch.setattr(cache, "_PACKAGE", target)
    return target


def test_the_directory_is_keyed_by_the_sources(copy):
    before = fresh_digest()
    assert before == cache.digest()
    kernels = (
        "cells.py",
        "elementwise.py",
        "losses.py",
        "updates.py",
        "cpu/simd.py",
        "cuda/recurrence/loops.py",
    )
    for name in (*kernels, "nn/network.py", "__init__.py"):
        path = copy / name
        text = path.read_text()
        path.write_text(text + "\n")
        assert (fresh_digest() != before) == (name in kernels), name
        path.write_text(text)
    assert fresh_digest() == before


def test_the_directory_is_keyed_by_the_registers_and_by_what_compiles(monkeypatch):
    before = fresh_digest()
    for module, name in (
        (host, "REGISTER_BYTES"),
        (host, "TILE_ROWS"),
        (host, "TILE_VECTORS"),
        (cache.numba, "__version__"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, 3)
            assert fresh_digest() != before


def test_entries_are_keyed_by_the_options_of_numba_and_by_the_processor(monkeypatch):
    entry = gather.scale._cache
    codegen = gather.scale.targetctx.codegen()
    names = {entry._name((), codegen)}
    for option in ("OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "LOOP_VECTORIZE", "SLP_VECTORIZE"):
        with monkeypatch.context() as patch:
            patch.setattr(config, option, 7)
            names.add(entry._name((), codegen))
    with monkeypatch.context() as patch:
        patch.setattr(type(codegen), "magic_tuple", lambda self: ("triple", "another", "+sse"))
        names.add(entry._name((), codegen))
    assert len(names) == 7


@pytest.fixture
def directories(tmp_path, monkeypatch):
    """Put every directory for machine code below tmp_path, and return them, best first."""
    roots = {name: tmp_path / name for name in ("given", "package", "home", "temporary")}
    monkeypatch.setattr(config, "CACHE_DIR", str(roots["given"]))
    monkeypatch.setattr(cache, "_PACKAGE", roots["package"])
    monkeypatch.setattr(cache, "digest", lambda: "digest")
    monkeypatch.setenv("XDG_CACHE_HOME", str(roots["home"]))
    monkeypatch.setattr(tempfile, "tempdir", str(roots["temporary"]))
    roots["temporary"].mkdir()
    below = ("", "__pycache__", "lightrnn", f"lightrnn-{os.getuid()}")
    pairs = zip(roots.values(), below, strict=True)
    return [root / name / "lightrnn-digest" for root, name in pairs]


def block(directory):
    """Put a file where a parent of the directory would be, which stops even the superuser."""
    for path in reversed(directory.parents):
        if not path.exists():
            path.write_text("")
            return
    shutil.rmtree(directory.parent)
    directory.parent.write_text("")


def test_the_first_directory_that_can_be_written_to_is_taken(directories):
    for number, directory in enumerate(directories):
        assert cache.write("name", b"code %d" % number) == directory
        assert cache.read("name") == b"code %d" % number
        assert [path.name for path in directory.iterdir()] == ["name"]
        shutil.rmtree(directory)
        block(directory)
    assert cache.write("name", b"code") is None
    assert cache.read("name") is None
    assert cache.entries() == []


def test_a_directory_that_cannot_be_written_to_is_still_read(directories, monkeypatch):
    """The machine code of an image may have been compiled by the superuser who built it."""
    given, package, home, _ = directories
    block(given)
    assert cache.write("old", b"built") == package
    replace = os.replace

    def refuse(source, target):
        if Path(target).is_relative_to(package):
            raise PermissionError
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    assert cache.write("new", b"found out") == home
    assert cache.read("old") == b"built" and cache.read("new") == b"found out"
    assert [path.name for path in package.iterdir()] == ["old"]


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722, 0o1777])
def test_a_directory_that_others_can_write_to_is_not_trusted(directories, number, mode):
    directory = directories[number]
    for other in directories[:number] + directories[number + 1 :]:
        block(other)
    assert cache.write("name", b"code") == directory
    directory.chmod(mode)
    assert cache.read("name") is None
    assert cache.write("name", b"code") is None
    assert cache.entries() == []
    directory.chmod(0o755)
    assert cache.read("name") == b"code"


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722])
def test_nor_is_one_that_others_could_replace(directories, mode):
    given, *_ = directories
    assert cache.write("name", b"code") == given
    given.parent.chmod(mode)
    assert cache.read("name") is None
    assert cache.write("new", b"code") != given
    given.parent.chmod(mode | stat.S_ISVTX)  # as /tmp: names cannot be taken over
    assert cache.read("name") == b"code"
    assert cache.write("newer", b"code") == given


def modes(*paths):
    return [stat.S_IMODE(path.stat().st_mode) for path in paths]


def test_directories_are_made_for_this_user_alone(directories):
    """Only `__pycache__` is for all who can read the package."""
    before = os.umask(0)
    try:
        for number, directory in enumerate(directories):
            assert cache.write("name", b"code") == directory
            parent = 0o755 if number == 1 else 0o700
            expected = [0o700, parent, 0o644]
            assert modes(directory, directory.parent, directory / "name") == expected
            shutil.rmtree(directory)
            block(directory)
    finally:
        os.umask(before)


@pytest.mark.parametrize("user", [0, 1000])
def test_the_superuser_may_share_what_he_has_compiled(directories, monkeypatch, user):
    """An image is built by the superuser, and often run by another user."""
    _, package, *_ = directories
    block(directories[0])
    cache.write("name", b"code")
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(cache, "_is_ours", lambda *arguments: True)
    cache.share()
    assert modes(package) == [0o700 if user else 0o755]


def test_a_file_that_others_can_write_to_is_not_read(directories):
    path = cache.write("name", b"code") / "name"
    for mode in (0o666, 0o660, 0o622):
        path.chmod(mode)
        assert cache.read("name") is None
    path.chmod(0o444)
    assert cache.read("name") == b"code"


def test_links_are_not_followed_out_of_a_directory(directories, tmp_path):
    path = cache.write("name", b"code") / "name"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert cache.read("name") is None


def test_a_link_to_a_directory_counts_as_what_it_leads_to(directories, tmp_path):
    given, *_ = directories
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    given.parent.symlink_to(tmp_path / "open")
    assert cache.write("name", b"code") == directories[1]
    (tmp_path / "open").chmod(0o755)
    assert cache.write("new", b"code") == tmp_path / "open" / "lightrnn-digest"


SOMEBODY = 54321  # a user whom this system does not know


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only the superuser gives files away"
)
@pytest.mark.parametrize("depth", range(3))
def test_what_another_user_owns_is_not_read(directories, depth):
    """Neither the file, nor its directory, nor the directory above, whatever their modes."""
    given, *_ = directories
    path = cache.write("name", b"code") / "name"
    planted = (path, given, given.parent)[depth]
    os.chown(planted, SOMEBODY, SOMEBODY)
    assert cache.read("name") is None
    if depth:
        assert cache.write("new", b"code") != given
    os.chown(planted, 0, 0)
    assert cache.read("name") == b"code"


def test_a_planted_pickle_is_not_unpickled(directories, tmp_path):
    """Whoever makes the directory first could have his code run by everyone who comes later."""
    entry = gather.scale._cache
    codegen = gather.scale.targetctx.codegen()
    proof = tmp_path / "proof"

    class Planted:
        def __reduce__(self):
            return Path.touch, (proof,)

    cache.write(entry._name((), codegen), pickle.dumps((Planted(),)))
    directories[0].chmod(0o777)
    assert entry.load_overload((), gather.scale.targetctx) is None
    assert not proof.exists()
    directories[0].chmod(0o700)  # the same entry, where nobody can have planted it
    entry.load_overload((), gather.scale.targetctx)
    assert proof.exists()


def test_without_a_home_there_is_no_directory_in_it(directories, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert list(cache.directories()) == directories[:2]


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:40] + b"x" + data[41:], lambda data: b""]
)
def test_a_damaged_entry_is_ignored(directories, damage):
    path = cache.write("name", b"machine code" * 9) / "name"
    path.write_bytes(damage(path.read_bytes()))
    assert cache.read("name") is None


def test_kernels_keep_their_code_there():
    gather.scale(np.ones((2, 2)), 0, np.ones((1, 2)), np.zeros(2, int))
    assert any(path.name.startswith("cpu.gather.scale-") for path in cache.entries())


PROGRAM = """
import numpy as np
from lightrnn.cpu import gather
target = np.ones((1, 2))
gather.scale(target, 0, np.full((1, 2), 3.0), np.zeros(1, int))
from lightrnn.cpu.cache import KernelCache
(entry,) = KernelCache.log
print(target[0, 0], entry.compiled, entry.directory)
"""


def printed(directory, program=PROGRAM, cwd=None, **environment):
    """Run a kernel in a new process; return its result, whether it compiled, and the directory."""
    environment = os.environ | {"PYTHONPATH": str(directory), "NUMBA_OPT": "0"} | environment
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.check_output(
        command, env=environment, cwd=cwd or directory, text=True, timeout=300
    ).split()


def test_an_edit_anywhere_is_compiled_anew_and_versions_stand_side_by_side(tmp_path):
    """Numba's own cache would keep the old code of a rule that is in another file."""
    package = copied(tmp_path)
    cached = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert printed(tmp_path, **cached)[:2] == ["3.0", "True"]
    rule = package / "cpu" / "gather.py"
    text = rule.read_text()
    assert "to[j] *= factors[j]" in text
    rule.write_text(text.replace("to[j] *= factors[j]", "to[j] *= factors[j] + 1"))
    assert printed(tmp_path, **cached)[:2] == ["4.0", "True"]
    rule.write_text(text)
    assert printed(tmp_path, **cached)[:2] == ["3.0", "False"]


EDITED = """
import lightrnn, pathlib, re
rule = pathlib.Path(lightrnn.__file__).parent / "cpu" / "gather.py"
def edit():
    rule.write_text(rule.read_text() + "# an edit\\n")
MOMENT_1
from lightrnn.cpu import cache, gather
MOMENT_2
cache.digest()
MOMENT_3
"""


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_nothing_is_kept_of_sources_that_were_edited_since_they_were_imported(tmp_path, moment):
    """The code in memory is of one version, the digest may be of the other."""
    copied(tmp_path)
    program = re.sub(r"MOMENT_(\d)", lambda m: "edit()" if int(m[1]) == moment else "", EDITED)
    place = tmp_path / "cache"
    assert printed(tmp_path, program + PROGRAM, NUMBA_CACHE_DIR=str(place))[1:] == ["True", "None"]
    assert not place.exists()


@pytest.mark.parametrize("archive", [False, True], ids=["compileall", "zipapp"])
def test_without_sources_the_byte_code_is_the_key(tmp_path, archive):
    cached = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    def build(factor):
        shutil.rmtree(tmp_path / "lightrnn", ignore_errors=True)
        package = copied(tmp_path)
        rule = package / "cpu" / "gather.py"
        rule.write_text(rule.read_text().replace("to[j] *= factors[j]", f"to[j] *= {factor}"))
        if not archive:
            compileall.compile_dir(package, quiet=2, legacy=True)
            for path in package.rglob("*.py"):
                path.unlink()
            return tmp_path
        shutil.make_archive(str(tmp_path / "app"), "zip", tmp_path, "lightrnn")
        shutil.rmtree(package)
        return tmp_path / "app.zip"

    for factor, compiled in ((3.0, "True"), (3.0, "False"), (4.0, "True")):
        path = build(factor) if compiled == "True" else path  # noqa: F821 - of the round before
        assert printed(path, cwd=tmp_path, **cached)[:2] == [str(factor), compiled]


def test_beside_a_frozen_package_its_data_may_have_a_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(cache.sources, "_archived", lambda root: iter([b"code"]))
    (tmp_path / "datasets").mkdir()
    assert cache.sources.read(tmp_path) == (b"code",)


def test_nothing_is_kept_where_there_are_neither_sources_nor_byte_code(directories, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(cache.sources, "read", lambda root=None: ())
    assert fresh_digest() is None
    monkeypatch.setattr(cache, "digest", lambda: None)
    assert list(cache.places()) == [] and cache.write("name", b"code") is None


def scaled(wait=lambda: None):
    """Make a kernel that is new to this process, wait, and return what it computes."""
    kernel = jit.kernel(gather.scale.py_func)
    target = np.ones((1, 2))
    wait()
    kernel(target, 0, np.full((1, 2), 3.0), np.zeros(1, int))
    return target[0, 0]


def compile_at_once(barrier, results):
    """Compile a kernel at the same time as all others do."""
    results.put((scaled(partial(barrier.wait, 60)), cache.KernelCache.log[-1].compiled))


FORK = multiprocessing.get_context("fork") if hasattr(os, "fork") else None


def started(function, *arguments):
    """Return a forked process that calls a function."""
    child = FORK.Process(target=function, args=arguments)
    with warnings.catch_warnings():
        # It warns of forks in a process with threads, which the child does not use.
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    return child


def together(processes):
    """Fork processes that compile at once; return each one's result, and whether it compiled."""
    arguments = FORK.Barrier(processes), FORK.Queue()
    children = [started(compile_at_once, *arguments) for _ in range(processes)]
    found = [arguments[1].get(timeout=100) for _ in children]
    for child in children:
        child.join(20)
    return found


def forked(function):
    """Return the exit status of a forked process that calls a function, or None if it hangs."""
    child = started(function)
    child.join(60)
    child.kill()
    return child.exitcode if child.exitcode != -9 else None


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")


@needs_fork
@pytest.mark.parametrize("lock", once.LOCKS, ids=["deriving", "making", "compiling", "llvm"])
def test_no_child_inherits_a_lock_that_another_thread_holds(lock):
    held = threading.Event()

    def hold():
        with lock:
            held.set()
            time.sleep(0.3)

    def take():
        with lock:
            pass

    other = threading.Thread(target=hold)
    other.start()
    held.wait()
    assert forked(take) == 0
    other.join()


@needs_fork
def test_a_fork_while_another_thread_compiles_can_compile(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    compiling = threading.Event()
    compile_kernel = jit.STOPWATCH.start
    monkeypatch.setattr(jit.STOPWATCH, "start", lambda: (compile_kernel(), compiling.set()))

    def call():
        assert scaled() == 3.0

    other = threading.Thread(target=call)
    other.start()
    assert compiling.wait(60)
    assert forked(call) == 0
    other.join()


@needs_fork
def test_ten_processes_at_once(tmp_path, monkeypatch):
    """One compiles and saves an entry, the others wait for it; later ones find it whole."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    first = together(10)
    assert {result for result, _ in first} == {3.0}
    assert sum(compiled for _, compiled in first) == 1
    assert len(list(tmp_path.rglob("*.*"))) == 1
    assert set(together(10)) == {(3.0, False)}


@needs_fork
def test_a_process_that_is_killed_leaves_its_claim_to_others(directories):
    taken = os.pipe()
    child = os.fork()
    claim = cache.Claim("kernel")
    if not child:
        os.write(taken[1], b"%d" % claim.take())
        signal.pause()
    try:
        assert os.read(taken[0], 1) == b"1"
        assert not claim.take() and cache.Claim("another").take()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert claim.take() and claim.directory == directories[0]


@needs_fork
def test_an_entry_of_another_process_is_awaited_for_some_time(directories, monkeypatch):
    first = cache.Claim("kernel")
    assert first.take() and cache.write("kernel", b"code")
    monkeypatch.setattr(cache.time, "sleep", lambda _: first.release())
    second = cache.Claim("kernel")
    assert cache.await_entry("kernel", second) == b"code"
    monkeypatch.setattr(cache, "_LONGEST", 0.0)
    assert cache.await_entry("none", cache.Claim("kernel")) is None
    second.release()


def test_without_any_directory_kernels_are_still_compiled(tmp_path):
    """There is no home, the package cannot be written to, at last there are no temporary files."""
    package = copied(tmp_path)
    nowhere = str(tmp_path / "file")
    for path in (tmp_path / "file", package / "__pycache__"):
        path.write_text("")
    environment = dict.fromkeys(("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME"), nowhere)
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(tmp_path)}
    assert printed(tmp_path, **environment)[:2] == ["3.0", "True"]
    mine = tmp_path / f"lightrnn-{os.getuid()}"
    assert printed(tmp_path, **environment)[:2] == ["3.0", "False"]
    assert any(mine.iterdir())
    shutil.rmtree(mine)
    mine.write_text("")
    assert printed(tmp_path, **environment) == ["3.0", "True", "None"]


def test_without_a_directory_for_temporary_files(monkeypatch, tmp_path):
    def none():
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr("lightrnn.cpu.cache.tempfile.gettempdir", none)
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    first, *_ = cache.directories(make=True)
    assert first.parent == tmp_path


def test_a_network_says_what_to_do_where_numba_compiles_nothing(tmp_path):
    program = """
from lightrnn import RNNClassifier
model = RNNClassifier("rnn", max_iter=1)
for _ in range(2):
    try:
        model.fit([[1.0], [2.0, 3.0]], [0, 1])
    except RuntimeError as error:
        print(error)
print(vars(model) == vars(RNNClassifier("rnn", max_iter=1)))
"""
    words = printed(cache._PACKAGE.parent, program, NUMBA_DISABLE_JIT="1")
    line = "NUMBA_DISABLE_JIT must be 0 or unset, got 1."
    assert " ".join(words).count(line) == 2 and words[-1] == "True"


def functions_of(kernels):
    """Return the kernels' functions and all of ours that they call, closed over or global."""
    found = set()
    waiting = list(kernels)
    while waiting:
        function = waiting.pop()
        function = getattr(function, "py_func", function)
        if (
            isinstance(function, FunctionType)
            and function.__module__.startswith("lightrnn")
            and function not in found
        ):
            found.add(function)
            variables = getclosurevars(function)
            waiting.extend((variables.nonlocals | variables.globals).values())
    return found


def test_no_two_functions_in_machine_code_have_one_name():
    """Numba distinguishes functions of the same name and types by a counter of its process alone.

    Kernels that two processes compiled and a third loads would call each other's functions.
    """
    kernels = [getattr(recurrence, way)(cell) for way in ("forward", "backward") for cell in CELLS]
    named = {}
    for function in functions_of([*kernels, matmul.transpose_panels]):
        named.setdefault(f"{function.__module__}.{function.__qualname__}", set()).add(function)
    assert len(named) > 20
    assert not [name for name, functions in named.items() if len(functions) > 1]


def test_kernels_of_other_packages_are_not_cached(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    assert jit.kernel(lambda x: x + 1)(2) == 3
    assert not list(tmp_path.iterdir())


def test_two_kernels_cannot_have_one_name():
    def scale(target):
        target[0] = 7

    scale.__module__, scale.__qualname__ = "lightrnn.cpu.gather", "scale"
    with pytest.raises(RuntimeError, match=r"cpu.gather.scale must be the name of one kernel"):
        jit.kernel(scale)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_kernel_declares_the_types_of_its_arguments(dtype):
    declared = list(kernels.signatures(HIDDEN_CELLS, dtype))
    assert len(declared) == len(set(declared)) > 35
    for kernel, types in declared:
        assert len(types) == kernel.py_func.__code__.co_argcount


def test_a_zero_divisor_is_not_an_error():
    assert jit.kernel(lambda x: 1.0 / x)(0.0) == np.inf


def test_numba_compiles_after_a_kernel_was_loaded():
    """Kernels are loaded without Numba's registries, which a later compilation must still find."""
    test_kernels_keep_their_code_there()
    code = PROGRAM + "import numba; print(numba.njit(lambda a: np.dot(a, a).sum())(np.eye(2)))"
    words = printed(cache._PACKAGE.parent, code, NUMBA_OPT=os.environ.get("NUMBA_OPT", "3"))
    assert (*words[:2], words[-1]) == ("3.0", "False", "2.0")

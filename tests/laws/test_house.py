"""The structure of the package: order of imports, cost of importing it, sizes of its files."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import lightrnn

PACKAGE = Path(lightrnn.__file__).parent

# From the top down: a package imports only packages of lower lines, imports for types included.
# Packages on the same line do not import each other.
ORDER = """
    __main__
    cli
    __init__ plotting comparison
    inspection interop
    distributed
    forecasting
    estimators
    devices
    cuda training
    preprocessing
    nn data
    base cpu datasets
    losses updates cells
    elementwise metrics utils exceptions
    _version
"""
LEVELS = {
    name: level for level, line in enumerate(ORDER.strip().splitlines()) for name in line.split()
}
LIGHT = {"numpy", "typing", "__future__"} | set(sys.stdlib_module_names)


def name_of(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


MODULES = {
    name_of(path): path for path in sorted(PACKAGE.rglob("*.py")) if "__pycache__" not in path.parts
}


@cache
def imports(module, *, inner=True, types=True):
    """Return the dotted names that a module imports.

    With `inner=False` imports inside of functions are left out, with `types=False` those that only
    type checkers see.
    """
    tree = parse(MODULES[module])
    package = ["lightrnn", *module.split(".")[:-1]]
    waiting = list(tree.body)
    found = []
    while waiting:
        node = waiting.pop()
        if not types and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            found.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *filter(None, [node.module])])
            names = [f"{source}.{alias.name}" for alias in node.names]
            found.extend(name if own(name) else source for name in names)
        elif inner or not isinstance(node, ast.FunctionDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))
    return found


def own(name):
    """Return the module of this package that a dotted name refers to, or None."""
    if name.split(".")[0] != "lightrnn":
        return None
    inside = name.removeprefix("lightrnn").removeprefix(".") or "__init__"
    candidates = (inside, f"{inside}.__init__")
    return next((candidate for candidate in candidates if candidate in MODULES), None)


def package(module):
    return module.partition(".")[0]


def test_every_package_has_its_place():
    assert {package(module) for module in MODULES} == set(LEVELS)


def test_imports_run_only_downward():
    upward = {
        f"{module} imports {name}, which does not stand below it"
        for module in MODULES
        for name in {own(name) for name in imports(module)} - {None}
        if package(name) != package(module) and LEVELS[package(name)] <= LEVELS[package(module)]
    }
    assert not upward


def test_no_module_is_in_a_circle():
    """Drop modules that import no other one, or that no other one imports, until circles remain."""
    left = {
        module: {own(name) for name in imports(module)}
        - {None, module, f"{package(module)}.__init__"}
        for module in MODULES
    }
    while True:
        imported = set().union(*left.values())
        free = {module for module, needed in left.items() if not needed or module not in imported}
        if not free:
            break
        left = {module: needed - free for module, needed in left.items() if module not in free}
    assert not left, f"a circle: {left}"


def test_only_numpy_is_imported_outside_the_compiled_side():
    heavy = {
        f"{module} imports {name} when it is imported"
        for module in MODULES
        if package(module) not in ("cpu", "cuda")
        for name in imports(module, inner=False, types=False)
        if name.partition(".")[0] not in LIGHT | {"lightrnn"}
    }
    assert not heavy


def test_only_the_compiled_side_imports_numba():
    """Only the sources of these packages are in the key of the cache (`cpu/cache.py`)."""
    found = {
        module
        for module in MODULES
        if "numba" in {name.partition(".")[0] for name in imports(module)}
    }
    assert {package(module) for module in found} <= {"cpu", "cuda", "cli"}, found


def test_only_the_cuda_package_imports_numba_cuda():
    found = {
        module
        for module in MODULES
        if any(name.startswith("numba.cuda") for name in imports(module))
        or "from numba import cuda" in text_of(MODULES[module])
    }
    assert {package(module) for module in found} == {"cuda"}, found


def test_importing_compiles_nothing_and_loads_nothing_heavy():
    names = "numba llvmlite scipy sklearn pandas torch matplotlib tqdm joblib onnx"
    heavy = tuple(names.split())
    code = f"import lightrnn, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_every_file_opens_with_its_purpose():
    silent = {
        module
        for module, path in MODULES.items()
        if text_of(path).strip() and not ast.get_docstring(parse(path))
    }
    assert not silent


# -- figures ---------------------------------------------------------------------------------------


@cache
def text_of(path):
    return path.read_text(encoding="utf-8")


@cache
def parse(path):
    return ast.parse(text_of(path))


@cache
def nodes(path):
    return list(ast.walk(parse(path)))


def functions(path):
    return [node for node in nodes(path) if isinstance(node, ast.FunctionDef)]


def body_lines(function):
    """Return the lines of a function's body, its docstring not counted."""
    body = function.body[ast.get_docstring(function) is not None :]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def n_arguments(function):
    """Return the number of a function's arguments, `self` or `cls` not counted."""
    names = [argument.arg for argument in function.args.posonlyargs + function.args.args]
    receiver = names[:1] in (["self"], ["cls"])
    return len(names) + len(function.args.kwonlyargs) - receiver


def is_parallel(statement):
    """Return whether one line assigns several values, as in ``a, b = x, y``."""
    if not isinstance(statement, ast.Assign):
        return False
    return isinstance(statement.targets[0], ast.Tuple) and isinstance(statement.value, ast.Tuple)


FOLDERS = ("lightrnn", "tests", "bench", "examples")


@pytest.mark.parametrize("folder", FOLDERS)
def test_docstrings_do_not_begin_with_what(folder):
    """A docstring is a sentence with a subject; "What a thread has of a block" is not."""
    paths = (PACKAGE.parent / folder).rglob("*.py")
    assert not [path for path in paths if re.search(r'"""\s*What ', text_of(path))]


@pytest.mark.parametrize("folder", FOLDERS)
def test_lines_have_at_most_100_columns(folder):
    paths = sorted((PACKAGE.parent / folder).rglob("*.py"))
    long = [
        f"{path}:{number}"
        for path in paths
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if len(line) > 100
    ]
    assert not long


def test_no_test_reads_a_clock():
    """On a busy machine it would fail: bars of speed stand in the bench. A test may sleep."""
    clock = re.compile(r"\btime\.(?!sleep\b)[a-z]|from time import (?!sleep$)|(from|import) timeit")
    paths = (PACKAGE.parent / "tests").rglob("*.py")
    found = {path: clock.findall(text_of(path)) for path in paths if path != Path(__file__)}
    assert not {path: clocks for path, clocks in found.items() if clocks}


def test_files_stay_small():
    lines = {module: len(text_of(path).splitlines()) for module, path in MODULES.items()}
    assert not {module: count for module, count in lines.items() if count > 400}


def test_functions_stay_small():
    lengths = sorted(
        body_lines(function) for path in MODULES.values() for function in functions(path)
    )
    assert lengths[len(lengths) // 2] <= 6
    assert lengths[int(0.9 * len(lengths))] <= 24


def test_functions_have_at_most_8_arguments():
    """Constructors and converters are excepted: their arguments are a public face, by keyword."""
    found = {
        f"{module}.{function.name}": n_arguments(function)
        for module, path in MODULES.items()
        for function in functions(path)
        if function.name not in ("__init__", *lightrnn.__all__)
    }
    assert not {name: count for name, count in found.items() if count > 8}


def test_a_line_assigns_one_value():
    """A swap, or coordinates that belong together, may share a line: 0.6 % of all statements."""
    statements = [
        node for path in MODULES.values() for node in nodes(path) if isinstance(node, ast.stmt)
    ]
    assert sum(map(is_parallel, statements)) <= 0.006 * len(statements)

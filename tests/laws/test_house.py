"""The order of the house: imports run only downward, and the roof is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lightrnn

PACKAGE = Path(lightrnn.__file__).parent

# From the roof down: a package imports only what stands below it, for types too. Names on one line are strangers.
ORDER = """
    __main__
    cli
    __init__ plotting comparison
    inspection interop
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
UNHEALED = {"data.dataset"}
LIGHT = {"numpy", "typing", "__future__"} | set(sys.stdlib_module_names)


def name_of(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


MODULES = {
    name_of(path): path for path in sorted(PACKAGE.rglob("*.py")) if "__pycache__" not in path.parts
}


def imports(module, *, inner=True, types=True):
    """Yield the dotted names that a module imports; within functions if `inner`, for type checkers if `types`."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    package = ["lightrnn", *module.split(".")[:-1]]
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        if not types and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *filter(None, [node.module])])
            names = [f"{source}.{alias.name}" for alias in node.names]
            yield from (name if own(name) else source for name in names)
        elif inner or not isinstance(node, ast.FunctionDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def own(name):
    """The module of ours that a dotted name means, or None."""
    if name.split(".")[0] != "lightrnn":
        return None
    inside = name.removeprefix("lightrnn").removeprefix(".") or "__init__"
    return (
        inside
        if inside in MODULES
        else f"{inside}.__init__"
        if f"{inside}.__init__" in MODULES
        else None
    )


def package(module):
    return module.partition(".")[0]


def test_every_package_has_its_place():
    assert {package(module) for module in MODULES} == set(LEVELS)


@pytest.mark.parametrize("module", sorted(MODULES.keys() - UNHEALED))
def test_imports_run_only_downward(module):
    found = {own(name) for name in imports(module)} - {None}
    upward = {
        name
        for name in found
        if package(name) != package(module) and LEVELS[package(name)] <= LEVELS[package(module)]
    }
    assert not upward, f"{module} imports {sorted(upward)}, which do not stand below it"


@pytest.mark.xfail(strict=True, reason="four circles are left to cut")
def test_no_module_is_in_a_circle():
    """Take away modules that import nothing that is left, or that nothing left imports: only circles remain."""
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


@pytest.mark.parametrize(
    "module", [name for name in MODULES if not name.startswith(("cpu.", "cuda."))]
)
def test_only_numpy_is_imported_outside_the_compiled_side(module):
    heavy = (
        {name.split(".")[0] for name in imports(module, inner=False, types=False)}
        - LIGHT
        - {"lightrnn"}
    )
    assert not heavy, f"{module} imports {sorted(heavy)} when it is imported"


@pytest.mark.parametrize("module", MODULES)
def test_only_the_compiled_side_imports_numba(module):
    """The cache of machine code looks at the sources of these alone (`cpu/cache.py`)."""
    found = {name.partition(".")[0] for name in imports(module)}
    assert "numba" not in found or package(module) in ("cpu", "cuda", "cli")


@pytest.mark.parametrize("module", [name for name in MODULES if not name.startswith("cuda.")])
def test_only_one_place_imports_numba_cuda(module):
    assert not {name for name in imports(module) if name.startswith("numba.cuda")}
    assert "from numba import cuda" not in MODULES[module].read_text(encoding="utf-8")


def test_importing_compiles_nothing_and_loads_nothing_heavy():
    heavy = (
        "numba",
        "llvmlite",
        "scipy",
        "sklearn",
        "pandas",
        "torch",
        "matplotlib",
        "tqdm",
        "joblib",
        "onnx",
    )
    code = f"import lightrnn, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_files_and_functions_stay_small():
    lengths = []
    for module, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 400, module
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                documented = ast.get_docstring(node) is not None
                body = node.body[documented:]
                lengths.append(body[-1].end_lineno - body[0].lineno + 1 if body else 0)
    lengths.sort()
    assert lengths[len(lengths) // 2] <= 6
    assert lengths[int(0.9 * len(lengths))] <= 24


@pytest.mark.parametrize("module", MODULES)
def test_every_file_opens_with_its_purpose(module):
    text = MODULES[module].read_text(encoding="utf-8")
    assert not text.strip() or ast.get_docstring(ast.parse(text))

"""The order of the house: imports run only downward, and the roof is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lightrnn

PACKAGE = Path(lightrnn.__file__).parent

# From the roof down: a module imports only what stands below it.
ORDER = """
    __init__ __main__ _info _warmup _selfcheck persistence _saved
    conversion _meaning
    export _onnx _summary _numpy_model _numpy_layers
    comparison _baselines
    plotting _curves _strips _diagram _canvas
    inspection _influence _gates _attribution _count _layout _question
    estimators _classifier _regressor _estimator language _completion corpus _fitted _arguments _data _model
    archive
    _keras _keras_config _torch _mapping _tensorfiles _pickles
    training _descent feeds progress _validation
    streams stepping tracing
    preprocessing
    devices
    cuda.__init__ cuda.network cuda.heads cuda.passes cuda.places cuda.products cuda.recurrence cuda.regimes cuda.step
    cuda.terms cuda.slots cuda.barrier cuda.matmul cuda.sums cuda.rows cuda.memory cuda.kernels cuda.values cuda.machine
    cuda.driver
    network prediction passes heads runs layers parameters batches
    weights labels targets tokens sequences rows arrays
    losses solvers
    cpu.__init__ cpu.gather cpu.updates cpu.softmax cpu.sampling cpu.advance cpu.recurrence cpu.matmul cpu.tile
    cpu.memory cpu.flush cpu.simd cpu.jit cpu.cache cpu.host cpu.threads
    cells updates elementwise
    datasets.__init__ datasets._generators datasets._loaders datasets._sentences
    _columns _base checks _version
""".split()
LIGHT = {"numpy", "typing", "__future__"} | set(sys.stdlib_module_names)


def name_of(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py")) if "__pycache__" not in path.parts}


def imports(module, *, inner):
    """What a module imports, names resolved, within functions too if `inner`; those for type checkers do not count."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    package = ["lightrnn", *module.split(".")[:-1]]
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
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
    return inside if inside in MODULES else f"{inside}.__init__" if f"{inside}.__init__" in MODULES else None


def test_every_module_has_its_place():
    assert len(ORDER) == len(set(ORDER))
    assert set(MODULES) <= set(ORDER), f"without a place: {sorted(set(MODULES) - set(ORDER))}"


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_only_downward(module):
    below = set(ORDER[ORDER.index(module) + 1 :])
    upward = {own(name) for name in imports(module, inner=True)} - {None, module} - below
    assert not upward, f"{module} imports {sorted(upward)}, which stand above it"


@pytest.mark.parametrize("module", [name for name in MODULES if not name.startswith(("cpu.", "cuda."))])
def test_only_numpy_is_imported_outside_the_compiled_side(module):
    heavy = {name.split(".")[0] for name in imports(module, inner=False)} - LIGHT - {"lightrnn"}
    assert not heavy, f"{module} imports {sorted(heavy)} when it is imported"


@pytest.mark.parametrize("module", [name for name in MODULES if not name.startswith("cuda.")])
def test_only_one_place_imports_numba_cuda(module):
    assert not {name for name in imports(module, inner=True) if name.startswith("numba.cuda")}
    assert "from numba import cuda" not in MODULES[module].read_text(encoding="utf-8")


def test_importing_compiles_nothing_and_loads_nothing_heavy():
    heavy = ("numba", "llvmlite", "scipy", "sklearn", "pandas", "torch", "matplotlib", "tqdm", "joblib", "onnx")
    code = f"import lightrnn, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_files_and_functions_stay_small():
    lengths = []
    for module, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 350, module
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                documented = ast.get_docstring(node) is not None
                body = node.body[documented:]
                lengths.append(body[-1].end_lineno - body[0].lineno + 1 if body else 0)
    lengths.sort()
    assert lengths[len(lengths) // 2] <= 8
    assert lengths[int(0.9 * len(lengths))] <= 25


@pytest.mark.parametrize("module", MODULES)
def test_every_file_opens_with_its_purpose(module):
    text = MODULES[module].read_text(encoding="utf-8")
    assert not text.strip() or ast.get_docstring(ast.parse(text))

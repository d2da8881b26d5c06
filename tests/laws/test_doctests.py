"""Every example in a docstring of the package runs.

The examples are taken from the files. pytest's own collection would look for a class's examples in
the module that its `__module__` names, which for public classes is not the module of their code,
and would execute files that are not imported yet under a second name.
"""

import ast
import doctest
from importlib import import_module
from pathlib import Path

import pytest

import lightrnn

PACKAGE = Path(lightrnn.__file__).parent
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def examples(path):
    """Yield the name of each docstring of a file that holds an example, and the docstring."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    module = ".".join(parts).removesuffix(".__init__")
    waiting = [(module, ast.parse(path.read_text(encoding="utf-8")))]
    while waiting:
        name, node = waiting.pop()
        text = ast.get_docstring(node) or ""
        if ">>>" in text:
            yield name, (module, text)
        waiting += [
            (f"{name}.{inner.name}", inner) for inner in node.body if isinstance(inner, DOCUMENTED)
        ]


EXAMPLES = dict(sorted(case for path in PACKAGE.rglob("*.py") for case in examples(path)))


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_runs(name):
    module, text = EXAMPLES[name]
    names = dict(vars(import_module(module)))
    example = doctest.DocTestParser().get_doctest(text, names, name, None, None)
    report = []
    doctest.DocTestRunner().run(example, out=report.append)
    assert not report, "".join(report)

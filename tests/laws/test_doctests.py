"""The examples in the docstrings of public classes' methods run.

pytest looks for a class's examples in the module that its `__module__` names, and for those of a
method in the module of its code. For public classes these differ, so it does not see the methods.
"""

import doctest
import inspect

import pytest

import lightrnn

MODULES = (lightrnn, lightrnn.inspection, lightrnn.plotting)
PUBLIC = [getattr(module, name) for module in MODULES for name in module.__all__]
METHODS = {
    f"{kind.__name__}.{name}": getattr(kind, name)
    for kind in filter(inspect.isclass, PUBLIC)
    for name, method in vars(kind).items()
    if inspect.isroutine(method) and ">>>" in (method.__doc__ or "")
}


def test_there_are_examples():
    assert len(METHODS) >= 8


@pytest.mark.parametrize("name", METHODS)
def test_examples_of_methods_run(name):
    method = METHODS[name]
    file = inspect.getsourcefile(method)
    example = doctest.DocTestParser().get_doctest(method.__doc__, {}, name, file, None)
    assert doctest.DocTestRunner().run(example).failed == 0

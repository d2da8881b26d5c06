"""The examples in the docstrings of the estimators' methods run.

pytest looks for a class's examples in the module that its `__module__` names, and for those of a
method in the module of its code. For the estimators these differ, so it does not see the methods.
"""

import doctest
import inspect

import pytest

import lightrnn

METHODS = {
    f"{kind.__name__}.{name}": method
    for kind in (lightrnn.RNNClassifier, lightrnn.RNNRegressor, lightrnn.RNNLanguageModel)
    for name, method in vars(kind).items()
    if inspect.isfunction(method) and ">>>" in (method.__doc__ or "")
}


def test_there_are_examples():
    assert len(METHODS) >= 8


@pytest.mark.parametrize("name", METHODS)
def test_examples_of_methods_run(name):
    method = METHODS[name]
    file = inspect.getsourcefile(method)
    example = doctest.DocTestParser().get_doctest(method.__doc__, {}, name, file, None)
    assert doctest.DocTestRunner().run(example).failed == 0

"""Constructor arguments, declared once: signature, docstring, check and inheritance follow."""

import copy
import inspect
import pickle
import re

import pytest
from helpers.refusal import QUICK, X, Y

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor
from lightrnn.estimators.declarations import declared
from lightrnn.estimators.documentation import _FOREIGN

KINDS = pytest.mark.parametrize("kind", [RNNClassifier, RNNRegressor, RNNLanguageModel])
OWN = {
    RNNClassifier: {"class_weight"},
    RNNRegressor: {"loss", "quantile", "delta"},
    RNNLanguageModel: {"tie_weights", "output"},
}


def parameters(kind):
    return dict(inspect.signature(kind).parameters)


@KINDS
def test_signature_parameters_and_declarations_are_the_same(kind):
    found = parameters(kind)
    assert list(found) == list(declared(kind)) == list(kind().get_params())
    assert {name: p.default for name, p in found.items()} == kind().get_params()


@KINDS
def test_the_first_two_arguments_may_be_positional(kind):
    positional = [name for name, p in parameters(kind).items() if p.kind is not p.KEYWORD_ONLY]
    assert positional == ["cell", "hidden_layer_sizes"]
    assert kind("gru", (8,)).get_params() == kind(cell="gru", hidden_layer_sizes=(8,)).get_params()
    with pytest.raises(TypeError):
        kind("gru", (8,), "step")


@KINDS
def test_arguments_of_other_libraries_are_explained_and_others_are_not(kind):
    with pytest.raises(TypeError, match=r"'units'\. Here units is hidden_layer_sizes; lr is lea"):
        kind(units=3, lr=0.1)
    with pytest.raises(TypeError, match=r"'layers'$"):
        kind(layers=3)


def test_what_is_meant_is_an_argument():
    meant = [meant.partition(",")[0] for meant in _FOREIGN.values()]
    assert all(name in declared(RNNClassifier) for name in meant if " " not in name)


@KINDS
def test_a_class_declares_what_is_its_own(kind):
    others = set.intersection(*(set(declared(other)) for other in OWN if other is not kind))
    assert OWN[kind] <= set(declared(kind)) - others


@KINDS
def test_each_argument_is_documented_with_its_default(kind):
    assert "{" + "parameters}" not in kind.__doc__
    for name, parameter in parameters(kind).items():
        default = parameter.default
        shown = f'"{default}"' if isinstance(default, str) else repr(default)
        assert re.search(rf"^{name} : .*, default={re.escape(shown)}$", kind.__doc__, re.M)


def test_defaults_of_the_language_model():
    changed = {
        name: parameter.default
        for name, parameter in parameters(RNNLanguageModel).items()
        if name in parameters(RNNClassifier)
        and parameter.default != parameters(RNNClassifier)[name].default
    }
    wanted = {
        "cell": "lstm",
        "hidden_layer_sizes": (256,),
        "embedding_size": 64,
        "dropout": 0.0,
        "learning_rate_init": 3e-3,
        "batch_size": 32,
        "max_iter": 10,
        "truncate": 64,
    }
    assert changed == wanted


class Preset(RNNClassifier):
    """A user's class with a constructor of its own."""

    def __init__(self, cell="rnn", *, note="", hidden_layer_sizes=(4,), max_iter=2):
        super().__init__(cell, hidden_layer_sizes, max_iter=max_iter, learning_rate="cosine")
        self.note = note


class Plain(RNNRegressor):
    """A user's class without one."""


def test_a_subclass_may_have_its_own_constructor():
    model = Preset(note="mine").fit(X, Y)
    assert list(model.get_params()) == ["cell", "note", "hidden_layer_sizes", "max_iter"]
    assert repr(model) == "Preset(note='mine')"
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert again.note == "mine" and (again.predict(X) == model.predict(X)).all()
    with pytest.raises(ValueError, match="cell must be one of"):
        Preset("lsmt").fit(X, Y)


def test_a_subclass_may_leave_the_constructor_alone():
    model = Plain("rnn", **QUICK)
    assert repr(model).startswith("Plain(cell='rnn'")
    assert model.fit(X, Y).predict(X).shape == (len(X),)


@KINDS
def test_scikit_learn_clones_what_is_declared(kind):
    sklearn = pytest.importorskip("sklearn.base", reason="clones")
    model = kind("gru", (3,), dropout=0.5, random_state=1)
    assert repr(sklearn.clone(model)) == repr(model)

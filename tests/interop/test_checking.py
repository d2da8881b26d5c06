"""`check` finds a network that computes what its weights do not show; `read` says how it reads."""

from pathlib import Path

import numpy as np
import pytest
from helpers.torch_weights import F, H, state_dict

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor, from_keras, from_torch
from lightrnn.losses import log_softmax, sigmoid, softmax

GOLDEN = Path(__file__).parent.parent / "golden"
BOTH = GOLDEN / "both.safetensors"
X = [np.random.default_rng(T).normal(size=(T, F)).astype(np.float32) for T in (5, 2, 7)]
READINGS = ["final", "last", "mean", "max"]
PLAIN_RNN = pytest.mark.filterwarnings("ignore:The weights of a plain RNN")
# Warnings are what the tests with `pytest.warns` are about.
pytestmark = pytest.mark.filterwarnings("ignore:The weights of a network:UserWarning")


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "torch.npz") as file:
        arrays = dict(file)
    arrays["X"] = np.split(arrays["numbers"], np.cumsum(arrays["lengths"])[:-1])
    return arrays


def raw(**options):
    """Return the raw outputs of a network that is converted as it is."""
    return from_torch(state_dict(**options), RNNRegressor()).predict(X)


# -- read -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", READINGS)
def test_a_bidirectional_network_reads_as_it_is_told(read, golden):
    check = golden["X"], golden[f"both_{read}"]
    model = from_torch(BOTH, RNNRegressor(), read=read, check=check)
    assert np.allclose(model.predict(golden["X"]), check[1], rtol=0, atol=1e-6)
    model.partial_fit(golden["X"], check[1])
    for other in set(READINGS) - {read}:
        with pytest.raises(ValueError, match=f"With read='{read}' they agree"):
            from_torch(BOTH, RNNRegressor(), read=other, check=check)


@PLAIN_RNN
@pytest.mark.parametrize("cell", ["lstm", "rnn"])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_last_step_is_that_of_outputs_for_every_step(cell, layers):
    source = state_dict(cell, layers, both=True)
    steps = from_torch(source, RNNRegressor(target="step")).predict(X)
    model = from_torch(source, RNNRegressor(), read="last")
    assert np.allclose(model.predict(X), [rows[-1] for rows in steps], rtol=0, atol=1e-6)
    assert model.bidirectional == (layers == 2)


def test_what_cannot_be_read_is_refused():
    with pytest.raises(ValueError, match=r"for a bidirectional GRU, got 'last'.*target='step'"):
        from_torch(state_dict("gru", both=True), RNNRegressor(), read="last")
    with pytest.raises(ValueError, match="read must be None where there is an output for every"):
        from_torch(state_dict(), RNNRegressor(target="step"), read="mean")
    attention = state_dict() | {"attention.weight": np.ones((1, 4))}
    with pytest.raises(ValueError, match="read must be None for a source with attention"):
        from_torch(attention, RNNRegressor(), read="final")
    with pytest.raises(ValueError, match="Did you mean 'mean'"):
        from_torch(state_dict(), RNNRegressor(), read="meen")


def test_reading_takes_the_place_of_the_estimators_pooling():
    model = from_torch(state_dict(), RNNRegressor(pooling="max"), read="final")
    assert model.pooling == "last" and np.array_equal(model.predict(X), raw())
    assert from_torch(state_dict(), RNNRegressor(pooling="max")).pooling == "max"


@pytest.mark.filterwarnings("error")
def test_what_weights_do_not_show_warns(golden):
    unseen = r"do not show which states its output layer reads.* read='last', 'mean' .* check=\(X"
    for source in (BOTH, state_dict(), state_dict("gru", 2)):
        with pytest.warns(UserWarning, match=unseen) as got:
            from_torch(source, RNNClassifier())
        assert len(got) == 1 and got[0].filename == __file__
    for cell, message in (("rnn", "whether it has tanh"), ("gru", "a function without weights")):
        with pytest.warns(UserWarning, match=rf"{message}.* check=\(X, outputs\) compares"):
            from_torch(state_dict(cell), RNNClassifier(target="step"))
    # The user says which states are read: a warning would be an error.
    from_torch(BOTH, RNNClassifier(), read="final")
    from_torch(BOTH, RNNClassifier(pooling="mean"))
    from_torch(BOTH, RNNRegressor(), check=(golden["X"], golden["both_final"]))


# -- a module that runs ----------------------------------------------------------------------------


def net_of(torch, kind="LSTM", read="final", **options):
    """Return a network of torch whose class is written as users write theirs."""
    both, layers, k = (options.get(name, 1) for name in ("both", "layers", "k"))

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            first = options.get("batch_first", True)
            self.table = torch.nn.Embedding(7, F) if options.get("tokens") else torch.nn.Identity()
            self.rnn = getattr(torch.nn, kind)(
                F, H, layers, batch_first=first, bidirectional=both == 2
            )
            self.dropout = torch.nn.Dropout(0.5)
            self.fc = torch.nn.Linear(H * both, k)
            self.steps = int(first)
            self.kept = None

        def forward(self, x):
            rows, state = self.rnn(self.table(x), self.kept)
            if options.get("keeps"):
                self.kept = state
            h = state[0] if kind == "LSTM" else state
            states = {
                "final": lambda: torch.cat(list(h[-both:]), 1),
                "first": lambda: h[0],
                "last": lambda: rows.select(self.steps, -1),
                "mean": lambda: rows.mean(self.steps),
                "max": lambda: rows.amax(self.steps),
                "step": lambda: rows,
                "relu": lambda: torch.relu(h[-1]),
            }[read]()
            y = self.fc(self.dropout(states))
            if options.get("named"):
                return {"state": state, "logits": y}
            return (state, y) if options.get("beside") else y

    torch.manual_seed(0)
    return Net().to(getattr(torch, options.get("dtype", "float32")))


RUN = {
    "the last step": ({"read": "last", "both": 2}, ("sequence", "last")),
    "a mean": ({"read": "mean", "kind": "GRU", "batch_first": False}, ("sequence", "mean")),
    "a maximum": ({"read": "max", "kind": "RNN", "both": 2, "k": 3}, ("sequence", "max")),
    "all steps": ({"read": "step", "tokens": True, "beside": True, "k": 3}, ("step", "last")),
    "a state that is kept": ({"keeps": True}, ("sequence", "last")),
    "a dict": ({"read": "mean", "named": True, "k": 3}, ("sequence", "mean")),
    "16 bits": ({"read": "mean", "kind": "GRU", "dtype": "bfloat16"}, ("sequence", "mean")),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", RUN)
def test_a_module_is_run_and_shows_what_it_computes(case):
    torch = pytest.importorskip("torch", reason="torch is an optional peer")
    options, (target, pooling) = RUN[case]
    net = net_of(torch, **options)
    model = from_torch(net, RNNRegressor(pooling="mean" if pooling == "last" else "last"))
    assert net.training and net.kept is None
    assert model.target == target and (target == "step" or model.pooling == pooling)


@pytest.mark.parametrize("read", ["relu", "first"])
def test_a_module_that_computes_something_else_is_refused(read):
    torch = pytest.importorskip("torch", reason="torch is an optional peer")
    net = net_of(torch, read=read, layers=2)
    with pytest.raises(ValueError, match=r"source must give the outputs of its layers.*state_dict"):
        from_torch(net, RNNRegressor())
    from_torch(net.state_dict(), RNNRegressor(), read="final")
    both = net_of(torch, "GRU", "last", both=2)
    with pytest.raises(ValueError, match=r"of a bidirectional GRU, convert it with target='step'"):
        from_torch(both, RNNRegressor())
    from_torch(both, RNNRegressor(target="step"))
    with pytest.raises(ValueError, match="With read='final' they agree"):
        from_torch(net_of(torch, read="last"), RNNRegressor(), read="mean")


def test_a_module_is_run_with_lengths_or_a_state():
    torch = pytest.importorskip("torch", reason="torch is an optional peer")
    rnn = torch.nn.utils.rnn

    class Packed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = torch.nn.GRU(F, H, batch_first=True)
            self.fc = torch.nn.Linear(H, 2)

        def forward(self, x, lengths):
            packed = rnn.pack_padded_sequence(x, lengths, True, enforce_sorted=False)
            return self.fc(self.rnn(packed)[1][-1])

    class Stateful(Packed):
        def forward(self, x, state):
            rows, state = self.rnn(x, state)
            return self.fc(rows.mean(1)), state

    for kind, pooling in ((Packed, "last"), (Stateful, "mean")):
        assert from_torch(kind(), RNNRegressor()).pooling == pooling


def test_outputs_for_the_last_token_are_those_of_a_language_model():
    torch = pytest.importorskip("torch", reason="torch is an optional peer")
    net = net_of(torch, read="last", tokens=True, k=7)
    from_torch(net, RNNLanguageModel(), vocabulary=list("abcdefg"))


@pytest.mark.filterwarnings("error")
def test_a_module_that_does_not_run_warns_as_its_weights_do():
    torch = pytest.importorskip("torch", reason="torch is an optional peer")
    net = net_of(torch)
    net.forward = lambda x, other, another: None
    with pytest.warns(UserWarning, match="do not show which states"):
        from_torch(net, RNNRegressor())


# -- check ----------------------------------------------------------------------------------------


def forms(outputs):
    return {
        "raw": outputs,
        "shifted": outputs + 3,
        "probabilities": softmax(outputs),
        "logarithms": log_softmax(outputs),
        "a list": list(outputs),
    }


@pytest.mark.parametrize("form", forms(np.ones((1, 2))))
def test_outputs_are_given_in_any_form(form):
    outputs = forms(raw())
    classes = {"classes": ["b", "a"]}
    from_torch(state_dict(), RNNClassifier(), check=(X, outputs[form]), **classes)
    wrong = forms(raw() + np.array([0.01, 0]))[form]
    with pytest.raises(ValueError, match="must be those of the converted network, got the differ"):
        from_torch(state_dict(), RNNClassifier(), check=(X, wrong), **classes)


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_a_single_logit_is_compared(shape):
    z = raw(outputs=1).reshape(shape)
    for outputs in (z, sigmoid(z)):
        for classes in (["no", "yes"], ["yes", "no"]):
            options = {"classes": classes, "check": (X, outputs)}
            from_torch(state_dict(outputs=1), RNNClassifier(), **options)
    with pytest.raises(ValueError, match="got the difference"):
        from_torch(state_dict(outputs=1), RNNClassifier(), check=(X, -z))


def test_labels_are_compared():
    outputs = raw(outputs=3)
    for given in (outputs, sigmoid(outputs)):
        options = {"multilabel": True, "check": (X, given)}
        from_torch(state_dict(outputs=3), RNNClassifier(), **options)


def test_a_message_says_where_differences_begin():
    source = state_dict()
    outputs = [rows.copy() for rows in from_torch(source, RNNRegressor(target="step")).predict(X)]
    filled = np.full((3, 7, 2), 9.0)
    for row, steps in zip(filled, outputs, strict=True):
        row[: len(steps)] = steps
    for given in (outputs, filled, np.concatenate(outputs)):
        from_torch(source, RNNRegressor(target="step"), check=(X, given))
    outputs[0][3:] += 0.25
    outputs[2][4, 1] -= 1
    where = r"difference 1 at sequence 2, step 4, output 1: .*They begin at sequence 0, step 3\."
    with pytest.raises(ValueError, match=where):
        from_torch(source, RNNRegressor(target="step"), check=(X, outputs))
    ends = raw() + np.array([[0], [0.5], [0.25]])
    where = r"difference 0.5 at sequence 1.*They begin with sequence 1 of 2 steps, the shortest"
    with pytest.raises(ValueError, match=f"{where}.*such as a relu before the output layer"):
        from_torch(source, RNNRegressor(), check=(X, ends))


def test_a_functional_relu_is_found(golden):
    with pytest.raises(ValueError, match="computes something that its weights do not show"):
        from_torch(BOTH, RNNRegressor(), check=(golden["X"], golden["both_relu"]))


@PLAIN_RNN
def test_rows_of_an_embedding_and_tokens_are_compared(golden):
    codes = np.split(golden["codes"], np.cumsum(golden["lengths"])[:-1])
    tokens = ["<pad>", "b", "<unknown>", *"acde"]
    texts = [[tokens[code] for code in item] for item in codes]
    for X in (codes, texts):
        options = {"vocabulary": tokens, "check": (X, golden["rnn"])}
        from_torch(GOLDEN / "rnn.pt", RNNClassifier(), **options)
    rows = np.split(golden["texts"], np.cumsum(golden["lengths"])[:-1])
    vocabulary = ["b", "a", "<end>", "c", "<unknown>", "d", "e"]
    options = {"vocabulary": vocabulary, "check": (rows, golden["language"])}
    from_torch(GOLDEN / "language.pt", RNNLanguageModel(), **options)
    with pytest.raises(ValueError, match=r"check\[0\]\[0\] must hold rows of the source's embed"):
        options["check"] = [[[7]], golden["language"]]
        from_torch(GOLDEN / "language.pt", RNNLanguageModel(), **options)


def test_tensors_are_compared():
    torch = pytest.importorskip("torch", reason="torch is an optional peer")
    outputs = torch.tensor(raw(), requires_grad=True)
    from_torch(state_dict(), RNNRegressor(), check=([torch.tensor(x) for x in X], outputs))
    from_torch(state_dict(), RNNRegressor(), check=(X, outputs.bfloat16()))


def test_a_check_that_does_not_fit_is_refused():
    for check, kind, message in (
        (3, TypeError, r"check must be a pair \(X, outputs\), got 3"),
        ((X, np.ones(4)), ValueError, "must be 2 for each of 3 sequences"),
        ((X, np.full((3, 2), np.inf)), ValueError, "must be finite"),
        ((X, [["no"], ["yes"], ["no"]]), TypeError, "check's outputs must hold numbers, got text"),
        (([x[:, :2] for x in X], np.ones((3, 2))), ValueError, "has 2 features"),
    ):
        with pytest.raises(kind, match=message):
            from_torch(state_dict(), RNNRegressor(), check=check)


def test_arrays_of_keras_alone_warn(golden):
    pytest.importorskip("h5py", reason="reads Keras's files")
    path = GOLDEN / "gru.weights.h5"
    with pytest.warns(UserWarning, match="holds arrays alone"):
        from_keras(path, RNNRegressor(target="step"))
    with np.load(GOLDEN / "keras.npz") as file:
        check = np.split(file["numbers"], np.cumsum(file["lengths"])[:-1]), file["gru"]
    from_keras(path, RNNRegressor(target="step"), check=check)
